/* SPDX-License-Identifier: Apache-2.0 */
/*
 * move: a guest that goes from one board to another, as the tests of saved states share it.
 */
#ifndef TEST_DEVICE_MOVE_H
#define TEST_DEVICE_MOVE_H

#include "support/pc.h"
#include "support/test.h"

/* Where the guest was, and where it goes on: a board whose clock began at another time. */
struct move {
	struct pc from, to;
};

static inline int setup(void **state)
{
	static struct move move;
	struct err err;

	assert_ok(pc_make(&move.from, &err));
	assert_ok(pc_make(&move.to, &err));
	move.from.now_ns = 123456789012;
	move.to.now_ns = 7654321;
	*state = &move;
	return 0;
}

static inline int teardown(void **state)
{
	struct move *move = *state;

	pc_finish(&move->from);
	pc_finish(&move->to);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static inline struct vmstate save(const struct pc *pc, unsigned i)
{
	struct vmstate s;
	struct err err;

	assert_ok(device_board_save(&pc->board, i, &s, &err));
	return s;
}

/* As a target does, which has their memory by then. What an earlier move has brought is there. */
static inline void move_dimms(struct pc *from, struct pc *to)
{
	struct device_dimm list[PAGE_PLUGS_MAX], there[PAGE_PLUGS_MAX];
	unsigned count = device_dimms_list(device_dimms_of(&from->board), list);

	for (unsigned i = device_dimms_list(device_dimms_of(&to->board), there); i < count; i++)
		device_dimms_add(device_dimms_of(&to->board), list[i].gpa, list[i].size_bytes);
}

/* Moves one device, over whose time the other host's clock decides. */
static inline void load_kind(struct pc *from, struct pc *to, const struct device_kind *kind)
{
	struct vmstate s = save(from, pc_index(from, kind));
	struct err err;

	assert_ok(device_board_load(&to->board, pc_index(to, kind), s.data, s.size, &err));
	vmstate_finish(&s);
}

/* Moves one device, and saves it there again: the bytes must be equal. */
static inline void move_device(struct pc *from, struct pc *to, unsigned i)
{
	struct vmstate s = save(from, i), again;
	struct err err;

	assert_ok(device_board_load(&to->board, i, s.data, s.size, &err));
	again = save(to, i);
	assert_int_equal(again.size, s.size);
	if (s.size)
		assert_memory_equal(again.data, s.data, s.size);
	vmstate_finish(&again);
	vmstate_finish(&s);
}

static inline void move_kind(struct pc *from, struct pc *to, const struct device_kind *kind)
{
	move_device(from, to, pc_index(from, kind));
}

static inline void move_all(struct pc *from, struct pc *to)
{
	move_dimms(from, to);
	for (unsigned i = 0; i < from->board.count; i++)
		move_device(from, to, i);
}

/* Asserts that what the first board saves of this kind is refused by the second, with this in the message. */
static inline void assert_refused(
        struct pc *from, struct pc *to, const struct device_kind *kind, const char *part)
{
	struct vmstate s = save(from, pc_index(from, kind));
	struct err err;

	assert_fails(
	        device_board_load(&to->board, pc_index(to, kind), s.data, s.size, &err), ERR_FAILED, part);
	vmstate_finish(&s);
}

#endif
