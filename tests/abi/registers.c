/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registers: MSRs, one after the other: their values in a new vCPU, the values that the VMM may set, and
 * those that the guest may set; EFER in KVM_SET_SREGS; what KVM_GET_CPUID2 answers while registers change.
 */
#include "abi.h"

#define NO_CPUID 1u /* also shown for a vCPU that never got a CPUID */
#define BY_VMM   2u /* the guest's own accesses are the processor's to answer, not KVM's */

struct row {
	uint32_t index;
	unsigned flags;
	uint64_t values[5]; /* what is written, one after the other; a 0 behind the last */
};

static const struct row rows[] = {
        {0x17, 0, {1}},
        {0x2a, 0, {1}},
        {0x2c, 0, {1}},
        {0x79, 0, {1}},
        {0x8b, 0, {UINT64_C(0x55) << 32}},
        {0xc1, 0, {1}},
        {0xc2, 0, {1}},
        {0xcd, 0, {1}},
        {0xfe, 0, {1}},
        {0x11e, 0, {1}},
        {0x174, BY_VMM, {8, UINT64_C(0x100000008)}},
        {0x175, BY_VMM | NO_CPUID, {0x1234, UINT64_C(0x8000123456789abc), UINT64_C(0xffff800000001000)}},
        {0x176, BY_VMM | NO_CPUID, {0x1234, UINT64_C(0x8000123456789abc), UINT64_C(0xffff800000001000)}},
        {0x186, 0, {1}},
        {0x187, 0, {1}},
        {0x198, 0, {1}},
        {0x199, 0, {1}},
        {0x1a0, 0, {0x1801, 0x1880, 0x41800, 0x1000, 0x1}},
        {0x1d9, BY_VMM, {1}},
        {0x1db, BY_VMM, {1}},
        {0x1de, BY_VMM, {1}},
        {0x1fc, 0, {5, UINT64_C(0xffffffffffffffff)}},
        {0x200, NO_CPUID, {0x5000006, 0x5000002, 0x106, UINT64_C(1) << 60}},
        {0x201, NO_CPUID, {UINT64_C(0xffff000800), 0x7ff, UINT64_C(1) << 60}},
        {0x20f, 0, {0x800}},
        {0x250, 0, {UINT64_C(0x0606060606060606), UINT64_C(0x0606060606060602)}},
        {0x26f, 0, {UINT64_C(0x0505050505050505), UINT64_C(0x0706060606060606)}},
        {0x277, BY_VMM, {UINT64_C(0x0007040600070406), 0x2}},
        {0x2ff, 0, {0xc06, 0xc02, 0x1006, 0x306}},
        {0x606, 0, {1}},
        {0x641, 0, {1}},
        {0xc0000080, BY_VMM | NO_CPUID, {1, 0x100, 0x401, 0x800, 0x8}},
        {0xc0000081, BY_VMM, {UINT64_C(0x23001000000000)}},
        {0xc0000084, BY_VMM, {0x200, UINT64_C(0x100000200)}},
        {0xc0000082, BY_VMM, {0x1234, UINT64_C(0x8000123456789abc)}},
        {0xc0000102, BY_VMM, {0x1234, UINT64_C(0x8000123456789abc)}},
        {0xc0000103, NO_CPUID, {0x1234, UINT64_C(0x5500001234), UINT64_C(0x5500000000)}},
        {0xc0010000, 0, {0x530076}},
        {0xc0010003, 0, {1}},
        {0xc0010004, 0, {1}},
        {0xc0010007, 0, {1}},
        {0xc0010008, 0, {1}},
        {0xc0010010, 0, {1}},
        {0xc0010015, 0, {0x1000000, 0x40000, 0x1040148, 0x1, UINT64_C(1) << 32}},
        {0xc001001b, 0, {1}},
        {0xc001001f, 0, {1}},
        {0xc0010020, 0, {1}},
        {0xc0010055, 0, {1}},
        {0xc0010058, 0, {1}},
        {0xc0010112, 0, {1}},
        {0xc0010113, 0, {1}},
        {0xc0010114, 0, {0x8, 0x20, 0x1f, 0x7}},
        {0xc0010115, 0, {1}},
        {0xc0010117, 0, {0x5000, 0x5001, UINT64_C(1) << 60}},
        {0xc0011021, 0, {1}},
        {0xc0011022, 0, {1}},
        {0xc0011023, 0, {1}},
        {0xc0011029, 0, {2, 1}},
        {0xc001102a, 0, {1}},
        {0xc001102c, 0, {1}},
};

static unsigned values_of(const struct row *row)
{
	unsigned count = 0;

	while (count < ARRAY_LEN(row->values) && row->values[count])
		count++;
	return count;
}

/* ---- CPUID that every host can have ---- */

enum { LEAF_VENDOR, LEAF_1, LEAF_7, LEAF_D, LEAF_D1, LEAF_80000000, LEAF_80000001, LEAF_80000008, LEAVES };

struct leaves {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entries[LEAVES];
};

static struct leaves leaves_of(uint32_t features, uint32_t extended)
{
	const uint32_t indexed = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
	struct leaves l = {.head.nent = LEAVES};

	l.entries[LEAF_VENDOR] = (struct kvm_cpuid_entry2){
	        .function = 0, .eax = 0xd, .ebx = 0x68747541, .edx = 0x69746e65, .ecx = 0x444d4163};
	l.entries[LEAF_1] = (struct kvm_cpuid_entry2){
	        .function = 1, .eax = 0x00a00f11, .ecx = features, .edx = 0x078bfbff};
	l.entries[LEAF_7] = (struct kvm_cpuid_entry2){.function = 7, .flags = indexed};
	l.entries[LEAF_D] = (struct kvm_cpuid_entry2){
	        .function = 0xd, .flags = indexed, .eax = 3, .ebx = 0x1111, .ecx = 0x2222};
	l.entries[LEAF_D1] =
	        (struct kvm_cpuid_entry2){.function = 0xd, .index = 1, .flags = indexed, .ebx = 0x3333};
	l.entries[LEAF_80000000] = (struct kvm_cpuid_entry2){.function = 0x80000000, .eax = 0x80000008};
	l.entries[LEAF_80000001] =
	        (struct kvm_cpuid_entry2){.function = 0x80000001, .eax = 0x00a00f11, .edx = extended};
	l.entries[LEAF_80000008] = (struct kvm_cpuid_entry2){.function = 0x80000008, .eax = 0x3028};
	return l;
}

#define ECX_XSAVE 0x04000000u
#define EDX_SYS   0x00000800u /* SYSCALL */
#define EDX_NX    0x00100000u
#define EDX_TSCP  0x08000000u /* RDTSCP */
#define EDX_LM    0x20000000u
#define EDX_ALL   (EDX_SYS | EDX_NX | EDX_TSCP | EDX_LM)

static void set_leaves(struct abi *abi, int vcpu, uint32_t features, uint32_t extended)
{
	const struct leaves l = leaves_of(features, extended);

	if (ask(abi, vcpu, KVM_SET_CPUID2, &l) < 0)
		give_up("KVM_SET_CPUID2");
}

/* ---- by the VMM ---- */

struct one_msr {
	struct kvm_msrs head;
	struct kvm_msr_entry entry;
};

static int access_msr(struct abi *abi, int vcpu, unsigned long request, uint32_t index, uint64_t *value)
{
	struct one_msr one = {.head.nmsrs = 1, .entry = {.index = index, .data = *value}};
	int done = ask(abi, vcpu, request, &one);

	*value = done == 1 ? one.entry.data : 0;
	return done;
}

static void by_vmm(struct abi *abi, int vcpu, const struct row *row)
{
	uint64_t value = 0;
	int done = access_msr(abi, vcpu, KVM_GET_MSRS, row->index, &value);

	tell("%x: %d %llx", row->index, done, (unsigned long long)value);
	for (unsigned i = 0; i < values_of(row); i++) {
		value = row->values[i];
		done = access_msr(abi, vcpu, KVM_SET_MSRS, row->index, &value);
		access_msr(abi, vcpu, KVM_GET_MSRS, row->index, &value);
		tell("  %llx: %d, is %llx", (unsigned long long)row->values[i], done,
		        (unsigned long long)value);
	}
}

static void run_by_vmm(struct abi *abi, bool cpuid)
{
	int vm = ask_number(abi, abi->kvm, KVM_CREATE_VM, 0), vcpu;

	tell("-- by the vmm, %s", cpuid ? "an AMD processor" : "no CPUID");
	vcpu = ask_number(abi, vm, KVM_CREATE_VCPU, 0);
	if (vcpu < 0)
		give_up("KVM_CREATE_VCPU");
	if (cpuid)
		set_leaves(abi, vcpu, ECX_XSAVE, EDX_ALL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (cpuid || rows[i].flags & NO_CPUID)
			by_vmm(abi, vcpu, &rows[i]);
	}
	host_close(abi->host, vcpu);
	host_close(abi->host, vm);
}

/* ---- by the guest ---- */

static void tell_msr(struct code *c, uint32_t index)
{
	set_ecx(c, index);
	emit_bytes(c, 0x0f, 0x32);
	tell_eax(c, 0x80);
	emit_bytes(c, 0x89, 0xd0); /* mov eax, edx */
	tell_eax(c, 0x81);
}

/* Both kinds of refusal exit, and the exit says which it was. */
static void run_guest(struct guest *g)
{
	struct kvm_run *run = g->run[0];

	for (;;) {
		int reason = guest_run_once(g, 0);

		if (reason == KVM_EXIT_X86_RDMSR || reason == KVM_EXIT_X86_WRMSR)
			tell("msr %x reason %x", run->msr.index, (unsigned)run->msr.reason);
		else if (reason != KVM_EXIT_IO || run->io.port == PORT_DONE)
			return;
		if (reason == KVM_EXIT_X86_RDMSR)
			run->msr.data = 0xdead;
	}
}

static void by_guest(struct abi *abi, const struct row *row, uint32_t extended)
{
	const struct kvm_enable_cap cap = {.cap = KVM_CAP_X86_USER_SPACE_MSR,
	        .args[0] = KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_INVAL};
	struct guest g;

	tell("%x:", row->index);
	guest_open(&g, abi, 32, 1, GUEST_IRQCHIP);
	set_leaves(abi, g.vcpu[0], ECX_XSAVE, extended);
	if (ask(abi, g.vm, KVM_ENABLE_CAP, &cap) < 0)
		give_up("KVM_CAP_X86_USER_SPACE_MSR");
	tell_msr(&g.code, row->index);
	for (unsigned i = 0; i < values_of(row); i++) {
		write_msr(&g.code, row->index, row->values[i]);
		tell_msr(&g.code, row->index);
	}
	done(&g.code);
	run_guest(&g);
	guest_close(&g);
}

static void run_by_guest(struct abi *abi)
{
	const struct row aux = {0xc0000103, 0, {0x1234}};

	tell("-- by the guest");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!(rows[i].flags & BY_VMM))
			by_guest(abi, &rows[i], EDX_ALL);
	}
	tell("-- by a guest without RDTSCP");
	by_guest(abi, &aux, EDX_ALL & ~EDX_TSCP);
}

/* ---- EFER in KVM_SET_SREGS ---- */

static void set_efer(struct abi *abi, const char *what, bool cpuid, uint32_t extended)
{
	static const uint64_t values[] = {0, 1, 0x100, 0x800, 0x4000, 0x8, 0x10000};
	int vm = ask_number(abi, abi->kvm, KVM_CREATE_VM, 0), vcpu;
	struct kvm_sregs s = {0}, got = {0};

	tell("-- EFER of a processor %s", what);
	vcpu = ask_number(abi, vm, KVM_CREATE_VCPU, 0);
	if (vcpu < 0 || ask(abi, vcpu, KVM_GET_SREGS, &s) < 0)
		give_up("a vCPU");
	if (cpuid)
		set_leaves(abi, vcpu, 0, extended);
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		s.efer = values[i];
		say(ask(abi, vcpu, KVM_SET_SREGS, &s), "efer %llx", (unsigned long long)s.efer);
		if (ask(abi, vcpu, KVM_GET_SREGS, &got) < 0)
			give_up("KVM_GET_SREGS");
		tell("  is %llx", (unsigned long long)got.efer);
	}
	host_close(abi->host, vcpu);
	host_close(abi->host, vm);
}

/* ---- what CPUID says while registers change ---- */

static void tell_cpuid(struct abi *abi, int vcpu, const char *when)
{
	struct leaves l = {.head.nent = LEAVES};

	if (say(ask(abi, vcpu, KVM_GET_CPUID2, &l), "%s", when) < 0)
		return;
	tell("  1: ecx %x edx %x, 7: ecx %x, d: ebx %x ecx %x, d.1: ebx %x", l.entries[LEAF_1].ecx,
	        l.entries[LEAF_1].edx, l.entries[LEAF_7].ecx, l.entries[LEAF_D].ebx, l.entries[LEAF_D].ecx,
	        l.entries[LEAF_D1].ebx);
}

static void run_cpuid(struct abi *abi, uint32_t d1_eax)
{
	struct leaves l = leaves_of(ECX_XSAVE | 1u << 27, EDX_ALL);
	struct kvm_sregs s = {0};
	struct guest g;

	tell("-- cpuid, xsave features %x", d1_eax);
	guest_open(&g, abi, 32, 1, 0);
	tell_cpuid(abi, g.vcpu[0], "of this host, in too little room");
	l.entries[LEAF_7].ecx = 0x10;
	l.entries[LEAF_D1].eax = d1_eax;
	say(ask(abi, g.vcpu[0], KVM_SET_CPUID2, &l), "set");
	tell_cpuid(abi, g.vcpu[0], "new");
	if (ask(abi, g.vcpu[0], KVM_GET_SREGS, &s) < 0)
		give_up("KVM_GET_SREGS");
	s.cr4 |= 0x40000;
	say(ask(abi, g.vcpu[0], KVM_SET_SREGS, &s), "OSXSAVE");
	tell_cpuid(abi, g.vcpu[0], "with it");
	/* Leaf 1, then D and D.1, as the guest sees them. */
	for (uint32_t subleaf = 0; subleaf < 3; subleaf++) {
		set_eax(&g.code, subleaf ? 0xd : 1);
		set_ecx(&g.code, subleaf ? subleaf - 1 : 0);
		emit_bytes(&g.code, 0x0f, 0xa2, 0x89, 0xd8); /* cpuid; mov eax, ebx */
		tell_eax(&g.code, 0x80);
		emit_bytes(&g.code, 0x89, 0xc8); /* mov eax, ecx */
		tell_eax(&g.code, 0x81);
	}
	done(&g.code);
	guest_run(&g);
	say(ask(abi, g.vcpu[0], KVM_SET_CPUID2, &l), "the same, after it ran");
	l.entries[LEAF_1].ecx ^= 1u << 27;
	l.entries[LEAF_D].ebx++;
	say(ask(abi, g.vcpu[0], KVM_SET_CPUID2, &l), "with other bits of KVM's");
	l.entries[LEAF_D].ecx++;
	say(ask(abi, g.vcpu[0], KVM_SET_CPUID2, &l), "with another bit");
	guest_close(&g);
}

static void run_registers(struct abi *abi)
{
	run_by_vmm(abi, false);
	run_by_vmm(abi, true);
	run_by_guest(abi);
	set_efer(abi, "without CPUID", false, 0);
	set_efer(abi, "without NX", true, EDX_SYS | EDX_LM);
	set_efer(abi, "without long mode", true, EDX_SYS | EDX_NX);
	set_efer(abi, "with all", true, EDX_ALL);
	run_cpuid(abi, 0);
	run_cpuid(abi, 2);
}

const struct chapter chapter_registers = {"registers", run_registers};
