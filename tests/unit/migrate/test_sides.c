/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest goes from one side to the other, and whatever happens to the connection: never do both run it, and
 * one that runs on the other side has the memory that it had.
 */
#include "harm.h"

static int setup(void **state)
{
	fake_start(&kernel);
	return 0;
}

/* ---- memory that runs out ---- */

static bool runs_out(void)
{
	if (!own || !own->fails_at)
		return false;
	own->allocations++;
	return own->fails_on ? own->allocations >= own->fails_at : own->allocations == own->fails_at;
}

#define ALLOCATES(name, values, ...) \
	void *__real_##name(__VA_ARGS__); \
	void *__wrap_##name(__VA_ARGS__); \
	void *__wrap_##name(__VA_ARGS__) \
	{ \
		return runs_out() ? NULL : __real_##name values; \
	}
ALLOCATES(malloc, (size), size_t size)
ALLOCATES(calloc, (count, size), size_t count, size_t size)
ALLOCATES(realloc, (at, size), void *at, size_t size)
ALLOCATES(reallocarray, (at, count, size), void *at, size_t count, size_t size)

/* ---- a wall clock that somebody sets ---- */

static _Atomic time_t wall_jumps_s;

int __real_clock_gettime(clockid_t id, struct timespec *ret_now);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret_now);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret_now)
{
	int result = __real_clock_gettime(id, ret_now);

	if (id == CLOCK_REALTIME && wall_jumps_s)
		ret_now->tv_sec += wall_jumps_s += 3600;
	return result;
}

/* ---- moves ---- */

static void test_sides_move_a_guest(void **state)
{
	make_guests();
	source.rounds = 3;
	move(NO_HARM, 0, 0, 0, false);
	if (source.result != MIGRATE_GONE)
		fail_msg("%s", source.err.text);
	check_outcome();
	assert_int_equal(target.result, MIGRATE_GONE);
	/* Once with all pages, once with the last two that were written. */
	assert_int_equal(source.progress.pass, 2);
	assert_int_equal(source.progress.data_pages + source.progress.zero_pages, PAGES + 2);
	assert_int_equal(source.progress.zero_pages, (RAM / PAGE_SIZE_BYTES + 1) / 3 + 4 + 1);
	free_guests();
}

static void test_sides_send_the_rest_while_the_guest_is_stopped(void **state)
{
	char words[13];

	make_guests();
	source.rounds = 3;
	source.writes_last = true;
	move(NO_HARM, 0, 0, 0, false);
	check_outcome();
	assert_int_equal(source.result, MIGRATE_GONE);
	assert_true(source.stopped);
	/* Two that were written before the last pass, and what nobody had seen until the guest was stopped.
	 */
	assert_int_equal(source.progress.pass, 2);
	assert_int_equal(target.progress.pass, 2);
	assert_int_equal(source.progress.data_pages + source.progress.zero_pages, PAGES + 2 + LAST_FRAMES);
	assert_int_equal(page_read(target.memory, gpa((LAST_FRAME + LAST_FRAMES - 1) * PAGE_SIZE_BYTES),
	                         words, sizeof(words)),
	        0);
	assert_string_equal(words, "written last");
	free_guests();
}

static void test_sides_cut(void **state)
{
	harm_all(CUT, 0, 1);
	harm_all(CUT, 1, 1);
}

static void test_sides_cut_inside(void **state)
{
	harm_all(CUT_INSIDE, 0, 1);
	harm_all(CUT_INSIDE, 1, 1);
}

static void test_sides_flipped_bits(void **state)
{
	harm_all(FLIP, 0, 6);
	harm_all(FLIP, 1, 6);
}

static void test_sides_dropped_frames(void **state)
{
	harm_all(DROP, 0, 1);
	harm_all(DROP, 1, 1);
}

static void test_sides_frames_twice(void **state)
{
	harm_all(TWICE, 0, 1);
	harm_all(TWICE, 1, 1);
}

static void test_sides_frames_in_another_order(void **state)
{
	harm_all(SWAP, 0, 1);
	harm_all(SWAP, 1, 1);
}

/* ---- traps of moves ---- */

/* That all was written to a socket is not that it was read. */
static void test_sides_trap_only_ready_counts(void **state)
{
	make_guests();
	assert_true(move(CUT, 1, 2, 0, false)); /* behind HELLO and PLAN: READY */
	check_outcome();
	assert_true(target.said_ready);
	assert_int_equal(target.result, MIGRATE_DOUBT);
	assert_int_equal(source.result, MIGRATE_STAYS);
	assert_false(source.gave);
	free_guests();
}

/* Limits are those of the monotonic clock, whatever the wall clock says. */
static void test_sides_trap_wall_clock_that_jumps(void **state)
{
	make_guests();
	source.rounds = 2;
	source.limits.bytes_per_s = MIB(64);
	wall_jumps_s = 1;
	move(NO_HARM, 0, 0, 0, false);
	wall_jumps_s = 0;
	check_outcome();
	assert_int_equal(source.result, MIGRATE_GONE);
	assert_in_range(source.progress.expected_ms, 0, 60000);
	free_guests();
}

/* A guest of zeros is few bytes, and as many pages as any other. */
static void test_sides_trap_zero_pages_hide_in_bytes(void **state)
{
	static const uint8_t zeros[PAGE_SIZE_BYTES];

	make_guests();
	for (uint64_t at = 0; at < RAM; at += sizeof(zeros))
		assert_int_equal(page_write(source.memory, gpa(at), zeros, sizeof(zeros)), 0);
	move(NO_HARM, 0, 0, 0, false);
	check_outcome();
	assert_int_equal(source.result, MIGRATE_GONE);
	assert_int_equal(source.progress.zero_pages, PAGES);
	assert_int_equal(source.progress.data_pages, 0);
	assert_int_equal(target.progress.data_pages, PAGES);
	assert_in_range(source.side.wire.sent_bytes, 1, KIB(16));
	assert_int_equal(source.progress.left_pages, 0);
	free_guests();
}

/* Cuts the connection at one message after the other, until both sides are in doubt: COMMIT is lost. */
static void make_doubt(void)
{
	unsigned at = 0;

	do {
		if (at)
			free_guests();
		make_guests();
		assert_true(move(CUT, 0, at++, 0, false));
		check_outcome();
	} while (source.result != MIGRATE_DOUBT);
	assert_int_equal(target.result, MIGRATE_DOUBT);
}

/* Only the source of this very move may end a target's doubt. */
static void test_sides_trap_two_moves_of_one_target(void **state)
{
	make_doubt();
	source.side.id[0] ^= 1;
	move(NO_HARM, 0, 0, 0, true);
	assert_non_null(strstr(target.err.text, "speaks of another move"));
	assert_int_equal(source.result, MIGRATE_DOUBT);
	assert_int_equal(target.result, MIGRATE_DOUBT);
	check_outcome();
	source.side.id[0] ^= 1;
	move(NO_HARM, 0, 0, 0, true);
	assert_int_equal(source.result, MIGRATE_GONE);
	check_outcome();
	free_guests();
}

/* Both are in doubt, because COMMIT is lost; then the target's disk is gone, and it gives the guest back. */
static void test_sides_guest_that_stays_after_a_doubt(void **state)
{
	make_doubt();
	target.disk_missing = true;
	move(NO_HARM, 0, 0, 0, true);
	assert_int_equal(target.result, MIGRATE_STAYS);
	assert_int_equal(source.result, MIGRATE_STAYS);
	assert_non_null(strstr(source.err.text, "the other vmm gave up: the disk is missing"));
	check_outcome();
	free_guests();
}

/* Each allocation of a side fails, or it and all behind it. Returns how many there are. */
static unsigned starve_all(struct guest *side, bool fails_on)
{
	unsigned at = 0;

	do {
		make_guests();
		source.rounds = 2;
		side->fails_at = ++at;
		side->fails_on = fails_on;
		move(NO_HARM, 0, 0, 0, false);
		check_outcome();
		if (source.runs == target.runs)
			fail_msg("allocation %u failed: %s; %s", at, source.err.text, target.err.text);
		if (side->allocations >= at)
			assert_int_equal(source.result, MIGRATE_STAYS);
		else
			assert_int_equal(source.result, MIGRATE_GONE);
		free_guests();
		assert_true(at < 1000);
	} while (side->allocations >= at);
	return at - 1;
}

/* Nothing is allocated behind READY, so memory that runs out leaves no doubt. */
static void test_sides_without_memory(void **state)
{
	for (unsigned fails_on = 0; fails_on < 2; fails_on++) {
		/* The map of written pages, and a state for each part. */
		assert_true(starve_all(&source, fails_on) >= 1 + 1 + VCPUS + 1 + DEVICES);
		assert_true(starve_all(&target, fails_on) >= 1);
	}
}

static void test_sides_target_that_cannot_take_the_guest(void **state)
{
	make_guests();
	target.disk_missing = true;
	move(NO_HARM, 0, 0, 0, false);
	check_outcome();
	assert_int_equal(source.result, MIGRATE_STAYS);
	assert_int_equal(target.result, MIGRATE_STAYS);
	assert_non_null(strstr(source.err.text, "the other vmm gave up: the disk is missing"));
	free_guests();
}

static void test_sides_with_different_guests(void **state)
{
	make_guests();
	target.seam.plan = "memory = 8\nvcpus = 2\n";
	move(NO_HARM, 0, 0, 0, false);
	check_outcome();
	assert_int_equal(source.result, MIGRATE_STAYS);
	assert_non_null(strstr(source.err.text, "memory is 8 here and 4 there"));
	free_guests();
}

static void test_sides_cancelled(void **state)
{
	make_guests();
	source.cancelled = true;
	move(NO_HARM, 0, 0, 0, false);
	check_outcome();
	assert_int_equal(source.result, MIGRATE_STAYS);
	free_guests();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_sides_move_a_guest),
	        cmocka_unit_test(test_sides_send_the_rest_while_the_guest_is_stopped),
	        cmocka_unit_test(test_sides_cut),
	        cmocka_unit_test(test_sides_cut_inside),
	        cmocka_unit_test(test_sides_flipped_bits),
	        cmocka_unit_test(test_sides_dropped_frames),
	        cmocka_unit_test(test_sides_frames_twice),
	        cmocka_unit_test(test_sides_frames_in_another_order),
	        cmocka_unit_test(test_sides_trap_only_ready_counts),
	        cmocka_unit_test(test_sides_trap_wall_clock_that_jumps),
	        cmocka_unit_test(test_sides_trap_zero_pages_hide_in_bytes),
	        cmocka_unit_test(test_sides_trap_two_moves_of_one_target),
	        cmocka_unit_test(test_sides_guest_that_stays_after_a_doubt),
	        cmocka_unit_test(test_sides_without_memory),
	        cmocka_unit_test(test_sides_target_that_cannot_take_the_guest),
	        cmocka_unit_test(test_sides_with_different_guests),
	        cmocka_unit_test(test_sides_cancelled),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
