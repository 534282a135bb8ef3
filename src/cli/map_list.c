/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_list: the tables below the picture of guest memory: shared ranges with how often they were converted,
 * and what was converted most often, whether or not it is shared now. Main thread only.
 */
#include <stdlib.h>
#include <string.h>

#include "map.h"

#define ROWS 20u /* of ranges, if not all are asked for */

/* In which region an address is. NULL: in none. */
static const char *kind_of(const struct cli_map *map, uint64_t address)
{
	for (unsigned i = 0; i < map->region_count; i++) {
		const struct cli_map_region *region = &map->regions[i];

		if (address >= region->at.start && address < region->at.end)
			return region->kind;
	}
	return NULL;
}

static void put_row(FILE *out, const struct cli_map *map, const struct cli_map_range *range)
{
	char address[24], size[TEXT_AMOUNT_BYTES];

	snprintf(address, sizeof(address), "0x%llx", (unsigned long long)range->start);
	fprintf(out, "%15s %11s  %-8s", address, text_bytes(range->end - range->start, size),
	        kind_of(map, range->start) ?: "device");
	if (range->flips)
		fprintf(out, " %12llu", (unsigned long long)range->flips);
	else
		fprintf(out, " %12s", "-");
	if (range->changed_ns == CLI_MAP_UNKNOWN)
		fprintf(out, " %12s\n", "-");
	else
		fprintf(out, " %12.3f\n", (double)range->changed_ns / 1e9);
}

static void put_rows(FILE *out, const struct cli_map *map, const struct cli_map_range *ranges, size_t count)
{
	fprintf(out, "%15s %11s  %-8s %12s %12s\n", "address", "size", "kind", "conversions", "last at (s)");
	for (size_t i = 0; i < count; i++)
		put_row(out, map, &ranges[i]);
}

static int by_weight(const void *a, const void *b)
{
	const struct cli_map_range *x = a, *y = b;
	uint64_t left = x->end - x->start, right = y->end - y->start;

	if (x->flips != y->flips)
		return x->flips < y->flips ? 1 : -1;
	if (left != right)
		return left < right ? 1 : -1;
	return x->start < y->start ? -1 : x->start > y->start;
}

/* where: what comes behind "3 shared ranges". */
static void put_table(FILE *out, const struct cli_map *map, const struct cli_map_range *ranges, size_t count,
        const char *where, bool all)
{
	auto_free struct cli_map_range *sorted = calloc(count + 1, sizeof(*sorted));
	size_t shown = all || count < ROWS ? count : ROWS;

	fprintf(out, "\n%zu shared range%s%s", count, count == 1 ? "" : "s", where);
	if (!sorted || !shown) {
		fputc('\n', out);
		return;
	}
	if (shown < count)
		fprintf(out, ", the first %zu (--all shows all)", shown);
	fputs(":\n", out);
	memcpy(sorted, ranges, count * sizeof(*sorted));
	if (!all)
		qsort(sorted, count, sizeof(*sorted), by_weight);
	put_rows(out, map, sorted, shown);
}

void cli_map_list(FILE *out, const struct cli_map *map, bool all)
{
	char size[TEXT_AMOUNT_BYTES];

	put_table(out, map, map->ranges, map->range_count, "", all);
	if (map->device_count)
		put_table(out, map, map->devices, map->device_count, " where there is no memory", all);
	if (map->flipper_count) {
		fputs("\nconverted most often, to private or shared:\n", out);
		put_rows(out, map, map->flippers, map->flipper_count);
	}
	if (map->twice_bytes)
		fprintf(out, "\n%s of private memory take memory of the host twice\n",
		        text_bytes(map->twice_bytes, size));
	if (!map->devices_complete)
		fputs("\nthe guest shares more ranges without memory than are remembered\n", out);
	if (!map->complete)
		fprintf(out,
		        "\nnot complete: sev.shared-ranges-max was reached, and pages from 0x%llx to 0x%llx "
		        "may be others than shown\n",
		        (unsigned long long)map->doubt.start, (unsigned long long)map->doubt.end);
	if (map->torn)
		fputs("\nthe guest changed ranges meanwhile: they are not those of one moment\n", out);
}
