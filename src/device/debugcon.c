/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debugcon: the debug console of firmware, port 0x402. Each byte written there waits in a bounded ring for
 * the loop. Runs on any vCPU thread and on the loop, with one lock. QEMU, "-device isa-debugcon"; edk2
 * OvmfPkg, PcdDebugIoPort.
 */
#include "vmm/device/debugcon.h"
#include "ring.h"
#include "vmm/config.h"

#define DEBUGCON_PORT 0x402
#define DEBUGCON_HERE 0xe9 /* what reads give; firmware knows the port by it */
#define OUTPUT_BYTES  65536

struct device_debugcon {
	struct device device;
	struct device_events events;
	struct ring out;
	uint8_t out_data[OUTPUT_BYTES];
};

static uint64_t on_read(void *dev, uint64_t offset, unsigned size)
{
	return DEBUGCON_HERE;
}

static enum device_verdict on_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct device_debugcon *debugcon = dev;
	uint8_t byte = (uint8_t)value;
	bool idle, taken;

	pthread_mutex_lock(&debugcon->device.lock);
	idle = !debugcon->out.count;
	taken = ring_put(&debugcon->out, &byte, 1);
	pthread_mutex_unlock(&debugcon->device.lock);
	if (!taken)
		log_guest(LOG_WARN, "debug console: the guest writes faster than it is read; bytes are lost");
	if (idle && taken && debugcon->events.on_output)
		debugcon->events.on_output(debugcon->events.ctx);
	return DEVICE_RESUME;
}

size_t device_debugcon_output(struct device_debugcon *debugcon, void *data, size_t max)
{
	size_t n;

	pthread_mutex_lock(&debugcon->device.lock);
	n = ring_take(&debugcon->out, data, max);
	pthread_mutex_unlock(&debugcon->device.lock);
	return n;
}

/* ---- the kind ---- */

static bool wanted(const struct config *config)
{
	return *config->machine.debugcon;
}

static int init(struct device *device, struct device_board *board, const void *ask, struct err *err)
{
	struct device_debugcon *debugcon = (struct device_debugcon *)device;
	const struct device_range range = {.name = "debug console",
	        .space = DEVICE_PIO,
	        .base = DEBUGCON_PORT,
	        .size = 1,
	        .read = on_read,
	        .write = on_write,
	        .dev = debugcon};

	debugcon->events = board->events;
	debugcon->out = (struct ring){.data = debugcon->out_data, .size = OUTPUT_BYTES};
	return device_bus_claim(board->bus, &range, err);
}

const struct device_kind device_debugcon_kind = {
        .name = "debug console", .size = sizeof(struct device_debugcon), .wanted = wanted, .init = init};

struct device_debugcon *device_debugcon_of(const struct device_board *board)
{
	return (struct device_debugcon *)device_board_find(board, &device_debugcon_kind);
}
