/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"
#include "vmm/device/fw_cfg.h"

#define PORT 0x505

struct fixture {
	struct device_board board;
	struct device_bus *bus;
	unsigned crashes, others;
	const char *how;
};

static void on_event(void *ctx, enum device_event event, const char *how)
{
	struct fixture *f = ctx;

	f->crashes += event == DEVICE_EVENT_CRASH;
	f->others += event != DEVICE_EVENT_CRASH;
	f->how = how;
}

static int setup(void **state)
{
	static struct fixture f;
	struct err err;

	f = (struct fixture){0};
	f.board.events = (struct device_events){.on_event = on_event, .ctx = &f};
	assert_ok(device_board_init(&f.board, &err));
	assert_ok(device_board_add(&f.board, &device_fw_cfg_kind, NULL, &err));
	assert_ok(device_board_add(&f.board, &device_pvpanic_kind, NULL, &err));
	f.bus = f.board.bus;
	device_bus_freeze(f.bus);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	device_board_finish(&f->board);
	return 0;
}

static void test_pvpanic_tells_what_it_takes(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(inb(f->bus, PORT), 3);
	assert_int_equal(inw(f->bus, PORT - 1), 0x3ff);
	assert_int_equal(inw(f->bus, PORT), 0xff03);
	assert_int_equal(f->crashes + f->others, 0);
}

static void test_pvpanic_panic_is_a_crash(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(outb(f->bus, PORT, 1), DEVICE_STOP);
	assert_int_equal(f->crashes, 1);
	assert_non_null(strstr(f->how, "kernel panic (pvpanic)"));
	assert_int_equal(outb(f->bus, PORT, 0xff), DEVICE_STOP);
	assert_int_equal(outw(f->bus, PORT - 1, 0x0100), DEVICE_STOP); /* its second byte */
	assert_int_equal(f->crashes, 3);
	assert_int_equal(f->others, 0);
}

/* A crash kernel follows, or the bits are unknown: the guest goes on. */
static void test_pvpanic_other_events_do_not_end_the_guest(void **state)
{
	struct fixture *f = *state;

	log_set_level(LOG_ERROR);
	for (unsigned value = 0; value < 0x100; value += 2)
		assert_int_equal(outb(f->bus, PORT, (uint8_t)value), DEVICE_RESUME);
	log_set_level(LOG_INFO);
	assert_int_equal(f->crashes + f->others, 0);
}

/* As guests without ACPI find it: the directory (key 0x19) lists the file, which holds the port. */
static void test_pvpanic_fw_cfg_names_the_port(void **state)
{
	struct fixture *f = *state;
	uint8_t directory[4 + 64];

	outw(f->bus, 0x510, 0x19);
	for (unsigned i = 0; i < sizeof(directory); i++)
		directory[i] = inb(f->bus, 0x511);
	assert_int_equal(directory[3], 1);
	assert_int_equal(directory[7], 2); /* its size */
	assert_string_equal((char *)directory + 4 + 8, "etc/pvpanic-port");
	outw(f->bus, 0x510, (uint16_t)(directory[8] << 8 | directory[9]));
	assert_int_equal(inb(f->bus, 0x511), PORT & 0xff);
	assert_int_equal(inb(f->bus, 0x511), PORT >> 8);
}

static void test_pvpanic_survives_random_accesses(void **state)
{
	struct fixture *f = *state;

	log_set_level(LOG_ERROR);
	assert_survives(f->bus, PORT - 8, 16, 50000);
	log_set_level(LOG_INFO);
	assert_true(f->crashes > 0);
	assert_int_equal(f->others, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_pvpanic_tells_what_it_takes),
	        TEST(test_pvpanic_panic_is_a_crash),
	        TEST(test_pvpanic_other_events_do_not_end_the_guest),
	        TEST(test_pvpanic_fw_cfg_names_the_port),
	        TEST(test_pvpanic_survives_random_accesses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
