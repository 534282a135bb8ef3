/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debug: guests under a debugger: single step, INT3, breakpoints, and the guest's own trap flag.
 */
#include "abi.h"

static void set_debug(struct guest *g, uint32_t control, uint64_t address, uint64_t dr7)
{
	struct kvm_guest_debug d = {.control = control};

	d.arch.debugreg[1] = address;
	d.arch.debugreg[7] = dr7;
	if (ask(g->abi, g->vcpu[0], KVM_SET_GUEST_DEBUG, &d) < 0)
		give_up("KVM_SET_GUEST_DEBUG");
}

static void tell_debug(struct guest *g)
{
	const struct kvm_debug_exit_arch *a = &g->run[0]->debug.arch;
	struct kvm_regs r = {0};

	if (ask(g->abi, g->vcpu[0], KVM_GET_REGS, &r) < 0)
		give_up("KVM_GET_REGS");
	tell("exception %u pc %llx dr6 %llx; rip %llx rax %llx tf %u", a->exception,
	        (unsigned long long)a->pc, (unsigned long long)a->dr6, (unsigned long long)r.rip,
	        (unsigned long long)r.rax, (unsigned)(r.rflags >> 8 & 1));
}

/* Steps through instructions that the processor runs, a port, a register of a device, CPUID and HLT. */
static void step(struct abi *abi, int bits)
{
	struct guest g;

	tell("-- single step, %d bits", bits);
	guest_open(&g, abi, bits, 1, 0);
	set_eax(&g.code, 0x11);
	emit_bytes(&g.code, 0x90, 0x40 + (bits == 64 ? 0x50 : 0)); /* nop; inc eax, or nop */
	out8(&g.code, 0x80, 0x22);
	if (bits != 16)
		load_eax(&g.code, 0x30000, 4);
	emit_bytes(&g.code, 0xeb, 0x00);
	set_ecx(&g.code, 0);
	hlt(&g.code);
	for (int i = 0; i < 20; i++) {
		int reason;

		/*
		 * This is set anew for each step, because instructions that the kernel emulates clear the
		 * trap flag.
		 */
		set_debug(&g, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP, 0, 0);
		reason = guest_run_once(&g, 0);

		if (reason == KVM_EXIT_DEBUG)
			tell_debug(&g);
		if (reason == KVM_EXIT_HLT || reason < 0)
			break;
	}
	set_debug(&g, 0, 0, 0);
	guest_close(&g);
}

static void int3(struct abi *abi, bool debugger)
{
	struct guest g;

	tell("-- int3 %s", debugger ? "for the debugger" : "for the guest");
	guest_open(&g, abi, 32, 1, 0);
	guest_set_handler(&g, 3, 0);
	emit_bytes(&g.code, 0x90, 0xcc);
	done(&g.code);
	set_debug(&g, KVM_GUESTDBG_ENABLE | (debugger ? KVM_GUESTDBG_USE_SW_BP : 0), 0, 0);
	if (guest_run(&g) == KVM_EXIT_DEBUG) {
		tell_debug(&g);
		set_debug(&g, 0, 0, 0);
		guest_run(&g);
	}
	guest_close(&g);
}

static void breakpoint(struct abi *abi, const char *what, uint64_t address, uint64_t dr7)
{
	struct guest g;

	tell("-- breakpoint of %s", what);
	guest_open(&g, abi, 32, 1, 0);
	set_eax(&g.code, 0x11);
	store_eax(&g.code, 0x6000, 4);
	load_eax(&g.code, 0x6004, 4);
	emit_bytes(&g.code, 0x90);
	done(&g.code);
	set_debug(&g, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP, address, dr7);
	if (guest_run(&g) == KVM_EXIT_DEBUG) {
		tell_debug(&g);
		tell("dr7 %llx", (unsigned long long)g.run[0]->debug.arch.dr7);
	}
	guest_close(&g);
}

/* The debugger gives an exception to the guest. */
static void injected(struct abi *abi, uint32_t control, unsigned vector)
{
	struct guest g;

	tell("-- exception %u by the debugger", vector);
	guest_open(&g, abi, 32, 1, 0);
	guest_set_handler(&g, vector, 0);
	emit_bytes(&g.code, vector == 3 ? 0xcc : 0x90); /* an INT3 is over when its exception is delivered */
	done(&g.code);
	set_debug(&g, KVM_GUESTDBG_ENABLE | control, 0, 0);
	set_debug(&g, 0, 0, 0);
	guest_run(&g);
	guest_close(&g);
}

/* pushf; or [esp], 100h; popf; nop: the handler clears the flag again and prints DR6. */
static void trap_flag(struct abi *abi)
{
	struct guest g;
	struct code stub;

	tell("-- the guest's own trap flag");
	guest_open(&g, abi, 32, 1, 0);
	guest_set_handler(&g, 1, 0);
	stub = guest_stub(&g, 1);
	emit_bytes(&stub, 0x0f, 0x21, 0xf0); /* mov eax, dr6 */
	tell_eax(&stub, 0x81);
	emit_bytes(&stub, 0x8b, 0x04, 0x24); /* mov eax, [esp] */
	tell_eax(&stub, 0x82);
	emit_bytes(
	        &stub, 0x81, 0x64, 0x24, 0x08, 0xff, 0xfe, 0xff, 0xff, 0xcf); /* and [esp+8], ~100h; iret */
	emit_bytes(&g.code, 0x9c, 0x81, 0x0c, 0x24, 0x00, 0x01, 0x00, 0x00, 0x9d, 0x90, 0x90);
	done(&g.code);
	guest_run(&g);
	guest_close(&g);
}

/*
 * HLT under the trap flag: the trap comes after it and wakes the processor, though interrupts are off. The
 * handler prints where it came from and clears the flag.
 */
static void trapped_halt(struct abi *abi)
{
	struct guest g;
	struct code stub;

	tell("-- HLT under the trap flag");
	guest_open(&g, abi, 32, 1, GUEST_IRQCHIP);
	guest_set_handler(&g, 1, 0);
	stub = guest_stub(&g, 1);
	emit_bytes(&stub, 0x8b, 0x04, 0x24); /* mov eax, [esp] */
	tell_eax(&stub, 0x82);
	emit_bytes(&stub, 0x81, 0x64, 0x24, 0x08, 0xff, 0xfe, 0xff, 0xff, 0xcf);
	emit_bytes(&g.code, 0x9c, 0x81, 0x0c, 0x24, 0x00, 0x01, 0x00, 0x00, 0x9d);
	hlt(&g.code);
	done(&g.code);
	guest_run(&g);
	guest_close(&g);
}

/* Prints what the guest reads back from the debug registers, and what it may not write to them. */
static void registers(struct abi *abi)
{
	struct guest g;
	struct kvm_debugregs d;

	tell("-- the guest's debug registers");
	guest_open(&g, abi, 32, 1, 0);
	set_eax(&g.code, 0x12345678);
	emit_bytes(&g.code, 0x0f, 0x23, 0xd8); /* mov dr3, eax */
	set_eax(&g.code, 0xffffefff);
	emit_bytes(&g.code, 0x0f, 0x23, 0xf0); /* mov dr6, eax */
	set_eax(&g.code, 0xffff0300);
	emit_bytes(&g.code, 0x0f, 0x23, 0xe8); /* mov dr5, eax: dr7 */
	emit_bytes(&g.code, 0x0f, 0x21, 0xd8);
	tell_eax(&g.code, 0x80);
	emit_bytes(&g.code, 0x0f, 0x21, 0xe0); /* mov eax, dr4: dr6 */
	tell_eax(&g.code, 0x80);
	emit_bytes(&g.code, 0x0f, 0x21, 0xf8);
	tell_eax(&g.code, 0x80);
	done(&g.code);
	guest_run(&g);
	say(ask(abi, g.vcpu[0], KVM_GET_DEBUGREGS, &d), "debug registers");
	tell("dr3 %llx dr6 %llx dr7 %llx", (unsigned long long)d.db[3], (unsigned long long)d.dr6,
	        (unsigned long long)d.dr7);
	guest_close(&g);
}

static void misuse(struct abi *abi)
{
	struct kvm_guest_debug d = {.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_INJECT_DB};
	struct guest g;

	tell("-- arguments");
	guest_open(&g, abi, 32, 1, 0);
	say(ask(abi, g.vcpu[0], KVM_SET_GUEST_DEBUG, &d), "an exception");
	say(ask(abi, g.vcpu[0], KVM_SET_GUEST_DEBUG, &d), "one more");
	d.control = 0;
	say(ask(abi, g.vcpu[0], KVM_SET_GUEST_DEBUG, &d), "off");
	say(ask(abi, g.vcpu[0], KVM_SET_GUEST_DEBUG, (const void *)16), "from nowhere");
	guest_close(&g);
}

static void run_debug(struct abi *abi)
{
	step(abi, 16);
	step(abi, 32);
	step(abi, 64);
	int3(abi, true);
	int3(abi, false);
	breakpoint(abi, "code", GUEST_CODE + 15, 0x404);
	breakpoint(abi, "a write", 0x6000, 0xd00404);
	breakpoint(abi, "an access", 0x6004, 0xf00404);
	injected(abi, KVM_GUESTDBG_INJECT_DB, 1);
	injected(abi, KVM_GUESTDBG_INJECT_BP, 3);
	trap_flag(abi);
	trapped_halt(abi);
	registers(abi);
	misuse(abi);
}

const struct chapter chapter_debug = {"debug", run_debug};
