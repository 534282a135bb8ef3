/* SPDX-License-Identifier: Apache-2.0 */
/* Devices that go on on another board: nothing is lost, and nothing is done twice. */
#include "move.h"

static struct move_side source, target;
static struct vmstate states[DEVICES];
static struct err err;

#define ANNOUNCE    (1u << 21)
#define STATUS_BITS 2 /* of the network's configuration: link, announcement */

static int setup(void **state)
{
	return move_setup(state);
}

static int teardown(void **state)
{
	for (unsigned i = 0; i < DEVICES; i++)
		vmstate_finish(&states[i]);
	if (source.guest.board.bus)
		move_finish(&source);
	if (target.guest.board.bus)
		move_finish(&target);
	source = target = (struct move_side){0};
	return move_teardown(state);
}

static void begin(bool msix, uint64_t features)
{
	move_make(&source, msix, false);
	move_make(&target, msix, true);
	for (unsigned i = 0; i < DEVICES; i++)
		move_start(&source, i, features);
}

/* ---- the way ---- */

static void save(void)
{
	for (unsigned i = 0; i < DEVICES; i++)
		if (device_board_save(&source.guest.board, MOVE_FIRST + i, &states[i], &err) < 0)
			fail_msg("%s", err.text);
}

static int load(unsigned i)
{
	return device_board_load(&target.guest.board, MOVE_FIRST + i, states[i].data, states[i].size, &err);
}

static void release(void)
{
	int released = 0;

	virtio_disks_release(&source.guest.board);
	VIRTIO_GUEST_UNTIL(&source.guest, (released = virtio_disks_released(&source.guest.board, &err)));
	assert_int_equal(released, 1);
}

/* Memory and the driver's own notes are there, too. */
static void bring_memory(void)
{
	memcpy(target.guest.ram, source.guest.ram, VIRTIO_GUEST_MEMORY);
	for (unsigned i = 0; i < DEVICES; i++) {
		target.features[i] = source.features[i];
		target.queues[i] = source.queues[i];
		for (unsigned q = 0; q < source.queues[i]; q++) {
			target.drivers[i][q] = source.drivers[i][q];
			target.drivers[i][q].ram = target.guest.ram;
			vring_init(&target.drivers[i][q].ring, SIZE, target.guest.ram + RINGS(i, q), 4);
		}
	}
}

static void move(void)
{
	move_hold(&source);
	save();
	bring_memory();
	move_pci(&source, &target);
	for (unsigned i = 0; i < DEVICES; i++)
		if (load(i) < 0)
			fail_msg("%s: %s", move_ids[i], err.text);
	release();
	if (virtio_disks_take(&target.guest.board, &err) < 0)
		fail_msg("%s", err.text);
	assert_memory_equal(target.guest.ram, source.guest.ram, VIRTIO_GUEST_MEMORY);
	virtio_wake(&target.guest.board);
}

/* ---- nothing is lost, nothing comes twice ---- */

/* So much that indices pass the ends of the rings. */
static void work_before(void)
{
	struct virtio_console *console = virtio_console_of(&source.guest.board, NULL);
	char text[8];

	for (unsigned n = 0; n < 3 * SIZE + 5; n++) {
		unsigned i = n % SIZE;

		move_offer(&source, RNG, 0, i, 32, true);
		move_take(&source, RNG, 0, i);
		move_send(&source, i, 60);
		move_take(&source, NET, 1, i);
		move_print(&source, i, "x");
		while (virtio_console_output(console, text, sizeof(text)) == 0)
			;
		move_take(&source, CONSOLE, 1, i);
	}
	source.net.sent_count = 0;
}

static void leave_work(void)
{
	struct virtio_console *console = virtio_console_of(&source.guest.board, NULL);
	char text[8] = "";

	move_print(&source, 0, "hello ");
	move_print(&source, 1, "world");
	assert_int_equal(virtio_console_output(console, text, 3), 3);
	assert_string_equal(text, "hel");
	source.net.room = 2;
	for (unsigned i = 0; i < 6; i++)
		move_send(&source, i, i == 3 ? 1 : 60);
	move_take(&source, NET, 1, 0);
	move_take(&source, NET, 1, 1);
	for (unsigned i = 0; i < 4; i++)
		move_offer(&source, NET, 0, i, 100, true);
	move_write(&source, 0, 8, 0x42, true);
	move_write(&source, 3, 9, 0x43, false);
	move_write(&source, 6, 10, 0x44, false);
}

/* The driver rang, or wanted to, just when its processor was stopped. */
static void leave_late_work(struct move_side *side)
{
	driver_desc(&side->drivers[RNG][0], 0, BUFFERS(RNG), 64, VRING_DESC_F_WRITE, 0);
	driver_offer(&side->drivers[RNG][0], 0);
	store_le(move_at(side, BUFFERS(BALLOON)), 4, 1023);
	driver_desc(&side->drivers[BALLOON][0], 0, BUFFERS(BALLOON), 4, 0, 0);
	driver_offer(&side->drivers[BALLOON][0], 0);
}

static void find_work_done(void)
{
	struct virtio_console *console = virtio_console_of(&target.guest.board, NULL);
	char text[32] = "";
	uint8_t sector[512];
	int fd;

	assert_int_equal(virtio_console_output(console, text, sizeof(text)), 8);
	assert_string_equal(text, "lo world");
	move_take(&target, CONSOLE, 1, 0);
	move_take(&target, CONSOLE, 1, 1);
	move_has_nothing(&target, CONSOLE, 1);
	for (unsigned i = 2; i < 6; i++)
		move_take(&target, NET, 1, i);
	move_has_nothing(&target, NET, 1);
	assert_int_equal(source.net.sent_count, 2);
	assert_memory_equal(source.net.sent, "ab", 2);
	assert_int_equal(target.net.sent_count, 3);
	assert_memory_equal(target.net.sent, "cef", 3);
	VIRTIO_GUEST_UNTIL(&target.guest, target.net.watched & POLLIN);
	target.net.waiting = 2;
	move_ready(&target, POLLIN);
	assert_int_equal(move_take(&target, NET, 0, 0), HEADER + 60);
	assert_int_equal(move_take(&target, NET, 0, 1), HEADER + 60);
	move_take_writes(&target, 9);
	move_has_nothing(&target, BLK, 0);
	assert_int_equal(move_take(&target, RNG, 0, 0), 64);
	move_take(&target, BALLOON, 0, 0);
	fd = open(move_path, O_RDONLY | O_CLOEXEC);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(pread(fd, sector, 512, 512 * (8 + i)), 512);
		assert_int_equal(sector[511], 0x42 + i);
	}
	close(fd);
}

static void go(uint64_t features)
{
	begin(true, features);
	assert_int_equal(source.bells, 1 + 2 + 1 + 5 + 3);
	work_before();
	leave_work();
	move_hold(&source);
	leave_late_work(&source);
	move();
	assert_int_equal(target.bells, source.bells);
	find_work_done();
	/* And then as ever. */
	for (unsigned n = 0; n < 2 * SIZE; n++) {
		move_offer(&target, RNG, 0, n % SIZE, 16, true);
		assert_int_equal(move_take(&target, RNG, 0, n % SIZE), 16);
		assert_int_equal(target.guest.last_data, 1);
		move_write(&target, 0, n, 1, true);
		move_take_writes(&target, 3);
	}
	assert_true(target.guest.messages);
}

static void test_move_loses_nothing_and_repeats_nothing(void **state)
{
	go(UINT64_MAX);
}

static void test_move_without_event_indices(void **state)
{
	go(~(uint64_t)VIRTIO_F_EVENT_IDX);
}

/* Devices without a driver, after a reset, and broken ones. */
static void test_move_devices_that_do_not_run(void **state)
{
	struct virtio_function *rng = &source.functions[RNG];

	begin(true, UINT64_MAX);
	virtio_function_reset(&source.functions[CONSOLE]);
	virtio_function_negotiate(&source.functions[NET], UINT64_MAX);
	move_offer(&source, RNG, 0, 0, 8, false);
	VIRTIO_GUEST_UNTIL(&source.guest, virtio_function_status(rng) & VIRTIO_CONFIG_S_NEEDS_RESET);
	move();
	for (unsigned i = 0; i < DEVICES; i++)
		assert_int_equal(virtio_function_status(&target.functions[i]),
		        virtio_function_status(&source.functions[i]));
	for (unsigned i = 0; i < DEVICES; i++)
		move_start(&target, i, UINT64_MAX);
	move_offer(&target, RNG, 0, 0, 8, true);
	assert_int_equal(move_take(&target, RNG, 0, 0), 8);
}

static void test_move_keeps_registers(void **state)
{
	begin(true, UINT64_MAX);
	for (unsigned i = 0; i < DEVICES; i++)
		virtio_function_set(&source.functions[i], VIRTIO_PCI_COMMON_Q_SELECT, 2, i % 2);
	move();
	for (unsigned i = 0; i < DEVICES; i++) {
		for (unsigned at = 0; at < 56; at += 4) {
			unsigned differs =
			        at == VIRTIO_PCI_COMMON_STATUS && i == NET ? 0xffff00ff : UINT32_MAX;

			assert_int_equal(virtio_function_get(&target.functions[i], at, 4) & differs,
			        virtio_function_get(&source.functions[i], at, 4) & differs);
		}
	}
}

/* ---- interrupts ---- */

/* An interrupt by the pin that the driver has not seen is still there. */
static void test_move_keeps_a_pending_pin(void **state)
{
	unsigned gsi;

	begin(false, UINT64_MAX);
	gsi = device_pci_gsi(source.functions[RNG].slot, 1);
	move_offer(&source, RNG, 0, 0, 8, true);
	move_take(&source, RNG, 0, 0);
	VIRTIO_GUEST_UNTIL(&source.guest, source.guest.lines[gsi]);
	assert_false(target.guest.lines[gsi]);
	move();
	assert_true(target.guest.lines[gsi]);
	assert_int_equal(
	        device_bus_read(target.guest.board.bus, DEVICE_MMIO, target.functions[RNG].isr, 1), 1);
	assert_false(target.guest.lines[gsi]);
	move_offer(&target, RNG, 0, 1, 8, true);
	move_take(&target, RNG, 0, 1);
	VIRTIO_GUEST_UNTIL(&target.guest, target.guest.lines[gsi]);
}

static uint64_t net_status(struct move_side *side)
{
	return device_bus_read(side->guest.board.bus, DEVICE_MMIO, side->functions[NET].config + 6, 2);
}

/* What a controller changed when the guest was held is told there. */
static void test_move_brings_late_changes(void **state)
{
	begin(true, ~(uint64_t)ANNOUNCE);
	virtio_balloon_ask(virtio_balloon_of(&source.guest.board), MIB(2));
	move_hold(&source);
	assert_true(virtio_net_set_link(&source.guest.board, move_ids[NET], false));
	move();
	assert_int_equal(target.guest.messages, 1);
	assert_int_equal(target.guest.last_data, 0);
	assert_int_equal(net_status(&target), 0);
	assert_int_equal(
	        device_bus_read(target.guest.board.bus, DEVICE_MMIO, target.functions[BALLOON].config, 4),
	        MIB(2) >> 12);
	assert_true(virtio_net_set_link(&target.guest.board, move_ids[NET], true));
	assert_int_equal(net_status(&target), 1);
}

/* Gives the network's control queue a command. Returns the device's answer. */
static uint8_t command(struct move_side *side, const void *bytes, uint32_t size)
{
	struct driver *driver = &side->drivers[NET][4];
	uint64_t at = BUFFERS(NET) + 0x20000;

	memcpy(move_at(side, at), bytes, size);
	driver_desc(driver, 0, at, size, VRING_DESC_F_NEXT, 1);
	driver_desc(driver, 1, at + 64, 1, VRING_DESC_F_WRITE, 0);
	driver_offer(driver, 0);
	virtio_function_kick(&side->functions[NET], 4);
	assert_int_equal(move_take(side, NET, 4, 0), 1);
	return *move_at(side, at + 64);
}

static void test_move_announces_the_guest(void **state)
{
	static const uint8_t pairs[] = {4, 0, 2, 0}, offloads[10] = {5, 0, 1 << 1}, seen[] = {3, 0};

	begin(true, UINT64_MAX);
	assert_int_equal(command(&source, pairs, sizeof(pairs)), 0);
	assert_int_equal(command(&source, offloads, sizeof(offloads)), 0);
	assert_int_equal(net_status(&source), 1);
	move();
	assert_int_equal(target.net.queues, 2);
	assert_int_equal(target.net.offloads, BACK_NET_CSUM);
	assert_int_equal(target.guest.messages, 1);
	assert_int_equal(net_status(&target), 1 | 2);
	assert_int_equal(command(&target, seen, sizeof(seen)), 0);
	assert_int_equal(net_status(&target), 1);
}

/* ---- disks ---- */

static void assert_not_taken(const char *why)
{
	assert_int_equal(virtio_disks_take(&target.guest.board, &err), -1);
	if (!strstr(err.text, why))
		fail_msg("\"%s\" is not in: %s", why, err.text);
}

static void test_move_disk_is_open_on_one_side(void **state)
{
	begin(true, UINT64_MAX);
	move_hold(&source);
	assert_not_taken("another program");
	release();
	assert_int_equal(unlink(move_path), 0);
	assert_not_taken("No such file");
	close(open(move_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	assert_not_taken("0 bytes");
	assert_int_equal(truncate(move_path, (off_t)DISK_BYTES), 0);
	assert_ok(virtio_disks_take(&target.guest.board, &err));
	/* Whoever comes too late does not get it, until the other one lets go. */
	assert_int_equal(virtio_disks_take(&source.guest.board, &err), -1);
	move_finish(&target);
	target = (struct move_side){0};
	assert_ok(virtio_disks_take(&source.guest.board, &err));
	virtio_wake(&source.guest.board);
	move_write(&source, 0, 1, 1, true);
	move_take_writes(&source, 3);
}

/* The move is given up while the disk lets go of its image, or just before or after that. */
static void test_move_disk_is_taken_back_at_any_time(void **state)
{
	begin(true, UINT64_MAX);
	for (unsigned round = 0; round < 50; round++) {
		move_write(&source, 0, round, (uint8_t)round, true);
		move_take_writes(&source, 3);
		move_hold(&source);
		virtio_disks_release(&source.guest.board);
		virtio_guest_turn(&source.guest, round % 5 + 1);
		assert_ok(virtio_disks_take(&source.guest.board, &err));
		assert_int_equal(virtio_disks_released(&source.guest.board, &err), 0);
		virtio_wake(&source.guest.board);
	}
	move();
	move_write(&target, 0, 1, 1, true);
	move_take_writes(&target, 3);
}

/* What cannot be flushed stays here, and so does the guest. */
static void test_move_disk_that_is_not_flushed_stays(void **state)
{
	begin(true, UINT64_MAX);
	move_write(&source, 0, 1, 1, true);
	move_take_writes(&source, 3);
	move_hold(&source);
	assert_int_equal(truncate(move_path, 512), 0);
	virtio_disks_release(&source.guest.board);
	VIRTIO_GUEST_UNTIL(&source.guest, virtio_disks_released(&source.guest.board, &err));
	assert_fails(virtio_disks_released(&source.guest.board, &err), ERR_HOST, "may be lost");
	assert_int_equal(truncate(move_path, (off_t)DISK_BYTES), 0);
	assert_not_taken("another program");
	assert_ok(virtio_disks_take(&source.guest.board, &err));
	virtio_wake(&source.guest.board);
}

static void test_move_disk_without_its_image_fails_requests(void **state)
{
	begin(true, UINT64_MAX);
	move_hold(&source);
	save();
	bring_memory();
	move_pci(&source, &target);
	for (unsigned i = 0; i < DEVICES; i++)
		assert_ok(load(i));
	virtio_wake(&target.guest.board);
	move_write(&target, 0, 1, 1, true);
	move_take(&target, BLK, 0, 0);
	assert_int_equal(move_status(&target, 0), VIRTIO_BLK_S_IOERR);
}

/* The image grew after it was looked at. */
static void test_move_disk_that_grew(void **state)
{
	struct virtio_blk_facts facts;

	begin(true, UINT64_MAX);
	assert_ok(virtio_blk_resize(&source.guest.board, move_ids[BLK], 2 * DISK_BYTES, &err));
	move();
	assert_true(virtio_blk_facts(&target.guest.board, move_ids[BLK], &facts));
	assert_int_equal(facts.size_bytes, 2 * DISK_BYTES);
	move_write(&target, 0, 2 * DISK_BYTES / 512 - 1, 1, true);
	move_take_writes(&target, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_move_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(loses_nothing_and_repeats_nothing),
	        TEST(without_event_indices),
	        TEST(devices_that_do_not_run),
	        TEST(keeps_registers),
	        TEST(keeps_a_pending_pin),
	        TEST(brings_late_changes),
	        TEST(announces_the_guest),
	        TEST(disk_is_open_on_one_side),
	        TEST(disk_is_taken_back_at_any_time),
	        TEST(disk_that_is_not_flushed_stays),
	        TEST(disk_without_its_image_fails_requests),
	        TEST(disk_that_grew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
