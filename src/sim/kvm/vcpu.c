/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu: a vCPU's life, and the calls on its descriptor that move registers. The calls run with kvm_vcpu.lock
 * held, which KVM_RUN holds, too. Law: api.rst, 4.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "gmem.h"
#include "hooks.h"
#include "irq.h"
#include "jit/jit.h"
#include "memory.h"
#include "msr.h"
#include "pv.h"
#include "registers.h"

static int get_regs(void *object, void *arg, uintptr_t user)
{
	cpu_get_regs(((struct kvm_vcpu *)object)->cpu, arg);
	return 0;
}

int kvm_vcpu_set_regs(void *object, void *arg, uintptr_t user)
{
	struct kvm_vcpu *v = object;

	const struct kvm_regs *regs = arg;

	/* An access that waits for data of the VMM goes on, unless RIP changes. */
	if (regs->rip != v->cpu->gpr[CPU_GPR_RIP])
		v->waits = 0;
	cpu_set_regs(v->cpu, regs);
	return 0;
}

int kvm_vcpu_get_sregs(void *object, void *arg, uintptr_t user)
{
	struct kvm_vcpu *v = object;
	struct kvm_sregs *sregs = arg;

	cpu_get_sregs(v->cpu, sregs);
	sregs->apic_base = v->lapic.base;
	if (v->vm->chip)
		sregs->cr8 = v->vm->bus.cr8_read(v);
	else if (v->user_vector >= 0)
		sregs->interrupt_bitmap[v->user_vector / 64] |= UINT64_C(1) << (v->user_vector % 64);
	return 0;
}

/*
 * Takes the interrupt that a VMM with interrupt controllers of its own had injected when it saved the state.
 */
static void set_injected(struct kvm_vcpu *v, const struct kvm_sregs *sregs)
{
	for (int i = 0; i < 4; i++) {
		if (sregs->interrupt_bitmap[i])
			v->user_vector = 64 * i + __builtin_ctzll(sregs->interrupt_bitmap[i]);
	}
	kvm_vcpu_interrupts_changed(v);
}

int kvm_vcpu_set_sregs_but_interrupt(struct kvm_vcpu *v, const struct kvm_sregs *sregs)
{
	bool moved;

	if (!kvm_vcpu_apic_base_valid(v, sregs->apic_base, true))
		return -EINVAL;
	moved = sregs->cs.base != v->cpu->seg[CPU_CS].base;
	if (cpu_set_sregs(v->cpu, sregs) < 0)
		return -EINVAL;
	v->sregs_set = true;
	if (moved)
		v->waits = 0;
	v->vm->bus.cr8_write(v, sregs->cr8 & 15);
	pthread_mutex_lock(&v->vm->irq_lock);
	kvm_vcpu_set_apic_base(v, sregs->apic_base);
	pthread_mutex_unlock(&v->vm->irq_lock);
	return 0;
}

int kvm_vcpu_set_sregs(void *object, void *arg, uintptr_t user)
{
	struct kvm_vcpu *v = object;
	const struct kvm_sregs *sregs = arg;
	int result = kvm_vcpu_set_sregs_but_interrupt(v, sregs);

	if (result < 0)
		return result;
	pthread_mutex_lock(&v->vm->irq_lock);
	if (!kvm_vm_has_pic(v->vm))
		set_injected(v, sregs);
	pthread_mutex_unlock(&v->vm->irq_lock);
	return 0;
}

static int get_fpu(void *object, void *arg, uintptr_t user)
{
	cpu_get_fpu(((struct kvm_vcpu *)object)->cpu, arg);
	return 0;
}

static int set_fpu(void *object, void *arg, uintptr_t user)
{
	cpu_set_fpu(((struct kvm_vcpu *)object)->cpu, arg);
	return 0;
}

static int interrupt(void *object, void *arg, uintptr_t user)
{
	const struct kvm_interrupt *irq = arg;
	struct kvm_vcpu *v = object;
	int result = 0;

	if (irq->irq >= KVM_NR_INTERRUPTS)
		return -EINVAL;
	if (kvm_vm_has_pic(v->vm))
		return -ENXIO;
	pthread_mutex_lock(&v->vm->irq_lock);
	/*
	 * With a LAPIC in the platform this is an interrupt of the VMM's PIC, and the guest must have taken
	 * the previous one.
	 */
	if (v->vm->chip && v->user_vector >= 0)
		result = -EEXIST;
	else
		v->user_vector = (int)irq->irq;
	kvm_vcpu_interrupts_changed(v);
	pthread_mutex_unlock(&v->vm->irq_lock);
	return result;
}

static int nmi(void *object, void *arg, uintptr_t user)
{
	struct kvm_vcpu *v = object;

	pthread_mutex_lock(&v->vm->irq_lock);
	kvm_vcpu_post_nmi(v);
	pthread_mutex_unlock(&v->vm->irq_lock);
	return 0;
}

/* There is no SMM, as in a kernel without CONFIG_KVM_SMM. */
static int smi(void *object, void *arg, uintptr_t user)
{
	return -ENOTTY;
}

static int translate(void *object, void *arg, uintptr_t user)
{
	struct kvm_translation *t = arg;
	struct kvm_vcpu *v = object;
	uint64_t gpa = 0;

	/* KVM does not know CR3 of a guest whose registers are encrypted. */
	t->valid = !v->protected && cpu_translate(v->cpu, t->linear_address, &gpa);
	t->physical_address = t->valid ? gpa : UINT64_MAX;
	t->writeable = 1;
	t->usermode = 0;
	return 0;
}

/* If the argument is NULL the mask is removed. */
static int set_signal_mask(void *object, void *arg, uintptr_t user)
{
	struct kvm_vcpu *v = object;
	struct kvm_signal_mask head;
	uint64_t mask;

	if (!user) {
		v->has_sigmask = false;
		return 0;
	}
	if (object_copy_in(&head, user, sizeof(head)) < 0)
		return -EFAULT;
	if (head.len != sizeof(mask))
		return -EINVAL;
	if (object_copy_in(&mask, user + sizeof(head), sizeof(mask)) < 0)
		return -EFAULT;
	v->sigmask_user = mask;
	v->has_sigmask = true;
	return 0;
}

const struct kvm_call kvm_vcpu_calls[] = {
        {KVM_RUN, kvm_vcpu_run},
        {KVM_GET_REGS, get_regs},
        {KVM_SET_REGS, kvm_vcpu_set_regs},
        {KVM_GET_SREGS, kvm_vcpu_get_sregs},
        {KVM_SET_SREGS, kvm_vcpu_set_sregs},
        {KVM_GET_FPU, get_fpu},
        {KVM_SET_FPU, set_fpu},
        {KVM_GET_MSRS, kvm_vcpu_get_msrs},
        {KVM_SET_MSRS, kvm_vcpu_set_msrs},
        {KVM_SET_CPUID2, kvm_vcpu_set_cpuid},
        {KVM_GET_CPUID2, kvm_vcpu_get_cpuid},
        {KVM_GET_LAPIC, kvm_vcpu_get_lapic},
        {KVM_SET_LAPIC, kvm_vcpu_set_lapic},
        {KVM_GET_MP_STATE, kvm_vcpu_get_mp_state},
        {KVM_SET_MP_STATE, kvm_vcpu_set_mp_state},
        {KVM_GET_VCPU_EVENTS, kvm_vcpu_get_events},
        {KVM_SET_VCPU_EVENTS, kvm_vcpu_set_events},
        {KVM_INTERRUPT, interrupt},
        {KVM_NMI, nmi},
        {KVM_TRANSLATE, translate},
        {KVM_SET_SIGNAL_MASK, set_signal_mask, .raw = true},
        {KVM_SET_VAPIC_ADDR, kvm_vcpu_set_vapic},
        {KVM_GET_TSC_KHZ, kvm_vcpu_get_tsc_khz},
        {KVM_SET_TSC_KHZ, kvm_vcpu_set_tsc_khz},
        {KVM_GET_SREGS2, kvm_vcpu_get_sregs2},
        {KVM_SET_SREGS2, kvm_vcpu_set_sregs2},
        {KVM_GET_XSAVE, kvm_vcpu_get_xsave},
        {KVM_GET_XSAVE2, kvm_vcpu_get_xsave},
        {KVM_SET_XSAVE, kvm_vcpu_set_xsave},
        {KVM_GET_XCRS, kvm_vcpu_get_xcrs},
        {KVM_SET_XCRS, kvm_vcpu_set_xcrs},
        {KVM_GET_DEBUGREGS, kvm_vcpu_get_debugregs},
        {KVM_SET_DEBUGREGS, kvm_vcpu_set_debugregs},
        {KVM_SET_GUEST_DEBUG, kvm_vcpu_set_guest_debug},
        {KVM_KVMCLOCK_CTRL, kvm_vcpu_kvmclock_ctrl},
        {KVM_HAS_DEVICE_ATTR, kvm_vcpu_has_attr},
        {KVM_GET_DEVICE_ATTR, kvm_vcpu_get_attr},
        {KVM_SET_DEVICE_ATTR, kvm_vcpu_set_attr},
        {KVM_X86_SETUP_MCE, kvm_vcpu_setup_mce},
        {KVM_X86_SET_MCE, kvm_vcpu_set_mce},
        {KVM_SMI, smi},
        {KVM_ENABLE_CAP, kvm_vcpu_enable_cap},
        {KVM_GET_STATS_FD, kvm_vcpu_get_stats},
        {UAPI_PRE_FAULT_MEMORY, kvm_vcpu_prefault},
        {0},
};

/* ---- the descriptor ---- */

/*
 * Several threads may call, one after another: a call waits until the vCPU has left the guest, as with the
 * kernel.
 */
static int vcpu_ioctl(struct object *object, unsigned long request, uintptr_t user)
{
	struct kvm_vcpu *v = (struct kvm_vcpu *)object;
	const struct kvm_hooks *hooks = v->vm->platform->hooks;
	int result;

	if (atomic_load(&v->vm->dead))
		return -EIO;
	if (_IOC_TYPE(request) != KVMIO)
		return -EINVAL;
	pthread_mutex_lock(&v->lock);
	if (!v->sev || !hooks->vcpu_call(v, request, user, &result))
		result = kvm_call_table(v, kvm_vcpu_calls, request, user, -EINVAL);
	if (v->sev)
		hooks->vcpu_release(v);
	pthread_mutex_unlock(&v->lock);
	return result;
}

/* The mapping must not be executable, and the ring behind struct kvm_run can only be mapped shared. */
static int vcpu_map(struct object *object, int fd, size_t length, int prot, int flags, off_t *offset)
{
	if (prot & PROT_EXEC)
		return -EPERM;
	return (uint64_t)*offset + length > KVM_RING_OFFSET && !(flags & MAP_SHARED) ? -EINVAL : fd;
}

/* All vCPUs of a VM share one ring of writes without exits. */
static int vcpu_mapped(struct object *object, uint8_t *at, size_t length, int prot, int flags, off_t offset)
{
	const struct kvm_vm *vm = ((struct kvm_vcpu *)object)->vm;
	const size_t ring = (size_t)KVM_COALESCED_MMIO_PAGE_OFFSET * PAGE_SIZE_BYTES, from = (size_t)offset;

	length = (length + PAGE_SIZE_BYTES - 1) & ~(size_t)(PAGE_SIZE_BYTES - 1);
	if (from > ring || !range_fits(ring - from, PAGE_SIZE_BYTES, length))
		return 0;
	flags = (flags & ~MAP_FIXED_NOREPLACE) | MAP_FIXED;
	if (mmap(at + (ring - from), PAGE_SIZE_BYTES, prot, flags, vm->ring_fd, 0) == MAP_FAILED)
		return -errno;
	return 0;
}

static void vcpu_end(struct object *object)
{
	kvm_vm_unref(((struct kvm_vcpu *)object)->vm);
}

static const struct object_ops vcpu_ops = {
        .ioctl = vcpu_ioctl, .map = vcpu_map, .mapped = vcpu_mapped, .end = vcpu_end};

/* ---- life ---- */

void kvm_vcpu_destroy(struct kvm_vcpu *v)
{
	if (!v)
		return;
	cpu_destroy(v->cpu);
	v->vm->platform->hooks->vcpu_destroy(v);
	if (v->run)
		munmap(v->run, KVM_RUN_BYTES);
	if (v->ring)
		munmap(v->ring, v->vm->ring_bytes);
	if (v->wake_fd >= 0)
		close(v->wake_fd);
	if (v->signal_fd >= 0)
		close(v->signal_fd);
	kvm_stats_finish(&v->stats);
	pthread_mutex_destroy(&v->lock);
	free(v->cpuid);
	free(v);
}

/* KVM starts with what FNINIT leaves, not with the processor's reset. */
static const struct kvm_fpu initial_fpu = {.fcw = 0x37f, .mxcsr = 0x1f80};

/* A block of the guest's code is translated when it has run so often. */
#define HOT 16

/* Who compares wants no vCPU that is left out. */
static int attach_translator(struct kvm_vcpu *v)
{
	struct kvm_platform *platform = v->vm->platform;

	if (!platform->code)
		return 0;
	if (!jit_attach(platform->code, v->cpu, platform->compare ? 0 : HOT)) {
		log_debug("software processor %u interprets: no memory is left for native code", v->index);
		return platform->compare ? -ENOMEM : 0;
	}
	return platform->compare && !jit_compare(v->cpu) ? -ENOMEM : 0;
}

static int make_parts(struct kvm_vcpu *v)
{
	v->signal_fd = -1;
	v->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->wake_fd < 0)
		return -errno;
	/* Both need nothing but memory. */
	if (v->vm->platform->hooks->vcpu_create(v) < 0 || cpu_create(&v->vm->bus, v, &v->cpu, NULL) < 0)
		return -ENOMEM;
	return attach_translator(v);
}

static int vcpu_make(struct kvm_vm *vm, unsigned id, struct kvm_vcpu **ret_vcpu)
{
	struct kvm_vcpu *v = calloc(1, sizeof(*v));
	int result;

	if (!v)
		return -ENOMEM;
	v->object.ops = &vcpu_ops;
	v->vm = vm;
	v->index = vm->vcpu_count;
	v->id = id;
	v->user_vector = v->eoi_vector = -1;
	v->stats.fd = -1;
	pthread_mutex_init(&v->lock, NULL);
	result = make_parts(v);
	if (result < 0) {
		kvm_vcpu_destroy(v);
		return result;
	}
	cpu_set_fpu(v->cpu, &initial_fpu);
	v->base_ns = kvm_clock_now(&vm->platform->clock);
	kvm_vcpu_set_apic_base(v, irq_lapic_base_after_reset(id == vm->boot_id));
	kvm_vcpu_msrs_reset(v);
	kvm_vcpu_mce_reset(v);
	kvm_vcpu_pv_reset(v);
	v->mp_state = vm->chip && id != vm->boot_id ? KVM_MP_STATE_UNINITIALIZED : KVM_MP_STATE_RUNNABLE;
	*ret_vcpu = v;
	return 0;
}

static int map_part(int fd, size_t offset, size_t bytes, void *ret_part)
{
	void *part = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);

	if (part == MAP_FAILED)
		return -errno;
	memcpy(ret_part, &part, sizeof(part));
	return 0;
}

/* Makes the descriptor, from which the VMM maps struct kvm_run and the ring. */
static int vcpu_fd(struct kvm_vcpu *v)
{
	uint32_t ring_bytes = v->vm->ring_bytes;
	size_t size = ring_bytes ? KVM_RING_OFFSET + ring_bytes : KVM_RUN_BYTES;
	int fd = object_fd("sim-vcpu", size), result;

	if (fd < 0)
		return fd;
	result = map_part(fd, 0, KVM_RUN_BYTES, &v->run);
	if (result == 0 && ring_bytes)
		result = map_part(fd, KVM_RING_OFFSET, ring_bytes, &v->ring);
	v->ring_count = ring_bytes / sizeof(*v->ring);
	if (result < 0) {
		close(fd);
		return result;
	}
	return fd;
}

/*
 * Adds the vCPU to the VM, once nothing can fail any more. Interrupts may reach the vCPU at once, so this
 * runs with kvm_vm.irq_lock held.
 */
static void attach(struct kvm_vm *vm, struct kvm_vcpu *v)
{
	kvm_vm_ref(vm); /* its descriptor's */
	pthread_mutex_lock(&vm->irq_lock);
	if (vm->chip)
		irq_lapic_init(&v->lapic, vm->chip, v->index, v->id);
	vm->vcpus[v->index] = v;
	atomic_fetch_add(&vm->vcpu_count, 1);
	pthread_mutex_unlock(&vm->irq_lock);
}

/* Makes a vCPU of the VM. Returns its descriptor, or a negated errno. kvm_vm.lock is held. */
static int vcpu_add(struct kvm_vm *vm, unsigned long id, struct kvm_vcpu **ret_vcpu)
{
	struct kvm_vcpu *v;
	int result;

	if (!vm->vcpu_ids)
		vm->vcpu_ids = KVM_VCPU_IDS_MAX;
	if (vm->vcpu_count >= KVM_VCPUS_MAX || id >= vm->vcpu_ids)
		return -EINVAL;
	if (kvm_vm_vcpu_by_id(vm, id))
		return -EEXIST;
	result = vcpu_make(vm, (unsigned)id, &v);
	if (result < 0)
		return result;
	result = vcpu_fd(v);
	if (result < 0) {
		kvm_vcpu_destroy(v);
		return result;
	}
	attach(vm, v);
	*ret_vcpu = v;
	return result;
}

int kvm_vcpu_create(struct kvm_vm *vm, unsigned long id)
{
	struct kvm_vcpu *v;
	int fd;

	if (id >= KVM_VCPU_IDS_MAX)
		return -EINVAL;
	pthread_mutex_lock(&vm->lock);
	fd = vcpu_add(vm, id, &v);
	pthread_mutex_unlock(&vm->lock);
	return fd < 0 ? fd : object_open(vm->platform->objects, &v->object, fd);
}

void kvm_vcpu_add_figures(const struct kvm_vcpu *v, struct sim_figures *sum)
{
	struct jit_counts counts = {0};
	size_t used = strlen(sum->unknown_names), room = sizeof(sum->unknown_names);

	sum->instructions += cpu_icount(v->cpu);
	sum->exits += v->exits;
	jit_add_counts(v->cpu, &counts);
	sum->compared += counts.compared;
	sum->alone += counts.alone;
	for (uint32_t i = 0; i < v->cpu->unknown_count; i++) {
		char name[32];

		sum->unknown += v->cpu->unknown[i].count;
		used += (size_t)snprintf(sum->unknown_names + used, room - used, "%s%s x%llu",
		        used ? ", " : "", cpu_unknown_name(v->cpu->unknown[i].key, name),
		        (unsigned long long)v->cpu->unknown[i].count);
		if (used >= room)
			used = room - 1;
	}
}
