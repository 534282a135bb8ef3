/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The map of written frames against a plain model with one bool for each frame, and what of vmm's own writes
 * is noted.
 */
#include "written.h"

#define RAM      MIB(3)
#define FIRMWARE KIB(68)
#define STORE    KIB(16)
#define STEPS    3000u
#define FRAME(a) ((a) / PAGE_SIZE_BYTES)

static const struct page_layout *layout;

static int setup(void **state)
{
	struct page_layout made;

	assert_ok(page_layout_make(RAM, FIRMWARE, &made, &err));
	assert_ok(page_layout_add_store(&made, STORE, &err));
	assert_ok(page_layout_add_plugged(&made, 2 * PAGE_PLUG_BYTES, &err));
	written_make(&made);
	layout = page_memory_layout(memory);
	return 0;
}

static void plug(void)
{
	struct page_plug piece;

	assert_ok(page_plug_find(memory, PAGE_PLUG_BYTES, &piece, &err));
	page_plug_open(memory, &piece);
}

/* ---- the model: the frames of all regions, one behind the other ---- */

#define MODEL_FRAMES (FRAME(RAM) + FRAME(FIRMWARE) + FRAME(STORE) + FRAME(2 * PAGE_PLUG_BYTES))

struct model {
	bool dirty[MODEL_FRAMES];
	uint64_t frames[MODEL_FRAMES]; /* their numbers, ascending */
	unsigned region[MODEL_FRAMES], count;
};

static struct model model;

static void model_make(void)
{
	model.count = 0;
	for (unsigned i = 0; i < layout->count; i++) {
		const struct page_region *region = &layout->regions[i];
		uint64_t bytes =
		        region->kind == PAGE_PLUGGED ? page_memory_plugged(memory) : region->size_bytes;

		for (uint64_t n = 0; n < FRAME(bytes); n++) {
			model.dirty[model.count] = false;
			model.region[model.count] = i;
			model.frames[model.count++] = FRAME(region->gpa.raw) + n;
		}
	}
}

static void model_set(uint64_t first, uint64_t pages)
{
	for (unsigned i = 0; i < model.count; i++) {
		if (model.frames[i] >= first && model.frames[i] - first < pages)
			model.dirty[i] = true;
	}
}

static bool model_take(uint64_t from, uint64_t pages_max, struct page_range *ret)
{
	unsigned i = 0, end;

	while (i < model.count && (!model.dirty[i] || model.frames[i] < from))
		i++;
	for (end = i; end < model.count && model.dirty[end] && model.region[end] == model.region[i] &&
	              end - i < pages_max;
	        end++)
		model.dirty[end] = false;
	if (i == end)
		return false;
	*ret = (struct page_range){model.frames[i], model.frames[end - 1] + 1};
	return true;
}

static uint64_t model_count(void)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < model.count; i++)
		count += model.dirty[i];
	return count;
}

/* ---- steps ---- */

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint64_t next(uint64_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 11) % limit;
}

/* A frame near a region's begin or end, or anywhere in it. */
static uint64_t some_frame(void)
{
	const struct page_region *region = &layout->regions[next(layout->count)];
	uint64_t first = FRAME(region->gpa.raw), pages = FRAME(region->size_bytes);

	switch (next(3)) {
	case 0: return first + next(3);
	case 1: return first + pages - next(3);
	default: return first + next(pages);
	}
}

static void step_add(void)
{
	uint64_t bits[4] = {0}, first = some_frame(), pages = 1 + next(250);

	for (unsigned i = 0; i < ARRAY_LEN(bits); i++)
		bits[i] = next(2) ? ~UINT64_C(0) : next(UINT64_MAX) & next(UINT64_MAX);
	page_dirty_add(dirty, first, pages, bits);
	for (unsigned i = 0; i < pages; i++) {
		if (bits[i / 64] >> i % 64 & 1)
			model_set(first + i, 1);
	}
}

static void step_take(void)
{
	struct page_range range = {1, 0}, right = {1, 0};
	uint64_t from = next(2) ? 0 : some_frame(), pages_max = next(2) ? UINT64_MAX : 1 + next(100);
	bool taken = page_dirty_take(dirty, from, pages_max, &range);

	assert_int_equal(taken, model_take(from, pages_max, &right));
	assert_true(range.first == right.first && range.end == right.end);
}

static void test_dirty_is_as_the_model(void **state)
{
	plug();
	model_make();
	for (unsigned i = 0; i < STEPS; i++) {
		uint64_t first = some_frame(), pages = next(8) ? next(200) : next(1000000);

		switch (next(8)) {
		case 0:
			page_dirty_set(dirty, first, pages);
			model_set(first, pages);
			break;
		case 1: step_add(); break;
		default: step_take();
		}
		if (i % 64 == 0)
			assert_true(page_dirty_count(dirty) == model_count());
	}
}

static void test_dirty_maps_are_combined(void **state)
{
	static const struct {
		enum page_dirty_rule rule;
		bool right[4]; /* of frames that are dirty in neither, in the second, in the first, in both */
	} rows[] = {
	        {PAGE_DIRTY_OR, {false, true, true, true}},
	        {PAGE_DIRTY_AND, {false, false, false, true}},
	        {PAGE_DIRTY_AND_NOT, {false, false, true, false}},
	        {PAGE_DIRTY_XOR, {false, true, true, false}},
	};
	struct page_dirty *other;

	assert_ok(page_dirty_create(memory, &other, &err));
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t count = 0;

		/* The low bits of the frame's number say in which maps it is; both regions are crossed. */
		for (unsigned n = 0; n < layout->count; n++) {
			uint64_t first = FRAME(layout->regions[n].gpa.raw);

			page_dirty_clear(dirty, first, 8);
			page_dirty_clear(other, first, 8);
			for (uint64_t frame = first; frame < first + 4; frame++) {
				if (frame % 4 & 2)
					page_dirty_set(dirty, frame, 1);
				if (frame % 4 & 1)
					page_dirty_set(other, frame, 1);
				count += rows[i].right[frame % 4] && layout->regions[n].kind != PAGE_PLUGGED;
			}
		}
		page_dirty_combine(dirty, rows[i].rule, other);
		assert_true(page_dirty_count(dirty) == count);
		for (struct page_range range; page_dirty_take(dirty, 0, 1, &range);)
			assert_true(rows[i].right[range.first % 4]);
		assert_true(page_dirty_count(dirty) == 0);
	}
	page_dirty_destroy(other);
}

static void test_dirty_all_is_what_is_memory_now(void **state)
{
	struct page_range range;
	uint64_t all = FRAME(RAM + FIRMWARE + STORE);

	page_dirty_set_all(dirty);
	assert_true(page_dirty_count(dirty) == all);
	page_dirty_set(dirty, 0, UINT64_MAX);
	page_dirty_set(dirty, UINT64_MAX, UINT64_MAX);
	assert_true(page_dirty_count(dirty) == all);
	plug();
	page_dirty_set_all(dirty);
	assert_true(page_dirty_count(dirty) == all + FRAME(PAGE_PLUG_BYTES));
	for (unsigned i = 0; i < layout->count; i++) {
		const struct page_region *region = &layout->regions[i];

		assert_true(page_dirty_take(dirty, 0, UINT64_MAX, &range));
		assert_true(range.first == FRAME(region->gpa.raw));
	}
	assert_false(page_dirty_take(dirty, 0, UINT64_MAX, &range));
}

/* ---- vmm's own writes ---- */

/* Is exactly this run noted, and nothing else? */
static void assert_noted(uint64_t address, uint64_t pages)
{
	struct page_range range = {0, 0};

	page_memory_collect_written(memory, dirty);
	assert_true(page_dirty_count(dirty) == pages);
	if (!pages)
		return;
	assert_true(page_dirty_take(dirty, 0, UINT64_MAX, &range));
	assert_true(range.first == FRAME(address) && range.end == range.first + pages);
}

static void test_written_by_the_door_is_noted(void **state)
{
	uint8_t bytes[3 * PAGE_SIZE_BYTES] = {1};

	assert_int_equal(page_write(memory, gpa(0x5000), bytes, 1), 0);
	assert_noted(0, 0); /* nobody tracks yet */
	assert_ok(page_memory_track(memory, true, &err));
	assert_noted(0, 0);
	assert_int_equal(page_write(memory, gpa(0x5fff), bytes, 1), 0);
	assert_noted(0x5000, 1);
	assert_int_equal(page_write(memory, gpa(0x3ffff), bytes, PAGE_SIZE_BYTES + 2), 0);
	assert_noted(0x3f000, 3);
	assert_int_equal(page_write(memory, gpa(RAM - 1), bytes, 2), -1);
	assert_noted(0, 0);
	assert_int_equal(page_write(memory, gpa(0), bytes, 0), 0);
	assert_noted(0, 0);
	assert_int_equal(page_load(memory, gpa(GIB(4) - FIRMWARE - 1), bytes, 1), 0); /* the store's end */
	assert_noted(GIB(4) - FIRMWARE - PAGE_SIZE_BYTES, 1);
	assert_int_equal(page_write(memory, gpa(0x7000), bytes, 1), 0);
	assert_ok(page_memory_track(memory, false, &err));
	assert_ok(page_memory_track(memory, true, &err));
	assert_noted(0, 0); /* it begins anew */
}

static void test_written_loans_are_noted(void **state)
{
	uint8_t *loan = page_loan(memory, gpa(0x10000), 0x100000),
	        *end = page_loan(memory, gpa(RAM - 16), 16);

	assert_ok(page_memory_track(memory, true, &err));
	page_wrote(memory, loan + 0xfff, 2);
	assert_noted(0x10000, 2);
	page_wrote(memory, loan, 0x100000);
	assert_noted(0x10000, 0x100);
	page_wrote(memory, end, 16);
	assert_noted(RAM - PAGE_SIZE_BYTES, 1);
	page_wrote(memory, loan, 0);
	page_wrote(memory, end, 17);
	page_wrote(memory, &err, 1);
	assert_noted(0, 0);
	assert_int_equal(page_give_back(memory, loan + 0x3800, 0x3000), 0);
	assert_noted(0x14000, 2);
}

/* The contents of a page change with its owner. */
static void test_written_is_what_changes_hands(void **state)
{
	assert_ok(page_memory_keep_record(memory, 16, &err));
	assert_ok(page_memory_track(memory, true, &err));
	assert_int_equal(page_convert(memory, gpa(0x20000), 0x4000, false, &err), 0);
	assert_noted(0x20000, 4);
	assert_int_equal(page_convert(memory, gpa(0x21000), 0x1000, true, &err), 0);
	assert_noted(0x21000, 1);
}

#define TD(name) cmocka_unit_test_setup_teardown(name, setup, written_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TD(test_dirty_is_as_the_model),
	        TD(test_dirty_maps_are_combined),
	        TD(test_dirty_all_is_what_is_memory_now),
	        TD(test_written_by_the_door_is_noted),
	        TD(test_written_loans_are_noted),
	        TD(test_written_is_what_changes_hands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
