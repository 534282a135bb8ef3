/* SPDX-License-Identifier: Apache-2.0 */
/*
 * system: calls on /dev/kvm, and the platform as a whole. Any thread may call. Law: api.rst, 4.1 to 4.5 and
 * 4.46.
 */
#include <errno.h>
#include <string.h>

#include "hooks.h"
#include "msr.h"
#include "pv.h"

#define CPUID_1_ECX_X2APIC       (1u << 21)
#define CPUID_1_ECX_TSC_DEADLINE (1u << 24)
#define CPUID_1_ECX_HYPERVISOR   (1u << 31)
#define CPUID_1_ECX_MOVBE        (1u << 22)
#define CPUID_7_ECX_RDPID        (1u << 22)
#define CPUID_KVM                0x40000000u
#define MSRS_MAX                 256

static int get_api_version(void *object, void *arg, uintptr_t user)
{
	return user ? -EINVAL : KVM_API_VERSION;
}

static int create_vm(void *object, void *arg, uintptr_t user)
{
	return kvm_vm_create(object, user);
}

static int check_extension(void *object, void *arg, uintptr_t user)
{
	return kvm_vm_capability(object, NULL, user);
}

static int get_run_size(void *object, void *arg, uintptr_t user)
{
	return user ? -EINVAL : (int)KVM_RUN_BYTES;
}

/*
 * Adds what is the platform's and not the processor's: the APIC's modes, and the leaves by which a guest
 * knows KVM.
 */
static uint32_t add_platform_leaves(
        const struct kvm_platform *platform, struct kvm_cpuid_entry2 *entries, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (entries[i].function == 1)
			entries[i].ecx |=
			        CPUID_1_ECX_X2APIC | CPUID_1_ECX_TSC_DEADLINE | CPUID_1_ECX_HYPERVISOR;
		if (entries[i].function >= CPUID_KVM && entries[i].function < CPUID_KVM + 0x100)
			return count;
	}
	if (count + 2 > KVM_CPUID_MAX)
		return count;
	entries[count++] = (struct kvm_cpuid_entry2){.function = CPUID_KVM,
	        .eax = CPUID_KVM + 1,
	        .ebx = 0x4b4d564b, /* "KVMKVMKVM" */
	        .ecx = 0x564b4d56,
	        .edx = 0x4d};
	entries[count++] = (struct kvm_cpuid_entry2){
	        .function = CPUID_KVM + 1, .eax = kvm_platform_pv_features(platform)};
	return count;
}

static uint32_t supported_cpuid(
        const struct kvm_platform *platform, struct kvm_cpuid_entry2 entries[static KVM_CPUID_MAX])
{
	uint32_t count = KVM_CPUID_MAX;

	cpu_supported_cpuid(entries, &count);
	count = add_platform_leaves(platform, entries, count);
	return platform->hooks->add_cpuid(platform->secure, entries, count);
}

static int get_supported_cpuid(void *object, void *arg, uintptr_t user)
{
	struct kvm_cpuid2 *head = arg;
	auto_free struct kvm_cpuid_entry2 *entries = calloc(KVM_CPUID_MAX, sizeof(*entries));
	uint32_t count;

	if (!entries)
		return -ENOMEM;
	count = supported_cpuid(object, entries);
	if (head->nent < count)
		return -E2BIG;
	head->nent = count;
	return object_copy_out(user + sizeof(*head), entries, count * sizeof(*entries));
}

/* The count is given back even if the list does not fit, because callers learn it that way. */
static int get_msr_index_list(void *object, void *arg, uintptr_t user)
{
	struct kvm_msr_list *head = arg;
	uint32_t own, platform, room = head->nmsrs;
	const uint32_t *own_list = cpu_msr_list(&own), *platform_list = kvm_platform_msrs(&platform);
	const struct {
		const uint32_t *list;
		uint32_t count;
	} parts[] = {{own_list, own}, {platform_list, platform}, {kvm_pv_msrs, KVM_PV_MSRS}};
	uintptr_t at = user + sizeof(*head);

	head->nmsrs = own + platform + KVM_PV_MSRS;
	if (object_copy_out(user, head, sizeof(*head)) < 0)
		return -EFAULT;
	if (room < head->nmsrs)
		return -E2BIG;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		size_t bytes = parts[i].count * sizeof(*parts[i].list);

		if (object_copy_out(at, parts[i].list, bytes) < 0)
			return -EFAULT;
		at += bytes;
	}
	return 0;
}

/* Lists the instructions that KVM can emulate where a processor lacks them. This processor has both. */
static int get_emulated_cpuid(void *object, void *arg, uintptr_t user)
{
	static const struct kvm_cpuid_entry2 entries[] = {
	        {.function = 0, .eax = 7},
	        {.function = 1, .ecx = CPUID_1_ECX_MOVBE},
	        {.function = 7, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .ecx = CPUID_7_ECX_RDPID},
	};
	struct kvm_cpuid2 *head = arg;

	if (head->nent < ARRAY_LEN(entries))
		return -E2BIG;
	head->nent = ARRAY_LEN(entries);
	return object_copy_out(user + sizeof(*head), entries, sizeof(entries));
}

/* ---- MSRs that are the same for every VM ---- */

static int get_feature_list(void *object, void *arg, uintptr_t user)
{
	struct kvm_msr_list *head = arg;
	uint32_t count, room = head->nmsrs;
	const uint32_t *list = kvm_platform_features(&count);

	head->nmsrs = count;
	if (object_copy_out(user, head, sizeof(*head)) < 0)
		return -EFAULT;
	if (room < count)
		return -E2BIG;
	return object_copy_out(user + sizeof(*head), list, count * sizeof(*list));
}

/* Returns how many could be read. The first that is no feature MSR ends the call. */
static int get_feature_msrs(void *object, void *arg, uintptr_t user)
{
	const struct kvm_msrs *head = arg;
	struct kvm_msr_entry entry;
	uint32_t done = 0;

	if (head->nmsrs >= MSRS_MAX)
		return -E2BIG;
	for (; done < head->nmsrs; done++) {
		uintptr_t at = user + sizeof(*head) + done * sizeof(entry);
		uint64_t value;

		if (object_copy_in(&entry, at, sizeof(entry)) < 0)
			return -EFAULT;
		if (!kvm_platform_feature(entry.index, &value))
			break;
		entry.data = value;
		if (object_copy_out(at, &entry, sizeof(entry)) < 0)
			return -EFAULT;
	}
	return (int)done;
}

const struct kvm_call kvm_system_calls[] = {
        {KVM_GET_API_VERSION, get_api_version},
        {KVM_CREATE_VM, create_vm},
        {KVM_CHECK_EXTENSION, check_extension},
        {KVM_GET_VCPU_MMAP_SIZE, get_run_size},
        {KVM_GET_SUPPORTED_CPUID, get_supported_cpuid},
        {KVM_GET_MSR_INDEX_LIST, get_msr_index_list},
        {KVM_GET_EMULATED_CPUID, get_emulated_cpuid},
        {KVM_GET_MSR_FEATURE_INDEX_LIST, get_feature_list},
        {KVM_GET_MSRS, get_feature_msrs},
        {KVM_HAS_DEVICE_ATTR, kvm_system_has_attr},
        {KVM_GET_DEVICE_ATTR, kvm_system_get_attr},
        {KVM_X86_GET_MCE_CAP_SUPPORTED, kvm_system_get_mce_cap},
        {0},
};

/* ---- the platform ---- */

struct system {
	struct object object;
	struct kvm_platform *platform;
};

static int device_ioctl(struct object *object, unsigned long request, uintptr_t user)
{
	return kvm_call_table(((struct system *)object)->platform, kvm_system_calls, request, user, -EINVAL);
}

static void device_end(struct object *object)
{
	free(object);
}

static const struct object_ops device_ops = {.ioctl = device_ioctl, .end = device_end};

int kvm_platform_open(struct kvm_platform *platform)
{
	struct system *device = calloc(1, sizeof(*device));
	int fd;

	if (!device)
		return -ENOMEM;
	*device = (struct system){.object.ops = &device_ops, .platform = platform};
	fd = object_open(platform->objects, &device->object, object_fd("sim-kvm", 0));
	if (fd < 0)
		free(device);
	return fd;
}

void kvm_platform_init(struct kvm_platform *platform, struct object_table *objects, enum sim_clock_kind clock,
        const struct kvm_hooks *hooks, struct sev_platform *secure)
{
	*platform = (struct kvm_platform){.objects = objects, .hooks = hooks, .secure = secure};
	pthread_mutex_init(&platform->lock, NULL);
	kvm_clock_init(&platform->clock, clock);
}

void kvm_platform_finish(struct kvm_platform *platform)
{
	pthread_mutex_destroy(&platform->lock);
}

void kvm_platform_figures(struct kvm_platform *platform, struct sim_figures *ret_figures)
{
	struct sim_figures sum;
	struct kvm_vm *vm;

	pthread_mutex_lock(&platform->lock);
	sum = platform->ended;
	for (vm = platform->vms; vm; vm = vm->next) {
		for (unsigned i = 0; i < vm->vcpu_count; i++)
			kvm_vcpu_add_figures(vm->vcpus[i], &sum);
	}
	pthread_mutex_unlock(&platform->lock);
	*ret_figures = sum;
}
