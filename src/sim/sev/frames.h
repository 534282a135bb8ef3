/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frames: pages of memory for what guests wrote privately (frames.c explains). No locks: the owner of a
 * struct sev_frames has one.
 */
#ifndef SEV_FRAMES_H
#define SEV_FRAMES_H

#include <stddef.h>
#include <stdint.h>

/* What a free frame and a chunk of frames begin with. */
struct sev_frame_link {
	struct sev_frame_link *next;
};

struct sev_frames {
	struct sev_frame_link *chunks; /* the newest first */
	size_t left;                   /* frames of the newest chunk that were never taken */
	struct sev_frame_link *free;
};

/* Returns a frame of 4,096 bytes, which is aligned and holds zeros. NULL: no memory is left. */
uint8_t *sev_frame_take(struct sev_frames *frames);
/* Wipes a frame and takes it back. NULL is allowed. */
void sev_frame_put(struct sev_frames *frames, uint8_t *frame);
/* Wipes and frees all frames, those that were not given back, too. */
void sev_frames_finish(struct sev_frames *frames);

#endif
