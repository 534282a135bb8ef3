/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frames: pages of memory for what guests wrote privately. No other part of the program has an address of
 * them. They lie in mappings of their own, which no core dump and no child of fork() gets, and they are wiped
 * before they are free.
 */
#include <sys/mman.h>

#include "frames.h"
#include "vmm/base.h"

#define CHUNK_FRAMES 64u
#define CHUNK_BYTES  ((size_t)CHUNK_FRAMES * PAGE_SIZE_BYTES)

static void push(struct sev_frame_link **list, void *at)
{
	struct sev_frame_link *link = at;

	link->next = *list;
	*list = link;
}

static void *pop(struct sev_frame_link **list)
{
	struct sev_frame_link *link = *list;

	if (link) {
		*list = link->next;
		link->next = NULL;
	}
	return link;
}

/* The first frame of a chunk is for the list of chunks. */
static bool add_chunk(struct sev_frames *frames)
{
	void *chunk = mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (chunk == MAP_FAILED)
		return false;
	madvise(chunk, CHUNK_BYTES, MADV_DONTDUMP);
	madvise(chunk, CHUNK_BYTES, MADV_DONTFORK);
	push(&frames->chunks, chunk);
	frames->left = CHUNK_FRAMES - 1;
	return true;
}

uint8_t *sev_frame_take(struct sev_frames *frames)
{
	uint8_t *frame = pop(&frames->free);

	if (frame || (!frames->left && !add_chunk(frames)))
		return frame;
	return (uint8_t *)frames->chunks + (size_t)PAGE_SIZE_BYTES * (CHUNK_FRAMES - frames->left--);
}

void sev_frame_put(struct sev_frames *frames, uint8_t *frame)
{
	if (!frame)
		return;
	crypto_wipe(frame, PAGE_SIZE_BYTES);
	push(&frames->free, frame);
}

void sev_frames_finish(struct sev_frames *frames)
{
	for (void *chunk = pop(&frames->chunks); chunk; chunk = pop(&frames->chunks)) {
		crypto_wipe(chunk, CHUNK_BYTES);
		munmap(chunk, CHUNK_BYTES);
	}
	*frames = (struct sev_frames){0};
}
