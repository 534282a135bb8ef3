/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conditions under which vmm says that a guest spins, with figures of each look made by hand. There is no
 * guest and no clock.
 */
#include "../../../src/run/spin.h"
#include "support/test.h"

#define LOOK_NS (RUN_SPIN_LOOK_S * 1000000000ull)
#define LOOKS   (RUN_SPIN_TELL_S / RUN_SPIN_LOOK_S) /* looks before a busy vCPU is reported */

static struct run_spin_record record;
static uint64_t wall_ns, exits, cpu_ns[2];

static int setup(void **state)
{
	record = (struct run_spin_record){0};
	wall_ns = 5;
	exits = 1000;
	cpu_ns[0] = cpu_ns[1] = 0;
	return 0;
}

/* Looks again after RUN_SPIN_LOOK_S in which the two vCPUs used these percentages of a processor. */
static unsigned look(unsigned first, unsigned second)
{
	wall_ns += LOOK_NS;
	cpu_ns[0] += LOOK_NS / 100 * first;
	cpu_ns[1] += LOOK_NS / 100 * second;
	return run_spin_look(&record, wall_ns, exits, cpu_ns, 2);
}

static void assert_quiet(unsigned looks, unsigned first, unsigned second)
{
	for (unsigned i = 0; i < looks; i++)
		assert_int_equal(look(first, second), 0);
}

static void test_spin_is_told_once_and_with_its_vcpus(void **state)
{
	assert_quiet(LOOKS, 100, 0); /* the first look is where it starts */
	assert_int_equal(look(100, 0), 1);
	assert_quiet(10 * LOOKS, 100, 100);
}

static void test_spin_of_all_vcpus_is_counted(void **state)
{
	assert_quiet(LOOKS, 100, 100);
	assert_int_equal(look(100, 100), 2);
}

static void test_spin_any_use_of_a_device_starts_anew(void **state)
{
	for (unsigned i = 0; i < 20; i++) {
		assert_quiet(LOOKS, 100, 100);
		exits++;
	}
	assert_quiet(LOOKS, 100, 100);
	assert_int_equal(look(100, 100), 2);
}

static void test_spin_idle_guest_is_never_told(void **state)
{
	assert_quiet(10000, 2, 0);
	assert_quiet(10000, 49, 49);
}

static void test_spin_guest_that_pauses_starts_anew(void **state)
{
	for (unsigned i = 0; i < 20; i++) {
		assert_quiet(LOOKS - 1, 100, 0);
		assert_quiet(1, 30, 0);
	}
}

/* Where processors are short, the guest's own processor time counts, not the clock's. */
static void test_spin_on_a_busy_host_is_told_later(void **state)
{
	assert_quiet(1, 50, 0);
	assert_quiet(2 * LOOKS - 1, 50, 0);
	assert_int_equal(look(50, 0), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
	        TEST(test_spin_is_told_once_and_with_its_vcpus),
	        TEST(test_spin_of_all_vcpus_is_counted),
	        TEST(test_spin_any_use_of_a_device_starts_anew),
	        TEST(test_spin_idle_guest_is_never_told),
	        TEST(test_spin_guest_that_pauses_starts_anew),
	        TEST(test_spin_on_a_busy_host_is_told_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
