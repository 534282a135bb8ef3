/* SPDX-License-Identifier: Apache-2.0 */
/* The flash chip in the middle of a command, and its file, which one of two machines writes. */
#include <fcntl.h>

#include "move.h"

static void move_flash(struct move *move)
{
	move_kind(&move->from, &move->to, &device_flash_kind);
}

static uint8_t byte_of_file(const struct pc *pc, off_t at)
{
	uint8_t byte;

	assert_int_equal(pread(pc->vars_fd, &byte, 1, at), 1);
	return byte;
}

static void take_flash(struct pc *pc)
{
	struct err err;

	assert_ok(device_flash_take(&pc->board, &err));
}

/* ... when the file is this machine's, and not before. */
static void test_move_flash_contents_reach_the_file(void **state)
{
	struct move *move = *state;

	pc_use_flash(&move->from);
	pc_store(&move->to, PC_FLASH + 5, 1, 0x40);
	pc_store(&move->to, PC_FLASH + 5, 1, 0x00);
	assert_int_equal(byte_of_file(&move->to, 5), 0x00);
	move_flash(move);
	move_flash(move);
	assert_int_equal(byte_of_file(&move->to, DEVICE_FLASH_BLOCK_BYTES), 0xff);
	assert_int_equal(byte_of_file(&move->to, 5), 0x00);
	take_flash(&move->to);
	assert_int_equal(byte_of_file(&move->to, DEVICE_FLASH_BLOCK_BYTES), 0x12);
	assert_int_equal(byte_of_file(&move->to, 5), 0xff);
	/* The range of three bytes is programmed as if nothing had happened. */
	pc_store(&move->to, PC_FLASH + DEVICE_FLASH_BLOCK_BYTES + 10, 1, 'c');
	pc_store(&move->to, PC_FLASH + DEVICE_FLASH_BLOCK_BYTES, 1, 0xd0);
	assert_int_equal(pc_load(&move->to, PC_FLASH, 1), 0x80);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(byte_of_file(&move->to, DEVICE_FLASH_BLOCK_BYTES + 8 + i), 'a' + i);
}

/* A file of which only blocks were changed that the guest had changed; the others are left alone. */
static void test_move_flash_equal_blocks_are_not_written(void **state)
{
	struct move *move = *state;

	pc_use_flash(&move->from);
	move_flash(move);
	assert_int_equal(pwrite(move->to.vars_fd, "!", 1, 3), 1);
	take_flash(&move->to);
	assert_int_equal(byte_of_file(&move->to, 3), '!');
	assert_int_equal(byte_of_file(&move->to, DEVICE_FLASH_BLOCK_BYTES), 0x12);
}

/* The guest goes on where it was after all. Meanwhile the file could have been another machine's. */
static void test_move_flash_that_was_released_is_not_written(void **state)
{
	struct move *move = *state;
	struct pc *pc = &move->from;
	struct err err;

	assert_ok(device_flash_release(&pc->board, &err));
	assert_ok(device_flash_release(&pc->board, &err));
	pc_store(pc, PC_FLASH, 1, 0x40);
	pc_store(pc, PC_FLASH, 1, 0x21);
	assert_int_equal(pc_load(pc, PC_FLASH, 1), 0x90);
	assert_int_equal(byte_of_file(pc, 0), 0xff);
	take_flash(pc);
	pc_store(pc, PC_FLASH, 1, 0x50);
	pc_store(pc, PC_FLASH, 1, 0x40);
	pc_store(pc, PC_FLASH, 1, 0x21);
	assert_int_equal(pc_load(pc, PC_FLASH, 1), 0x80);
	assert_int_equal(byte_of_file(pc, 0), 0x21);
}

static void test_move_flash_none_is_taken_and_released(void **state)
{
	struct device_board board = {0};
	struct err err;

	assert_ok(device_flash_release(&board, &err));
	assert_ok(device_flash_take(&board, &err));
}

/* In each state that the guest can leave the chip in. */
static void test_move_flash_in_every_state(void **state)
{
	static const uint8_t commands[] = {0xff, 0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0x90, 0x98, 0xe8};
	struct move *move = *state;

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		pc_store(&move->from, PC_FLASH, 1, commands[i]);
		move_flash(move);
		for (unsigned at = 0; at < 64; at++)
			assert_int_equal(
			        pc_load(&move->to, PC_FLASH + at, 1), pc_load(&move->from, PC_FLASH + at, 1));
		device_board_reset(&move->from.board);
	}
	/* A range of one byte that waits to be filled, and to be confirmed. */
	pc_store(&move->from, PC_FLASH, 1, 0xe8);
	pc_store(&move->from, PC_FLASH, 1, 0);
	move_flash(move);
	pc_store(&move->from, PC_FLASH + 7, 1, 0x77);
	move_flash(move);
	take_flash(&move->to);
	pc_store(&move->to, PC_FLASH, 1, 0xd0);
	assert_int_equal(byte_of_file(&move->to, 7), 0x77);
}

/* The command is to program a range at the end of a block, which a hostile peer makes one byte longer. */
static void test_move_flash_range_beyond_its_block_is_refused(void **state)
{
	struct move *move = *state;
	unsigned i = pc_index(&move->from, &device_flash_kind);
	struct vmstate s;
	struct err err;

	pc_store(&move->from, PC_FLASH, 1, 0xe8);
	pc_store(&move->from, PC_FLASH, 1, 7);
	pc_store(&move->from, PC_FLASH + PC_FLASH_BYTES - 8, 1, 1);
	s = save(&move->from, i);
	s.data[8 + 4 + 1]++;
	assert_fails(device_board_load(&move->to.board, i, s.data, s.size, &err), ERR_FAILED,
	        "the buffer is for 0x2ff8");
	vmstate_finish(&s);
}

static void test_move_flash_bad_state_leaves_the_contents_alone(void **state)
{
	struct move *move = *state;
	unsigned i = pc_index(&move->from, &device_flash_kind);
	struct vmstate s;
	struct err err;

	pc_use_flash(&move->from);
	s = save(&move->from, i);
	assert_fails(device_board_load(&move->to.board, i, s.data, s.size - 1, &err), ERR_FAILED, "it ends");
	take_flash(&move->to);
	for (unsigned at = 0; at < PC_FLASH_BYTES; at++) {
		assert_int_equal(pc_load(&move->to, PC_FLASH + at, 1), 0xff);
		assert_int_equal(byte_of_file(&move->to, at), 0xff);
	}
	vmstate_finish(&s);
}

/* It can be tried again. */
static void test_move_flash_file_that_cannot_be_written_is_told(void **state)
{
	struct move *move = *state;
	struct err err;
	char path[64];
	int fd = dup(move->to.vars_fd), read_only;

	pc_use_flash(&move->from);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", move->to.vars_fd);
	read_only = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && read_only >= 0);
	move_flash(move);
	assert_int_equal(dup2(read_only, move->to.vars_fd), move->to.vars_fd);
	assert_fails(device_flash_take(&move->to.board, &err), ERR_HOST, "vars: cannot be written");
	assert_int_equal(dup2(fd, move->to.vars_fd), move->to.vars_fd);
	take_flash(&move->to);
	assert_int_equal(byte_of_file(&move->to, DEVICE_FLASH_BLOCK_BYTES), 0x12);
	close(fd);
	close(read_only);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_move_flash_contents_reach_the_file),
	        TEST(test_move_flash_equal_blocks_are_not_written),
	        TEST(test_move_flash_that_was_released_is_not_written),
	        TEST(test_move_flash_none_is_taken_and_released),
	        TEST(test_move_flash_in_every_state),
	        TEST(test_move_flash_range_beyond_its_block_is_refused),
	        TEST(test_move_flash_bad_state_leaves_the_contents_alone),
	        TEST(test_move_flash_file_that_cannot_be_written_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
