/* SPDX-License-Identifier: Apache-2.0 */
/*
 * count: counters that one thread writes and any thread reads, without a lock and without a locked
 * instruction.
 */
#ifndef VIRTIO_COUNT_H
#define VIRTIO_COUNT_H

#include <stdatomic.h>
#include <stdint.h>

static inline uint64_t count_of(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

/* On the one thread that writes it. */
static inline void count_add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, count_of(counter) + n, memory_order_relaxed);
}

#endif
