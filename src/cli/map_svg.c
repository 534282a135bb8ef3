/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_svg: draws guest memory as an SVG image, light or dark as the reader's system is. A band is a region, a
 * bar in it is a shared range, and pointing at one tells its address and size. Law: SVG 1.1, CSS Media
 * Queries 5 (prefers-color-scheme).
 */
#include "map.h"

#define WIDTH       1000.0
#define BAND_HEIGHT 48u
#define ROW_HEIGHT  84u
#define MARGIN      16u
#define BAR_MIN     0.6 /* a page of a large guest is seen, too */

static void put_header(FILE *out, unsigned height)
{
	fprintf(out,
	        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %u\" "
	        "font-family=\"sans-serif\" "
	        "font-size=\"14\">\n"
	        "<style>\n"
	        "svg { background: #ffffff; } text { fill: #1f2328; }\n"
	        ".private { fill: #d0d7de; } .shared { fill: #cf222e; }\n"
	        "@media (prefers-color-scheme: dark) {\n"
	        "svg { background: #0d1117; } text { fill: #e6edf3; }\n"
	        ".private { fill: #30363d; } .shared { fill: #ff7b72; }\n"
	        "}\n"
	        "</style>\n",
	        WIDTH + 2 * MARGIN, height);
}

static void put_bar(FILE *out, const struct cli_map_region *region, struct cli_map_range range, unsigned y)
{
	double scale = WIDTH / (double)(region->at.end - region->at.start);
	double x = (double)(range.start - region->at.start) * scale;
	double width = (double)(range.end - range.start) * scale;
	char size[CLI_MAP_SIZE_BYTES];

	fprintf(out,
	        "<rect class=\"shared\" x=\"%.2f\" y=\"%u\" width=\"%.2f\" height=\"%u\"><title>0x%llx, %s "
	        "shared</title></rect>\n",
	        MARGIN + x, y, width < BAR_MIN ? BAR_MIN : width, BAND_HEIGHT,
	        (unsigned long long)range.start, cli_map_size(range.end - range.start, size));
}

static void put_region(FILE *out, const struct cli_map *map, const struct cli_map_region *region, unsigned y)
{
	char size[CLI_MAP_SIZE_BYTES], shared[CLI_MAP_SIZE_BYTES];

	fprintf(out, "<text x=\"%u\" y=\"%u\">%s at 0x%llx: %s, %s shared</text>\n", MARGIN, y, region->kind,
	        (unsigned long long)region->at.start, cli_map_size(region->at.end - region->at.start, size),
	        cli_map_size(cli_map_shared(map, region->at), shared));
	y += 8;
	fprintf(out, "<rect class=\"private\" x=\"%u\" y=\"%u\" width=\"%.0f\" height=\"%u\"/>\n", MARGIN, y,
	        WIDTH, BAND_HEIGHT);
	for (size_t i = 0; i < map->range_count; i++) {
		struct cli_map_range range = map->ranges[i];

		range.start = range.start > region->at.start ? range.start : region->at.start;
		range.end = range.end < region->at.end ? range.end : region->at.end;
		if (range.start < range.end)
			put_bar(out, region, range, y);
	}
}

void cli_map_draw_svg(FILE *out, const struct cli_map *map)
{
	unsigned y = 2 * MARGIN;

	put_header(out, y + map->region_count * ROW_HEIGHT + MARGIN);
	for (unsigned i = 0; i < map->region_count; i++, y += ROW_HEIGHT)
		put_region(out, map, &map->regions[i], y);
	fprintf(out, "<text x=\"%u\" y=\"%u\">%zu shared ranges%s%s</text>\n</svg>\n", MARGIN, y,
	        map->range_count, map->complete ? "" : "; not complete: sev.shared-ranges-max was reached",
	        map->torn ? "; the guest changed some meanwhile" : "");
}
