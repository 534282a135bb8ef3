/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's half of the migration helper: what it does after refusals, when it is cancelled, and when the
 * helper fails.
 */
#include <pthread.h>
#include <signal.h>

#include "move.h"

/* ---- refusals ---- */

static void test_half_goes_on_with_another_move_after_a_refusal(void **state)
{
	unsigned done;

	start_both();
	seal(&source, ARRAY_LEN(records));
	records[HELPER_SLOTS + 3].tag[0] ^= 1;
	assert_fails(mirror_helper_open(target.helper, records, ARRAY_LEN(records), &done, &err), ERR_USAGE,
	        "the page at 0x63000: the migration helper refuses: it was changed");
	assert_int_equal(done, HELPER_SLOTS + 3);
	assert_has_no_keys(&target);
	agree();
	seal(&source, ARRAY_LEN(records));
	assert_opens(records, ARRAY_LEN(records));
	seal(&target, 1);

	records[3] = page_record(HELPER_GPA); /* the source refuses */
	assert_fails(mirror_helper_seal(source.helper, records, 9, &done, &err), ERR_USAGE,
	        "it may not touch that address");
	assert_int_equal(done, 3);
	assert_has_no_keys(&source);
	agree();
	seal(&source, 9);
	assert_opens(records, 9);
}

static void test_half_touches_the_guests_pages_alone(void **state)
{
	static const uint64_t not_its[] = {HELPER_GPA, HELPER_SECRET_GPA, HELPER_RING_GPA, HELPER_GAP_FIRST,
	        HELPER_GAP_END - HELPER_PAGE_BYTES, TEXT_GPA + 1, HELPER_REACH_BYTES,
	        HELPER_WINDOW + HELPER_GPA, UINT64_C(1) << 51 | TEXT_GPA, UINT64_MAX & ~0xfffull};
	unsigned done;

	start_both();
	for (size_t i = 0; i < ARRAY_LEN(not_its); i++) {
		agree();
		records[0] = page_record(not_its[i]);
		assert_fails(mirror_helper_seal(source.helper, records, 1, &done, &err), ERR_USAGE,
		        "it may not touch that address");
	}
	agree();
	seal(&source, 1);
	records[0] = page_record(MIB(64)); /* the guest has 4 MiB */
	assert_fails(mirror_helper_seal(source.helper, records, 1, &done, &err), ERR_FAILED,
	        "used 0x4000000, where it has no memory");
	assert_fails(
	        mirror_helper_seal(source.helper, records, 1, &done, &err), ERR_FAILED, "has failed before");
}

static void test_half_is_new_after_a_reset(void **state)
{
	start_both();
	launch_end(source.bench.launch);
	assert_null(launch_helper(source.bench.launch));
	side_begin(&source);
	side_inject_root(&source, root_key);
	side_finish(&source);
	side_step(&source);
	assert_has_no_keys(&source);
	agree();
	seal(&source, 1);
	assert_opens(records, 1);
}

/* ---- another program in place of the helper ---- */

static uint8_t other_image[HELPER_IMAGE_BYTES];

/* Launches the source with another image in place of the helper. */
static void start_with(const uint8_t *image)
{
	struct launch_plan *plan;

	side_prepare(&source, &milan, first_text);
	plan = source.bench.launch->plan;
	for (unsigned i = 0; i < plan->count; i++) {
		if (plan->items[i].data == mirror_helper_image)
			plan->items[i].data = image;
	}
	side_begin(&source);
	side_inject_root(&source, root_key);
	side_finish(&source);
}

/* ---- cancels ---- */

static void on_kick(int signal)
{
}

static void catch_kicks(void)
{
	const struct sigaction action = {.sa_handler = on_kick};

	sigaction(SIGUSR1, &action, NULL);
}

static _Atomic bool enough;

/* A cancel that comes before the hello is forgotten, so there are several. */
static void *cancel_often(void *ctx)
{
	while (!enough) {
		usleep(20000);
		mirror_helper_cancel(source.helper);
	}
	return NULL;
}

static pthread_t start_canceller(void)
{
	pthread_t thread;

	catch_kicks();
	enough = false;
	assert_int_equal(pthread_create(&thread, NULL, cancel_often, NULL), 0);
	return thread;
}

static void end_canceller(pthread_t thread)
{
	enough = true;
	pthread_join(thread, NULL);
}

static void test_half_can_be_cancelled_by_another_thread(void **state)
{
	pthread_t thread;
	unsigned done = 0;

	start_both();
	thread = start_canceller();
	do {
		for (unsigned i = 0; i < ARRAY_LEN(records); i++)
			records[i] = page_record(TEXT_GPA + i * HELPER_PAGE_BYTES);
	} while (mirror_helper_seal(source.helper, records, ARRAY_LEN(records), &done, &err) == 0);
	end_canceller(thread);
	assert_int_equal(err.kind, ERR_USAGE);
	assert_string_equal(err.text, "the move was cancelled");
	assert_true(done < ARRAY_LEN(records));
	assert_ok(mirror_helper_forget(source.helper, &err));

	/* Also what comes later, until the next hello: nothing of it reaches the helper. */
	assert_fails(mirror_helper_seal(source.helper, records, 1, &done, &err), ERR_USAGE, "was cancelled");
	assert_fails(mirror_helper_agree(source.helper, &terms, &err), ERR_USAGE, "was cancelled");
	agree();
	seal(&source, 1);
	assert_opens(records, 1);
	assert_says(&target, first_text);
}

/* Without the cancel this would take MIRROR_HELPER_LIMIT_NS. */
static void test_half_that_does_not_stop_has_failed(void **state)
{
	struct helper_hello hello;
	pthread_t thread;

	memcpy(other_image, mirror_helper_image, sizeof(other_image));
	memcpy(other_image, "\xeb\xfe", 2); /* jmp $ */
	start_with(other_image);
	thread = start_canceller();
	assert_fails(mirror_helper_hello(source.helper, &hello, &err), ERR_FAILED,
	        "does not answer: it has run for 1000 ms");
	end_canceller(thread);
	assert_fails(mirror_helper_hello(source.helper, &hello, &err), ERR_FAILED, "has failed before");
}

/* ---- helpers that fail ---- */

static void test_half_that_does_not_answer_is_kicked(void **state)
{
	struct helper_hello hello;

	catch_kicks();
	memcpy(other_image, mirror_helper_image, sizeof(other_image));
	memcpy(other_image, "\xeb\xfe", 2); /* jmp $ */
	start_with(other_image);
	mirror_helper_set_limit(source.helper, 20000000);
	assert_fails(mirror_helper_hello(source.helper, &hello, &err), ERR_FAILED,
	        "does not answer: it has run for 20 ms");
	assert_fails(mirror_helper_hello(source.helper, &hello, &err), ERR_FAILED, "has failed before");
}

static void test_half_that_halts_without_an_answer_is_noticed(void **state)
{
	struct helper_hello hello;

	memcpy(other_image, mirror_helper_image, sizeof(other_image));
	other_image[0] = 0xf4; /* hlt */
	start_with(other_image);
	assert_fails(
	        mirror_helper_hello(source.helper, &hello, &err), ERR_FAILED, "halted before it answered");
}

/* RDRAND becomes UD2. */
static void test_half_tells_of_an_exception(void **state)
{
	struct helper_hello hello;
	uint8_t *rdrand;

	memcpy(other_image, mirror_helper_image, sizeof(other_image));
	rdrand = memmem(other_image, 4 * HELPER_PAGE_BYTES, "\x48\x0f\xc7", 3);
	assert_non_null(rdrand);
	memcpy(rdrand, "\x0f\x0b\x90", 3);
	start_with(other_image);
	assert_fails(mirror_helper_hello(source.helper, &hello, &err), ERR_FAILED,
	        "met exception 6, error code 0x0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_teardown(test_half_goes_on_with_another_move_after_a_refusal, end_both),
	        cmocka_unit_test_teardown(test_half_touches_the_guests_pages_alone, end_both),
	        cmocka_unit_test_teardown(test_half_is_new_after_a_reset, end_both),
	        cmocka_unit_test_teardown(test_half_can_be_cancelled_by_another_thread, end_both),
	        cmocka_unit_test_teardown(test_half_that_does_not_stop_has_failed, end_both),
	        cmocka_unit_test_teardown(test_half_that_does_not_answer_is_kicked, end_both),
	        cmocka_unit_test_teardown(test_half_that_halts_without_an_answer_is_noticed, end_both),
	        cmocka_unit_test_teardown(test_half_tells_of_an_exception, end_both),
	};

	log_set_level(LOG_ERROR);
	if (crypto_load(&err) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
