/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flips: which pages a guest converts again and again, and how fast it converts. A table of fixed size beside
 * the record of shared pages: a guest cannot make it larger, nor slower, whatever it converts. Each
 * conversion is an exit and takes the host some microseconds, so a driver that shares its buffers anew for
 * each request makes a guest slow.
 *
 * A range is known by its first page, and a conversion counts whether or not it changed anything. The table
 * remembers those converted most often: all counts of ranges are lower bounds. Any thread.
 */
#ifndef VMM_PAGE_FLIPS_H
#define VMM_PAGE_FLIPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base.h"

#define PAGE_FLIPS_MAX 512u /* ranges that it remembers */

struct page_flips;

/*
 * Makes an empty table. start_ns: the time from which its times count (CLOCK_MONOTONIC). storm: as many
 * conversions within a second are a storm, 1 to UINT32_MAX; 0: none is. ERR_FAILED: no memory.
 */
int page_flips_create(
        uint64_t start_ns, uint32_t storm, struct page_flips **ret_flips, struct err *err) MUST_CHECK;
void page_flips_destroy(struct page_flips *flips); /* NULL is allowed */

/* A storm that goes on is told again after so long. */
#define PAGE_FLIPS_TELL_S 10u
/*
 * Notes that the frames [first, first + pages) were converted. now_ns: CLOCK_MONOTONIC or its coarse
 * relative. Returns whether a storm is to be told: the guest has just exceeded the limit of a second, and
 * that was not told within the last PAGE_FLIPS_TELL_S. It takes some nanoseconds, and waits for nobody.
 */
bool page_flips_note(struct page_flips *flips, uint64_t first, uint64_t pages, uint64_t now_ns);

/* A range of the table. */
struct page_flip {
	uint64_t first, pages; /* frames of its last conversion */
	uint64_t count;        /* conversions, at least */
	uint64_t last_ns;      /* when the last one was, since the start */
};
/* Writes the ranges of the table, those that were converted most often first, and returns how many. */
size_t page_flips_get(struct page_flips *flips, struct page_flip ret_flips[static PAGE_FLIPS_MAX]);
/* The first one of them, by the same order. Returns whether there is one. */
bool page_flips_top(struct page_flips *flips, struct page_flip *ret_flip);

struct page_flip_totals {
	uint64_t conversions;
	uint64_t flips;    /* conversions of a range that the table knew: at least */
	uint64_t storms;   /* seconds with more conversions than the limit, about */
	double per_second; /* conversions, over the last PAGE_FLIPS_SECONDS whole seconds */
};
#define PAGE_FLIPS_SECONDS 5u
/* now_ns: as above. */
struct page_flip_totals page_flips_count(struct page_flips *flips, uint64_t now_ns);

#endif
