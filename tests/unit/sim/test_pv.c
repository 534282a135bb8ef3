/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What KVM offers to guests and VMMs that know it: clocks in guest memory, stolen time, features that are
 * enforced, counters, writes without exits, and the choices of a VM that belong to these.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm_para.h>
#include <unistd.h>

#include "guest_bench.h"
#include "vmm/uapi.h"

#define DATA      0x18000u
#define HOLE      0x100000u /* no memory */
#define PORT      0x80
#define VECTOR_GP 13
#define NS_PER_S  UINT64_C(1000000000)

/* The clock that KVM writes (msr.rst). */
struct clock {
	uint32_t version, pad0;
	uint64_t tsc, time;
	uint32_t mul;
	int8_t shift;
	uint8_t flags, pad1[2];
};

static uint64_t clock_at(const struct clock *clock, uint64_t tsc)
{
	uint64_t delta = tsc - clock->tsc;

	delta = clock->shift < 0 ? delta >> -clock->shift : delta << clock->shift;
	return clock->time + (uint64_t)((unsigned __int128)delta * clock->mul >> 32);
}

static int set_msr(struct guest *g, uint32_t index, uint64_t value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = {.head.nmsrs = 1, .entry = {.index = index, .data = value}};

	return ask(g->abi, g->vcpu[0], KVM_SET_MSRS, &msrs);
}

static uint64_t get_msr(struct guest *g, uint32_t index)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = {.head.nmsrs = 1, .entry.index = index};

	assert_int_equal(ask(g->abi, g->vcpu[0], KVM_GET_MSRS, &msrs), 1);
	return msrs.entry.data;
}

static int enable(struct abi *abi, int fd, uint32_t cap, uint64_t value)
{
	const struct kvm_enable_cap ask_for = {.cap = cap, .args = {value}};

	return ask(abi, fd, KVM_ENABLE_CAP, &ask_for);
}

static uint8_t byte_out(const struct guest *g)
{
	return *((const uint8_t *)g->run[0] + g->run[0]->io.data_offset);
}

/* ---- clocks ---- */

static void test_pv_clock_says_what_the_vm_says(void **state)
{
	struct kvm_clock_data set = {.clock = 7 * NS_PER_S,
	                              .flags = KVM_CLOCK_TSC_STABLE | KVM_CLOCK_HOST_TSC},
	                      before = {0}, after = {0};
	struct clock clock;
	struct guest g;

	guest_open(&g, *state, 32, 1, GUEST_QUIET);
	write_msr(&g.code, MSR_KVM_SYSTEM_TIME_NEW, DATA | 1);
	out8(&g.code, PORT, 1);
	out8(&g.code, PORT, 2);
	out8(&g.code, PORT, 3);
	assert_int_equal(ask_number(*state, g.vcpu[0], KVM_KVMCLOCK_CTRL, 0), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_IO);
	assert_int_equal(get_msr(&g, MSR_KVM_SYSTEM_TIME), DATA | 1);
	assert_int_equal(ask(*state, g.vm, KVM_SET_CLOCK, &set), 0);
	assert_int_equal(ask(*state, g.vm, KVM_GET_CLOCK, &before), 0);
	assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_IO);
	assert_int_equal(ask(*state, g.vm, KVM_GET_CLOCK, &after), 0);
	memcpy(&clock, g.memory + DATA, sizeof(clock));
	assert_true(before.clock >= set.clock && before.clock < set.clock + NS_PER_S);
	assert_int_equal(after.flags, KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC);
	assert_int_equal(clock.version % 2, 0);
	assert_int_equal(clock.flags, 1);
	assert_int_equal(clock_at(&clock, get_msr(&g, 0x10)), after.clock);
	assert_int_equal(ask_number(*state, g.vcpu[0], KVM_KVMCLOCK_CTRL, 0), 0);
	assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_IO);
	assert_int_equal(g.memory[DATA + offsetof(struct clock, flags)], 3);
	guest_close(&g);
}

/* The older MSR on the boot processor, as KVM has it, takes the promise away that clocks agree. */
static void test_pv_older_clock_is_not_stable(void **state)
{
	struct kvm_clock_data data = {0};
	struct guest g;

	guest_open(&g, *state, 32, 1, GUEST_QUIET);
	write_msr(&g.code, MSR_KVM_SYSTEM_TIME, DATA | 1);
	out8(&g.code, PORT, 1);
	assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_IO);
	assert_int_equal(g.memory[DATA + offsetof(struct clock, flags)], 0);
	assert_int_equal(ask(*state, g.vm, KVM_GET_CLOCK, &data), 0);
	assert_int_equal(data.flags, 0);
	guest_close(&g);
}

static void test_pv_wall_clock_is_when_the_clock_was_zero(void **state)
{
	struct kvm_clock_data data = {0};
	uint64_t zero;
	struct guest g;

	guest_open(&g, *state, 32, 1, GUEST_QUIET);
	write_msr(&g.code, MSR_KVM_WALL_CLOCK_NEW, DATA);
	out8(&g.code, PORT, 1);
	assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_IO);
	assert_int_equal(ask(*state, g.vm, KVM_GET_CLOCK, &data), 0);
	zero = load_le(g.memory + DATA + 4, 4) * NS_PER_S + load_le(g.memory + DATA + 8, 4);
	assert_int_equal(zero, data.realtime - data.clock);
	assert_int_equal(g.memory[DATA] % 2, 0);
	guest_close(&g);
}

/* ---- stolen time ---- */

static void test_pv_time_is_stolen_from_guests_in_the_hosts_time(void **state)
{
	const struct sim_options options = {.clock = SIM_CLOCK_HOST};
	struct kvm_steal_time steal = {0};
	struct abi abi = {0};
	struct err err;
	struct guest g;

	guest_open(&g, *state, 32, 1, GUEST_QUIET);
	assert_int_equal(set_msr(&g, MSR_KVM_STEAL_TIME, DATA | 1), 0);
	guest_close(&g);

	assert_ok(sim_host_create(&options, &abi.host, &err));
	abi.kvm = host_open(abi.host, "/dev/kvm", O_RDWR);
	guest_open(&g, &abi, 32, 1, GUEST_QUIET);
	out8(&g.code, PORT, 1);
	assert_int_equal(set_msr(&g, MSR_KVM_STEAL_TIME, DATA | 3), 0);
	assert_int_equal(set_msr(&g, MSR_KVM_STEAL_TIME, DATA | 1), 1);
	steal.version = 41;
	steal.preempted = 1;
	memcpy(g.memory + DATA, &steal, sizeof(steal));
	assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_IO);
	memcpy(&steal, g.memory + DATA, sizeof(steal));
	assert_true(steal.version > 41 && steal.version % 2 == 0);
	assert_int_equal(steal.preempted, 0);
	guest_close(&g);
	host_close(abi.host, abi.kvm);
	host_destroy(abi.host);
}

/* ---- features ---- */

static void test_pv_features_that_cpuid_lacks_can_be_refused(void **state)
{
	static const uint32_t calls[] = {KVM_HC_KICK_CPU, KVM_HC_SEND_IPI, KVM_HC_SCHED_YIELD};
	struct guest g;

	for (unsigned enforced = 0; enforced < 2; enforced++) {
		guest_open(&g, *state, 32, 1, GUEST_QUIET | GUEST_IRQCHIP);
		guest_set_handler(&g, VECTOR_GP, 0);
		for (unsigned i = 0; i < ARRAY_LEN(calls); i++) {
			set_eax(&g.code, calls[i]);
			emit_bytes(&g.code, 0x31, 0xdb, 0x31, 0xc9, 0x31, 0xd2, 0x31,
			        0xf6); /* xor: no arguments */
			emit_bytes(&g.code, 0x0f, 0x01, 0xd9);
			tell_eax(&g.code, PORT);
		}
		write_msr(&g.code, MSR_KVM_POLL_CONTROL, 0);
		out8(&g.code, PORT, 0);
		assert_int_equal(enable(*state, g.vcpu[0], KVM_CAP_ENFORCE_PV_FEATURE_CPUID, enforced), 0);
		for (unsigned i = 0; i < ARRAY_LEN(calls); i++) {
			assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_IO);
			assert_int_equal((int32_t)load_le((uint8_t *)g.run[0] + g.run[0]->io.data_offset, 4),
			        enforced ? -KVM_ENOSYS : 0);
		}
		assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_IO);
		assert_int_equal(g.run[0]->io.port, enforced ? PORT_VECTOR : PORT);
		assert_int_equal(byte_out(&g), enforced ? VECTOR_GP : 0);
		guest_close(&g);
	}
}

/* ---- what a VM chooses ---- */

static void test_pv_platform_info_can_be_hidden(void **state)
{
	struct guest g;

	guest_open(&g, *state, 32, 1, GUEST_QUIET);
	guest_set_handler(&g, VECTOR_GP, 0);
	set_ecx(&g.code, 0xce);
	emit_bytes(&g.code, 0x0f, 0x32, 0x0f, 0x30); /* RDMSR, then WRMSR, which only the VMM may */
	assert_int_equal(set_msr(&g, 0xce, 0xff00), 1);
	assert_int_equal(set_msr(&g, 0x140, 1), 0);
	assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_IO);
	assert_int_equal(byte_out(&g), VECTOR_GP);
	guest_close(&g);

	guest_open(&g, *state, 32, 1, GUEST_QUIET);
	guest_set_handler(&g, VECTOR_GP, 0);
	set_ecx(&g.code, 0xce);
	emit_bytes(&g.code, 0x0f, 0x32);
	out8(&g.code, PORT, 1);
	assert_int_equal(enable(*state, g.vm, KVM_CAP_MSR_PLATFORM_INFO, 0), 0);
	assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_IO);
	assert_int_equal(byte_out(&g), VECTOR_GP);
	guest_close(&g);
}

static int make_vm(struct abi *abi)
{
	int vm = ask_number(abi, abi->kvm, KVM_CREATE_VM, 0);

	assert_true(vm >= 0);
	return vm;
}

static void assert_refused(int result, int error)
{
	assert_int_equal(result, -1);
	assert_int_equal(errno, error);
}

static uint64_t apic_base(struct abi *abi, int vcpu)
{
	struct kvm_sregs sregs = {0};

	assert_int_equal(ask(abi, vcpu, KVM_GET_SREGS, &sregs), 0);
	return sregs.apic_base;
}

static void test_pv_boot_processor_and_bus_are_chosen_before_vcpus(void **state)
{
	struct abi *abi = *state;
	int vm = make_vm(abi), vcpus[2];

	assert_refused(enable(abi, vm, UAPI_CAP_APIC_BUS_CYCLES_NS, 0), EINVAL);
	assert_refused(
	        enable(abi, vm, UAPI_CAP_APIC_BUS_CYCLES_NS, UINT64_MAX / (128 * (uint64_t)UINT32_MAX) + 1),
	        EINVAL);
	assert_refused(enable(abi, vm, UAPI_CAP_APIC_BUS_CYCLES_NS, 40), ENXIO);
	assert_int_equal(ask_number(abi, vm, KVM_CREATE_IRQCHIP, 0), 0);
	assert_int_equal(enable(abi, vm, UAPI_CAP_APIC_BUS_CYCLES_NS, 40), 0);
	assert_int_equal(ask_number(abi, vm, KVM_CHECK_EXTENSION, UAPI_CAP_APIC_BUS_CYCLES_NS), 40);
	assert_refused(ask_number(abi, vm, KVM_SET_BOOT_CPU_ID, 1ul << 32), EINVAL);
	assert_int_equal(ask_number(abi, vm, KVM_SET_BOOT_CPU_ID, 1), 0);
	assert_refused(enable(abi, vm, KVM_CAP_MAX_VCPU_ID, 0), EINVAL);
	for (unsigned i = 0; i < 2; i++) {
		vcpus[i] = ask_number(abi, vm, KVM_CREATE_VCPU, i);
		assert_int_equal(apic_base(abi, vcpus[i]) & 0x100, i ? 0x100 : 0);
	}
	assert_refused(ask_number(abi, vm, KVM_SET_BOOT_CPU_ID, 1ul << 32), EBUSY);
	assert_refused(enable(abi, vm, UAPI_CAP_APIC_BUS_CYCLES_NS, 40), EINVAL);
	for (unsigned i = 0; i < 2; i++)
		host_close(abi->host, vcpus[i]);
	host_close(abi->host, vm);
}

/* More vCPUs than an xAPIC can name, with IDs of which it has the lowest byte alone. */
static void test_pv_vcpus_beyond_the_xapic_are_there(void **state)
{
	struct abi *abi = *state;
	int vm = make_vm(abi), last = ask_number(abi, abi->kvm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPU_ID) - 1;
	int vcpus[2];

	assert_int_equal(ask_number(abi, vm, KVM_CREATE_IRQCHIP, 0), 0);
	assert_true(last > 255 && ask_number(abi, abi->kvm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS) > 256);
	assert_refused(ask_number(abi, vm, KVM_CREATE_VCPU, (unsigned)last + 1), EINVAL);
	for (unsigned i = 0; i < 2; i++) {
		struct kvm_lapic_state lapic = {0};

		vcpus[i] = ask_number(abi, vm, KVM_CREATE_VCPU, (unsigned)last - i);
		assert_int_equal(ask(abi, vcpus[i], KVM_GET_LAPIC, &lapic), 0);
		assert_int_equal(load_le(lapic.regs + 0x20, 4), ((unsigned)last - i) << 24);
	}
	for (unsigned i = 0; i < 2; i++)
		host_close(abi->host, vcpus[i]);
	host_close(abi->host, vm);
}

/* ---- what KVM cannot emulate ---- */

static void test_pv_x87_at_a_device_is_no_instruction_for_kvm(void **state)
{
	struct guest g;

	guest_open(&g, *state, 32, 1, GUEST_QUIET);
	emit_bytes(&g.code, 0xd9, 0x05); /* FLD of 32 bits */
	emit_number(&g.code, HOLE, 4);
	assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_INTERNAL_ERROR);
	assert_int_equal(g.run[0]->emulation_failure.suberror, KVM_INTERNAL_ERROR_EMULATION);
	assert_int_equal(g.run[0]->emulation_failure.insn_size, 6);
	guest_close(&g);

	guest_open(&g, *state, 32, 1, GUEST_QUIET);
	emit_bytes(&g.code, 0xd9, 0x3d); /* FNSTCW */
	emit_number(&g.code, HOLE, 4);
	assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_MMIO);
	guest_close(&g);
}

/* ---- counters ---- */

static uint64_t counter(int fd, const char *name)
{
	struct kvm_stats_header head;
	uint64_t value = UINT64_MAX;
	struct {
		struct kvm_stats_desc head;
		char name[48];
	} row;

	assert_int_equal(pread(fd, &head, sizeof(head), 0), sizeof(head));
	assert_int_equal(head.name_size, sizeof(row.name));
	for (unsigned i = 0; i < head.num_desc; i++) {
		assert_int_equal(pread(fd, &row, sizeof(row), head.desc_offset + (off_t)(i * sizeof(row))),
		        sizeof(row));
		if (strcmp(row.name, name) == 0)
			assert_int_equal(pread(fd, &value, 8, head.data_offset + (off_t)row.head.offset), 8);
	}
	return value;
}

static void test_pv_counters_count_while_they_are_read(void **state)
{
	struct kvm_userspace_memory_region none = {.slot = 3, .guest_phys_addr = HOLE, .memory_size = 4096};
	int vm, vcpu, again;
	struct guest g;
	uint64_t flushes;

	guest_open(&g, *state, 32, 1, GUEST_QUIET);
	out8(&g.code, PORT, 1);
	out8(&g.code, PORT, 2);
	store(&g.code, HOLE, 1);
	hlt(&g.code);
	assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_IO);
	vcpu = ask_number(*state, g.vcpu[0], KVM_GET_STATS_FD, 0);
	vm = ask_number(*state, g.vm, KVM_GET_STATS_FD, 0);
	again = ask_number(*state, g.vcpu[0], KVM_GET_STATS_FD, 0);
	assert_true(vcpu >= 0 && vm >= 0 && again >= 0);
	assert_int_equal(counter(vcpu, "io_exits"), 1);
	assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_IO);
	assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_MMIO);
	assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_HLT);
	assert_int_equal(counter(vcpu, "io_exits"), 2);
	assert_int_equal(counter(again, "mmio_exits"), 1);
	assert_int_equal(counter(again, "halt_exits"), 1);
	flushes = counter(vm, "remote_tlb_flush");
	none.userspace_addr = (uintptr_t)g.memory;
	assert_int_equal(ask(*state, g.vm, KVM_SET_USER_MEMORY_REGION, &none), 0);
	assert_int_equal(counter(vm, "remote_tlb_flush"), flushes + 1);
	assert_int_equal(pwrite(vcpu, "", 1, 0), -1);
	guest_close(&g);
	assert_int_equal(counter(vcpu, "halt_exits"), 1);
	close(vcpu);
	close(vm);
	close(again);
}

/* ---- writes without exits ---- */

static struct kvm_coalesced_mmio_ring *ring_of(const struct guest *g, unsigned vcpu)
{
	return (void *)((uint8_t *)g->run[vcpu] + (size_t)KVM_COALESCED_MMIO_PAGE_OFFSET * 4096);
}

static int zone(struct guest *g, unsigned long request, bool pio, uint64_t address, uint32_t size)
{
	const struct kvm_coalesced_mmio_zone ask_for = {.addr = address, .size = size, .pio = pio};

	return ask(g->abi, g->vm, request, &ask_for);
}

static void test_pv_writes_go_to_the_ring_of_all_vcpus(void **state)
{
	struct kvm_coalesced_mmio_ring *ring;
	struct guest g;

	guest_open(&g, *state, 32, 2, GUEST_QUIET | GUEST_IRQCHIP);
	store(&g.code, HOLE + 4, 0x11223344);
	out8(&g.code, PORT, 7);
	out8(&g.code, PORT + 1, 8);
	store(&g.code, HOLE + 6, 1);
	store(&g.code, HOLE, 2);
	ring = ring_of(&g, 1);
	assert_int_equal(zone(&g, KVM_REGISTER_COALESCED_MMIO, false, HOLE, 8), 0);
	assert_int_equal(zone(&g, KVM_REGISTER_COALESCED_MMIO, true, PORT, 1), 0);
	assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_IO);
	assert_int_equal(g.run[0]->io.port, PORT + 1);
	assert_int_equal(ring->first, 0);
	assert_int_equal(ring->last, 2);
	assert_int_equal(ring->coalesced_mmio[0].phys_addr, HOLE + 4);
	assert_int_equal(ring->coalesced_mmio[0].len, 4);
	assert_int_equal(load_le(ring->coalesced_mmio[0].data, 4), 0x11223344);
	assert_int_equal(ring->coalesced_mmio[1].pio, 1);
	assert_int_equal(ring->coalesced_mmio[1].data[0], 7);
	assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_MMIO); /* part of it is not in the zone */
	ring->last = UINT32_MAX;                                /* no place in the ring */
	assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_MMIO);
	assert_int_equal(g.run[0]->mmio.phys_addr, HOLE);
	guest_close(&g);
}

static void test_pv_full_rings_and_zones_that_ended_exit(void **state)
{
	const uint32_t max =
	        (4096 - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio);
	struct kvm_coalesced_mmio_ring *ring;
	struct guest g;

	guest_open(&g, *state, 32, 1, GUEST_QUIET);
	for (unsigned i = 0; i < 3; i++)
		out8(&g.code, PORT, (uint8_t)i);
	ring = ring_of(&g, 0);
	ring->first = 1;
	ring->last = max - 1;
	assert_int_equal(zone(&g, KVM_REGISTER_COALESCED_MMIO, true, PORT, 4), 0);
	assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_IO);
	assert_int_equal(byte_out(&g), 1);
	assert_int_equal(ring->last, 0);
	ring->first = 0;
	assert_int_equal(zone(&g, KVM_UNREGISTER_COALESCED_MMIO, true, PORT, 1), 0);
	assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_IO);
	assert_int_equal(byte_out(&g), 2);
	errno = 0;
	assert_refused(
	        ask(*state, g.vm, KVM_REGISTER_COALESCED_MMIO, &(struct kvm_coalesced_mmio_zone){.pio = 2}),
	        EINVAL);
	guest_close(&g);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, guest_bench_setup, guest_bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_pv_clock_says_what_the_vm_says),
	        TEST(test_pv_older_clock_is_not_stable),
	        TEST(test_pv_wall_clock_is_when_the_clock_was_zero),
	        TEST(test_pv_time_is_stolen_from_guests_in_the_hosts_time),
	        TEST(test_pv_features_that_cpuid_lacks_can_be_refused),
	        TEST(test_pv_platform_info_can_be_hidden),
	        TEST(test_pv_boot_processor_and_bus_are_chosen_before_vcpus),
	        TEST(test_pv_vcpus_beyond_the_xapic_are_there),
	        TEST(test_pv_x87_at_a_device_is_no_instruction_for_kvm),
	        TEST(test_pv_counters_count_while_they_are_read),
	        TEST(test_pv_writes_go_to_the_ring_of_all_vcpus),
	        TEST(test_pv_full_rings_and_zones_that_ended_exit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
