/* SPDX-License-Identifier: Apache-2.0 */
#include "serial_port.h"

/* A patient guest loses nothing, however slow the reader. */
static void test_serial_guest_that_honours_thre_loses_nothing(void **state)
{
	struct fixture *f = *state;
	uint32_t sent = 0, received = 0;
	uint8_t got[700];

	while (received < 100000) {
		size_t n;

		while (sent < 100000 && (get(f, UART_LSR) & UART_LSR_THRE))
			for (int i = 0; i < 16; i++)
				put(f, UART_TX, (uint8_t)(sent++ * 7));
		n = device_serial_output(f->serial, got, sizeof(got));
		assert_true(n > 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(got[i], (uint8_t)(received++ * 7));
	}
	assert_int_equal(sent, 100000);
}

static void test_serial_guest_that_ignores_thre_loses_bytes(void **state)
{
	struct fixture *f = *state;
	static uint8_t got[100000];
	size_t n;

	for (uint32_t i = 0; i < sizeof(got); i++)
		put(f, UART_TX, (uint8_t)(i * 7));
	assert_int_equal(get(f, UART_LSR) & (UART_LSR_THRE | UART_LSR_TEMT), 0);
	n = device_serial_output(f->serial, got, sizeof(got));
	assert_in_range(n, 1024, sizeof(got) - 1);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(got[i], (uint8_t)(i * 7));
	assert_int_equal(get(f, UART_LSR) & UART_LSR_THRE, UART_LSR_THRE);
}

/* When the reader catches up, a guest that waits for THRE gets an interrupt. */
static void test_serial_drained_output_interrupts_the_waiting_guest(void **state)
{
	struct fixture *f = *state;
	uint8_t got[100];

	start_driver(f, UART_FCR_TRIGGER_1, UART_IER_THRI);
	while (get(f, UART_LSR) & UART_LSR_THRE)
		put(f, UART_TX, 'x');
	assert_false(line(f));
	assert_int_equal(device_serial_output(f->serial, got, 1), 1);
	assert_true(line(f));
	assert_int_equal(iir(f), UART_IIR_THRI);
}

static void test_serial_discard_never_makes_the_guest_wait(void **state)
{
	struct fixture *f = *state;

	start_driver(f, UART_FCR_TRIGGER_1, UART_IER_THRI);
	while (get(f, UART_LSR) & UART_LSR_THRE)
		put(f, UART_TX, 'x');
	assert_false(line(f));
	device_serial_discard(f->serial, true);
	assert_true(line(f)); /* whoever waited goes on */
	for (int i = 0; i < 100000; i++)
		put(f, UART_TX, 'y');
	assert_int_equal(get(f, UART_LSR) & UART_LSR_THRE, UART_LSR_THRE);
	assert_printed(f, "");
	device_serial_discard(f->serial, false);
	put(f, UART_TX, 'z');
	assert_printed(f, "z");
}

static void test_serial_refused_input_is_asked_for_again(void **state)
{
	struct fixture *f = *state;
	static uint8_t big[20000];
	uint32_t given, taken = 0;

	for (uint32_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 3);
	start_driver(f, UART_FCR_TRIGGER_1, 0);
	given = (uint32_t)device_serial_input(f->serial, big, sizeof(big));
	assert_in_range(given, 1024, sizeof(big) - 1);
	assert_int_equal(device_serial_input(f->serial, big + given, 10), 0);
	while (taken < sizeof(big)) {
		unsigned told = f->room_told;

		while (get(f, UART_LSR) & UART_LSR_DR)
			assert_int_equal(get(f, UART_RX), (uint8_t)(taken++ * 3));
		if (given == sizeof(big))
			break;
		assert_int_equal(f->room_told, told + 1);
		given += (uint32_t)device_serial_input(f->serial, big + given, sizeof(big) - given);
	}
	assert_int_equal(taken, sizeof(big));
}

static void test_serial_survives_random_accesses(void **state)
{
	struct fixture *f = *state;

	assert_survives(f->bus, COM1 - 4, 16, 300000);
}

static void type_and_print(void *ctx, unsigned round)
{
	struct fixture *f = ctx;
	uint8_t data[64] = {0};

	device_serial_input(f->serial, data, round % sizeof(data));
	device_serial_output(f->serial, data, sizeof(data));
	device_serial_discard(f->serial, round % 7 == 0);
	if (round % 200 == 0)
		reset_device(&f->board, &device_serial_kind);
}

static void test_serial_two_vcpus_and_the_loop(void **state)
{
	struct fixture *f = *state;

	hammer_from_two_threads(f->bus, COM1, 8, type_and_print, f);
	reset_device(&f->board, &device_serial_kind);
	assert_false(line(f)); /* the last level that the device reported is the current one */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_serial_guest_that_honours_thre_loses_nothing),
	        TEST(test_serial_guest_that_ignores_thre_loses_bytes),
	        TEST(test_serial_drained_output_interrupts_the_waiting_guest),
	        TEST(test_serial_discard_never_makes_the_guest_wait),
	        TEST(test_serial_refused_input_is_asked_for_again),
	        TEST(test_serial_survives_random_accesses),
	        TEST(test_serial_two_vcpus_and_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
