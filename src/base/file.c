/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file: reads the whole of a file, a pipe or the standard input, with an error that says what to do. Any
 * thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "vmm/base.h"

#define FIRST_BYTES 4096u /* the first size of the buffer when the file's size is not known */
#define WAIT_MS     100   /* between two checks for signals while a pipe is empty */

struct buffer {
	uint8_t *data;
	size_t size, room;
};

/* The bytes may be a key, so the memory that held them is wiped before it is freed. */
static void buffer_finish(struct buffer *b)
{
	if (b->data)
		crypto_wipe(b->data, b->room);
	free(b->data);
	*b = (struct buffer){0};
}

/* Makes room for at least one more byte; room never exceeds max + 1. */
static bool buffer_grow(struct buffer *b, size_t max)
{
	struct buffer larger = {.size = b->size, .room = b->room ? 2 * b->room : FIRST_BYTES};

	if (b->room > max / 2 || larger.room > max)
		larger.room = max + 1;
	larger.data = malloc(larger.room);
	if (!larger.data)
		return false;
	if (b->size)
		memcpy(larger.data, b->data, b->size);
	buffer_finish(b);
	*b = larger;
	return true;
}

/* During a launch the signals that end vmm are blocked, so a read that waits must look for them itself. */
static bool asked_to_end(void)
{
	sigset_t pending;

	return sigpending(&pending) == 0 &&
	       (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1 ||
	               sigismember(&pending, SIGHUP) == 1);
}

/*
 * Waits until a pipe has bytes or its last writer has closed it. If a FIFO has no writer yet, this waits for
 * one.
 */
static int wait_for_bytes(int fd, const char *name, struct err *err)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int ready;

	while ((ready = poll(&p, 1, WAIT_MS)) <= 0) {
		if (ready < 0 && errno != EINTR && errno != EAGAIN)
			return err_sys(err, ERR_USAGE, errno, "%s: vmm cannot wait for its bytes", name);
		if (asked_to_end())
			return err_set(err, ERR_FAILED, "%s: a signal ended the wait for its bytes", name);
	}
	return 0;
}

/*
 * Reads to the end and ignores the size that the file claims: files of /proc and configfs claim a size of 0.
 */
static int read_to_end(int fd, const char *name, bool waits, size_t max, struct buffer *b, struct err *err)
{
	while (b->size <= max) {
		ssize_t n;

		if (b->size == b->room && !buffer_grow(b, max))
			return err_sys(err, ERR_FAILED, ENOMEM, "%s: no memory for its bytes", name);
		if (waits && wait_for_bytes(fd, name, err) < 0)
			return -1;
		n = read(fd, b->data + b->size, b->room - b->size);
		if (n == 0)
			return 0;
		if (n > 0)
			b->size += (size_t)n;
		else if (errno != EINTR && errno != EAGAIN)
			return err_sys(err, ERR_USAGE, errno, "%s: cannot be read", name);
	}
	return err_set(
	        err, ERR_USAGE, "%s: has more than %zu bytes, the limit; is it the right file?", name, max);
}

static bool is_source(mode_t mode)
{
	return S_ISREG(mode) || S_ISFIFO(mode) || S_ISSOCK(mode);
}

static int examine(int fd, const char *name, size_t max, struct stat *ret_st, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, ERR_USAGE, errno, "%s: cannot be examined", name);
	if (!is_source(st.st_mode))
		return err_set(err, ERR_USAGE, "%s: is %s, a regular file or a pipe is needed", name,
		        S_ISDIR(st.st_mode) ? "a directory"
		        : isatty(fd)        ? "a terminal"
		                            : "a device");
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > max)
		return err_set(err, ERR_USAGE, "%s: has %lld bytes, the limit is %zu; is it the right file?",
		        name, (long long)st.st_size, max);
	*ret_st = st;
	return 0;
}

const char *file_name(const char *path)
{
	return strcmp(path, "-") == 0 ? "standard input" : path;
}

/*
 * Is the file certainly an empty regular file? A size of 0 proves nothing on /proc, /sys and configfs: these
 * file systems have no blocks, and give size 0 to files in which a read finds bytes.
 */
static bool is_empty(const char *path, bool is_stdin, const struct stat *st)
{
	struct statfs fs;

	if (!S_ISREG(st->st_mode) || st->st_size > 0)
		return false;
	return (is_stdin ? fstatfs(STDIN_FILENO, &fs) : statfs(path, &fs)) == 0 && fs.f_blocks > 0;
}

const char *file_why_unreadable(const char *path)
{
	bool is_stdin = file_name(path) != path;
	struct stat st;

	if ((is_stdin ? fstat(STDIN_FILENO, &st) : stat(path, &st)) < 0)
		return strerrordesc_np(errno);
	if (S_ISDIR(st.st_mode))
		return "it is a directory, a file is needed";
	if (!is_source(st.st_mode))
		return "it is a device, a regular file or a pipe is needed";
	/* open(2) of a socket fails with ENXIO, also through /dev/fd/N. */
	if (!is_stdin && S_ISSOCK(st.st_mode))
		return "it is a socket, which can only be read as the standard input; a regular file or a "
		       "pipe is needed";
	if (!is_stdin && access(path, R_OK) < 0)
		return strerrordesc_np(errno);
	return is_empty(path, is_stdin, &st) ? "it is empty" : NULL;
}

int file_read_all(const char *path, size_t max, void **ret_data, size_t *ret_size, struct err *err)
{
	const char *name = file_name(path);
	bool is_stdin = name != path;
	auto_close int opened = is_stdin ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int fd = is_stdin ? STDIN_FILENO : opened;
	struct buffer b = {0};
	struct stat st;

	if (fd < 0)
		return err_sys(err, ERR_USAGE, errno, "%s: cannot be opened", name);
	if (examine(fd, name, max, &st, err) < 0)
		return -1;
	if (S_ISREG(st.st_mode) && st.st_size > 0) {
		b.room = (size_t)st.st_size + 1; /* one more byte, so that the end is seen without growing */
		b.data = malloc(b.room);
		if (!b.data)
			return err_sys(
			        err, ERR_FAILED, ENOMEM, "%s: no memory for its %zu bytes", name, b.room - 1);
	}
	if (read_to_end(fd, name, !S_ISREG(st.st_mode), max, &b, err) < 0) {
		buffer_finish(&b);
		return -1;
	}
	*ret_size = b.size;
	*ret_data = b.data;
	return 0;
}
