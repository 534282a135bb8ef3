/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SEV guests without helpers move by the secure processors of both hosts: each page comes, as what it was
 * when the guest was stopped. A guest that stays can be sent again, whatever has happened.
 */
#include "harm.h"
#include "sent.h"

static int setup(void **state)
{
	fake_start(&kernel);
	employ_processors();
	return 0;
}

static void move_both(void)
{
	move(NO_HARM, 0, 0, 0, false);
	check_outcome();
}

static void assert_comes(void)
{
	move_both();
	if (source.result != MIGRATE_GONE)
		fail_msg("%s; %s", source.err.text, target.err.text);
	assert_int_equal(target.result, MIGRATE_GONE);
	assert_memory_equal(source_sev.own + FIRMWARE_AT, target_sev.own + FIRMWARE_AT, FIRMWARE);
}

static void test_sent_guest_comes_over(void **state)
{
	make_guests();
	source.rounds = 3;
	assert_comes();
	assert_int_equal(source_psp.finished, 1);
	assert_int_equal(source_psp.cancelled, 0);
	/* Those that changed hands, of which the last two were found by the record alone. */
	assert_false(is_own(&target, 500 * PAGE_SIZE_BYTES));
	assert_false(is_own(&target, 600 * PAGE_SIZE_BYTES));
	assert_int_equal(target_sev.own[(SHARED_FIRST + 1) * PAGE_SIZE_BYTES], 0x52);
	assert_int_equal(target_sev.own[(SHARED_FIRST + 2) * PAGE_SIZE_BYTES], 0x62);
	assert_int_equal(source.progress.data_pages + source.progress.zero_pages, PAGES + 2 + 2 + 2);
	free_guests();
}

static void assert_stays(const char *at_source, const char *at_target)
{
	move_both();
	assert_int_equal(source.result, MIGRATE_STAYS);
	assert_int_equal(target.result, MIGRATE_STAYS);
	if (!strstr(source.err.text, at_source) || !strstr(target.err.text, at_target))
		fail_msg("\"%s\", \"%s\"", source.err.text, target.err.text);
	/* No page was sent. */
	assert_int_equal(source.progress.pass, 0);
	free_guests();
}

static void test_sent_guest_goes_to_nobody_else(void **state)
{
	make_guests();
	memset(&target_psp.chain.pdh, PDH(2), sizeof(target_psp.chain.pdh));
	assert_stays("nobody's PDH", "gave up: that is nobody's PDH");
	assert_false(target.side.touched);
	make_guests();
	target_psp.chain.amd_bytes = 0;
	assert_stays("nobody's PDH", "nobody's PDH");
	make_guests();
	memset(&source_psp.chain.pdh, PDH(2), sizeof(source_psp.chain.pdh));
	assert_stays("gave up: BAD_MEASUREMENT", "BAD_MEASUREMENT");
	assert_false(target.side.touched);
	make_guests();
	source_psp.seam.policy = 3;
	assert_stays("no session for a guest of this policy", "no session for a guest of this policy");
	make_guests();
	source_psp.refusal = "not this one";
	assert_stays("not this one", "not this one");
	make_guests();
	target_psp.refusal = "not here";
	assert_stays("gave up: not here", "not here");
}

static int forbid_and_stop(void *ctx, struct err *err)
{
	source_psp.refusal = "it says no now";
	return sev_stop(ctx, err);
}

static void test_sent_guest_that_takes_its_word_back_is_sent_later(void **state)
{
	make_guests();
	source.seam.stop = forbid_and_stop;
	move_both();
	assert_int_equal(source.result, MIGRATE_STAYS);
	assert_non_null(strstr(source.err.text, "it says no now"));
	assert_int_equal(source_psp.cancelled, 1);
	/* To another target, with keys of its own. */
	source_psp.refusal = NULL;
	source.seam.stop = sev_stop;
	source.stopped = false;
	memset(&source.progress, 0, sizeof(source.progress));
	memset(&target.progress, 0, sizeof(target.progress));
	target_psp.state = EMPTY;
	assert_comes();
	assert_int_equal(source_psp.began, 2);
	free_guests();
}

static void test_sent_connection_is_cut(void **state)
{
	harm_all(CUT, 0, 1);
	harm_all(CUT, 1, 1);
}

static void test_sent_frames_are_harmed(void **state)
{
	harm_all(FLIP, 0, 6);
	harm_all(TWICE, 0, 1);
	harm_all(SWAP, 0, 1);
	harm_all(DROP, 1, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_sent_guest_comes_over),
	        cmocka_unit_test(test_sent_guest_goes_to_nobody_else),
	        cmocka_unit_test(test_sent_guest_that_takes_its_word_back_is_sent_later),
	        cmocka_unit_test(test_sent_connection_is_cut),
	        cmocka_unit_test(test_sent_frames_are_harmed),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
