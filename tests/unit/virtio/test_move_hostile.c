/* SPDX-License-Identifier: Apache-2.0 */
/* States of devices that no device has saved: they are refused, and harm nobody. */
#include "move.h"

static struct move_side source, target;
static struct vmstate states[DEVICES];
static struct err err;

static int setup(void **state)
{
	if (move_setup(state))
		return -1;
	move_make(&source, true, false);
	move_make(&target, true, true);
	for (unsigned i = 0; i < DEVICES; i++)
		move_start(&source, i, UINT64_MAX);
	move_hold(&source);
	move_pci(&source, &target);
	for (unsigned i = 0; i < DEVICES; i++)
		assert_ok(device_board_save(&source.guest.board, MOVE_FIRST + i, &states[i], &err));
	return 0;
}

static int teardown(void **state)
{
	for (unsigned i = 0; i < DEVICES; i++)
		vmstate_finish(&states[i]);
	move_finish(&source);
	move_finish(&target);
	return move_teardown(state);
}

static int load(unsigned i, const uint8_t *data, size_t size)
{
	return device_board_load(&target.guest.board, MOVE_FIRST + i, data, size, &err);
}

/* What was loaded last, good or bad, has left a device that works when a good state is loaded. */
static void assert_mended(void)
{
	for (unsigned i = 0; i < DEVICES; i++) {
		assert_ok(load(i, states[i].data, states[i].size));
		target.drivers[i][0] = source.drivers[i][0];
		target.drivers[i][0].ram = target.guest.ram;
	}
	memcpy(target.guest.ram, source.guest.ram, VIRTIO_GUEST_MEMORY);
	vring_init(&target.drivers[RNG][0].ring, SIZE, target.guest.ram + RINGS(RNG, 0), 4);
	virtio_wake(&target.guest.board);
	driver_desc(&target.drivers[RNG][0], 0, BUFFERS(RNG), 8, VRING_DESC_F_WRITE, 0);
	driver_offer(&target.drivers[RNG][0], 0);
	virtio_function_kick(&target.functions[RNG], 0);
	assert_int_equal(move_take(&target, RNG, 0, 0), 8);
}

static void test_move_hostile_refuses_every_truncation(void **state)
{
	for (unsigned i = 0; i < DEVICES; i++) {
		for (size_t size = 0; size < states[i].size; size++) {
			assert_int_equal(load(i, states[i].data, size), -1);
			assert_non_null(strstr(err.text, move_ids[i]));
			assert_int_equal(virtio_function_status(&target.functions[i]), 0);
		}
	}
	assert_mended();
}

static void test_move_hostile_refuses_bytes_behind_the_end(void **state)
{
	uint8_t longer[1024];

	for (unsigned i = 0; i < DEVICES; i++) {
		assert_true(states[i].size < sizeof(longer));
		memcpy(longer, states[i].data, states[i].size);
		longer[states[i].size] = 0;
		assert_int_equal(load(i, longer, states[i].size + 1), -1);
	}
	assert_mended();
}

/* ---- values ---- */

/* Where the transport has what: its registers, then each queue, then the kind's own. */
enum {
	KIND = 0,
	COUNT = 8,
	LARGEST = 16,
	STATUS = 24,
	FEATURES = 26,
	CONFIG_VECTOR = 44,
	QUEUE = 46,
	QUEUE_SIZE = QUEUE,
	QUEUE_ENABLED = QUEUE + 2,
	QUEUE_DESC = QUEUE + 3,
	QUEUE_AVAIL = QUEUE + 11,
	QUEUE_USED = QUEUE + 19,
	QUEUE_VECTOR = QUEUE + 27,
	QUEUE_BYTES = 31, /* of an enabled one of a device that runs; the last two are its index */
};
#define ISR(queues) (QUEUE + QUEUE_BYTES * (queues))
#define OWN(queues) (ISR(queues) + 2)

static const struct {
	enum move_device device;
	unsigned at, size;
	uint64_t value;
	const char *why;
} rows[] = {
        {RNG, KIND, 8, 3, "the kind of device"},
        {RNG, COUNT, 8, 2, "the number of queues"},
        {RNG, COUNT, 8, UINT64_MAX, "the number of queues"},
        {RNG, LARGEST, 8, 128, "the largest queue"},
        {RNG, STATUS, 1, 0x1f, "status"},
        {RNG, STATUS, 1, 4, "without having agreed"},
        {RNG, FEATURES, 8, 0, "features"},
        {RNG, FEATURES, 8, UINT64_C(1) << 32 | 1, "features"},
        {RNG, FEATURES, 8, UINT64_MAX, "features"},
        {RNG, CONFIG_VECTOR, 2, 2, "vector 2 of 2"},
        {RNG, QUEUE_SIZE, 2, 0, "entries"},
        {RNG, QUEUE_SIZE, 2, 3, "entries"},
        {RNG, QUEUE_SIZE, 2, 128, "entries"},
        {RNG, QUEUE_SIZE, 2, 32768, "entries"},
        {RNG, QUEUE_ENABLED, 1, 2, "enabled"},
        {RNG, QUEUE_DESC, 8, 8, "not aligned"},
        {RNG, QUEUE_DESC, 8, VIRTIO_GUEST_MEMORY - 16, "not shared RAM"},
        {RNG, QUEUE_AVAIL, 8, UINT64_MAX - 1, "not shared RAM"},
        {RNG, QUEUE_AVAIL, 8, 1, "not aligned"},
        {RNG, QUEUE_USED, 8, GIB(4) - 4096, "not shared RAM"},
        {RNG, QUEUE_USED, 8, 2, "not aligned"},
        {RNG, QUEUE_VECTOR, 2, 0xfffe, "vector"},
        {RNG, ISR(1), 1, 4, "interrupt status"},
        {RNG, ISR(1) + 1, 1, 2, "late"},
        {CONSOLE, OWN(2), 8, GIB(4), "taken"},
        {BLK, OWN(1), 8, 4096, "bytes of a block"},
        {BLK, OWN(1) + 8, 8, 1, "read-only"},
        {BLK, OWN(1) + 16, 1, 'x', "serial"},
        {BLK, OWN(1) + 36, 8, 1, "the same image"},
        {BLK, OWN(1) + 36, 8, UINT64_MAX, "sectors"},
        {NET, OWN(5), 1, 1, "hardware address"},
        {NET, OWN(5) + 6, 8, 9000, "MTU"},
        {NET, OWN(5) + 14, 8, 1, "pairs"},
        {NET, OWN(5) + 22, 1, 2, "cable"},
        {NET, OWN(5) + 23, 8, 1 << 4, "offloads"},
        {NET, OWN(5) + 31, 4, 3, "pairs"},
        {NET, OWN(5) + 31, 4, 0, "no pair"},
        {BALLOON, STATUS, 1, 0xff, "status"},
};

static void test_move_hostile_refuses_impossible_values(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t bytes[1024];
		unsigned device = rows[i].device;
		size_t size = states[device].size;

		assert_true(rows[i].at + rows[i].size <= size && size <= sizeof(bytes));
		memcpy(bytes, states[device].data, size);
		store_le(bytes + rows[i].at, rows[i].size, rows[i].value);
		if (load(device, bytes, size) == 0)
			fail_msg("row %zu (%s) is taken", i, rows[i].why);
		if (!strstr(err.text, rows[i].why))
			fail_msg("row %zu: \"%s\" is not in: %s", i, rows[i].why, err.text);
		assert_int_equal(virtio_function_status(&target.functions[device]), 0);
	}
	assert_mended();
}

/* Whatever the bytes are: the device is refused, or it runs on the guest's memory alone, or breaks. */
static void test_move_hostile_any_byte(void **state)
{
	static const uint8_t flips[] = {0xff, 0x01, 0x80, 0x55};
	unsigned taken = 0;

	log_set_level(LOG_ERROR);
	for (unsigned i = 0; i < DEVICES; i++) {
		for (size_t n = 0; n < states[i].size * ARRAY_LEN(flips); n++) {
			uint8_t bytes[1024];

			memcpy(bytes, states[i].data, states[i].size);
			bytes[n / ARRAY_LEN(flips)] ^= flips[n % ARRAY_LEN(flips)];
			if (load(i, bytes, states[i].size) == 0) {
				taken++;
				virtio_wake(&target.guest.board);
				for (unsigned q = 0; q < source.queues[i]; q++)
					virtio_function_kick(&target.functions[i], q);
				virtio_guest_turn(&target.guest, 1);
			}
		}
	}
	assert_true(taken > 50);
	move_hold(&target);
	memset(target.guest.ram, 0, VIRTIO_GUEST_MEMORY);
	assert_mended();
	log_set_level(LOG_INFO);
}

/* A device that still works has no state that could be saved. */
static void test_move_hostile_saves_only_what_is_held(void **state)
{
	virtio_wake(&source.guest.board);
	for (unsigned i = 0; i < DEVICES; i++) {
		vmstate_finish(&states[i]);
		assert_int_equal(
		        device_board_save(&source.guest.board, MOVE_FIRST + i, &states[i], &err), -1);
		assert_non_null(strstr(err.text, "not held"));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_move_hostile_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(refuses_every_truncation),
	        TEST(refuses_bytes_behind_the_end),
	        TEST(refuses_impossible_values),
	        TEST(any_byte),
	        TEST(saves_only_what_is_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
