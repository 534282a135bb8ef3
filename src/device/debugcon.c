/*
 * debugcon: the debug console of firmware, port 0x402: a byte written is a byte printed. Any vCPU thread and
 * the loop; one lock. QEMU, "-device isa-debugcon"; edk2 OvmfPkg PcdDebugIoPort.
 */
#include <errno.h>
#include <pthread.h>

#include "ring.h"
#include "vmm/device.h"

#define DEBUGCON_PORT 0x402
#define DEBUGCON_HERE 0xe9
#define OUTPUT_BYTES  65536

struct device_debugcon {
	pthread_mutex_t lock;
	struct device_notify output;
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

	pthread_mutex_lock(&debugcon->lock);
	idle = !debugcon->out.count;
	taken = ring_put(&debugcon->out, &byte, 1);
	pthread_mutex_unlock(&debugcon->lock);
	if (!taken)
		log_guest(LOG_WARN, "debug console: the guest writes faster than it is read; bytes are lost");
	if (idle && taken && debugcon->output.call)
		debugcon->output.call(debugcon->output.ctx);
	return DEVICE_RESUME;
}

size_t device_debugcon_output(struct device_debugcon *debugcon, void *data, size_t max)
{
	size_t n;

	pthread_mutex_lock(&debugcon->lock);
	n = ring_take(&debugcon->out, data, max);
	pthread_mutex_unlock(&debugcon->lock);
	return n;
}

int device_debugcon_create(struct device_bus *bus, struct device_notify output,
        struct device_debugcon **ret_debugcon, struct err *err)
{
	auto_free struct device_debugcon *debugcon = calloc(1, sizeof(*debugcon));
	struct device_range range = {.name = "debug console",
	        .space = DEVICE_PIO,
	        .base = DEBUGCON_PORT,
	        .size = 1,
	        .read = on_read,
	        .write = on_write,
	        .dev = debugcon};

	if (!debugcon)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for the debug console");
	pthread_mutex_init(&debugcon->lock, NULL);
	debugcon->output = output;
	debugcon->out = (struct ring){.data = debugcon->out_data, .size = OUTPUT_BYTES};
	if (device_bus_claim(bus, &range, err) < 0)
		return -1;
	*ret_debugcon = take_ptr(&debugcon);
	return 0;
}

void device_debugcon_destroy(struct device_debugcon *debugcon)
{
	if (!debugcon)
		return;
	pthread_mutex_destroy(&debugcon->lock);
	free(debugcon);
}
