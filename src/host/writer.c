/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer: the trace's output. A reader that stops reading must not stop the main thread, nor a guest for
 * long, so lines that the reader does not take at once are held in memory. Callers hold the trace's lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base.h"

#include "writer.h"

#define BEHIND_BYTES   KIB(64)
#define HELD_MAX_BYTES MIB(4) /* far more than the main thread alone traces between two KVM_RUN */
#define WAIT_MS        50

static long long now_ms(void)
{
	return (long long)(clock_ns(CLOCK_MONOTONIC) / 1000000);
}

static void give_up(struct host_writer *w, const char *why)
{
	w->broken = true;
	w->held_bytes = 0;
	log_warn("the trace is incomplete: %s", why);
}

static void give_up_for_error(struct host_writer *w, int sys)
{
	struct err err;

	err_sys(&err, ERR_FAILED, sys, "a line could not be written%s",
	        sys == EFBIG ? " (is the size of files limited, ulimit -f?)" : "");
	give_up(w, err.text);
}

/*
 * Writes as much as the reader takes at once, even if a signal arrives meanwhile. Returns the number of
 * bytes.
 */
static size_t write_some(struct host_writer *w, const char *text, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = write(w->fd, text + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			give_up_for_error(w, errno);
		if (n < 0)
			break;
		done += (size_t)n;
	}
	if (done)
		w->progress_ms = now_ms();
	return done;
}

static void write_held(struct host_writer *w)
{
	size_t n = write_some(w, w->held, w->held_bytes);

	/*
	 * After a failure everything was dropped. If the reader took nothing, the megabytes that wait are not
	 * moved.
	 */
	if (w->broken || !n)
		return;
	w->held_bytes -= n;
	memmove(w->held, w->held + n, w->held_bytes);
}

static bool make_room(struct host_writer *w, size_t size)
{
	size_t room = w->room_bytes ?: BEHIND_BYTES;
	char *held;

	if (w->held_bytes + size > HELD_MAX_BYTES)
		return false;
	while (room < w->held_bytes + size)
		room *= 2;
	if (room == w->room_bytes)
		return true;
	held = realloc(w->held, room);
	if (!held)
		return false;
	w->held = held;
	w->room_bytes = room;
	return true;
}

static void hold(struct host_writer *w, const char *text, size_t size)
{
	if (!make_room(w, size)) {
		give_up(w, "its reader is too slow");
		return;
	}
	if (!w->held_bytes)
		w->progress_ms = now_ms();
	memcpy(w->held + w->held_bytes, text, size);
	w->held_bytes += size;
}

static bool is_stalled(const struct host_writer *w)
{
	return now_ms() - w->progress_ms >= HOST_WRITER_STALL_MS;
}

static void give_up_if_stalled(struct host_writer *w)
{
	if (w->held_bytes && is_stalled(w))
		give_up(w, "its reader has stopped reading");
}

void host_writer_init(struct host_writer *w, int fd)
{
	struct stat st;

	*w = (struct host_writer){.fd = fd};
	/*
	 * A regular file takes everything at once, and other processes may share its open file description.
	 */
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

void host_writer_put(struct host_writer *w, const char *text, size_t size)
{
	size_t done = 0;

	if (w->broken)
		return;
	if (w->held_bytes)
		write_held(w);
	if (!w->held_bytes && !w->broken)
		done = write_some(w, text, size);
	if (!w->broken && done < size)
		hold(w, text + done, size - done);
}

bool host_writer_is_behind(struct host_writer *w)
{
	if (w->held_bytes)
		write_held(w);
	if (w->held_bytes <= BEHIND_BYTES)
		return false;
	give_up_if_stalled(w);
	return w->held_bytes != 0;
}

void host_writer_wait(const struct host_writer *w)
{
	struct pollfd ready = {.fd = w->fd, .events = POLLOUT};

	poll(&ready, 1, WAIT_MS);
}

void host_writer_finish(struct host_writer *w)
{
	while (w->held_bytes) {
		host_writer_wait(w);
		write_held(w);
		give_up_if_stalled(w);
	}
	free(w->held);
}
