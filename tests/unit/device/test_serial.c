/* SPDX-License-Identifier: Apache-2.0 */
#include "serial_port.h"

/* ---- polled, as firmware does ---- */

static void test_serial_firmware_probes_and_prints(void **state)
{
	struct fixture *f = *state;

	put(f, UART_SCR, 0xaa);
	assert_int_equal(get(f, UART_SCR), 0xaa);
	put(f, UART_SCR, 0x55);
	assert_int_equal(get(f, UART_SCR), 0x55);
	put(f, UART_LCR, UART_LCR_DLAB | UART_LCR_WLEN8);
	put(f, UART_DLL, 1);
	put(f, UART_DLM, 0);
	put(f, UART_LCR, UART_LCR_WLEN8);
	for (const char *c = "UEFI"; *c; c++) {
		assert_int_equal(get(f, UART_LSR) & UART_LSR_THRE, UART_LSR_THRE);
		put(f, UART_TX, (uint8_t)*c);
	}
	assert_int_equal(f->output_told, 1);
	assert_printed(f, "UEFI");
	assert_false(line(f));
}

static void test_serial_power_on_registers(void **state)
{
	static const uint8_t expected[8] = {0, 0, UART_IIR_NO_INT, 0, 0, 0x60, 0xb0, 0};
	struct fixture *f = *state;

	for (unsigned reg = 0; reg < 8; reg++)
		assert_int_equal(get(f, reg), expected[reg]);
}

static void test_serial_divisor_hides_behind_dlab(void **state)
{
	struct fixture *f = *state;

	put(f, UART_IER, UART_IER_MSI);
	put(f, UART_LCR, UART_LCR_DLAB);
	put(f, UART_DLL, 0x34);
	put(f, UART_DLM, 0x12);
	assert_int_equal(inw(f->bus, COM1), 0x1234);
	put(f, UART_LCR, 0);
	assert_int_equal(get(f, UART_IER), UART_IER_MSI);
	assert_printed(f, "");
}

static void test_serial_wide_access_is_two_registers(void **state)
{
	struct fixture *f = *state;

	outw(f->bus, COM1 + UART_MCR, 0); /* MCR and LSR */
	outw(f->bus, COM1 + UART_MSR, 0x7700);
	assert_int_equal(get(f, UART_SCR), 0x77);
	assert_int_equal(inw(f->bus, COM1 + UART_MSR), 0x77b0);
}

/* The kernel recognises the family of a UART by the bits that keep their value. */
static void test_serial_kernel_identifies_a_16550a(void **state)
{
	struct fixture *f = *state;

	put(f, UART_IER, 0);
	assert_int_equal(get(f, UART_IER), 0);
	put(f, UART_IER, 0xff);
	assert_int_equal(get(f, UART_IER), 0x0f); /* no 16750, no XScale */
	put(f, UART_IER, 0);
	put(f, UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);
	assert_int_equal(get(f, UART_MSR) & 0xf0, UART_MSR_DCD | UART_MSR_CTS);
	put(f, UART_MCR, 0);
	put(f, UART_LCR, 0);
	put(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	assert_int_equal(get(f, UART_IIR) >> 6, 3);
	put(f, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR7_64BYTE);
	assert_int_equal(get(f, UART_IIR) >> 5, 6);
	put(f, UART_FCR, 0);
	assert_int_equal(get(f, UART_IIR) >> 6, 0);
}

/* The kernel measures the FIFO: 256 bytes in loopback mode, then it counts what arrived. */
static void test_serial_fifo_has_sixteen_bytes(void **state)
{
	struct fixture *f = *state;
	unsigned count = 0;

	put(f, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT);
	put(f, UART_MCR, UART_MCR_LOOP);
	for (unsigned i = 0; i < 256; i++)
		put(f, UART_TX, (uint8_t)i);
	assert_int_equal(get(f, UART_LSR) & UART_LSR_OE, UART_LSR_OE);
	assert_int_equal(get(f, UART_LSR) & UART_LSR_OE, 0); /* reading cleared it */
	for (; get(f, UART_LSR) & UART_LSR_DR; count++)
		assert_int_equal(get(f, UART_RX), count);
	assert_int_equal(count, 16);
	assert_printed(f, "");
	assert_int_equal(f->output_told, 0);
}

static void test_serial_without_fifo_overrun_keeps_the_newest(void **state)
{
	struct fixture *f = *state;

	put(f, UART_MCR, UART_MCR_LOOP);
	put(f, UART_TX, 'a');
	put(f, UART_TX, 'b');
	assert_int_equal(get(f, UART_LSR), 0x60 | UART_LSR_OE | UART_LSR_DR);
	assert_int_equal(get(f, UART_RX), 'b');
	assert_int_equal(get(f, UART_LSR), 0x60);
}

/* A new trigger level keeps the bytes that wait; switching the FIFO on or off drops them. */
static void test_serial_switching_the_fifo_empties_it(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 2; i++) {
		put(f, UART_FCR, UART_FCR_ENABLE_FIFO);
		put(f, UART_MCR, UART_MCR_LOOP);
		put(f, UART_TX, 'k');
		put(f, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_14);
		assert_int_equal(get(f, UART_LSR) & UART_LSR_DR, UART_LSR_DR);
		put(f, UART_FCR, 0);
		assert_int_equal(get(f, UART_LSR) & UART_LSR_DR, 0);
		put(f, UART_TX, 'l');
		put(f, UART_FCR, UART_FCR_TRIGGER_14 | UART_FCR_CLEAR_RCVR); /* nothing without bit 0 */
		assert_int_equal(get(f, UART_RX), 'l');
	}
}

/* ---- interrupts ---- */

static void test_serial_typed_line_arrives_by_interrupt(void **state)
{
	struct fixture *f = *state;
	char got[8] = "";

	start_driver(f, UART_FCR_TRIGGER_1, UART_IER_RDI | UART_IER_RLSI);
	assert_false(line(f));
	type(f, "ls\r");
	assert_true(line(f));
	assert_int_equal(iir(f), UART_IIR_RDI);
	for (unsigned i = 0; get(f, UART_LSR) & UART_LSR_DR; i++)
		got[i] = (char)get(f, UART_RX);
	assert_string_equal(got, "ls\r");
	assert_int_equal(iir(f), UART_IIR_NO_INT);
	assert_false(line(f));
	assert_int_equal(f->irq.rises[IRQ], 1);
}

static void test_serial_trigger_levels_are_the_chips(void **state)
{
	static const struct {
		uint8_t fcr, bytes;
	} levels[] = {{UART_FCR_TRIGGER_1, 1}, {UART_FCR_TRIGGER_4, 4}, {UART_FCR_TRIGGER_8, 8},
	        {UART_FCR_TRIGGER_14, 14}};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		start_driver(f, levels[i].fcr, UART_IER_RDI);
		for (unsigned n = 1; n <= 16; n++) {
			type(f, "x");
			assert_int_equal(iir(f), n < levels[i].bytes ? UART_IIR_RX_TIMEOUT : UART_IIR_RDI);
		}
	}
}

static void test_serial_below_the_trigger_level_times_out(void **state)
{
	struct fixture *f = *state;

	start_driver(f, UART_FCR_TRIGGER_8, UART_IER_RDI);
	type(f, "1234567");
	assert_int_equal(iir(f), UART_IIR_RX_TIMEOUT);
	type(f, "8");
	assert_int_equal(iir(f), UART_IIR_RDI);
	assert_int_equal(get(f, UART_RX), '1');
	assert_int_equal(iir(f), UART_IIR_RX_TIMEOUT);
	put(f, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
	assert_int_equal(iir(f), UART_IIR_NO_INT);
	assert_int_equal(get(f, UART_LSR) & UART_LSR_DR, 0);
}

/* Sending by interrupt: enabling it starts, each refill of the FIFO brings the next, disabling ends. */
static void test_serial_driver_sends_by_interrupt(void **state)
{
	struct fixture *f = *state;
	const char *text = "0123456789abcdefghijklmnopqrstuvwxyz0123456789", *at = text;
	unsigned interrupts = 0;

	start_driver(f, UART_FCR_TRIGGER_8, 0);
	put(f, UART_IER, UART_IER_THRI);
	while (line(f)) {
		interrupts++;
		assert_int_equal(iir(f), UART_IIR_THRI);
		assert_false(line(f)); /* reading IIR took it back */
		for (int i = 0; i < 16 && *at; i++)
			put(f, UART_TX, (uint8_t)*at++);
		if (!*at)
			put(f, UART_IER, 0);
	}
	assert_int_equal(interrupts, 3);
	assert_printed(f, text);
}

/* An edge-triggered input must see each "empty again", also when nobody read IIR in between. */
static void test_serial_each_byte_sent_is_an_edge(void **state)
{
	struct fixture *f = *state;

	start_driver(f, UART_FCR_TRIGGER_8, UART_IER_THRI);
	assert_int_equal(f->irq.rises[IRQ], 1);
	put(f, UART_TX, 'x');
	assert_int_equal(f->irq.rises[IRQ], 2);
	assert_true(line(f));
}

/* The kernel's check for UARTs that do not raise THRE again when it is enabled a second time. */
static void test_serial_thre_interrupt_comes_at_each_enabling(void **state)
{
	struct fixture *f = *state;

	start_driver(f, UART_FCR_TRIGGER_8, 0);
	for (int i = 0; i < 3; i++) {
		put(f, UART_IER, UART_IER_THRI);
		assert_int_equal(iir(f), UART_IIR_THRI);
		assert_int_equal(iir(f), UART_IIR_NO_INT);
		put(f, UART_IER, UART_IER_THRI); /* it was on already */
		assert_int_equal(iir(f), UART_IIR_NO_INT);
		put(f, UART_IER, 0);
	}
}

static void test_serial_interrupts_come_by_priority(void **state)
{
	struct fixture *f = *state;

	start_driver(f, UART_FCR_TRIGGER_1, 0);
	put(f, UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2);
	for (int i = 0; i < 17; i++)
		put(f, UART_TX, 'z');
	put(f, UART_IER, 0x0f);
	assert_int_equal(iir(f), UART_IIR_RLSI);
	get(f, UART_LSR);
	assert_int_equal(iir(f), UART_IIR_RDI);
	put(f, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
	assert_int_equal(iir(f), UART_IIR_THRI);
	assert_int_equal(iir(f), UART_IIR_MSI);
	get(f, UART_MSR);
	assert_int_equal(iir(f), UART_IIR_NO_INT);
	assert_false(line(f));
}

static void test_serial_loopback_interrupts_with_what_it_sent(void **state)
{
	struct fixture *f = *state;

	start_driver(f, UART_FCR_TRIGGER_1, UART_IER_RDI);
	put(f, UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2);
	type(f, "outside"); /* stays outside */
	assert_false(line(f));
	put(f, UART_TX, 'i');
	assert_true(line(f));
	assert_int_equal(get(f, UART_RX), 'i');
	assert_false(line(f));
	put(f, UART_MCR, UART_MCR_OUT2);
	assert_true(line(f));
	assert_int_equal(get(f, UART_RX), 'o');
}

static void test_serial_out2_gates_the_line(void **state)
{
	struct fixture *f = *state;

	start_driver(f, UART_FCR_TRIGGER_1, UART_IER_RDI);
	put(f, UART_MCR, 0);
	type(f, "x");
	assert_int_equal(iir(f), UART_IIR_RDI);
	assert_false(line(f));
	put(f, UART_MCR, UART_MCR_OUT2);
	assert_true(line(f));
}

static void test_serial_modem_lines_follow_in_loopback(void **state)
{
	static const struct {
		uint8_t mcr, msr;
	} steps[] = {
	        {UART_MCR_LOOP | UART_MCR_DTR,
	                UART_MSR_DSR | UART_MSR_DCTS | UART_MSR_DDCD}, /* others fell */
	        {UART_MCR_LOOP | UART_MCR_RTS, UART_MSR_CTS | UART_MSR_DCTS | UART_MSR_DDSR},
	        {UART_MCR_LOOP | UART_MCR_OUT1, UART_MSR_RI | UART_MSR_DCTS}, /* RI rose: no TERI */
	        {UART_MCR_LOOP | UART_MCR_OUT2, UART_MSR_DCD | UART_MSR_TERI | UART_MSR_DDCD},
	        {0, UART_MSR_CTS | UART_MSR_DSR | UART_MSR_DCD | UART_MSR_DCTS | UART_MSR_DDSR},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		put(f, UART_MCR, steps[i].mcr);
		assert_int_equal(get(f, UART_MSR), steps[i].msr);
		assert_int_equal(get(f, UART_MSR) & 0x0f, 0);
	}
}

static void test_serial_reset_keeps_what_was_printed(void **state)
{
	struct fixture *f = *state;

	start_driver(f, UART_FCR_TRIGGER_1, UART_IER_THRI);
	put(f, UART_TX, 'p');
	assert_true(line(f));
	reset_device(&f->board, &device_serial_kind);
	assert_false(line(f));
	test_serial_power_on_registers(state);
	assert_printed(f, "p");
	type(f, "abc"); /* one byte in the receiver, two that wait for it */
	reset_device(&f->board, &device_serial_kind);
	assert_int_equal(get(f, UART_RX), 'b');
	assert_int_equal(get(f, UART_RX), 'c');
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_serial_firmware_probes_and_prints),
	        TEST(test_serial_power_on_registers),
	        TEST(test_serial_divisor_hides_behind_dlab),
	        TEST(test_serial_wide_access_is_two_registers),
	        TEST(test_serial_kernel_identifies_a_16550a),
	        TEST(test_serial_fifo_has_sixteen_bytes),
	        TEST(test_serial_without_fifo_overrun_keeps_the_newest),
	        TEST(test_serial_switching_the_fifo_empties_it),
	        TEST(test_serial_typed_line_arrives_by_interrupt),
	        TEST(test_serial_trigger_levels_are_the_chips),
	        TEST(test_serial_below_the_trigger_level_times_out),
	        TEST(test_serial_driver_sends_by_interrupt),
	        TEST(test_serial_each_byte_sent_is_an_edge),
	        TEST(test_serial_thre_interrupt_comes_at_each_enabling),
	        TEST(test_serial_interrupts_come_by_priority),
	        TEST(test_serial_loopback_interrupts_with_what_it_sent),
	        TEST(test_serial_out2_gates_the_line),
	        TEST(test_serial_modem_lines_follow_in_loopback),
	        TEST(test_serial_reset_keeps_what_was_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
