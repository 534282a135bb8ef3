/* SPDX-License-Identifier: Apache-2.0 */
/* Devices that are held while the guest does not run, and go on where they were. */
#include "move.h"

static struct move_side side;

static int setup(void **state)
{
	if (move_setup(state))
		return -1;
	move_make(&side, true, false);
	for (unsigned i = 0; i < DEVICES; i++)
		move_start(&side, i, UINT64_MAX);
	return 0;
}

static int teardown(void **state)
{
	move_finish(&side);
	return move_teardown(state);
}

/* While the devices are held nothing moves, whatever happens around them. */
static void stay_held(void)
{
	static uint8_t before[VIRTIO_GUEST_MEMORY];
	unsigned messages = side.guest.messages, sent = side.net.sent_count;
	char text[16];

	memcpy(before, side.guest.ram, sizeof(before));
	for (unsigned i = 0; i < DEVICES; i++)
		for (unsigned q = 0; q < side.queues[i]; q++)
			virtio_function_kick(&side.functions[i], q);
	side.net.waiting = 1;
	move_ready(&side, POLLIN | POLLOUT);
	assert_int_equal(virtio_console_output(virtio_console_of(&side.guest.board, NULL), text, 16), 0);
	assert_int_equal(virtio_console_input(virtio_console_of(&side.guest.board, NULL), "in", 2), 0);
	virtio_guest_turn(&side.guest, 20);
	assert_memory_equal(before, side.guest.ram, sizeof(before));
	assert_int_equal(side.guest.messages, messages);
	assert_int_equal(side.net.sent_count, sent);
	assert_int_equal(side.net.waiting, 1);
}

static void test_hold_console_goes_on_in_the_middle_of_a_chain(void **state)
{
	struct virtio_console *console = virtio_console_of(&side.guest.board, NULL);
	char text[32] = "";

	move_print(&side, 0, "hello ");
	move_print(&side, 1, "world");
	assert_int_equal(virtio_console_output(console, text, 3), 3);
	move_hold(&side);
	stay_held();
	virtio_wake(&side.guest.board);
	assert_int_equal(virtio_console_output(console, text + 3, 29), 8);
	assert_string_equal(text, "hello world");
	assert_int_equal(move_take(&side, CONSOLE, 1, 0), 0);
	assert_int_equal(move_take(&side, CONSOLE, 1, 1), 0);
	move_has_nothing(&side, CONSOLE, 1);
	/* It listens: a new chain is told of. */
	side.outputs = 0;
	move_print(&side, 2, "!");
	VIRTIO_GUEST_UNTIL(&side.guest, side.outputs);
	assert_int_equal(virtio_console_output(console, text, 32), 1);
}

/* One frame is gone, others were taken and wait, and one among them is too short to be sent. */
static void test_hold_net_sends_each_frame_once(void **state)
{
	side.net.room = 1;
	for (unsigned i = 0; i < 6; i++)
		move_send(&side, i, i == 3 ? 1 : 60);
	move_take(&side, NET, 1, 0);
	VIRTIO_GUEST_UNTIL(&side.guest, side.net.watched & POLLOUT);
	move_hold(&side);
	assert_int_equal(side.net.watched, 0);
	side.net.room = UINT32_MAX;
	stay_held();
	virtio_wake(&side.guest.board);
	for (unsigned i = 1; i < 6; i++)
		move_take(&side, NET, 1, i);
	move_has_nothing(&side, NET, 1);
	assert_int_equal(side.net.sent_count, 5);
	assert_memory_equal(side.net.sent, "abcef", 5);
}

static void test_hold_net_receives_in_order(void **state)
{
	for (unsigned i = 0; i < 6; i++)
		move_offer(&side, NET, 0, i, 100, true);
	VIRTIO_GUEST_UNTIL(&side.guest, side.net.watched & POLLIN);
	side.net.waiting = 2;
	move_ready(&side, POLLIN);
	move_take(&side, NET, 0, 0);
	move_take(&side, NET, 0, 1);
	move_hold(&side);
	stay_held();
	virtio_wake(&side.guest.board);
	assert_int_equal(move_take(&side, NET, 0, 2), HEADER + 60); /* it came while the device was held */
	VIRTIO_GUEST_UNTIL(&side.guest, side.net.watched & POLLIN);
	side.net.waiting = 2;
	move_ready(&side, POLLIN);
	for (unsigned i = 3; i < 5; i++)
		assert_int_equal(move_take(&side, NET, 0, i), HEADER + 60);
	move_has_nothing(&side, NET, 0);
}

/* What the driver has asked for by the control queue still counts. */
static void test_hold_net_keeps_pairs_and_offloads(void **state)
{
	static const uint8_t pairs[] = {4, 0, 2, 0}, offloads[10] = {5, 0, 1 << 1};

	move_start(&side, NET, UINT64_MAX & ~(UINT64_C(1) << 22));
	move_start(&side, NET, UINT64_MAX);
	for (unsigned i = 0; i < 2; i++) {
		struct driver *driver = &side.drivers[NET][4];
		uint64_t at = BUFFERS(NET) + 0x20000;

		memcpy(move_at(&side, at), i ? offloads : pairs, i ? sizeof(offloads) : sizeof(pairs));
		driver_desc(driver, 0, at, i ? sizeof(offloads) : sizeof(pairs), VRING_DESC_F_NEXT, 1);
		driver_desc(driver, 1, at + 64, 1, VRING_DESC_F_WRITE, 0);
		driver_offer(driver, 0);
		virtio_function_kick(&side.functions[NET], 4);
		assert_int_equal(move_take(&side, NET, 4, 0), 1);
		assert_int_equal(*move_at(&side, at + 64), 0);
	}
	assert_int_equal(side.net.queues, 2);
	assert_int_equal(side.net.offloads, BACK_NET_CSUM);
	move_hold(&side);
	side.net.queues = side.net.offloads = 0;
	virtio_wake(&side.guest.board);
	assert_int_equal(side.net.queues, 2);
	assert_int_equal(side.net.offloads, BACK_NET_CSUM);
	move_start(&side, NET, UINT64_MAX);
	assert_int_equal(side.net.queues, 1);
	assert_int_equal(side.net.offloads, BACK_NET_CSUM | BACK_NET_TSO4);
}

/* Requests that nobody has rung for are done first, and the disk works afterwards. */
static void test_hold_disk_loses_nothing(void **state)
{
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 12; i += 3)
			move_write(&side, i, i, (uint8_t)i, round == 1);
		move_hold(&side);
		move_take_writes(&side, 12);
		stay_held();
		virtio_wake(&side.guest.board);
		move_has_nothing(&side, BLK, 0);
	}
}

static void test_hold_rng_and_balloon_leave_what_comes_late(void **state)
{
	move_hold(&side);
	driver_desc(&side.drivers[RNG][0], 0, BUFFERS(RNG), 64, VRING_DESC_F_WRITE, 0);
	driver_offer(&side.drivers[RNG][0], 0);
	store_le(move_buffer(&side, BALLOON, 0, 0), 4, 3);
	driver_desc(&side.drivers[BALLOON][0], 0, BUFFERS(BALLOON), 4, 0, 0);
	driver_offer(&side.drivers[BALLOON][0], 0);
	stay_held();
	virtio_wake(&side.guest.board);
	assert_int_equal(move_take(&side, RNG, 0, 0), 64);
	move_take(&side, BALLOON, 0, 0);
	assert_int_equal(side.drivers[RNG][0].ring.used->idx, 1);
}

/* The driver hears of a change when the guest runs again, and once. */
static void test_hold_keeps_changes_of_the_configuration_back(void **state)
{
	unsigned messages;

	move_hold(&side);
	messages = side.guest.messages;
	assert_true(virtio_net_set_link(&side.guest.board, move_ids[NET], false));
	assert_true(virtio_net_set_link(&side.guest.board, move_ids[NET], true));
	virtio_balloon_ask(virtio_balloon_of(&side.guest.board), MIB(1));
	assert_int_equal(side.guest.messages, messages);
	virtio_wake(&side.guest.board);
	virtio_guest_turn(&side.guest, 20);
	assert_int_equal(side.guest.messages, messages + 2);
	assert_int_equal(side.guest.last_data, 0);
	virtio_hold(&side.guest.board);
	virtio_wake(&side.guest.board);
	assert_int_equal(side.guest.messages, messages + 2);
}

static void test_hold_ends_with_a_reset(void **state)
{
	move_print(&side, 0, "lost");
	move_hold(&side);
	for (unsigned i = 0; i < DEVICES; i++)
		move_start(&side, i, UINT64_MAX);
	move_offer(&side, RNG, 0, 0, 8, true);
	assert_int_equal(move_take(&side, RNG, 0, 0), 8);
	virtio_wake(&side.guest.board);
	move_offer(&side, RNG, 0, 1, 8, true);
	assert_int_equal(move_take(&side, RNG, 0, 1), 8);
	move_write(&side, 0, 1, 1, true);
	assert_int_equal(move_take(&side, BLK, 0, 0), 1);
}

/* The guest's memory is taken while its devices are held. */
static void test_hold_ends_with_the_guest(void **state)
{
	move_send(&side, 0, 60);
	move_hold(&side);
	device_board_attach(&side.guest.board, NULL);
	device_board_attach(&side.guest.board, side.guest.memory);
	virtio_wake(&side.guest.board);
	for (unsigned i = 0; i < DEVICES; i++)
		assert_int_equal(virtio_function_status(&side.functions[i]), 0);
	move_start(&side, RNG, UINT64_MAX);
	move_offer(&side, RNG, 0, 0, 8, true);
	assert_int_equal(move_take(&side, RNG, 0, 0), 8);
}

/* A driver that broke the rules before it was held has to reset the device afterwards, too. */
static void test_hold_does_not_mend_a_broken_device(void **state)
{
	unsigned running = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK |
	                   VIRTIO_CONFIG_S_FEATURES_OK;

	move_offer(&side, RNG, 0, 0, 8, false);
	VIRTIO_GUEST_UNTIL(
	        &side.guest, virtio_function_status(&side.functions[RNG]) & VIRTIO_CONFIG_S_NEEDS_RESET);
	for (unsigned i = 0; i < 2; i++) {
		move_hold(&side);
		virtio_wake(&side.guest.board);
		assert_int_equal(
		        virtio_function_status(&side.functions[RNG]), running | VIRTIO_CONFIG_S_NEEDS_RESET);
	}
	move_start(&side, RNG, UINT64_MAX);
	move_offer(&side, RNG, 0, 0, 8, true);
	assert_int_equal(move_take(&side, RNG, 0, 0), 8);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_hold_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(console_goes_on_in_the_middle_of_a_chain),
	        TEST(net_sends_each_frame_once),
	        TEST(net_receives_in_order),
	        TEST(net_keeps_pairs_and_offloads),
	        TEST(disk_loses_nothing),
	        TEST(rng_and_balloon_leave_what_comes_late),
	        TEST(keeps_changes_of_the_configuration_back),
	        TEST(ends_with_a_reset),
	        TEST(ends_with_the_guest),
	        TEST(does_not_mend_a_broken_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
