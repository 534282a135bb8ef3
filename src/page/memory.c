/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory: the backing of a guest's memory, one memfd a region. Made and ended by the main thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/memfd.h>

#include "memory.h"

#define HUGE_PAGE_BYTES MIB(2)

/*
 * A memfd reserves no memory. Without this check vmm would be killed when the guest touches a page that the
 * host cannot provide.
 */
int page_memory_check(const struct page_layout *layout, struct err *err)
{
	uint64_t size_bytes = layout->low_bytes + layout->high_bytes;
	uint64_t host_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

	if (size_bytes <= host_bytes)
		return 0;
	return err_set(err, ERR_HOST,
	        "%llu MiB of guest memory: this host has %llu MiB in all; lower machine.memory",
	        (unsigned long long)(size_bytes >> 20), (unsigned long long)(host_bytes >> 20));
}

static int open_backing(const struct page_region *region, bool hugepages, struct err *err)
{
	auto_close int fd = memfd_create(region->kind == PAGE_RAM ? "guest-ram" : "guest-firmware",
	        MFD_CLOEXEC | MFD_ALLOW_SEALING | (hugepages ? MFD_HUGETLB | MFD_HUGE_2MB : 0));

	if (fd < 0)
		return err_sys(err, ERR_HOST, errno, "guest memory%s: memfd_create",
		        hugepages ? " of 2 MiB pages" : "");
	if (ftruncate(fd, (off_t)region->size_bytes) < 0)
		return err_sys(err, ERR_HOST, errno, "%llu MiB of guest memory: lower machine.memory",
		        (unsigned long long)(region->size_bytes >> 20));
	/* A vhost-user back end gets this descriptor, and must not be able to cut the memory off under vmm.
	 */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_sys(err, ERR_HOST, errno, "guest memory: sealing its length");
	return take_fd(&fd);
}

static int map_region(struct page_memory *memory, unsigned i, bool hugepages, struct err *err)
{
	const struct page_region *region = &memory->layout.regions[i];
	bool huge = hugepages && region->kind == PAGE_RAM;
	auto_close int fd = open_backing(region, huge, err);
	void *at;

	if (fd < 0)
		return -1;
	at = host_mmap(memory->host, NULL, region->size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	/* The pool of huge pages is too small, not the host's memory, so the remedy is another one. */
	if (at == MAP_FAILED && huge && errno == ENOMEM)
		return err_set(err, ERR_HOST,
		        "the host's pool has no %llu free pages of 2 MiB for the guest's memory; enlarge it "
		        "(sysctl vm.nr_hugepages), or set machine.hugepages to false",
		        (unsigned long long)(region->size_bytes / HUGE_PAGE_BYTES));
	if (at == MAP_FAILED)
		return err_sys(err, ERR_HOST, errno, "mapping %llu KiB of guest memory",
		        (unsigned long long)(region->size_bytes >> 10));
	/*
	 * Where the administrator lets files in memory have huge pages if they ask (shmem_enabled "advise"),
	 * this memory asks. The firmware is too small for one. A refusal costs nothing but speed.
	 */
	if (!huge && region->kind == PAGE_RAM)
		madvise(at, region->size_bytes, MADV_HUGEPAGE);
	memory->at[i] = at;
	memory->fd[i] = take_fd(&fd);
	return 0;
}

int page_memory_create(struct host *host, const struct page_layout *layout, bool hugepages,
        struct page_memory **ret_memory, struct err *err)
{
	struct page_memory *memory;

	if (hugepages && !is_aligned(layout->low_bytes, HUGE_PAGE_BYTES))
		return err_set(err, ERR_USAGE, "machine.memory must be whole 2 MiB with machine.hugepages");
	if (page_memory_check(layout, err) < 0)
		return -1;
	memory = calloc(1, sizeof(*memory));
	if (!memory)
		return err_sys(err, ERR_FAILED, ENOMEM, "guest memory");
	memory->host = host;
	memory->layout = *layout;
	memory->hugepages = hugepages;
	pthread_mutex_init(&memory->lock, NULL);
	for (unsigned i = 0; i < PAGE_REGIONS_MAX; i++)
		memory->fd[i] = memory->guest_memfd[i] = -1;
	for (unsigned i = 0; i < layout->count; i++) {
		if (map_region(memory, i, hugepages, err) < 0) {
			page_memory_destroy(memory);
			return -1;
		}
	}
	*ret_memory = memory;
	return 0;
}

void page_memory_destroy(struct page_memory *memory)
{
	if (!memory)
		return;
	page_memory_finish_private(memory);
	for (unsigned i = 0; i < memory->layout.count; i++) {
		host_munmap(memory->host, memory->at[i], memory->layout.regions[i].size_bytes);
		if (memory->fd[i] >= 0)
			close(memory->fd[i]);
	}
	pthread_mutex_destroy(&memory->lock);
	free(memory);
}

void page_memory_stop(struct page_memory *memory)
{
	atomic_store(&memory->stopped, true);
}

bool page_memory_is_stopped(const struct page_memory *memory)
{
	return atomic_load(&memory->stopped);
}

const struct page_layout *page_memory_layout(const struct page_memory *memory)
{
	return &memory->layout;
}

void *page_memory_slot_address(const struct page_memory *memory, unsigned i)
{
	return memory->at[i];
}

unsigned page_memory_lend(
        const struct page_memory *memory, struct page_lent ret_lent[static PAGE_REGIONS_MAX])
{
	unsigned count = 0;

	for (unsigned i = 0; i < memory->layout.count; i++) {
		const struct page_region *region = &memory->layout.regions[i];

		if (region->kind == PAGE_RAM)
			ret_lent[count++] = (struct page_lent){
			        region->gpa, region->size_bytes, memory->at[i], memory->fd[i]};
	}
	return count;
}

/* The region of RAM in whose mapping a loan lies, and the loan's offset in it; -1: none. */
static int region_of_loan(
        const struct page_memory *memory, const void *loan, uint64_t size_bytes, uint64_t *ret_offset)
{
	for (unsigned i = 0; i < memory->layout.count; i++) {
		const struct page_region *region = &memory->layout.regions[i];
		uint64_t offset = (uint64_t)(uintptr_t)loan - (uint64_t)(uintptr_t)memory->at[i];

		if (region->kind == PAGE_RAM && range_fits(offset, size_bytes, region->size_bytes)) {
			*ret_offset = offset;
			return (int)i;
		}
	}
	return -1;
}

int page_give_back(struct page_memory *memory, void *loan, uint64_t size_bytes)
{
	uint64_t page_bytes = memory->hugepages ? HUGE_PAGE_BYTES : PAGE_SIZE_BYTES, offset, from, to;
	int i = region_of_loan(memory, loan, size_bytes, &offset);

	if (i < 0)
		return -1;
	from = (offset + page_bytes - 1) & ~(page_bytes - 1);
	to = (offset + size_bytes) & ~(page_bytes - 1);
	if (from >= to)
		return 0;
	return host_fallocate(memory->host, memory->fd[i], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	        (off_t)from, (off_t)(to - from));
}
