/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_draw: draws guest memory in characters. A cell is a piece of memory, and its character says how much of
 * it is shared; all cells of a picture have the same size.
 */
#include "map.h"

#define ADDRESS_COLUMNS 16
#define CELLS_MIN       16u
#define CELLS_MAX       128u
#define ROWS            24u /* of cells, about */

static void put_address(FILE *out, uint64_t address)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)address);
	fprintf(out, "%*s ", ADDRESS_COLUMNS - 1, text);
}

/* A cell with one shared page must not look private. */
static char mark_of(uint64_t shared, uint64_t all)
{
	if (shared == 0)
		return '.';
	if (shared == all)
		return '#';
	return shared * 2 < all ? '-' : '+';
}

/* A power of two, so that rows begin at round addresses. */
static uint64_t cell_bytes(const struct cli_map *map, unsigned cells)
{
	uint64_t all = 0, cell = PAGE_SIZE_BYTES;

	for (unsigned i = 0; i < map->region_count; i++)
		all += map->regions[i].at.end - map->regions[i].at.start;
	while (cell < UINT64_C(1) << 60 && all / cell > (uint64_t)cells * ROWS)
		cell *= 2;
	return cell;
}

static void draw_region(FILE *out, const struct cli_map *map, const struct cli_map_region *region,
        unsigned cells, uint64_t cell)
{
	char size[TEXT_AMOUNT_BYTES];

	fputs("\n", out);
	text_put_safe(out, region->kind);
	fprintf(out, ", %s", text_bytes(region->at.end - region->at.start, size));
	fprintf(out, ", %s shared\n", text_bytes(cli_map_shared(map, region->at), size));
	for (uint64_t at = region->at.start; at < region->at.end;) {
		put_address(out, at);
		for (unsigned i = 0; i < cells && at < region->at.end; i++) {
			uint64_t end = region->at.end - at < cell ? region->at.end : at + cell;

			fputc(mark_of(cli_map_shared(map, (struct cli_map_range){at, end}), end - at), out);
			at = end;
		}
		fputc('\n', out);
	}
}

void cli_map_draw(FILE *out, const struct cli_map *map, unsigned columns)
{
	unsigned cells = CELLS_MIN;
	char size[TEXT_AMOUNT_BYTES];
	uint64_t cell;

	while (cells < CELLS_MAX && cells * 2 + ADDRESS_COLUMNS <= columns)
		cells *= 2;
	cell = cell_bytes(map, cells);
	fprintf(out, "a character is %s: . private, - and + shared in part, # shared\n",
	        text_bytes(cell, size));
	for (unsigned i = 0; i < map->region_count; i++)
		draw_region(out, map, &map->regions[i], cells, cell);
}
