#include "../../../src/run/life.h"
#include "support/test.h"

/* Walks the table along a story; returns the state at its end. */
static enum life_state after(const enum life_event *events, size_t count)
{
	enum life_state state = LIFE_NEW;

	for (size_t i = 0; i < count; i++)
		state = life_step(state, events[i]).next;
	return state;
}

#define AFTER(...) \
	after((const enum life_event[]){__VA_ARGS__}, ARRAY_LEN(((const enum life_event[]){__VA_ARGS__})))

static void test_life_guest_that_powers_off_ends(void **state)
{
	assert_int_equal(AFTER(LIFE_START, LIFE_POWER_OFF, LIFE_STOPPED, LIFE_FLUSHED), LIFE_ENDED);
	assert_int_equal(life_step(LIFE_FLUSHING, LIFE_FLUSHED).action, LIFE_FINISH);
}

static void test_life_reset_makes_a_new_guest(void **state)
{
	assert_int_equal(AFTER(LIFE_START, LIFE_RESET, LIFE_STOPPED), LIFE_RUNNING);
	assert_int_equal(life_step(LIFE_RESETTING, LIFE_STOPPED).action, LIFE_RELAUNCH);
}

static void test_life_first_term_presses_second_ends(void **state)
{
	assert_int_equal(life_step(LIFE_RUNNING, LIFE_TERM).action, LIFE_PRESS);
	assert_int_equal(AFTER(LIFE_START, LIFE_TERM), LIFE_CLOSING);
	assert_int_equal(AFTER(LIFE_START, LIFE_TERM, LIFE_TERM), LIFE_STOPPING);
	assert_int_equal(AFTER(LIFE_START, LIFE_TERM, LIFE_GRACE_OVER), LIFE_STOPPING);
	assert_int_equal(AFTER(LIFE_START, LIFE_TERM, LIFE_POWER_OFF, LIFE_GRACE_OVER), LIFE_STOPPING);
}

static void test_life_crash_while_resetting_is_forgotten(void **state)
{
	assert_int_equal(AFTER(LIFE_START, LIFE_RESET, LIFE_CRASH), LIFE_RESETTING);
	assert_int_equal(AFTER(LIFE_START, LIFE_RESET, LIFE_TERM, LIFE_STOPPED), LIFE_FLUSHING);
}

static void test_life_term_does_not_wait_for_the_console(void **state)
{
	assert_int_equal(AFTER(LIFE_START, LIFE_POWER_OFF, LIFE_STOPPED, LIFE_TERM), LIFE_ENDED);
}

/* Whatever happens in whatever order, the end is reached by stopping, and nothing leaves it. */
static void test_life_every_state_can_end(void **state)
{
	for (enum life_state s = LIFE_RUNNING; s < LIFE_ENDED; s++) {
		enum life_state now = s;

		now = life_step(now, LIFE_QUIT).next;
		now = life_step(now, LIFE_STOPPED).next;
		now = life_step(now, LIFE_FLUSHED).next;
		assert_int_equal(now, LIFE_ENDED);
		assert_non_null(life_state_name(s));
	}
	for (enum life_event e = LIFE_START; e < LIFE_EVENTS; e++) {
		assert_int_equal(life_step(LIFE_ENDED, e).next, LIFE_ENDED);
		assert_int_equal(life_step(LIFE_ENDED, e).action, LIFE_NOTHING);
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
