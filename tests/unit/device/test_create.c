/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a board with every device while memory ends or a port is taken: the result is an error, and nothing
 * is leaked (the sanitizers look). The linker wraps the allocating functions (meson.build).
 */
#include <errno.h>

#include "guest.h"
#include "support/board.h"
#include "vmm/device/fw_cfg.h"

static long countdown = -1; /* how many allocations still succeed; -1: all */

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	return countdown >= 0 && countdown-- == 0 ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
	return countdown >= 0 && countdown-- == 0 ? NULL : __real_calloc(n, size);
}

static int make(struct device_board *board, struct err *err)
{
	static struct fake_clock clock;
	uint8_t data[100] = {0};

	board->clock = fake_clock(&clock);
	board->low_bytes = MIB(64);
	if (!board->bus && device_board_init(board, err) < 0)
		return -1;
	if (board_fill(board, err) < 0)
		return -1;
	return device_fw_cfg_add_file(device_fw_cfg_of(board), "etc/x", data, sizeof(data), err);
}

static void test_create_each_failing_allocation_is_an_error(void **state)
{
	struct err err = {0};
	bool failed = true;
	long n;

	for (n = 0; failed; n++) {
		struct device_board board = {0};

		countdown = n;
		failed = make(&board, &err) < 0;
		countdown = -1;
		if (failed)
			assert_int_equal(err.sys, ENOMEM);
		device_board_finish(&board);
	}
	assert_in_range(n, 12, 100); /* every device allocates at least once */
}

/* One of the ports is taken: the error of the device that also wants it names the device that has it. */
static void test_create_taken_port_is_an_error(void **state)
{
	static const uint16_t ports[] = {
	        0x64, 0x70, 0x71, 0x92, 0x3f8, 0x3ff, 0x402, 0x505, 0x510, 0x51b, 0xafe0, 0xcf8, 0xcff};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
		struct device_board board = {0};
		struct device_range range = {.name = "squatter", .base = ports[i], .size = 1};

		assert_ok(device_board_init(&board, &err));
		assert_ok(device_bus_claim(board.bus, &range, &err));
		assert_true(make(&board, &err) < 0);
		assert_non_null(strstr(err.text, "overlaps squatter"));
		device_board_finish(&board);
	}
}

static void test_create_full_board_refuses_another_device(void **state)
{
	struct device_board board = {0};
	struct err err;

	assert_ok(device_board_init(&board, &err));
	board.count = DEVICE_BOARD_MAX;
	assert_fails(
	        device_board_add(&board, &device_rtc_kind, NULL, &err), ERR_FAILED, "40 devices already");
	board.count = 0;
	device_board_finish(&board);
}

static void test_create_power_without_pci_is_an_error(void **state)
{
	struct device_board board = {0};
	struct err err;

	assert_ok(device_board_init(&board, &err));
	assert_fails(device_board_add(&board, &device_power_kind, NULL, &err), ERR_FAILED, "needs PCI");
	assert_null(device_board_find(&board, &device_power_kind));
	device_board_finish(&board);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_create_each_failing_allocation_is_an_error),
	        cmocka_unit_test(test_create_taken_port_is_an_error),
	        cmocka_unit_test(test_create_full_board_refuses_another_device),
	        cmocka_unit_test(test_create_power_without_pci_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
