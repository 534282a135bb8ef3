/* SPDX-License-Identifier: Apache-2.0 */
/*
 * away: the time of a device, for a guest that goes on elsewhere. The board's clock there has begun with the
 * other machine. A device that keeps its time here reads one that goes on from what it was when it was saved,
 * by what the wall clocks of both hosts say has passed since then. It never goes back.
 */
#ifndef DEVICE_AWAY_H
#define DEVICE_AWAY_H

#include "vmm/device.h"

struct device_time {
	struct device_clock clock; /* the board's */
	uint64_t offset_ns;        /* to be added to its time, modulo 2^64; 0 until something is loaded */
};

/* Monotonic. Any thread. */
uint64_t device_time_now(const struct device_time *time);
/* The wall clock in whole seconds since 1970, UTC. Any thread. */
int64_t device_time_wall_s(const struct device_time *time);
/*
 * Visits the time, and returns what it was when it was saved. Of the time that passed, at most
 * CLOCK_AWAY_NS_MAX counts. The device's lock is held.
 */
uint64_t device_time_visit(struct device_time *time, struct vmstate *s);

#endif
