/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transport between a driver that keeps the rules and a device that only remembers what it was told:
 * doorbells, interrupts, start and stop, queues that are served outside vmm.
 */
#include <sys/eventfd.h>

#include "support/test.h"
#include "support/virtio_guest.h"
#include "support/wires.h"
#include "vmm/device/pci.h"

#include "../../../src/virtio/queue.h"

#define QUEUES           3
#define OUTSIDE          2 /* the queue that is served outside; the kernel sends the interrupts of its vector */
#define RINGS            0x10000u
#define SIZE             8
#define BELL(bar, queue) ((bar) + 0x3000 + 4 * (queue))
#define READY \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK | \
	        VIRTIO_CONFIG_S_DRIVER_OK)

static struct virtio_guest guest;
static struct fake_wires wires;
static struct virtio_function function;

/* ---- the device ---- */

static struct fake {
	struct virtio_device *device;
	uint64_t features;
	struct virtio_queue *queues[QUEUES]; /* while it runs */
	unsigned starts, stops, finished, kicks[QUEUES];
	bool fail;     /* the start */
	bool break_it; /* in the next kick */
	uint8_t config[6];
} fake;

static void fake_config_read(void *ctx, unsigned offset, void *data, unsigned size)
{
	memcpy(data, &fake.config[offset], size);
}

static void fake_config_write(void *ctx, unsigned offset, const void *data, unsigned size)
{
	memcpy(&fake.config[offset], data, size);
}

static int fake_start(void *ctx, const struct virtio_start *start, struct err *err)
{
	if (fake.fail)
		return err_set(err, ERR_HOST, "there is no back end");
	fake.starts++;
	fake.features = start->features;
	memcpy(fake.queues, start->queues, sizeof(fake.queues));
	return 0;
}

static void fake_kick(void *ctx, struct virtio_queue *queue)
{
	fake.kicks[virtio_queue_index(queue)]++;
	if (fake.break_it)
		virtio_device_break(fake.device, "%s", "the driver asks for the impossible");
	assert_int_equal(fake.stops, 0);
}

static void fake_stop(void *ctx)
{
	fake.stops++;
	memset(fake.queues, 0, sizeof(fake.queues));
	virtio_device_stopped(fake.device);
}

static void fake_finish(void *ctx)
{
	fake.finished++;
}

static const struct virtio_kind kind = {.name = "virtio-fake",
        .id = 30,
        .pci_class = 0xff0000,
        .config_read = fake_config_read,
        .config_write = fake_config_write,
        .start = fake_start,
        .kick = fake_kick,
        .stop = fake_stop,
        .finish = fake_finish};

static struct virtio_setup make_setup(void)
{
	return (struct virtio_setup){.kind = &kind,
	        .ctx = &fake,
	        .id = "fake0",
	        .features = UINT64_C(1) << 5 | UINT64_C(1) << 40 | UINT64_C(1) << 29,
	        .queues = QUEUES,
	        .queue_size = SIZE,
	        .config_bytes = sizeof(fake.config),
	        .loop = guest.loop,
	        .outside = {1 << OUTSIDE}};
}

static int setup(void **state)
{
	struct virtio_setup one;
	struct err err;

	fake = (struct fake){.config = {1, 2, 3, 4, 5, 6}};
	virtio_guest_init(&guest);
	guest.board.wires = fake_wires(&wires);
	one = make_setup();
	assert_ok(virtio_pci_add(&guest.board, &one, &fake.device, &err));
	virtio_guest_start(&guest);
	return 0;
}

static int teardown(void **state)
{
	virtio_guest_finish(&guest);
	assert_int_equal(fake.finished, 1);
	assert_int_equal(fake.starts, fake.stops);
	assert_false(wires.wrong);
	assert_int_equal(wires.bound_count, 0);
	assert_int_equal(wires.bell_count, 0);
	return 0;
}

/* ---- the driver ---- */

/* Finds the device and makes it ready with these queues; bit i is queue i. */
static void make_ready(bool msix, unsigned queues)
{
	struct driver driver;

	assert_true(virtio_function_find(&function, &guest, 0, msix));
	if (msix)
		virtio_function_unmask(&function);
	virtio_function_negotiate(&function, UINT64_MAX);
	virtio_function_set(&function, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	for (unsigned i = 0; i < QUEUES; i++)
		if (queues >> i & 1)
			virtio_function_queue(&function, i, &driver, RINGS + 0x1000 * i, SIZE, false);
	virtio_function_add_status(&function, VIRTIO_CONFIG_S_DRIVER_OK);
}

static uint64_t isr(void)
{
	return device_bus_read(guest.board.bus, DEVICE_MMIO, function.isr, 1);
}

static uint64_t config_get(unsigned offset, unsigned size)
{
	return device_bus_read(guest.board.bus, DEVICE_MMIO, function.config + offset, size);
}

static bool line(void)
{
	return guest.lines[device_pci_gsi(function.slot, 1)];
}

/* What virtio_queue_flush() does when the driver wants an interrupt. */
static void call_driver(unsigned queue)
{
	const struct virtio_queue_owner *owner = fake.queues[queue]->setup.owner;

	owner->call(owner->ctx, queue);
}

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

/* ---- interrupts ---- */

static void test_transport_queue_interrupts_by_its_vector(void **state)
{
	make_ready(true, 3);
	call_driver(1);
	assert_int_equal(wires.sent, 1);
	assert_int_equal(wires.last.data, 2);
	assert_int_equal(isr(), 0);
	virtio_function_set(&function, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	virtio_function_set(&function, VIRTIO_PCI_COMMON_Q_MSIX, 2, VIRTIO_MSI_NO_VECTOR);
	call_driver(1);
	assert_int_equal(wires.sent, 1);
	assert_false(line());
}

/* Without MSI-X: the pin is high until the driver has read the status, which is then 0. */
static void test_transport_queue_interrupts_by_the_pin(void **state)
{
	make_ready(false, 3);
	assert_false(line());
	call_driver(0);
	call_driver(1);
	assert_true(line());
	virtio_device_config_changed(fake.device);
	assert_int_equal(isr(), 3);
	assert_false(line());
	assert_int_equal(isr(), 0);
	assert_int_equal(wires.sent, 0);
	call_driver(0);
	virtio_function_reset(&function);
	assert_false(line());
}

/* VIRTIO 2.4.1: the generation differs, so that a driver that read half of it reads again. */
static void test_transport_tells_that_the_configuration_changed(void **state)
{
	uint64_t before;

	virtio_device_config_changed(fake.device);
	make_ready(true, 3);
	assert_int_equal(wires.sent, 0); /* no driver was there to be told */
	before = virtio_function_get(&function, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	virtio_device_config_changed(fake.device);
	assert_int_equal(wires.sent, 1);
	assert_int_equal(wires.last.data, 0);
	assert_int_not_equal(virtio_function_get(&function, VIRTIO_PCI_COMMON_CFGGENERATION, 1), before);
}

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

/* ---- queues that are served outside ---- */

static void test_transport_outside_queue_interrupts_through_the_kernel(void **state)
{
	struct virtio_queue_place place;

	make_ready(true, 1 | 1 << OUTSIDE);
	place = virtio_queue_place(fake.queues[OUTSIDE]);
	assert_int_equal(wires.bound_count, 1);
	assert_int_equal(wires.bound[0].fd, place.call_fd);
	assert_int_equal(wires.bound[0].message.data, OUTSIDE + 1);
	assert_int_equal(place.kick_fd, fake_wires_bell(&wires, BELL(function.bars[0], OUTSIDE)));
	/* The driver moves the queue to another vector, and to none. */
	virtio_function_set(&function, VIRTIO_PCI_COMMON_Q_SELECT, 2, OUTSIDE);
	virtio_function_set(&function, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	assert_int_equal(wires.bound_count, 1);
	assert_int_equal(wires.bound[0].message.data, 1);
	virtio_function_set(&function, VIRTIO_PCI_COMMON_Q_MSIX, 2, VIRTIO_MSI_NO_VECTOR);
	assert_int_equal(wires.bound_count, 0);
	/* Kicks are the back end's alone. */
	virtio_function_kick(&function, OUTSIDE);
	virtio_guest_turn(&guest, 4);
	assert_int_equal(fake.kicks[OUTSIDE], 0);
}

/* The loop forwards the interrupts if the kernel does not: it has no message for a pin. */
static void test_transport_outside_queue_interrupts_through_the_loop(void **state)
{
	for (unsigned refused = 0; refused < 2; refused++) {
		wires.refuse = refused;
		guest.next_bar = VIRTIO_GUEST_BARS;
		make_ready(refused, 1 << OUTSIDE);
		assert_int_equal(wires.bound_count, 0);
		assert_int_equal(eventfd_write(virtio_queue_place(fake.queues[OUTSIDE]).call_fd, 1), 0);
		VIRTIO_GUEST_UNTIL(&guest, line() || wires.sent);
		assert_int_equal(line(), !refused);
		assert_int_equal(wires.sent, refused);
		assert_int_equal(isr(), !refused);
	}
	wires.refuse = false;
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
	        TEST(test_transport_queue_interrupts_by_its_vector),
	        TEST(test_transport_queue_interrupts_by_the_pin),
	        TEST(test_transport_tells_that_the_configuration_changed),
	        TEST(test_transport_reaches_no_byte_behind_the_configuration),
	        TEST(test_transport_window_shows_a_register),
	        TEST(test_transport_outside_queue_interrupts_through_the_kernel),
	        TEST(test_transport_outside_queue_interrupts_through_the_loop),
	        TEST(test_transport_setup_that_cannot_be_added_frees_the_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
