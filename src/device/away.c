/* SPDX-License-Identifier: Apache-2.0 */
/*
 * away: the time of a device, for a guest that goes on elsewhere. Any thread; the lock of the device guards
 * the offset.
 */
#include "away.h"

#define SECOND_NS    1000000000
#define SAVED_NS_MAX (UINT64_MAX >> 1)

uint64_t device_time_now(const struct device_time *time)
{
	return time->clock.now_ns(time->clock.ctx) + time->offset_ns;
}

int64_t device_time_wall_s(const struct device_time *time)
{
	int64_t wall_ns = time->clock.wall_ns(time->clock.ctx);

	return wall_ns / SECOND_NS - (wall_ns % SECOND_NS < 0);
}

/* A wall clock before 1970 counts as one at its beginning. */
static uint64_t wall_ns(const struct device_time *time)
{
	int64_t now = time->clock.wall_ns(time->clock.ctx);

	return now > 0 ? (uint64_t)now : 0;
}

uint64_t device_time_visit(struct device_time *time, struct vmstate *s)
{
	uint64_t saved = device_time_now(time) & SAVED_NS_MAX, wall = wall_ns(time), here = wall;

	vmstate_u64(s, "its time", &saved, SAVED_NS_MAX);
	vmstate_u64(s, "the wall clock", &wall, INT64_MAX);
	if (s->loads && !s->bad)
		time->offset_ns = saved + clock_away_ns(wall, here) - time->clock.now_ns(time->clock.ctx);
	return saved;
}
