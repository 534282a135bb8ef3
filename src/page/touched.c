/* SPDX-License-Identifier: Apache-2.0 */
/*
 * touched: which pages of vmm's own memory nobody has used yet. They hold zeros, but who reads one to see
 * that makes the kernel give and clear a page for it, a huge one at that. Law: Linux,
 * admin-guide/mm/pagemap.rst.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "memory.h"

#define PRESENT (UINT64_C(1) << 63)
#define SWAPPED (UINT64_C(1) << 62) /* or on its way to another place in the host's memory */

struct page_touched {
	const struct page_memory *memory;
	int fd;
};

struct page_touched *page_touched_open(const struct page_memory *memory)
{
	struct page_touched *touched;

	/* A page of a file may hold something that this process has not mapped yet. */
	if (memory->backing != PAGE_OWN)
		return NULL;
	touched = calloc(1, sizeof(*touched));
	if (!touched)
		return NULL;
	touched->memory = memory;
	touched->fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (touched->fd >= 0)
		return touched;
	free(touched);
	return NULL;
}

void page_touched_close(struct page_touched *touched)
{
	if (!touched)
		return;
	close(touched->fd);
	free(touched);
}

uint64_t page_untouched(const struct page_touched *touched, struct gpa start, unsigned pages)
{
	uint64_t entries[PAGE_UNTOUCHED_MAX], untouched = 0;
	const uint8_t *at;
	struct iovec into = {entries, pages * sizeof(entries[0])};
	off_t from;

	if (!touched || pages > PAGE_UNTOUCHED_MAX)
		return 0;
	at = page_kernel_address(touched->memory, start, (uint64_t)pages * PAGE_SIZE_BYTES);
	if (!at)
		return 0;
	from = (off_t)((uintptr_t)at / PAGE_SIZE_BYTES * sizeof(entries[0]));
	if (preadv2(touched->fd, &into, 1, from, 0) != (ssize_t)into.iov_len)
		return 0;
	for (unsigned i = 0; i < pages; i++)
		untouched |= (uint64_t) !(entries[i] & (PRESENT | SWAPPED)) << i;
	return untouched;
}
