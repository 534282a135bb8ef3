/* SPDX-License-Identifier: Apache-2.0 */
/*
 * range_map: which pages of a confidential guest are shared with the host, as disjoint ranges in order. What
 * lies in no range is private. Pages are counted in frames of 4 KiB. The map knows neither KVM nor memory: a
 * page may be RAM, a device's, or nothing, and memory that is added later needs no call.
 *
 * Any thread. Readers take no lock and see of each page a state that it had during the call. Changes of
 * different blocks of pages (src/page/range_block.h) do not wait for each other. What a guest does cannot
 * make the map larger than its bound, and after page_range_map_create() nothing is allocated but snapshots.
 * Law: api.rst, KVM_EXIT_HYPERCALL (KVM_HC_MAP_GPA_RANGE).
 */
#ifndef VMM_PAGE_RANGE_MAP_H
#define VMM_PAGE_RANGE_MAP_H

#include "vmm/base.h"

#define PAGE_RANGE_MAP_PAGES_MAX  (UINT64_C(1) << 40) /* all that 52 bits of address reach */
#define PAGE_RANGE_MAP_RANGES_MAX 1048576u

/* Frames [first, end). */
struct page_range {
	uint64_t first, end;
};

struct page_range_map;

/*
 * Makes a map of the frames [0, pages) in which all are private. pages: 1 to PAGE_RANGE_MAP_PAGES_MAX.
 * ranges_max: how many ranges it may hold, 1 to PAGE_RANGE_MAP_RANGES_MAX. It reserves at most 24 bytes for
 * each of these, and about 300 for each 8 TiB of address space; the host's memory is used from the first
 * change on that needs it. ERR_USAGE: a parameter is out of its bounds. ERR_FAILED: no memory.
 */
int page_range_map_create(
        uint64_t pages, uint32_t ranges_max, struct page_range_map **ret_map, struct err *err) MUST_CHECK;
void page_range_map_destroy(struct page_range_map *map); /* NULL is allowed */

enum page_range_verdict {
	PAGE_RANGE_CHANGED,
	PAGE_RANGE_SAME,    /* all of it was so before */
	PAGE_RANGE_FULL,    /* the map would hold more than ranges_max; nothing was changed */
	PAGE_RANGE_OUTSIDE, /* it is empty, or leaves the frames of the map; nothing was changed */
};
/*
 * Makes the frames [first, end) shared or private. Ranges that then touch become one, and a range out of
 * which a part is taken becomes two. Towards ranges_max a range counts once for each 8 TiB of addresses in
 * which it lies.
 */
enum page_range_verdict page_range_map_set(
        struct page_range_map *map, uint64_t first, uint64_t end, bool shared) MUST_CHECK;

/* Are all frames of [first, end) shared, or all of them private? Those beyond the map are private. */
bool page_range_map_is(const struct page_range_map *map, uint64_t first, uint64_t end, bool shared);
/*
 * Writes the shared ranges in [first, end), in order, until ret_ranges is full: whole runs of shared frames,
 * cut at first and end only. Returns how many. To see more of them, go on at the end of the last one plus
 * one: the frame there is private.
 */
size_t page_range_map_get(const struct page_range_map *map, uint64_t first, uint64_t end,
        struct page_range *ret_ranges, size_t capacity);
/* How many ranges and shared frames there are; takes time for each range. */
void page_range_map_count(const struct page_range_map *map, uint64_t *ret_ranges, uint64_t *ret_pages);
/*
 * A number that every change makes larger. If it is the same before and after something was read, nothing
 * changed meanwhile.
 */
uint64_t page_range_map_generation(const struct page_range_map *map);
/* How many bytes of the host's memory hold the ranges. It never shrinks. */
uint64_t page_range_map_bytes(const struct page_range_map *map);

/*
 * Records that the guest went on although a change of [first, end) was refused, so the map may be wrong
 * there, and is right elsewhere. Several such ranges become one that holds them all. What is beyond the map
 * is left out.
 */
void page_range_map_doubt(struct page_range_map *map, uint64_t first, uint64_t end);
/* Is the map right everywhere? If not, it may be wrong in *ret_doubt (may be NULL). */
bool page_range_map_is_complete(struct page_range_map *map, struct page_range *ret_doubt);

/* A copy of the map. */
struct page_range_snapshot {
	struct page_range *ranges; /* whole runs of shared frames, in order */
	size_t count;
	uint64_t generation; /* of the map, before the first range was read */
	bool exact;          /* nothing changed meanwhile: the ranges are the map of one moment */
	bool complete;
	struct page_range doubt; /* if not complete */
};
/*
 * Copies the map while others change it. Each frame has a state that it had during the call; all of one
 * moment, if exact. The caller calls page_range_snapshot_finish(). ERR_FAILED: no memory.
 */
int page_range_map_snapshot(
        struct page_range_map *map, struct page_range_snapshot *ret_snapshot, struct err *err) MUST_CHECK;
void page_range_snapshot_finish(struct page_range_snapshot *snapshot); /* may be zeroed */

/* ---- the form in which a map travels (src/page/range_form.c) ---- */

/* No form of a map with this many ranges is longer. */
#define PAGE_RANGE_FORM_MAX_BYTES(ranges) (24 + 12 * (size_t)(ranges))
/* Writes a snapshot as bytes, which the caller frees. ERR_FAILED: no memory. */
int page_range_form_make(const struct page_range_snapshot *snapshot, uint8_t **ret_data, size_t *ret_size,
        struct err *err) MUST_CHECK;
/*
 * Makes a map from bytes of a peer, which may be hostile. pages and ranges_max are this side's, as for
 * page_range_map_create(). ERR_FAILED, with what is wrong, if the bytes are not exactly a form that
 * page_range_form_make() writes, or the map does not fit.
 */
int page_range_form_read(const uint8_t *data, size_t size, uint64_t pages, uint32_t ranges_max,
        struct page_range_map **ret_map, struct err *err) MUST_CHECK;

#endif
