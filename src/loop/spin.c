/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spin: looks for work for a moment before the thread sleeps. What is found so early costs neither the
 * driver's exit for its doorbell nor the change of threads that would wake this one. On the loop's thread.
 *
 * The moment adapts. If work came shortly after the thread had fallen asleep, it looks twice as long the next
 * time. If no work came for longer than LOOP_LOOK_MAX_NS, it does not look at all, so that a device with
 * little to do costs nothing.
 */
#include "backend.h"

#define FIRST_NS 4000

void loop_look(struct loop *loop, bool (*look)(void *ctx, bool last), void *ctx)
{
	loop->look = look;
	loop->look_ctx = ctx;
}

/* Is there something to do for a turn? */
static bool is_busy(const struct loop *loop)
{
	return loop->posted || loop->stopping || (loop->backend->is_ready && loop->backend->is_ready(loop));
}

/* Returns false if there was nothing to do; whoever brings work was asked to ring. */
static bool search(struct loop *loop)
{
	uint64_t start = clock_ns(CLOCK_MONOTONIC), now = start;

	for (; now - start < loop->spin_ns; now = clock_ns(CLOCK_MONOTONIC)) {
		if (loop->look(loop->look_ctx, false) || is_busy(loop))
			return true;
		__builtin_ia32_pause();
	}
	loop->asleep_ns = now;
	return loop->look(loop->look_ctx, true);
}

void loop_spin(struct loop *loop)
{
	/* Requests that wait go to the kernel first, so that it works on them meanwhile. */
	loop->awake = loop->look && (is_busy(loop) || (loop->first_io && loop->spin_ns) || search(loop));
}

void loop_spin_adapt(struct loop *loop)
{
	uint64_t slept;

	if (!loop->look || loop->awake)
		return;
	slept = clock_ns(CLOCK_MONOTONIC) - loop->asleep_ns;
	if (slept > LOOP_LOOK_MAX_NS)
		loop->spin_ns = 0;
	else if (slept > loop->spin_ns)
		loop->spin_ns = loop->spin_ns ? loop->spin_ns * 2 : FIRST_NS;
	if (loop->spin_ns > LOOP_LOOK_MAX_NS)
		loop->spin_ns = LOOP_LOOK_MAX_NS;
}
