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
	assert_int_equal(AFTER(RUN_LIFE_START, RUN_LIFE_LAUNCHED, RUN_LIFE_POWER_OFF, RUN_LIFE_STOPPED,
	                         RUN_LIFE_FLUSHED),
	        RUN_LIFE_ENDED);
	assert_int_equal(run_life_step(RUN_LIFE_FLUSHING, RUN_LIFE_FLUSHED).action, RUN_LIFE_FINISH);
}

static void test_life_reset_makes_a_new_guest(void **state)
{
	assert_int_equal(AFTER(RUN_LIFE_START, RUN_LIFE_LAUNCHED, RUN_LIFE_RESET, RUN_LIFE_STOPPED),
	        RUN_LIFE_LAUNCHING);
	assert_int_equal(run_life_step(RUN_LIFE_RESETTING, RUN_LIFE_STOPPED).action, RUN_LIFE_RELAUNCH);
}

static void test_life_first_term_presses_second_ends(void **state)
{
	assert_int_equal(run_life_step(RUN_LIFE_RUNNING, RUN_LIFE_TERM).action, RUN_LIFE_PRESS);
	assert_int_equal(AFTER(RUN_LIFE_START, RUN_LIFE_LAUNCHED, RUN_LIFE_TERM), RUN_LIFE_CLOSING);
	assert_int_equal(
	        AFTER(RUN_LIFE_START, RUN_LIFE_LAUNCHED, RUN_LIFE_TERM, RUN_LIFE_TERM), RUN_LIFE_STOPPING);
	assert_int_equal(AFTER(RUN_LIFE_START, RUN_LIFE_LAUNCHED, RUN_LIFE_TERM, RUN_LIFE_GRACE_OVER),
	        RUN_LIFE_STOPPING);
	assert_int_equal(AFTER(RUN_LIFE_START, RUN_LIFE_LAUNCHED, RUN_LIFE_TERM, RUN_LIFE_POWER_OFF,
	                         RUN_LIFE_GRACE_OVER),
	        RUN_LIFE_STOPPING);
}

static void test_life_crash_while_resetting_is_forgotten(void **state)
{
	assert_int_equal(
	        AFTER(RUN_LIFE_START, RUN_LIFE_LAUNCHED, RUN_LIFE_RESET, RUN_LIFE_CRASH), RUN_LIFE_RESETTING);
	assert_int_equal(
	        AFTER(RUN_LIFE_START, RUN_LIFE_LAUNCHED, RUN_LIFE_RESET, RUN_LIFE_TERM, RUN_LIFE_STOPPED),
	        RUN_LIFE_FLUSHING);
}

static void test_life_term_does_not_wait_for_the_console(void **state)
{
	assert_int_equal(
	        AFTER(RUN_LIFE_START, RUN_LIFE_LAUNCHED, RUN_LIFE_POWER_OFF, RUN_LIFE_STOPPED, RUN_LIFE_TERM),
	        RUN_LIFE_ENDED);
}

static void test_life_stop_during_the_launch_holds_the_guest(void **state)
{
	assert_int_equal(AFTER(RUN_LIFE_START, RUN_LIFE_PAUSE, RUN_LIFE_HOLDS), RUN_LIFE_HELD);
	assert_int_equal(
	        AFTER(RUN_LIFE_START, RUN_LIFE_PAUSE, RUN_LIFE_CONT, RUN_LIFE_LAUNCHED), RUN_LIFE_RUNNING);
	assert_int_equal(AFTER(RUN_LIFE_START_PAUSED, RUN_LIFE_LAUNCHED, RUN_LIFE_CONT, RUN_LIFE_LAUNCHED),
	        RUN_LIFE_RUNNING);
}

static void test_life_guest_is_paused_when_its_disks_are_quiet(void **state)
{
#define PARKED RUN_LIFE_START, RUN_LIFE_LAUNCHED, RUN_LIFE_PAUSE, RUN_LIFE_PARKED
	assert_int_equal(run_life_step(RUN_LIFE_PAUSING, RUN_LIFE_PARKED).action, RUN_LIFE_QUIETEN);
	assert_int_equal(AFTER(PARKED), RUN_LIFE_QUIETENING);
	assert_int_equal(AFTER(PARKED, RUN_LIFE_QUIET), RUN_LIFE_PAUSED);
	assert_int_equal(run_life_step(RUN_LIFE_QUIETENING, RUN_LIFE_QUIET).action, RUN_LIFE_TELL);
	/* Disks that become quiet for a stop that was taken back say nothing of the next one. */
	assert_int_equal(AFTER(PARKED, RUN_LIFE_CONT, RUN_LIFE_QUIET), RUN_LIFE_RUNNING);
	assert_int_equal(AFTER(PARKED, RUN_LIFE_CONT, RUN_LIFE_PAUSE, RUN_LIFE_QUIET), RUN_LIFE_PAUSING);
	assert_int_equal(AFTER(PARKED, RUN_LIFE_POWER_OFF), RUN_LIFE_STOPPING);
}

static void test_life_stop_and_cont_mean_the_same_again(void **state)
{
	for (enum run_life_state s = RUN_LIFE_NEW; s < RUN_LIFE_STATES; s++) {
		enum run_life_state once = run_life_step(s, RUN_LIFE_PAUSE).next,
		                    back = run_life_step(s, RUN_LIFE_CONT).next;

		assert_int_equal(run_life_step(once, RUN_LIFE_PAUSE).next, once);
		assert_int_equal(run_life_step(back, RUN_LIFE_CONT).next, back);
	}
}

static void test_life_paused_guest_is_reset_to_one_that_waits(void **state)
{
	static const enum run_life_state paused[] = {
	        RUN_LIFE_HOLDING, RUN_LIFE_HELD, RUN_LIFE_PAUSING, RUN_LIFE_QUIETENING, RUN_LIFE_PAUSED};

	for (size_t i = 0; i < ARRAY_LEN(paused); i++) {
		enum run_life_state now = run_life_step(paused[i], RUN_LIFE_RESET).next;

		now = run_life_step(now, RUN_LIFE_STOPPED).next;
		assert_int_equal(run_life_step(now, RUN_LIFE_LAUNCHED).next, RUN_LIFE_HELD);
	}
}

#define LEFT RUN_LIFE_START, RUN_LIFE_LAUNCHED, RUN_LIFE_LEAVE, RUN_LIFE_PARKED, RUN_LIFE_QUIET
static void test_life_guest_leaves_or_stays(void **state)
{
	assert_int_equal(AFTER(LEFT), RUN_LIFE_LEFT);
	assert_int_equal(AFTER(LEFT, RUN_LIFE_STAY), RUN_LIFE_RUNNING);
	assert_int_equal(AFTER(LEFT, RUN_LIFE_GIVE), RUN_LIFE_GIVEN);
	/* The move is over before the guest was stopped for it. */
	assert_int_equal(
	        AFTER(RUN_LIFE_START, RUN_LIFE_LAUNCHED, RUN_LIFE_LEAVE, RUN_LIFE_STAY), RUN_LIFE_RUNNING);
	assert_int_equal(AFTER(PARKED, RUN_LIFE_QUIET, RUN_LIFE_LEAVE), RUN_LIFE_LEFT);
	assert_int_equal(
	        AFTER(PARKED, RUN_LIFE_QUIET, RUN_LIFE_LEAVE, RUN_LIFE_STAY_PAUSED), RUN_LIFE_PAUSED);
	/* What the guest did just before it was parked still counts. */
	assert_int_equal(AFTER(RUN_LIFE_START, RUN_LIFE_LAUNCHED, RUN_LIFE_LEAVE, RUN_LIFE_POWER_OFF),
	        RUN_LIFE_STOPPING);
	assert_int_equal(
	        AFTER(RUN_LIFE_START, RUN_LIFE_LAUNCHED, RUN_LIFE_LEAVE, RUN_LIFE_RESET), RUN_LIFE_RESETTING);
}

/* A guest that was given away would run twice. */
static void test_life_given_guest_never_runs_by_itself(void **state)
{
	for (enum run_life_event e = RUN_LIFE_START; e < RUN_LIFE_EVENTS; e++) {
		enum run_life_state next = run_life_step(RUN_LIFE_GIVEN, e).next;

		if (e != RUN_LIFE_STAY && e != RUN_LIFE_STAY_PAUSED)
			assert_true(next == RUN_LIFE_GIVEN || next == RUN_LIFE_STOPPING);
	}
}

static void test_life_awaited_guest_runs_when_it_is_here(void **state)
{
#define AWAITING RUN_LIFE_START_EMPTY, RUN_LIFE_LAUNCHED
	assert_int_equal(AFTER(AWAITING), RUN_LIFE_AWAITING);
	assert_int_equal(run_life_step(RUN_LIFE_ARRIVING, RUN_LIFE_LAUNCHED).action, RUN_LIFE_HOLD);
	assert_int_equal(AFTER(AWAITING, RUN_LIFE_CONT, RUN_LIFE_RESET, RUN_LIFE_PAUSE, RUN_LIFE_PARKED),
	        RUN_LIFE_AWAITING);
	assert_int_equal(AFTER(AWAITING, RUN_LIFE_ARRIVE), RUN_LIFE_RUNNING);
	assert_int_equal(AFTER(AWAITING, RUN_LIFE_ARRIVE_PAUSED), RUN_LIFE_PAUSED);
	assert_int_equal(AFTER(AWAITING, RUN_LIFE_FAIL), RUN_LIFE_STOPPING);
}

/* In any order of events the end is reached only through stopping, and no event leaves it. */
static void test_life_every_state_can_end(void **state)
{
	for (enum run_life_state s = RUN_LIFE_LAUNCHING; s < RUN_LIFE_ENDED; s++) {
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
	        cmocka_unit_test(test_life_stop_during_the_launch_holds_the_guest),
	        cmocka_unit_test(test_life_guest_is_paused_when_its_disks_are_quiet),
	        cmocka_unit_test(test_life_stop_and_cont_mean_the_same_again),
	        cmocka_unit_test(test_life_paused_guest_is_reset_to_one_that_waits),
	        cmocka_unit_test(test_life_guest_leaves_or_stays),
	        cmocka_unit_test(test_life_given_guest_never_runs_by_itself),
	        cmocka_unit_test(test_life_awaited_guest_runs_when_it_is_here),
	        cmocka_unit_test(test_life_every_state_can_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
