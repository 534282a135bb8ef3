/* SPDX-License-Identifier: Apache-2.0 */
/* A target of SEV guests, and a source whose helper has the right keys and whose host sends what is wrong. */
#include "sealed.h"

#include "hostile.h"

static int setup(void **state)
{
	fake_start(&kernel);
	confide();
	return 0;
}

/* ---- up to the first pass ---- */

static void put_keys(uint32_t version, size_t size)
{
	struct helper_hello greeting;
	uint8_t bytes[80] = {0};

	assert_ok(sev_hello(&source_sev, &greeting, &err));
	store_le(bytes, 4, version);
	memcpy(bytes + 8, greeting.nonce, HELPER_NONCE_BYTES);
	put(MIGRATE_KEYS, bytes, size);
}

static void confer(void)
{
	struct helper_terms terms = {.policy = 1, .role = HELPER_SOURCE};
	struct migrate_frame frame;
	enum migrate_type first[] = {MIGRATE_HELLO, MIGRATE_PLAN};

	agree();
	memset(source.side.id, 0, MIGRATE_ID_BYTES);
	put_keys(HELPER_VERSION, 72);
	for (unsigned i = 0; i < ARRAY_LEN(first); i++)
		assert_ok(migrate_wire_expect(&wire, first[i], 0, 1, &frame, &err));
	assert_ok(migrate_wire_expect(&wire, MIGRATE_KEYS, 72, 1, &frame, &err));
	memcpy(terms.peer_nonce, frame.payload + 8, HELPER_NONCE_BYTES);
	memcpy(terms.target_digest, frame.payload + 40, HELPER_DIGEST_BYTES);
	assert_ok(migrate_wire_expect(&wire, MIGRATE_PROOF, 24, 1, &frame, &err));
	assert_ok(sev_agree(&source_sev, &terms, &err));
}

static void test_sealed_hostile_keys(void **state)
{
	agree();
	put_keys(2, 72);
	assert_says(end(), "has version 2, and this one's 1");
	agree();
	put_keys(HELPER_VERSION, 71);
	assert_says(end(), "it is too short");
	agree();
	put_keys(HELPER_VERSION, 73);
	assert_says(end(), "tells 73 bytes of its helper");
	agree();
	put_pages(&(struct row){1, 0, 0, 4096, 2, 0});
	assert_says(end(), "the other vmm sent PAGES");
}

/* ---- sealed pages ---- */

#define HEAD   8
#define RECORD 40
#define SIZE   (HEAD + 2 * (RECORD + (size_t)PAGE_SIZE_BYTES))

static uint8_t bytes[SIZE + PAGE_SIZE_BYTES];

static void put_record(unsigned i, const struct mirror_record *record)
{
	uint8_t *at = bytes + HEAD + (size_t)i * RECORD;

	store_le(at, 8, record->gpa.raw);
	store_le(at + 8, 8, record->number);
	store_le(at + 16, 4, record->pass);
	store_le(at + 20, 2, record->stream);
	store_le(at + 22, 2, 0);
	memcpy(at + 24, record->tag, HELPER_TAG_BYTES);
}

/* Two pages as an honest source sends them. */
static void make_sealed(uint32_t pass)
{
	struct mirror_record records[] = {
	        {.pass = pass, .stream = 0}, {.pass = pass, .stream = 1, .gpa = {PAGE_SIZE_BYTES}}};

	assert_ok(sev_seal(&source_sev, records, 2, &err));
	memset(bytes, 0, sizeof(bytes));
	store_le(bytes, 4, 2);
	for (unsigned i = 0; i < 2; i++) {
		put_record(i, &records[i]);
		memcpy(bytes + HEAD + 2 * RECORD + i * PAGE_SIZE_BYTES, records[i].page, PAGE_SIZE_BYTES);
	}
}

static void test_sealed_hostile_records(void **state)
{
	static const struct {
		size_t at, size;
		uint64_t value;
		size_t bytes; /* of the frame */
	} rows[] = {
	        {0, 4, 0, SIZE},                               /* no records */
	        {0, 4, 1, SIZE},                               /* fewer than pages */
	        {0, 4, 3, SIZE},                               /* more */
	        {0, 4, 129, SIZE},                             /* too many */
	        {0, 4, UINT32_MAX, SIZE},                      /* far too many */
	        {4, 4, 1, SIZE},                               /* no zero */
	        {0, 4, 2, SIZE - 1},                           /* a part of a page is missing */
	        {0, 4, 2, SIZE + 1},                           /* there is more */
	        {HEAD, 8, 1, SIZE},                            /* no page */
	        {HEAD, 8, RAM, SIZE},                          /* no memory */
	        {HEAD, 8, GIB(3), SIZE},                       /* nor here */
	        {HEAD, 8, HELPER_GPA, SIZE},                   /* the helper's */
	        {HEAD, 8, UINT64_MAX - 0x7fff, SIZE},          /* around the end */
	        {HEAD, 8, PAGE_SIZE_BYTES, SIZE},              /* of another stream */
	        {HEAD + 8, 8, 1, SIZE},                        /* not the next number */
	        {HEAD + 8, 8, UINT64_MAX, SIZE},               /* nor this */
	        {HEAD + 16, 4, 0, SIZE},                       /* another pass */
	        {HEAD + 16, 4, 2, SIZE},                       /* another pass */
	        {HEAD + 20, 2, 8, SIZE},                       /* no stream */
	        {HEAD + 20, 2, 1, SIZE},                       /* not the page's */
	        {HEAD + 22, 2, 1, SIZE},                       /* no zero */
	        {HEAD + RECORD, 8, 8 * PAGE_SIZE_BYTES, SIZE}, /* of the second: the first one's stream */
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		confer();
		make_sealed(1);
		store_le(bytes + rows[i].at, (unsigned)rows[i].size, rows[i].value);
		put(MIGRATE_SEALED, bytes, rows[i].bytes);
		assert_says(end(), "has sealed pages that no guest of this plan has, or not in their order");
		/* No record has reached the helper. */
		assert_int_equal(target_sev.ring.consumed, 4);
	}
}

static void test_sealed_hostile_contents(void **state)
{
	static const size_t places[] = {HEAD + 24, HEAD + RECORD + 39, HEAD + 2 * RECORD, SIZE - 1};

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		confer();
		make_sealed(1);
		bytes[places[i]] ^= 1;
		put(MIGRATE_SEALED, bytes, SIZE);
		assert_says(end(), "the helper refuses");
	}
	/* Twice the same. */
	confer();
	make_sealed(1);
	put(MIGRATE_SEALED, bytes, SIZE);
	put(MIGRATE_SEALED, bytes, SIZE);
	assert_says(end(), "or not in their order");
}

static void test_sealed_hostile_pages_for_a_plain_guest(void **state)
{
	dress = undress = NULL;
	agree();
	memset(bytes, 0, sizeof(bytes));
	put(MIGRATE_SEALED, bytes, SIZE);
	assert_says(end(), "sent SEALED out of turn");
	agree();
	put(MIGRATE_MAP, bytes, 20);
	assert_says(end(), "sent MAP out of turn");
	confide();
}

/* ---- the ends of streams, and the record ---- */

static void make_ends(void)
{
	struct mirror_record records[HELPER_STREAMS];

	for (unsigned i = 0; i < HELPER_STREAMS; i++)
		records[i] = (struct mirror_record){.trailer = true, .stream = (uint16_t)i, .pass = 1};
	assert_ok(sev_seal(&source_sev, records, HELPER_STREAMS, &err));
	memset(bytes, 0, sizeof(bytes));
	store_le(bytes, 4, HELPER_STREAMS);
	for (unsigned i = 0; i < HELPER_STREAMS; i++)
		put_record(i, &records[i]);
}

#define ENDS_SIZE (HEAD + HELPER_STREAMS * (size_t)RECORD)

static void test_sealed_hostile_ends(void **state)
{
	static const struct {
		size_t at, size;
		uint64_t value;
		size_t bytes;
	} rows[] = {
	        {0, 4, 7, ENDS_SIZE - RECORD},         /* one is missing */
	        {0, 4, 8, ENDS_SIZE - 1},              /* a part */
	        {HEAD, 8, 4096, ENDS_SIZE},            /* no address */
	        {HEAD + 8, 8, 1, ENDS_SIZE},           /* a page is missing */
	        {HEAD + 16, 4, 3, ENDS_SIZE},          /* another pass */
	        {HEAD + 20, 2, 1, ENDS_SIZE},          /* another stream */
	        {HEAD + RECORD + 20, 2, 0, ENDS_SIZE}, /* one twice */
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		confer();
		make_ends();
		store_le(bytes + rows[i].at, (unsigned)rows[i].size, rows[i].value);
		put(MIGRATE_ENDS, bytes, rows[i].bytes);
		assert_says(end(), "or not in their order");
	}
	confer();
	put_all();
	put_pass(1, 1, PAGES);
	assert_says(end(), "sent PASS out of turn");
	confer();
	make_ends();
	put(MIGRATE_ENDS, bytes, ENDS_SIZE);
	put(MIGRATE_ENDS, bytes, ENDS_SIZE);
	assert_says(end(), "or not in their order");
	/* A page behind the end of its stream is missing at the end. */
	confer();
	make_sealed(1);
	make_ends();
	put(MIGRATE_ENDS, bytes, ENDS_SIZE);
	assert_says(end(), "or not in their order");
}

/* All pages come as zeros that are shared, up to the end of the last pass. */
static void send_all(void)
{
	confer();
	put_all();
	make_ends();
	put(MIGRATE_ENDS, bytes, ENDS_SIZE);
	put_pass(1, 1, PAGES);
}

static void put_map(uint32_t part, size_t all, size_t at, const uint8_t *data, size_t size)
{
	static uint8_t map[KIB(64)];

	store_le(map, 4, part);
	store_le(map + 4, 4, all);
	store_le(map + 8, 4, at);
	store_le(map + 12, 4, 0);
	memcpy(map + 16, data, size);
	put(MIGRATE_MAP, map, 16 + size);
}

/* The form of these ranges of frames. */
static size_t form_of(const struct page_range *ranges, size_t count, uint8_t form[static 200])
{
	const struct page_range_snapshot snapshot = {.ranges = (struct page_range *)(uintptr_t)ranges,
	        .count = count,
	        .exact = true,
	        .complete = true};
	auto_free uint8_t *made = NULL;
	size_t size;

	assert_ok(page_range_form_make(&snapshot, &made, &size, &err));
	assert_true(size <= 200);
	memcpy(form, made, size);
	return size;
}

static const struct page_range all_of_it[] = {
        {0, RAM / PAGE_SIZE_BYTES}, {FIRMWARE_AT / PAGE_SIZE_BYTES, PAGE_HOLE_END / PAGE_SIZE_BYTES}};

static void test_sealed_hostile_maps(void **state)
{
	static const struct {
		uint32_t part;
		int all; /* more than there is */
		size_t at;
		int size; /* more than there is */
	} rows[] = {
	        {1, 0, 0, 0},       /* the second part first */
	        {9, 0, 0, 0},       /* no part */
	        {0, 0, 1, 0},       /* not at the begin */
	        {0, -1, 0, 0},      /* a piece that is more than the whole */
	        {0, 1 << 20, 0, 0}, /* longer than any */
	        {0, 0, 0, -100},    /* no piece; as much as there is is taken away */
	};
	uint8_t form[200];
	size_t size = form_of(all_of_it, 2, form);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		send_all();
		put_map(rows[i].part, (size_t)((int)size + rows[i].all), rows[i].at, form,
		        rows[i].size ? 0 : size);
		assert_says(end(), "does not tell what the guest shares piece by piece");
	}
	send_all();
	put_map(0, size, 0, form, 5);
	put_map(0, size + 1, 5, form + 5, 5);
	assert_says(end(), "does not tell what the guest shares piece by piece");
	send_all();
	put_map(0, 4, 0, (const uint8_t *)"none", 4);
	assert_says(end(), "this is no list of shared pages");
	confer();
	put_map(0, size, 0, form, size);
	assert_says(end(), "sent MAP out of turn");
	send_all();
	put_part(MIGRATE_TIME, 0, 1);
	assert_says(end(), "sent TIME out of turn");
	send_all();
	put_map(0, size, 0, form, size);
	put_part(MIGRATE_TIME, 0, 1);
	assert_says(end(), "sent TIME out of turn");
}

/* Both parts; the first of this one range. */
static void put_both_maps(const struct page_range *ranges, size_t count)
{
	uint8_t form[200];
	size_t size = form_of(ranges, count, form);

	put_map(0, size, 0, form, 3);
	put_map(0, size, 3, form + 3, size - 3);
	size = form_of(NULL, 0, form);
	put_map(1, size, 0, form, size);
}

static void test_sealed_hostile_record_of_other_pages(void **state)
{
	const struct page_range one_less[] = {{0, 700}, {701, RAM / PAGE_SIZE_BYTES}, all_of_it[1]};

	send_all();
	put_both_maps(one_less, 3);
	assert_says(end(), "the page at 0x2bc000 came as if it were somebody else's");
	send_all();
	put_both_maps(NULL, 0);
	assert_says(end(), "the page at 0x0 came as if it were somebody else's");
	/* A page that came sealed last. */
	confer();
	put_all();
	make_sealed(1);
	put(MIGRATE_SEALED, bytes, SIZE);
	make_ends();
	put(MIGRATE_ENDS, bytes, ENDS_SIZE);
	put_pass(1, 1, PAGES + 2);
	put_both_maps(all_of_it, 2);
	assert_says(end(), "the page at 0x0 came as if it were somebody else's");
	/* As many pages as there are, but one of them twice. */
	confer();
	for (unsigned i = 0; i < 4; i++)
		put_pages(&(struct row){1, 0, i < 3 ? i * MIB(1) : 0, MIB(1), 2, 0});
	put_pages(&(struct row){1, 0, FIRMWARE_AT, FIRMWARE, 2, 0});
	make_ends();
	put(MIGRATE_ENDS, bytes, ENDS_SIZE);
	put_pass(1, 1, PAGES);
	put_both_maps(all_of_it, 2);
	assert_says(end(), "the page at 0x300000 never came");
	/* All is right up to here: the next part may come. */
	send_all();
	put_both_maps(all_of_it, 2);
	put_part(MIGRATE_VCPU, 0, 1);
	assert_says(end(), "sent VCPU out of turn");
	send_all();
	put_both_maps(all_of_it, 2);
	put_part(MIGRATE_TIME, 0, 1);
	assert_says(end(), "the connection to the other vmm is over");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_sealed_hostile_keys),
	        cmocka_unit_test(test_sealed_hostile_records),
	        cmocka_unit_test(test_sealed_hostile_contents),
	        cmocka_unit_test(test_sealed_hostile_pages_for_a_plain_guest),
	        cmocka_unit_test(test_sealed_hostile_ends),
	        cmocka_unit_test(test_sealed_hostile_maps),
	        cmocka_unit_test(test_sealed_hostile_record_of_other_pages),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
