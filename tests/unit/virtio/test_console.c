/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-console on two queues of its own. */
#include "fake_transport.h"

static struct err err;
static struct device_board board;
static struct virtio_console *console;
static struct virtio_queue queues[2]; /* VIRTIO 5.3.2: receiveq, transmitq */
static struct driver receiver, transmitter;
static unsigned outputs, rooms;
static char got[4096];

static void on_output(void *ctx)
{
	outputs++;
}

static void on_room(void *ctx)
{
	rooms++;
}

static int setup(void **state)
{
	const struct config_device config = {.driver = CONFIG_CONSOLE, .id = (char *)(uintptr_t) "console0"};
	const struct virtio_place place = {.board = &board, .vcpus = 1};

	board.events = (struct device_events){.on_output = on_output, .on_room = on_room};
	outputs = rooms = 0;
	memset(got, 0, sizeof(got));
	if (bench_setup(state) || virtio_console_add(&place, &config, &err))
		return -1;
	console = virtio_console_of(&board, "console0");
	return !console;
}

static int teardown(void **state)
{
	fake.setup.kind->finish(fake.setup.ctx);
	return bench_teardown(state);
}

static void start(struct bench *bench)
{
	struct virtio_queue *both[2] = {&queues[0], &queues[1]};
	struct virtio_queue_setup setup = bench_queue(bench, 8, VIRTIO_F_EVENT_IDX);

	receiver = bench->driver;
	assert_ok(virtio_queue_start(&queues[0], &setup, &err));
	transmitter = bench->driver;
	vring_init(&transmitter.ring, 8, transmitter.ram + 0x20000, 4);
	memset(transmitter.ram + 0x20000, 0, 4096);
	driver_place(&transmitter, &setup);
	assert_ok(virtio_queue_start(&queues[1], &setup, &err));
	fake_start(bench, both, 2);
}

/* The driver writes text in two buffers. Returns whether it kicked. */
static bool transmit(uint16_t head, const char *text)
{
	uint64_t at = DRIVER_BUFFERS + 4096u * head;
	uint32_t size = (uint32_t)strlen(text);

	memcpy(transmitter.ram + at, text, size);
	driver_desc(&transmitter, head, at, 1, VRING_DESC_F_NEXT, head + 1);
	driver_desc(&transmitter, head + 1u, at + 1, size - 1, 0, 0);
	if (!driver_offer(&transmitter, head))
		return false;
	fake_kick(&queues[1]);
	return true;
}

static void receive(uint16_t head, uint32_t size)
{
	driver_desc(&receiver, head, DRIVER_BUFFERS + 4096u * head, size, VRING_DESC_F_WRITE, 0);
	if (driver_offer(&receiver, head))
		fake_kick(&queues[0]);
}

static void test_console_output_is_taken_in_pieces(void **state)
{
	struct vring_used_elem elem;

	start(*state);
	assert_true(transmit(0, "hello "));
	assert_int_equal(outputs, 1);
	assert_int_equal(virtio_console_output(console, got, 4), 4);
	/* Its bytes are still the device's, and nobody has to ring. */
	assert_false(driver_take(&transmitter, &elem));
	assert_false(transmit(2, "world"));
	assert_int_equal(virtio_console_output(console, got + 4, 100), 7);
	assert_string_equal(got, "hello world");
	assert_true(driver_take(&transmitter, &elem));
	assert_int_equal(elem.len, 0);
	assert_true(driver_take(&transmitter, &elem));
	/* Everything was taken, so that the next output is told of. */
	assert_true(transmit(4, "!\n"));
	assert_int_equal(outputs, 2);
	fake_stop();
}

static void test_console_input_fills_what_there_is(void **state)
{
	struct vring_used_elem elem;

	start(*state);
	receive(0, 4);
	receive(1, 4);
	assert_int_equal(rooms, 0); /* nobody had input */
	assert_int_equal(virtio_console_input(console, "abcdefghij", 10), 8);
	assert_true(driver_take(&receiver, &elem));
	assert_int_equal(elem.len, 4);
	assert_true(driver_take(&receiver, &elem));
	assert_memory_equal(receiver.ram + DRIVER_BUFFERS, "abcd", 4);
	assert_memory_equal(receiver.ram + DRIVER_BUFFERS + 4096, "efgh", 4);
	receive(2, 4);
	assert_int_equal(rooms, 1);
	assert_int_equal(virtio_console_input(console, "ij", 2), 2);
	assert_true(driver_take(&receiver, &elem));
	assert_int_equal(elem.id, 2);
	assert_int_equal(elem.len, 2);
	fake_stop();
}

static void test_console_without_a_driver_has_neither(void **state)
{
	assert_int_equal(virtio_console_output(console, got, 100), 0);
	assert_int_equal(virtio_console_input(console, "x", 1), 0);
	start(*state);
	assert_int_equal(rooms, 1); /* now it may have room */
	transmit(0, "abc");
	assert_int_equal(virtio_console_output(console, got, 1), 1);
	fake_stop();
	assert_int_equal(fake.stops, 1);
	assert_int_equal(virtio_console_output(console, got, 100), 0);
	assert_int_equal(virtio_console_input(console, "x", 1), 0);
	/* Half a chain of the driver before does not come back. */
	start(*state);
	assert_int_equal(virtio_console_output(console, got, 100), 0);
	fake_stop();
}

static void test_console_wrong_directions_break_it(void **state)
{
	start(*state);
	driver_desc(&transmitter, 0, DRIVER_BUFFERS, 4, VRING_DESC_F_WRITE, 0);
	driver_offer(&transmitter, 0);
	assert_int_equal(virtio_console_output(console, got, 100), 0);
	assert_int_equal(fake.breaks, 1);
	assert_non_null(strstr(fake.broken, "transmit with a buffer to write"));
	assert_int_equal(virtio_console_output(console, got, 100), 0);
	fake_stop();

	start(*state);
	driver_desc(&receiver, 0, DRIVER_BUFFERS, 4, 0, 0);
	driver_offer(&receiver, 0);
	assert_int_equal(virtio_console_input(console, "x", 1), 0);
	assert_int_equal(fake.breaks, 2);
	assert_non_null(strstr(fake.broken, "receive with a buffer to read"));
	assert_int_equal(virtio_console_input(console, "x", 1), 0);
	assert_int_equal(fake.breaks, 2);
	fake_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_console_output_is_taken_in_pieces, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_console_input_fills_what_there_is, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_console_without_a_driver_has_neither, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_console_wrong_directions_break_it, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
