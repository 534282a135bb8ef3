/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever copies the guest's memory hears of every page that a device has written. */
#include "move.h"
#include "vmm/page/dirty.h"

static struct move_side side;
static struct page_dirty *dirty;
static uint8_t before[VIRTIO_GUEST_MEMORY];
static bool told[VIRTIO_GUEST_MEMORY / 4096];
static struct err err;

static int setup(void **state)
{
	if (move_setup(state))
		return -1;
	move_make(&side, true, false);
	memset(told, 0, sizeof(told));
	assert_ok(page_dirty_create(side.guest.memory, &dirty, &err));
	return 0;
}

static int teardown(void **state)
{
	page_dirty_destroy(dirty);
	move_finish(&side);
	return move_teardown(state);
}

/* A buffer of two parts in pages of their own, which begins and ends in the middle of a page. */
static void offer_two(enum move_device device, unsigned queue, unsigned i)
{
	struct driver *driver = &side.drivers[device][queue];
	uint64_t at = BUFFERS(device) + 0x8000 * queue + 0x4000 * (i / 2);

	driver_desc(driver, i, at + 4090, 100, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, (uint16_t)(i + 1));
	driver_desc(driver, i + 1, at + 0x3000 - 8, 4200, VRING_DESC_F_WRITE, 0);
	driver_offer(driver, (uint16_t)i);
}

static void offer_read(unsigned i, uint64_t sector)
{
	struct driver *driver = &side.drivers[BLK][0];
	struct virtio_blk_outhdr header = {.type = VIRTIO_BLK_T_IN, .sector = sector};
	uint64_t at = BUFFERS(BLK) + 0x4000 * i;

	memcpy(move_at(&side, at), &header, sizeof(header));
	driver_desc(driver, i, at, sizeof(header), VRING_DESC_F_NEXT, (uint16_t)(i + 1));
	driver_desc(driver, i + 1, at + 0x1200, 3 * 4096, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT,
	        (uint16_t)(i + 2));
	driver_desc(driver, i + 2, at + 0x5fff, 1, VRING_DESC_F_WRITE, 0);
	driver_offer(driver, (uint16_t)i);
}

static void fill_disk(void)
{
	uint8_t block[4096];
	int fd = open(move_path, O_WRONLY | O_CLOEXEC);

	memset(block, 0xb1, sizeof(block));
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(pwrite(fd, block, sizeof(block), (off_t)i * 4096), sizeof(block));
	close(fd);
}

/* While the devices are held the driver leaves work for all of them. */
static void leave_work(void)
{
	static const uint8_t offloads[10] = {5, 0, 1 << 1};
	struct driver *control = &side.drivers[NET][4];
	uint64_t at = BUFFERS(NET) + 0x30000;

	offer_two(RNG, 0, 0);
	offer_two(CONSOLE, 0, 0);
	move_print(&side, 0, "text");
	offer_read(0, 0);
	offer_read(3, 7);      /* its memory and its sectors lie askew */
	offer_read(6, 999999); /* fails, and only its status is written */
	for (unsigned i = 0; i < 4; i += 2)
		offer_two(NET, 0, i);
	move_send(&side, 0, 60);
	memcpy(move_at(&side, at), offloads, sizeof(offloads));
	driver_desc(control, 0, at, sizeof(offloads), VRING_DESC_F_NEXT, 1);
	driver_desc(control, 1, at + 0x2000, 1, VRING_DESC_F_WRITE, 0);
	memset(move_at(&side, at + 0x2000), 0xff, 1);
	driver_offer(control, 0);
	store_le(move_buffer(&side, BALLOON, 0, 0), 4, 1000);
	memset(move_at(&side, UINT64_C(1000) << 12), 0x77, 4096);
	move_offer(&side, BALLOON, 0, 0, 4, false);
	side.net.waiting = 2;
}

static unsigned answers(enum move_device device)
{
	return __atomic_load_n(&side.drivers[device][0].ring.used->idx, __ATOMIC_ACQUIRE);
}

static void do_work(void)
{
	struct virtio_console *console = virtio_console_of(&side.guest.board, NULL);
	char text[16];

	virtio_wake(&side.guest.board);
	VIRTIO_GUEST_UNTIL(
	        &side.guest, driver_has(&side.drivers[RNG][0]) && driver_has(&side.drivers[NET][1]));
	assert_int_equal(virtio_console_input(console, "typed", 5), 5);
	assert_int_equal(virtio_console_output(console, text, sizeof(text)), 4);
	VIRTIO_GUEST_UNTIL(
	        &side.guest, driver_has(&side.drivers[NET][4]) && driver_has(&side.drivers[BALLOON][0]));
	VIRTIO_GUEST_UNTIL(&side.guest, answers(NET) == 2);
	VIRTIO_GUEST_UNTIL(&side.guest, answers(BLK) == 3);
	move_hold(&side);
}

static void collect(void)
{
	struct page_range range;

	page_memory_collect_written(side.guest.memory, dirty);
	while (page_dirty_take(dirty, 0, UINT64_MAX, &range))
		for (uint64_t frame = range.first; frame < range.end && frame < ARRAY_LEN(told); frame++)
			told[frame] = true;
}

static unsigned check(void)
{
	unsigned changed = 0;

	for (size_t frame = 0; frame < ARRAY_LEN(told); frame++) {
		if (memcmp(before + 4096 * frame, side.guest.ram + 4096 * frame, 4096) == 0)
			continue;
		changed++;
		if (!told[frame])
			fail_msg("the page at %#zx was written, and nobody was told", 4096 * frame);
	}
	return changed;
}

static void work(uint64_t features)
{
	unsigned changed, others = 0;

	fill_disk();
	for (unsigned i = 0; i < DEVICES; i++)
		move_start(&side, i, features);
	move_hold(&side);
	leave_work();
	memcpy(before, side.guest.ram, sizeof(before));
	assert_ok(page_memory_track(side.guest.memory, true, &err));
	do_work();
	collect();
	changed = check();
	assert_true(changed > 25);
	for (size_t frame = 0; frame < ARRAY_LEN(told); frame++)
		others += told[frame];
	/* Little else is told of: what was not filled of a buffer, and rings that say the same as before. */
	assert_true(others < changed + 25);
}

static void test_wrote_tells_of_every_page(void **state)
{
	work(UINT64_MAX);
}

static void test_wrote_tells_of_every_page_without_event_indices(void **state)
{
	work(~(uint64_t)VIRTIO_F_EVENT_IDX);
}

/* Held devices write nothing, so nothing is left to be told. */
static void test_wrote_nothing_while_held(void **state)
{
	work(UINT64_MAX);
	memset(told, 0, sizeof(told));
	virtio_guest_turn(&side.guest, 20);
	collect();
	for (size_t frame = 0; frame < ARRAY_LEN(told); frame++)
		assert_false(told[frame]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_wrote_tells_of_every_page),
	        TEST(test_wrote_tells_of_every_page_without_event_indices),
	        TEST(test_wrote_nothing_while_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
