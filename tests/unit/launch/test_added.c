/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that was added on another host: it is there from the launch on, at the same addresses, or there is
 * no guest. */
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

/* Gives the machine two DIMMs, the second one at `second`, as another host would, and launches. */
static int launch_with(uint64_t first_bytes, uint64_t second, uint64_t second_bytes)
{
	uint8_t bytes[4 + 4 * 8];
	struct vmstate s;

	store_le(bytes, 4, 2);
	store_le(bytes + 4, 8, GIB(4));
	store_le(bytes + 12, 8, first_bytes);
	store_le(bytes + 20, 8, second);
	store_le(bytes + 28, 8, second_bytes);
	s = vmstate_load("memory slots", bytes, sizeof(bytes));
	device_dimms_visit(device_dimms_of(machine_board(bench.machine)), &s);
	assert_ok(vmstate_end(&s, &err));
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
	        "memory was added at 0x110000000 on the other host, and would be at 0x108000000 here");
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
