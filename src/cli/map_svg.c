/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_svg: draws guest memory as an SVG image, light or dark as the reader's system is. A band is a region of
 * memory or a hole between two, a bar in it is a shared range, and pointing at one tells its address and
 * size. Law: SVG 1.1, CSS Media Queries 5 (prefers-color-scheme).
 */
#include "map.h"

#define WIDTH       1000.0
#define BAND_HEIGHT 48u
#define ROW_HEIGHT  84u
#define MARGIN      16u
#define TITLE_GAP   8u
#define BAR_MIN     0.6 /* a page of a large guest is seen, too */

static void put_header(FILE *out, unsigned height)
{
	fprintf(out,
	        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %u\" "
	        "font-family=\"sans-serif\" "
	        "font-size=\"14\">\n"
	        "<style>\n"
	        "svg { background: #ffffff; } text { fill: #1f2328; }\n"
	        ".private { fill: #d0d7de; } .shared { fill: #cf222e; } .device { fill: #0969da; }\n"
	        ".hole { fill: none; stroke: #8c959f; stroke-dasharray: 6 4; }\n"
	        "@media (prefers-color-scheme: dark) {\n"
	        "svg { background: #0d1117; } text { fill: #e6edf3; }\n"
	        ".private { fill: #30363d; } .shared { fill: #ff7b72; } .device { fill: #79c0ff; }\n"
	        ".hole { stroke: #6e7681; }\n"
	        "}\n"
	        "</style>\n",
	        WIDTH + 2 * MARGIN, height);
}

/* A region, or a hole, which has no kind. */
struct band {
	const char *kind;
	struct cli_map_range at;
	const struct cli_map_range *ranges; /* those of the map that may lie in it */
	size_t count;
};

static void put_bar(FILE *out, const struct band *band, struct cli_map_range range, unsigned y)
{
	double scale = WIDTH / (double)(band->at.end - band->at.start);
	double x = (double)(range.start - band->at.start) * scale;
	double width = (double)(range.end - range.start) * scale;
	char size[TEXT_AMOUNT_BYTES];

	fprintf(out,
	        "<rect class=\"%s\" x=\"%.2f\" y=\"%u\" width=\"%.2f\" height=\"%u\"><title>0x%llx, %s "
	        "shared",
	        band->kind ? "shared" : "device", MARGIN + x, y, width < BAR_MIN ? BAR_MIN : width,
	        BAND_HEIGHT, (unsigned long long)range.start, text_bytes(range.end - range.start, size));
	if (range.flips)
		fprintf(out, ", converted %llu times", (unsigned long long)range.flips);
	fputs("</title></rect>\n", out);
}

static void put_title(FILE *out, const struct cli_map *map, const struct band *band, unsigned y)
{
	char size[TEXT_AMOUNT_BYTES], shared[TEXT_AMOUNT_BYTES];

	fprintf(out, "<text x=\"%u\" y=\"%u\">%s at 0x%llx: %s", MARGIN, y, band->kind ?: "no memory",
	        (unsigned long long)band->at.start, text_bytes(band->at.end - band->at.start, size));
	if (band->kind)
		fprintf(out, ", %s shared", text_bytes(cli_map_shared(map, band->at), shared));
	fputs("</text>\n", out);
}

static void put_band(FILE *out, const struct cli_map *map, const struct band *band, unsigned *y)
{
	put_title(out, map, band, *y);
	fprintf(out, "<rect class=\"%s\" x=\"%u\" y=\"%u\" width=\"%.0f\" height=\"%u\"/>\n",
	        band->kind ? "private" : "hole", MARGIN, *y + TITLE_GAP, WIDTH, BAND_HEIGHT);
	for (size_t i = 0; i < band->count; i++) {
		struct cli_map_range range = band->ranges[i];

		range.start = range.start > band->at.start ? range.start : band->at.start;
		range.end = range.end < band->at.end ? range.end : band->at.end;
		if (range.start < range.end)
			put_bar(out, band, range, *y + TITLE_GAP);
	}
	*y += ROW_HEIGHT;
}

static void put_hole(FILE *out, const struct cli_map *map, uint64_t start, uint64_t end, unsigned *y)
{
	if (start < end)
		put_band(out, map, &(struct band){NULL, {start, end}, map->devices, map->device_count}, y);
}

/* All bands in the order of their addresses. What lies behind the last one is drawn as far as it is shared.
 */
static void put_bands(FILE *out, const struct cli_map *map, unsigned *y)
{
	uint64_t at = 0;

	for (unsigned i = 0; i < map->region_count; i++) {
		const struct cli_map_region *region = &map->regions[i];

		put_hole(out, map, at, region->at.start, y);
		put_band(
		        out, map, &(struct band){region->kind, region->at, map->ranges, map->range_count}, y);
		at = region->at.end;
	}
	if (map->device_count)
		put_hole(out, map, at, map->devices[map->device_count - 1].end, y);
}

static unsigned count_bands(const struct cli_map *map)
{
	unsigned count = map->region_count;
	uint64_t at = 0;

	for (unsigned i = 0; i < map->region_count; i++) {
		count += map->regions[i].at.start > at;
		at = map->regions[i].at.end;
	}
	return count + (map->device_count && map->devices[map->device_count - 1].end > at);
}

void cli_map_draw_svg(FILE *out, const struct cli_map *map)
{
	unsigned y = 2 * MARGIN;

	put_header(out, y + count_bands(map) * ROW_HEIGHT + MARGIN);
	put_bands(out, map, &y);
	fprintf(out, "<text x=\"%u\" y=\"%u\">%zu shared ranges%s%s</text>\n</svg>\n", MARGIN, y,
	        map->range_count, map->complete ? "" : "; not complete: sev.shared-ranges-max was reached",
	        map->torn ? "; the guest changed some meanwhile" : "");
}
