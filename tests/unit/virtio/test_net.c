/* SPDX-License-Identifier: Apache-2.0 */
#include "card.h"

#define HEADER BACK_NET_HEADER_BYTES

static char net0[] = "net0", net1[] = "net1", none[] = "";
static const struct config_device plain = {
        .driver = CONFIG_NET, .id = net0, .tap = none, .tap_fd = -1, .mac = none};

#define VERSION_1 NET_BIT(32)
#define MERGED    (VERSION_1 | NET_BIT(NET_F_MRG_RXBUF) | NET_BIT(NET_F_STATUS))

static int add_and_start(void **state)
{
	card_add(&plain);
	card.back.room = UINT32_MAX;
	card_start(MERGED, 256);
	return 0;
}

static int finish(void **state)
{
	card_finish();
	return 0;
}

/* ---- to the network ---- */

static void test_net_sends_frames_in_order(void **state)
{
	struct vring_used_elem used = {0};

	for (unsigned i = 0; i < 200; i++)
		card_offer_tx(i, HEADER + 14 + i, (uint8_t)i);
	card_kick(1);
	card_settle();
	assert_int_equal(card.back.sent_count, 200);
	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(card.back.sent[i].bytes, 14 + i);
		assert_true(driver_take(&card.drivers[1], &used));
		assert_int_equal(used.id, i);
	}
	/* Buffers repeat after 64 of them, so only the last frames still have theirs. */
	assert_int_equal(card.back.sent[199].data[HEADER], 199);
}

static void test_net_sends_a_frame_whose_header_is_cut(void **state)
{
	struct driver *driver = &card.drivers[1];
	uint8_t *data = card_buffer(1, 0);

	for (unsigned i = 0; i < 100; i++)
		data[i] = (uint8_t)i;
	driver_desc(driver, 0, driver_gpa(driver, data), 5, VRING_DESC_F_NEXT, 1);
	driver_desc(driver, 1, driver_gpa(driver, data + 5), 20, VRING_DESC_F_NEXT, 2);
	driver_desc(driver, 2, driver_gpa(driver, data + 25), 75, 0, 0);
	driver_offer(driver, 0);
	card_kick(1);
	assert_int_equal(card.back.sent_count, 1);
	assert_int_equal(card.back.sent[0].bytes, 100 - HEADER);
	assert_memory_equal(card.back.sent[0].data, data, 100);
}

static void test_net_drops_what_is_no_frame(void **state)
{
	struct vring_used_elem used = {0};
	unsigned given = 0;

	card_offer_tx(0, HEADER, 1);
	card_offer_tx(1, HEADER + 13, 2);
	card_offer_tx(2, HEADER + 14, 3);
	card_offer_tx(3, HEADER + 65535, 4);
	card_offer_tx(4, HEADER + 65536, 5);
	card_kick(1);
	assert_int_equal(card.back.sent_count, 2);
	assert_int_equal(card.back.sent[0].data[HEADER], 3);
	assert_int_equal(card.back.sent[1].data[HEADER], 4);
	while (driver_take(&card.drivers[1], &used))
		given++;
	assert_int_equal(given, 5);
	assert_int_equal(card.breaks, 0);
}

static void test_net_is_broken_by_a_frame_without_a_header(void **state)
{
	card_offer_tx(0, HEADER - 1, 1);
	card_kick(1);
	assert_int_equal(card.breaks, 1);
	assert_non_null(strstr(card.broken, "no header"));
}

static void test_net_waits_for_a_full_back_end(void **state)
{
	struct vring_used_elem used = {0};

	card.back.room = 10;
	for (unsigned i = 0; i < 150; i++)
		card_offer_tx(i, HEADER + 60, (uint8_t)i);
	card_kick(1);
	card_settle();
	assert_int_equal(card.back.sent_count, 10);
	assert_int_equal(card.back.watched[0] & POLLOUT, POLLOUT);
	for (unsigned i = 0; i < 10; i++)
		assert_true(driver_take(&card.drivers[1], &used));
	assert_false(driver_take(&card.drivers[1], &used));

	card.back.room = UINT32_MAX;
	card_ready(0, POLLOUT);
	card_settle();
	assert_int_equal(card.back.sent_count, 150);
	assert_int_equal(card.back.watched[0] & POLLOUT, 0);
}

/* ---- from the network ---- */

static void test_net_receives_into_one_buffer(void **state)
{
	struct vring_used_elem used = {0};
	unsigned calls = card.calls;

	card_offer_rx(0, 2000);
	card_kick(0);
	card_wait(100, 0xab);
	card_ready(0, POLLIN);
	assert_true(driver_take(&card.drivers[0], &used));
	assert_int_equal(used.len, HEADER + 100);
	assert_int_equal(load_le(card_buffer(0, 0) + 10, 2), 1);
	assert_int_equal(card_buffer(0, 0)[HEADER], 0xab);
	assert_int_equal(card_buffer(0, 0)[HEADER + 99], 0xab);
	assert_true(card.calls > calls);
}

static void test_net_merges_buffers(void **state)
{
	struct vring_used_elem used = {0};

	for (unsigned i = 0; i < 6; i++)
		card_offer_rx(i, 1000);
	card_wait(2999 - HEADER, 0x5a);
	card_wait(14, 0x5b);
	card_kick(0);
	assert_int_equal(load_le(card_buffer(0, 0) + 10, 2), 3);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(driver_take(&card.drivers[0], &used));
		assert_int_equal(used.len, 1000);
	}
	assert_true(driver_take(&card.drivers[0], &used));
	assert_int_equal(used.len, 999);
	assert_int_equal(card_buffer(0, 2)[998], 0x5a);
	assert_true(driver_take(&card.drivers[0], &used));
	assert_int_equal(used.id, 3);
	assert_int_equal(used.len, HEADER + 14);
}

/* The frame is longer than all buffers that were there when it came. */
static void test_net_keeps_the_rest_of_a_long_frame(void **state)
{
	struct vring_used_elem used = {0};
	unsigned total = 0, buffers = 0;

	card_offer_rx(0, 100);
	card_offer_rx(1, 100);
	card_wait(5000, 0x77);
	card_wait(60, 0x78);
	card_kick(0);
	assert_false(driver_take(&card.drivers[0], &used));
	assert_int_equal(card.back.watched[0] & POLLIN, 0);
	card_offer_rx(2, 700);
	card_kick(0);
	assert_false(driver_take(&card.drivers[0], &used));
	card_offer_rx(3, 3000);
	card_offer_rx(4, 3000);
	card_kick(0);
	for (unsigned i = 0; i < 5; i++, buffers++) {
		assert_true(driver_take(&card.drivers[0], &used));
		assert_int_equal(used.id, i);
		for (unsigned k = i ? 0 : HEADER; k < used.len; k++)
			assert_int_equal(card_buffer(0, i)[k], 0x77);
		total += used.len;
	}
	assert_int_equal(total, HEADER + 5000);
	assert_int_equal(load_le(card_buffer(0, 0) + 10, 2), 5);
	assert_false(driver_take(&card.drivers[0], &used));
	card_offer_rx(5, 100);
	card_kick(0);
	assert_true(driver_take(&card.drivers[0], &used));
	assert_int_equal(used.len, HEADER + 60);
}

static void test_net_leaves_frames_in_the_back_end_without_buffers(void **state)
{
	card_wait(60, 1);
	card_ready(0, POLLIN);
	assert_int_equal(card.back.watched[0] & POLLIN, 0);
	assert_int_equal(card.back.waiting_next, 0);
	card_offer_rx(0, 2000);
	card_kick(0);
	assert_int_equal(card.back.waiting_next, 1);
}

/* One POLLIN is enough for more frames than a turn has. */
static void test_net_takes_all_frames_that_wait(void **state)
{
	struct vring_used_elem used = {0};
	unsigned taken = 0;

	for (unsigned i = 0; i < 1000; i++)
		card_wait(60, (uint8_t)i);
	for (unsigned i = 0; i < 256; i++)
		card_offer_rx(i, 200);
	card_kick(0);
	for (unsigned round = 0; round < 20 && taken < 1000; round++) {
		card_settle();
		while (driver_take(&card.drivers[0], &used)) {
			taken++;
			card_offer_rx(used.id, 200);
		}
		card_kick(0);
	}
	assert_int_equal(taken, 1000);
	assert_int_equal(card.breaks, 0);
}

static void test_net_is_broken_by_a_tiny_buffer(void **state)
{
	card_offer_rx(0, HEADER - 1);
	card_kick(0);
	assert_int_equal(card.breaks, 1);
	assert_non_null(strstr(card.broken, "11 bytes"));
}

static void test_net_loses_long_frames_without_merging(void **state)
{
	struct vring_used_elem used = {0};

	card_stop();
	card_start(VERSION_1, 256);
	card_offer_rx(0, HEADER + 60);
	card_wait(61, 1);
	card_wait(60, 2);
	card_kick(0);
	assert_true(driver_take(&card.drivers[0], &used));
	assert_int_equal(used.len, HEADER + 60);
	assert_int_equal(card_buffer(0, 0)[HEADER], 2);
	assert_int_equal(load_le(card_buffer(0, 0) + 10, 2), 1);
}

/* ---- the rest ---- */

static void down(void *ctx)
{
	card.back.net.down = true;
	card.back.net.events.on_down(card.back.net.events.ctx);
}

static uint8_t link_status(void)
{
	uint8_t status[2];

	card.setup.kind->config_read(card.setup.ctx, 6, status, 2);
	return status[0];
}

/* Buffers of so many small parts that no frame fits into as many as the device looks at. */
static void test_net_is_broken_by_buffers_in_crumbs(void **state)
{
	struct driver *driver = &card.drivers[0];

	card_stop();
	card_start(MERGED, 1024);
	card_wait(5000, 1);
	for (uint16_t i = 0; i < 900; i++)
		driver_desc(driver, i, driver_gpa(driver, card_buffer(0, 0)) + i, 4,
		        VRING_DESC_F_WRITE | (i % 3 < 2 ? VRING_DESC_F_NEXT : 0), (uint16_t)(i + 1));
	for (uint16_t i = 0; i < 900; i += 3)
		driver_offer(driver, i);
	card_kick(0);
	assert_int_equal(card.breaks, 1);
	assert_non_null(strstr(card.broken, "parts"));
}

static void test_net_tells_that_the_link_is_down(void **state)
{
	struct vring_used_elem used = {0};

	assert_int_equal(link_status(), 1);
	card.back.room = 0;
	card_offer_tx(0, HEADER + 60, 1);
	card_kick(1);
	assert_false(driver_take(&card.drivers[1], &used));
	loop_call(card.setup.loop, down, NULL);
	card_settle();
	assert_int_equal(link_status(), 0);
	assert_int_equal(card.changes, 1);
	/* The driver gets its frames back, now and later. */
	assert_true(driver_take(&card.drivers[1], &used));
	card_offer_tx(1, HEADER + 60, 1);
	card_kick(1);
	assert_true(driver_take(&card.drivers[1], &used));
	assert_int_equal(card.back.sent_count, 0);
}

static void test_net_starts_again_after_a_reset(void **state)
{
	struct vring_used_elem used = {0};

	card_offer_rx(0, 50);
	card_wait(200, 1);
	card_kick(0);
	card.back.room = 0;
	card_offer_tx(0, HEADER + 60, 1);
	card_kick(1);
	card_stop();
	assert_int_equal(card.stops, 1);
	assert_int_equal(card.back.watched[0], 0);
	card.back.room = UINT32_MAX;
	card_start(MERGED, 64);
	card_offer_rx(5, 500);
	card_wait(100, 9);
	card_kick(0);
	assert_true(driver_take(&card.drivers[0], &used));
	assert_int_equal(used.id, 5);
	assert_int_equal(used.len, HEADER + 100);
	assert_int_equal(card.back.sent_count, 0);
}

static uint8_t command(unsigned class, unsigned number, uint64_t value, uint32_t size)
{
	struct driver *driver = &card.drivers[4];
	uint8_t *data = card_buffer(4, 0);
	struct vring_used_elem used = {0};

	data[0] = (uint8_t) class;
	data[1] = (uint8_t)number;
	store_le(data + 2, 8, value);
	data[100] = 0xee;
	driver_desc(driver, 0, driver_gpa(driver, data), 2 + size, VRING_DESC_F_NEXT, 1);
	driver_desc(driver, 1, driver_gpa(driver, data + 100), 1, VRING_DESC_F_WRITE, 0);
	driver_offer(driver, 0);
	card_kick(4);
	assert_true(driver_take(driver, &used));
	assert_int_equal(used.len, 1);
	return data[100];
}

#define ALL (BACK_NET_CSUM | BACK_NET_TSO4 | BACK_NET_TSO6 | BACK_NET_ECN | BACK_NET_USO)

static void test_net_obeys_the_control_queue(void **state)
{
	uint64_t guest = NET_BIT(NET_F_GUEST_CSUM) | NET_BIT(NET_F_GUEST_TSO4);
	uint64_t features =
	        MERGED | NET_BIT(NET_F_CTRL_VQ) | NET_BIT(NET_F_CTRL_GUEST_OFFLOADS) | NET_BIT(NET_F_MQ);

	card.back.net.queues = 2;
	card.back.net.offloads = ALL;
	card_add(&plain);
	assert_int_equal(card.setup.queues, 5);
	card_start(features | guest, 64);
	assert_int_equal(card.back.offloads, BACK_NET_CSUM | BACK_NET_TSO4);
	assert_int_equal(card.back.queues, 1);
	assert_int_equal(command(5, 0, NET_BIT(NET_F_GUEST_CSUM), 8), 0);
	assert_int_equal(card.back.offloads, BACK_NET_CSUM);
	assert_int_equal(command(5, 0, guest | NET_BIT(NET_F_GUEST_TSO6), 8), 1);
	assert_int_equal(command(5, 0, guest, 7), 1);
	assert_int_equal(command(4, 0, 2, 2), 0);
	assert_int_equal(card.back.queues, 2);
	assert_int_equal(command(4, 0, 0, 2), 1);
	assert_int_equal(command(4, 0, 3, 2), 1);
	assert_int_equal(command(9, 9, 0, 0), 1);
	card_finish();
}

/* Without MQ the control queue has the number that the second pair would have. */
static void test_net_has_one_pair_without_mq(void **state)
{
	struct driver *driver = &card.drivers[2];
	struct vring_used_elem used = {0};
	uint8_t *data;

	card.back.net.queues = 2;
	card.back.net.offloads = BACK_NET_CSUM;
	card_add(&plain);
	card_start(MERGED | NET_BIT(NET_F_CTRL_VQ) | NET_BIT(NET_F_CTRL_GUEST_OFFLOADS) |
	                   NET_BIT(NET_F_GUEST_CSUM),
	        64);
	data = card_buffer(2, 0);
	memset(data, 0, 10);
	data[0] = 5;
	driver_desc(driver, 0, driver_gpa(driver, data), 10, VRING_DESC_F_NEXT, 1);
	driver_desc(driver, 1, driver_gpa(driver, data + 100), 1, VRING_DESC_F_WRITE, 0);
	driver_offer(driver, 0);
	card_ready(1, POLLIN);
	card_kick(2);
	assert_true(driver_take(driver, &used));
	assert_int_equal(used.len, 1);
	assert_int_equal(card.breaks, 0);
	assert_int_equal(card.back.offloads, 0);
	card_finish();
}

static void test_net_offers_what_the_back_end_has(void **state)
{
	card.back.net.mtu = 1400;
	card_add(&plain);
	assert_int_equal(card.setup.features,
	        NET_BIT(NET_F_MAC) | NET_BIT(NET_F_STATUS) | NET_BIT(NET_F_MRG_RXBUF) | NET_BIT(NET_F_MTU));
	assert_int_equal(card.setup.queues, 2);
	card_finish();

	card.back.net.offloads = BACK_NET_CSUM;
	card_add(&plain);
	assert_int_equal(card.setup.features & 0x7f87,
	        NET_BIT(NET_F_CSUM) | NET_BIT(NET_F_GUEST_CSUM) | NET_BIT(NET_F_CTRL_GUEST_OFFLOADS));
	assert_int_equal(card.setup.queues, 3);
	card_finish();
}

/* Half a pair of USO, and offloads without the checksum, become what the kernel takes. */
static void test_net_asks_only_for_offloads_that_go_together(void **state)
{
	uint64_t csum = NET_BIT(NET_F_GUEST_CSUM);

	assert_int_equal(virtio_net_guest_offloads(csum | NET_BIT(NET_F_GUEST_USO4)), BACK_NET_CSUM);
	assert_int_equal(
	        virtio_net_guest_offloads(csum | NET_BIT(NET_F_GUEST_USO4) | NET_BIT(NET_F_GUEST_USO6)),
	        BACK_NET_CSUM | BACK_NET_USO);
	assert_int_equal(virtio_net_guest_offloads(csum | NET_BIT(NET_F_GUEST_ECN)), BACK_NET_CSUM);
	assert_int_equal(virtio_net_guest_offloads(NET_BIT(NET_F_GUEST_TSO4)), 0);
	assert_int_equal(virtio_net_guest_offloads(0), 0);
}

static void test_net_mac_is_stable_and_differs(void **state)
{
	struct config_device config = plain, other = plain;
	static char macs[3][24] = {"52:54:00:12:34:Fe", "53:54:00:12:34:56", "52:54:00:12:34:56:"};
	uint8_t a[6], b[6];
	struct err err;

	other.id = net1;
	assert_ok(virtio_net_mac(&config, "m", a, &err));
	assert_ok(virtio_net_mac(&config, "m", b, &err));
	assert_memory_equal(a, b, 6);
	assert_int_equal(a[0] & 3, 2);
	assert_ok(virtio_net_mac(&config, "n", b, &err));
	assert_memory_not_equal(a, b, 6);
	assert_ok(virtio_net_mac(&other, "m", b, &err));
	assert_memory_not_equal(a, b, 6);
	config.mac = macs[0];
	assert_ok(virtio_net_mac(&config, "m", a, &err));
	assert_memory_equal(a, "\x52\x54\0\x12\x34\xfe", 6);
	config.mac = macs[1];
	assert_fails(virtio_net_mac(&config, "m", a, &err), ERR_USAGE, "group");
	config.mac = macs[2];
	assert_fails(virtio_net_mac(&config, "m", a, &err), ERR_USAGE, "no hardware address");
}

#define ON_CARD(test) cmocka_unit_test_setup_teardown(test, add_and_start, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        ON_CARD(test_net_sends_frames_in_order),
	        ON_CARD(test_net_sends_a_frame_whose_header_is_cut),
	        ON_CARD(test_net_drops_what_is_no_frame),
	        ON_CARD(test_net_is_broken_by_a_frame_without_a_header),
	        ON_CARD(test_net_waits_for_a_full_back_end),
	        ON_CARD(test_net_receives_into_one_buffer),
	        ON_CARD(test_net_merges_buffers),
	        ON_CARD(test_net_keeps_the_rest_of_a_long_frame),
	        ON_CARD(test_net_leaves_frames_in_the_back_end_without_buffers),
	        ON_CARD(test_net_takes_all_frames_that_wait),
	        ON_CARD(test_net_is_broken_by_a_tiny_buffer),
	        ON_CARD(test_net_loses_long_frames_without_merging),
	        ON_CARD(test_net_is_broken_by_buffers_in_crumbs),
	        ON_CARD(test_net_tells_that_the_link_is_down),
	        ON_CARD(test_net_starts_again_after_a_reset),
	        cmocka_unit_test(test_net_obeys_the_control_queue),
	        cmocka_unit_test(test_net_has_one_pair_without_mq),
	        cmocka_unit_test(test_net_offers_what_the_back_end_has),
	        cmocka_unit_test(test_net_asks_only_for_offloads_that_go_together),
	        cmocka_unit_test(test_net_mac_is_stable_and_differs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
