/* SPDX-License-Identifier: Apache-2.0 */
/* A target of SEV guests without helpers, and a source whose host sends what is wrong. */
#include "sent.h"

#include "hostile.h"

static int setup(void **state)
{
	fake_start(&kernel);
	employ_processors();
	return 0;
}

/* ---- up to the first pass ---- */

#define SESSION_BYTES (8 + sizeof(struct abi_sev_session) + sizeof(struct abi_sev_cert))

static void put_session(uint32_t policy, uint32_t zero, size_t size)
{
	uint8_t payload[SESSION_BYTES + 1] = {0};

	store_le(payload, 4, policy);
	store_le(payload + 4, 4, zero);
	payload[8 + offsetof(struct abi_sev_session, nonce)] = 0x91;
	memset(payload + 8 + sizeof(struct abi_sev_session), PDH(0), sizeof(struct abi_sev_cert));
	put(MIGRATE_SESSION, payload, size);
}

static void confer(void)
{
	agree();
	memset(source.side.id, 0, MIGRATE_ID_BYTES);
	put_session(POLICY, 0, SESSION_BYTES);
}

static void test_sent_hostile_sessions(void **state)
{
	agree();
	put_session(POLICY, 0, SESSION_BYTES - 1);
	assert_says(end(), "it is too short");
	agree();
	put_session(POLICY, 0, SESSION_BYTES + 1);
	assert_says(end(), "no session for a guest of this policy");
	agree();
	put_session(POLICY + 1, 0, SESSION_BYTES);
	assert_says(end(), "no session for a guest of this policy");
	agree();
	put_session(POLICY, 1, SESSION_BYTES);
	assert_says(end(), "no session for a guest of this policy");
	assert_false(target.side.touched);
	agree();
	put_pages(&(struct row){1, 0, 0, 4096, 2, 0});
	assert_says(end(), "the other vmm sent PAGES");
	confer();
	put_session(POLICY, 0, SESSION_BYTES);
	assert_says(end(), "the other vmm sent SESSION out of turn");
	assert_true(target.side.touched);
}

/* ---- packets ---- */

#define HEAD   8
#define RECORD 60
#define SIZE   (HEAD + 2 * (RECORD + (size_t)PAGE_SIZE_BYTES))

static uint8_t bytes[SIZE + PAGE_SIZE_BYTES];

/* Two pages as an honest source sends them. */
static void make_sent(void)
{
	struct abi_sev_secret_header header;

	memset(bytes, 0, sizeof(bytes));
	store_le(bytes, 4, 2);
	source_psp.state = SENDS;
	source_psp.key = 0x91;
	for (unsigned i = 0; i < 2; i++) {
		uint8_t *at = bytes + HEAD + (size_t)i * RECORD;

		assert_ok(psp_send(&source_psp, gpa(i * PAGE_SIZE_BYTES), &header,
		        bytes + HEAD + 2 * RECORD + i * PAGE_SIZE_BYTES, &err));
		store_le(at, 8, i * PAGE_SIZE_BYTES);
		memcpy(at + 8, &header, sizeof(header));
	}
	source_psp.state = RUNS;
}

static void test_sent_hostile_records(void **state)
{
	static const struct {
		size_t at, size;
		uint64_t value;
		size_t bytes; /* of the frame */
	} rows[] = {
	        {0, 4, 0, SIZE},                      /* no records */
	        {0, 4, 1, SIZE},                      /* fewer than packets */
	        {0, 4, 3, SIZE},                      /* more */
	        {0, 4, 129, SIZE},                    /* too many */
	        {0, 4, UINT32_MAX, SIZE},             /* far too many */
	        {4, 4, 1, SIZE},                      /* no zero */
	        {0, 4, 2, SIZE - 1},                  /* a part of a packet is missing */
	        {0, 4, 2, SIZE + 1},                  /* there is more */
	        {0, 4, 2, 7},                         /* there is less than a head */
	        {HEAD, 8, 1, SIZE},                   /* no page */
	        {HEAD, 8, RAM, SIZE},                 /* no memory */
	        {HEAD, 8, GIB(3), SIZE},              /* nor here */
	        {HEAD, 8, HELPER_GPA, SIZE},          /* nor here */
	        {HEAD, 8, UINT64_MAX - 0xfff, SIZE},  /* around the end */
	        {HEAD + RECORD, 8, RAM + 4096, SIZE}, /* of the second */
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		confer();
		make_sent();
		store_le(bytes + rows[i].at, (unsigned)rows[i].size, rows[i].value);
		put(MIGRATE_SENT, bytes, rows[i].bytes);
		assert_says(end(), "has packets of pages that no guest of this plan has");
		/* No packet has reached the secure processor. */
		assert_int_equal(target_psp.received, 0);
	}
}

static void test_sent_hostile_contents(void **state)
{
	static const size_t places[] = {HEAD + 28, HEAD + RECORD + 28, HEAD + 2 * RECORD, SIZE - 1};

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		confer();
		make_sent();
		bytes[places[i]] ^= 1;
		put(MIGRATE_SENT, bytes, SIZE);
		assert_says(end(),
		        i % 2 ? "the page at 0x1000: BAD_MEASUREMENT" : "the page at 0x0: BAD_MEASUREMENT");
	}
}

/* Frames of the other way, and those that come too early. */
static void test_sent_hostile_order(void **state)
{
	confer();
	make_sent();
	put(MIGRATE_SEALED, bytes, SIZE);
	assert_says(end(), "the other vmm sent SEALED out of turn");
	confer();
	put(MIGRATE_ENDS, bytes, HEAD);
	assert_says(end(), "the other vmm sent ENDS out of turn");
	confer();
	put(MIGRATE_MAP, bytes, 32);
	assert_says(end(), "the other vmm sent MAP out of turn");
	confer();
	put(MIGRATE_STATE, bytes, 4);
	assert_says(end(), "the other vmm sent STATE out of turn");
	/* All came, but not as the record says that they should. */
	confer();
	put_all();
	put_pass(1, 1, PAGES);
	put_part(MIGRATE_TIME, 0, 1);
	assert_says(end(), "the other vmm sent TIME out of turn");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_sent_hostile_sessions),
	        cmocka_unit_test(test_sent_hostile_records),
	        cmocka_unit_test(test_sent_hostile_contents),
	        cmocka_unit_test(test_sent_hostile_order),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
