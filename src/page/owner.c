/* SPDX-License-Identifier: Apache-2.0 */
/*
 * owner: which pages of a confidential guest are its own (private) and which it shares: a map of shared
 * ranges, whose size has a bound. A SEV-SNP guest's private pages are in a guest_memfd. KVM has the same list
 * as memory attributes; this one keeps devices away from what they could not read anyway. Of a SEV or SEV-ES
 * guest, which has its pages in one place, it only says what the guest reported. The map is read without a
 * lock. Any thread. Law: api.rst, KVM_SET_MEMORY_ATTRIBUTES.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>

#include "memory.h"
#include "vmm/call.h"

/* A part of region i as frames of the map: whole pages that hold it. */
static struct page_range frames_of(
        const struct page_memory *memory, unsigned i, uint64_t offset, uint64_t size_bytes)
{
	uint64_t start = memory->layout.regions[i].gpa.raw + offset;

	return (struct page_range){
	        start / PAGE_SIZE_BYTES, (start + size_bytes + PAGE_SIZE_BYTES - 1) / PAGE_SIZE_BYTES};
}

int page_memory_keep_record(struct page_memory *memory, uint32_t ranges_max, struct err *err)
{
	const struct page_region *last = &memory->layout.regions[memory->layout.count - 1];

	memory->ranges_max = ranges_max;
	return page_range_map_create(
	        (last->gpa.raw + last->size_bytes) / PAGE_SIZE_BYTES, ranges_max, &memory->shared, err);
}

int page_memory_count_flips(struct page_memory *memory, uint32_t storm, struct err *err)
{
	return page_flips_create(clock_ns(CLOCK_MONOTONIC), storm, &memory->flips, err);
}

struct page_flips *page_memory_flips(const struct page_memory *memory)
{
	return memory->flips;
}

bool page_memory_has_record(const struct page_memory *memory)
{
	return memory->shared;
}

int page_memory_make_private(struct page_memory *memory, int vm_fd, uint32_t ranges_max, struct err *err)
{
	if (page_memory_keep_record(memory, ranges_max, err) < 0)
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

/* Are all pages of a part of region i private, or all of them shared? */
static bool is_all(
        const struct page_memory *memory, unsigned i, uint64_t offset, uint64_t size_bytes, bool private)
{
	struct page_range frames = frames_of(memory, i, offset, size_bytes);

	return page_range_map_is(memory->shared, frames.first, frames.end, !private);
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

uint64_t page_memory_bytes_in(const struct page_memory *memory, struct gpa start, uint64_t size_bytes)
{
	uint64_t from, to, bytes = 0;

	for (unsigned i = 0; i < memory->layout.count; i++) {
		if (part_in(memory, i, start, size_bytes, &from, &to))
			bytes += to - from;
	}
	return bytes;
}

/*
 * The end of the part of [from, to) for which locks are held at once. Between two such parts a conversion
 * looks whether the guest is being ended.
 */
static uint64_t piece_end(uint64_t from, uint64_t to)
{
	uint64_t end = (from / PAGE_CONVERT_BYTES + 1) * PAGE_CONVERT_BYTES;

	return end < to ? end : to;
}

/* A piece begins at the first of the locks, or behind it, and ends at the last, at most: so they ascend. */
_Static_assert(PAGE_LOCKS *PAGE_LOCK_BYTES % PAGE_CONVERT_BYTES == 0, "no piece goes round");

static void lock_piece(struct page_memory *memory, uint64_t from, uint64_t end)
{
	for (uint64_t n = from / PAGE_LOCK_BYTES; n * PAGE_LOCK_BYTES < end; n++)
		pthread_mutex_lock(&memory->locks[n % PAGE_LOCKS]);
}

static void unlock_piece(struct page_memory *memory, uint64_t from, uint64_t end)
{
	for (uint64_t n = from / PAGE_LOCK_BYTES; n * PAGE_LOCK_BYTES < end; n++)
		pthread_mutex_unlock(&memory->locks[n % PAGE_LOCKS]);
}

/* While a conversion is under way the list may differ from KVM's. The conversion holds the locks. */
static bool is_already_in(struct page_memory *memory, unsigned i, uint64_t from, uint64_t to, bool private)
{
	uint64_t base = memory->layout.regions[i].gpa.raw;
	bool already = true;

	for (uint64_t end; from < to && already; from = end) {
		end = piece_end(from, to);
		lock_piece(memory, from, end);
		already = is_all(memory, i, from - base, end - from, private);
		unlock_piece(memory, from, end);
	}
	return already;
}

bool page_is_already(struct page_memory *memory, struct gpa start, uint64_t size_bytes, bool private)
{
	uint64_t from, to;

	for (unsigned i = 0; i < memory->layout.count; i++) {
		if (part_in(memory, i, start, size_bytes, &from, &to) &&
		        !is_already_in(memory, i, from, to, private))
			return false;
	}
	return true;
}

bool page_record_next(struct page_record_walk *walk, struct page_range *ret_range)
{
	bool more = walk->at < walk->count;

	if (!more && walk->next < walk->end) {
		walk->at = 0;
		walk->count = page_range_map_get(
		        walk->memory->shared, walk->next, walk->end, walk->found, ARRAY_LEN(walk->found));
		more = walk->count > 0;
	}
	if (!more) {
		walk->next = walk->end;
		return false;
	}
	*ret_range = walk->found[walk->at++];
	walk->next = ret_range->end + 1;
	return true;
}

static uint64_t count_shared(const struct page_memory *memory, struct page_range frames)
{
	struct page_record_walk walk = {.memory = memory, .next = frames.first, .end = frames.end};
	struct page_range range;
	uint64_t pages = 0;

	while (page_record_next(&walk, &range))
		pages += range.end - range.first;
	return pages;
}

void page_memory_count(const struct page_memory *memory, uint64_t *ret_private, uint64_t *ret_shared)
{
	uint64_t all = 0, shared = 0;

	for (unsigned i = 0; i < memory->layout.count; i++) {
		uint64_t size_bytes = page_region_bytes(memory, i);

		if (!page_region_is_ram(&memory->layout.regions[i]))
			continue;
		all += size_bytes;
		shared += count_shared(memory, frames_of(memory, i, 0, size_bytes)) * PAGE_SIZE_BYTES;
	}
	*ret_shared = shared;
	*ret_private = all - shared;
}

void page_record_count(struct page_memory *memory, struct page_record *ret_record)
{
	uint64_t pages;

	*ret_record = (struct page_record){
	        .ranges_max = memory->ranges_max, .refused = atomic_load(&memory->refused)};
	ret_record->generation = page_range_map_generation(memory->shared);
	page_range_map_count(memory->shared, &ret_record->ranges, &pages);
	ret_record->complete = page_range_map_is_complete(memory->shared, &ret_record->doubt);
	if (memory->flips)
		ret_record->flips = page_flips_count(memory->flips, clock_ns(CLOCK_MONOTONIC));
}

/*
 * Gives the backing that a range no longer uses back to the host; otherwise the guest would use its memory
 * twice. Huge pages cannot be given back in parts.
 */
static int free_other(struct page_memory *memory, unsigned i, uint64_t offset, uint64_t size_bytes,
        bool private, struct err *err)
{
	int fd = private ? memory->fd[i] : memory->guest_memfd[i];

	if (fd < 0 || (private && memory->backing == PAGE_POOL))
		return 0;
	if (host_fallocate(memory->host, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
	            (off_t)size_bytes) < 0)
		return err_sys(err, ERR_FAILED, errno, "giving back %llu KiB of guest memory",
		        (unsigned long long)(size_bytes >> 10));
	return 0;
}

/* Tells KVM which backing a range uses. */
static int choose_backing(
        struct page_memory *memory, uint64_t start, uint64_t size_bytes, bool private, struct err *err)
{
	return call_vm_set_attributes(memory->host, memory->vm_fd, start, size_bytes,
	        private ? UAPI_MEMORY_ATTRIBUTE_PRIVATE : 0, err);
}

/* Returns whether the map took the change. It had no room, if not. */
static bool mark(struct page_memory *memory, struct page_range frames, bool private)
{
	return page_range_map_set(memory->shared, frames.first, frames.end, !private) <= PAGE_RANGE_SAME;
}

/*
 * A page leaves the map before it becomes private, and enters it after it has become shared, so that a device
 * never uses a page that it cannot read. The locks of the range are held.
 */
static int change_hands(struct page_memory *memory, unsigned i, uint64_t start, uint64_t size_bytes,
        bool private, struct err *err)
{
	uint64_t offset = start - memory->layout.regions[i].gpa.raw;
	struct page_range frames = frames_of(memory, i, offset, size_bytes);

	if (private && !mark(memory, frames, true))
		return PAGE_CONVERT_REFUSED;
	if (choose_backing(memory, start, size_bytes, private, err) < 0)
		return -1;
	if (!private && !mark(memory, frames, false))
		return choose_backing(memory, start, size_bytes, true, err) < 0 ? -1 : PAGE_CONVERT_REFUSED;
	return free_other(memory, i, offset, size_bytes, private, err);
}

/* A SEV or SEV-ES guest has one backing for all its pages. If it is refused, it may go on all the same. */
static int report(struct page_memory *memory, unsigned i, uint64_t start, uint64_t size_bytes, bool private)
{
	struct page_range frames =
	        frames_of(memory, i, start - memory->layout.regions[i].gpa.raw, size_bytes);

	if (mark(memory, frames, private))
		return 0;
	page_range_map_doubt(memory->shared, frames.first, frames.end);
	return PAGE_CONVERT_REFUSED;
}

/*
 * Another owner gives a page other contents. It is marked as written after the record says whose it is, so
 * whoever collects the mark finds the new owner.
 */
static int convert_piece(struct page_memory *memory, unsigned i, uint64_t start, uint64_t size_bytes,
        bool private, struct err *err)
{
	int result;

	if (memory->guest_memfd[i] < 0) {
		result = report(memory, i, start, size_bytes, private);
	} else {
		lock_piece(memory, start, start + size_bytes);
		result = change_hands(memory, i, start, size_bytes, private, err);
		unlock_piece(memory, start, start + size_bytes);
	}
	page_written_mark(memory, i, start - memory->layout.regions[i].gpa.raw, size_bytes);
	return result;
}

static int convert_in_region(
        struct page_memory *memory, unsigned i, uint64_t from, uint64_t to, bool private, struct err *err)
{
	for (uint64_t end; from < to; from = end) {
		int result;

		end = piece_end(from, to);
		if (page_memory_is_stopped(memory))
			return err_set(err, ERR_FAILED, "the guest is being ended");
		result = convert_piece(memory, i, from, end - from, private, err);
		if (result != 0)
			return result;
	}
	return 0;
}

int page_convert(
        struct page_memory *memory, struct gpa start, uint64_t size_bytes, bool private, struct err *err)
{
	uint64_t from, to, left = size_bytes;
	int result = 0;

	for (unsigned i = 0; i < memory->layout.count && left && result == 0; i++) {
		if (!part_in(memory, i, start, size_bytes, &from, &to))
			continue;
		result = convert_in_region(memory, i, from, to, private, err);
		left -= to - from;
	}
	if (result == PAGE_CONVERT_REFUSED)
		atomic_fetch_add(&memory->refused, 1);
	if (result == 0 && left)
		page_devices_mark(memory, start, size_bytes, private);
	return result;
}

void page_memory_finish_private(struct page_memory *memory)
{
	for (unsigned i = 0; i < memory->layout.count; i++)
		host_close(memory->host, memory->guest_memfd[i]);
	page_range_map_destroy(memory->shared);
	page_range_map_destroy(memory->devices);
	page_flips_destroy(memory->flips);
}
