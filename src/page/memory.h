/*
 * memory: what memory.c and access.c share.
 */
#ifndef VMM_PAGE_MEMORY_H
#define VMM_PAGE_MEMORY_H

#include "vmm/page.h"

struct page_memory {
	struct host *host;
	struct page_layout layout;
	uint8_t *at[PAGE_REGIONS_MAX]; /* where each region is mapped; the guest writes there at any time */
};

#endif
