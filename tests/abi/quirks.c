/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quirks: oddities of KVM that a VMM may switch off (KVM_CAP_DISABLE_QUIRKS2), and the behaviour without each
 * of them; the page of a LAPIC that is off is in lapic.c.
 */
#include "vmm/uapi.h"

#include "abi.h"

#define UD                6
#define MSR_MISC_ENABLE   0x1a0
#define MISC_ENABLE_MWAIT UINT64_C(0x40000)
#define MSR_REVISION      0x8b

static int disable(struct abi *abi, int vm, uint32_t capability, uint64_t quirks)
{
	const struct kvm_enable_cap cap = {.cap = capability, .args[0] = quirks};

	return ask(abi, vm, KVM_ENABLE_CAP, &cap);
}

static void which(struct abi *abi)
{
	int vm = ask_number(abi, abi->kvm, KVM_CREATE_VM, 0);

	tell("-- which");
	say(ask_number(abi, abi->kvm, KVM_CHECK_EXTENSION, KVM_CAP_DISABLE_QUIRKS), "the old capability");
	say(ask_number(abi, abi->kvm, KVM_CHECK_EXTENSION, KVM_CAP_DISABLE_QUIRKS2), "the new one");
	for (unsigned bit = 0; bit < 14; bit++)
		say(disable(abi, vm, KVM_CAP_DISABLE_QUIRKS2, UINT64_C(1) << bit), "quirk %u", bit);
	say(disable(abi, vm, KVM_CAP_DISABLE_QUIRKS2, UINT64_C(1) << 63), "quirk 63");
	say(disable(abi, vm, KVM_CAP_DISABLE_QUIRKS, UINT64_MAX), "all and more by the old one");
	host_close(abi->host, vm);
}

static void open_guest(struct guest *g, struct abi *abi, const char *what, uint64_t quirks)
{
	struct code stub;

	tell("-- %s, without quirks %llx", what, (unsigned long long)quirks);
	guest_open(g, abi, 32, 1, GUEST_IRQCHIP | GUEST_WITHOUT(quirks));
	guest_set_handler(g, UD, 0);
	stub = guest_stub(g, UD);
	out8(&stub, PORT_VECTOR, UD);
	emit_bytes(&stub, 0x83, 0x04, 0x24, 0x03, 0xcf); /* add [esp], 3; iret */
}

static void run_and_close(struct guest *g)
{
	done(&g->code);
	guest_run(g);
	guest_close(g);
}

/* LINT0 of the boot processor: the PIC is wired through from the start, or not. */
static void lint0(struct abi *abi, uint64_t quirks)
{
	struct guest g;

	open_guest(&g, abi, "lint0 after reset", quirks);
	load_eax(&g.code, 0xfee00350, 4);
	tell_eax(&g.code, 0x80);
	run_and_close(&g);
}

static void tell_rip(struct guest *g)
{
	struct kvm_regs r;

	if (ask(g->abi, g->vcpu[0], KVM_GET_REGS, &r) < 0)
		give_up("KVM_GET_REGS");
	tell("rip %llx", (unsigned long long)r.rip);
}

/* Where RIP is when OUT to port 7Eh comes to the VMM; another port and IN are as ever. */
static void port_7e(struct abi *abi, uint64_t quirks)
{
	struct guest g;

	open_guest(&g, abi, "out to port 7e", quirks);
	set_eax(&g.code, 0x11223344);
	set_edx(&g.code, 0x7e);
	emit_bytes(&g.code, 0xe6, 0x7e, 0xee, 0xef, 0xe7, 0x7f, 0xec);
	for (int i = 0; i < 6; i++) {
		g.run[0]->immediate_exit = i == 2;
		guest_run_once(&g, 0);
		tell_rip(&g);
	}
	run_and_close(&g);
}

static void read_monitor(struct code *c)
{
	set_eax(c, 1);
	emit_bytes(c, 0x0f, 0xa2, 0x89, 0xc8);       /* cpuid; mov eax, ecx */
	emit_bytes(c, 0x25, 0x08, 0x00, 0x00, 0x00); /* and eax, 8 */
	tell_eax(c, 0x80);
}

static void set_monitor(struct guest *g, bool has)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[256];
	} cpuid = {.head.nent = 256};

	if (ask(g->abi, g->abi->kvm, KVM_GET_SUPPORTED_CPUID, &cpuid) < 0)
		give_up("KVM_GET_SUPPORTED_CPUID");
	for (uint32_t i = 0; i < cpuid.head.nent; i++) {
		if (cpuid.entries[i].function == 1)
			cpuid.entries[i].ecx = (cpuid.entries[i].ecx & ~8u) | (has ? 8 : 0);
	}
	if (ask(g->abi, g->vcpu[0], KVM_SET_CPUID2, &cpuid) < 0)
		give_up("KVM_SET_CPUID2");
}

/* MONITOR and MWAIT with and without CPUID's bit, which may follow MISC_ENABLE. */
static void monitor(struct abi *abi, uint64_t quirks, bool has)
{
	struct guest g;

	open_guest(&g, abi, has ? "monitor that cpuid has" : "monitor that cpuid lacks", quirks);
	set_monitor(&g, has);
	for (int i = 0; i < 3; i++) {
		read_monitor(&g.code);
		set_eax(&g.code, 0x7000);
		set_ecx(&g.code, 0);
		set_edx(&g.code, 0);
		emit_bytes(&g.code, 0x0f, 0x01, 0xc8); /* monitor */
		set_eax(&g.code, 0);
		emit_bytes(&g.code, 0x0f, 0x01, 0xc9); /* mwait */
		if (i < 2)
			write_msr(&g.code, MSR_MISC_ENABLE, 0x1800 | (i == 0 ? MISC_ENABLE_MWAIT : 0));
	}
	run_and_close(&g);
}

/* The revision of microcode that a vCPU starts with. */
static void feature_msrs(struct abi *abi, uint64_t quirks)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = {.head.nmsrs = 1, .entry.index = MSR_REVISION};
	struct guest g;

	open_guest(&g, abi, "feature msrs", quirks);
	say(ask(abi, g.vcpu[0], KVM_GET_MSRS, &msrs), "revision");
	tell("it is %llx", (unsigned long long)msrs.entry.data);
	run_and_close(&g);
}

static void run_quirks(struct abi *abi)
{
	const uint64_t monitors[] = {0, KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS,
	        KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT,
	        KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS | KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT};

	which(abi);
	lint0(abi, 0);
	lint0(abi, KVM_X86_QUIRK_LINT0_REENABLED);
	port_7e(abi, 0);
	port_7e(abi, KVM_X86_QUIRK_OUT_7E_INC_RIP);
	for (size_t i = 0; i < ARRAY_LEN(monitors); i++) {
		monitor(abi, monitors[i], false);
		monitor(abi, monitors[i], true);
	}
	feature_msrs(abi, 0);
	feature_msrs(abi, UAPI_QUIRK_STUFF_FEATURE_MSRS);
}

const struct chapter chapter_quirks = {"quirks", run_quirks};
