/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state: the state of a vCPU and of a VM in all of KVM's structs: its values in a new one, the values that
 * are refused, and those that come back as they were set.
 */
#include <errno.h>

#include "abi.h"

#define NOWHERE ((const void *)16)

struct bed {
	struct abi *abi;
	int vm, vcpu;
};

static void bed_open(struct bed *b, struct abi *abi)
{
	b->abi = abi;
	b->vm = ask_number(abi, abi->kvm, KVM_CREATE_VM, 0);
	b->vcpu = ask_number(abi, b->vm, KVM_CREATE_VCPU, 0);
	if (b->vcpu < 0)
		give_up("KVM_CREATE_VCPU");
}

static void bed_close(struct bed *b)
{
	host_close(b->abi->host, b->vcpu);
	host_close(b->abi->host, b->vm);
}

/* ---- floating point ---- */

static void tell_xsave(struct bed *b, const char *when)
{
	static struct kvm_xsave x;
	uint64_t has;

	if (ask(b->abi, b->vcpu, KVM_GET_XSAVE, &x) < 0)
		give_up("KVM_GET_XSAVE");
	memcpy(&has, &x.region[128], 8);
	/*
	 * The processor may report more components as in use than were set, so only those that were set
	 * count.
	 */
	tell("%s: fcw %x mxcsr %x st0 %x xmm0 %x, has what was set %u", when, x.region[0] & 0xffff,
	        x.region[6], x.region[8], x.region[40], (has & 3) == 3);
}

static void run_xsave(struct bed *b)
{
	static struct kvm_xsave x, x2;

	tell_xsave(b, "new");
	if (ask(b->abi, b->vcpu, KVM_GET_XSAVE, &x) < 0)
		give_up("KVM_GET_XSAVE");
	say(ask(b->abi, b->vcpu, KVM_GET_XSAVE2, &x2), "xsave2");
	say(memcmp(&x, &x2, 512) == 0, "it is the same");
	x.region[0] = 0x27f;
	x.region[8] = 0x12345678;
	x.region[6] = 0x1fa0;
	x.region[40] = 0x9abcdef0;
	x.region[128] = 3;
	say(ask(b->abi, b->vcpu, KVM_SET_XSAVE, &x), "xsave of x87 and sse");
	tell_xsave(b, "set");
	x.region[6] = 0x10000;
	say(ask(b->abi, b->vcpu, KVM_SET_XSAVE, &x), "a bit of mxcsr that is none");
	x.region[6] = 0x1f80;
	x.region[129] = 0x8000;
	say(ask(b->abi, b->vcpu, KVM_SET_XSAVE, &x), "a component that is none");
	x.region[129] = 0;
	x.region[132] = 1;
	say(ask(b->abi, b->vcpu, KVM_SET_XSAVE, &x), "a reserved byte of the header");
	x.region[132] = 0;
	x.region[128] = 0;
	say(ask(b->abi, b->vcpu, KVM_SET_XSAVE, &x), "nothing in use");
	tell_xsave(b, "initial");
	say(ask(b->abi, b->vcpu, KVM_SET_XSAVE, NOWHERE), "xsave from nowhere");
}

static void run_fpu(struct bed *b)
{
	struct kvm_fpu fpu = {.fcw = 0x37f, .mxcsr = 0x1f80};

	fpu.fpr[3][0] = 0x55;
	fpu.xmm[5][1] = 0x66;
	say(ask(b->abi, b->vcpu, KVM_SET_FPU, &fpu), "fpu");
	memset(&fpu, 0, sizeof(fpu));
	say(ask(b->abi, b->vcpu, KVM_GET_FPU, &fpu), "and back");
	tell("fcw %x st3 %x xmm5 %x", fpu.fcw, fpu.fpr[3][0], fpu.xmm[5][1]);
}

static void run_xcrs(struct bed *b)
{
	static const struct {
		const char *what;
		uint32_t count, flags, xcr;
		uint64_t value;
	} rows[] = {
	        {"17 of them", 17, 0, 0, 1},
	        {"flags", 1, 1, 0, 1},
	        {"xcr0 without x87", 1, 0, 0, 2},
	        {"xcr0 with what cpuid has not", 1, 0, 0, 3},
	        {"xcr0", 1, 0, 0, 1},
	        {"xcr1", 1, 0, 1, 5},
	        {"none", 0, 0, 0, 0},
	};
	struct kvm_xcrs x = {0};

	say(ask(b->abi, b->vcpu, KVM_GET_XCRS, &x), "xcrs");
	tell("%u of them, flags %x, xcr%u %llx", x.nr_xcrs, x.flags, x.xcrs[0].xcr,
	        (unsigned long long)x.xcrs[0].value);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		x = (struct kvm_xcrs){.nr_xcrs = rows[i].count, .flags = rows[i].flags};
		x.xcrs[0].xcr = rows[i].xcr;
		x.xcrs[0].value = rows[i].value;
		say(ask(b->abi, b->vcpu, KVM_SET_XCRS, &x), "xcrs: %s", rows[i].what);
	}
	say(ask(b->abi, b->vcpu, KVM_SET_XCRS, NOWHERE), "xcrs from nowhere");
}

/* ---- system registers ---- */

static void run_sregs2(struct bed *b)
{
	struct kvm_sregs2 s = {0}, good = {0};

	say(ask(b->abi, b->vcpu, KVM_GET_SREGS2, &good), "sregs2");
	tell("flags %llx cs %x cr0 %llx apic base %llx", (unsigned long long)good.flags, good.cs.selector,
	        (unsigned long long)good.cr0, (unsigned long long)good.apic_base);
	s = good;
	s.flags = 2;
	say(ask(b->abi, b->vcpu, KVM_SET_SREGS2, &s), "unknown flag");
	s.flags = 1;
	say(ask(b->abi, b->vcpu, KVM_SET_SREGS2, &s), "entries of pae without pae");
	s.cr0 = 0x80000011;
	s.cr4 = 0x20;
	s.pdptrs[1] = 0x5001;
	say(ask(b->abi, b->vcpu, KVM_SET_SREGS2, &s), "with pae");
	memset(&s, 0, sizeof(s));
	say(ask(b->abi, b->vcpu, KVM_GET_SREGS2, &s), "and back");
	tell("flags %llx entry %llx", (unsigned long long)s.flags, (unsigned long long)s.pdptrs[1]);
	say(ask(b->abi, b->vcpu, KVM_SET_SREGS2, &good), "as it was");
	say(ask(b->abi, b->vcpu, KVM_SET_SREGS2, NOWHERE), "from nowhere");
}

static void run_debugregs(struct bed *b)
{
	struct kvm_debugregs d = {0};

	say(ask(b->abi, b->vcpu, KVM_GET_DEBUGREGS, &d), "debug registers");
	tell("dr0 %llx dr6 %llx dr7 %llx flags %llx", (unsigned long long)d.db[0], (unsigned long long)d.dr6,
	        (unsigned long long)d.dr7, (unsigned long long)d.flags);
	d.flags = 1;
	say(ask(b->abi, b->vcpu, KVM_SET_DEBUGREGS, &d), "with flags");
	d.flags = 0;
	d.dr6 |= UINT64_C(1) << 32;
	say(ask(b->abi, b->vcpu, KVM_SET_DEBUGREGS, &d), "dr6 of 33 bits");
	d.dr6 = 0xffff4ff0;
	d.dr7 = UINT64_C(1) << 32;
	say(ask(b->abi, b->vcpu, KVM_SET_DEBUGREGS, &d), "dr7 of 33 bits");
	d.dr7 = 0x155;
	d.db[2] = 0x123456789abc;
	say(ask(b->abi, b->vcpu, KVM_SET_DEBUGREGS, &d), "good ones");
	memset(&d, 0, sizeof(d));
	say(ask(b->abi, b->vcpu, KVM_GET_DEBUGREGS, &d), "and back");
	tell("dr2 %llx dr6 %llx dr7 %llx", (unsigned long long)d.db[2], (unsigned long long)d.dr6,
	        (unsigned long long)d.dr7);
}

/* ---- events ---- */

static void tell_events(struct bed *b)
{
	struct kvm_vcpu_events e;

	memset(&e, 0xff, sizeof(e));
	say(ask(b->abi, b->vcpu, KVM_GET_VCPU_EVENTS, &e), "events");
	tell("exception injected %u pending %u nr %u error %u %x payload %u %llx", e.exception.injected,
	        e.exception.pending, e.exception.nr, e.exception.has_error_code, e.exception.error_code,
	        e.exception_has_payload, (unsigned long long)e.exception_payload);
	tell("interrupt %u nr %u soft %u shadow %u, nmi %u %u %u, flags %x", e.interrupt.injected,
	        e.interrupt.nr, e.interrupt.soft, !!e.interrupt.shadow, e.nmi.injected, e.nmi.pending,
	        e.nmi.masked, e.flags);
}

static void run_events(struct bed *b)
{
	const struct kvm_enable_cap payload = {.cap = KVM_CAP_EXCEPTION_PAYLOAD, .args[0] = 1};
	struct kvm_vcpu_events e = {.exception = {.injected = 1, .nr = 13, .has_error_code = 1}};
	const struct kvm_interrupt irq = {.irq = 0x41};

	tell_events(b);
	e.exception.error_code = 0x18;
	say(ask(b->abi, b->vcpu, KVM_SET_VCPU_EVENTS, &e), "an exception injected");
	tell_events(b);
	e.exception.nr = 2;
	say(ask(b->abi, b->vcpu, KVM_SET_VCPU_EVENTS, &e), "an exception that is the nmi");
	e = (struct kvm_vcpu_events){.flags = KVM_VCPUEVENT_VALID_PAYLOAD};
	say(ask(b->abi, b->vcpu, KVM_SET_VCPU_EVENTS, &e), "payload, which is not on");
	e = (struct kvm_vcpu_events){.interrupt.shadow = 3, .flags = KVM_VCPUEVENT_VALID_SHADOW};
	e.nmi.masked = 1;
	e.nmi.pending = 1;
	e.flags |= KVM_VCPUEVENT_VALID_NMI_PENDING;
	say(ask(b->abi, b->vcpu, KVM_SET_VCPU_EVENTS, &e), "a shadow, an nmi that waits");
	tell_events(b);
	e = (struct kvm_vcpu_events){.flags = KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_NMI_PENDING};
	say(ask(b->abi, b->vcpu, KVM_SET_VCPU_EVENTS, &e), "nothing");
	say(ask(b->abi, b->vcpu, KVM_INTERRUPT, &irq), "interrupt");
	tell_events(b);
	say(ask(b->abi, b->vm, KVM_ENABLE_CAP, &payload), "payloads on");
	e = (struct kvm_vcpu_events){.exception = {.pending = 1, .nr = 14, .has_error_code = 1},
	        .flags = KVM_VCPUEVENT_VALID_PAYLOAD,
	        .exception_has_payload = 1,
	        .exception_payload = 0x1234};
	say(ask(b->abi, b->vcpu, KVM_SET_VCPU_EVENTS, &e), "an exception that waits");
	tell_events(b);
	say(ask(b->abi, b->vcpu, KVM_SET_VCPU_EVENTS, NOWHERE), "events from nowhere");
}

/* ---- time, attributes, the rest ---- */

static void run_time(struct bed *b)
{
	struct kvm_clock_data before = {0}, clock = {0};
	uint64_t offset = 0x123;
	struct kvm_device_attr attr = {.addr = (uintptr_t)&offset};

	say(ask_number(b->abi, b->vcpu, KVM_GET_TSC_KHZ, 0) > 0, "the tsc has a rate");
	say(ask_number(b->abi, b->vm, KVM_GET_TSC_KHZ, 0) > 0, "new vcpus have a rate");
	say(ask_number(b->abi, b->vm, KVM_SET_TSC_KHZ, 0), "it is changed beside a vcpu");
	say(ask_number(b->abi, b->vcpu, KVM_SET_TSC_KHZ, 0), "its own rate");
	say(ask_number(b->abi, b->vcpu, KVM_SET_TSC_KHZ, 1), "a rate of 1 kHz");
	say(ask_number(b->abi, b->vcpu, KVM_KVMCLOCK_CTRL, 0), "paused, without a clock");
	say(ask(b->abi, b->vm, KVM_GET_CLOCK, &before), "clock");
	clock.clock = UINT64_C(1) << 50;
	say(ask(b->abi, b->vm, KVM_SET_CLOCK, &clock), "clock set");
	say(ask(b->abi, b->vm, KVM_GET_CLOCK, &clock), "and back");
	say(clock.clock >= UINT64_C(1) << 50 && clock.clock < (UINT64_C(1) << 50) + UINT64_C(60000000000),
	        "it goes on from there");
	clock.flags = 0x80;
	say(ask(b->abi, b->vm, KVM_SET_CLOCK, &clock), "clock with unknown flags");
	say(ask(b->abi, b->vcpu, KVM_HAS_DEVICE_ATTR, &attr), "attribute tsc offset");
	say(ask(b->abi, b->vcpu, KVM_SET_DEVICE_ATTR, &attr), "set");
	offset = 0;
	say(ask(b->abi, b->vcpu, KVM_GET_DEVICE_ATTR, &attr), "and back");
	tell("it is %llx", (unsigned long long)offset);
	attr.addr = 16;
	say(ask(b->abi, b->vcpu, KVM_GET_DEVICE_ATTR, &attr), "into nowhere");
	attr.attr = 1;
	say(ask(b->abi, b->vcpu, KVM_HAS_DEVICE_ATTR, &attr), "attribute 1");
	attr.group = 1;
	say(ask(b->abi, b->vcpu, KVM_GET_DEVICE_ATTR, &attr), "group 1");
}

static void run_devices(struct bed *b)
{
	uint64_t value = 0;
	struct kvm_device_attr attr = {.addr = (uintptr_t)&value};
	struct kvm_create_device device = {.type = KVM_DEV_TYPE_FLIC};

	say(ask(b->abi, b->vm, KVM_CREATE_DEVICE, &device), "device of another machine");
	device.flags = KVM_CREATE_DEVICE_TEST;
	say(ask(b->abi, b->vm, KVM_CREATE_DEVICE, &device), "could it be");
	device.type = 1000;
	say(ask(b->abi, b->vm, KVM_CREATE_DEVICE, &device), "device of type 1000");
	say(ask(b->abi, b->vm, KVM_HAS_DEVICE_ATTR, &attr), "attribute of a vm");
	say(ask(b->abi, b->abi->kvm, KVM_HAS_DEVICE_ATTR, &attr), "attribute xcomp");
	say(ask(b->abi, b->abi->kvm, KVM_GET_DEVICE_ATTR, &attr), "its value");
	say((value & 3) == 3, "x87 and sse");
	attr.group = 77;
	say(ask(b->abi, b->abi->kvm, KVM_HAS_DEVICE_ATTR, &attr), "attribute of group 77");
	say(ask(b->abi, b->abi->kvm, KVM_GET_DEVICE_ATTR, &attr), "its value");
}

static void run_machine_check(struct bed *b)
{
	uint64_t cap = 0;
	struct kvm_x86_mce mce = {.bank = 3};
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[3];
	} msrs = {.head.nmsrs = 3, .entry = {{.index = 0x179}, {.index = 0x400}, {.index = 0x40d}}};

	say(ask(b->abi, b->abi->kvm, KVM_X86_GET_MCE_CAP_SUPPORTED, &cap), "machine check");
	tell("offered %llx", (unsigned long long)cap);
	cap = 0x100;
	say(ask(b->abi, b->vcpu, KVM_X86_SETUP_MCE, &cap), "no banks");
	cap = 0x200a;
	say(ask(b->abi, b->vcpu, KVM_X86_SETUP_MCE, &cap), "what is not offered");
	cap = 0x100000a;
	say(ask(b->abi, b->vcpu, KVM_X86_SETUP_MCE, &cap), "ten banks");
	say(ask(b->abi, b->vcpu, KVM_X86_SET_MCE, &mce), "an error that is not valid");
	mce.status = UINT64_C(1) << 63 | 0x17;
	mce.bank = 10;
	say(ask(b->abi, b->vcpu, KVM_X86_SET_MCE, &mce), "an error of bank 10");
	mce.bank = 3;
	say(ask(b->abi, b->vcpu, KVM_X86_SET_MCE, &mce), "a corrected error");
	say(ask(b->abi, b->vcpu, KVM_X86_SET_MCE, &mce), "another");
	say(ask(b->abi, b->vcpu, KVM_GET_MSRS, &msrs), "msrs");
	tell("cap %llx ctl0 %llx status3 %llx", (unsigned long long)msrs.entry[0].data,
	        (unsigned long long)msrs.entry[1].data, (unsigned long long)msrs.entry[2].data);
}

/* Sets a page from which a guest's code reads its task priority, for guests whose LAPIC is slow. */
static void run_vapic(struct bed *b)
{
	struct kvm_vapic_addr address = {0};
	struct guest g;

	say(ask(b->abi, b->vcpu, KVM_SET_VAPIC_ADDR, &address), "vapic without a lapic");
	guest_open(&g, b->abi, 32, 1, GUEST_IRQCHIP);
	say(ask(b->abi, g.vcpu[0], KVM_SET_VAPIC_ADDR, &address), "vapic off");
	say(ask(b->abi, g.vcpu[0], KVM_SET_VAPIC_ADDR, NOWHERE), "vapic from nowhere");
	address.vapic_addr = 0x40000000;
	say(ask(b->abi, g.vcpu[0], KVM_SET_VAPIC_ADDR, &address), "vapic where no memory is");
	address.vapic_addr = GUEST_BYTES - 2;
	say(ask(b->abi, g.vcpu[0], KVM_SET_VAPIC_ADDR, &address), "vapic across the end of memory");
	address.vapic_addr = 0x7000;
	say(ask(b->abi, g.vcpu[0], KVM_SET_VAPIC_ADDR, &address), "vapic");
	store(&g.code, 0xfee00080, 0x30); /* the task priority: of the LAPIC, then by the page */
	out8(&g.code, 0x80, 0);
	load_eax(&g.code, 0x7000, 4);
	tell_eax(&g.code, 0x81);
	store(&g.code, 0x7000, 0x50);
	out8(&g.code, 0x80, 0);
	load_eax(&g.code, 0xfee00080, 4);
	tell_eax(&g.code, 0x81);
	done(&g.code);
	guest_run(&g);
	guest_close(&g);
}

static void run_mmu_pages(struct bed *b)
{
	say(ask_number(b->abi, b->vm, KVM_SET_NR_MMU_PAGES, 63), "63 pages of shadow tables");
	say(ask_number(b->abi, b->vm, KVM_SET_NR_MMU_PAGES, 64), "64");
	say(ask_number(b->abi, b->vm, KVM_GET_NR_MMU_PAGES, 0), "how many");
	say(ask_number(b->abi, b->abi->kvm, KVM_CHECK_EXTENSION, KVM_CAP_MMU_SHADOW_CACHE_CONTROL),
	        "told so");
	say(ask_number(b->abi, b->abi->kvm, KVM_CHECK_EXTENSION, KVM_CAP_VAPIC), "vapic told");
}

static void run_lists(struct bed *b)
{
	struct {
		struct kvm_msr_list head;
		uint32_t index[64];
	} list = {.head.nmsrs = 0};
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[2];
	} msrs = {.head.nmsrs = 2, .entry = {{.index = 0xc0011029}, {.index = 0xdead}}};
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entry[16];
	} cpuid = {.head.nent = 1};

	say(ask(b->abi, b->abi->kvm, KVM_GET_MSR_FEATURE_INDEX_LIST, &list), "features into no room");
	say(ask(b->abi, b->abi->kvm, KVM_GET_MSR_FEATURE_INDEX_LIST, &list), "features");
	say(ask(b->abi, b->abi->kvm, KVM_GET_MSR_FEATURE_INDEX_LIST, NOWHERE), "features into nowhere");
	say(ask(b->abi, b->abi->kvm, KVM_GET_MSRS, &msrs), "values, the second unknown");
	say(ask(b->abi, b->abi->kvm, KVM_SET_MSRS, &msrs), "set");
	say(ask(b->abi, b->abi->kvm, KVM_GET_EMULATED_CPUID, &cpuid), "emulated leaves into no room");
	cpuid.head.nent = 16;
	say(ask(b->abi, b->abi->kvm, KVM_GET_EMULATED_CPUID, &cpuid), "emulated leaves");
	for (unsigned i = 0; i < cpuid.head.nent; i++)
		tell("leaf %x: %x %x %x %x", cpuid.entry[i].function, cpuid.entry[i].eax, cpuid.entry[i].ebx,
		        cpuid.entry[i].ecx, cpuid.entry[i].edx);
	say(ask_number(b->abi, b->vcpu, KVM_SMI, 0), "smi");
}

static void run_state(struct abi *abi)
{
	static const struct {
		const char *name;
		void (*run)(struct bed *b);
	} parts[] = {{"xsave", run_xsave}, {"fpu", run_fpu}, {"xcrs", run_xcrs}, {"sregs2", run_sregs2},
	        {"debug registers", run_debugregs}, {"events", run_events}, {"time", run_time},
	        {"devices", run_devices}, {"machine check", run_machine_check}, {"vapic", run_vapic},
	        {"mmu pages", run_mmu_pages}, {"lists", run_lists}};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		struct bed b;

		tell("-- %s", parts[i].name);
		bed_open(&b, abi);
		parts[i].run(&b);
		bed_close(&b);
	}
}

const struct chapter chapter_state = {"state", run_state};
