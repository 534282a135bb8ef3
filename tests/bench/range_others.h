/* SPDX-License-Identifier: Apache-2.0 */
/*
 * range_others: what could hold a guest's shared pages, behind one table: vmm's map, and what it is compared
 * with (range_map.c).
 */
#ifndef VMM_RANGE_OTHERS_H
#define VMM_RANGE_OTHERS_H

#include "vmm/page/range_map.h"

struct kind {
	const char *name;
	void *(*create)(uint64_t pages);
	void (*destroy)(void *map);
	void (*set)(void *map, uint64_t first, uint64_t end, bool shared);
	bool (*is_shared)(void *map, uint64_t frame);
	uint64_t (*walk)(void *map); /* over all ranges; the sum of their pages */
	void (*snapshot)(void *map);
	uint64_t (*bytes)(void *map); /* NULL: all that it took from malloc() */
	bool is_linear; /* a change takes time for each range: it is filled from the end, and measured less
	                   often */
};

/* The map, then those that it is measured against; the last is beside the contest. */
#define KINDS 5u
extern const struct kind kinds[KINDS];

/* As many as one row needs. */
#define RANGES_MAX 80000u

#endif
