/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SEV guests move by their helpers: each page comes, as what it was when the guest was stopped. Whatever
 * happens to the connection, and whatever a hostile source sends, no guest runs on anything else.
 */
#include "harm.h"
#include "sealed.h"

static int setup(void **state)
{
	fake_start(&kernel);
	confide();
	return 0;
}

static void move_both(void)
{
	move(NO_HARM, 0, 0, 0, false);
	check_outcome();
	assert_int_equal(source_sev.forgot, 1);
	assert_int_equal(target_sev.forgot, 1);
	assert_false(source_sev.helper.has_keys || target_sev.helper.has_keys);
}

static void test_sealed_guest_comes_over(void **state)
{
	make_guests();
	source.rounds = 3;
	move_both();
	if (source.result != MIGRATE_GONE)
		fail_msg("%s; %s", source.err.text, target.err.text);
	assert_int_equal(target.result, MIGRATE_GONE);
	assert_memory_equal(source_sev.own + FIRMWARE_AT, target_sev.own + FIRMWARE_AT, FIRMWARE);
	/* Those that changed hands, of which the last two were found by the record alone. */
	assert_false(is_own(&target, 500 * PAGE_SIZE_BYTES));
	assert_false(is_own(&target, 600 * PAGE_SIZE_BYTES));
	assert_int_equal(target_sev.own[(SHARED_FIRST + 1) * PAGE_SIZE_BYTES], 0x52);
	assert_int_equal(target_sev.own[(SHARED_FIRST + 2) * PAGE_SIZE_BYTES], 0x62);
	assert_int_equal(source.progress.pass, 2);
	/* Beside them, two that the guest wrote. */
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
	free_guests();
}

static void test_sealed_guests_that_do_not_belong_together(void **state)
{
	make_guests();
	inject(&target_sev, 8);
	assert_stays("was it given another root key?", "was it given another root key?");
	assert_int_equal(source.progress.pass, 0);
	make_guests();
	target_sev.seam.policy = 3;
	assert_stays("has other keys", "has other keys");
	make_guests();
	memset(target_sev.secret, 0, sizeof(target_sev.secret));
	assert_stays("gave up: the helper refuses", "the helper refuses");
	make_guests();
	source_sev.refusal = "not this one";
	assert_stays("not this one", "not this one");
	make_guests();
	target_sev.refusal = "not here";
	assert_stays("gave up: not here", "not here");
	/* Both are compared: a target with another digest has told it. */
	make_guests();
	target_sev.seam.digest[5] = 9;
	move_both();
	assert_int_equal(source.result, MIGRATE_GONE);
	free_guests();
}

static int forbid_and_stop(void *ctx, struct err *err)
{
	source_sev.refusal = "it says no now";
	return sev_stop(ctx, err);
}

static void test_sealed_guest_that_takes_its_word_back(void **state)
{
	make_guests();
	source.seam.stop = forbid_and_stop;
	assert_stays("it says no now", "it says no now");
}

static void test_sealed_connection_is_cut(void **state)
{
	harm_all(CUT, 0, 1);
	harm_all(CUT, 1, 1);
}

static void test_sealed_frames_are_harmed(void **state)
{
	harm_all(FLIP, 0, 6);
	harm_all(TWICE, 0, 1);
	harm_all(SWAP, 0, 1);
	harm_all(DROP, 1, 1);
}

/* ---- nonces ---- */

#define SEEN_MAX 200000
static struct seen {
	uint8_t nonce[HELPER_NONCE_BYTES];
	uint64_t number;
	uint64_t stream;
} seen[SEEN_MAX];
static unsigned seen_count;
static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;

/* Both sides seal, each on its thread. */
static void note(const uint8_t *nonce, const struct mirror_record *record)
{
	pthread_mutex_lock(&seen_lock);
	assert_true(seen_count < SEEN_MAX);
	seen[seen_count] = (struct seen){.number = record->number, .stream = record->stream};
	memcpy(seen[seen_count++].nonce, nonce, HELPER_NONCE_BYTES);
	pthread_mutex_unlock(&seen_lock);
}

static int compare_seen(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct seen));
}

/* A helper's keys follow from its nonce, and GCM's nonce from stream and number: no pair comes twice. */
static void test_sealed_nonces_are_never_the_same(void **state)
{
	static const unsigned cuts[] = {2, 3, 5, 8, 12, 15, 18, 22, 26, 30};

	on_sealed = note;
	make_guests();
	for (unsigned i = 0; i < ARRAY_LEN(cuts); i++) {
		move(CUT, i % 2, i % 2 ? 2 : cuts[i], 0, false);
		if (source.result != MIGRATE_STAYS)
			break;
		source.stopped = false;
		memset(&source.progress, 0, sizeof(source.progress));
		memset(&target.progress, 0, sizeof(target.progress));
	}
	on_sealed = NULL;
	assert_true(seen_count > 3 * PAGES);
	qsort(seen, seen_count, sizeof(*seen), compare_seen);
	for (unsigned i = 1; i < seen_count; i++)
		assert_true(compare_seen(&seen[i - 1], &seen[i]) != 0);
	free_guests();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_sealed_guest_comes_over),
	        cmocka_unit_test(test_sealed_guests_that_do_not_belong_together),
	        cmocka_unit_test(test_sealed_guest_that_takes_its_word_back),
	        cmocka_unit_test(test_sealed_connection_is_cut),
	        cmocka_unit_test(test_sealed_frames_are_harmed),
	        cmocka_unit_test(test_sealed_nonces_are_never_the_same),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
