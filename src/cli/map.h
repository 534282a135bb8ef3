/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map: what the parts of `vmm map` share: the guest's memory and what of it is shared, as the control socket
 * told it.
 */
#ifndef VMM_CLI_MAP_H
#define VMM_CLI_MAP_H

#include <stdio.h>

#include "vmm/base.h"

/* Bytes [start, end) of guest addresses. */
struct cli_map_range {
	uint64_t start, end;
	uint64_t flips;      /* how often it was converted, at least */
	uint64_t changed_ns; /* when that was last, since the guest's start; CLI_MAP_UNKNOWN */
};
#define CLI_MAP_UNKNOWN UINT64_MAX

struct cli_map_region {
	struct cli_map_range at;
	char kind[16];
};

#define CLI_MAP_REGIONS_MAX  16
#define CLI_MAP_FLIPPERS_MAX 64

/* Ordered and disjoint, whatever the server said. */
struct cli_map {
	struct cli_map_region regions[CLI_MAP_REGIONS_MAX];
	unsigned region_count;
	struct cli_map_range *ranges; /* shared */
	size_t range_count;
	struct cli_map_range *devices; /* shared where there is no memory */
	size_t device_count;
	bool devices_complete;
	struct cli_map_range flippers[CLI_MAP_FLIPPERS_MAX]; /* converted most often, in any order */
	size_t flipper_count;
	uint64_t twice_bytes; /* private, and take memory twice; 0: none that is known */
	bool torn;            /* the guest changed ranges while they were read */
	bool complete;
	struct cli_map_range doubt; /* if not complete */
};

/* How many bytes of a range are shared. */
uint64_t cli_map_shared(const struct cli_map *map, struct cli_map_range range);

/* Draw the map: for a terminal of so many columns, and as a page that a browser shows. */
void cli_map_draw(FILE *out, const struct cli_map *map, unsigned columns); /* map_draw.c */
void cli_map_draw_svg(FILE *out, const struct cli_map *map);               /* map_svg.c */
/* Writes tables: of the ranges, the largest or all of them, and of those that were converted most often. */
void cli_map_list(FILE *out, const struct cli_map *map, bool all); /* map_list.c */

#endif
