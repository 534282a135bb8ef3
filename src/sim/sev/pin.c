/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pin: memory of the VMM that counts as pinned. The kernel really pins it, which takes memory for all of it
 * at once. Here nothing moves pages, so it is enough to see that the memory is there. Runs with
 * sev_guest.lock held. Law: amd-memory-encryption.rst; api.rst, 4.110; Linux's arch/x86/kvm/svm/sev.c.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "command.h"
#include "kvm/memory.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22 /* Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif

static uint64_t page_of(uint64_t address)
{
	return address & ~(uint64_t)(PAGE_SIZE_BYTES - 1);
}

static uint64_t pages_of(uint64_t address, uint64_t size)
{
	return (address + size - 1) / PAGE_SIZE_BYTES - address / PAGE_SIZE_BYTES + 1;
}

bool sev_is_there(uint64_t address, uint64_t size, bool write)
{
	return madvise(sev_pointer(page_of(address)), pages_of(address, size) * PAGE_SIZE_BYTES,
	               write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ) == 0;
}

/*
 * Can all of the pages from start to end be read? Reads only the last one in each of the VMM's mappings,
 * since the page of a file that is read takes memory: a mapping is readable as a whole, and a file that is
 * too short lacks the last page. The list of mappings is read to its end: to close it earlier, the C library
 * would move its position, a call that the sandbox refuses.
 */
static bool is_mapped(uint64_t start, uint64_t end)
{
	auto_fclose FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long long from, to;
	bool is_there = true;
	char line[512]; /* the rest of a longer line is read as a line that says nothing */

	if (!maps)
		return sev_is_there(start, end - start, false);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%llx-%llx ", &from, &to) != 2 || to <= start || start == end || !is_there)
			continue;
		is_there = from <= start && sev_is_there((to < end ? to : end) - 1, 1, false);
		start = to < end ? to : end;
	}
	return is_there && start == end;
}

/* Checks Linux's sev_pin_memory() and sev_check_pin_count() make before they look at the memory. */
static int count(const struct sev_guest *sev, uint64_t address, uint64_t size, uint64_t *ret_pages)
{
	uint64_t end;

	if (!size || !add_ok(address, size, &end))
		return -EINVAL;
	*ret_pages = pages_of(address, size);
	if (*ret_pages > INT_MAX || sev->pages_locked + *ret_pages > limit_memory_pages())
		return -EINVAL;
	return sev->pages_locked + *ret_pages > sev->pages_lockable ? -ENOMEM : 0;
}

int sev_pin(struct sev_guest *sev, uint64_t address, uint64_t size, bool write)
{
	uint64_t pages;
	int result = count(sev, address, size, &pages);

	if (result < 0)
		return result;
	if (!sev_is_there(address, size, write))
		return -ENOMEM;
	sev->pages_locked += pages;
	return 0;
}

int sev_pin_region(struct sev_guest *sev, uint64_t address, uint64_t size)
{
	uint64_t pages;
	int result = count(sev, address, size, &pages);

	if (result < 0)
		return result;
	if (!is_mapped(page_of(address), page_of(address) + pages * PAGE_SIZE_BYTES))
		return -ENOMEM;
	sev->pages_locked += pages;
	return 0;
}

void sev_unpin(struct sev_guest *sev, uint64_t address, uint64_t size)
{
	sev->pages_locked -= pages_of(address, size);
}
