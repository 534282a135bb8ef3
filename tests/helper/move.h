/* SPDX-License-Identifier: Apache-2.0 */
/*
 * move: a move between the helpers of two SEV guests of the software platform.
 */
#ifndef VMM_TEST_HELPER_MOVE_H
#define VMM_TEST_HELPER_MOVE_H

#include "side.h"

static const struct sim_options milan = {.product = "Milan", .seed = 7},
                                genoa = {.product = "Genoa", .seed = 8},
                                naples = {.product = "Naples", .seed = 9, .c_bit = 47};
static const char first_text[] = "what the guest has written, and nobody else may read",
                  second_text[] = "what the other guest had before";

static struct side source, target;
static struct mirror_record records[3 * HELPER_SLOTS];
static struct helper_terms terms;
static struct helper_info agreed;

static inline void agree(void)
{
	struct helper_hello of_source, of_target;

	assert_ok(mirror_helper_hello(source.helper, &of_source, &err));
	assert_ok(mirror_helper_hello(target.helper, &of_target, &err));
	memset(&terms, 0, sizeof(terms));
	terms.policy = 1;
	memcpy(terms.source_digest, launch_digest_of(source.bench.launch)->bytes, HELPER_DIGEST_BYTES);
	memcpy(terms.target_digest, launch_digest_of(target.bench.launch)->bytes, HELPER_DIGEST_BYTES);
	memcpy(terms.move, "one move", sizeof(terms.move));
	memset(&agreed, 0, sizeof(agreed));
	agreed.policy = 1;
	memcpy(agreed.source_nonce, of_source.nonce, sizeof(agreed.source_nonce));
	memcpy(agreed.target_nonce, of_target.nonce, sizeof(agreed.target_nonce));
	memcpy(agreed.source_digest, terms.source_digest, sizeof(agreed.source_digest));
	memcpy(agreed.target_digest, terms.target_digest, sizeof(agreed.target_digest));
	memcpy(agreed.move, terms.move, sizeof(agreed.move));

	terms.role = HELPER_SOURCE;
	memcpy(terms.peer_nonce, of_target.nonce, sizeof(terms.peer_nonce));
	assert_ok(mirror_helper_agree(source.helper, &terms, &err));
	terms.role = HELPER_TARGET;
	memcpy(terms.peer_nonce, of_source.nonce, sizeof(terms.peer_nonce));
	assert_ok(mirror_helper_agree(target.helper, &terms, &err));
}

static inline void start_both(void)
{
	side_start(&source, &milan, first_text, root_key);
	side_start(&target, &genoa, second_text, root_key);
	agree();
}

static inline int end_both(void **state)
{
	side_end(&source);
	side_end(&target);
	return 0;
}

static inline struct mirror_record page_record(uint64_t at)
{
	return (struct mirror_record){.stream = HELPER_STREAM_OF(at), .pass = 1, .gpa = gpa(at)};
}

/* Seals pages from the text's on, which are in one stream after the other. */
static inline void seal(struct side *side, unsigned count)
{
	unsigned done = 0;

	for (unsigned i = 0; i < count; i++)
		records[i] = page_record(TEXT_GPA + i * HELPER_PAGE_BYTES);
	if (mirror_helper_seal(side->helper, records, count, &done, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(done, count);
}

static inline void assert_opens(const struct mirror_record *record, unsigned count)
{
	unsigned done = 0;

	if (mirror_helper_open(target.helper, record, count, &done, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(done, count);
}

static inline void assert_has_no_keys(struct side *side)
{
	struct mirror_record record = page_record(TEXT_GPA);
	unsigned done = 1;

	assert_fails(mirror_helper_seal(side->helper, &record, 1, &done, &err), ERR_USAGE, "it has no keys");
	assert_fails(mirror_helper_open(side->helper, &record, 1, &done, &err), ERR_USAGE, "it has no keys");
	assert_int_equal(done, 0);
}

/* After a refusal the move is over. */
static inline void assert_refuses(const struct mirror_record *record, const char *why)
{
	unsigned done = 1;

	assert_fails(mirror_helper_open(target.helper, record, 1, &done, &err), ERR_USAGE, why);
	assert_int_equal(done, 0);
	assert_has_no_keys(&target);
}

static inline void assert_says(struct side *side, const char *text)
{
	for (; *text; text++)
		assert_int_equal(side_step(side), (uint8_t)*text);
}

#endif
