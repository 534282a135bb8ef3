/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer: takes the trace's lines to a descriptor without making anybody wait for its reader.
 */
#ifndef VMM_HOST_WRITER_H
#define VMM_HOST_WRITER_H

#include <stdbool.h>
#include <stddef.h>

struct host_writer {
	int fd;      /* borrowed */
	bool broken; /* something was lost, and that was told: nothing more is written */
	char *held;  /* what the reader has not taken yet, in order */
	size_t held_bytes, room_bytes;
	long long progress_ms; /* when the reader last took something, or first had something to take */
};

/* Makes fd non-blocking unless it is a regular file; otherwise its open file description must not be shared.
 */
void host_writer_init(struct host_writer *w, int fd);
/*
 * Gives what is held a last chance: waits as long as the reader takes something, and at most
 * HOST_WRITER_STALL_MS without that. Frees what init and put made. For the end of the process.
 */
void host_writer_finish(struct host_writer *w);
/* Writes what the reader takes at once and holds the rest. Never waits. */
void host_writer_put(struct host_writer *w, const char *text, size_t size);

/*
 * Is so much held that whoever may wait should? Gives up, so that nobody waits any more, when the reader has
 * taken nothing for HOST_WRITER_STALL_MS.
 */
bool host_writer_is_behind(struct host_writer *w);
/* Waits a short while until the reader may take something. Does not look at *w but for fd: needs no lock. */
void host_writer_wait(const struct host_writer *w);

#define HOST_WRITER_STALL_MS 5000

#endif
