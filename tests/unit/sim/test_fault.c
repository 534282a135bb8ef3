/* SPDX-License-Identifier: Apache-2.0 */
/* Calls on the software platform that fail or are late because a test asked for it. */
#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "guest_bench.h"

#define MS UINT64_C(1000000)

static struct err err;

static void set(struct abi *abi, const char *call, uint64_t nth, int sys, uint64_t delay_ns)
{
	const struct sim_fault fault = {.call = call, .nth = nth, .sys = sys, .delay_ns = delay_ns};

	assert_ok(sim_fault_set(abi->host, &fault, &err));
}

static void test_fault_nth_call_of_a_name_fails_once(void **state)
{
	struct abi *abi = *state;

	set(abi, "KVM_GET_VCPU_MMAP_SIZE", 2, EIO, 0);
	assert_true(ask_number(abi, abi->kvm, KVM_GET_VCPU_MMAP_SIZE, 0) > 0);
	assert_int_equal(ask_number(abi, abi->kvm, KVM_GET_API_VERSION, 0), 12); /* another name */
	assert_int_equal(sim_fault_count(abi->host), 1);
	assert_int_equal(ask_number(abi, abi->kvm, KVM_GET_VCPU_MMAP_SIZE, 0), -1);
	assert_int_equal(errno, EIO);
	assert_int_equal(sim_fault_count(abi->host), 0);
	assert_true(ask_number(abi, abi->kvm, KVM_GET_VCPU_MMAP_SIZE, 0) > 0);
}

static void test_fault_any_call_counts(void **state)
{
	struct abi *abi = *state;
	int vm;

	set(abi, "any", 3, ENOMEM, 0);
	vm = ask_number(abi, abi->kvm, KVM_CREATE_VM, 0);
	assert_true(vm >= 0);
	assert_int_equal(ask_number(abi, abi->kvm, KVM_GET_API_VERSION, 0), 12);
	assert_int_equal(ask_number(abi, vm, KVM_CREATE_VCPU, 0), -1);
	assert_int_equal(errno, ENOMEM);
	host_close(abi->host, vm);
}

static void test_fault_open_and_mmap_fail(void **state)
{
	struct abi *abi = *state;
	int vm = ask_number(abi, abi->kvm, KVM_CREATE_VM, 0), vcpu = ask_number(abi, vm, KVM_CREATE_VCPU, 0);
	int other;

	set(abi, "open", 1, EACCES, 0);
	set(abi, "mmap", 1, ENOMEM, 0);
	other = host_open(abi->host, "/dev/null", O_RDWR); /* the kernel's */
	assert_true(other >= 0);
	host_close(abi->host, other);
	assert_int_equal(host_open(abi->host, "/dev/kvm", O_RDWR), -1);
	assert_int_equal(errno, EACCES);
	assert_ptr_equal(host_mmap(abi->host, NULL, 4096, PROT_READ, MAP_SHARED, vcpu, 0), MAP_FAILED);
	assert_int_equal(errno, ENOMEM);
	host_close(abi->host, vcpu);
	host_close(abi->host, vm);
}

/* The guest does not notice: the next KVM_RUN goes on where the guest was. */
static void test_fault_failed_run_leaves_the_guest_alone(void **state)
{
	struct kvm_regs before, after;
	struct guest g;

	guest_open(&g, *state, 32, 1, GUEST_QUIET);
	in_dx(&g.code, 1);
	hlt(&g.code);
	assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_IO);
	ask(*state, g.vcpu[0], KVM_GET_REGS, &before);
	set(*state, "KVM_RUN", 1, EFAULT, 0);
	assert_int_equal(ask_number(*state, g.vcpu[0], KVM_RUN, 0), -1);
	assert_int_equal(errno, EFAULT);
	ask(*state, g.vcpu[0], KVM_GET_REGS, &after);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_HLT);
	ask(*state, g.vcpu[0], KVM_GET_REGS, &after);
	assert_int_equal(after.rax & 0xff, g.input & 0xff);
	guest_close(&g);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 * MS + (uint64_t)ts.tv_nsec;
}

static void test_fault_delayed_call_is_made(void **state)
{
	struct abi *abi = *state;
	uint64_t start = now_ns();

	set(abi, "KVM_GET_API_VERSION", 1, 0, 30 * MS);
	set(abi, "any", 1, 0, 20 * MS);
	assert_int_equal(ask_number(abi, abi->kvm, KVM_GET_API_VERSION, 0), 12);
	assert_true(now_ns() - start >= 50 * MS);
	assert_int_equal(sim_fault_count(abi->host), 0);
}

static void test_fault_that_makes_no_sense_is_refused(void **state)
{
	static const struct sim_fault rows[] = {{.call = "KVM_RUN", .nth = 0, .sys = EIO},
	        {.call = "KVM_RUNN", .nth = 1, .sys = EIO}, {.call = "", .nth = 1, .sys = EIO},
	        {.call = "close", .nth = 1, .sys = EIO}};
	struct abi *abi = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(sim_fault_set(abi->host, &rows[i], &err), -1);
	for (unsigned i = 0; i < SIM_FAULTS_MAX; i++)
		set(abi, "KVM_RUN", i + 1, EIO, 0);
	assert_int_equal(
	        sim_fault_set(abi->host, &(struct sim_fault){.call = "any", .nth = 1, .sys = EIO}, &err), -1);
	assert_int_equal(sim_fault_count(abi->host), SIM_FAULTS_MAX);
	sim_fault_clear(abi->host);
	assert_int_equal(sim_fault_count(abi->host), 0);
	assert_int_equal(ask_number(abi, abi->kvm, KVM_GET_API_VERSION, 0), 12);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, guest_bench_setup, guest_bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_fault_nth_call_of_a_name_fails_once),
	        TEST(test_fault_any_call_counts),
	        TEST(test_fault_open_and_mmap_fail),
	        TEST(test_fault_failed_run_leaves_the_guest_alone),
	        TEST(test_fault_delayed_call_is_made),
	        TEST(test_fault_that_makes_no_sense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
