/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory: what memory.c, access.c and owner.c share.
 */
#ifndef VMM_PAGE_MEMORY_H
#define VMM_PAGE_MEMORY_H

#include <pthread.h>
#include <stdatomic.h>

#include "vmm/page.h"

#define PAGE_HUGE_BYTES MIB(2) /* a page of the host's pool, and what huge pages are aligned to */

/*
 * Whoever converts pages of a SEV-SNP guest holds the locks of the 2 MiB in which they lie, taken in
 * ascending order. There are few, so far addresses share a lock; a piece of PAGE_CONVERT_BYTES needs a part
 * of them.
 */
#define PAGE_LOCKS      64u
#define PAGE_LOCK_BYTES MIB(2)

/* Who runs the guest, of memory that other processes have, too (hand.c). */
struct page_lease_state {
	int fd;                  /* -1: the memory never passed from one process to another */
	_Atomic uint64_t *turns; /* in the file; others may write it at any time */
	uint64_t turn;           /* what it was when the guest ran here, or was offered to this process */
	bool held, accepted;     /* by fd; the memory is mapped, but another process still has it */
};

struct page_memory {
	struct host *host;
	struct page_layout layout;
	void *kept[PAGE_REGIONS_MAX];  /* addresses: those of the region and 2 MiB more */
	uint8_t *at[PAGE_REGIONS_MAX]; /* where each region is mapped; the guest writes there at any time */
	int fd[PAGE_REGIONS_MAX];      /* behind that; -1 with PAGE_OWN */
	enum page_backing backing;
	struct page_lease_state lease;
	_Atomic bool stopped;
	_Atomic uint64_t
	        plugged_bytes; /* of PAGE_PLUGGED, from its start, are memory; grows while vCPUs run */

	/* SEV-SNP; else -1. */
	int vm_fd;
	int guest_memfd[PAGE_REGIONS_MAX];
	pthread_mutex_t locks[PAGE_LOCKS]; /* of conversions, by address */

	struct page_range_map *shared;  /* the record; NULL: there is none */
	uint32_t ranges_max;            /* how many ranges it may hold */
	_Atomic uint64_t refused;       /* conversions for which it had no room */
	struct page_range_map *devices; /* what is shared where there is no memory; NULL: nobody asks */
	uint64_t address_end;           /* of what the guest can address, with devices */
	struct page_flips *flips;       /* NULL: nobody asks */

	struct page_written *written;           /* what vmm wrote; NULL: nobody has asked yet */
	_Atomic(struct page_written *) tracked; /* the same; NULL: nobody asks now */
};

/* Can devices write there? */
static inline bool page_region_is_ram(const struct page_region *region)
{
	return region->kind == PAGE_RAM || region->kind == PAGE_PLUGGED;
}

/* How much of region i, from its start, is the guest's memory. */
static inline uint64_t page_region_bytes(const struct page_memory *memory, unsigned i)
{
	const struct page_region *region = &memory->layout.regions[i];

	if (region->kind == PAGE_HELPER)
		return 0;
	return region->kind == PAGE_PLUGGED ? atomic_load(&memory->plugged_bytes) : region->size_bytes;
}

/* ERR_HOST: this host has no size_bytes of memory; remedy says what to do. */
int page_memory_fits(uint64_t size_bytes, const char *remedy, struct err *err) MUST_CHECK;

/* Makes the error ERR_HOST, that the pool lacks pages for size_bytes, and returns -1. remedy says what to do
 * instead. */
int page_pool_lacks(uint64_t size_bytes, const char *remedy, struct err *err);

/* The region of RAM in whose mapping a loan lies, and the loan's offset in it; -1: none. */
int page_region_of_loan(
        const struct page_memory *memory, const void *loan, uint64_t size_bytes, uint64_t *ret_offset);

/* How region i is mapped, without MAP_FIXED. */
int page_memory_mapping_flags(const struct page_memory *memory, unsigned i);
/* Tells the kernel what a mapping of region i is for. */
void page_memory_advise(const struct page_memory *memory, unsigned i);
/* hand.c */
void page_lease_finish(struct page_memory *memory);

/* written.c: a part of region i was written; called after the bytes were stored. Any thread. */
void page_written_mark(struct page_memory *memory, unsigned i, uint64_t offset, uint64_t size_bytes);
void page_written_finish(struct page_memory *memory);

/* Is all of a piece of region i shared with the host? */
bool page_is_shared(const struct page_memory *memory, unsigned i, uint64_t offset, uint64_t size_bytes);
void page_memory_finish_private(struct page_memory *memory);
/* devices.c: remembers of a report what is no memory, if page_memory_keep_devices() was called. */
void page_devices_mark(struct page_memory *memory, struct gpa start, uint64_t size_bytes, bool private);

#endif
