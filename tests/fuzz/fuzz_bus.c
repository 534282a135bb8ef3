/*
 * fuzz_bus: a guest that makes any sequence of port accesses to a bus with all devices on it, while time
 * passes and the loop types, reads, presses the button and resets. It must get answers of the right size,
 * stop exactly when an event was told, and be told of interrupt lines only when they change.
 */
#include "fuzz.h"
#include "vmm/device.h"

struct machine {
	struct device_bus *bus;
	struct device_pci *pci;
	struct device_power *power;
	struct device_serial *serial;
	struct device_debugcon *debugcon;
	struct device_rtc *rtc;
	struct device_fw_cfg *fw_cfg;
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

static int64_t wall_s(void *ctx)
{
	return 1795219198 + (int64_t)(((struct machine *)ctx)->now_ns / 1000000000);
}

static void on_event(void *ctx, enum device_power_event event)
{
	fuzz_assert(event == DEVICE_POWER_OFF || event == DEVICE_POWER_RESET);
	((struct machine *)ctx)->events++;
}

static void make(struct machine *m)
{
	struct device_irq irq = {set_line, m};
	struct device_clock clock = {now_ns, wall_s, m};
	struct device_notify nobody = {0};
	struct err err;

	fuzz_assert(device_bus_create(&m->bus, &err) == 0);
	fuzz_assert(device_pci_create(m->bus, &m->pci, &err) == 0);
	fuzz_assert(device_power_create(m->bus, m->pci, irq, clock, on_event, m, &m->power, &err) == 0);
	fuzz_assert(device_serial_create(m->bus, 0x3f8, 4, irq, nobody, nobody, &m->serial, &err) == 0);
	fuzz_assert(device_debugcon_create(m->bus, nobody, &m->debugcon, &err) == 0);
	fuzz_assert(device_rtc_create(m->bus, clock, MIB(512), 0, &m->rtc, &err) == 0);
	fuzz_assert(device_fw_cfg_create(m->bus, &m->fw_cfg, &err) == 0);
	fuzz_assert(device_fw_cfg_add_file(m->fw_cfg, "etc/e820", "e820", 4, &err) == 0);
	device_bus_freeze(m->bus);
}

static void finish(struct machine *m)
{
	device_fw_cfg_destroy(m->fw_cfg);
	device_rtc_destroy(m->rtc);
	device_debugcon_destroy(m->debugcon);
	device_serial_destroy(m->serial);
	device_power_destroy(m->power);
	device_pci_destroy(m->pci);
	device_bus_destroy(m->bus);
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
		if (device_bus_write(m->bus, space, address, size, value) == DEVICE_STOP)
			fuzz_assert(m->events == events + 1);
		else
			fuzz_assert(m->events == events);
		return;
	}
	value = device_bus_read(m->bus, space, address, size);
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
	case 4: device_power_button(m->power); return;
	case 5:
		fuzz_assert(device_debugcon_output(m->debugcon, bytes, sizeof(bytes)) <= sizeof(bytes));
		return;
	case 6: m->now_ns = cursor_u64(input); return;
	default:
		device_pci_reset(m->pci);
		device_power_reset(m->power);
		device_serial_reset(m->serial);
		device_rtc_reset(m->rtc);
		device_fw_cfg_reset(m->fw_cfg);
		fuzz_assert(!m->lines[4] && !m->lines[9]);
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
	finish(&m);
	return 0;
}
