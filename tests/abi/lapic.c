/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lapic: the local APIC as a guest and as the VMM see it: its page and its MSRs, which bits of its registers
 * are kept, its base, its state.
 */
#include "abi.h"

#define LAPIC     0xfee00000u
#define GP        13
#define MSR_BASE  0x1b
#define BASE_ON   0x800u
#define BASE_X2   0x400u
#define X2(reg)   (0x800 + ((reg) >> 4))
#define PORT_READ 0x80

/* Makes a handler for #GP that writes its vector and goes on after the RDMSR or WRMSR. */
static void skip_faults(struct guest *g)
{
	struct code stub = guest_stub(g, GP);

	guest_set_handler(g, GP, 0);
	emit_bytes(&stub, 0x83, 0xc4, 0x04); /* add esp, 4: the error code */
	out8(&stub, PORT_VECTOR, GP);
	emit_bytes(&stub, 0x83, 0x04, 0x24, 0x02, 0xcf); /* add [esp], 2; iret */
}

static void read_page(struct code *c, unsigned reg, size_t size)
{
	set_eax(c, 0);
	load_eax(c, LAPIC + reg, size);
	tell_eax(c, PORT_READ);
}

static void read_msr(struct code *c, uint32_t index)
{
	set_ecx(c, index);
	set_eax(c, 0);
	set_edx(c, 0);
	emit_bytes(c, 0x0f, 0x32);
	tell_eax(c, PORT_READ);
	emit_bytes(c, 0x89, 0xd0); /* mov eax, edx */
	tell_eax(c, PORT_READ + 1);
}

/* CPUID 1, EDX: the APIC's bit. */
static void read_cpuid(struct code *c)
{
	set_eax(c, 1);
	emit_bytes(c, 0x0f, 0xa2, 0x89, 0xd0);       /* cpuid; mov eax, edx */
	emit_bytes(c, 0x25, 0x00, 0x02, 0x00, 0x00); /* and eax, 200h */
	tell_eax(c, PORT_READ);
}

static void open_guest_without(struct guest *g, struct abi *abi, const char *what, unsigned quirks)
{
	tell("-- %s", what);
	guest_open(g, abi, 32, 1, GUEST_IRQCHIP | GUEST_WITHOUT(quirks));
	skip_faults(g);
}

static void open_guest(struct guest *g, struct abi *abi, const char *what)
{
	open_guest_without(g, abi, what, 0);
}

static void run_and_close(struct guest *g)
{
	done(&g->code);
	guest_run(g);
	guest_close(g);
}

/*
 * Each register is written with ones and zeros, then read. The task priority is left out: its low half is
 * lost whenever a processor without AVIC leaves the guest, because such a processor keeps only the upper half
 * (APM 2, 15.21.2: V_TPR).
 */
static void kept_bits(struct abi *abi, bool enabled)
{
	static const unsigned registers[] = {0x20, 0x30, 0x90, 0xa0, 0xd0, 0xe0, 0x280, 0x310, 0x320, 0x330,
	        0x340, 0x350, 0x360, 0x370, 0x3e0};
	static const uint32_t values[] = {0xffffffff, 0x55555555, 0xaaaaaaaa, 0};
	struct guest g;

	open_guest(&g, abi, enabled ? "bits that are kept" : "bits that are kept, switched off by software");
	store(&g.code, LAPIC + 0xf0, enabled ? 0x1ff : 0xff);
	for (size_t i = 0; i < ARRAY_LEN(registers); i++) {
		for (size_t n = 0; n < ARRAY_LEN(values); n++) {
			store(&g.code, LAPIC + registers[i], values[n]);
			read_page(&g.code, registers[i], 4);
		}
	}
	run_and_close(&g);
}

/* Nothing is sent, because there is no processor 7, and delivery mode 3 is reserved. */
static void command_register(struct abi *abi)
{
	static const uint32_t values[] = {0x00001340, 0xfff33340, 0x55502b40, 0x00000040, 0x000c0fff};
	struct guest g;

	open_guest(&g, abi, "the interrupt command register");
	store(&g.code, LAPIC + 0xf0, 0x1ff);
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		store(&g.code, LAPIC + 0x310, 0x07123456);
		store(&g.code, LAPIC + 0x300, values[i] & ~0xc0000u);
		read_page(&g.code, 0x300, 4);
		read_page(&g.code, 0x310, 4);
	}
	run_and_close(&g);
}

/* Bytes, words, and what lies between the registers. */
static void odd_accesses(struct abi *abi)
{
	struct guest g;

	open_guest(&g, abi, "odd sizes and places");
	store(&g.code, LAPIC + 0x80, 0x12345670);
	read_page(&g.code, 0x80, 1);
	read_page(&g.code, 0x80, 2);
	read_page(&g.code, 0x31, 1);
	read_page(&g.code, 0x32, 2);
	set_eax(&g.code, 0x50);
	store_eax(&g.code, LAPIC + 0x80, 1);
	store_eax(&g.code, LAPIC + 0x80, 2);
	store_eax(&g.code, LAPIC + 0x84, 4);
	read_page(&g.code, 0x80, 4);
	run_and_close(&g);
}

/* The page of a LAPIC that is off, or an x2APIC, is no hole for the VMM unless it switches KVM's quirk off.
 */
static void page_when_off(struct abi *abi, uint64_t base, unsigned quirks)
{
	struct guest g;

	open_guest_without(&g, abi,
	        base & BASE_ON ? "the page of an x2apic" : "the page of a lapic that is off", quirks);
	store(&g.code, LAPIC + 0x80, 0x30);
	read_cpuid(&g.code);
	write_msr(&g.code, MSR_BASE, base);
	read_cpuid(&g.code);
	store(&g.code, LAPIC + 0x80, 0x50);
	read_page(&g.code, 0x80, 4);
	read_page(&g.code, 0x83, 1);
	read_page(&g.code, 0xffc, 4);
	write_msr(&g.code, MSR_BASE, LAPIC);
	write_msr(&g.code, MSR_BASE, LAPIC | BASE_ON);
	read_cpuid(&g.code);
	read_page(&g.code, 0x80, 4);
	run_and_close(&g);
}

/* The modes and addresses that a guest may choose, and where the page then is. */
static void base(struct abi *abi)
{
	static const uint64_t values[] = {LAPIC | BASE_ON | 0x100, LAPIC | BASE_X2, LAPIC | BASE_ON | 0x200,
	        LAPIC | BASE_ON | 1, LAPIC | BASE_ON | UINT64_C(1) << 52, LAPIC | BASE_ON | UINT64_C(1) << 62,
	        LAPIC | BASE_ON | BASE_X2, LAPIC | BASE_ON, LAPIC, LAPIC | BASE_ON | BASE_X2, LAPIC | BASE_ON,
	        0xfed00000 | BASE_ON};
	struct guest g;

	open_guest(&g, abi, "the base");
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		write_msr(&g.code, MSR_BASE, values[i]);
		read_msr(&g.code, MSR_BASE);
	}
	set_eax(&g.code, 0);
	load_eax(&g.code, 0xfed00030, 4);
	tell_eax(&g.code, PORT_READ);
	read_page(&g.code, 0x30, 4); /* the VMM's now */
	run_and_close(&g);
}

static int set_base(struct guest *g, uint64_t value)
{
	struct kvm_sregs s = {0};
	int result;

	if (ask(g->abi, g->vcpu[0], KVM_GET_SREGS, &s) < 0)
		give_up("KVM_GET_SREGS");
	s.apic_base = value;
	result = ask(g->abi, g->vcpu[0], KVM_SET_SREGS, &s);
	return result;
}

/* CPUID says how many bits an address has; if it does not, they are 36. */
static void base_by_vmm(struct abi *abi, unsigned flags)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[3];
	} cpuid = {.head.nent = 3,
	        .entries = {{.function = 1}, {.function = 0x80000000, .eax = 0x80000008},
	                {.function = 0x80000008, .eax = 0x3028}}};
	struct kvm_sregs s = {0};
	struct guest g;

	tell("-- the base as the VMM sets it, %s", flags ? "with a lapic in the kernel" : "without");
	guest_open(&g, abi, 32, 1, flags);
	say(ask(abi, g.vcpu[0], KVM_SET_CPUID2, &cpuid), "cpuid");
	say(set_base(&g, LAPIC | BASE_ON | UINT64_C(1) << 39), "bit 39 of 40");
	say(set_base(&g, LAPIC | BASE_ON | UINT64_C(1) << 40), "bit 40 of 40");
	say(set_base(&g, LAPIC | BASE_ON | BASE_X2), "x2apic that cpuid lacks");
	say(set_base(&g, LAPIC | BASE_X2), "x2apic that is off");
	say(set_base(&g, LAPIC | BASE_ON | 2), "a reserved bit");
	cpuid.entries[0].ecx = 1u << 21;
	cpuid.entries[1].eax = 0x80000007;
	say(ask(abi, g.vcpu[0], KVM_SET_CPUID2, &cpuid), "cpuid with an x2apic, no address size");
	say(set_base(&g, LAPIC | BASE_ON | UINT64_C(1) << 35), "bit 35");
	say(set_base(&g, LAPIC | BASE_ON | UINT64_C(1) << 36), "bit 36");
	say(set_base(&g, LAPIC | BASE_ON | BASE_X2), "x2apic");
	say(set_base(&g, LAPIC | BASE_ON), "back");
	say(set_base(&g, LAPIC), "off");
	say(ask(abi, g.vcpu[0], KVM_GET_SREGS, &s), "registers");
	tell("base %llx", (unsigned long long)s.apic_base);
	guest_close(&g);
}

/* Prints what may be written to each MSR and what is read. The timer runs down before it is read. */
static void x2apic(struct abi *abi)
{
	static const struct {
		unsigned reg;
		uint64_t value;
	} writes[] = {{0x20, 0}, {0x30, 0}, {0x80, 0x30}, {0x80, 0x1240}, {0x80, UINT64_C(1) << 32},
	        {0x90, 0}, {0xa0, 0}, {0xb0, 0}, {0xb0, 1}, {0xd0, 0}, {0xe0, 0}, {0xf0, 0x1ff},
	        {0xf0, 0x101ff}, {0x100, 0}, {0x280, 0}, {0x280, 1}, {0x300, 0x0000000700000340},
	        {0x300, 0x0000000700001340}, {0x300, 0x0000000700002340}, {0x300, 0x0000000700010340},
	        {0x300, 0x0000000700020340}, {0x300, 0x0000000700100340}, {0x300, 0x0000000780000340},
	        {0x300, 0x123456780000cb40}, {0x310, 0}, {0x320, 0xffffffff}, {0x330, 0x10000},
	        {0x340, 0x10000}, {0x350, 0x10000}, {0x360, 0xfffff}, {0x370, 0x10000}, {0x380, 0},
	        {0x390, 0}, {0x3e0, 0xff}, {0x3f0, 0x100}, {0x2f0, 0}, {0x400, 0}};
	struct guest g;

	open_guest(&g, abi, "msrs of an x2apic");
	read_msr(&g.code, X2(0x20));
	write_msr(&g.code, MSR_BASE, LAPIC | BASE_ON | BASE_X2);
	for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
		out8(&g.code, 0x90, (uint8_t)(writes[i].reg >> 4));
		write_msr(&g.code, X2(writes[i].reg), writes[i].value);
		read_msr(&g.code, X2(writes[i].reg));
	}
	run_and_close(&g);
}

/* A timer that ran down behind its mask is not forgotten. */
static void masked_timer(struct abi *abi)
{
	struct guest g;

	open_guest(&g, abi, "a timer behind its mask");
	guest_set_handler(&g, 0x42, 1);
	store(&g.code, LAPIC + 0xf0, 0x1ff);
	store(&g.code, LAPIC + 0x3e0, 0xb);
	store(&g.code, LAPIC + 0x320, 0x10042);
	store(&g.code, LAPIC + 0x380, 1000);
	set_ecx(&g.code, 10000000);
	emit_bytes(&g.code, 0x49, 0x75, 0xfd); /* again: dec ecx; jnz again */
	read_page(&g.code, 0x390, 4);
	sti(&g.code);
	emit_bytes(&g.code, 0x90);
	out8(&g.code, 0x90, 1);
	store(&g.code, LAPIC + 0x320, 0x42);
	emit_bytes(&g.code, 0x90);
	out8(&g.code, 0x90, 2);
	run_and_close(&g);
}

/* If CPUID does not offer the deadline, the timer has no such mode. */
static void timer_modes(struct abi *abi)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[1];
	} cpuid = {.head.nent = 1, .entries = {{.function = 1, .edx = 0x200 | 0x20}}};
	struct guest g;

	open_guest(&g, abi, "modes of the timer");
	say(ask(abi, g.vcpu[0], KVM_SET_CPUID2, &cpuid), "cpuid without a deadline");
	store(&g.code, LAPIC + 0xf0, 0x1ff);
	for (uint32_t mode = 0; mode < 4; mode++) {
		store(&g.code, LAPIC + 0x320, mode << 17 | 0x10040);
		read_page(&g.code, 0x320, 4);
		write_msr(&g.code, 0x6e0, 0x123456789);
		read_msr(&g.code, 0x6e0);
	}
	run_and_close(&g);
}

static void tell_state(struct guest *g, const char *what)
{
	struct kvm_lapic_state s = {0};

	say(ask(g->abi, g->vcpu[0], KVM_GET_LAPIC, &s), "%s", what);
	tell("id %x ldr %x icr %x %x", (unsigned)load_le((uint8_t *)s.regs + 0x20, 4),
	        (unsigned)load_le((uint8_t *)s.regs + 0xd0, 4),
	        (unsigned)load_le((uint8_t *)s.regs + 0x310, 4),
	        (unsigned)load_le((uint8_t *)s.regs + 0x300, 4));
}

/* The VMM may write any ID. The ID of an x2APIC stays as it is, and its logical ID follows from it. */
static void state(struct abi *abi)
{
	struct kvm_lapic_state s = {0};
	struct guest g;

	tell("-- ids by the vmm");
	guest_open(&g, abi, 32, 1, GUEST_IRQCHIP);
	say(ask(abi, g.vcpu[0], KVM_GET_LAPIC, &s), "lapic");
	store_le((uint8_t *)s.regs + 0x20, 4, 0x77123456);
	store_le((uint8_t *)s.regs + 0xd0, 4, 0x55000000);
	store_le((uint8_t *)s.regs + 0x300, 4, 0xffffffff);
	store_le((uint8_t *)s.regs + 0x310, 4, 0x12345678);
	say(ask(abi, g.vcpu[0], KVM_SET_LAPIC, &s), "set");
	tell_state(&g, "xapic");
	say(set_base(&g, LAPIC | BASE_ON | BASE_X2), "x2apic");
	tell_state(&g, "x2apic");
	say(ask(abi, g.vcpu[0], KVM_SET_LAPIC, &s), "set");
	tell_state(&g, "x2apic");
	say(set_base(&g, LAPIC), "off");
	tell_state(&g, "off");
	say(set_base(&g, LAPIC | BASE_ON), "on");
	tell_state(&g, "xapic");
	guest_close(&g);
}

/* The boot processor is the one whose ID is 0, not the one that was made first. */
static void boot_processor(struct abi *abi)
{
	static const unsigned ids[] = {3, 0};
	int vm = ask_number(abi, abi->kvm, KVM_CREATE_VM, 0), vcpu[ARRAY_LEN(ids)];

	tell("-- the boot processor");
	say(ask_number(abi, vm, KVM_CREATE_IRQCHIP, 0), "irqchip");
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		struct kvm_mp_state mp = {0};
		struct kvm_sregs s = {0};
		struct kvm_lapic_state lapic = {0};

		vcpu[i] = ask_number(abi, vm, KVM_CREATE_VCPU, ids[i]);
		say(ask(abi, vcpu[i], KVM_GET_MP_STATE, &mp), "mp state of %u", ids[i]);
		say(ask(abi, vcpu[i], KVM_GET_SREGS, &s), "registers");
		say(ask(abi, vcpu[i], KVM_GET_LAPIC, &lapic), "lapic");
		tell("mp state %u base %llx id %x lint0 %x", mp.mp_state, (unsigned long long)s.apic_base,
		        (unsigned)load_le((uint8_t *)lapic.regs + 0x20, 4),
		        (unsigned)load_le((uint8_t *)lapic.regs + 0x350, 4));
	}
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		host_close(abi->host, vcpu[i]);
	host_close(abi->host, vm);
}

static int x2apic_api(struct abi *abi, int vm, uint64_t flags)
{
	const struct kvm_enable_cap cap = {.cap = KVM_CAP_X2APIC_API, .args[0] = flags};

	return ask(abi, vm, KVM_ENABLE_CAP, &cap);
}

static void tell_id(struct abi *abi, int vcpu)
{
	struct kvm_lapic_state s = {0};

	say(ask(abi, vcpu, KVM_GET_LAPIC, &s), "state");
	tell("id %x", (unsigned)load_le((uint8_t *)s.regs + 0x20, 4));
	store_le((uint8_t *)s.regs + 0x20, 4, 6);
	say(ask(abi, vcpu, KVM_SET_LAPIC, &s), "with id 6");
	store_le((uint8_t *)s.regs + 0x20, 4, 5);
	store_le((uint8_t *)s.regs + 0xf0, 4, 0x1ff);
	say(ask(abi, vcpu, KVM_SET_LAPIC, &s), "with id 5");
}

static void tell_messages(struct abi *abi, int vm)
{
	struct kvm_msi all = {.address_lo = LAPIC | 0xff << 12, .data = 0x51},
	               far = {.address_lo = LAPIC | 5 << 12, .address_hi = 0x100, .data = 0x52};
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} routes = {.head.nr = 1, .entry = {.gsi = 3, .type = KVM_IRQ_ROUTING_MSI}};

	say(ask(abi, vm, KVM_SIGNAL_MSI, &all), "to ff");
	say(ask(abi, vm, KVM_SIGNAL_MSI, &far), "to 5, the upper address 100");
	far.address_hi = 1;
	say(ask(abi, vm, KVM_SIGNAL_MSI, &far), "to 5, the upper address 1");
	routes.entry.u.msi.address_lo = far.address_lo;
	routes.entry.u.msi.address_hi = far.address_hi;
	say(ask(abi, vm, KVM_SET_GSI_ROUTING, &routes), "a route of that kind");
}

/* 32-bit IDs, and FFh for one processor. */
static void long_ids(struct abi *abi)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[1];
	} cpuid = {.head.nent = 1, .entries = {{.function = 1, .ecx = 1u << 21}}};
	struct kvm_sregs s = {0};
	int vm = ask_number(abi, abi->kvm, KVM_CREATE_VM, 0), vcpu;

	tell("-- long ids");
	say(ask_number(abi, vm, KVM_CREATE_IRQCHIP, 0), "irqchip");
	vcpu = ask_number(abi, vm, KVM_CREATE_VCPU, 5);
	say(ask(abi, vcpu, KVM_SET_CPUID2, &cpuid), "cpuid");
	ask(abi, vcpu, KVM_GET_SREGS, &s);
	s.apic_base |= BASE_X2;
	say(ask(abi, vcpu, KVM_SET_SREGS, &s), "x2apic");
	tell_id(abi, vcpu);
	tell_messages(abi, vm);
	say(ask_number(abi, vm, KVM_CHECK_EXTENSION, KVM_CAP_X2APIC_API), "what there is");
	say(ask_number(abi, abi->kvm, KVM_CHECK_EXTENSION, KVM_CAP_X2APIC_API), "at most");
	say(x2apic_api(abi, vm, 16), "an unknown flag");
	say(x2apic_api(abi, vm, 12), "both ways to end interrupts");
	say(x2apic_api(abi, vm, 4), "ends are kept, with an ioapic in the kernel");
	say(x2apic_api(abi, vm, 8), "ends are told");
	say(x2apic_api(abi, vm, 1), "long ids");
	tell_id(abi, vcpu);
	tell_messages(abi, vm);
	say(x2apic_api(abi, vm, 2), "ff is one id");
	say(x2apic_api(abi, vm, 0), "nothing more");
	tell_messages(abi, vm);
	host_close(abi->host, vcpu);
	host_close(abi->host, vm);
}

static void run_lapic(struct abi *abi)
{
	kept_bits(abi, true);
	kept_bits(abi, false);
	command_register(abi);
	odd_accesses(abi);
	page_when_off(abi, LAPIC, 0);
	page_when_off(abi, LAPIC | BASE_ON | BASE_X2, 0);
	page_when_off(abi, LAPIC, KVM_X86_QUIRK_LAPIC_MMIO_HOLE);
	page_when_off(abi, LAPIC | BASE_ON | BASE_X2, KVM_X86_QUIRK_LAPIC_MMIO_HOLE);
	base(abi);
	base_by_vmm(abi, GUEST_IRQCHIP);
	base_by_vmm(abi, 0);
	x2apic(abi);
	masked_timer(abi);
	timer_modes(abi);
	state(abi);
	boot_processor(abi);
	long_ids(abi);
}

const struct chapter chapter_lapic = {"lapic", run_lapic};
