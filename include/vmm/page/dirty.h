/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty: which frames of a guest's memory were written and must still be copied, with one bit for each frame
 * of 4 KiB. It covers all regions that hold memory: RAM, the firmware image, the store, and what was plugged.
 * It learns of writes from KVM's log and from page_memory_collect_written(). One thread.
 */
#ifndef VMM_PAGE_DIRTY_H
#define VMM_PAGE_DIRTY_H

#include "vmm/page.h"

struct page_dirty;

/*
 * Makes a map in which all frames are clean. memory is borrowed and outlives it. It takes 32 KiB for each GiB
 * of the layout, PAGE_PLUGGED included; the host's memory is used from the first change on. ERR_FAILED: no
 * memory.
 */
int page_dirty_create(
        const struct page_memory *memory, struct page_dirty **ret_dirty, struct err *err) MUST_CHECK;
void page_dirty_destroy(struct page_dirty *dirty); /* NULL is allowed */

/* Makes all frames that are memory now dirty. */
void page_dirty_set_all(struct page_dirty *dirty);
/* Makes the frames [first, first + pages) dirty. Those that are no memory now are left out. */
void page_dirty_set(struct page_dirty *dirty, uint64_t first, uint64_t pages);
/* Makes those of the frames [first, first + pages) dirty whose bits are set: bit 0 of bits[0] is first's. */
void page_dirty_add(struct page_dirty *dirty, uint64_t first, uint64_t pages, const uint64_t *bits);
/* Makes the frames [first, first + pages) clean. */
void page_dirty_clear(struct page_dirty *dirty, uint64_t first, uint64_t pages);
/* Which frames of a map are dirty, when it is combined with another map. */
enum page_dirty_rule {
	PAGE_DIRTY_OR,      /* those that were so in one of both */
	PAGE_DIRTY_AND,     /* those that were so in both */
	PAGE_DIRTY_AND_NOT, /* those that were so, and are not in the other one */
	PAGE_DIRTY_XOR,     /* those in which both differ */
};
/* Combines dirty with another map of the same memory, which stays as it is. */
void page_dirty_combine(struct page_dirty *dirty, enum page_dirty_rule rule, const struct page_dirty *other);
/*
 * Finds the first dirty frame at or behind frame from, and makes it and the dirty frames that follow it
 * clean: at most pages_max frames (1 or more) of one region. Returns false if there is none.
 */
bool page_dirty_take(
        struct page_dirty *dirty, uint64_t from, uint64_t pages_max, struct page_range *ret_range) MUST_CHECK;
/* Are the frames [first, first + pages), of one region, all dirty? */
bool page_dirty_has(const struct page_dirty *dirty, uint64_t first, uint64_t pages);
/* How many frames are dirty. Takes no time. */
uint64_t page_dirty_count(const struct page_dirty *dirty);

#endif
