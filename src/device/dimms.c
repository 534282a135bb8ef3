/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dimms: slots for RAM that is added while the guest runs, behind the registers that QEMU documents. Runs on
 * any vCPU thread and on the main thread. Law: QEMU, docs/specs/acpi_mem_hotplug.rst.
 */
#include <string.h>

#include "vmm/device/dimms.h"
#include "vmm/device/power.h"

/* What a guest reads of the slot that it has selected ... */
enum { BASE = 0, SIZE = 8, PROXIMITY = 16, FLAGS = 20 };
#define FLAG_ENABLED  1u
#define FLAG_INSERTED 2u /* not yet told to the guest's system; it writes the bit to clear it */
/* ... and what it writes. */
enum { SELECT = 0, OST_SOURCE = 4, OST_STATUS = 8, CONTROL = FLAGS };

struct device_dimms {
	struct device device;
	struct device_power *power;
	const struct device_events *events; /* of the board */
	bool announced;

	struct device_dimm list[PAGE_PLUGS_MAX];
	bool inserted[PAGE_PLUGS_MAX];
	unsigned count;
	uint32_t selected;
	uint32_t source; /* of the _OST whose status comes next */
};

/* A slot that does not exist reads as ones, one that is empty as zeros. */
static void fill_block(const struct device_dimms *dimms, uint8_t block[static DEVICE_DIMMS_PORTS])
{
	const struct device_dimm *dimm;

	memset(block, dimms->selected < PAGE_PLUGS_MAX ? 0 : 0xff, DEVICE_DIMMS_PORTS);
	if (dimms->selected >= dimms->count)
		return;
	dimm = &dimms->list[dimms->selected];
	store_le(block + BASE, 8, dimm->gpa.raw);
	store_le(block + SIZE, 8, dimm->size_bytes);
	store_le(block + PROXIMITY, 4, 0);
	store_le(block + FLAGS, 1, FLAG_ENABLED | (dimms->inserted[dimms->selected] ? FLAG_INSERTED : 0));
}

static uint64_t dimms_read(void *dev, uint64_t offset, unsigned size)
{
	struct device_dimms *dimms = dev;
	uint8_t block[DEVICE_DIMMS_PORTS];

	pthread_mutex_lock(&dimms->device.lock);
	fill_block(dimms, block);
	pthread_mutex_unlock(&dimms->device.lock);
	return load_le(block + offset, size);
}

/* Returns whether the guest's system has answered. */
static bool write_slot(struct device_dimms *dimms, uint64_t offset, uint32_t value)
{
	struct device_dimm *dimm = &dimms->list[dimms->selected];

	switch (offset) {
	case OST_SOURCE: dimms->source = value; break;
	case OST_STATUS:
		dimm->answered = true;
		dimm->source = dimms->source;
		dimm->status = value;
		dimm->answers++;
		return true;
	case CONTROL:
		if (value & FLAG_INSERTED)
			dimms->inserted[dimms->selected] = false;
		break;
	default: break;
	}
	return false;
}

/* Registers are written whole: the flags as a byte, the others as four. */
static enum device_verdict dimms_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct device_dimms *dimms = dev;
	bool answered = false;

	if (size != (offset == CONTROL ? 1 : 4))
		return DEVICE_RESUME;
	pthread_mutex_lock(&dimms->device.lock);
	if (offset == SELECT)
		dimms->selected = (uint32_t)value;
	else if (dimms->selected < dimms->count)
		answered = write_slot(dimms, offset, (uint32_t)value);
	pthread_mutex_unlock(&dimms->device.lock);
	if (answered && dimms->events->on_dimm_answer)
		dimms->events->on_dimm_answer(dimms->events->ctx);
	return DEVICE_RESUME;
}

/* The DIMMs stay. A system that starts finds them by itself, so none of them is new. */
static void reset(struct device *device)
{
	struct device_dimms *dimms = (struct device_dimms *)device;

	pthread_mutex_lock(&dimms->device.lock);
	dimms->selected = dimms->source = 0;
	for (unsigned i = 0; i < dimms->count; i++) {
		dimms->inserted[i] = false;
		dimms->list[i].answered = false;
		dimms->list[i].source = dimms->list[i].status = 0;
	}
	pthread_mutex_unlock(&dimms->device.lock);
}

/* What is known of a DIMM beside its place. */
static void visit_slot(struct device_dimms *dimms, unsigned slot, struct vmstate *s)
{
	struct device_dimm *dimm = &dimms->list[slot];

	vmstate_same(s, "the address of a DIMM", dimm->gpa.raw);
	vmstate_same(s, "the size of a DIMM", dimm->size_bytes);
	vmstate_bool(s, "inserted", &dimms->inserted[slot]);
	vmstate_bool(s, "answered", &dimm->answered);
	vmstate_u32(s, "source", &dimm->source, UINT32_MAX);
	vmstate_u32(s, "status", &dimm->status, UINT32_MAX);
	vmstate_u64(s, "answers", &dimm->answers, UINT64_MAX);
}

static void visit(struct device *device, struct vmstate *s)
{
	struct device_dimms *dimms = (struct device_dimms *)device;

	pthread_mutex_lock(&dimms->device.lock);
	vmstate_same(s, "the number of DIMMs", dimms->count);
	for (unsigned i = 0; i < dimms->count; i++)
		visit_slot(dimms, i, s);
	vmstate_u32(s, "the selected slot", &dimms->selected, UINT32_MAX);
	vmstate_u32(s, "source", &dimms->source, UINT32_MAX);
	pthread_mutex_unlock(&dimms->device.lock);
}

static int init(struct device *device, struct device_board *board, const void *ask, struct err *err)
{
	struct device_dimms *dimms = (struct device_dimms *)device;
	const struct device_range ports = {"memory slots", DEVICE_PIO, DEVICE_DIMMS_PORT, DEVICE_DIMMS_PORTS,
	        dimms_read, dimms_write, dimms, 4};

	dimms->power = device_power_of(board);
	if (!dimms->power)
		return err_set(err, ERR_FAILED, "memory slots need power management, which the board lacks");
	dimms->events = &board->events;
	dimms->announced = ((const struct device_dimms_ask *)ask)->announced;
	return device_bus_claim(board->bus, &ports, err);
}

const struct device_kind device_dimms_kind = {
        .name = "memory slots",
        .size = sizeof(struct device_dimms),
        .init = init,
        .reset = reset,
        .visit = visit,
};

struct device_dimms *device_dimms_of(const struct device_board *board)
{
	return (struct device_dimms *)device_board_find(board, &device_dimms_kind);
}

bool device_dimms_are_announced(const struct device_board *board)
{
	const struct device_dimms *dimms = device_dimms_of(board);

	return dimms && dimms->announced;
}

void device_dimms_add(struct device_dimms *dimms, struct gpa gpa, uint64_t size_bytes)
{
	pthread_mutex_lock(&dimms->device.lock);
	dimms->inserted[dimms->count] = true;
	dimms->list[dimms->count++] = (struct device_dimm){.gpa = gpa, .size_bytes = size_bytes};
	pthread_mutex_unlock(&dimms->device.lock);
	if (dimms->announced)
		device_power_gpe(dimms->power, DEVICE_DIMMS_GPE);
}

unsigned device_dimms_list(struct device_dimms *dimms, struct device_dimm ret_list[static PAGE_PLUGS_MAX])
{
	unsigned count;

	if (!dimms)
		return 0;
	pthread_mutex_lock(&dimms->device.lock);
	count = dimms->count;
	memcpy(ret_list, dimms->list, count * sizeof(*ret_list));
	pthread_mutex_unlock(&dimms->device.lock);
	return count;
}
