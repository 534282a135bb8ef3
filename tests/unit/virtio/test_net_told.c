/* SPDX-License-Identifier: Apache-2.0 */
/* What controllers are told of a network device, and the cable that they pull. */
#include "card.h"

#define HEADER BACK_NET_HEADER_BYTES

static char net0[] = "net0", none[] = "";
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

static uint8_t link_status(void)
{
	uint8_t status[2];

	card.setup.kind->config_read(card.setup.ctx, 6, status, 2);
	return status[0];
}

/* While the cable is pulled frames are lost in both directions, and none of them comes late. */
static void test_net_passes_nothing_while_the_cable_is_pulled(void **state)
{
	static char name[] = "tap7";
	struct virtio_net_facts facts;
	struct vring_used_elem used = {0};
	unsigned before = card.changes;

	card.back.net.name = name;
	card_offer_tx(0, HEADER + 60, 1);
	card_kick(1);
	assert_true(virtio_net_set_link(NULL, "net0", false));
	assert_true(virtio_net_set_link(NULL, "net0", false));
	assert_int_equal(card.changes, before + 1);
	assert_int_equal(link_status(), 0);
	card_offer_tx(1, HEADER + 60, 2);
	card_kick(1);
	card_offer_rx(0, 2000);
	card_kick(0);
	card_wait(100, 3);
	card_ready(0, POLLIN);
	card_settle();
	assert_int_equal(card.back.sent_count, 1);
	assert_true(driver_take(&card.drivers[1], &used));
	assert_true(driver_take(&card.drivers[1], &used));
	assert_false(driver_take(&card.drivers[0], &used));

	assert_true(virtio_net_set_link(NULL, "net0", true));
	assert_int_equal(link_status(), 1);
	card_wait(200, 4);
	card_ready(0, POLLIN);
	card_settle();
	assert_true(driver_take(&card.drivers[0], &used));
	assert_int_equal(used.len, HEADER + 200);
	assert_true(virtio_net_facts(NULL, "net0", &facts));
	assert_string_equal(facts.back, "tap7");
	assert_true(facts.link_up && !facts.outside);
	assert_int_equal(facts.tx_frames, 1);
	assert_int_equal(facts.tx_bytes, 60);
	assert_int_equal(facts.tx_lost, 1);
	assert_int_equal(facts.rx_frames, 1);
	assert_int_equal(facts.rx_bytes, 200);
	assert_int_equal(facts.rx_lost, 1);
	card.back.net.name = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(
	                test_net_passes_nothing_while_the_cable_is_pulled, add_and_start, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
