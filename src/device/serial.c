/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serial: a 16550A. Runs on any vCPU thread and on the loop, with one lock. Bytes that the guest sends leave
 * at once and wait in a ring for the loop; when that ring is nearly full, the transmitter says that it is
 * busy. Bytes that the loop brings wait in a ring in front of the 16-byte receive FIFO, as if the sender had
 * been told to wait. National Semiconductor PC16550D, section 8 (registers).
 */
#include <linux/serial_reg.h>

#include "ring.h"
#include "vmm/device/serial.h"

#define FIFO_BYTES   16
#define INPUT_BYTES  4096
#define OUTPUT_BYTES 16384

#define MODEM_PRESENT (UART_MSR_CTS | UART_MSR_DSR | UART_MSR_DCD) /* somebody is always at the other end */
#define DIVISOR_RESET 12                                           /* 9600 baud; of no effect */

enum { TELL_OUTPUT = 1, TELL_ROOM = 2 };

struct device_serial {
	struct device device;
	struct device_irq irq;
	struct device_events events;
	unsigned tell; /* what to tell once the lock is released: TELL_* */
	bool discard, starved, line;

	uint8_t ier, fcr, lcr, mcr, scr;
	uint16_t divisor;
	uint8_t errors;       /* of LSR, until it is read */
	uint8_t modem, delta; /* the high and the low half of MSR */
	bool thre_pending;    /* the THRE interrupt is edge-like: once per "became empty" */

	struct ring in, fifo, out;
	uint8_t in_data[INPUT_BYTES], fifo_data[FIFO_BYTES], out_data[OUTPUT_BYTES];
};

static bool is_loop(const struct device_serial *serial)
{
	return serial->mcr & UART_MCR_LOOP;
}

/* A driver that sees THRE may write a whole FIFO without looking again. */
static bool is_ready(const struct device_serial *serial)
{
	return is_loop(serial) || serial->discard || ring_room(&serial->out) >= FIFO_BYTES;
}

static bool has_fifo(const struct device_serial *serial)
{
	return serial->fcr & UART_FCR_ENABLE_FIFO;
}

/* ---- interrupts ---- */

/* Bytes below the trigger level count as timed out at once: the sender never pauses inside a message. */
static uint8_t received_interrupt(const struct device_serial *serial)
{
	static const uint8_t levels[] = {1, 4, 8, 14};
	uint8_t trigger = has_fifo(serial) ? levels[serial->fcr >> 6] : 1;

	return serial->fifo.count >= trigger ? UART_IIR_RDI : UART_IIR_RX_TIMEOUT;
}

/* The pending interrupt of the highest priority (PC16550D, table 4). */
static uint8_t interrupt(const struct device_serial *serial)
{
	if ((serial->ier & UART_IER_RLSI) && serial->errors)
		return UART_IIR_RLSI;
	if ((serial->ier & UART_IER_RDI) && serial->fifo.count)
		return received_interrupt(serial);
	if ((serial->ier & UART_IER_THRI) && serial->thre_pending)
		return UART_IIR_THRI;
	if ((serial->ier & UART_IER_MSI) && serial->delta)
		return UART_IIR_MSI;
	return UART_IIR_NO_INT;
}

/* A PC connects the interrupt pin through a gate that OUT2 opens. */
static bool wants_line(const struct device_serial *serial)
{
	return (serial->mcr & UART_MCR_OUT2) && interrupt(serial) != UART_IIR_NO_INT;
}

static void update_line(struct device_serial *serial)
{
	bool level = wants_line(serial);

	if (level == serial->line)
		return;
	serial->line = level;
	if (serial->irq.set)
		serial->irq.set(serial->irq.ctx, DEVICE_SERIAL_GSI, level);
}

static void lock(struct device_serial *serial)
{
	pthread_mutex_lock(&serial->device.lock);
}

/* Ends every operation: sets the interrupt line after the state, and tells the loop without the lock held. */
static void settle_and_unlock(struct device_serial *serial)
{
	unsigned tell;

	update_line(serial);
	tell = serial->tell;
	serial->tell = 0;
	pthread_mutex_unlock(&serial->device.lock);
	if ((tell & TELL_OUTPUT) && serial->events.on_output)
		serial->events.on_output(serial->events.ctx);
	if ((tell & TELL_ROOM) && serial->events.on_room)
		serial->events.on_room(serial->events.ctx);
}

/* ---- receiver ---- */

/* Moves waiting input into the FIFO; in loopback mode the receiver is cut off from the outside. */
static void refill(struct device_serial *serial)
{
	size_t depth = has_fifo(serial) ? FIFO_BYTES : 1;
	uint8_t byte;

	while (!is_loop(serial) && serial->fifo.count < depth && ring_take(&serial->in, &byte, 1))
		ring_put(&serial->fifo, &byte, 1);
	if (serial->starved && ring_room(&serial->in) >= INPUT_BYTES / 2) {
		serial->starved = false;
		serial->tell |= TELL_ROOM;
	}
}

static uint8_t receive(struct device_serial *serial)
{
	uint8_t byte = 0;

	ring_take(&serial->fifo, &byte, 1);
	refill(serial);
	return byte;
}

/* A looped byte that finds no room is an overrun. Without the FIFO it also replaces the byte that waits. */
static void loop_back(struct device_serial *serial, uint8_t byte)
{
	size_t depth = has_fifo(serial) ? FIFO_BYTES : 1;

	if (serial->fifo.count >= depth) {
		serial->errors |= UART_LSR_OE;
		if (has_fifo(serial))
			return;
		ring_clear(&serial->fifo);
	}
	ring_put(&serial->fifo, &byte, 1);
}

/* ---- transmitter ---- */

static void transmit(struct device_serial *serial, uint8_t byte)
{
	bool idle = !serial->out.count;

	/* The holding register is full for a moment: an edge-triggered input must see the line fall. */
	serial->thre_pending = false;
	update_line(serial);
	if (is_loop(serial))
		loop_back(serial, byte);
	else if (!serial->discard && ring_put(&serial->out, &byte, 1) && idle)
		serial->tell |= TELL_OUTPUT;
	serial->thre_pending = is_ready(serial);
}

/* ---- registers ---- */

static uint8_t read_iir(struct device_serial *serial)
{
	uint8_t iir = interrupt(serial);

	if (iir == UART_IIR_THRI)
		serial->thre_pending = false;
	return iir | (has_fifo(serial) ? 0xc0 : 0);
}

static uint8_t read_lsr(struct device_serial *serial)
{
	uint8_t lsr = serial->errors;

	if (serial->fifo.count)
		lsr |= UART_LSR_DR;
	if (is_ready(serial))
		lsr |= UART_LSR_THRE | UART_LSR_TEMT;
	serial->errors = 0;
	return lsr;
}

static uint8_t read_msr(struct device_serial *serial)
{
	uint8_t msr = serial->modem | serial->delta;

	serial->delta = 0;
	return msr;
}

static uint8_t read_register(struct device_serial *serial, uint64_t offset)
{
	bool dlab = serial->lcr & UART_LCR_DLAB;

	switch (offset) {
	case UART_RX: return dlab ? serial->divisor & 0xff : receive(serial);
	case UART_IER: return dlab ? serial->divisor >> 8 : serial->ier;
	case UART_IIR: return read_iir(serial);
	case UART_LCR: return serial->lcr;
	case UART_MCR: return serial->mcr;
	case UART_LSR: return read_lsr(serial);
	case UART_MSR: return read_msr(serial);
	default: return serial->scr;
	}
}

/* Enabling the THRE interrupt while the transmitter is empty raises it: drivers start sending that way. */
static void write_ier(struct device_serial *serial, uint8_t value)
{
	if ((value & ~serial->ier & UART_IER_THRI) && is_ready(serial))
		serial->thre_pending = true;
	serial->ier = value & 0x0f;
}

/* The other bits count only while the FIFOs are enabled. Switching the FIFOs on or off empties them. */
static void write_fcr(struct device_serial *serial, uint8_t value)
{
	bool enable = value & UART_FCR_ENABLE_FIFO;

	if (enable != has_fifo(serial) || (enable && (value & UART_FCR_CLEAR_RCVR)))
		ring_clear(&serial->fifo);
	serial->fcr = enable ? value & (UART_FCR_TRIGGER_MASK | UART_FCR_ENABLE_FIFO) : 0;
	refill(serial);
}

/* In loopback mode the modem's outputs are wired to its inputs, RTS to CTS and so on. */
static uint8_t modem_lines(uint8_t mcr)
{
	if (!(mcr & UART_MCR_LOOP))
		return MODEM_PRESENT;
	return (mcr & UART_MCR_RTS ? UART_MSR_CTS : 0) | (mcr & UART_MCR_DTR ? UART_MSR_DSR : 0) |
	       (mcr & UART_MCR_OUT1 ? UART_MSR_RI : 0) | (mcr & UART_MCR_OUT2 ? UART_MSR_DCD : 0);
}

static void write_mcr(struct device_serial *serial, uint8_t value)
{
	uint8_t before = serial->modem;
	uint8_t changed;

	serial->mcr = value & 0x1f;
	serial->modem = modem_lines(serial->mcr);
	changed = before ^ serial->modem;
	serial->delta |= (changed >> 4) & (UART_MSR_DCTS | UART_MSR_DDSR | UART_MSR_DDCD);
	if (changed & before & UART_MSR_RI)
		serial->delta |= UART_MSR_TERI;
	refill(serial);
}

static void write_register(struct device_serial *serial, uint64_t offset, uint8_t value)
{
	bool dlab = serial->lcr & UART_LCR_DLAB;

	if (dlab && offset == UART_DLL)
		serial->divisor = (serial->divisor & 0xff00) | value;
	else if (dlab && offset == UART_DLM)
		serial->divisor = (uint16_t)((serial->divisor & 0xff) | value << 8);
	else if (offset == UART_TX)
		transmit(serial, value);
	else if (offset == UART_IER)
		write_ier(serial, value);
	else if (offset == UART_FCR)
		write_fcr(serial, value);
	else if (offset == UART_LCR)
		serial->lcr = value;
	else if (offset == UART_MCR)
		write_mcr(serial, value);
	else if (offset == UART_SCR)
		serial->scr = value;
}

static uint64_t on_read(void *dev, uint64_t offset, unsigned size)
{
	struct device_serial *serial = dev;
	uint8_t value;

	lock(serial);
	value = read_register(serial, offset);
	settle_and_unlock(serial);
	return value;
}

static enum device_verdict on_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct device_serial *serial = dev;

	lock(serial);
	write_register(serial, offset, (uint8_t)value);
	settle_and_unlock(serial);
	return DEVICE_RESUME;
}

/* ---- the loop's side ---- */

size_t device_serial_input(struct device_serial *serial, const void *data, size_t size)
{
	size_t taken;

	lock(serial);
	taken = ring_put(&serial->in, data, size);
	refill(serial);
	taken += ring_put(&serial->in, (const uint8_t *)data + taken, size - taken);
	serial->starved = taken < size;
	settle_and_unlock(serial);
	return taken;
}

size_t device_serial_output(struct device_serial *serial, void *data, size_t max)
{
	bool was_ready;
	size_t n;

	lock(serial);
	was_ready = is_ready(serial);
	n = ring_take(&serial->out, data, max);
	if (!was_ready && is_ready(serial))
		serial->thre_pending = true;
	settle_and_unlock(serial);
	return n;
}

void device_serial_discard(struct device_serial *serial, bool discard)
{
	lock(serial);
	if (discard && !is_ready(serial))
		serial->thre_pending = true;
	if (discard)
		ring_clear(&serial->out);
	serial->discard = discard;
	settle_and_unlock(serial);
}

/* ---- a guest that goes on elsewhere ---- */

static void visit_ring(struct vmstate *s, const char *field, struct ring *ring, size_t max)
{
	unsigned count = (unsigned)ring->count;

	vmstate_count(s, field, &count, (unsigned)max);
	if (s->loads) {
		ring_clear(ring);
		ring->count = count;
	}
	for (unsigned i = 0; i < count; i++)
		vmstate_bytes(s, field, &ring->data[(ring->head + i) % ring->size], 1);
}

static void visit_registers(struct device_serial *serial, struct vmstate *s)
{
	vmstate_u8(s, "IER", &serial->ier, 0x0f);
	vmstate_u8(s, "FCR", &serial->fcr, UART_FCR_TRIGGER_MASK | UART_FCR_ENABLE_FIFO);
	if (serial->fcr && !has_fifo(serial))
		vmstate_fail(s, "FCR has a trigger level without FIFOs");
	vmstate_u8(s, "LCR", &serial->lcr, 0xff);
	vmstate_u8(s, "MCR", &serial->mcr, 0x1f);
	vmstate_u8(s, "SCR", &serial->scr, 0xff);
	vmstate_u16(s, "divisor", &serial->divisor, 0xffff);
	vmstate_u8(s, "LSR", &serial->errors, UART_LSR_OE);
	vmstate_u8(s, "MSR", &serial->delta, UART_MSR_ANY_DELTA);
	vmstate_bool(s, "THRE interrupt", &serial->thre_pending);
}

/*
 * A line that is high is not told: its pin is edge-triggered, and the state of the interrupt controllers says
 * already what became of the edge. The transmitter is empty here; a guest that found it busy hears of that.
 */
static void go_on(struct device_serial *serial, bool busy)
{
	serial->modem = modem_lines(serial->mcr);
	serial->line = wants_line(serial);
	if (busy && is_ready(serial))
		serial->thre_pending = true;
	refill(serial);
}

static void visit(struct device *device, struct vmstate *s)
{
	struct device_serial *serial = (struct device_serial *)device;
	bool busy;

	lock(serial);
	busy = !is_ready(serial);
	visit_registers(serial, s);
	vmstate_bool(s, "transmitter", &busy);
	visit_ring(s, "received bytes", &serial->fifo, has_fifo(serial) ? FIFO_BYTES : 1);
	visit_ring(s, "waiting bytes", &serial->in, INPUT_BYTES);
	if (!s->loads || s->bad) {
		pthread_mutex_unlock(&serial->device.lock);
		return;
	}
	go_on(serial, busy);
	settle_and_unlock(serial);
}

/* ---- the kind ---- */

/* The registers as after power-on. Bytes that wait in either ring stay. */
static void reset(struct device *device)
{
	struct device_serial *serial = (struct device_serial *)device;

	lock(serial);
	serial->ier = serial->fcr = serial->lcr = serial->mcr = serial->scr = 0;
	serial->divisor = DIVISOR_RESET;
	serial->errors = serial->delta = 0;
	serial->modem = MODEM_PRESENT;
	serial->thre_pending = false;
	ring_clear(&serial->fifo);
	refill(serial);
	settle_and_unlock(serial);
}

static int init(struct device *device, struct device_board *board, const void *ask, struct err *err)
{
	struct device_serial *serial = (struct device_serial *)device;
	const struct device_range range = {.name = "serial port",
	        .space = DEVICE_PIO,
	        .base = DEVICE_SERIAL_PORT,
	        .size = 8,
	        .read = on_read,
	        .write = on_write,
	        .dev = serial,
	        .widest = 1};

	serial->irq = board->irq;
	serial->events = board->events;
	serial->in = (struct ring){.data = serial->in_data, .size = INPUT_BYTES};
	serial->fifo = (struct ring){.data = serial->fifo_data, .size = FIFO_BYTES};
	serial->out = (struct ring){.data = serial->out_data, .size = OUTPUT_BYTES};
	reset(device);
	return device_bus_claim(board->bus, &range, err);
}

const struct device_kind device_serial_kind = {
        .name = "serial port",
        .size = sizeof(struct device_serial),
        .init = init,
        .reset = reset,
        .visit = visit,
        .isa = {"COM1", "PNP0501", DEVICE_SERIAL_PORT, 8, DEVICE_SERIAL_GSI},
};

struct device_serial *device_serial_of(const struct device_board *board)
{
	return (struct device_serial *)device_board_find(board, &device_serial_kind);
}
