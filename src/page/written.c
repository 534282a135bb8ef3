/* SPDX-License-Identifier: Apache-2.0 */
/*
 * written: which frames vmm itself wrote. KVM's log knows nothing of these writes (api.rst,
 * KVM_GET_DIRTY_LOG). Any thread writes; one thread collects.
 *
 * A frame's bit is set after its bytes were stored, and a collector clears it before it reads the bytes. Both
 * are atomic read-modify-writes of one word, so one comes before the other: either the collector finds the
 * bit, and then it sees the bytes, or the bit is set after it was cleared, and the next collection finds it.
 * Therefore the bit is written also where it is set already: a writer that only looked could see a bit that
 * is just being cleared, and its bytes would be lost. Whoever makes a write known to the guest does so after
 * the bit is set, so at a stop no known write lacks its bit.
 */
#include <errno.h>

#include "memory.h"
#include "vmm/page/dirty.h"

#define WORD_FRAMES 64u

struct page_written {
	_Atomic uint64_t *words[PAGE_REGIONS_MAX]; /* of each region, as in dirty.c */
};

static uint64_t word_count(const struct page_region *region)
{
	return region->size_bytes / PAGE_SIZE_BYTES / WORD_FRAMES + 1;
}

static void destroy(struct page_written *written)
{
	for (unsigned i = 0; written && i < PAGE_REGIONS_MAX; i++)
		free(written->words[i]);
	free(written);
}

static int create(struct page_memory *memory, struct err *err)
{
	struct page_written *written = calloc(1, sizeof(*written));

	for (unsigned i = 0; written && i < memory->layout.count; i++) {
		written->words[i] =
		        calloc(word_count(&memory->layout.regions[i]), sizeof(*written->words[i]));
		if (!written->words[i]) {
			destroy(written);
			written = NULL;
		}
	}
	if (!written)
		return err_sys(err, ERR_FAILED, ENOMEM, "record of what vmm writes");
	memory->written = written;
	return 0;
}

/* A writer may still use the bitmaps after the record was switched off, so they stay until the memory ends.
 */
int page_memory_track(struct page_memory *memory, bool on, struct err *err)
{
	if (on && !memory->written && create(memory, err) < 0)
		return -1;
	for (unsigned i = 0; on && i < memory->layout.count; i++) {
		for (uint64_t n = word_count(&memory->layout.regions[i]); n--;) {
			if (atomic_load_explicit(&memory->written->words[i][n], memory_order_relaxed))
				atomic_store(&memory->written->words[i][n], 0);
		}
	}
	atomic_store(&memory->tracked, on ? memory->written : NULL);
	return 0;
}

void page_written_mark(struct page_memory *memory, unsigned i, uint64_t offset, uint64_t size_bytes)
{
	struct page_written *written;
	uint64_t frame = offset / PAGE_SIZE_BYTES, end = (offset + size_bytes - 1) / PAGE_SIZE_BYTES + 1;

#ifndef __SANITIZE_THREAD__ /* which does not know fences */
	/* Either whoever switched the record on sees the bytes, or this thread sees that it is on. */
	atomic_thread_fence(memory_order_seq_cst);
#endif
	written = atomic_load_explicit(&memory->tracked, memory_order_acquire);
	if (!written || !size_bytes)
		return;
	while (frame < end) {
		uint64_t first = frame % WORD_FRAMES, left = end - frame;
		uint64_t bits = left < WORD_FRAMES - first ? (UINT64_C(1) << left) - 1 : ~UINT64_C(0);

		atomic_fetch_or_explicit(
		        &written->words[i][frame / WORD_FRAMES], bits << first, memory_order_release);
		frame += WORD_FRAMES - first;
	}
}

void page_wrote(struct page_memory *memory, const void *loan, uint64_t size_bytes)
{
	uint64_t offset = 0;
	int i = page_region_of_loan(memory, loan, size_bytes, &offset);

	if (i >= 0)
		page_written_mark(memory, (unsigned)i, offset, size_bytes);
}

void page_memory_collect_written(struct page_memory *memory, struct page_dirty *into)
{
	struct page_written *written = memory->written;

	for (unsigned i = 0; written && i < memory->layout.count; i++) {
		const struct page_region *region = &memory->layout.regions[i];

		for (uint64_t n = 0; n < word_count(region); n++) {
			uint64_t bits = 0;

			/* A bit that is missed here is set at the moment, and is found next time. */
			if (!atomic_load_explicit(&written->words[i][n], memory_order_relaxed))
				continue;
			bits = atomic_exchange_explicit(&written->words[i][n], 0, memory_order_acquire);
			page_dirty_add(into, region->gpa.raw / PAGE_SIZE_BYTES + n * WORD_FRAMES, WORD_FRAMES,
			        &bits);
		}
	}
}

void page_written_finish(struct page_memory *memory)
{
	destroy(memory->written);
}
