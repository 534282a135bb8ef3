/* SPDX-License-Identifier: Apache-2.0 */
/* written: guest memory on this kernel, and a map of what of it was written. */
#ifndef TEST_PAGE_WRITTEN_H
#define TEST_PAGE_WRITTEN_H

#include "support/test.h"
#include "vmm/page/dirty.h"

static struct err err;
static struct host *host;
static struct page_memory *memory;
static struct page_dirty *dirty;

static inline void written_make(const struct page_layout *layout)
{
	assert_ok(host_kernel_create(&host, &err));
	assert_ok(page_memory_create(host, layout, PAGE_OWN, &memory, &err));
	assert_ok(page_dirty_create(memory, &dirty, &err));
}

static inline int written_end(void **state)
{
	page_dirty_destroy(dirty);
	page_memory_destroy(memory);
	host_destroy(host);
	return 0;
}

#endif
