/* SPDX-License-Identifier: Apache-2.0 */
/*
 * traps: NMIs that come together, traps of SYSCALL and SYSRET, segments that a return makes null, breakpoints
 * of a debugger that stays where it is, exceptions that are delivered by way of a device, VMCALL.
 */
#include <asm/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "abi.h"

#define DB 1
#define UD 6
#define GP 13

#define TSS       0x3000u
#define USER_CODE 0x3800u
#define KERNEL    0x3c00u /* where SYSCALL leads */
#define DATA      0x6000u
#define HOLE      0x100000u

/* ---- NMIs ---- */

static void tell_nmis(struct guest *g, const char *when)
{
	struct kvm_vcpu_events e = {0};

	if (ask(g->abi, g->vcpu[0], KVM_GET_VCPU_EVENTS, &e) < 0)
		give_up("KVM_GET_VCPU_EVENTS");
	tell("%s: injected %u pending %u masked %u", when, e.nmi.injected, e.nmi.pending, e.nmi.masked);
}

static void set_nmis(struct guest *g, uint8_t pending, uint8_t masked, uint8_t injected)
{
	struct kvm_vcpu_events e = {.flags = KVM_VCPUEVENT_VALID_NMI_PENDING};

	e.nmi.pending = pending;
	e.nmi.masked = masked;
	e.nmi.injected = injected;
	say(ask(g->abi, g->vcpu[0], KVM_SET_VCPU_EVENTS, &e), "%u pending, masked %u, injected %u", pending,
	        masked, injected);
}

static void open_nmis(struct guest *g, struct abi *abi)
{
	guest_open(g, abi, 32, 1, GUEST_IRQCHIP);
	guest_set_handler(g, 2, 0);
	for (unsigned i = 0; i < 4; i++)
		emit_bytes(&g->code, 0x90);
	done(&g->code);
}

/* Sends that many NMIs at once, while the vCPU does not run. */
static void nmis(struct abi *abi, unsigned count)
{
	struct guest g;

	tell("-- %u nmis", count);
	open_nmis(&g, abi);
	for (unsigned i = 0; i < count; i++)
		say(ask_number(abi, g.vcpu[0], KVM_NMI, 0), "nmi");
	tell_nmis(&g, "before");
	guest_run(&g);
	tell_nmis(&g, "after");
	guest_close(&g);
}

static void given_nmis(struct abi *abi, uint8_t pending, uint8_t masked, uint8_t injected)
{
	struct guest g;

	open_nmis(&g, abi);
	set_nmis(&g, pending, masked, injected);
	tell_nmis(&g, "before");
	guest_run(&g);
	tell_nmis(&g, "after");
	guest_close(&g);
}

/*
 * Three NMIs come while the handler runs: the vCPU leaves for the handler's port, and IRET lets one of them
 * in.
 */
static void nmis_in_handler(struct abi *abi)
{
	struct guest g;

	tell("-- nmis while one is handled");
	open_nmis(&g, abi);
	ask_number(abi, g.vcpu[0], KVM_NMI, 0);
	guest_run_once(&g, 0);
	for (unsigned i = 0; i < 3; i++)
		ask_number(abi, g.vcpu[0], KVM_NMI, 0);
	tell_nmis(&g, "in the handler");
	guest_run(&g);
	guest_close(&g);
}

static void on_kick(int number)
{
}

static void *kick_main(void *ctx)
{
	struct guest *g = ctx;

	usleep(200000);
	__atomic_store_n(&g->run[0]->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill((pthread_t)g->input, SIGUSR1);
	return NULL;
}

/* The handler halts while another NMI waits for its IRET: nothing wakes it but a signal. */
static void halted_handler(struct abi *abi)
{
	pthread_t thread;
	struct code stub;
	struct guest g;

	tell("-- a handler that halts while an nmi waits");
	signal(SIGUSR1, on_kick);
	open_nmis(&g, abi);
	stub = guest_stub(&g, 2);
	out8(&stub, PORT_VECTOR, 2);
	hlt(&stub);
	out8(&stub, PORT_VECTOR, 3);
	hlt(&stub);
	ask_number(abi, g.vcpu[0], KVM_NMI, 0);
	guest_run_once(&g, 0);
	ask_number(abi, g.vcpu[0], KVM_NMI, 0);
	g.input = (uint64_t)pthread_self();
	pthread_create(&thread, NULL, kick_main, &g);
	guest_run_once(&g, 0);
	pthread_join(thread, NULL);
	tell_nmis(&g, "then");
	guest_close(&g);
}

/* ---- SYSCALL and SYSRET under the trap flag, and what IRET does to segments ---- */

static void set_msr(struct guest *g, uint32_t index, uint64_t value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} one = {.head.nmsrs = 1, .entry = {.index = index, .data = value}};

	if (ask(g->abi, g->vcpu[0], KVM_SET_MSRS, &one) != 1)
		give_up("KVM_SET_MSRS");
}

/* Ring 3 with its descriptors, a stack for its exceptions, and EFER.SCE. */
static void allow_user(struct guest *g)
{
	uint64_t *gdt = (uint64_t *)(void *)(g->memory + 0x800);
	struct kvm_sregs s = {0};

	gdt[4] = UINT64_C(0x00cff3000000ffff);
	gdt[5] = UINT64_C(0x00affb000000ffff);
	store_le(g->memory + TSS + 4, 8, GUEST_STACK - 0x800);
	if (ask(g->abi, g->vcpu[0], KVM_GET_SREGS, &s) < 0)
		give_up("KVM_GET_SREGS");
	s.gdt.limit = 0x3f;
	s.tr = (struct kvm_segment){.base = TSS, .limit = 0x67, .selector = 0x40, .type = 11, .present = 1};
	s.efer |= 1;
	if (ask(g->abi, g->vcpu[0], KVM_SET_SREGS, &s) < 0)
		give_up("KVM_SET_SREGS");
	set_msr(g, 0xc0000081, UINT64_C(0x0018000800000000));
	set_msr(g, 0xc0000082, KERNEL);
}

/* The #DB handler: DR6, where it came from; the flag is off when it returns. */
static void handle_traps(struct guest *g)
{
	struct code stub;

	guest_set_handler(g, DB, 0);
	stub = guest_stub(g, DB);
	emit_bytes(&stub, 0x0f, 0x21, 0xf0); /* mov rax, dr6 */
	tell_eax(&stub, 0x81);
	emit_bytes(&stub, 0x48, 0x8b, 0x04, 0x24); /* mov rax, [rsp] */
	tell_eax(&stub, 0x82);
	emit_bytes(&stub, 0x81, 0x64, 0x24, 0x10, 0xff, 0xfe, 0xff, 0xff, 0x48, 0xcf); /* [rsp + 16], iretq */
}

/* Sets the trap flag, SYSCALL; there SYSRET with the trap flag in R11, or without. */
static void syscall_traps(struct abi *abi, uint64_t mask, uint32_t flags)
{
	struct guest g;
	struct code kernel, user;

	tell("-- SYSCALL under the trap flag, SFMASK %llx, back with %x", (unsigned long long)mask, flags);
	guest_open(&g, abi, 64, 1, GUEST_IRQCHIP);
	allow_user(&g);
	set_msr(&g, 0xc0000084, mask);
	handle_traps(&g);
	kernel = (struct code){.at = g.memory + KERNEL, .bits = 64};
	user = (struct code){.at = g.memory + USER_CODE, .bits = 64};
	emit_bytes(&g.code, 0x9c, 0x81, 0x0c, 0x24, 0x00, 0x01, 0x00, 0x00, 0x9d, 0x0f, 0x05);
	tell_eax(&kernel, 0x83);
	set_ecx(&kernel, USER_CODE);
	emit_bytes(&kernel, 0x41, 0xbb); /* mov r11d, flags */
	emit_number(&kernel, flags, 4);
	emit_bytes(&kernel, 0x48, 0x0f, 0x07);
	emit_bytes(&user, 0x90);
	done(&user);
	guest_run(&g);
	guest_close(&g);
}

static void tell_segment(struct guest *g)
{
	struct kvm_sregs s = {0};

	if (ask(g->abi, g->vcpu[0], KVM_GET_SREGS, &s) < 0)
		give_up("KVM_GET_SREGS");
	tell("gs %x base %llx present %u", s.gs.selector, (unsigned long long)s.gs.base, s.gs.present);
}

/* Ring 3 may not use the GS of ring 0: it is null after the return, and its base is still there. */
static void nulled_segment(struct abi *abi, bool iret)
{
	struct guest g;
	struct code user;

	tell("-- a segment that %s makes null", iret ? "IRET" : "RETF");
	guest_open(&g, abi, 64, 1, GUEST_IRQCHIP);
	allow_user(&g);
	store_le(g.memory + DATA, 4, 0x5a5a1234);
	user = (struct code){.at = g.memory + USER_CODE, .bits = 64};
	set_eax(&g.code, 0x10);
	emit_bytes(&g.code, 0x8e, 0xe8); /* mov gs, eax */
	write_msr(&g.code, 0xc0000101, DATA);
	emit_bytes(&g.code, 0x6a, 0x23, 0x68); /* push 23h; push stack */
	emit_number(&g.code, GUEST_STACK - 0x400, 4);
	if (iret) {
		emit_bytes(&g.code, 0x68); /* push flags: IOPL 3 */
		emit_number(&g.code, 0x3002, 4);
	} else {
		emit_bytes(&g.code, 0x68, 0x02, 0x30, 0x00, 0x00, 0x9d); /* push flags; popf */
	}
	emit_bytes(&g.code, 0x6a, 0x2b, 0x68); /* push 2bh; push target */
	emit_number(&g.code, USER_CODE, 4);
	emit_bytes(&g.code, 0x48, iret ? 0xcf : 0xcb);
	emit_bytes(&user, 0x65, 0x8b, 0x04, 0x25, 0, 0, 0, 0); /* mov eax, gs:[0] */
	tell_eax(&user, 0x84);
	done(&user);
	guest_run(&g);
	tell_segment(&g);
	guest_close(&g);
}

/* ---- a debugger's breakpoint ---- */

static void set_breakpoint(struct guest *g, unsigned i, uint64_t address)
{
	struct kvm_guest_debug d = {.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP};

	d.arch.debugreg[i] = address;
	d.arch.debugreg[7] = 0x400 | UINT64_C(1) << 2 * i;
	say(ask(g->abi, g->vcpu[0], KVM_SET_GUEST_DEBUG, &d), "breakpoint %u", i);
}

/*
 * The guest stops at the breakpoint each time, with one debug register after the other, and with the same one
 * again.
 */
static void breakpoint_again(struct abi *abi)
{
	static const unsigned numbers[] = {0, 1, 1, 3};
	struct guest g;
	struct kvm_regs r = {0};

	tell("-- a breakpoint of the debugger, again and again");
	guest_open(&g, abi, 32, 1, 0);
	emit_bytes(&g.code, 0x90, 0x90);
	done(&g.code);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		set_breakpoint(&g, numbers[i], GUEST_CODE + 1);
		guest_run(&g);
		if (ask(abi, g.vcpu[0], KVM_GET_REGS, &r) < 0)
			give_up("KVM_GET_REGS");
		tell("rip %llx rf %u dr6 %llx", (unsigned long long)r.rip, (unsigned)(r.rflags >> 16 & 1),
		        (unsigned long long)g.run[0]->debug.arch.dr6);
	}
	guest_close(&g);
}

/* ---- exceptions by way of a device ---- */

static void tell_internal(const struct kvm_run *run)
{
	if (run->exit_reason != KVM_EXIT_INTERNAL_ERROR)
		return;
	tell("suberror %u, %u words: %llx %llx %llx %llx", run->internal.suberror, run->internal.ndata,
	        (unsigned long long)run->internal.data[0], (unsigned long long)run->internal.data[1],
	        (unsigned long long)run->internal.data[2], (unsigned long long)run->internal.data[3]);
}

/* Once: the lab's emulation of AMD-V forgets that an event is delivered when KVM tries again, and hangs. */
static void run_delivery(struct guest *g)
{
	struct kvm_vcpu_events e = {0};
	struct kvm_regs r = {0};

	guest_run(g);
	tell_internal(g->run[0]);
	if (ask(g->abi, g->vcpu[0], KVM_GET_VCPU_EVENTS, &e) < 0)
		give_up("KVM_GET_VCPU_EVENTS");
	if (ask(g->abi, g->vcpu[0], KVM_GET_REGS, &r) < 0)
		give_up("KVM_GET_REGS");
	tell("rip %llx, exception injected %u nr %u, interrupt injected %u soft %u",
	        (unsigned long long)r.rip, e.exception.injected, e.exception.nr, e.interrupt.injected,
	        e.interrupt.soft);
}

static void table_in_hole(struct abi *abi, uint8_t opcode, uint64_t base)
{
	struct kvm_sregs s = {0};
	struct guest g;

	tell("-- an exception whose table is no memory: %02x, %llx", opcode, (unsigned long long)base);
	guest_open(&g, abi, 32, 1, GUEST_IRQCHIP);
	if (ask(abi, g.vcpu[0], KVM_GET_SREGS, &s) < 0)
		give_up("KVM_GET_SREGS");
	s.idt.base = base;
	if (ask(abi, g.vcpu[0], KVM_SET_SREGS, &s) < 0)
		give_up("KVM_SET_SREGS");
	emit_bytes(&g.code, opcode, 0x0b); /* ud2, or int3 */
	run_delivery(&g);
	guest_close(&g);
}

static void stack_in_hole(struct abi *abi)
{
	struct guest g;

	tell("-- an exception whose stack is no memory");
	guest_open(&g, abi, 32, 1, GUEST_IRQCHIP);
	guest_set_handler(&g, UD, 0);
	emit_bytes(&g.code, 0xbc); /* mov esp */
	emit_number(&g.code, HOLE + 0x100, 4);
	emit_bytes(&g.code, 0x0f, 0x0b);
	run_delivery(&g);
	guest_close(&g);
}

/* ---- hypercalls in Intel's form ---- */

static void vmcall(struct abi *abi, uint64_t quirks_off, uint8_t modrm)
{
	const struct kvm_enable_cap cap = {.cap = KVM_CAP_DISABLE_QUIRKS2, .args[0] = quirks_off};
	struct code stub;
	struct guest g;
	uint8_t *at;

	tell("-- %s, quirks off: %llx", modrm == 0xc1 ? "VMCALL" : "VMMCALL", (unsigned long long)quirks_off);
	guest_open(&g, abi, 32, 1, GUEST_IRQCHIP);
	say(ask(abi, g.vm, KVM_ENABLE_CAP, &cap), "quirks");
	guest_set_handler(&g, UD, 0);
	stub = guest_stub(&g, UD);
	out8(&stub, PORT_VECTOR, UD);
	emit_bytes(&stub, 0x83, 0x04, 0x24, 0x03, 0xcf); /* add [esp], 3; iret */
	set_eax(&g.code, 1);                             /* KVM_HC_VAPIC_POLL_IRQ */
	at = g.code.at;
	emit_bytes(&g.code, 0x0f, 0x01, modrm);
	tell_eax(&g.code, 0x85);
	done(&g.code);
	guest_run(&g);
	tell("now %02x %02x %02x", at[0], at[1], at[2]);
	guest_close(&g);
}

static void run_traps(struct abi *abi)
{
	nmis(abi, 1);
	nmis(abi, 2);
	nmis(abi, 3);
	tell("-- nmis that the vmm gives");
	given_nmis(abi, 2, 0, 0);
	given_nmis(abi, 2, 1, 0);
	given_nmis(abi, 2, 0, 1);
	given_nmis(abi, 0, 0, 1);
	nmis_in_handler(abi);
	halted_handler(abi);
	syscall_traps(abi, 0x100, 0x3002);
	syscall_traps(abi, 0x100, 0x3102);
	syscall_traps(abi, 0, 0x3102);
	nulled_segment(abi, true);
	nulled_segment(abi, false);
	breakpoint_again(abi);
	table_in_hole(abi, 0x0f, HOLE);
	table_in_hole(abi, 0xcc, HOLE);
	table_in_hole(abi, 0x0f, 0xfee00000);
	stack_in_hole(abi);
	vmcall(abi, 0, 0xc1);
	vmcall(abi, 0, 0xd9);
	vmcall(abi, KVM_X86_QUIRK_FIX_HYPERCALL_INSN, 0xc1);
	vmcall(abi, KVM_X86_QUIRK_FIX_HYPERCALL_INSN, 0xd9);
}

const struct chapter chapter_traps = {"traps", run_traps};
