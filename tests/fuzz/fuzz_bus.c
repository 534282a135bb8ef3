/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_bus: a guest that makes any sequence of port accesses to a bus with all devices on it, while time
 * passes and the loop types, reads, presses the button and resets. The guest must get answers of the right
 * size and stop exactly when a device reported an event, and devices must report interrupt lines only when
 * these change.
 */
#include "fuzz.h"
#include "support/board.h"
#include "vmm/device/debugcon.h"
#include "vmm/device/fw_cfg.h"
#include "vmm/device/power.h"
#include "vmm/device/serial.h"

struct machine {
	struct device_board board;
	struct device_serial *serial;
	uint64_t now_ns;
	unsigned events;
	bool lines[24];
};

static void set_line(void *ctx, unsigned gsi, bool level)
{
	struct machine *m = ctx;

	fuzz_assert(gsi < ARRAY_LEN(m->lines) && m->lines[gsi] != level);
	m->lines[gsi] = level;
}

static uint64_t now_ns(void *ctx)
{
	return ((struct machine *)ctx)->now_ns;
}

static int64_t wall_ns(void *ctx)
{
	return (int64_t)(1795219198000000000u + ((struct machine *)ctx)->now_ns);
}

static void on_event(void *ctx, enum device_event event, const char *how)
{
	fuzz_assert(event < DEVICE_EVENTS && *how);
	((struct machine *)ctx)->events++;
}

static void make(struct machine *m)
{
	struct err err;

	m->board.irq = (struct device_irq){set_line, m};
	m->board.clock = (struct device_clock){now_ns, wall_ns, m};
	m->board.events = (struct device_events){.on_event = on_event, .ctx = m};
	m->board.low_bytes = MIB(512);
	fuzz_assert(device_board_init(&m->board, &err) == 0);
	fuzz_assert(board_fill(&m->board, &err) == 0);
	fuzz_assert(device_fw_cfg_add_file(device_fw_cfg_of(&m->board), "etc/e820", "e820", 4, &err) == 0);
	device_bus_freeze(m->board.bus);
	m->serial = device_serial_of(&m->board);
}

/* Most addresses near a device, some anywhere. */
static uint64_t pick_address(struct cursor *input)
{
	static const uint16_t near[] = {0x60, 0x70, 0x92, 0x3f8, 0x400, 0x510, 0x518, 0xafe0, 0xb000, 0xb008,
	        0xcf8, 0xcfc, 0xb03c /* the end of the PM block where firmware puts it */};
	uint8_t byte = cursor_u8(input);

	if (byte < 0xf0)
		return near[(byte >> 3) % ARRAY_LEN(near)] + (byte & 7);
	return byte < 0xf8 ? cursor_u16(input) : cursor_u64(input);
}

static void access_port(struct machine *m, struct cursor *input, unsigned op)
{
	enum device_space space = op & 0x40 ? DEVICE_MMIO : DEVICE_PIO;
	unsigned size = 1 + (op & 7), events = m->events;
	uint64_t address = pick_address(input);
	uint64_t value;

	if (op & 8) {
		value = size > 2 ? cursor_u64(input) : cursor_u16(input);
		if (device_bus_write(m->board.bus, space, address, size, value) == DEVICE_STOP)
			fuzz_assert(m->events == events + 1);
		else
			fuzz_assert(m->events == events);
		return;
	}
	value = device_bus_read(m->board.bus, space, address, size);
	fuzz_assert(size == 8 || value >> (8 * size) == 0);
	fuzz_assert(m->events == events);
}

static void loop_side(struct machine *m, struct cursor *input, unsigned what)
{
	uint8_t bytes[256] = {0};

	switch (what) {
	case 0: m->now_ns += cursor_u32(input) * 1000ull; return;
	case 1: fuzz_assert(device_serial_input(m->serial, bytes, cursor_u8(input)) <= 255); return;
	case 2: fuzz_assert(device_serial_output(m->serial, bytes, sizeof(bytes)) <= sizeof(bytes)); return;
	case 3: device_serial_discard(m->serial, cursor_u8(input) & 1); return;
	case 4: device_power_button(device_power_of(&m->board)); return;
	case 5:
		fuzz_assert(device_debugcon_output(device_debugcon_of(&m->board), bytes, sizeof(bytes)) <=
		            sizeof(bytes));
		return;
	case 6: m->now_ns = cursor_u64(input); return;
	default: device_board_reset(&m->board); fuzz_assert(!m->lines[4] && !m->lines[9]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor input = cursor_over(data, size);
	struct machine m = {0};

	log_set_level(LOG_ERROR);
	make(&m);
	while (input.left && !input.bad) {
		unsigned op = cursor_u8(&input);

		if (op & 0x80)
			loop_side(&m, &input, op & 7);
		else
			access_port(&m, &input, op);
	}
	device_board_finish(&m.board);
	return 0;
}
