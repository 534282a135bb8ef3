/* SPDX-License-Identifier: Apache-2.0 */
/*
 * time: the calls about the guest's time, and device attributes, of which the TSC's offset is one. Any thread
 * may call; a vCPU's own time changes with kvm_vcpu.lock held. Law: api.rst, KVM_GET_CLOCK, KVM_GET_TSC_KHZ,
 * KVM_GET_DEVICE_ATTR.
 */
#include <errno.h>
#include <time.h>

#include "hooks.h"
#include "pv.h"

#define XCR0_OFFERED UINT64_C(3)
#define VCPU_TSC     0 /* a group of a vCPU's attributes, with one attribute */
#define SYSTEM_XCOMP 0 /* likewise of /dev/kvm */
#define CLOCK_FLAGS  (KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC)

/* There is one rate and no scaling. */
int kvm_vcpu_get_tsc_khz(void *object, void *arg, uintptr_t user)
{
	return (int)KVM_TSC_KHZ;
}

static int check_tsc_khz(uintptr_t khz)
{
	return khz == 0 || khz == KVM_TSC_KHZ ? 0 : -EINVAL;
}

int kvm_vcpu_set_tsc_khz(void *object, void *arg, uintptr_t user)
{
	return ((struct kvm_vcpu *)object)->vm->guest_keeps_tsc ? -EINVAL : check_tsc_khz(user);
}

int kvm_vm_get_tsc_khz(void *object, void *arg, uintptr_t user)
{
	return (int)KVM_TSC_KHZ;
}

/* Sets the rate of vCPUs that will be made later. */
int kvm_vm_set_tsc_khz(void *object, void *arg, uintptr_t user)
{
	const struct kvm_vm *vm = object;

	return atomic_load(&vm->vcpu_count) ? -EINVAL : check_tsc_khz(user);
}

/* ---- the clock of a VM ---- */

/* The platform's wall clock, which passes with its time. */
static uint64_t wall_ns(const struct kvm_clock *clock)
{
	struct timespec ts;

	if (!clock->host)
		return (uint64_t)SIM_WALL_START_NS + kvm_clock_now(clock);
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int kvm_vm_get_clock(void *object, void *arg, uintptr_t user)
{
	struct kvm_clock_data *data = arg;
	struct kvm_vm *vm = object;
	const struct kvm_clock *clock = &vm->platform->clock;

	data->clock = kvm_clock_now(clock) + (uint64_t)atomic_load(&vm->clock_offset);
	data->flags = atomic_load(&vm->old_clock) ? 0 : CLOCK_FLAGS;
	data->realtime = data->flags ? wall_ns(clock) : 0;
	data->host_tsc = data->flags ? kvm_clock_now(clock) : 0;
	return 0;
}

/*
 * Takes back what KVM_GET_CLOCK gave. With KVM_CLOCK_REALTIME the time that has passed since the clock was
 * read is added; the other flags have no effect.
 */
int kvm_vm_set_clock(void *object, void *arg, uintptr_t user)
{
	const struct kvm_clock_data *data = arg;
	struct kvm_vm *vm = object;
	uint64_t clock = data->clock, real = wall_ns(&vm->platform->clock);

	if (data->flags & ~(uint32_t)CLOCK_FLAGS)
		return -EINVAL;
	if (data->flags & KVM_CLOCK_REALTIME && real > data->realtime)
		clock += real - data->realtime;
	atomic_store(&vm->clock_offset, (int64_t)(clock - kvm_clock_now(&vm->platform->clock)));
	kvm_vm_pv_retime(vm);
	return 0;
}

uint64_t kvm_vm_clock_zero(const struct kvm_vm *vm)
{
	const struct kvm_clock *clock = &vm->platform->clock;

	return wall_ns(clock) - (kvm_clock_now(clock) + (uint64_t)atomic_load(&vm->clock_offset));
}

/* ---- device attributes ---- */

static bool is_tsc_offset(const struct kvm_device_attr *attr)
{
	return attr->group == VCPU_TSC && attr->attr == 0;
}

int kvm_vcpu_has_attr(void *object, void *arg, uintptr_t user)
{
	return is_tsc_offset(arg) ? 0 : -ENXIO;
}

int kvm_vcpu_get_attr(void *object, void *arg, uintptr_t user)
{
	const struct kvm_device_attr *attr = arg;
	struct kvm_vcpu *v = object;

	if (!is_tsc_offset(attr))
		return -ENXIO;
	return object_copy_out((uintptr_t)attr->addr, &v->tsc_offset, sizeof(v->tsc_offset));
}

int kvm_vcpu_set_attr(void *object, void *arg, uintptr_t user)
{
	const struct kvm_device_attr *attr = arg;
	struct kvm_vcpu *v = object;

	int64_t offset;

	if (!is_tsc_offset(attr))
		return -ENXIO;
	if (object_copy_in(&offset, (uintptr_t)attr->addr, sizeof(offset)) < 0)
		return -EFAULT;
	if (!v->vm->guest_keeps_tsc) {
		v->tsc_offset = offset;
		kvm_vcpu_pv_retime(v);
	}
	return 0;
}

static int system_attr(
        const struct kvm_platform *platform, const struct kvm_device_attr *attr, uint64_t *ret_value)
{
	if (attr->group == UAPI_X86_GROUP_SEV)
		return platform->hooks->attribute(platform->secure, attr->attr, ret_value);
	*ret_value = XCR0_OFFERED;
	return attr->group == SYSTEM_XCOMP && attr->attr == 0 ? 0 : -ENXIO;
}

int kvm_system_has_attr(void *object, void *arg, uintptr_t user)
{
	uint64_t value;

	return system_attr(object, arg, &value);
}

int kvm_system_get_attr(void *object, void *arg, uintptr_t user)
{
	const struct kvm_device_attr *attr = arg;
	uint64_t value;
	int result = system_attr(object, attr, &value);

	return result < 0 ? result : object_copy_out((uintptr_t)attr->addr, &value, sizeof(value));
}

/* There are no devices in the kernel that could be made by this call. */
int kvm_vm_create_device(void *object, void *arg, uintptr_t user)
{
	return -ENODEV;
}
