/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plug: RAM that is added while the guest runs. Its addresses, their mapping and their place in the record
 * are there from the start, so adding moves one number, and whoever reads guest memory needs no lock. Main
 * thread. Law: hugetlbfs_reserv.rst.
 */
#include <errno.h>
#include <sys/mman.h>

#include "memory.h"

static int check_size(const struct page_layout *layout, uint64_t left, uint64_t size_bytes, struct err *err)
{
	uint64_t block = page_layout_block_bytes(layout);

	if (!size_bytes || !is_aligned(size_bytes, block))
		return err_set(err, ERR_USAGE,
		        "%llu bytes cannot be added: give this guest memory in multiples of %llu MiB",
		        (unsigned long long)size_bytes, (unsigned long long)(block >> 20));
	if (size_bytes > left)
		return err_set(err, ERR_USAGE,
		        "%llu MiB cannot be added: the guest can get %llu MiB more (machine.memory-max)",
		        (unsigned long long)(size_bytes >> 20), (unsigned long long)(left >> 20));
	return 0;
}

/*
 * The kernel promises pages of the pool to a file when a part of the file is mapped, and keeps the promise
 * when that mapping ends. The region was mapped without a promise (map_region()), since it may never be used.
 */
static int promise_pages(
        const struct page_memory *memory, unsigned i, uint64_t offset, uint64_t size_bytes, struct err *err)
{
	void *at;

	if (memory->backing != PAGE_POOL)
		return 0;
	at = host_mmap(memory->host, NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory->fd[i],
	        (off_t)offset);
	if (at == MAP_FAILED && errno == ENOMEM)
		return page_pool_lacks(size_bytes, "add less", err);
	if (at == MAP_FAILED)
		return err_sys(err, ERR_HOST, errno, "mapping %llu MiB of guest memory",
		        (unsigned long long)(size_bytes >> 20));
	host_munmap(memory->host, at, size_bytes);
	return 0;
}

int page_plug_find(
        const struct page_memory *memory, uint64_t size_bytes, struct page_plug *ret_plug, struct err *err)
{
	const struct page_layout *layout = &memory->layout;
	const struct page_region *region = page_layout_plugged(layout);
	uint64_t plugged = page_memory_plugged(memory);
	unsigned i = layout->count - 1;

	if (!region)
		return err_set(err, ERR_USAGE,
		        "this guest's memory cannot grow: set machine.memory-max and start it anew");
	if (check_size(layout, region->size_bytes - plugged, size_bytes, err) < 0 ||
	        page_memory_fits(
	                layout->low_bytes + layout->high_bytes + plugged + size_bytes, "add less", err) < 0 ||
	        promise_pages(memory, i, plugged, size_bytes, err) < 0)
		return -1;
	*ret_plug = (struct page_plug){
	        .gpa = gpa(region->gpa.raw + plugged),
	        .size_bytes = size_bytes,
	        .at = memory->at[i] + plugged,
	        .guest_memfd = memory->guest_memfd[i],
	        .offset = plugged,
	};
	return 0;
}

void page_plug_open(struct page_memory *memory, const struct page_plug *plug)
{
	atomic_store(&memory->plugged_bytes, plug->offset + plug->size_bytes);
}

void page_plug_close(struct page_memory *memory, const struct page_plug *plug)
{
	atomic_store(&memory->plugged_bytes, plug->offset);
}

uint64_t page_memory_plugged(const struct page_memory *memory)
{
	return atomic_load(&memory->plugged_bytes);
}
