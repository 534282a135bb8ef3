/* SPDX-License-Identifier: Apache-2.0 */
/*
 * split: LAPICs in the kernel with PIC, IOAPIC and PIT in the VMM; and no controller in the kernel at all.
 */
#include <errno.h>
#include <sys/eventfd.h>

#include "abi.h"

#define LAPIC 0xfee00000u

static int split(struct abi *abi, int vm, uint64_t pins)
{
	const struct kvm_enable_cap cap = {.cap = KVM_CAP_SPLIT_IRQCHIP, .args[0] = pins};

	return ask(abi, vm, KVM_ENABLE_CAP, &cap);
}

struct routes {
	struct kvm_irq_routing head;
	struct kvm_irq_routing_entry entry[2];
};

static void misuse(struct abi *abi)
{
	struct routes routes = {.head.nr = 1, .entry[0] = {.gsi = 3, .type = KVM_IRQ_ROUTING_IRQCHIP}};
	struct kvm_irqfd irqfd = {.fd = (uint32_t)eventfd(0, EFD_CLOEXEC), .gsi = 3};
	struct kvm_irq_level line = {.irq = 3, .level = 1};
	struct kvm_irqchip chip = {.chip_id = KVM_IRQCHIP_IOAPIC};
	struct kvm_pit_config pit = {0};
	struct kvm_pit_state2 state;
	int vm = ask_number(abi, abi->kvm, KVM_CREATE_VM, 0), vcpu;

	tell("-- arguments");
	say(split(abi, vm, 4097), "split with 4097 pins");
	say(split(abi, vm, 24), "split with 24 pins");
	say(split(abi, vm, 24), "split again");
	say(ask_number(abi, vm, KVM_CREATE_IRQCHIP, 0), "irqchip");
	say(ask(abi, vm, KVM_GET_IRQCHIP, &chip), "state of the ioapic");
	say(ask(abi, vm, KVM_SET_IRQCHIP, &chip), "set");
	say(ask(abi, vm, KVM_CREATE_PIT2, &pit), "pit");
	say(ask(abi, vm, KVM_GET_PIT2, &state), "state of the pit");
	say(ask(abi, vm, KVM_IRQ_LINE, &line), "line without a route");
	say(ask(abi, vm, KVM_SET_GSI_ROUTING, &routes), "route to a pic");
	routes.entry[0].type = KVM_IRQ_ROUTING_MSI;
	say(ask(abi, vm, KVM_SET_GSI_ROUTING, &routes), "route to a message");
	say(ask(abi, vm, KVM_IRQFD, &irqfd), "irqfd");
	irqfd.resamplefd = (uint32_t)eventfd(0, EFD_CLOEXEC);
	irqfd.flags = KVM_IRQFD_FLAG_RESAMPLE;
	say(ask(abi, vm, KVM_IRQFD, &irqfd), "irqfd that resamples");
	close((int)irqfd.fd);
	close((int)irqfd.resamplefd);
	host_close(abi->host, vm);
	vm = ask_number(abi, abi->kvm, KVM_CREATE_VM, 0);
	vcpu = ask_number(abi, vm, KVM_CREATE_VCPU, 0);
	say(split(abi, vm, 24), "split after a vcpu");
	host_close(abi->host, vcpu);
	host_close(abi->host, vm);
}

/*
 * A level-triggered message of the VMM's IOAPIC: KVM reports its end to the VMM, unless the guest's LAPIC
 * suppresses the report and may do so. The end of an edge-triggered one is not reported.
 */
static void end_of_interrupt(struct abi *abi, uint64_t api, uint32_t spurious)
{
	const struct kvm_enable_cap cap = {.cap = KVM_CAP_X2APIC_API, .args[0] = api};
	struct kvm_msi msi = {.address_lo = 0xfee00000, .data = 0x8051};
	struct routes routes = {.head.nr = 2,
	        .entry = {{.gsi = 4, .type = KVM_IRQ_ROUTING_MSI}, {.gsi = 5, .type = KVM_IRQ_ROUTING_MSI}}};
	struct kvm_lapic_state lapic = {0};
	struct guest g;
	int reason;

	tell("-- end of interrupt, api %llx, spurious %x", (unsigned long long)api, spurious);
	guest_open(&g, abi, 32, 1, GUEST_SPLIT);
	say(ask(abi, g.vm, KVM_ENABLE_CAP, &cap), "api");
	say(ask(abi, g.vcpu[0], KVM_GET_LAPIC, &lapic), "lapic");
	say(ask(abi, g.vcpu[0], KVM_SET_LAPIC, &lapic), "set: its version follows the api");
	routes.entry[0].u.msi.address_lo = routes.entry[1].u.msi.address_lo = 0xfee00000;
	routes.entry[0].u.msi.data = 0x8051;
	routes.entry[1].u.msi.data = 0x52;
	say(ask(abi, g.vm, KVM_SET_GSI_ROUTING, &routes), "routes");
	guest_set_handler(&g, 0x51, 1);
	guest_set_handler(&g, 0x52, 1);
	store(&g.code, LAPIC + 0xf0, spurious);
	load_eax(&g.code, LAPIC + 0x30, 4);
	tell_eax(&g.code, 0x91);
	load_eax(&g.code, LAPIC + 0xf0, 4);
	tell_eax(&g.code, 0x91);
	for (int i = 0; i < 2; i++) {
		out8(&g.code, 0x90, 1);
		sti(&g.code);
		hlt(&g.code);
		emit_bytes(&g.code, 0xfa);
	}
	done(&g.code);
	do {
		reason = guest_run_once(&g, 0);
		if (reason == KVM_EXIT_IO && g.run[0]->io.port == 0x90) {
			say(ask(abi, g.vm, KVM_SIGNAL_MSI, &msi), "msi");
			msi.data = 0x52;
		}
		if (reason == KVM_EXIT_IOAPIC_EOI)
			tell("vector %x", g.run[0]->eoi.vector);
	} while (reason == KVM_EXIT_IOAPIC_EOI || (reason == KVM_EXIT_IO && g.run[0]->io.port != PORT_DONE));
	guest_close(&g);
}

static void tell_ready(struct guest *g, const char *when)
{
	const struct kvm_run *run = g->run[0];

	tell("%s: ready %u if %u", when, run->ready_for_interrupt_injection, run->if_flag);
}

/* The VMM's PIC: its interrupt passes through LINT0, which waits for it from the start. */
static void external(struct abi *abi)
{
	const struct kvm_interrupt irq = {.irq = 0x40};
	struct guest g;

	tell("-- an interrupt of the pic");
	guest_open(&g, abi, 32, 1, GUEST_SPLIT);
	guest_set_handler(&g, 0x40, 0);
	out8(&g.code, 0x90, 1);
	sti(&g.code);
	emit_bytes(&g.code, 0x90, 0x90);
	out8(&g.code, 0x91, 1);
	done(&g.code);
	guest_run_once(&g, 0);
	tell_ready(&g, "interrupts off");
	say(ask(abi, g.vcpu[0], KVM_INTERRUPT, &irq), "interrupt");
	say(ask(abi, g.vcpu[0], KVM_INTERRUPT, &irq), "another");
	guest_run_once(&g, 0);
	guest_run_once(&g, 0);
	tell_ready(&g, "interrupts on");
	say(ask(abi, g.vcpu[0], KVM_INTERRUPT, &irq), "interrupt");
	guest_run(&g);
	guest_close(&g);
}

/* A LAPIC whose LINT0 is masked takes nothing from the VMM's PIC, so there is no window for it. */
static void masked(struct abi *abi)
{
	struct guest g;

	tell("-- the pic's line is masked");
	guest_open(&g, abi, 32, 1, GUEST_SPLIT);
	store(&g.code, LAPIC + 0xf0, 0x1ff);
	store(&g.code, LAPIC + 0x350, 0x10700);
	out8(&g.code, 0x90, 1);
	sti(&g.code);
	emit_bytes(&g.code, 0x90, 0x90);
	out8(&g.code, 0x91, 1);
	store(&g.code, LAPIC + 0x350, 0x700);
	emit_bytes(&g.code, 0xfa, 0xfb, 0x90, 0x90);
	out8(&g.code, 0x92, 1);
	done(&g.code);
	guest_run_once(&g, 0);
	g.run[0]->request_interrupt_window = 1;
	guest_run_once(&g, 0);
	tell_ready(&g, "masked");
	guest_run_once(&g, 0);
	tell_ready(&g, "unmasked");
	g.run[0]->request_interrupt_window = 0;
	guest_run(&g);
	guest_close(&g);
}

/* CR8 and the base of an APIC in the VMM pass through struct kvm_run. */
static void without(struct abi *abi)
{
	const struct kvm_interrupt irq = {.irq = 0x40};
	struct guest g;

	tell("-- no controller in the kernel");
	guest_open(&g, abi, 64, 1, 0);
	guest_set_handler(&g, 0x40, 0);
	emit_bytes(&g.code, 0x44, 0x0f, 0x20, 0xc0); /* mov rax, cr8 */
	tell_eax(&g.code, 0x80);
	set_eax(&g.code, 5);
	emit_bytes(&g.code, 0x44, 0x0f, 0x22, 0xc0); /* mov cr8, rax */
	out8(&g.code, 0x90, 1);
	sti(&g.code);
	emit_bytes(&g.code, 0x90);
	out8(&g.code, 0x91, 1);
	hlt(&g.code);
	done(&g.code);
	g.run[0]->cr8 = 3;
	guest_run_once(&g, 0);
	guest_run_once(&g, 0);
	tell("cr8 %llx apic base %llx", (unsigned long long)g.run[0]->cr8,
	        (unsigned long long)g.run[0]->apic_base);
	tell_ready(&g, "interrupts off");
	g.run[0]->request_interrupt_window = 1;
	guest_run_once(&g, 0);
	tell_ready(&g, "window");
	g.run[0]->request_interrupt_window = 0;
	say(ask(abi, g.vcpu[0], KVM_INTERRUPT, &irq), "interrupt");
	guest_run(&g);
	tell_ready(&g, "halted");
	say(ask(abi, g.vcpu[0], KVM_INTERRUPT, &irq), "interrupt");
	guest_run(&g);
	guest_close(&g);
}

/* NMIs are taken with interrupts off, and one at a time. */
static void nmi(struct abi *abi, unsigned flags)
{
	struct guest g;

	tell("-- nmi, %s", flags ? "with a lapic" : "without a lapic");
	guest_open(&g, abi, 32, 1, flags);
	guest_set_handler(&g, 2, 0);
	out8(&g.code, 0x90, 1);
	emit_bytes(&g.code, 0x90);
	done(&g.code);
	guest_run_once(&g, 0);
	say(ask_number(abi, g.vcpu[0], KVM_NMI, 0), "nmi");
	guest_run(&g);
	guest_close(&g);
}

static void lapic_state(struct abi *abi)
{
	struct kvm_lapic_state s;
	struct guest g;

	tell("-- state of a lapic");
	guest_open(&g, abi, 32, 1, GUEST_SPLIT);
	say(ask(abi, g.vcpu[0], KVM_GET_LAPIC, &s), "lapic");
	for (unsigned reg = 0x20; reg <= 0x3e0; reg += 0x10) {
		uint32_t value = (uint32_t)load_le((uint8_t *)s.regs + reg, 4);

		if (value)
			tell("register %x: %x", reg, value);
	}
	store_le((uint8_t *)s.regs + 0x80, 4, 0x30);
	store_le((uint8_t *)s.regs + 0xf0, 4, 0x1ff);
	say(ask(abi, g.vcpu[0], KVM_SET_LAPIC, &s), "set");
	memset(&s, 0, sizeof(s));
	say(ask(abi, g.vcpu[0], KVM_GET_LAPIC, &s), "and back");
	tell("tpr %x spurious %x", (unsigned)load_le((uint8_t *)s.regs + 0x80, 4),
	        (unsigned)load_le((uint8_t *)s.regs + 0xf0, 4));
	guest_close(&g);
}

static void mp_states(struct abi *abi)
{
	static const uint32_t states[] = {KVM_MP_STATE_RUNNABLE, KVM_MP_STATE_UNINITIALIZED,
	        KVM_MP_STATE_INIT_RECEIVED, KVM_MP_STATE_HALTED, KVM_MP_STATE_STOPPED, 77,
	        KVM_MP_STATE_RUNNABLE};
	struct guest g;

	tell("-- run states");
	guest_open(&g, abi, 32, 1, GUEST_SPLIT);
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		struct kvm_mp_state s = {.mp_state = states[i]};

		say(ask(abi, g.vcpu[0], KVM_SET_MP_STATE, &s), "state %u", states[i]);
		say(ask(abi, g.vcpu[0], KVM_GET_MP_STATE, &s), "and back");
		say((int)s.mp_state, "it is");
	}
	guest_close(&g);
}

static void run_split(struct abi *abi)
{
	misuse(abi);
	end_of_interrupt(abi, 0, 0x1ff);
	end_of_interrupt(abi, 0, 0x11ff);
	end_of_interrupt(abi, 4, 0x11ff);
	end_of_interrupt(abi, 4, 0x1ff);
	end_of_interrupt(abi, 8, 0x11ff);
	external(abi);
	masked(abi);
	without(abi);
	nmi(abi, 0);
	nmi(abi, GUEST_IRQCHIP);
	lapic_state(abi);
	mp_states(abi);
}

const struct chapter chapter_split = {"split", run_split};
