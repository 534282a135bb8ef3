/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transport between a driver that keeps the rules and a device: how it is found, started and stopped, its
 * doorbells and its configuration.
 */
#include "transport.h"

/* ---- identity and features ---- */

/* The numbers of the header linux/virtio_pci.h; the device is modern only (VIRTIO 4.1.2.1). */
static void test_transport_is_found_as_virtio_1(void **state)
{
	assert_true(virtio_function_find(&function, &guest, 0, true));
	assert_int_equal(virtio_guest_pci_read(&guest, function.slot, PCI_DEVICE_ID, 2), 0x1040 + 30);
	assert_int_equal(virtio_guest_pci_read(&guest, function.slot, PCI_REVISION_ID, 1), 1);
	assert_true(virtio_guest_pci_read(&guest, function.slot, PCI_SUBSYSTEM_ID, 2) >= 0x40);
	assert_int_equal(virtio_guest_pci_read(&guest, function.slot, PCI_INTERRUPT_PIN, 1), 1);
	assert_int_equal(function.vectors, QUEUES + 1);
	assert_int_equal(function.config_bytes, sizeof(fake.config));
	assert_int_equal(virtio_function_get(&function, VIRTIO_PCI_COMMON_NUMQ, 2), QUEUES);
}

/* Bit 40 is not a device's to offer. Bit 29 is the outside back end's, bit 28 it does not have. */
static void test_transport_offers_its_own_features(void **state)
{
	static const uint32_t words[] = {1u << 5 | 1u << 29, 1u << 0 | 1u << 1, 0, 0};

	assert_true(virtio_function_find(&function, &guest, 0, true));
	for (unsigned i = 0; i < ARRAY_LEN(words); i++) {
		virtio_function_set(&function, VIRTIO_PCI_COMMON_DFSELECT, 4, i);
		assert_int_equal(virtio_function_get(&function, VIRTIO_PCI_COMMON_DF, 4), words[i]);
	}
	virtio_function_set(&function, VIRTIO_PCI_COMMON_DFSELECT, 4, UINT32_MAX);
	assert_int_equal(virtio_function_get(&function, VIRTIO_PCI_COMMON_DF, 4), 0);
}

/* Linux from 7.2 on writes the words 0 to 3. Only the first two mean something. */
static void test_transport_takes_a_driver_without_access_platform(void **state)
{
	static const struct {
		uint64_t features;
		bool possible;
	} rows[] = {{UINT64_C(1) << 32, true}, {UINT64_C(3) << 32 | 1 << 5, true}, {0, false},
	        {UINT64_C(1) << 33, false}, {UINT64_C(1) << 32 | 1, false}, {UINT64_C(5) << 32, false}};

	assert_true(virtio_function_find(&function, &guest, 0, true));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		virtio_function_reset(&function);
		for (unsigned word = 0; word < 4; word++) {
			virtio_function_set(&function, VIRTIO_PCI_COMMON_GFSELECT, 4, word);
			virtio_function_set(&function, VIRTIO_PCI_COMMON_GF, 4,
			        word < 2 ? rows[i].features >> (32 * word) & UINT32_MAX : UINT32_MAX);
		}
		virtio_function_add_status(&function, VIRTIO_CONFIG_S_FEATURES_OK);
		assert_int_equal(
		        virtio_function_status(&function) == VIRTIO_CONFIG_S_FEATURES_OK, rows[i].possible);
	}
}

/* ---- start and stop ---- */

static void test_transport_starts_with_the_enabled_queues(void **state)
{
	make_ready(true, 1 << 0 | 1 << OUTSIDE);
	assert_int_equal(virtio_function_status(&function), READY);
	assert_int_equal(fake.starts, 1);
	assert_int_equal(fake.features, UINT64_C(3) << 32 | 1 << 5 | 1 << 29);
	assert_non_null(fake.queues[0]);
	assert_null(fake.queues[1]);
	assert_non_null(fake.queues[OUTSIDE]);
	virtio_function_reset(&function);
	assert_int_equal(fake.stops, 1);
	virtio_function_reset(&function);
	assert_int_equal(fake.stops, 1);
}

static void test_transport_stops_when_the_guest_ends(void **state)
{
	make_ready(true, 7);
	device_board_attach(&guest.board, NULL);
	assert_int_equal(fake.stops, 1);
	/* Nothing reaches a guest that is gone. */
	virtio_device_config_changed(fake.device);
	assert_int_equal(wires.sent, 0);
	device_board_reset(&guest.board);
	device_board_attach(&guest.board, guest.memory);
	guest.next_bar = VIRTIO_GUEST_BARS;
	make_ready(true, 7);
	assert_int_equal(fake.starts, 2);
}

static void test_transport_start_that_fails_needs_a_reset(void **state)
{
	fake.fail = true;
	make_ready(true, 7);
	assert_int_equal(virtio_function_status(&function), READY | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(fake.starts, 0);
	assert_int_equal(wires.last.data, 0); /* the vector of the configuration */
	assert_int_equal(wires.sent, 1);
	fake.fail = false;
	make_ready(true, 7);
	assert_int_equal(virtio_function_status(&function), READY);
}

static void test_transport_device_that_breaks_in_a_kick_is_stopped_after_it(void **state)
{
	make_ready(true, 1);
	fake.break_it = true;
	VIRTIO_GUEST_UNTIL(&guest, fake.stops);
	assert_int_equal(fake.stops, 1);
	assert_int_equal(virtio_function_status(&function), READY | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(wires.sent, 1);
	fake.break_it = false;
	fake.kicks[0] = 0;
	virtio_function_kick(&function, 0);
	virtio_guest_turn(&guest, 4);
	assert_int_equal(fake.kicks[0], 0);
	virtio_function_reset(&function);
	assert_int_equal(fake.stops, 1);
}

/* ---- doorbells ---- */

static void test_transport_kick_reaches_the_device(void **state)
{
	make_ready(true, 3);
	/* A start counts as a kick of every queue: the driver may have filled it before. */
	VIRTIO_GUEST_UNTIL(&guest, fake.kicks[0] && fake.kicks[1]);
	fake.kicks[0] = fake.kicks[1] = 0;
	virtio_function_kick(&function, 1);
	VIRTIO_GUEST_UNTIL(&guest, fake.kicks[1]);
	assert_int_equal(fake.kicks[1], 1);
	assert_int_equal(fake.kicks[0], 0);
	/* Any width, and any byte of the queue's place. */
	device_bus_write(guest.board.bus, DEVICE_MMIO, BELL(function.bars[0], 0) + 3, 1, 0);
	VIRTIO_GUEST_UNTIL(&guest, fake.kicks[0]);
	assert_int_equal(fake.kicks[0], 1);
	/* No queue is there. */
	device_bus_write(guest.board.bus, DEVICE_MMIO, BELL(function.bars[0], QUEUES), 4, 0);
	device_bus_write(guest.board.bus, DEVICE_MMIO, BELL(function.bars[0], 1023), 4, 0);
	virtio_guest_turn(&guest, 4);
	assert_int_equal(fake.kicks[0] + fake.kicks[1], 2);
}

/* The kernel rings at the queue's address while the device runs, wherever the BAR is. */
static void test_transport_doorbells_follow_the_bar(void **state)
{
	uint64_t old, new = 0xd0000000;
	int fd;

	make_ready(true, 5);
	old = function.bars[0];
	assert_int_equal(wires.bell_count, 2);
	fd = fake_wires_bell(&wires, BELL(old, 0));
	assert_true(fd >= 0);
	assert_int_equal(fake_wires_bell(&wires, BELL(old, 1)), -1);
	virtio_guest_pci_write(&guest, function.slot, PCI_BASE_ADDRESS_0, 4, new);
	assert_int_equal(fake_wires_bell(&wires, BELL(old, 0)), -1);
	assert_int_equal(fake_wires_bell(&wires, BELL(new, 0)), fd);
	assert_int_equal(wires.bell_count, 2);
	virtio_guest_pci_write(&guest, function.slot, PCI_COMMAND, 2, 0);
	assert_int_equal(wires.bell_count, 0);
	virtio_guest_pci_write(&guest, function.slot, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(fake_wires_bell(&wires, BELL(new, 0)), fd);
	/* The device hears it, as if the kernel had signalled it. */
	VIRTIO_GUEST_UNTIL(&guest, fake.kicks[0]);
	fake.kicks[0] = 0;
	assert_int_equal(eventfd_write(fd, 1), 0);
	VIRTIO_GUEST_UNTIL(&guest, fake.kicks[0]);
	assert_int_equal(fake.kicks[0], 1);
	function.common += new - old;
	virtio_function_reset(&function);
	assert_int_equal(wires.bell_count, 0);
}

static void test_transport_works_where_the_kernel_refuses_doorbells(void **state)
{
	wires.refuse = true;
	make_ready(true, 3);
	VIRTIO_GUEST_UNTIL(&guest, fake.kicks[0] && fake.kicks[1]);
	fake.kicks[1] = 0;
	virtio_function_kick(&function, 1);
	VIRTIO_GUEST_UNTIL(&guest, fake.kicks[1]);
	assert_int_equal(fake.kicks[1], 1);
	wires.refuse = false;
}

/* ---- registers behind which there is more ---- */

static void test_transport_reaches_no_byte_behind_the_configuration(void **state)
{
	assert_true(virtio_function_find(&function, &guest, 0, true));
	assert_int_equal(config_get(0, 4), 0x04030201);
	assert_int_equal(config_get(4, 8), 0x0605);
	assert_int_equal(config_get(5, 1), 6);
	assert_int_equal(config_get(6, 4), 0);
	device_bus_write(guest.board.bus, DEVICE_MMIO, function.config + 4, 4, 0xddccbbaa);
	device_bus_write(guest.board.bus, DEVICE_MMIO, function.config + 6, 8, UINT64_MAX);
	assert_int_equal(config_get(0, 8), 0xbbaa04030201);
}

/* VIRTIO 4.1.4.9: a driver that reaches no memory reaches the registers through configuration space. */
static void test_transport_window_shows_a_register(void **state)
{
	unsigned at;

	assert_true(virtio_function_find(&function, &guest, 0, true));
	at = function.window;
	virtio_guest_pci_write(&guest, function.slot, at + VIRTIO_PCI_CAP_BAR, 1, 0);
	virtio_guest_pci_write(
	        &guest, function.slot, at + VIRTIO_PCI_CAP_OFFSET, 4, VIRTIO_PCI_COMMON_STATUS);
	virtio_guest_pci_write(&guest, function.slot, at + VIRTIO_PCI_CAP_LENGTH, 4, 1);
	virtio_guest_pci_write(
	        &guest, function.slot, at + sizeof(struct virtio_pci_cap), 1, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	assert_int_equal(virtio_function_status(&function), VIRTIO_CONFIG_S_ACKNOWLEDGE);
	virtio_guest_pci_write(&guest, function.slot, at + VIRTIO_PCI_CAP_OFFSET, 4, 0x2000);
	virtio_guest_pci_write(&guest, function.slot, at + VIRTIO_PCI_CAP_LENGTH, 4, 4);
	assert_int_equal(virtio_guest_pci_read(&guest, function.slot, at + sizeof(struct virtio_pci_cap), 4),
	        0x04030201);
	assert_int_equal(
	        virtio_guest_pci_read(&guest, function.slot, at + sizeof(struct virtio_pci_cap) + 2, 2),
	        0x0403);
}

static void test_transport_setup_that_cannot_be_added_frees_the_device(void **state)
{
	struct virtio_setup one = make_setup();
	struct virtio_device *device;
	struct err err;
	unsigned count = guest.board.count;

	guest.board.count = DEVICE_BOARD_MAX;
	assert_fails(virtio_pci_add(&guest.board, &one, &device, &err), ERR_FAILED, "devices already");
	assert_int_equal(fake.finished, 1);
	guest.board.count = count;
	assert_fails(virtio_pci_add(&guest.board, &one, &device, &err), ERR_FAILED, "frozen");
	assert_int_equal(fake.finished, 2);
	fake.finished = 0;
}

/* Who serves queues outside vmm writes to the guest's memory without telling anybody. */
static void test_transport_device_served_outside_cannot_be_moved(void **state)
{
	struct vmstate saved;
	struct err err;

	make_ready(true, 1 << OUTSIDE);
	assert_non_null(strstr(device_board_unmovable(&guest.board), "another program serves"));
	virtio_hold(&guest.board);
	assert_int_equal(fake.stops, 0);
	assert_int_equal(device_board_save(&guest.board, 1, &saved, &err), -1);
	assert_non_null(strstr(err.text, "fake0: another program serves"));
	vmstate_finish(&saved);
	assert_int_equal(device_board_load(&guest.board, 1, "", 0, &err), -1);
	virtio_wake(&guest.board);
	assert_int_equal(fake.starts, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_transport_is_found_as_virtio_1),
	        TEST(test_transport_offers_its_own_features),
	        TEST(test_transport_takes_a_driver_without_access_platform),
	        TEST(test_transport_starts_with_the_enabled_queues),
	        TEST(test_transport_stops_when_the_guest_ends),
	        TEST(test_transport_start_that_fails_needs_a_reset),
	        TEST(test_transport_device_that_breaks_in_a_kick_is_stopped_after_it),
	        TEST(test_transport_kick_reaches_the_device),
	        TEST(test_transport_doorbells_follow_the_bar),
	        TEST(test_transport_works_where_the_kernel_refuses_doorbells),
	        TEST(test_transport_reaches_no_byte_behind_the_configuration),
	        TEST(test_transport_window_shows_a_register),
	        TEST(test_transport_device_served_outside_cannot_be_moved),
	        TEST(test_transport_setup_that_cannot_be_added_frees_the_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
