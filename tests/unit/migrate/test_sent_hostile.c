/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A target of SEV guests without helpers, and a source whose host sends what is wrong; and a source, to which
 * a target tells certificates that are wrong.
 */
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

/* ---- a source, and the certificates that a target tells ---- */

#define CHAIN_BYTES (8 + sizeof(struct abi_sev_cert) + sizeof(struct abi_sev_cert_chain))
#define AMD_BYTES   5 /* as sent.h has them */

static void *be_source(void *ctx)
{
	source.result = migrate_source(&source.side, &source.err);
	shutdown(source.fd, SHUT_RDWR);
	return NULL;
}

static void begin_source(void)
{
	static const char plan[] = "memory = 4\nvcpus = 2\n";

	make_guests();
	memset(source.side.id, 0, MIGRATE_ID_BYTES);
	cancelled = false;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_ok(migrate_wire_init(&wire, fds[0], &cancelled, &err));
	open_side(&source, fds[1], MIGRATE_PATIENCE_MS);
	pthread_create(&thread, NULL, be_source, NULL);
	hello(1, 0, 0, MIGRATE_NEW);
	put(MIGRATE_PLAN, plan, strlen(plan));
}

/* Returns what the source said of it. No page was sent, and the guest can be sent to another host. */
static const char *end_source(unsigned began)
{
	shutdown(fds[0], SHUT_WR);
	pthread_join(thread, NULL);
	close_side(&source);
	migrate_wire_finish(&wire);
	close(fds[0]);
	assert_int_equal(source.result, MIGRATE_STAYS);
	assert_int_equal(source_psp.began, began);
	assert_int_equal(source.progress.pass, 0);
	free_guests();
	return source.err.text;
}

/* What an honest target would tell, in a frame of that size. */
static void put_chain(uint32_t amd_bytes, uint32_t zero, size_t size)
{
	static uint8_t chain[MIGRATE_PAYLOAD_MAX_BYTES];

	memset(chain, PDH(1), sizeof(chain));
	memcpy(chain + CHAIN_BYTES, "\0\1\2\3\4", AMD_BYTES);
	store_le(chain, 4, amd_bytes);
	store_le(chain + 4, 4, zero);
	put(MIGRATE_CHAIN, chain, size);
}

static void test_sent_hostile_chains(void **state)
{
	static const char told[] = "bytes of its host's certificates";
	static const struct {
		uint32_t amd_bytes, zero;
		size_t size;
		const char *text;
	} rows[] = {
	        {0, 0, 0, "it is too short"},
	        {0, 0, 7, "it is too short"},
	        {0, 0, CHAIN_BYTES - 1, "it is too short"},           /* the CEK is not whole */
	        {AMD_BYTES, 0, CHAIN_BYTES, told},                    /* AMD's are not there */
	        {AMD_BYTES, 0, CHAIN_BYTES + AMD_BYTES - 1, told},    /* nor all of them */
	        {AMD_BYTES, 0, CHAIN_BYTES + AMD_BYTES + 1, told},    /* there is more */
	        {0, 0, CHAIN_BYTES + 1, told},                        /* there is something */
	        {AMD_BYTES, 1, CHAIN_BYTES + AMD_BYTES, told},        /* no zero */
	        {UINT32_MAX, 0, CHAIN_BYTES + AMD_BYTES, told},       /* far too many */
	        {UINT32_MAX - CHAIN_BYTES + 1, 0, CHAIN_BYTES, told}, /* around the end */
	        {MIGRATE_AMD_MAX_BYTES + 1, 0, CHAIN_BYTES + MIGRATE_AMD_MAX_BYTES + 1, told},
	        {MIGRATE_AMD_MAX_BYTES, 0, CHAIN_BYTES + MIGRATE_AMD_MAX_BYTES + 1, told},
	        {AMD_BYTES, 0, KIB(17) + 1, "is damaged: its length"}, /* longer than any */
	        {AMD_BYTES, 0, MIGRATE_PAYLOAD_MAX_BYTES, "is damaged: its length"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		begin_source();
		put_chain(rows[i].amd_bytes, rows[i].zero, rows[i].size);
		assert_says(end_source(0), rows[i].text);
	}
	/* The length is right, but what is there are no certificates: it is for the judge of them. */
	begin_source();
	put_chain(0, 0, CHAIN_BYTES);
	assert_says(end_source(0), "that is nobody's PDH");
	begin_source();
	put_chain(MIGRATE_AMD_MAX_BYTES, 0, CHAIN_BYTES + MIGRATE_AMD_MAX_BYTES);
	assert_says(end_source(0), "that is nobody's PDH");
}

static void test_sent_hostile_answers_in_place_of_a_chain(void **state)
{
	static const enum migrate_type types[] = {MIGRATE_HELLO, MIGRATE_PLAN, MIGRATE_PAGES, MIGRATE_READY,
	        MIGRATE_DONE, MIGRATE_KEYS, MIGRATE_PROOF, MIGRATE_SESSION};
	static const uint8_t zeros[16];
	char text[100];

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		snprintf(text, sizeof(text), "sent %s where CHAIN comes next", migrate_type_name(types[i]));
		begin_source();
		put(types[i], zeros, sizeof(zeros));
		assert_says(end_source(0), text);
		/* Nor is any of it a proof. */
		if (types[i] == MIGRATE_PROOF)
			continue;
		snprintf(text, sizeof(text), "sent %s where PROOF comes next", migrate_type_name(types[i]));
		begin_source();
		put_chain(AMD_BYTES, 0, CHAIN_BYTES + AMD_BYTES);
		put(types[i], zeros, sizeof(zeros));
		assert_says(end_source(1), text);
	}
	begin_source();
	put_chain(AMD_BYTES, 0, CHAIN_BYTES + AMD_BYTES);
	put_chain(AMD_BYTES, 0, CHAIN_BYTES + AMD_BYTES);
	assert_says(end_source(1), "sent CHAIN where PROOF comes next");
	begin_source();
	assert_says(end_source(0), "the connection to the other vmm is over");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_sent_hostile_sessions),
	        cmocka_unit_test(test_sent_hostile_records),
	        cmocka_unit_test(test_sent_hostile_contents),
	        cmocka_unit_test(test_sent_hostile_order),
	        cmocka_unit_test(test_sent_hostile_chains),
	        cmocka_unit_test(test_sent_hostile_answers_in_place_of_a_chain),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
