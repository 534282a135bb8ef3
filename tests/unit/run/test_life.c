/* SPDX-License-Identifier: Apache-2.0 */
#include "../../../src/run/life.h"
#include "support/test.h"

/* Applies a list of events to the table. Returns the state at the end. */
static enum run_life_state after(const enum run_life_event *events, size_t count)
{
	enum run_life_state state = RUN_LIFE_NEW;

	for (size_t i = 0; i < count; i++)
		state = run_life_step(state, events[i]).next;
	return state;
}

#define AFTER(...) \
	after((const enum run_life_event[]){__VA_ARGS__}, \
	        ARRAY_LEN(((const enum run_life_event[]){__VA_ARGS__})))

static void test_life_guest_that_powers_off_ends(void **state)
{
	assert_int_equal(AFTER(RUN_LIFE_START, RUN_LIFE_POWER_OFF, RUN_LIFE_STOPPED, RUN_LIFE_FLUSHED),
	        RUN_LIFE_ENDED);
	assert_int_equal(run_life_step(RUN_LIFE_FLUSHING, RUN_LIFE_FLUSHED).action, RUN_LIFE_FINISH);
}

static void test_life_reset_makes_a_new_guest(void **state)
{
	assert_int_equal(AFTER(RUN_LIFE_START, RUN_LIFE_RESET, RUN_LIFE_STOPPED), RUN_LIFE_RUNNING);
	assert_int_equal(run_life_step(RUN_LIFE_RESETTING, RUN_LIFE_STOPPED).action, RUN_LIFE_RELAUNCH);
}

static void test_life_first_term_presses_second_ends(void **state)
{
	assert_int_equal(run_life_step(RUN_LIFE_RUNNING, RUN_LIFE_TERM).action, RUN_LIFE_PRESS);
	assert_int_equal(AFTER(RUN_LIFE_START, RUN_LIFE_TERM), RUN_LIFE_CLOSING);
	assert_int_equal(AFTER(RUN_LIFE_START, RUN_LIFE_TERM, RUN_LIFE_TERM), RUN_LIFE_STOPPING);
	assert_int_equal(AFTER(RUN_LIFE_START, RUN_LIFE_TERM, RUN_LIFE_GRACE_OVER), RUN_LIFE_STOPPING);
	assert_int_equal(AFTER(RUN_LIFE_START, RUN_LIFE_TERM, RUN_LIFE_POWER_OFF, RUN_LIFE_GRACE_OVER),
	        RUN_LIFE_STOPPING);
}

static void test_life_crash_while_resetting_is_forgotten(void **state)
{
	assert_int_equal(AFTER(RUN_LIFE_START, RUN_LIFE_RESET, RUN_LIFE_CRASH), RUN_LIFE_RESETTING);
	assert_int_equal(
	        AFTER(RUN_LIFE_START, RUN_LIFE_RESET, RUN_LIFE_TERM, RUN_LIFE_STOPPED), RUN_LIFE_FLUSHING);
}

static void test_life_term_does_not_wait_for_the_console(void **state)
{
	assert_int_equal(
	        AFTER(RUN_LIFE_START, RUN_LIFE_POWER_OFF, RUN_LIFE_STOPPED, RUN_LIFE_TERM), RUN_LIFE_ENDED);
}

/* In any order of events the end is reached only through stopping, and no event leaves it. */
static void test_life_every_state_can_end(void **state)
{
	for (enum run_life_state s = RUN_LIFE_RUNNING; s < RUN_LIFE_ENDED; s++) {
		enum run_life_state now = s;

		now = run_life_step(now, RUN_LIFE_QUIT).next;
		now = run_life_step(now, RUN_LIFE_STOPPED).next;
		now = run_life_step(now, RUN_LIFE_FLUSHED).next;
		assert_int_equal(now, RUN_LIFE_ENDED);
		assert_non_null(run_life_state_name(s));
	}
	for (enum run_life_event e = RUN_LIFE_START; e < RUN_LIFE_EVENTS; e++) {
		assert_int_equal(run_life_step(RUN_LIFE_ENDED, e).next, RUN_LIFE_ENDED);
		assert_int_equal(run_life_step(RUN_LIFE_ENDED, e).action, RUN_LIFE_NOTHING);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_life_guest_that_powers_off_ends),
	        cmocka_unit_test(test_life_reset_makes_a_new_guest),
	        cmocka_unit_test(test_life_first_term_presses_second_ends),
	        cmocka_unit_test(test_life_crash_while_resetting_is_forgotten),
	        cmocka_unit_test(test_life_term_does_not_wait_for_the_console),
	        cmocka_unit_test(test_life_every_state_can_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
