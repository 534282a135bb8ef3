/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory: the backing of a guest's memory, a mapping for each region. Made and ended by the main thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/memfd.h>
#include <sys/mman.h>

#include "memory.h"

/*
 * The mapping reserves no memory. Without this check vmm would be killed when the guest touches a page that
 * the host cannot provide.
 */
int page_memory_fits(uint64_t size_bytes, const char *remedy, struct err *err)
{
	uint64_t host_bytes = limit_memory_pages() * (uint64_t)sysconf(_SC_PAGESIZE);

	if (size_bytes <= host_bytes)
		return 0;
	return err_set(err, ERR_HOST, "%llu MiB of guest memory: this host has %llu MiB in all; %s",
	        (unsigned long long)(size_bytes >> 20), (unsigned long long)(host_bytes >> 20), remedy);
}

int page_memory_check(const struct page_layout *layout, struct err *err)
{
	return page_memory_fits(layout->low_bytes + layout->high_bytes, "lower machine.memory", err);
}

static int open_file(const struct page_region *region, bool pool, struct err *err)
{
	auto_close int fd = memfd_create(page_region_is_ram(region) ? "guest-ram" : "guest-firmware",
	        MFD_CLOEXEC | MFD_ALLOW_SEALING | (pool ? MFD_HUGETLB | MFD_HUGE_2MB : 0));

	if (fd < 0)
		return err_sys(
		        err, ERR_HOST, errno, "guest memory%s: memfd_create", pool ? " of 2 MiB pages" : "");
	if (ftruncate(fd, (off_t)region->size_bytes) < 0)
		return err_sys(err, ERR_HOST, errno, "%llu MiB of guest memory: lower machine.memory",
		        (unsigned long long)(region->size_bytes >> 20));
	/* A vhost-user back end gets this descriptor, and must not be able to cut the memory off under vmm.
	 */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_sys(err, ERR_HOST, errno, "guest memory: sealing its length");
	return take_fd(&fd);
}

/*
 * Maps a region where a huge page begins, within addresses that are kept for it. KVM gives the guest a huge
 * page only if it begins at the same place for the guest and for vmm, and regions of RAM begin at whole 2 MiB
 * for the guest.
 */
static void *map_aligned(struct page_memory *memory, unsigned i, int flags, int fd)
{
	uint64_t size_bytes = memory->layout.regions[i].size_bytes;
	uint8_t *kept = host_mmap(memory->host, NULL, size_bytes + PAGE_HUGE_BYTES, PROT_NONE,
	        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (kept == MAP_FAILED)
		return kept;
	memory->kept[i] = kept;
	return host_mmap(memory->host, kept + (-(uintptr_t)kept & (PAGE_HUGE_BYTES - 1)), size_bytes,
	        PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);
}

/* The pool of huge pages is too small, not the host's memory, so the remedy is another one. */
int page_pool_lacks(uint64_t size_bytes, const char *remedy, struct err *err)
{
	return err_set(err, ERR_HOST,
	        "the host's pool has no %llu free pages of 2 MiB for the guest's memory; enlarge it "
	        "(sysctl vm.nr_hugepages), or %s",
	        (unsigned long long)(size_bytes / PAGE_HUGE_BYTES), remedy);
}

/*
 * The kernel promises pages of the pool to whoever maps them, but for a mapping without a promise. Memory
 * that may be added later has one: its pages are promised when it is added.
 */
int page_memory_mapping_flags(const struct page_memory *memory, unsigned i)
{
	if (memory->backing == PAGE_OWN)
		return MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	return memory->layout.regions[i].kind == PAGE_PLUGGED ? MAP_SHARED | MAP_NORESERVE : MAP_SHARED;
}

static bool is_pool(const struct page_memory *memory, unsigned i)
{
	return memory->backing == PAGE_POOL && page_region_is_ram(&memory->layout.regions[i]);
}

/*
 * Memory that asks gets huge pages wherever the administrator did not forbid them: anonymous memory nearly
 * everywhere, memfds where shmem_enabled is "advise". The firmware is too small for one. A refusal costs
 * nothing but speed. A core file is for vmm's own state: it need not have the guest's secrets, and the
 * guest's size.
 */
void page_memory_advise(const struct page_memory *memory, unsigned i)
{
	const struct page_region *region = &memory->layout.regions[i];

	if (!is_pool(memory, i) && page_region_is_ram(region))
		madvise(memory->at[i], region->size_bytes, MADV_HUGEPAGE);
	madvise(memory->at[i], region->size_bytes, MADV_DONTDUMP);
}

static int map_region(struct page_memory *memory, unsigned i, struct err *err)
{
	const struct page_region *region = &memory->layout.regions[i];
	bool own = memory->backing == PAGE_OWN, pool = is_pool(memory, i);
	auto_close int fd = own ? -1 : open_file(region, pool, err);
	void *at;

	if (fd < 0 && !own)
		return -1;
	at = map_aligned(memory, i, page_memory_mapping_flags(memory, i), fd);
	if (at == MAP_FAILED && pool && errno == ENOMEM)
		return page_pool_lacks(region->size_bytes, "set machine.hugepages to false", err);
	if (at == MAP_FAILED)
		return err_sys(err, ERR_HOST, errno, "mapping %llu KiB of guest memory",
		        (unsigned long long)(region->size_bytes >> 10));
	memory->at[i] = at;
	memory->fd[i] = take_fd(&fd);
	page_memory_advise(memory, i);
	return 0;
}

int page_memory_create(struct host *host, const struct page_layout *layout, enum page_backing backing,
        struct page_memory **ret_memory, struct err *err)
{
	struct page_memory *memory;

	if (backing == PAGE_POOL && !is_aligned(layout->low_bytes, PAGE_HUGE_BYTES))
		return err_set(err, ERR_USAGE, "machine.memory must be whole 2 MiB with machine.hugepages");
	if (page_memory_check(layout, err) < 0)
		return -1;
	memory = calloc(1, sizeof(*memory));
	if (!memory)
		return err_sys(err, ERR_FAILED, ENOMEM, "guest memory");
	memory->host = host;
	memory->layout = *layout;
	memory->backing = backing;
	for (unsigned i = 0; i < PAGE_LOCKS; i++)
		pthread_mutex_init(&memory->locks[i], NULL);
	for (unsigned i = 0; i < PAGE_REGIONS_MAX; i++)
		memory->fd[i] = memory->guest_memfd[i] = -1;
	memory->lease.fd = -1;
	for (unsigned i = 0; i < layout->count; i++) {
		if (map_region(memory, i, err) < 0) {
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
	page_written_finish(memory);
	page_lease_finish(memory);
	for (unsigned i = 0; i < memory->layout.count; i++) {
		if (memory->kept[i])
			host_munmap(memory->host, memory->kept[i],
			        memory->layout.regions[i].size_bytes + PAGE_HUGE_BYTES);
		if (memory->fd[i] >= 0)
			close(memory->fd[i]);
	}
	for (unsigned i = 0; i < PAGE_LOCKS; i++)
		pthread_mutex_destroy(&memory->locks[i]);
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

enum page_backing page_memory_backing(const struct page_memory *memory)
{
	return memory->backing;
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

		if (page_region_is_ram(region))
			ret_lent[count++] = (struct page_lent){
			        region->gpa, region->size_bytes, memory->at[i], memory->fd[i]};
	}
	return count;
}

int page_region_of_loan(
        const struct page_memory *memory, const void *loan, uint64_t size_bytes, uint64_t *ret_offset)
{
	for (unsigned i = 0; i < memory->layout.count; i++) {
		const struct page_region *region = &memory->layout.regions[i];
		uint64_t offset = (uint64_t)(uintptr_t)loan - (uint64_t)(uintptr_t)memory->at[i];

		if (page_region_is_ram(region) &&
		        range_fits(offset, size_bytes, page_region_bytes(memory, i))) {
			*ret_offset = offset;
			return (int)i;
		}
	}
	return -1;
}

int page_give_back(struct page_memory *memory, void *loan, uint64_t size_bytes)
{
	uint64_t page_bytes = memory->backing == PAGE_POOL ? PAGE_HUGE_BYTES : PAGE_SIZE_BYTES, offset, from,
	         to;
	int i = page_region_of_loan(memory, loan, size_bytes, &offset), result;

	if (i < 0)
		return -1;
	from = (offset + page_bytes - 1) & ~(page_bytes - 1);
	to = (offset + size_bytes) & ~(page_bytes - 1);
	if (from >= to)
		return 0;
	if (memory->backing == PAGE_OWN)
		result = madvise(memory->at[i] + from, to - from, MADV_DONTNEED);
	else
		result = host_fallocate(memory->host, memory->fd[i],
		        FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(to - from));
	page_written_mark(memory, (unsigned)i, from, to - from);
	return result;
}
