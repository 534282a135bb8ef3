/* SPDX-License-Identifier: Apache-2.0 */
/*
 * irqs: tiny guests that take interrupts: injected ones, by the PIC, IOAPIC, LAPIC timer, PIT, messages,
 * eventfds, and between two processors.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "abi.h"

#define LAPIC  0xfee00000u
#define IOAPIC 0xfec00000u

static void line(struct guest *g, uint32_t gsi, uint32_t level)
{
	const struct kvm_irq_level l = {.irq = gsi, .level = level};

	if (ask(g->abi, g->vm, KVM_IRQ_LINE, &l) < 0)
		give_up("KVM_IRQ_LINE");
}

static void lapic_on(struct code *c)
{
	store(c, LAPIC + 0xf0, 0x1ff);
}

static void ioapic(struct code *c, uint8_t reg, uint32_t value)
{
	store(c, IOAPIC, reg);
	store(c, IOAPIC + 0x10, value);
}

/* The guest says that it is ready, the VMM acts, the guest waits. */
static void ready(struct code *c)
{
	out8(c, 0x90, 1);
}

static void run_to(struct guest *g, uint16_t port)
{
	while (guest_run_once(g, 0) == KVM_EXIT_IO && g->run[0]->io.port != port)
		;
}

static void injected(struct abi *abi)
{
	const struct kvm_interrupt irq = {.irq = 0x40};
	struct guest g;

	tell("-- injected by the VMM");
	guest_open(&g, abi, 32, 1, 0);
	guest_set_handler(&g, 0x40, 0);
	ready(&g.code);
	sti(&g.code);
	emit_bytes(&g.code, 0x90);
	ready(&g.code);
	done(&g.code);
	run_to(&g, 0x90);
	g.run[0]->request_interrupt_window = 1;
	guest_run_once(&g, 0);
	tell("ready %u", g.run[0]->ready_for_interrupt_injection);
	g.run[0]->request_interrupt_window = 0;
	say(ask(abi, g.vcpu[0], KVM_INTERRUPT, &irq), "interrupt");
	guest_run(&g);
	guest_close(&g);
}

static void by_pic(struct abi *abi)
{
	static const uint8_t program[][2] = {{0x20, 0x11}, {0x21, 0x30}, {0x21, 4}, {0x21, 1}, {0xa0, 0x11},
	        {0xa1, 0x38}, {0xa1, 2}, {0xa1, 1}};
	struct guest g;

	tell("-- by the pic");
	guest_open(&g, abi, 32, 1, GUEST_IRQCHIP);
	guest_set_handler(&g, 0x34, 2);
	for (size_t i = 0; i < ARRAY_LEN(program); i++)
		out8(&g.code, program[i][0], program[i][1]);
	ready(&g.code);
	sti(&g.code);
	hlt(&g.code);
	emit_bytes(&g.code, 0xe4, 0x21);
	tell_eax(&g.code, 0x80);
	done(&g.code);
	run_to(&g, 0x90);
	line(&g, 4, 1);
	guest_run(&g);
	guest_close(&g);
}

static void by_ioapic(struct abi *abi, bool level)
{
	struct guest g;

	tell("-- by the ioapic, %s", level ? "level" : "edge");
	guest_open(&g, abi, 32, 1, GUEST_IRQCHIP);
	guest_set_handler(&g, 0x41, 1);
	lapic_on(&g.code);
	ioapic(&g.code, 0x10 + 2 * 20, level ? 0x8041 : 0x41);
	ready(&g.code);
	sti(&g.code);
	hlt(&g.code);
	done(&g.code);
	run_to(&g, 0x90);
	line(&g, 20, 1);
	run_to(&g, PORT_VECTOR);
	if (level)
		run_to(&g, PORT_VECTOR); /* again, for the line is still up */
	line(&g, 20, 0);
	guest_run(&g);
	guest_close(&g);
}

static void by_timer(struct abi *abi)
{
	struct guest g;

	tell("-- by the lapic's timer, one shot and periodic");
	guest_open(&g, abi, 32, 1, GUEST_IRQCHIP);
	guest_set_handler(&g, 0x42, 1);
	guest_set_handler(&g, 0x43, 1);
	lapic_on(&g.code);
	store(&g.code, LAPIC + 0x3e0, 0xb);
	store(&g.code, LAPIC + 0x320, 0x42);
	store(&g.code, LAPIC + 0x380, 1000000);
	sti(&g.code);
	hlt(&g.code);
	load_eax(&g.code, LAPIC + 0x390, 4);
	tell_eax(&g.code, 0x80);
	store(&g.code, LAPIC + 0x320, 0x20043);
	store(&g.code, LAPIC + 0x380, 50000000);
	hlt(&g.code);
	hlt(&g.code);
	store(&g.code, LAPIC + 0x380, 0);
	done(&g.code);
	guest_run(&g);
	guest_close(&g);
}

static void by_deadline(struct abi *abi)
{
	struct guest g;

	tell("-- by the tsc deadline, which lies behind");
	guest_open(&g, abi, 32, 1, GUEST_IRQCHIP);
	guest_set_handler(&g, 0x44, 1);
	lapic_on(&g.code);
	store(&g.code, LAPIC + 0x320, 0x40044);
	write_msr(&g.code, 0x6e0, 1);
	sti(&g.code);
	hlt(&g.code);
	set_ecx(&g.code, 0x6e0);
	emit_bytes(&g.code, 0x0f, 0x32);
	tell_eax(&g.code, 0x80);
	done(&g.code);
	guest_run(&g);
	guest_close(&g);
}

static void by_pit(struct abi *abi)
{
	struct guest g;

	tell("-- by the pit at the ioapic's pin of gsi 0");
	guest_open(&g, abi, 32, 1, GUEST_IRQCHIP | GUEST_PIT);
	guest_set_handler(&g, 0x45, 1);
	lapic_on(&g.code);
	out8(&g.code, 0x21, 0xff); /* the same line goes to the pic */
	ioapic(&g.code, 0x10, 0x45);
	out8(&g.code, 0x43, 0x34);
	out8(&g.code, 0x40, 0);
	out8(&g.code, 0x40, 0);
	sti(&g.code);
	hlt(&g.code);
	hlt(&g.code);
	ioapic(&g.code, 0x10, 0x10045);
	done(&g.code);
	guest_run(&g);
	guest_close(&g);
}

static void by_message(struct abi *abi)
{
	struct kvm_msi msi = {.address_lo = 0xfee00000, .data = 0x46};
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} routing = {.head.nr = 1, .entry = {.gsi = 40, .type = KVM_IRQ_ROUTING_MSI}};
	struct kvm_irqfd irqfd = {.fd = (uint32_t)eventfd(0, EFD_CLOEXEC), .gsi = 40};
	struct guest g;

	tell("-- by messages: one sent, one by an irqfd");
	guest_open(&g, abi, 32, 1, GUEST_IRQCHIP);
	guest_set_handler(&g, 0x46, 1);
	guest_set_handler(&g, 0x47, 1);
	lapic_on(&g.code);
	ready(&g.code);
	sti(&g.code);
	hlt(&g.code);
	emit_bytes(&g.code, 0xfa);
	ready(&g.code);
	sti(&g.code);
	hlt(&g.code);
	done(&g.code);
	run_to(&g, 0x90);
	say(ask(abi, g.vm, KVM_SIGNAL_MSI, &msi), "msi");
	run_to(&g, 0x90);
	routing.entry.u.msi.address_lo = 0xfee00000;
	routing.entry.u.msi.data = 0x47;
	say(ask(abi, g.vm, KVM_SET_GSI_ROUTING, &routing), "route");
	say(ask(abi, g.vm, KVM_IRQFD, &irqfd), "irqfd");
	eventfd_write((int)irqfd.fd, 1);
	guest_run(&g);
	irqfd.flags = KVM_IRQFD_FLAG_DEASSIGN;
	say(ask(abi, g.vm, KVM_IRQFD, &irqfd), "irqfd off");
	guest_close(&g);
	close((int)irqfd.fd);
}

/* A level-triggered irqfd: the end of the interrupt lowers the line and rings back. */
static void by_resampling(struct abi *abi)
{
	struct kvm_irqfd irqfd = {.fd = (uint32_t)eventfd(0, EFD_CLOEXEC),
	        .resamplefd = (uint32_t)eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	        .gsi = 20,
	        .flags = KVM_IRQFD_FLAG_RESAMPLE};
	eventfd_t count = 0;
	struct guest g;

	tell("-- by an irqfd that resamples");
	guest_open(&g, abi, 32, 1, GUEST_IRQCHIP);
	guest_set_handler(&g, 0x48, 1);
	lapic_on(&g.code);
	ioapic(&g.code, 0x10 + 2 * 20, 0x8048);
	ready(&g.code);
	sti(&g.code);
	hlt(&g.code);
	done(&g.code);
	run_to(&g, 0x90);
	say(ask(abi, g.vm, KVM_IRQFD, &irqfd), "irqfd");
	eventfd_write((int)irqfd.fd, 1);
	run_to(&g, PORT_VECTOR);
	say(eventfd_read((int)irqfd.resamplefd, &count), "rung back before the end");
	guest_run(&g);
	say(eventfd_read((int)irqfd.resamplefd, &count), "rung back after the end");
	tell("%llu times", (unsigned long long)count);
	guest_close(&g);
	close((int)irqfd.fd);
	close((int)irqfd.resamplefd);
}

/* Prints what KVM_IRQ_LINE_STATUS reports for a line that is masked, raised, raised again, lowered. */
static void line_status(struct abi *abi)
{
	static const struct {
		uint32_t gsi, level;
	} rows[] = {{20, 1}, {20, 1}, {20, 0}, {4, 1}, {4, 1}, {4, 0}, {4, 0}, {3000, 1}};
	struct guest g;

	tell("-- status of lines");
	guest_open(&g, abi, 32, 1, GUEST_IRQCHIP);
	lapic_on(&g.code);
	ioapic(&g.code, 0x10 + 2 * 20, 0x49);
	ready(&g.code);
	run_to(&g, 0x90);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct kvm_irq_level l = {.irq = rows[i].gsi, .level = rows[i].level};

		say(ask(abi, g.vm, KVM_IRQ_LINE_STATUS, &l), "line %u to %u", rows[i].gsi, rows[i].level);
		tell("status %d", l.status);
	}
	guest_close(&g);
}

static void in_real_mode(struct abi *abi)
{
	const struct kvm_interrupt irq = {.irq = 0x21};
	struct guest g;

	tell("-- in real mode");
	guest_open(&g, abi, 16, 1, 0);
	guest_set_handler(&g, 0x21, 0);
	guest_set_handler(&g, 0x30, 0);
	emit_bytes(&g.code, 0xcd, 0x30); /* int 30h */
	sti(&g.code);
	hlt(&g.code);
	done(&g.code);
	run_to(&g, PORT_VECTOR);
	guest_run_once(&g, 0);
	say(ask(abi, g.vcpu[0], KVM_INTERRUPT, &irq), "interrupt");
	guest_run(&g);
	guest_close(&g);
}

static void run_interrupts(struct abi *abi)
{
	injected(abi);
	by_pic(abi);
	by_ioapic(abi, false);
	by_ioapic(abi, true);
	by_timer(abi);
	by_deadline(abi);
	by_pit(abi);
	by_message(abi);
	by_resampling(abi);
	line_status(abi);
	in_real_mode(abi);
}

const struct chapter chapter_interrupts = {"interrupts", run_interrupts};

/* ---- two processors ---- */

/* At 2000h in real mode: writes its mark, then waits for the first to see it. */
static void write_second(struct guest *g)
{
	struct code c = {.at = g->memory + GUEST_CODE_2, .bits = 16};

	/* xor ax, ax; mov ds, ax; lock inc word [7000h]; cli; hlt */
	emit_bytes(&c, 0x31, 0xc0, 0x8e, 0xd8, 0xf0, 0xff, 0x06, 0x00, 0x70, 0xfa, 0xf4);
}

static void run_processors(struct abi *abi)
{
	struct kvm_mp_state state;
	struct guest g;

	tell("-- init and sipi");
	guest_open(&g, abi, 32, 2, GUEST_IRQCHIP);
	write_second(&g);
	for (unsigned i = 0; i < 2; i++) {
		say(ask(abi, g.vcpu[i], KVM_GET_MP_STATE, &state), "mp state of %u", i);
		say((int)state.mp_state, "it is");
	}
	lapic_on(&g.code);
	store(&g.code, LAPIC + 0x310, 1u << 24);
	store(&g.code, LAPIC + 0x300, 0x4500);
	store(&g.code, LAPIC + 0x300, 0x4602);
	store(&g.code, LAPIC + 0x300, 0x4602);       /* a second one finds it running */
	emit_bytes(&g.code, 0xf3, 0x90, 0x66, 0xa1); /* again: pause; mov ax, [7000h] */
	emit_number(&g.code, 0x7000, 4);
	emit_bytes(&g.code, 0x66, 0x85, 0xc0, 0x74, 0xf3); /* test ax, ax; jz again */
	emit_bytes(&g.code, 0x0f, 0xb7, 0xc0);             /* movzx eax, ax */
	tell_eax(&g.code, 0x80);
	done(&g.code);
	guest_run_both(&g);
	guest_close(&g);
}

const struct chapter chapter_processors = {"processors", run_processors};

/* ---- doorbells, signals ---- */

static void on_signal(int signal)
{
}

static void doorbell(struct abi *abi)
{
	int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct kvm_ioeventfd port = {.datamatch = 7,
	        .addr = 0x500,
	        .len = 1,
	        .fd = bell,
	        .flags = KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DATAMATCH};
	struct kvm_ioeventfd memory = {.addr = 0x30000, .len = 4, .fd = bell};
	eventfd_t count = 0;
	struct guest g;

	tell("-- doorbells");
	guest_open(&g, abi, 32, 1, GUEST_IRQCHIP);
	say(ask(abi, g.vm, KVM_IOEVENTFD, &port), "port");
	say(ask(abi, g.vm, KVM_IOEVENTFD, &memory), "memory");
	set_edx(&g.code, 0x500);
	for (uint32_t value = 6; value <= 8; value++) {
		set_eax(&g.code, value);
		out_dx(&g.code, 1);
	}
	store(&g.code, 0x30000, 1);
	store(&g.code, 0x30004, 1);
	done(&g.code);
	guest_run(&g);
	say(eventfd_read(bell, &count), "bell");
	tell("rang %llu times", (unsigned long long)count);
	guest_close(&g);
	close(bell);
}

static void *kick_main(void *ctx)
{
	struct guest *g = ctx;

	usleep(200000);
	__atomic_store_n(&g->run[0]->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill((pthread_t)g->input, SIGUSR1);
	return NULL;
}

/* A guest that loops with interrupts off, and one that sleeps, leave when a signal asks for it. */
static void kicked(struct abi *abi, bool halted)
{
	pthread_t thread;
	struct guest g;

	tell("-- kicked %s", halted ? "out of its sleep" : "out of a loop");
	guest_open(&g, abi, 32, 1, GUEST_IRQCHIP);
	if (halted)
		hlt(&g.code);
	emit_bytes(&g.code, 0xeb, 0xfe);
	g.input = (uint64_t)pthread_self();
	pthread_create(&thread, NULL, kick_main, &g);
	guest_run_once(&g, 0);
	pthread_join(thread, NULL);
	tell("reason %s", host_exit_name(g.run[0]->exit_reason));
	guest_run_once(&g, 0);
	guest_close(&g);
}

static int irqfd(struct abi *abi, int vm, int fd, uint32_t gsi, uint32_t flags)
{
	const struct kvm_irqfd ask_for = {.fd = (uint32_t)fd, .gsi = gsi, .flags = flags};

	return ask(abi, vm, KVM_IRQFD, &ask_for);
}

/*
 * An eventfd can be an irqfd once, and only until its VM's descriptor is closed: a vCPU's descriptor keeps
 * the VM alive, but not its irqfds.
 */
static void two_vms(struct abi *abi)
{
	int one = eventfd(0, EFD_CLOEXEC), other = eventfd(0, EFD_CLOEXEC), again = dup(one);
	struct guest a, b;

	tell("-- an eventfd for two vms");
	guest_open(&a, abi, 32, 1, GUEST_IRQCHIP);
	guest_open(&b, abi, 32, 1, GUEST_IRQCHIP);
	say(irqfd(abi, a.vm, one, 5, 0), "of one");
	say(irqfd(abi, a.vm, one, 6, 0), "of the same, another gsi");
	say(irqfd(abi, b.vm, one, 5, 0), "of the other");
	say(irqfd(abi, b.vm, again, 5, 0), "of the other, a duplicate");
	say(irqfd(abi, b.vm, other, 5, 0), "of the other, another eventfd");
	say(irqfd(abi, b.vm, one, 5, KVM_IRQFD_FLAG_DEASSIGN), "off at the other, where it is not");
	say(irqfd(abi, b.vm, one, 5, 0), "of the other");
	say(irqfd(abi, a.vm, again, 5, KVM_IRQFD_FLAG_DEASSIGN), "off, by the duplicate");
	say(irqfd(abi, b.vm, one, 5, 0), "of the other");
	say(irqfd(abi, a.vm, other, 5, 0), "of one, the other's");
	say(host_close(abi->host, b.vm), "the other is closed, its vcpu is not");
	say(irqfd(abi, a.vm, other, 5, 0), "of one, what was the other's");
	say(irqfd(abi, a.vm, one, 7, 0), "of one, what was the other's");
	b.vm = ask_number(abi, abi->kvm, KVM_CREATE_VM, 0);
	guest_close(&a);
	guest_close(&b);
	close(one);
	close(other);
	close(again);
}

static void run_events(struct abi *abi)
{
	signal(SIGUSR1, on_signal);
	doorbell(abi);
	kicked(abi, false);
	kicked(abi, true);
	two_vms(abi);
}

const struct chapter chapter_events = {"events", run_events};
