/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The helper's half of the ring: pages go from one guest to another, and a host that changes, repeats, drops
 * or exchanges records, or asks for what is not the helper's, is refused, after which everything is as
 * before.
 */
#include "mask.h"
#include "support/helper_forms.h"
#include "support/helper_pair.h"
#include "support/test.h"

/* A request for a page, in its stream. */
#define SEAL(at, ...) \
	((struct helper_slot){ \
	        .command = HELPER_SEAL, .gpa = (at), .stream = HELPER_STREAM_OF(at), ##__VA_ARGS__})

/* A record as the host keeps it between the two. */
struct record {
	struct helper_slot slot;
	uint8_t page[HELPER_PAGE_BYTES];
};

static struct record sealed(struct helper_slot ask)
{
	struct helper_slot *slot = end_ask(&source, ask, NULL);
	struct record record = {.slot = *slot};

	assert_int_equal(slot->status, HELPER_DONE);
	memcpy(record.page, end_page(&source, slot), sizeof(record.page));
	record.slot.command = ask.command == HELPER_SEAL ? HELPER_OPEN : HELPER_END_OPEN;
	record.slot.status = HELPER_WAITS;
	return record;
}

static enum helper_status opened(const struct record *record)
{
	return end_ask(&target, record->slot, record->page)->status;
}

static struct record sealed_trailer(uint16_t stream)
{
	return sealed((struct helper_slot){.command = HELPER_END_SEAL, .stream = stream});
}

static void assert_same(uint64_t gpa)
{
	assert_memory_equal(source.memory + gpa, target.memory + gpa, HELPER_PAGE_BYTES);
}

static void test_ring_pages_come_over(void **state)
{
	FOR_EACH_FORM(form)
	{
		uint64_t count[HELPER_STREAMS] = {0};

		pair_start(form);
		for (unsigned range = 0; range < ARRAY_LEN(pair_ranges); range++) {
			for (uint64_t gpa = pair_ranges[range].first; gpa < pair_ranges[range].end;
			        gpa += HELPER_PAGE_BYTES) {
				struct record record = sealed(SEAL(gpa));

				assert_memory_not_equal(record.page, source.memory + gpa, HELPER_PAGE_BYTES);
				assert_true(record.slot.number == count[record.slot.stream]++);
				assert_int_equal(opened(&record), HELPER_DONE);
				assert_same(gpa);
			}
		}
		for (uint16_t stream = 0; stream < HELPER_STREAMS; stream++) {
			struct record trailer = sealed_trailer(stream);

			assert_true(trailer.slot.number == count[stream]);
			assert_int_equal(opened(&trailer), HELPER_DONE);
			assert_int_equal(
			        end_ask(&source, SEAL(0x10000u + stream * HELPER_PAGE_BYTES), NULL)->status,
			        HELPER_BAD_STREAM);
			assert_int_equal(opened(&trailer), HELPER_BAD_STREAM);
		}
	}
}

/* The ring goes round several times, and is full each time. */
static void test_ring_serves_all_that_waits(void **state)
{
	pair_start(GCM_PLAIN);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < HELPER_SLOTS; i++)
			source.ring.slots[i] = SEAL(0x1000);
		source.ring.produced += HELPER_SLOTS;
		assert_int_equal(helper_serve(&source.helper), HELPER_SLOTS);
		assert_int_equal(source.ring.consumed, source.ring.produced);
		for (unsigned i = 0; i < HELPER_SLOTS; i++)
			assert_true(source.ring.slots[i].number == round * HELPER_SLOTS + i);
		assert_int_equal(helper_serve(&source.helper), 0);
	}
}

static void test_ring_that_holds_too_much_is_served_no_more(void **state)
{
	pair_start(GCM_PLAIN);
	source.ring.produced = HELPER_SLOTS + 1;
	assert_int_equal(helper_serve(&source.helper), 0);
	source.ring.produced = 1;
	source.ring.slots[0] = SEAL(0x1000);
	assert_int_equal(helper_serve(&source.helper), 0);
	assert_int_equal(source.ring.slots[0].status, HELPER_WAITS);
	assert_int_equal(source.ring.consumed, 0);
}

static void test_ring_asks_for_nothing_that_is_not_the_helpers(void **state)
{
	static const uint64_t addresses[] = {0, 0xfff, 0x1001, 0x8000, 0x9000, 0xf000, 0x20000, 0x1f001,
	        UINT64_MAX, UINT64_MAX - 0xfff, UINT64_C(1) << 51 | 0x1000};
	static const struct {
		struct helper_slot ask;
		enum helper_status status;
	} bad[] = {
	        {{.command = 0, .gpa = 0x1000}, HELPER_BAD_COMMAND},
	        {{.command = HELPER_FORGET + 1, .gpa = 0x1000}, HELPER_BAD_COMMAND},
	        {{.command = UINT16_MAX, .gpa = 0x1000}, HELPER_BAD_COMMAND},
	        {{.command = HELPER_SEAL, .gpa = 0x1000, .reserved = 1}, HELPER_BAD_COMMAND},
	        {{.command = HELPER_SEAL, .gpa = 0x1000, .reserved_too = 1}, HELPER_BAD_COMMAND},
	        {{.command = HELPER_SEAL, .gpa = 0x1000, .stream = HELPER_STREAMS}, HELPER_BAD_STREAM},
	        {{.command = HELPER_SEAL, .gpa = 0x1000, .stream = UINT16_MAX}, HELPER_BAD_STREAM},
	        {{.command = HELPER_END_SEAL, .gpa = 0x1000}, HELPER_BAD_ADDRESS},
	};

	pair_start(GCM_PLAIN);
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++)
		assert_int_equal(end_ask(&source, SEAL(addresses[i]), NULL)->status, HELPER_BAD_ADDRESS);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(end_ask(&source, bad[i].ask, NULL)->status, bad[i].status);
	assert_true(sealed(SEAL(0x1000)).slot.number == 0);
}

static void assert_target_is_untouched(void)
{
	for (size_t i = 0; i < PAIR_BYTES; i++)
		assert_int_equal(target.memory[i], 0);
	for (unsigned i = 0; i < HELPER_STREAMS; i++)
		assert_true(target.helper.opened[i] == 0);
}

#define AAD_BYTES 32u

/* What docs/helper.md puts under the tag of a page of pass 0. */
static const uint8_t *page_aad(uint16_t stream, uint64_t gpa)
{
	static uint8_t aad[AAD_BYTES];

	aad[0] = aad[1] = 1;
	store_le(aad + 2, 2, stream);
	memcpy(aad + 8, source.helper.id, sizeof(source.helper.id));
	store_le(aad + 16, 8, gpa);
	store_le(aad + 24, 4, HELPER_PAGE_BYTES);
	return aad;
}

static void test_ring_changed_records_are_refused(void **state)
{
	struct record record;

	pair_start(GCM_PLAIN);
	record = sealed(SEAL(0x12000, .pass = 3));
	for (unsigned what = 0; what < 6; what++) {
		struct record changed = record;

		switch (what) {
		case 0: changed.page[4095] ^= 1; break;
		case 1: changed.slot.tag[15] ^= 0x80; break;
		case 2: changed.slot.gpa = 0x1a000; break;
		case 3: changed.slot.pass = 4; break;
		case 4: changed.slot.stream = 3, changed.slot.gpa = 0x13000; break;
		case 5: changed.slot.command = HELPER_END_OPEN, changed.slot.gpa = 0; break;
		}
		assert_int_equal(opened(&changed), HELPER_BAD_TAG);
		assert_target_is_untouched();
	}
	record.slot.number = 1;
	assert_int_equal(opened(&record), HELPER_BAD_NUMBER);
	assert_target_is_untouched();
	record.slot.number = 0;
	assert_int_equal(opened(&record), HELPER_DONE);
	assert_same(0x12000);
}

static void test_ring_records_come_once_and_in_order(void **state)
{
	struct record first, second, trailer;

	pair_start(GCM_PLAIN);
	first = sealed(SEAL(0x1000));
	second = sealed(SEAL(0x1000));
	trailer = sealed_trailer(1);
	assert_memory_not_equal(first.page, second.page, HELPER_PAGE_BYTES);
	assert_int_equal(opened(&second), HELPER_BAD_NUMBER);
	assert_int_equal(opened(&trailer), HELPER_BAD_NUMBER); /* two pages are missing */
	assert_int_equal(opened(&first), HELPER_DONE);
	assert_int_equal(opened(&first), HELPER_BAD_NUMBER);
	second.slot.number = 0;
	assert_int_equal(opened(&second), HELPER_BAD_NUMBER);
	second.slot.number = 1;
	assert_int_equal(opened(&second), HELPER_DONE);
	assert_int_equal(opened(&trailer), HELPER_DONE);
}

/* Two copies of a page in two streams would have no order, so the older one could come last. */
static void test_ring_a_page_is_sealed_in_its_stream_alone(void **state)
{
	pair_start(GCM_PLAIN);
	for (uint16_t stream = 0; stream < HELPER_STREAMS; stream++) {
		struct helper_slot ask = SEAL(0x13000);
		bool is_its = stream == ask.stream;

		ask.stream = stream;
		assert_int_equal(
		        end_ask(&source, ask, NULL)->status, is_its ? HELPER_DONE : HELPER_BAD_STREAM);
		assert_true(source.helper.sealed[stream] == is_its);
	}
}

/* Also of a record with a right tag: the target does not rely on what the source's helper looks at. */
static void test_ring_a_page_is_opened_in_its_stream_alone(void **state)
{
	static const uint8_t iv[GCM_IV_BYTES] = {4};

	pair_start(GCM_PLAIN);
	for (uint64_t gpa = 0x10000; gpa <= 0x14000; gpa += HELPER_PAGE_BYTES) {
		struct record record = {.slot = {.command = HELPER_OPEN, .stream = 4, .gpa = gpa}};

		gcm_seal(&source.helper.seal, iv, page_aad(4, gpa), AAD_BYTES, source.memory + gpa,
		        HELPER_PAGE_BYTES, record.page, record.slot.tag);
		if (gpa < 0x14000) {
			assert_int_equal(opened(&record), HELPER_BAD_STREAM);
			assert_target_is_untouched();
			continue;
		}
		assert_int_equal(opened(&record), HELPER_DONE);
		assert_same(gpa);
	}
}

/* Another move, and the source's own records, which its key for the other direction does not open. */
static void test_ring_records_of_others_are_refused(void **state)
{
	struct record record;

	pair_start(GCM_PLAIN);
	record = sealed(SEAL(0x1000));
	assert_int_equal(end_ask(&source, record.slot, record.page)->status, HELPER_BAD_TAG);
	target.helper.id[7] ^= 1;
	assert_int_equal(opened(&record), HELPER_BAD_TAG);
	assert_target_is_untouched();
}

static void test_ring_numbers_do_not_come_round(void **state)
{
	pair_start(GCM_PLAIN);
	source.helper.sealed[1] = (UINT64_C(1) << 48) - 1;
	assert_int_equal(end_ask(&source, SEAL(0x1000), NULL)->status, HELPER_DONE);
	assert_int_equal(end_ask(&source, SEAL(0x1000), NULL)->status, HELPER_BAD_NUMBER);
	assert_int_equal(
	        end_ask(&source, (struct helper_slot){.command = HELPER_END_SEAL, .stream = 1}, NULL)->status,
	        HELPER_BAD_NUMBER);
}

/* tests/helper/image.py looks for its use. */
static void test_ring_mask_is_all_or_nothing(void **state)
{
	static const uint64_t counts[] = {1, 8, 9, HELPER_PAGE_BYTES, UINT64_C(1) << 63, UINT64_MAX};

	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		assert_true(helper_mask(0, counts[i]) == UINT64_MAX);
		assert_true(helper_mask(counts[i] - 1, counts[i]) == UINT64_MAX);
		assert_true(helper_mask(counts[i], counts[i]) == 0);
		assert_true(helper_mask(UINT64_MAX, counts[i]) == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_ring_pages_come_over),
	        cmocka_unit_test(test_ring_serves_all_that_waits),
	        cmocka_unit_test(test_ring_that_holds_too_much_is_served_no_more),
	        cmocka_unit_test(test_ring_asks_for_nothing_that_is_not_the_helpers),
	        cmocka_unit_test(test_ring_changed_records_are_refused),
	        cmocka_unit_test(test_ring_records_come_once_and_in_order),
	        cmocka_unit_test(test_ring_a_page_is_sealed_in_its_stream_alone),
	        cmocka_unit_test(test_ring_a_page_is_opened_in_its_stream_alone),
	        cmocka_unit_test(test_ring_records_of_others_are_refused),
	        cmocka_unit_test(test_ring_numbers_do_not_come_round),
	        cmocka_unit_test(test_ring_mask_is_all_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
