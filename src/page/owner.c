/* SPDX-License-Identifier: Apache-2.0 */
/*
 * owner: which pages of a confidential guest are its own (private) and which it shares: a record with a bit a
 * page, whose size no guest can change. A SEV-SNP guest's private pages are in a guest_memfd. KVM has the
 * same list as memory attributes; this one keeps devices away from what they could not read anyway. Of a SEV
 * or SEV-ES guest, which has its pages in one place, it only says what the guest reported. The record changes
 * under a lock and is read without it. Any thread. Law: api.rst, KVM_SET_MEMORY_ATTRIBUTES.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>

#include "memory.h"
#include "vmm/call.h"

#define WORD_PAGES 64

static uint64_t region_pages(const struct page_region *region)
{
	return region->size_bytes / PAGE_SIZE_BYTES;
}

int page_memory_keep_record(struct page_memory *memory, struct err *err)
{
	for (unsigned i = 0; i < memory->layout.count; i++) {
		uint64_t words = region_pages(&memory->layout.regions[i]) / WORD_PAGES + 1;

		memory->shared[i] = calloc(words, sizeof(*memory->shared[i]));
		if (!memory->shared[i])
			return err_sys(err, ERR_FAILED, ENOMEM, "the list of the guest's shared pages");
	}
	return 0;
}

bool page_memory_has_record(const struct page_memory *memory)
{
	return memory->shared[0];
}

int page_memory_make_private(struct page_memory *memory, int vm_fd, struct err *err)
{
	if (page_memory_keep_record(memory, err) < 0)
		return -1;
	memory->vm_fd = vm_fd;
	for (unsigned i = 0; i < memory->layout.count; i++) {
		const struct page_region *region = &memory->layout.regions[i];

		/*
		 * Little of this memory is ever shared, a page here and there. A huge page for each of them
		 * would take much of the guest's size a second time.
		 */
		madvise(memory->at[i], region->size_bytes, MADV_NOHUGEPAGE);
		if (call_vm_create_guest_memfd(
		            memory->host, vm_fd, region->size_bytes, &memory->guest_memfd[i], err) < 0)
			return -1;
	}
	return 0;
}

int page_memory_guest_memfd(const struct page_memory *memory, unsigned i)
{
	return memory->guest_memfd[i];
}

/* The bits of pages [page, end) that lie in the word of the first one, and how many these are. */
static uint64_t word_bits(uint64_t page, uint64_t end, uint64_t *ret_count)
{
	uint64_t first = page % WORD_PAGES, left = end - page;
	uint64_t count = left < WORD_PAGES - first ? left : WORD_PAGES - first;

	*ret_count = count;
	return (count == WORD_PAGES ? UINT64_MAX : (UINT64_C(1) << count) - 1) << first;
}

/*
 * Are all pages of a part of region i private, or all of them shared? Whole words at once: a device asks for
 * buffers whose length the guest chose.
 */
static bool is_all(
        const struct page_memory *memory, unsigned i, uint64_t offset, uint64_t size_bytes, bool private)
{
	uint64_t page = offset / PAGE_SIZE_BYTES,
	         end = (offset + size_bytes + PAGE_SIZE_BYTES - 1) / PAGE_SIZE_BYTES;

	while (page < end) {
		uint64_t count, bits = word_bits(page, end, &count),
		                word = atomic_load_explicit(
		                        &memory->shared[i][page / WORD_PAGES], memory_order_relaxed);

		if ((word & bits) != (private ? 0 : bits))
			return false;
		page += count;
	}
	return true;
}

bool page_is_shared(const struct page_memory *memory, unsigned i, uint64_t offset, uint64_t size_bytes)
{
	return memory->guest_memfd[i] < 0 || is_all(memory, i, offset, size_bytes, false);
}

/* The part of a range that is memory of region i: false if there is none. */
static bool part_in(const struct page_memory *memory, unsigned i, struct gpa start, uint64_t size_bytes,
        uint64_t *ret_from, uint64_t *ret_to)
{
	struct gpa first = memory->layout.regions[i].gpa;
	uint64_t end = start.raw + size_bytes, limit = first.raw + page_region_bytes(memory, i);

	*ret_from = start.raw > first.raw ? start.raw : first.raw;
	*ret_to = end < limit ? end : limit;
	return *ret_from < *ret_to;
}

/* While a conversion is under way the list may differ from KVM's. The conversion holds the lock. */
bool page_is_already(struct page_memory *memory, struct gpa start, uint64_t size_bytes, bool private)
{
	bool already = true;
	uint64_t from, to;

	pthread_mutex_lock(&memory->lock);
	for (unsigned i = 0; i < memory->layout.count; i++) {
		const struct page_region *region = &memory->layout.regions[i];

		if (memory->shared[i] && part_in(memory, i, start, size_bytes, &from, &to) &&
		        !is_all(memory, i, from - region->gpa.raw, to - from, private))
			already = false;
	}
	pthread_mutex_unlock(&memory->lock);
	return already;
}

void page_memory_count(const struct page_memory *memory, uint64_t *ret_private, uint64_t *ret_shared)
{
	uint64_t all = 0, shared = 0;

	for (unsigned i = 0; i < memory->layout.count; i++) {
		uint64_t pages = page_region_bytes(memory, i) / PAGE_SIZE_BYTES;

		if (!page_region_is_ram(&memory->layout.regions[i]))
			continue;
		all += pages;
		for (uint64_t word = 0; memory->shared[i] && word < pages / WORD_PAGES + 1; word++)
			shared += (unsigned)__builtin_popcountll(
			        atomic_load_explicit(&memory->shared[i][word], memory_order_relaxed));
	}
	*ret_shared = shared * PAGE_SIZE_BYTES;
	*ret_private = (all - shared) * PAGE_SIZE_BYTES;
}

/* Whole words at once where the range has them: all of RAM may change hands in one go. */
static void mark(struct page_memory *memory, unsigned i, uint64_t offset, uint64_t size_bytes, bool private)
{
	uint64_t page = offset / PAGE_SIZE_BYTES, end = page + size_bytes / PAGE_SIZE_BYTES;

	while (page < end) {
		uint64_t count, bits = word_bits(page, end, &count);

		if (private)
			atomic_fetch_and(&memory->shared[i][page / WORD_PAGES], ~bits);
		else
			atomic_fetch_or(&memory->shared[i][page / WORD_PAGES], bits);
		page += count;
	}
}

/*
 * Gives the backing that a range no longer uses back to the host; otherwise the guest would use its memory
 * twice. Huge pages cannot be given back in parts.
 */
static int free_other(struct page_memory *memory, unsigned i, uint64_t offset, uint64_t size_bytes,
        bool private, struct err *err)
{
	int fd = private ? memory->fd[i] : memory->guest_memfd[i];

	if (memory->guest_memfd[i] < 0 || fd < 0 || (private && memory->backing == PAGE_POOL))
		return 0;
	if (host_fallocate(memory->host, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
	            (off_t)size_bytes) < 0)
		return err_sys(err, ERR_FAILED, errno, "giving back %llu KiB of guest memory",
		        (unsigned long long)(size_bytes >> 10));
	return 0;
}

/* Tells KVM which backing a range uses. A SEV or SEV-ES guest has one for all its pages. */
static int choose_backing(struct page_memory *memory, unsigned i, uint64_t start, uint64_t size_bytes,
        bool private, struct err *err)
{
	if (memory->guest_memfd[i] < 0)
		return 0;
	return call_vm_set_attributes(memory->host, memory->vm_fd, start, size_bytes,
	        private ? UAPI_MEMORY_ATTRIBUTE_PRIVATE : 0, err);
}

static int convert_piece(struct page_memory *memory, unsigned i, uint64_t start, uint64_t size_bytes,
        bool private, struct err *err)
{
	uint64_t offset = start - memory->layout.regions[i].gpa.raw;
	int result;

	/*
	 * A page leaves the list of shared pages before it becomes private, and enters it after it has become
	 * shared, so that a device never uses a page that it cannot read.
	 */
	pthread_mutex_lock(&memory->lock);
	if (private)
		mark(memory, i, offset, size_bytes, true);
	result = choose_backing(memory, i, start, size_bytes, private, err);
	if (result == 0 && !private)
		mark(memory, i, offset, size_bytes, false);
	if (result == 0)
		result = free_other(memory, i, offset, size_bytes, private, err);
	pthread_mutex_unlock(&memory->lock);
	return result;
}

/*
 * The end of the part of [from, to) that is converted before the next look whether the guest is being ended.
 */
static uint64_t piece_end(uint64_t from, uint64_t to)
{
	uint64_t end = (from / PAGE_CONVERT_BYTES + 1) * PAGE_CONVERT_BYTES;

	return end < to ? end : to;
}

static int convert_in_region(
        struct page_memory *memory, unsigned i, uint64_t from, uint64_t to, bool private, struct err *err)
{
	for (uint64_t end; from < to; from = end) {
		end = piece_end(from, to);
		if (page_memory_is_stopped(memory))
			return err_set(err, ERR_FAILED, "the guest is being ended");
		if (convert_piece(memory, i, from, end - from, private, err) < 0)
			return -1;
	}
	return 0;
}

int page_convert(
        struct page_memory *memory, struct gpa start, uint64_t size_bytes, bool private, struct err *err)
{
	uint64_t from, to;

	for (unsigned i = 0; i < memory->layout.count; i++) {
		if (memory->shared[i] && part_in(memory, i, start, size_bytes, &from, &to) &&
		        convert_in_region(memory, i, from, to, private, err) < 0)
			return -1;
	}
	return 0;
}

void page_memory_finish_private(struct page_memory *memory)
{
	for (unsigned i = 0; i < memory->layout.count; i++) {
		host_close(memory->host, memory->guest_memfd[i]);
		free(memory->shared[i]);
	}
}
