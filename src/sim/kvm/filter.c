/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter: which MSRs a guest may access, and which accesses the VMM answers. Any thread may call; the filter
 * changes with kvm_vm.irq_lock held. Law: api.rst, KVM_X86_SET_MSR_FILTER, KVM_CAP_X86_USER_SPACE_MSR.
 */
#include <errno.h>
#include <string.h>

#include "msr.h"

#define BITMAP_BYTES_MAX 0x600
#define X2APIC_FIRST     0x800u /* these are never filtered */
#define X2APIC_LAST      0x8ffu

struct range {
	uint32_t flags, base, count;
	uint8_t *bitmap;
};

struct kvm_filter {
	bool allow; /* for MSRs that no range covers */
	unsigned count;
	struct range ranges[KVM_MSR_FILTER_MAX_RANGES];
};

void kvm_vm_filter_free(struct kvm_filter *filter)
{
	if (!filter)
		return;
	for (unsigned i = 0; i < filter->count; i++)
		free(filter->ranges[i].bitmap);
	free(filter);
}

static int add_range(struct kvm_filter *filter, const struct kvm_msr_filter_range *ask)
{
	struct range *range = &filter->ranges[filter->count];
	size_t bytes = ((size_t)ask->nmsrs + 63) / 64 * 8;

	if (!ask->nmsrs)
		return 0;
	if (!ask->flags || ask->flags & ~(uint32_t)(KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE) ||
	        bytes > BITMAP_BYTES_MAX)
		return -EINVAL;
	*range = (struct range){.flags = ask->flags, .base = ask->base, .count = ask->nmsrs};
	range->bitmap = malloc(bytes);
	if (!range->bitmap)
		return -ENOMEM;
	filter->count++;
	return object_copy_in(range->bitmap, (uintptr_t)ask->bitmap, bytes);
}

static int filter_make(const struct kvm_msr_filter *ask, struct kvm_filter **ret_filter)
{
	struct kvm_filter *filter = calloc(1, sizeof(*filter));
	int result = 0;

	if (!filter)
		return -ENOMEM;
	filter->allow = !(ask->flags & KVM_MSR_FILTER_DEFAULT_DENY);
	for (size_t i = 0; i < ARRAY_LEN(ask->ranges) && result == 0; i++)
		result = add_range(filter, &ask->ranges[i]);
	if (result == 0 && !filter->count && !filter->allow) /* denying everything needs a range */
		result = -EINVAL;
	if (result < 0)
		kvm_vm_filter_free(filter);
	else
		*ret_filter = filter;
	return result;
}

int kvm_vm_set_msr_filter(void *object, void *arg, uintptr_t user)
{
	const struct kvm_msr_filter *ask = arg;
	struct kvm_filter *filter, *old;
	struct kvm_vm *vm = object;
	int result;

	if (ask->flags & ~(uint32_t)KVM_MSR_FILTER_DEFAULT_DENY)
		return -EINVAL;
	result = filter_make(ask, &filter);
	if (result < 0)
		return result;
	pthread_mutex_lock(&vm->irq_lock);
	old = vm->filter;
	vm->filter = filter;
	atomic_store(&vm->has_filter, true);
	pthread_mutex_unlock(&vm->irq_lock);
	kvm_vm_filter_free(old);
	return 0;
}

static bool filter_allows(const struct kvm_filter *filter, uint32_t flag, uint32_t index)
{
	for (unsigned i = 0; i < filter->count; i++) {
		const struct range *r = &filter->ranges[i];
		uint32_t bit = index - r->base;

		if (index >= r->base && bit < r->count && r->flags & flag)
			return r->bitmap[bit / 8] >> (bit % 8) & 1;
	}
	return filter->allow;
}

bool kvm_vcpu_msr_allowed(void *ctx, bool write, uint32_t index)
{
	struct kvm_vm *vm = ((struct kvm_vcpu *)ctx)->vm;
	bool allowed;

	if (!atomic_load(&vm->has_filter) || (index >= X2APIC_FIRST && index <= X2APIC_LAST))
		return true;
	pthread_mutex_lock(&vm->irq_lock);
	allowed = filter_allows(vm->filter, write ? KVM_MSR_FILTER_WRITE : KVM_MSR_FILTER_READ, index);
	pthread_mutex_unlock(&vm->irq_lock);
	return allowed;
}

bool kvm_vcpu_msr_exits(void *ctx, uint32_t reason)
{
	return atomic_load(&((struct kvm_vcpu *)ctx)->vm->msr_exits) & reason;
}

int kvm_vcpu_leave_msr(struct kvm_vcpu *v)
{
	const struct cpu_exit_info *info = &v->cpu->exit_info;

	v->run->exit_reason = info->msr.write ? KVM_EXIT_X86_WRMSR : KVM_EXIT_X86_RDMSR;
	v->run->msr.error = 0;
	memset(v->run->msr.pad, 0, sizeof(v->run->msr.pad));
	v->run->msr.reason = info->msr.reason;
	v->run->msr.index = info->msr.index;
	v->run->msr.data = info->msr.data;
	v->waits = v->run->exit_reason;
	return 0;
}
