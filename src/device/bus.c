/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus: finds the device behind a port or an MMIO address. Any thread. Ranges are claimed before the guest
 * first runs and are only read from then on, so a look-up takes no lock. The base of a range that the guest
 * can move is one atomic word.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "vmm/device/bus.h"

#define FIXED_MAX 64
#define OFF       UINT64_MAX /* the base of a movable range that is switched off */

struct device_claim {
	struct device_range range;
	_Atomic uint64_t base;
	struct device_claim *next;
};

struct space {
	struct device_range fixed[FIXED_MAX]; /* ascending, disjoint */
	unsigned count;
	struct device_claim *movable;
};

struct device_bus {
	struct space spaces[2];
	bool frozen;
};

/* Where a byte of an access goes. */
struct target {
	const struct device_range *range; /* NULL: nowhere */
	uint64_t offset;
};

/* The last byte of the 64-bit space cannot be claimed, so that base + size never overflows. */
static uint64_t space_limit(enum device_space space)
{
	return space == DEVICE_PIO ? 0x10000 : UINT64_MAX;
}

int device_bus_create(struct device_bus **ret_bus, struct err *err)
{
	struct device_bus *bus = calloc(1, sizeof(*bus));

	if (!bus)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for the bus");
	*ret_bus = bus;
	return 0;
}

void device_bus_destroy(struct device_bus *bus)
{
	if (!bus)
		return;
	for (unsigned i = 0; i < ARRAY_LEN(bus->spaces); i++) {
		struct device_claim *next;

		for (struct device_claim *claim = bus->spaces[i].movable; claim; claim = next) {
			next = claim->next;
			free(claim);
		}
	}
	free(bus);
}

/* ---- claims ---- */

int device_bus_claim(struct device_bus *bus, const struct device_range *range, struct err *err)
{
	struct space *space = &bus->spaces[range->space];
	unsigned at = 0;

	if (bus->frozen)
		return err_set(err, ERR_FAILED, "%s: claimed after the bus was frozen", range->name);
	if (!range->size || !range_fits(range->base, range->size, space_limit(range->space)))
		return err_set(err, ERR_FAILED, "%s: there is no range of %#llx bytes at %#llx", range->name,
		        (unsigned long long)range->size, (unsigned long long)range->base);
	if (space->count == FIXED_MAX)
		return err_set(err, ERR_FAILED, "%s: the bus has %d ranges already", range->name, FIXED_MAX);
	while (at < space->count && space->fixed[at].base + space->fixed[at].size <= range->base)
		at++;
	if (at < space->count && space->fixed[at].base < range->base + range->size)
		return err_set(err, ERR_FAILED, "%s at %#llx overlaps %s", range->name,
		        (unsigned long long)range->base, space->fixed[at].name);
	memmove(&space->fixed[at + 1], &space->fixed[at], (space->count - at) * sizeof(space->fixed[0]));
	space->fixed[at] = *range;
	space->count++;
	return 0;
}

int device_bus_claim_movable(struct device_bus *bus, const struct device_range *range,
        struct device_claim **ret_claim, struct err *err)
{
	struct space *space = &bus->spaces[range->space];
	struct device_claim *claim;

	if (bus->frozen)
		return err_set(err, ERR_FAILED, "%s: claimed after the bus was frozen", range->name);
	claim = calloc(1, sizeof(*claim));
	if (!claim)
		return err_sys(err, ERR_FAILED, ENOMEM, "%s: no memory for a range", range->name);
	claim->range = *range;
	atomic_init(&claim->base, OFF);
	claim->next = space->movable;
	space->movable = claim;
	*ret_claim = claim;
	return 0;
}

void device_claim_move(struct device_claim *claim, bool enabled, uint64_t base)
{
	const struct device_range *range = &claim->range;

	if (!range_fits(base, range->size, space_limit(range->space)))
		enabled = false;
	atomic_store(&claim->base, enabled ? base : OFF);
}

void device_bus_freeze(struct device_bus *bus)
{
	bus->frozen = true;
}

/* ---- look-up ---- */

static struct target find_fixed(const struct space *space, uint64_t address)
{
	unsigned low = 0, high = space->count;

	while (low < high) {
		unsigned middle = (low + high) / 2;
		const struct device_range *range = &space->fixed[middle];

		if (address < range->base)
			high = middle;
		else if (address - range->base < range->size)
			return (struct target){range, address - range->base};
		else
			low = middle + 1;
	}
	return (struct target){0};
}

static struct target find(const struct space *space, uint64_t address)
{
	struct target target = find_fixed(space, address);

	for (struct device_claim *claim = space->movable; claim && !target.range; claim = claim->next) {
		uint64_t base = atomic_load(&claim->base);

		if (base != OFF && address >= base && address - base < claim->range.size)
			target = (struct target){&claim->range, address - base};
	}
	return target;
}

/* Does the whole access belong to the range of its first byte, and does that range take the access's size? */
static bool is_whole(const struct space *space, struct target first, uint64_t address, unsigned size)
{
	const struct device_range *range = first.range;
	unsigned widest = range->space == DEVICE_PIO ? 4 : 8;

	if (range->widest && range->widest < widest)
		widest = range->widest;
	if (size > widest || !is_aligned(size, size) || !range_fits(first.offset, size, range->size))
		return false;
	for (unsigned i = 1; i < size; i++)
		if (find(space, address + i).range != range)
			return false;
	return true;
}

/* The low `size` bytes, all of them for sizes of 8 and more. */
static uint64_t ones(unsigned size)
{
	return size < 8 ? (1ULL << (8 * size)) - 1 : UINT64_MAX;
}

static uint64_t read_byte(const struct space *space, uint64_t address, unsigned i)
{
	struct target target = {0};
	uint64_t at;

	if (add_ok(address, i, &at))
		target = find(space, at);
	return target.range ? target.range->read(target.range->dev, target.offset, 1) & 0xff : 0xff;
}

uint64_t device_bus_read(struct device_bus *bus, enum device_space space, uint64_t address, unsigned size)
{
	const struct space *in = &bus->spaces[space];
	struct target target = find(in, address);
	uint64_t value = 0;

	if (target.range && is_whole(in, target, address, size))
		return target.range->read(target.range->dev, target.offset, size) & ones(size);
	for (unsigned i = 0; i < size && i < 8; i++)
		value |= read_byte(in, address, i) << (8 * i);
	return value;
}

static enum device_verdict write_byte(const struct space *space, uint64_t address, unsigned i, uint64_t value)
{
	struct target target = {0};
	uint64_t at;

	if (add_ok(address, i, &at))
		target = find(space, at);
	if (!target.range)
		return DEVICE_RESUME;
	return target.range->write(target.range->dev, target.offset, 1, (value >> (8 * i)) & 0xff);
}

enum device_verdict device_bus_write(
        struct device_bus *bus, enum device_space space, uint64_t address, unsigned size, uint64_t value)
{
	const struct space *in = &bus->spaces[space];
	struct target target = find(in, address);
	enum device_verdict verdict = DEVICE_RESUME;

	if (target.range && is_whole(in, target, address, size))
		return target.range->write(target.range->dev, target.offset, size, value & ones(size));
	for (unsigned i = 0; i < size && i < 8 && verdict == DEVICE_RESUME; i++)
		verdict = write_byte(in, address, i, value);
	return verdict;
}
