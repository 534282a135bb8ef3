/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state_msrs: the model-specific registers of a vCPU that moves. KVM lists those that it saves, and of those
 * the vCPU has some, by its CPUID. A few that KVM keeps without listing them are added. No vCPU runs.
 * Law: api.rst, 4.3 (KVM_GET_MSR_INDEX_LIST); APM vol. 2, appendix A.
 */
#include <errno.h>

#include "state.h"

#define MSRS_MAX 1024u

struct span {
	uint32_t first, last;
};

/* KVM keeps these for the guest, and older kernels do not list all of them. */
static const struct span added[] = {
        {0x200, 0x20f},           /* MTRRs: base and mask of eight ranges */
        {0x250, 0x250},           /* ... fixed ranges of 64 KiB, */
        {0x258, 0x259},           /* 16 KiB */
        {0x268, 0x26f},           /* and 4 KiB */
        {0x277, 0x277},           /* PAT */
        {0x2ff, 0x2ff},           /* the default memory type */
        {0x400, 0x47f},           /* machine check banks */
        {0xc0010015, 0xc0010015}, /* HWCR */
        {0xc0010114, 0xc0010114}, /* VM_CR */
};

/*
 * These move in another way: the time-stamp counter with the time (machine_vm_visit_time()); the APIC's base,
 * FS, GS and EFER with the registers; the x2APIC's registers with the APIC.
 */
static const struct span left_out[] = {
        {0x10, 0x10},
        {0x1b, 0x1b},
        {0x800, 0x8ff},
        {0xc0000080, 0xc0000080},
        {0xc0000100, 0xc0000101},
};

static bool is_in(const struct span *spans, size_t count, uint32_t index)
{
	for (size_t i = 0; i < count; i++) {
		if (index >= spans[i].first && index <= spans[i].last)
			return true;
	}
	return false;
}

static int by_index(const void *a, const void *b)
{
	const struct machine_msr *x = a, *y = b;

	return x->index < y->index ? -1 : x->index > y->index;
}

/* A list of what might move, in order and without values. */
struct names {
	struct machine_msr msrs[MSRS_MAX];
	unsigned count;
};

static void add(struct names *names, uint32_t index)
{
	if (names->count < MSRS_MAX && !is_in(left_out, ARRAY_LEN(left_out), index))
		names->msrs[names->count++] = (struct machine_msr){.index = index};
}

static int list_names(const struct machine_vm *vm, struct names *ret_names, struct err *err)
{
	auto_free struct kvm_msr_list *list = NULL;
	unsigned unique = 0;

	if (call_kvm_msr_list(vm->machine->host, vm->machine->kvm_fd, &list, err) < 0)
		return -1;
	ret_names->count = 0;
	for (uint32_t i = 0; i < list->nmsrs; i++)
		add(ret_names, list->indices[i]);
	for (size_t i = 0; i < ARRAY_LEN(added); i++) {
		for (uint32_t index = added[i].first; index <= added[i].last; index++)
			add(ret_names, index);
	}
	qsort(ret_names->msrs, ret_names->count, sizeof(ret_names->msrs[0]), by_index);
	for (unsigned i = 0; i < ret_names->count; i++) {
		if (!i || ret_names->msrs[i].index != ret_names->msrs[i - 1].index)
			ret_names->msrs[unique++] = ret_names->msrs[i];
	}
	ret_names->count = unique;
	return 0;
}

int machine_msrs_read(const struct machine_vm *vm, const struct machine_vcpu *vcpu,
        struct machine_msr **ret_msrs, unsigned *ret_count, struct err *err)
{
	auto_free struct names *names = calloc(1, sizeof(*names));
	auto_free struct machine_msr *msrs = calloc(MSRS_MAX, sizeof(*msrs));
	unsigned count = 0;

	if (!names || !msrs)
		return err_sys(err, ERR_FAILED, ENOMEM, "list of MSRs");
	if (list_names(vm, names, err) < 0)
		return -1;
	for (unsigned i = 0; i < names->count; i++) {
		struct machine_msr *msr = &msrs[count];
		bool has;

		msr->index = names->msrs[i].index;
		if (call_vcpu_get_msr(vm->machine->host, vcpu->fd, msr->index, &has, &msr->value, err) < 0)
			return -1;
		count += has;
	}
	*ret_msrs = take_ptr(&msrs);
	*ret_count = count;
	return 0;
}

void machine_msrs_visit(struct vmstate *s, struct machine_msr **msrs, unsigned *count)
{
	uint32_t last = 0;

	vmstate_count(s, "how many MSRs there are", count, MSRS_MAX);
	if (s->loads) {
		*msrs = calloc(*count + 1, sizeof(**msrs));
		if (!*msrs)
			vmstate_fail(s, "no memory is left");
	}
	for (unsigned i = 0; i < *count && *msrs && !s->bad; i++) {
		struct machine_msr *msr = &(*msrs)[i];

		vmstate_u32(s, "an MSR's number", &msr->index, UINT32_MAX);
		vmstate_u64(s, "an MSR's value", &msr->value, UINT64_MAX);
		if (s->loads && i && msr->index <= last)
			vmstate_fail(s, "MSR 0x%x comes after MSR 0x%x", msr->index, last);
		last = msr->index;
	}
}

/* KVM has MSRs that only tell what the host can do. It takes no other value, and here it has the same. */
static int write_one(const struct machine_vm *vm, const struct machine_vcpu *vcpu,
        const struct machine_msr *msr, struct err *err)
{
	struct host *host = vm->machine->host;
	bool has, taken;
	uint64_t now;

	if (call_vcpu_get_msr(host, vcpu->fd, msr->index, &has, &now, err) < 0)
		return -1;
	if (has && now == msr->value)
		return 0;
	if (call_vcpu_set_msr(host, vcpu->fd, msr->index, msr->value, &taken, err) < 0)
		return -1;
	if (!taken)
		return err_set(err, ERR_HOST, "KVM refuses the value 0x%llx of MSR 0x%x",
		        (unsigned long long)msr->value, msr->index);
	return 0;
}

int machine_msrs_write(const struct machine_vm *vm, const struct machine_vcpu *vcpu,
        const struct machine_msr *msrs, unsigned count, struct err *err)
{
	auto_free struct names *names = calloc(1, sizeof(*names));

	if (!names)
		return err_sys(err, ERR_FAILED, ENOMEM, "list of MSRs");
	if (list_names(vm, names, err) < 0)
		return -1;
	for (unsigned i = 0; i < count; i++) {
		if (!bsearch(&msrs[i], names->msrs, names->count, sizeof(names->msrs[0]), by_index))
			return err_set(err, ERR_HOST, "MSR 0x%x is none that moves with a guest on this host",
			        msrs[i].index);
		if (write_one(vm, vcpu, &msrs[i], err) < 0)
			return -1;
	}
	return 0;
}
