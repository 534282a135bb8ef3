/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SEV guests move by their helpers: each page comes, as what it was when the guest was stopped. Whatever
 * happens to the connection, and whatever a hostile source sends, no guest runs on anything else.
 */
#include <limits.h>

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

/* ---- IVs ---- */

#define MOVES      100 /* that are cancelled */
#define FRAMES     24  /* of a source, at which a connection is cut: KEYS, and those behind it */
#define BATCHES    10  /* that a source seals at least, of which the last are the ends of its streams */
#define IVS_MAX    250000
#define AT_NUMBER  8
#define AT_STREAM  20
#define RECORD     40
#define KEYS_NONCE 8

/*
 * The key of a direction follows from both helpers' nonces, GCM's IV is stream and number (docs/helper.md).
 * Without padding, so that they can be compared.
 */
struct iv {
	uint8_t nonces[2][HELPER_NONCE_BYTES];
	uint64_t direction, stream, number;
};

static struct iv ivs[IVS_MAX];
static unsigned iv_count;
static uint8_t nonces[2][HELPER_NONCE_BYTES]; /* of the move, as both sides told them */
static unsigned batches;                      /* the source cancels when it has sealed so many */

static void note_iv(unsigned from, uint64_t stream, uint64_t number)
{
	assert_true(iv_count < IVS_MAX);
	ivs[iv_count] = (struct iv){.direction = from, .stream = stream, .number = number};
	memcpy(ivs[iv_count++].nonces, nonces, sizeof(nonces));
}

static void read_frame(unsigned from, unsigned number, const uint8_t *frame)
{
	const uint8_t *payload = frame + MIGRATE_HEADER_BYTES;

	switch (load_le(frame + 4, 2)) {
	case MIGRATE_KEYS: memcpy(nonces[from], payload + KEYS_NONCE, HELPER_NONCE_BYTES); break;
	case MIGRATE_PROOF: note_iv(from, 0, load_le(payload, 8)); break;
	case MIGRATE_SEALED:
	case MIGRATE_ENDS:
		for (uint64_t i = 0; i < load_le(payload, 4); i++) {
			const uint8_t *record = payload + 8 + i * RECORD;

			note_iv(from, load_le(record + AT_STREAM, 2), load_le(record + AT_NUMBER, 8));
		}
		break;
	default: break;
	}
}

static int seal_and_cancel(void *ctx, struct mirror_record *records, unsigned count, struct err *err)
{
	if (--batches == 0)
		source.cancelled = true;
	return sev_seal(ctx, records, count, err);
}

/* The same guest starts again, to the same target. */
static void begin_anew(void)
{
	source.stopped = false;
	source.cancelled = false;
	source.rounds = 2;
	memset(&source.progress, 0, sizeof(source.progress));
	memset(&target.progress, 0, sizeof(target.progress));
}

static int compare_ivs(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct iv));
}

static void assert_all_differ(void)
{
	qsort(ivs, iv_count, sizeof(*ivs), compare_ivs);
	for (unsigned i = 1; i < iv_count; i++)
		if (compare_ivs(&ivs[i - 1], &ivs[i]) == 0)
			fail_msg("stream %u, number %u came twice with one key", (unsigned)ivs[i].stream,
			        (unsigned)ivs[i].number);
}

/*
 * Reads every IV of a hundred moves of one guest from their streams. Every second move is cancelled by the
 * source, the others lose their connection, each at another frame, and the last one ends well.
 */
static void test_sealed_ivs_are_never_the_same(void **state)
{
	unsigned begun = 0;

	on_frame = read_frame;
	make_guests();
	source_sev.seam.seal = seal_and_cancel;
	for (unsigned i = 0; i < MOVES; i++) {
		unsigned before = iv_count;

		begin_anew();
		batches = i % 2 ? 1 + i / 2 % BATCHES : UINT_MAX;
		move(i % 2 ? NO_HARM : CUT, 0, 2 + i / 2 % FRAMES, 0, false);
		assert_int_equal(source.result, MIGRATE_STAYS);
		begun += iv_count > before;
	}
	batches = UINT_MAX;
	begin_anew();
	move(NO_HARM, 0, 0, 0, false);
	on_frame = NULL;
	assert_int_equal(source.result, MIGRATE_GONE);
	assert_true(are_equal());
	assert_true(begun > MOVES * 8 / 10 && iv_count > 40 * PAGES);
	print_message("%u IVs of %u moves\n", iv_count, begun + 1);
	assert_all_differ();
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
	        cmocka_unit_test(test_sealed_ivs_are_never_the_same),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
