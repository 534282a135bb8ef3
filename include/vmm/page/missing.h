/* SPDX-License-Identifier: Apache-2.0 */
/*
 * missing: memory of which pages come while the guest runs already. Whoever touches a page that has not come
 * waits until it is placed, also the kernel on behalf of vmm (KVM, io_uring, vhost). userfaultfd(2) does
 * that. One thread, but for page_missing_open().
 */
#ifndef VMM_PAGE_MISSING_H
#define VMM_PAGE_MISSING_H

#include "vmm/page/dirty.h"

struct page_missing;

/* Makes the descriptor, before the sandbox. ERR_HOST: this host gives this process none. */
int page_missing_open(int *ret_fd, struct err *err) MUST_CHECK;
/* Why pages of such memory cannot come later; NULL: they can. */
const char *page_missing_refusal(enum page_backing backing);
/*
 * From now on pages of the memory may miss; none does yet. fd, from page_missing_open(), and memory are
 * borrowed. ERR_HOST: the kernel refuses. ERR_FAILED: no memory.
 */
int page_missing_create(
        struct page_memory *memory, int fd, struct page_missing **ret_missing, struct err *err) MUST_CHECK;
/* Ends the wait for pages: whoever still waits for one reads zeros. NULL is allowed. */
void page_missing_destroy(struct page_missing *missing);
/*
 * Forgets what is in the frames [first, first + pages), which must be memory of one region: they miss from
 * now on. Nobody may use them meanwhile. ERR_FAILED: they are no such memory.
 */
int page_missing_expect(
        struct page_missing *missing, uint64_t first, uint64_t pages, struct err *err) MUST_CHECK;
/*
 * Places the frames [first, first + pages), which must all miss; data NULL: zeros. Whoever waits for them
 * goes on. ERR_FAILED: one of them does not miss, and nothing of its region was placed; or the kernel
 * refuses.
 */
int page_missing_place(struct page_missing *missing, uint64_t first, uint64_t pages, const void *data,
        struct err *err) MUST_CHECK;
/*
 * Returns 1 with a missing frame for which somebody has begun to wait since the last call, 0 if there is none
 * at the moment, -1 with *err. The descriptor can be read if there may be one. A frame that does not miss,
 * and was never used or was given back, gets zeros here.
 */
int page_missing_next(struct page_missing *missing, uint64_t *ret_frame, struct err *err) MUST_CHECK;
/* Which frames miss; borrowed. */
const struct page_dirty *page_missing_frames(const struct page_missing *missing);

#endif
