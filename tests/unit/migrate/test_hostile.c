/* SPDX-License-Identifier: Apache-2.0 */
/* A target, and a source that sends it frames which are whole, and wrong. */
#include <signal.h>

#include "hostile.h"

static void test_hostile_hellos(void **state)
{
	static const struct {
		unsigned major, least, greatest, standing;
		const char *text;
	} rows[] = {
	        {2, 0, 0, 0, "speaks version 2.0 to 2.0 of the protocol, and this one 1.0 to 1.0"},
	        {1, 1, 7, 0, "speaks version 1.1 to 1.7"},
	        {1, 0, 0, MIGRATE_STANDINGS, "says that it is in state 7"},
	        {1, 0, 0, MIGRATE_GAVE, "asks for a guest that never came here"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		begin();
		hello(rows[i].major, rows[i].least, rows[i].greatest, rows[i].standing);
		assert_says(end(), rows[i].text);
	}
}

/* These guests have memory that cannot be handed over. */
static void test_hostile_handover(void **state)
{
	begin();
	hello(1, 0, 0, MIGRATE_HANDS);
	put(MIGRATE_PLAN, target.seam.plan, strlen(target.seam.plan));
	assert_says(end(), "takes no guest with its memory");
}

static void test_hostile_plans(void **state)
{
	static const char *const plans[][2] = {
	        {"", "memory = 4 only here; vcpus = 2 only here"},
	        {"memory = 4\n", "vcpus = 2 only here"},
	        {"memory = 4\nvcpus = 2\nmore = 1\n", "more = 1 only there"},
	        {"memory = 4\nvcpus = 3\n", "vcpus is 2 here and 3 there"},
	        {"vcpus = 2\nmemory = 4\n", "the order of their parts"},
	        {"memory = 4\nvcpus = 2", "the order of their parts"},
	        {"\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n", "; and more"},
	        {"= = =\n", "= = = only there"},
	};

	for (size_t i = 0; i < ARRAY_LEN(plans); i++) {
		begin();
		hello(1, 0, 0, MIGRATE_NEW);
		put(MIGRATE_PLAN, plans[i][0], strlen(plans[i][0]));
		assert_says(end(), plans[i][1]);
	}
}

static unsigned adopted;

static int adopt(void *ctx, const char *plan, size_t size, struct err *why)
{
	adopted++;
	return 1;
}

/* A target adds memory only for a source whose guest is otherwise its own. */
static void test_hostile_plans_add_no_memory(void **state)
{
	static const char *const plans[][2] = {
	        {"memory = 8\nvcpus = 2\nadded = 134217728\n", "memory is 4 here and 8 there"},
	        {"added = 134217728\n", "memory = 4 only here; vcpus = 2 only here"},
	        {"memory = 4\nadded = 134217728\nvcpus = 2\n", "added = 134217728 only there"},
	};

	for (size_t i = 0; i < ARRAY_LEN(plans); i++) {
		adopted = 0;
		begin_adopt = adopt;
		begin();
		begin_adopt = NULL;
		hello(1, 0, 0, MIGRATE_NEW);
		put(MIGRATE_PLAN, plans[i][0], strlen(plans[i][0]));
		assert_says(end(), plans[i][1]);
		assert_int_equal(adopted, i == 2);
		assert_int_equal(target.side.touched, i == 2);
	}
}

/* ---- pages ---- */

static void test_hostile_pages(void **state)
{
	static const struct row rows[] = {
	        {0, 0, 0, 4096, 1, 4096},                   /* no records */
	        {257, 0, 0, 4096, 1, 4096},                 /* too many */
	        {2, 0, 0, 4096, 1, 0},                      /* more than there are */
	        {1, 1, 0, 4096, 1, 4096},                   /* no zero */
	        {1, 0, 1, 4096, 1, 4096},                   /* no page */
	        {1, 0, 0, 0, 1, 0},                         /* nothing */
	        {1, 0, 0, 4095, 1, 4095},                   /* a part */
	        {1, 0, 0, 8192, 1, 4096},                   /* more than its contents */
	        {1, 0, 0, 4096, 1, 8192},                   /* less */
	        {1, 0, 0, 4096, 2, 4096},                   /* zeros with contents */
	        {1, 0, 0, 4096, 3, 4096},                   /* another kind */
	        {1, 0, RAM, 4096, 1, 4096},                 /* no memory */
	        {1, 0, RAM - 4096, 8192, 1, 8192},          /* a part of it is none */
	        {1, 0, GIB(3), 4096, 2, 0},                 /* none */
	        {1, 0, UINT64_MAX - 4095, 4096, 1, 4096},   /* around the end */
	        {1, 0, UINT64_MAX - 4095, 8192, 2, 0},      /* around the end */
	        {1, 0, FIRMWARE_AT, FIRMWARE + 4096, 2, 0}, /* behind the end */
	        {1, 0, 0, 0xfffff000, 2, 0},                /* 4 GiB */
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		agree();
		put_pages(&rows[i]);
		assert_says(end(), "has pages that no guest of this plan has");
	}
}

/* ---- pages with sums of their own ---- */

static uint8_t lent_page[8192] __attribute__((aligned(4096)));

/* Two pages at gpa 0, with so many sums, of which the first is right or not; so many bytes of them follow. */
static void put_lent(uint32_t sums, bool right, size_t contents)
{
	uint8_t *head = migrate_wire_payload(&wire);
	struct iovec iov = {lent_page, contents};

	memset(lent_page, 0x5a, sizeof(lent_page));
	store_le(head, 4, 1);
	store_le(head + 4, 4, sums);
	store_le(head + 8, 8, 0);
	store_le(head + 16, 4, sizeof(lent_page));
	store_le(head + 20, 4, 1);
	for (size_t i = 0; i < 3; i++)
		store_le(head + 24 + i * 4, 4, migrate_crc32c(lent_page, 4096) + (i == 0 && !right));
	(void)!migrate_wire_send_lent(
	        &wire, MIGRATE_PAGES, 24 + (size_t)(sums < 3 ? sums : 3) * 4, &iov, 1, &err);
}

static void test_hostile_sums(void **state)
{
	static const struct {
		uint32_t sums;
		size_t contents;
	} rows[] = {
	        {0, 8192}, {1, 8192}, {3, 8192}, {2, 4096}, {2, 8191}, {UINT32_MAX, 8192}, {1u << 20, 4096}};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		agree();
		assert_true(migrate_wire_lends(&wire));
		put_lent(rows[i].sums, true, rows[i].contents);
		assert_says(end(), "has pages that no guest of this plan has");
	}
}

/* A page that was written on its way has to come again. */
static void test_hostile_torn_pages(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		agree();
		assert_true(migrate_wire_lends(&wire));
		put_all();
		put_lent(2, i == 3, 8192);
		put_pass(1, 0, PAGES + 2);
		if (i == 1)
			put_pages(&(struct row){1, 0, 4096, 4096, 2, 0}); /* the other one */
		if (i == 2)
			put_pages(&(struct row){1, 0, 0, 4096, 2, 0});
		put_pass(2, 1, i == 1 || i == 2);
		put_pass(3, 0, 0);
		assert_says(end(), i < 2 ? "the page at 0x0 came damaged" : "sent PASS out of turn");
	}
}

/* ---- passes and parts ---- */

static void test_hostile_passes(void **state)
{
	agree();
	put_pass(1, 1, 0);
	assert_says(end(), "only 0 of the guest's 1028 pages came");
	agree();
	put_pass(2, 0, 0);
	assert_says(end(), "ended a pass that did not begin");
	agree();
	put_all();
	put_pass(1, 0, PAGES + 1);
	assert_says(end(), "1029 pages of pass 1 were sent, and 1028 came");
	agree();
	put_all();
	put_pass(1, 2, PAGES);
	assert_says(end(), "ended a pass that did not begin");
	agree();
	put_all();
	put_pass(1, 1, PAGES);
	put_all();
	assert_says(end(), "sent PAGES out of turn");
	agree();
	put_all();
	put_pass(1, 1, PAGES);
	put_pass(2, 1, 0);
	assert_says(end(), "sent PASS out of turn");
}

static void test_hostile_parts(void **state)
{
	static const uint8_t none[4], id[MIGRATE_ID_BYTES];

	agree();
	put_part(MIGRATE_TIME, 0, 1);
	assert_says(end(), "sent TIME out of turn");
	for (unsigned row = 0; row < 7; row++) {
		agree();
		put_all();
		put_pass(1, 1, PAGES);
		if (row != 0)
			put_part(MIGRATE_TIME, 0, 1);
		if (row > 1)
			put_part(MIGRATE_VCPU, row == 2, 1);
		if (row > 3)
			put_part(MIGRATE_VCPU, 1, row == 4 ? UINT64_C(1) << 32 : 1);
		if (row == 0)
			put_part(MIGRATE_VCPU, 0, 1);
		else if (row == 1 || row == 3)
			put_part(MIGRATE_DEVICE, 0, 1);
		else if (row == 5)
			put(MIGRATE_STATE, none, sizeof(none));
		else if (row == 6)
			put(MIGRATE_COMMIT, id, sizeof(id));
		assert_says(end(), row == 4   ? "state of the part: value is 0x100000000"
		                   : row == 5 ? "sent STATE out of turn"
		                   : row == 6 ? "sent COMMIT out of turn"
		                              : "out of turn");
	}
}

/* All of it is right, but the guest that is given away is another one. */
static void test_hostile_commit(void **state)
{
	static const uint8_t none[4], other[MIGRATE_ID_BYTES] = {1};

	agree();
	put_all();
	put_pass(1, 1, PAGES);
	put_part(MIGRATE_TIME, 0, 1);
	put_part(MIGRATE_VCPU, 0, 1);
	put_part(MIGRATE_VCPU, 1, 1);
	put_part(MIGRATE_CHIPS, 0, 1);
	for (uint32_t i = 0; i < DEVICES; i++)
		put_part(MIGRATE_DEVICE, i, 1);
	put(MIGRATE_STATE, none, sizeof(none));
	put(MIGRATE_COMMIT, other, sizeof(other));
	assert_says(end(), "gave away another guest");
	assert_int_equal(target.result, MIGRATE_DOUBT);
}

static int start(void **state)
{
	fake_start(&kernel);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_hostile_hellos),
	        cmocka_unit_test(test_hostile_handover),
	        cmocka_unit_test(test_hostile_plans),
	        cmocka_unit_test(test_hostile_plans_add_no_memory),
	        cmocka_unit_test(test_hostile_pages),
	        cmocka_unit_test(test_hostile_sums),
	        cmocka_unit_test(test_hostile_torn_pages),
	        cmocka_unit_test(test_hostile_passes),
	        cmocka_unit_test(test_hostile_parts),
	        cmocka_unit_test(test_hostile_commit),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
