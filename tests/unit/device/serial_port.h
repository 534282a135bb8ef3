/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serial_port: COM1 on a bus, as the tests of the serial port share it.
 */
#ifndef TEST_DEVICE_SERIAL_PORT_H
#define TEST_DEVICE_SERIAL_PORT_H

#include <linux/serial_reg.h>

#include "guest.h"
#include "vmm/device/serial.h"

#define COM1 0x3f8
#define IRQ  4

struct fixture {
	struct device_board board;
	struct device_bus *bus;
	struct device_serial *serial;
	struct fake_irq irq;
	_Atomic unsigned output_told, room_told;
};

static inline void on_output(void *ctx)
{
	atomic_fetch_add(&((struct fixture *)ctx)->output_told, 1);
}

static inline void on_room(void *ctx)
{
	atomic_fetch_add(&((struct fixture *)ctx)->room_told, 1);
}

static inline int setup(void **state)
{
	static struct fixture f;
	struct err err;

	f = (struct fixture){0};
	f.board.irq = fake_irq(&f.irq);
	f.board.events = (struct device_events){.on_output = on_output, .on_room = on_room, .ctx = &f};
	assert_ok(device_board_init(&f.board, &err));
	assert_ok(device_board_add(&f.board, &device_serial_kind, NULL, &err));
	f.bus = f.board.bus;
	f.serial = device_serial_of(&f.board);
	device_bus_freeze(f.bus);
	*state = &f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	device_board_finish(&f->board);
	return 0;
}

static inline uint8_t get(struct fixture *f, unsigned reg)
{
	return inb(f->bus, COM1 + reg);
}

static inline void put(struct fixture *f, unsigned reg, uint8_t value)
{
	assert_int_equal(outb(f->bus, COM1 + reg, value), DEVICE_RESUME);
}

static inline unsigned iir(struct fixture *f)
{
	return get(f, UART_IIR) & 0x0f;
}

static inline bool line(struct fixture *f)
{
	return f->irq.level[IRQ];
}

static inline void type(struct fixture *f, const char *text)
{
	assert_int_equal(device_serial_input(f->serial, text, strlen(text)), strlen(text));
}

static inline void assert_printed(struct fixture *f, const char *text)
{
	char got[256] = "";

	device_serial_output(f->serial, got, sizeof(got) - 1);
	assert_string_equal(got, text);
}

/* As an interrupt-driven driver sets the port up: 8n1, FIFOs with this trigger level, OUT2 open. */
static inline void start_driver(struct fixture *f, uint8_t trigger, uint8_t ier)
{
	put(f, UART_LCR, UART_LCR_WLEN8);
	put(f, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT | trigger);
	put(f, UART_MCR, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
	put(f, UART_IER, ier);
}

#endif
