/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that was added to an earlier incarnation: it is there from the next launch on, at the same
 * addresses, or there is no guest.
 */
#include "bench.h"
#include "vmm/device/dimms.h"

#define FIRST MIB(128)
#define NEXT  MIB(256)

static struct bench bench;
static struct err err;

static int setup(void **state)
{
	static const char *const sets[] = {"machine.memory-max=516M", NULL};
	static const struct device_events events;
	const struct machine_place place = {.host = &bench.kernel.host, .events = &events};
	struct machine_files files;

	bench_start(&bench);
	bench_config(&bench, "none", sets);
	assert_ok(bench_plan_on(&bench, &bench.kernel.host));
	files = launch_machine_files(bench.launch);
	assert_ok(machine_create(&place, bench.config, &files, &bench.machine, &err));
	return 0;
}

static int teardown(void **state)
{
	bench_end(&bench);
	assert_int_equal(bench.kernel.open_fds, 0);
	return 0;
}

/* The machine has two DIMMs, the second one at `second`, before it is launched. */
static int launch_with(uint64_t first_bytes, uint64_t second, uint64_t second_bytes)
{
	struct device_dimms *dimms = device_dimms_of(machine_board(bench.machine));

	device_dimms_add(dimms, gpa(GIB(4)), first_bytes);
	device_dimms_add(dimms, gpa(second), second_bytes);
	return launch_whole(bench.launch, bench.machine, &bench.vm, &err);
}

static void test_added_memory_is_there(void **state)
{
	const struct page_memory *memory;

	assert_int_equal(launch_with(FIRST, GIB(4) + FIRST, NEXT), 0);
	memory = machine_vm_memory(bench.vm);
	assert_int_equal(page_memory_plugged(memory), FIRST + NEXT);
	assert_true(page_is_memory(memory, gpa(GIB(4)), FIRST + NEXT, true));
	assert_false(page_is_memory(memory, gpa(GIB(4) + FIRST + NEXT), 1, true));
}

static void test_added_memory_at_another_address_is_refused(void **state)
{
	assert_fails(launch_with(FIRST, GIB(4) + NEXT, FIRST), ERR_FAILED,
	        "memory was added at 0x110000000 before the reset, and would be at 0x108000000 now");
}

static void test_added_memory_that_is_too_large_is_refused(void **state)
{
	assert_fails(launch_with(FIRST, GIB(4) + FIRST, GIB(1)), ERR_USAGE, "the guest can get 384 MiB more");
}

static void test_added_memory_that_is_no_block_is_refused(void **state)
{
	assert_fails(launch_with(0, GIB(4), FIRST), ERR_USAGE, "0 bytes cannot be added");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_added_memory_is_there, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                test_added_memory_at_another_address_is_refused, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                test_added_memory_that_is_too_large_is_refused, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                test_added_memory_that_is_no_block_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
