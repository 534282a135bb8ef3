/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest: helpers that the device tests share: port accesses by their usual names, a clock and interrupt lines
 * that a test can look at, and guests that try everything.
 */
#ifndef TEST_DEVICE_GUEST_H
#define TEST_DEVICE_GUEST_H

#include <pthread.h>
#include <stdatomic.h>

#include "support/test.h"
#include "vmm/device.h"

#define SECOND_NS 1000000000ull

static inline uint8_t inb(struct device_bus *bus, uint64_t port)
{
	return (uint8_t)device_bus_read(bus, DEVICE_PIO, port, 1);
}

static inline uint16_t inw(struct device_bus *bus, uint64_t port)
{
	return (uint16_t)device_bus_read(bus, DEVICE_PIO, port, 2);
}

static inline uint32_t inl(struct device_bus *bus, uint64_t port)
{
	return (uint32_t)device_bus_read(bus, DEVICE_PIO, port, 4);
}

static inline enum device_verdict outb(struct device_bus *bus, uint64_t port, uint8_t value)
{
	return device_bus_write(bus, DEVICE_PIO, port, 1, value);
}

static inline enum device_verdict outw(struct device_bus *bus, uint64_t port, uint16_t value)
{
	return device_bus_write(bus, DEVICE_PIO, port, 2, value);
}

static inline enum device_verdict outl(struct device_bus *bus, uint64_t port, uint32_t value)
{
	return device_bus_write(bus, DEVICE_PIO, port, 4, value);
}

/* ---- a clock that the test moves ---- */

struct fake_clock {
	_Atomic uint64_t ns;
	_Atomic int64_t wall_at_zero_s;
};

static inline uint64_t fake_now_ns(void *ctx)
{
	return atomic_load(&((struct fake_clock *)ctx)->ns);
}

/* Absurd times wrap around. */
static inline int64_t fake_wall_ns(void *ctx)
{
	struct fake_clock *fake = ctx;

	return (int64_t)((uint64_t)atomic_load(&fake->wall_at_zero_s) * SECOND_NS + atomic_load(&fake->ns));
}

static inline struct device_clock fake_clock(struct fake_clock *fake)
{
	return (struct device_clock){.now_ns = fake_now_ns, .wall_ns = fake_wall_ns, .ctx = fake};
}

/* ---- interrupt lines as an edge-triggered controller sees them ---- */

struct fake_irq {
	_Atomic bool level[24];
	_Atomic unsigned rises[24];
};

static inline void fake_set(void *ctx, unsigned gsi, bool level)
{
	struct fake_irq *fake = ctx;

	if (level && !atomic_load(&fake->level[gsi]))
		atomic_fetch_add(&fake->rises[gsi], 1);
	atomic_store(&fake->level[gsi], level);
}

static inline struct device_irq fake_irq(struct fake_irq *fake)
{
	return (struct device_irq){.set = fake_set, .ctx = fake};
}

static inline void reset_device(struct device_board *board, const struct device_kind *kind)
{
	kind->reset(device_board_find(board, kind));
}

/* ---- a guest that tries everything ---- */

static inline uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

struct hammer {
	struct device_bus *bus;
	uint64_t first, ports; /* accesses begin in [first, first + ports) */
	unsigned accesses;
	uint64_t seed;
};

static inline void *hammer(void *ctx)
{
	struct hammer *h = ctx;
	uint64_t random = h->seed;

	for (unsigned i = 0; i < h->accesses; i++) {
		uint64_t port = h->first + next_random(&random) % h->ports;
		unsigned size = 1 + next_random(&random) % 8;
		uint64_t value;

		if (next_random(&random) & 1) {
			device_bus_write(h->bus, DEVICE_PIO, port, size, next_random(&random));
			continue;
		}
		value = device_bus_read(h->bus, DEVICE_PIO, port, size);
		if (size < 8)
			assert_int_equal(value >> (8 * size), 0);
	}
	return NULL;
}

/* Accesses of every size with random values; takes at most ten seconds of this thread, sanitizers included.
 */
static inline void assert_survives(struct device_bus *bus, uint64_t first, uint64_t ports, unsigned accesses)
{
	struct hammer h = {bus, first, ports, accesses, 0x9e3779b97f4a7c15};
	struct timespec start, end;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
	hammer(&h);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	assert_in_range(end.tv_sec - start.tv_sec, 0, 10);
}

struct hammer_thread {
	struct hammer hammer;
	_Atomic bool *loop_side_done;
	pthread_t thread;
};

/*
 * Runs at least once from beginning to end after the loop side has done its part, however the threads are
 * scheduled.
 */
static inline void *hammer_until_done(void *ctx)
{
	struct hammer_thread *t = ctx;
	bool last;

	do {
		last = atomic_load(t->loop_side_done);
		hammer(&t->hammer);
	} while (!last);
	return NULL;
}

/* Runs two vCPUs at once while the caller's loop side runs, for the thread sanitizer. */
static inline void hammer_from_two_threads(struct device_bus *bus, uint64_t first, uint64_t ports,
        void (*loop_side)(void *ctx, unsigned round), void *ctx)
{
	_Atomic bool done = false;
	struct hammer_thread threads[2];

	for (unsigned i = 0; i < 2; i++) {
		threads[i] = (struct hammer_thread){{bus, first, ports, 5000, i + 1}, &done};
		assert_int_equal(pthread_create(&threads[i].thread, NULL, hammer_until_done, &threads[i]), 0);
	}
	for (unsigned round = 0; loop_side && round < 2000; round++)
		loop_side(ctx, round);
	atomic_store(&done, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i].thread, NULL);
}

#endif
