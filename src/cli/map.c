/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map: `vmm map` shows which pages of a guest are shared with its host: drawn in the terminal, as an image,
 * or as JSON. It asks the guest's control socket. What the server sends is checked and bounded like a file.
 * Main thread only.
 */
#include <stdlib.h>
#include <string.h>

#include "vmm/json.h"

#include "ctl.h"
#include "map.h"
#include "terminal.h"
#include "verbs.h"

#define LIMIT_S     60
#define RANGES_MAX  1048576u /* sev.shared-ranges-max, at most */
#define TRIES       3        /* to read a map that does not change meanwhile */
#define INTERVAL_MS 1000

uint64_t cli_map_shared(const struct cli_map *map, struct cli_map_range range)
{
	size_t low = 0, high = map->range_count;
	uint64_t shared = 0;

	while (low < high) { /* the first one that ends behind the start */
		size_t middle = low + (high - low) / 2;

		if (map->ranges[middle].end <= range.start)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < map->range_count && map->ranges[low].start < range.end; low++) {
		const struct cli_map_range *at = &map->ranges[low];

		shared += (at->end < range.end ? at->end : range.end) -
		          (at->start > range.start ? at->start : range.start);
	}
	return shared;
}

/* ---- from the control socket ---- */

static void read_flips(const json_t *object, struct cli_map_range *range)
{
	json_int_t flips = json_integer_value(json_object_get(object, "flips"));
	const json_t *last = json_object_get(object, "last-ns");

	range->flips = flips > 0 ? (uint64_t)flips : 0;
	if (json_is_integer(last) && json_integer_value(last) >= 0)
		range->changed_ns = (uint64_t)json_integer_value(last);
}

static bool range_read(const json_t *object, uint64_t from, struct cli_map_range *ret_range)
{
	const char *gpa = json_string_value(json_object_get(object, "gpa")) ?: "";
	json_int_t size = json_integer_value(json_object_get(object, "size-bytes"));
	uint64_t start = strtoull(gpa, NULL, 16);

	if (strncmp(gpa, "0x", 2) != 0 || strlen(gpa) < 3 || strlen(gpa) > 18 ||
	        strspn(gpa + 2, "0123456789abcdef") != strlen(gpa + 2) || start < from || start > INT64_MAX ||
	        size <= 0 || (uint64_t)size > INT64_MAX - start)
		return false;
	*ret_range = (struct cli_map_range){start, start + (uint64_t)size, 0, CLI_MAP_UNKNOWN};
	read_flips(object, ret_range);
	return true;
}

static int nonsense(struct err *err)
{
	return err_set(err, ERR_FAILED, "the server's answer is no map of memory");
}

static int read_regions(struct cli_map *map, const json_t *list, struct err *err)
{
	uint64_t from = 0;
	json_t *row;
	size_t i;

	map->region_count = 0;
	json_array_foreach(list, i, row)
	{
		struct cli_map_region *region = &map->regions[i];
		const char *kind = json_string_value(json_object_get(row, "kind")) ?: "";

		if (i == CLI_MAP_REGIONS_MAX || !range_read(row, from, &region->at) ||
		        strspn(kind, "abcdefghijklmnopqrstuvwxyz") != strlen(kind) ||
		        strlen(kind) >= sizeof(region->kind))
			return nonsense(err);
		snprintf(region->kind, sizeof(region->kind), "%s", kind);
		from = region->at.end;
		map->region_count++;
	}
	return 0;
}

/* Adds the ranges of a list to those that are there, behind which they must lie. */
static int read_ranges(
        struct cli_map_range **ranges, size_t *range_count, const json_t *list, struct err *err)
{
	size_t count = json_array_size(list), i;
	struct cli_map_range *grown;
	json_t *row;

	if (count > RANGES_MAX - *range_count)
		return nonsense(err);
	grown = reallocarray(*ranges, *range_count + count + 1, sizeof(*grown));
	if (!grown)
		return err_set(err, ERR_FAILED, "no memory for %zu ranges", *range_count + count);
	*ranges = grown;
	json_array_foreach(list, i, row)
	{
		uint64_t from = *range_count ? grown[*range_count - 1].end : 0;

		if (!range_read(row, from, &grown[*range_count]))
			return nonsense(err);
		(*range_count)++;
	}
	return 0;
}

static void read_record(struct cli_map *map, const json_t *record)
{
	map->complete = !json_is_false(json_object_get(record, "complete")) ||
	                !range_read(json_object_get(record, "doubt"), 0, &map->doubt);
}

static int read_flippers(struct cli_map *map, const json_t *list, struct err *err)
{
	json_t *row;
	size_t i;

	map->flipper_count = 0;
	json_array_foreach(list, i, row)
	{
		if (i == CLI_MAP_FLIPPERS_MAX || !range_read(row, 0, &map->flippers[i]))
			return nonsense(err);
		map->flipper_count++;
	}
	return 0;
}

static uint64_t read_twice(const json_t *twice)
{
	json_int_t bytes = json_integer_value(json_object_get(twice, "size-bytes"));

	return bytes > 0 ? (uint64_t)bytes : 0;
}

/* Reads what is the same in all answers from the first one. */
static int read_first(struct cli_map *map, const json_t *answer, struct err *err)
{
	map->device_count = 0;
	map->devices_complete = !json_is_false(json_object_get(answer, "devices-complete"));
	map->twice_bytes = read_twice(json_object_get(answer, "held-twice"));
	read_record(map, json_object_get(answer, "record"));
	if (read_regions(map, json_object_get(answer, "regions"), err) < 0 ||
	        read_flippers(map, json_object_get(answer, "flippers"), err) < 0)
		return -1;
	return read_ranges(&map->devices, &map->device_count, json_object_get(answer, "devices"), err);
}

/* Reads the map, which may take several answers. *ret_all becomes one object with all of it. */
static int read_once(struct cli_ctl_link *link, struct cli_map *map, json_t **ret_all, struct err *err)
{
	json_int_t start = 0, first = 0;

	map->range_count = 0;
	map->torn = false;
	for (bool more = true; more;) {
		auto_json json_t *answer = cli_ctl_link_call(
		        link, "__vmm_query-map", json_pack("{s:I}", "start", start), -1, err);
		const json_t *next = json_object_get(answer, "next");
		json_int_t generation = json_integer_value(json_object_get(answer, "generation"));

		if (!answer || read_ranges(&map->ranges, &map->range_count, json_object_get(answer, "ranges"),
		                       err) < 0)
			return -1;
		more = json_is_integer(next);
		if (more && (json_integer_value(next) <= start ||
		                    !json_array_size(json_object_get(answer, "ranges"))))
			return nonsense(err);
		if (!start) {
			first = generation;
			if (read_first(map, answer, err) < 0)
				return -1;
			*ret_all = json_incref(answer);
		} else {
			json_array_extend(
			        json_object_get(*ret_all, "ranges"), json_object_get(answer, "ranges"));
		}
		map->torn |= generation != first;
		start = json_integer_value(next);
	}
	json_doc_set(ret_all, "next", json_null());
	return 0;
}

static int read_map(struct cli_ctl_link *link, struct cli_map *map, json_t **ret_all, struct err *err)
{
	for (unsigned i = 0; i < TRIES; i++) {
		json_decref(take_ptr(ret_all));
		if (read_once(link, map, ret_all, err) < 0)
			return -1;
		if (!map->torn)
			break;
	}
	return 0;
}

/* ---- what is shown ---- */

static int write_svg(const char *path, const struct cli_map *map, struct err *err)
{
	auto_free char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return err_set(err, ERR_FAILED, "no memory for an image");
	cli_map_draw_svg(out, map);
	if (fclose(out) != 0)
		return err_set(err, ERR_FAILED, "no memory for an image");
	return file_replace(path, text, size, err);
}

static int show(const struct cli_args *args, const struct cli_map *map, const json_t *all, struct err *err)
{
	const char *svg = cli_value(args, "svg");

	if (svg)
		return write_svg(svg, map, err);
	if (cli_given(args, "json"))
		return json_doc_print(all, err);
	if (cli_given(args, "watch") && isatty(STDOUT_FILENO))
		fputs("\033[H\033[2J", stdout); /* ECMA-48: CUP, ED */
	cli_map_draw(stdout, map, cli_terminal_columns(STDOUT_FILENO));
	cli_map_list(stdout, map, cli_given(args, "all"));
	fflush(stdout);
	return 0;
}

static int show_until_end(
        const struct cli_args *args, struct cli_ctl_link *link, struct cli_map *map, struct err *err)
{
	bool ended = false;

	while (!ended) {
		auto_json json_t *all = NULL;

		if (read_map(link, map, &all, err) < 0)
			return cli_ctl_link_ended(link) ? 0 : -1;
		if (show(args, map, all, err) < 0)
			return -1;
		if (!cli_given(args, "watch"))
			return 0;
		if (cli_ctl_link_events(link, INTERVAL_MS, &ended, err) < 0)
			return -1;
	}
	return 0;
}

static int run(const struct cli_args *args, struct err *err)
{
	struct cli_ctl_link *link;
	struct cli_map map = {0};
	int result;

	if (cli_given(args, "svg") && cli_given(args, "json"))
		return err_set(err, ERR_USAGE, "--svg and --json exclude each other");
	if (cli_given(args, "watch") && cli_given(args, "json"))
		return err_set(err, ERR_USAGE, "--watch and --json exclude each other");
	if (cli_ctl_link_open(cli_operand(args, 0), LIMIT_S, &link, err) < 0)
		return -1;
	result = show_until_end(args, link, &map, err);
	cli_ctl_link_close(link);
	free(map.ranges);
	free(map.devices);
	return result;
}

static const struct cli_option options[] = {
        {"svg", "FILE", "Write an SVG image, which browsers show, in place of the picture."},
        {"all", NULL, "List all shared ranges below the picture, by address; else at most 20 of them."},
        {"watch", NULL, "Draw it anew every second, until the guest ends."},
        CLI_OPTION_JSON,
        {0},
};

const struct cli_verb cli_verb_map = {
        .name = "map",
        .operands = "SOCKET",
        .operands_min = 1,
        .operands_max = 1,
        .summary = "draw which memory a confidential guest shares",
        .help = "SOCKET is what the guest's key control.socket names. The picture has a character for each "
                "piece of the guest's memory: . is private, # is shared, - and + are in part. Below it are "
                "shared ranges, those that were converted most often and the largest first, and what the "
                "guest shares where it has no memory, as registers of devices. A count of conversions is at "
                "least that, and a change is told in seconds since the launch began. Of a SEV or SEV-ES "
                "guest the map is what the guest has "
                "reported, which it does if the key sev.page-status is on; Linux reports, OVMF does not. A "
                "plain guest has no map.",
        .options = options,
        .run = run,
};
