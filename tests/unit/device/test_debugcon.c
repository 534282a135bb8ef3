/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"
#include "vmm/device/debugcon.h"

#define PORT 0x402

struct fixture {
	struct device_board board;
	struct device_bus *bus;
	struct device_debugcon *debugcon;
	_Atomic unsigned told;
};

static void on_output(void *ctx)
{
	atomic_fetch_add(&((struct fixture *)ctx)->told, 1);
}

static int setup(void **state)
{
	static struct fixture f;
	struct err err;

	f = (struct fixture){0};
	f.board.events = (struct device_events){.on_output = on_output, .ctx = &f};
	assert_ok(device_board_init(&f.board, &err));
	assert_ok(device_board_add(&f.board, &device_debugcon_kind, NULL, &err));
	f.bus = f.board.bus;
	f.debugcon = device_debugcon_of(&f.board);
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

static void test_debugcon_firmware_finds_it_and_prints(void **state)
{
	struct fixture *f = *state;
	char text[16] = "";

	assert_int_equal(inb(f->bus, PORT), 0xe9);
	for (const char *c = "SEC\n"; *c; c++)
		outb(f->bus, PORT, (uint8_t)*c);
	assert_int_equal(f->told, 1);
	assert_int_equal(device_debugcon_output(f->debugcon, text, 2), 2);
	assert_int_equal(device_debugcon_output(f->debugcon, text + 2, sizeof(text) - 2), 2);
	assert_string_equal(text, "SEC\n");
	assert_int_equal(device_debugcon_output(f->debugcon, text, sizeof(text)), 0);
	outb(f->bus, PORT, 'x');
	assert_int_equal(f->told, 2);
}

static void test_debugcon_flood_keeps_the_oldest_bytes(void **state)
{
	struct fixture *f = *state;
	static uint8_t got[200000];
	size_t n;

	log_set_level(LOG_ERROR);
	for (unsigned i = 0; i < sizeof(got); i++)
		assert_int_equal(outb(f->bus, PORT, (uint8_t)i), DEVICE_RESUME);
	n = device_debugcon_output(f->debugcon, got, sizeof(got));
	log_set_level(LOG_INFO);
	assert_in_range(n, 4096, sizeof(got) - 1);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(got[i], (uint8_t)i);
}

static void drain(void *ctx, unsigned round)
{
	struct fixture *f = ctx;
	char text[512];

	device_debugcon_output(f->debugcon, text, sizeof(text));
}

static void test_debugcon_two_vcpus_and_the_loop(void **state)
{
	struct fixture *f = *state;

	log_set_level(LOG_ERROR);
	hammer_from_two_threads(f->bus, PORT - 4, 8, drain, f);
	log_set_level(LOG_INFO);
	assert_true(f->told > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_debugcon_firmware_finds_it_and_prints, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_debugcon_flood_keeps_the_oldest_bytes, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_debugcon_two_vcpus_and_the_loop, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
