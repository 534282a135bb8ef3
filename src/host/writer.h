/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer: writes the trace's lines to a descriptor without waiting for its reader.
 */
#ifndef VMM_HOST_WRITER_H
#define VMM_HOST_WRITER_H

#include <stdbool.h>
#include <stddef.h>

struct host_writer {
	int fd;      /* borrowed */
	bool broken; /* lines were lost and the log has said so: nothing more is written */
	char *held;  /* lines that the reader has not taken yet, in order */
	size_t held_bytes, room_bytes;
	long long progress_ms; /* when the reader last took something, or when it was first given something */
};

/*
 * Makes fd non-blocking unless it is a regular file. The open file description of any other file must not be
 * shared.
 */
void host_writer_init(struct host_writer *w, int fd);
/*
 * Writes the held lines, for the end of the process: waits while the reader goes on taking something, and
 * gives up when it has taken nothing for HOST_WRITER_STALL_MS. Frees the writer's memory.
 */
void host_writer_finish(struct host_writer *w);
/* Writes as much as the reader takes at once and holds the rest. Never waits. */
void host_writer_put(struct host_writer *w, const char *text, size_t size);

/*
 * Is so much held that a caller that may wait should wait? If the reader has taken nothing for
 * HOST_WRITER_STALL_MS, the writer gives up, so that nobody waits any longer.
 */
bool host_writer_is_behind(struct host_writer *w);
/* Waits a short while for the reader to be ready. It reads only w->fd, so it needs no lock. */
void host_writer_wait(const struct host_writer *w);

#define HOST_WRITER_STALL_MS 5000

#endif
