/* SPDX-License-Identifier: Apache-2.0 */
/*
 * misuse: wrong arguments and their errno, call by call; the good ones between them.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "abi.h"

#define NOWHERE ((const void *)16) /* no memory of anybody */

static int new_vm(struct abi *abi)
{
	int vm = ask_number(abi, abi->kvm, KVM_CREATE_VM, 0);

	if (vm < 0)
		give_up("KVM_CREATE_VM");
	return vm;
}

/* ---- /dev/kvm ---- */

static void run_system(struct abi *abi)
{
	static const int capabilities[] = {KVM_CAP_IRQCHIP, KVM_CAP_USER_MEMORY, KVM_CAP_SET_TSS_ADDR,
	        KVM_CAP_EXT_CPUID, KVM_CAP_MP_STATE, KVM_CAP_SYNC_MMU, KVM_CAP_USER_NMI, KVM_CAP_IRQ_ROUTING,
	        KVM_CAP_IRQFD, KVM_CAP_PIT2, KVM_CAP_PIT_STATE2, KVM_CAP_IOEVENTFD, KVM_CAP_VCPU_EVENTS,
	        KVM_CAP_READONLY_MEM, KVM_CAP_SIGNAL_MSI, KVM_CAP_IMMEDIATE_EXIT, KVM_CAP_TSC_DEADLINE_TIMER,
	        KVM_CAP_IRQFD_RESAMPLE, KVM_CAP_PPC_RMA, KVM_CAP_MCE, KVM_CAP_ADJUST_CLOCK, KVM_CAP_DEBUGREGS,
	        KVM_CAP_XSAVE, KVM_CAP_XSAVE2, KVM_CAP_XCRS, KVM_CAP_SREGS2, KVM_CAP_SYNC_REGS,
	        KVM_CAP_SET_GUEST_DEBUG2, KVM_CAP_X86_ROBUST_SINGLESTEP, KVM_CAP_SPLIT_IRQCHIP,
	        KVM_CAP_GET_MSR_FEATURES, KVM_CAP_X86_USER_SPACE_MSR, KVM_CAP_X86_MSR_FILTER,
	        KVM_CAP_EXIT_HYPERCALL, KVM_CAP_EXCEPTION_PAYLOAD, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
	        KVM_CAP_DIRTY_LOG_RING, KVM_CAP_DEVICE_CTRL, KVM_CAP_VCPU_ATTRIBUTES, KVM_CAP_SYS_ATTRIBUTES,
	        KVM_CAP_X86_SMM, 9999};
	struct kvm_msr_list list = {.nmsrs = 0};
	struct kvm_cpuid2 cpuid = {.nent = 0};

	say(ask_number(abi, abi->kvm, KVM_GET_API_VERSION, 0), "api version");
	say(ask_number(abi, abi->kvm, KVM_GET_API_VERSION, 1), "api version with an argument");
	say(ask_number(abi, abi->kvm, KVM_GET_VCPU_MMAP_SIZE, 0) >= (int)sizeof(struct kvm_run),
	        "run size suffices");
	say(ask_number(abi, abi->kvm, KVM_GET_VCPU_MMAP_SIZE, 1), "run size with an argument");
	say(ask_number(abi, abi->kvm, KVM_CREATE_VM, 77), "vm of type 77");
	for (size_t i = 0; i < ARRAY_LEN(capabilities); i++)
		say(ask_number(abi, abi->kvm, KVM_CHECK_EXTENSION, (unsigned long)capabilities[i]),
		        "capability %d", capabilities[i]);
	say(ask(abi, abi->kvm, KVM_GET_SUPPORTED_CPUID, &cpuid), "cpuid into no room");
	say(ask(abi, abi->kvm, KVM_GET_SUPPORTED_CPUID, NOWHERE), "cpuid into nowhere");
	say(ask(abi, abi->kvm, KVM_GET_MSR_INDEX_LIST, &list), "msr list into no room");
	say(list.nmsrs > 10, "the list tells its size");
	say(ask(abi, abi->kvm, KVM_GET_MSR_INDEX_LIST, NOWHERE), "msr list into nowhere");
	say(ask_number(abi, abi->kvm, KVM_RUN, 0), "run of /dev/kvm");
	say(ask_number(abi, abi->kvm, 0x1234, 0), "an ioctl of nobody");
	say(host_mmap(abi->host, NULL, 4096, PROT_READ, MAP_SHARED, abi->kvm, 0) == MAP_FAILED ? -1 : 0,
	        "mmap");
}

const struct chapter chapter_system = {"system", run_system};

/* ---- a VM ---- */

static void misuse_memory(struct abi *abi, int vm)
{
	char *memory = mmap(NULL, 0x10000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const uint64_t at = (uintptr_t)memory;
	const struct {
		const char *what;
		struct kvm_userspace_memory_region region;
	} rows[] = {
	        {"slot 0, 8 pages at 0", {0, 0, 0, 0x8000, at}},
	        {"the same again", {0, 0, 0, 0x8000, at}},
	        {"unknown flag", {1, 8, 0x100000, 0x1000, at}},
	        {"size not of pages", {1, 0, 0x100000, 0x1001, at}},
	        {"address not of pages", {1, 0, 0x100800, 0x1000, at}},
	        {"host address not of pages", {1, 0, 0x100000, 0x1000, at + 1}},
	        {"host address of the kernel", {1, 0, 0x100000, 0x1000, UINT64_C(0xffff888000000000)}},
	        {"beyond the end of addresses", {1, 0, UINT64_C(0xfffffffffffff000), 0x2000, at}},
	        {"overlap", {1, 0, 0x7000, 0x2000, at}},
	        {"beside", {1, 0, 0x8000, 0x2000, at}},
	        {"delete what is not there", {2, 0, 0, 0, 0}},
	        {"another size", {1, 0, 0x8000, 0x3000, at}},
	        {"another host address", {1, 0, 0x8000, 0x2000, at + 0x1000}},
	        {"read only from now on", {1, KVM_MEM_READONLY, 0x8000, 0x2000, at}},
	        {"logged from now on", {1, KVM_MEM_LOG_DIRTY_PAGES, 0x8000, 0x2000, at}},
	        {"moved", {1, 0, 0x20000, 0x2000, at}},
	        {"moved onto another", {1, 0, 0x7000, 0x2000, at}},
	        {"deleted", {1, 0, 0, 0, 0}},
	        {"slot 60000", {60000, 0, 0x100000, 0x1000, at}},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		say(ask(abi, vm, KVM_SET_USER_MEMORY_REGION, &rows[i].region), "memory: %s", rows[i].what);
	say(ask(abi, vm, KVM_SET_USER_MEMORY_REGION, NOWHERE), "memory: nowhere");
	munmap(memory, 0x10000);
}

static void misuse_without_irqchip(struct abi *abi, int vm)
{
	struct kvm_irqchip chip = {.chip_id = 0};
	struct kvm_irq_level line = {.irq = 4, .level = 1};
	struct kvm_irq_routing routing = {0};
	struct kvm_msi msi = {.address_lo = 0xfee00000, .data = 0x40};
	struct kvm_pit_config pit = {0};
	struct kvm_pit_state2 pit_state;
	struct kvm_irqfd irqfd = {.fd = (uint32_t)eventfd(0, 0), .gsi = 4};

	say(ask(abi, vm, KVM_GET_IRQCHIP, &chip), "irqchip state without irqchip");
	say(ask(abi, vm, KVM_SET_IRQCHIP, &chip), "set irqchip state without irqchip");
	say(ask(abi, vm, KVM_IRQ_LINE, &line), "line without irqchip");
	say(ask(abi, vm, KVM_SET_GSI_ROUTING, &routing), "routing without irqchip");
	say(ask(abi, vm, KVM_SIGNAL_MSI, &msi), "msi without irqchip");
	say(ask(abi, vm, KVM_CREATE_PIT2, &pit), "pit without irqchip");
	say(ask(abi, vm, KVM_GET_PIT2, &pit_state), "pit state without pit");
	say(ask(abi, vm, KVM_IRQFD, &irqfd) < 0 ? -1 : 0, "irqfd without irqchip");
	close((int)irqfd.fd);
}

static void misuse_irqchip(struct abi *abi, int vm)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry[2];
	} routing = {.head.nr = 1, .entry[0] = {.gsi = 3, .type = KVM_IRQ_ROUTING_IRQCHIP}};
	struct kvm_irqchip chip = {.chip_id = 3};
	struct kvm_irq_level line = {.irq = 3000, .level = 1};
	struct kvm_msi msi = {.address_lo = 0xfee55000, .data = 0x40, .flags = 0x100};
	struct kvm_pit_config pit = {0};

	say(ask_number(abi, vm, KVM_CREATE_IRQCHIP, 0), "irqchip");
	say(ask_number(abi, vm, KVM_CREATE_IRQCHIP, 0), "irqchip again");
	say(ask(abi, vm, KVM_GET_IRQCHIP, &chip), "state of irqchip 3");
	chip.chip_id = KVM_IRQCHIP_IOAPIC;
	say(ask(abi, vm, KVM_GET_IRQCHIP, &chip), "state of the ioapic");
	say(ask(abi, vm, KVM_SET_IRQCHIP, &chip), "and back");
	say(ask(abi, vm, KVM_IRQ_LINE, &line), "line that leads nowhere");
	say(ask(abi, vm, KVM_IRQ_LINE, NOWHERE), "line: nowhere");
	say(ask(abi, vm, KVM_SIGNAL_MSI, &msi), "msi with unknown flags");
	msi.flags = 0;
	say(ask(abi, vm, KVM_SIGNAL_MSI, &msi), "msi to nobody");
	say(ask(abi, vm, KVM_CREATE_PIT2, &pit), "pit");
	say(ask(abi, vm, KVM_CREATE_PIT2, &pit), "pit again");
	say(ask(abi, vm, KVM_SET_GSI_ROUTING, &routing), "routing of one");
	routing.entry[0].u.irqchip.pin = 8;
	say(ask(abi, vm, KVM_SET_GSI_ROUTING, &routing), "routing to pin 8 of a pic");
	routing.entry[0].type = 77;
	say(ask(abi, vm, KVM_SET_GSI_ROUTING, &routing), "routing of type 77");
	routing.entry[0] = (struct kvm_irq_routing_entry){.gsi = 5000, .type = KVM_IRQ_ROUTING_MSI};
	say(ask(abi, vm, KVM_SET_GSI_ROUTING, &routing), "routing of gsi 5000");
	routing.head.flags = 1;
	say(ask(abi, vm, KVM_SET_GSI_ROUTING, &routing), "routing with flags");
	routing.head = (struct kvm_irq_routing){.nr = 5000};
	say(ask(abi, vm, KVM_SET_GSI_ROUTING, &routing), "5000 routings");
}

static void misuse_eventfds(struct abi *abi, int vm)
{
	int bell = eventfd(0, EFD_CLOEXEC), file = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct kvm_irqfd irqfd = {.fd = (uint32_t)bell, .gsi = 4, .flags = 0x100};
	struct kvm_ioeventfd io = {.addr = 0x500, .len = 3, .fd = bell, .flags = KVM_IOEVENTFD_FLAG_PIO};

	say(ask(abi, vm, KVM_IRQFD, &irqfd), "irqfd with unknown flags");
	irqfd.flags = 0;
	say(ask(abi, vm, KVM_IRQFD, &irqfd), "irqfd");
	say(ask(abi, vm, KVM_IRQFD, &irqfd), "irqfd again");
	irqfd.fd = (uint32_t)file;
	say(ask(abi, vm, KVM_IRQFD, &irqfd), "irqfd of a file");
	irqfd.fd = 9999;
	say(ask(abi, vm, KVM_IRQFD, &irqfd), "irqfd of no descriptor");
	irqfd = (struct kvm_irqfd){.fd = (uint32_t)bell, .gsi = 4, .flags = KVM_IRQFD_FLAG_DEASSIGN};
	say(ask(abi, vm, KVM_IRQFD, &irqfd), "irqfd off");
	say(ask(abi, vm, KVM_IRQFD, &irqfd), "irqfd off again");
	say(ask(abi, vm, KVM_IOEVENTFD, &io), "ioeventfd of 3 bytes");
	io.len = 0;
	io.flags |= KVM_IOEVENTFD_FLAG_DATAMATCH;
	say(ask(abi, vm, KVM_IOEVENTFD, &io), "ioeventfd of any length with a value");
	io = (struct kvm_ioeventfd){.addr = 0x500, .len = 2, .fd = bell, .flags = KVM_IOEVENTFD_FLAG_PIO};
	say(ask(abi, vm, KVM_IOEVENTFD, &io), "ioeventfd");
	say(ask(abi, vm, KVM_IOEVENTFD, &io), "ioeventfd again");
	io.fd = file;
	say(ask(abi, vm, KVM_IOEVENTFD, &io), "ioeventfd of a file");
	io.fd = bell;
	io.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
	say(ask(abi, vm, KVM_IOEVENTFD, &io), "ioeventfd off");
	say(ask(abi, vm, KVM_IOEVENTFD, &io), "ioeventfd off again");
	close(bell);
	close(file);
}

static int set_ids(struct abi *abi, int vm, uint64_t ids)
{
	const struct kvm_enable_cap cap = {.cap = KVM_CAP_MAX_VCPU_ID, .args[0] = ids};

	return ask(abi, vm, KVM_ENABLE_CAP, &cap);
}

/* The number of IDs for vCPUs can be set once, before the first vCPU is made. */
static void vcpu_ids(struct abi *abi)
{
	int vm = new_vm(abi), vcpu;

	say(set_ids(abi, vm, 1000000), "1000000 ids");
	say(set_ids(abi, vm, 0), "no ids");
	say(ask_number(abi, vm, KVM_CREATE_VCPU, 1000000), "vcpu 1000000");
	say(set_ids(abi, vm, 5), "5 ids");
	say(set_ids(abi, vm, 5), "5 ids again");
	say(set_ids(abi, vm, 6), "6 ids");
	say(set_ids(abi, vm, 4), "4 ids");
	say(ask_number(abi, vm, KVM_CREATE_VCPU, 5), "vcpu 5");
	vcpu = ask_number(abi, vm, KVM_CREATE_VCPU, 4);
	say(vcpu >= 0, "vcpu 4");
	host_close(abi->host, vcpu);
	host_close(abi->host, vm);
	vm = new_vm(abi);
	vcpu = ask_number(abi, vm, KVM_CREATE_VCPU, 0);
	say(set_ids(abi, vm, 5), "5 ids after a vcpu");
	host_close(abi->host, vcpu);
	host_close(abi->host, vm);
}

static void run_vm(struct abi *abi)
{
	struct kvm_enable_cap cap = {.cap = 9999};
	int vm = new_vm(abi), vcpu;

	misuse_memory(abi, vm);
	misuse_without_irqchip(abi, vm);
	misuse_irqchip(abi, vm);
	misuse_eventfds(abi, vm);
	say(ask(abi, vm, KVM_ENABLE_CAP, &cap), "capability 9999");
	cap = (struct kvm_enable_cap){.cap = KVM_CAP_EXIT_HYPERCALL, .args[0] = 1};
	say(ask(abi, vm, KVM_ENABLE_CAP, &cap), "exit on hypercall 0");
	say(ask_number(abi, vm, KVM_SET_TSS_ADDR, 0xffffe000), "tss at the end of 4 GiB");
	say(ask_number(abi, vm, KVM_CREATE_VCPU, 1000000), "vcpu 1000000");
	vcpu = ask_number(abi, vm, KVM_CREATE_VCPU, 0);
	say(vcpu >= 0, "vcpu 0");
	say(ask_number(abi, vm, KVM_CREATE_VCPU, 0), "vcpu 0 again");
	say(ask_number(abi, vm, KVM_RUN, 0), "run of a vm");
	say(ask_number(abi, vm, 0x1234, 0), "an ioctl of nobody");
	say(host_mmap(abi->host, NULL, 4096, PROT_READ, MAP_SHARED, vm, 0) == MAP_FAILED ? -1 : 0, "mmap");
	host_close(abi->host, vcpu);
	say(ask_number(abi, vm, KVM_CREATE_VCPU, 0), "vcpu 0 after it was closed");
	host_close(abi->host, vm);
	vm = new_vm(abi);
	vcpu = ask_number(abi, vm, KVM_CREATE_VCPU, 0);
	say(ask_number(abi, vm, KVM_CREATE_IRQCHIP, 0), "irqchip after a vcpu");
	host_close(abi->host, vcpu);
	host_close(abi->host, vm);
	vcpu_ids(abi);
}

const struct chapter chapter_vm = {"vm", run_vm};

/* ---- a vCPU ---- */

static void misuse_state(struct abi *abi, int vcpu)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[3];
	} msrs = {.head.nmsrs = 3, .entry = {{.index = 0xc0000080}, {.index = 0xdead}, {.index = 0x10}}};
	struct kvm_mp_state state = {.mp_state = KVM_MP_STATE_HALTED};
	struct kvm_vcpu_events events;
	struct kvm_cpuid2 cpuid = {.nent = 100000};
	struct kvm_interrupt irq = {.irq = 256};
	struct kvm_lapic_state lapic;

	say(ask(abi, vcpu, KVM_GET_MSRS, &msrs), "msrs, the second unknown");
	msrs.head.nmsrs = 100000;
	say(ask(abi, vcpu, KVM_GET_MSRS, &msrs), "100000 msrs");
	say(ask(abi, vcpu, KVM_SET_CPUID2, &cpuid), "100000 leaves");
	say(ask(abi, vcpu, KVM_SET_CPUID2, NOWHERE), "leaves from nowhere");
	say(ask(abi, vcpu, KVM_GET_MP_STATE, &state), "mp state");
	say((int)state.mp_state, "it is");
	state.mp_state = KVM_MP_STATE_HALTED;
	say(ask(abi, vcpu, KVM_SET_MP_STATE, &state), "mp state without irqchip");
	say(ask(abi, vcpu, KVM_GET_LAPIC, &lapic), "lapic without irqchip");
	say(ask(abi, vcpu, KVM_INTERRUPT, &irq), "interrupt 256");
	irq.irq = 0x40;
	say(ask(abi, vcpu, KVM_INTERRUPT, &irq), "interrupt 64");
	say(ask(abi, vcpu, KVM_INTERRUPT, &irq), "interrupt 64 again");
	say(ask(abi, vcpu, KVM_GET_VCPU_EVENTS, &events), "events");
	events.flags = 0x80000000;
	say(ask(abi, vcpu, KVM_SET_VCPU_EVENTS, &events), "events with unknown flags");
	events.flags = 0;
	events.exception.injected = 1;
	events.exception.nr = 32;
	say(ask(abi, vcpu, KVM_SET_VCPU_EVENTS, &events), "exception 32");
}

static void misuse_sregs(struct abi *abi, int vcpu)
{
	struct kvm_sregs good = {0}, s;

	say(ask(abi, vcpu, KVM_GET_SREGS, &good), "sregs");
	say(good.cs.selector == 0xf000 && good.cs.base == 0xffff0000, "cs as after reset");
	s = good;
	s.cr0 = 0x80000000;
	say(ask(abi, vcpu, KVM_SET_SREGS, &s), "paging without protection");
	s = good;
	s.efer = 0x500;
	s.cr0 = 0x80000011;
	say(ask(abi, vcpu, KVM_SET_SREGS, &s), "long mode without PAE");
	s = good;
	s.efer = 0x400;
	say(ask(abi, vcpu, KVM_SET_SREGS, &s), "long mode active without paging");
	s = good;
	s.cr4 = UINT64_C(1) << 40;
	say(ask(abi, vcpu, KVM_SET_SREGS, &s), "unknown bit of cr4");
	say(ask(abi, vcpu, KVM_SET_SREGS, &good), "good ones");
	say(ask(abi, vcpu, KVM_SET_SREGS, NOWHERE), "from nowhere");
}

static void run_vcpu(struct abi *abi)
{
	int vm = new_vm(abi), vcpu = ask_number(abi, vm, KVM_CREATE_VCPU, 0);
	size_t size = (size_t)ask_number(abi, abi->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	struct kvm_run *run = host_mmap(abi->host, NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);

	if (run == MAP_FAILED)
		give_up("mmap of a vCPU");
	misuse_state(abi, vcpu);
	misuse_sregs(abi, vcpu);
	say(ask_number(abi, vcpu, KVM_RUN, 1), "run with an argument");
	run->immediate_exit = 1;
	say(ask_number(abi, vcpu, KVM_RUN, 0), "run with immediate_exit");
	run->immediate_exit = 0;
	run->kvm_valid_regs = UINT64_C(1) << 40;
	say(ask_number(abi, vcpu, KVM_RUN, 0), "run with unknown register sets");
	run->kvm_valid_regs = 0;
	run->cr8 = 16;
	say(ask_number(abi, vcpu, KVM_RUN, 0), "run with cr8 16");
	say(ask_number(abi, vcpu, 0x1234, 0), "an ioctl of nobody");
	say(ask_number(abi, vcpu, KVM_CREATE_VM, 0), "vm of a vcpu");
	host_munmap(abi->host, run, size);
	host_close(abi->host, vcpu);
	host_close(abi->host, vm);
}

const struct chapter chapter_vcpu = {"vcpu", run_vcpu};
