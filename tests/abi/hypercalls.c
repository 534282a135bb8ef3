/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hypercalls: the answers of those of KVM's paravirtual calls that cause no exit: interrupts to several
 * processors at once, kicks of halted ones, yields, pairs of clocks. Law: the kernel's
 * Documentation/virt/kvm/x86/hypercalls.rst.
 */
#include "abi.h"

#define VECTOR 0x50u

/* The arguments of one call; the guest is started with them in its registers. */
struct call {
	const char *what;
	uint64_t rax, rbx, rcx, rdx, rsi;
};

/* Turns the LAPIC on, with no interrupt requested or in service. */
static void turn_lapic_on(struct guest *g)
{
	struct kvm_lapic_state lapic = {{0}};

	if (ask(g->abi, g->vcpu[0], KVM_GET_LAPIC, &lapic) < 0)
		give_up("KVM_GET_LAPIC");
	lapic.regs[0xf1] = 1;
	memset(lapic.regs + 0x100, 0, 0x80);
	memset(lapic.regs + 0x200, 0, 0x80);
	if (ask(g->abi, g->vcpu[0], KVM_SET_LAPIC, &lapic) < 0)
		give_up("KVM_SET_LAPIC");
}

static void tell_calls(struct guest *g, const struct call *calls, size_t count, bool lapic_on)
{
	for (size_t i = 0; i < count; i++) {
		const struct call *c = &calls[i];
		struct kvm_regs r = {.rip = GUEST_CODE,
		        .rsp = GUEST_STACK,
		        .rflags = 2,
		        .rax = c->rax,
		        .rbx = c->rbx,
		        .rcx = c->rcx,
		        .rdx = c->rdx,
		        .rsi = c->rsi};

		if (ask(g->abi, g->vcpu[0], KVM_SET_REGS, &r) < 0)
			give_up("KVM_SET_REGS");
		if (lapic_on)
			turn_lapic_on(g);
		while (guest_run_once(g, 0) == KVM_EXIT_IO && g->run[0]->io.port != PORT_DONE)
			;
		if (ask(g->abi, g->vcpu[0], KVM_GET_REGS, &r) < 0)
			give_up("KVM_GET_REGS");
		tell("%s: rax %llx", c->what, (unsigned long long)r.rax);
	}
}

/* The call, then the interrupts that it may have brought, then the end. */
static void open_caller(struct guest *g, struct abi *abi, int bits, unsigned flags)
{
	guest_open(g, abi, bits, 1, flags);
	guest_set_handler(g, VECTOR, 0);
	guest_set_handler(g, 2, 0);
	emit_bytes(&g->code, 0x0f, 0x01, 0xd9); /* vmmcall */
	sti(&g->code);
	emit_bytes(&g->code, 0x90, 0xfa); /* nop; cli */
	emit_bytes(&g->code, 0xe6, PORT_DONE, 0xeb, 0xfe);
}

static void without_lapic(struct abi *abi)
{
	static const struct call calls[] = {
	        {"nothing", 1, 0, 0, 0, 0},
	        {"kick", 5, 0, 0, 0, 0},
	        {"pair of a clock that is none", 9, 0x3000, 1, 0, 0},
	        {"ipi", 10, 1, 0, 0, VECTOR},
	        {"ipi, logical", 10, 1, 0, 0, VECTOR | 0x800},
	        {"yield", 11, 7, 0, 0, 0},
	        {"above 32 bits", UINT64_C(0x100000001), 0, 0, 0, 0},
	};
	struct guest g;

	tell("-- without a lapic of the kernel's, 32 bits");
	open_caller(&g, abi, 32, 0);
	tell_calls(&g, calls, ARRAY_LEN(calls), false);
	guest_close(&g);
}

static void with_lapic(struct abi *abi, int bits)
{
	static const struct call off = {"ipi, the lapic is off", 10, 1, 0, 0, VECTOR};
	static const struct call calls[] = {
	        {"ipi", 10, 1, 0, 0, VECTOR},
	        {"ipi to nobody", 10, 2, 0, 0, VECTOR},
	        {"ipi from 1 on", 10, 1, 0, 1, VECTOR},
	        {"ipi, second word, 64 before", 10, 0, 1, 0xffffffc0, VECTOR},
	        {"ipi, second word, 32 before", 10, 0, 1, 0xffffffe0, VECTOR},
	        {"ipi from the last on", 10, 0xffffffff, 0, 0xffffffff, 0},
	        {"ipi, bit 32 of registers", UINT64_C(0x10000000a), 1, 0, UINT64_C(0x100000000), VECTOR},
	        {"ipi, lowest priority", 10, 1, 0, 0, VECTOR | 0x100},
	        {"ipi, nmi", 10, 1, 0, 0, 0x400},
	        {"ipi, level without assert", 10, 1, 0, 0, VECTOR | 0x8000},
	        {"ipi, logical", 10, 1, 0, 0, VECTOR | 0x800},
	        {"ipi, shorthand", 10, 1, 0, 0, VECTOR | 0x40000},
	        {"pair of a clock that is none", 9, 0x3000, 1, 0, 0},
	        {"yield to nobody", 11, 7, 0, 0, 0},
	        {"yield", 11, 0, 0, 0, 0},
	};
	struct guest g;

	tell("-- with a lapic of the kernel's, %d bits", bits);
	open_caller(&g, abi, bits, GUEST_IRQCHIP);
	tell_calls(&g, &off, 1, false);
	tell_calls(&g, calls, ARRAY_LEN(calls), true);
	guest_close(&g);
}

/* Sends two interrupts before the guest looks. Is the second one reported as taken? */
static void twice(struct abi *abi)
{
	const struct kvm_msi msi = {.address_lo = 0xfee00000, .data = VECTOR};
	struct kvm_irq_level line = {.irq = 20};
	struct guest g;

	tell("-- twice, while interrupts are off");
	guest_open(&g, abi, 32, 1, GUEST_IRQCHIP);
	turn_lapic_on(&g);
	for (unsigned i = 0; i < 2; i++) {
		set_eax(&g.code, 10);
		emit_bytes(
		        &g.code, 0xbb, 1, 0, 0, 0, 0xbe, VECTOR, 0, 0, 0); /* mov ebx, 1; mov esi, VECTOR */
		set_ecx(&g.code, 0);
		set_edx(&g.code, 0);
		emit_bytes(&g.code, 0x0f, 0x01, 0xd9);
		tell_eax(&g.code, 0x80);
	}
	store(&g.code, 0xfec00000, 0x10 + 2 * line.irq);
	store(&g.code, 0xfec00010, VECTOR);
	done(&g.code);
	guest_run(&g);
	say(ask(abi, g.vm, KVM_SIGNAL_MSI, &msi), "msi");
	for (unsigned i = 0; i < 4; i++) {
		line = (struct kvm_irq_level){.irq = 20, .level = i != 2};
		say(ask(abi, g.vm, KVM_IRQ_LINE_STATUS, &line), "line to %u", i != 2);
		tell("status %d", line.status);
	}
	guest_close(&g);
}

/* A kick that comes before HLT ends it; so does the delivery mode that KVM uses for it. */
static void kicked(struct abi *abi)
{
	struct guest g;

	tell("-- kicked before hlt");
	guest_open(&g, abi, 32, 1, GUEST_IRQCHIP);
	turn_lapic_on(&g);
	set_eax(&g.code, 5);
	set_ecx(&g.code, 0);
	emit_bytes(&g.code, 0x0f, 0x01, 0xd9);
	hlt(&g.code);
	tell_eax(&g.code, 0x80);
	store(&g.code, 0xfee00310, 0);
	store(&g.code, 0xfee00300, 0x300);
	hlt(&g.code);
	done(&g.code);
	guest_run(&g);
	guest_close(&g);
}

/* Counts at 7000h, halts with interrupts off, counts again. */
static void write_second(struct guest *g)
{
	struct code c = {.at = g->memory + GUEST_CODE_2, .bits = 16};

	/* xor ax, ax; mov ds, ax; lock inc word [7000h]; cli; hlt; lock inc word [7000h]; hlt */
	emit_bytes(&c, 0x31, 0xc0, 0x8e, 0xd8, 0xf0, 0xff, 0x06, 0x00, 0x70, 0xfa, 0xf4);
	emit_bytes(&c, 0xf0, 0xff, 0x06, 0x00, 0x70, 0xf4);
}

/* Waits until the second processor has counted that far. */
static void await_count(struct code *c, uint8_t count)
{
	emit_bytes(c, 0xf3, 0x90, 0x66, 0xa1); /* again: pause; mov ax, [7000h] */
	emit_number(c, 0x7000, 4);
	emit_bytes(c, 0x3c, count, 0x75, 0xf4); /* cmp al, count; jne again */
	tell_eax(c, 0x80);
}

/* One processor ends the sleep of another that no interrupt could wake. */
static void kicked_by_another(struct abi *abi)
{
	struct guest g;

	tell("-- kicked by another processor");
	guest_open(&g, abi, 32, 2, GUEST_IRQCHIP);
	write_second(&g);
	turn_lapic_on(&g);
	store(&g.code, 0xfee00310, 1u << 24);
	store(&g.code, 0xfee00300, 0x4500);
	store(&g.code, 0xfee00300, 0x4602);
	set_eax(&g.code, 0);
	await_count(&g.code, 1);
	set_eax(&g.code, 5);
	set_ecx(&g.code, 1);
	emit_bytes(&g.code, 0x0f, 0x01, 0xd9);
	await_count(&g.code, 2);
	done(&g.code);
	guest_run_both(&g);
	guest_close(&g);
}

static void run_hypercalls(struct abi *abi)
{
	without_lapic(abi);
	with_lapic(abi, 32);
	with_lapic(abi, 64);
	twice(abi);
	kicked(abi);
	kicked_by_another(abi);
}

const struct chapter chapter_hypercalls = {"hypercalls", run_hypercalls};
