/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pvpanic: a port by which a guest says that its kernel panicked. Runs on any vCPU thread; it has no state.
 * Linux finds it by its ACPI id, guests without ACPI by a file of fw_cfg. QEMU, docs/specs/pvpanic.rst.
 */
#include "vmm/config.h"
#include "vmm/device/fw_cfg.h"

#define PVPANIC_PORT 0x505

/* A guest that wants to shut down does it by ACPI, so bit 2 is not offered. */
enum { PANICKED = 1, CRASH_LOADED = 2 };

struct pvpanic {
	struct device device;
	struct device_events events;
};

/* Tells the guest which events it may report. */
static uint64_t on_read(void *dev, uint64_t offset, unsigned size)
{
	return PANICKED | CRASH_LOADED;
}

static enum device_verdict on_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	const struct pvpanic *pvpanic = dev;

	if (value & PANICKED) {
		if (pvpanic->events.on_event)
			pvpanic->events.on_event(pvpanic->events.ctx, DEVICE_EVENT_CRASH,
			        "it reported a kernel panic (pvpanic)");
		return DEVICE_STOP;
	}
	if (value & CRASH_LOADED)
		log_guest(
		        LOG_WARN, "the guest reported a kernel panic and starts its crash kernel (pvpanic)");
	return DEVICE_RESUME;
}

static bool wanted(const struct config *config)
{
	return config->machine.pvpanic;
}

static int init(struct device *device, struct device_board *board, const void *ask, struct err *err)
{
	static const uint8_t port[2] = {PVPANIC_PORT & 0xff, PVPANIC_PORT >> 8};
	struct pvpanic *pvpanic = (struct pvpanic *)device;
	struct device_fw_cfg *fw_cfg = device_fw_cfg_of(board);
	const struct device_range range = {
	        "pvpanic", DEVICE_PIO, PVPANIC_PORT, 1, on_read, on_write, pvpanic, 1};

	pvpanic->events = board->events;
	if (fw_cfg && device_fw_cfg_add_file(fw_cfg, "etc/pvpanic-port", port, sizeof(port), err) < 0)
		return -1;
	return device_bus_claim(board->bus, &range, err);
}

const struct device_kind device_pvpanic_kind = {
        .name = "pvpanic",
        .size = sizeof(struct pvpanic),
        .wanted = wanted,
        .init = init,
        .isa = {"PEVT", "QEMU0001", PVPANIC_PORT, 1, 0},
};
