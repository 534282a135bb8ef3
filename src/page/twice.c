/* SPDX-License-Identifier: Apache-2.0 */
/*
 * twice: which pages of a SEV-SNP guest take memory twice. A guest has a second backing for its private
 * pages, the guest_memfd, which does not say what it holds: it has no lseek(), and counts no blocks. The
 * memfd of the shared pages does. So this finds the private pages that have memory there, too. A page gets
 * there when something writes to its place in the memfd while it is private: the launch, or a vhost back end.
 * What a page had in the guest_memfd was given back when it became shared (page_convert()), or that
 * conversion failed.
 *
 * It is told as unknown where the file does not know its holes. Main thread. Law: lseek(2), SEEK_DATA.
 */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"

/* A guest can make as many holes as it has pages. This many are looked at, in some milliseconds. */
#define EXTENTS_MAX 4096u

struct walk {
	const struct page_memory *memory;
	struct page_twice *found;
	unsigned extents;
};

/* Notes the private pages in [first, end), all of which have memory in the memfd. */
static void note_private(struct walk *walk, uint64_t first, uint64_t end)
{
	struct page_twice *found = walk->found;
	struct page_range shared;

	while (first < end) {
		if (!page_range_map_get(walk->memory->shared, first, end, &shared, 1))
			shared = (struct page_range){end, end};
		if (shared.first > first) {
			found->pages += shared.first - first;
			if (found->count < PAGE_TWICE_SHOWN)
				found->ranges[found->count++] = (struct page_range){first, shared.first};
		}
		first = shared.end;
	}
}

/*
 * Walks through the parts of a region's file that have memory. Returns how many bytes they have in all, or -1
 * if there are too many, or the file does not tell.
 */
static int64_t walk_region(struct walk *walk, unsigned i)
{
	const struct page_region *region = &walk->memory->layout.regions[i];
	uint64_t base = region->gpa.raw / PAGE_SIZE_BYTES;
	off_t size = (off_t)page_region_bytes(walk->memory, i), data = 0, hole = 0;
	int64_t bytes = 0;

	while (hole < size && (data = lseek(walk->memory->fd[i], hole, SEEK_DATA)) >= 0 && data < size) {
		hole = lseek(walk->memory->fd[i], data, SEEK_HOLE);
		if (hole <= data || ++walk->extents > EXTENTS_MAX)
			return -1;
		hole = hole < size ? hole : size;
		bytes += hole - data;
		note_private(walk, base + (uint64_t)data / PAGE_SIZE_BYTES,
		        base + (uint64_t)hole / PAGE_SIZE_BYTES);
	}
	return hole < size && data < 0 && errno != ENXIO ? -1 : bytes;
}

/*
 * A file system that knows no holes calls all of a file data. Then it has fewer blocks than that. Pages that
 * came or went meanwhile may look the same, and are told when they are asked for again.
 */
static bool look_at(struct walk *walk, unsigned i)
{
	int64_t bytes = walk_region(walk, i);
	struct stat st;

	return bytes >= 0 && fstat(walk->memory->fd[i], &st) == 0 && bytes <= (int64_t)st.st_blocks * 512;
}

void page_memory_twice(const struct page_memory *memory, struct page_twice *ret_twice)
{
	struct walk walk = {.memory = memory, .found = ret_twice};

	*ret_twice = (struct page_twice){
	        .known = memory->shared && memory->guest_memfd[0] >= 0 && memory->backing == PAGE_SHARED};
	for (unsigned i = 0; i < memory->layout.count && ret_twice->known; i++)
		ret_twice->known = look_at(&walk, i);
}
