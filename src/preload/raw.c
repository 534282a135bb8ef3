/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw: what this library itself, and the rooms in it, call in place of the libc functions that calls.c
 * defines (ld(1), --wrap): the system calls. Any thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "preload.h"
#include "raw.h"

#define MODE(flags) \
	({ \
		va_list ap_; \
		unsigned mode_ = 0; \
		if ((flags) & (O_CREAT | __O_TMPFILE)) { \
			va_start(ap_, flags); \
			mode_ = va_arg(ap_, unsigned); \
			va_end(ap_); \
		} \
		mode_; \
	})

/* ---- the library's own descriptors ---- */

#define NUMBERS_OF_OURS \
	512 /* the highest ones that a process may have, as far as the table of kinds reaches */

/*
 * Programs count on small numbers for what they open, and some close all that they do not know. So a
 * descriptor of the library's own gets a high number, which calls.c lets nobody close.
 */
static int take_away(int fd)
{
	struct rlimit limit;
	rlim_t end = PRELOAD_NUMBERS;
	int up;

	if (fd < 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return fd;
	if (limit.rlim_cur < end)
		end = limit.rlim_cur;
	up = (int)syscall(
	        SYS_fcntl, fd, F_DUPFD_CLOEXEC, end > 2 * NUMBERS_OF_OURS ? end - NUMBERS_OF_OURS : end / 2);
	if (up < 0)
		return preload_note(fd, PRELOAD_PRIVATE);
	syscall(SYS_close, fd);
	return preload_note(up, PRELOAD_PRIVATE);
}

int __wrap_eventfd(unsigned count, int flags)
{
	return take_away((int)syscall(SYS_eventfd2, count, flags));
}

int __wrap_epoll_create1(int flags)
{
	return take_away((int)syscall(SYS_epoll_create1, flags));
}

int __wrap_signalfd(int fd, const sigset_t *set, int flags)
{
	int result = (int)syscall(SYS_signalfd4, fd, set, 8, flags);

	return fd < 0 ? take_away(result) : result;
}

int __wrap_open(const char *path, int flags, ...)
{
	return take_away((int)syscall(SYS_openat, AT_FDCWD, path, flags, MODE(flags)));
}

int __wrap_openat(int folder, const char *path, int flags, ...)
{
	return take_away((int)syscall(SYS_openat, folder, path, flags, MODE(flags)));
}

int __wrap_close(int fd)
{
	if (preload_kind_of(fd) == PRELOAD_PRIVATE)
		preload_forget(fd);
	return (int)syscall(SYS_close, fd);
}

int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	return (int)syscall(SYS_ioctl, fd, request, arg);
}

void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	return (void *)syscall(SYS_mmap, at, size, prot, flags, fd, offset);
}

int __wrap_fallocate(int fd, int mode, off_t offset, off_t length)
{
	return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

ssize_t __wrap_read(int fd, void *data, size_t size)
{
	return syscall(SYS_read, fd, data, size);
}

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	return syscall(SYS_write, fd, data, size);
}

ssize_t __wrap_pread(int fd, void *data, size_t size, off_t offset)
{
	return syscall(SYS_pread64, fd, data, size, offset);
}

ssize_t __wrap_pwrite(int fd, const void *data, size_t size, off_t offset)
{
	return syscall(SYS_pwrite64, fd, data, size, offset);
}

int __wrap_ftruncate(int fd, off_t size)
{
	return (int)syscall(SYS_ftruncate, fd, size);
}

int __wrap_fcntl(int fd, int command, void *arg)
{
	int result = (int)syscall(SYS_fcntl, fd, command, arg);

	return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? take_away(result) : result;
}

int __wrap_dup(int fd)
{
	return take_away((int)syscall(SYS_dup, fd));
}

int __wrap_fstat(int fd, struct stat *ret_stat)
{
	return (int)syscall(SYS_fstat, fd, ret_stat);
}

int __wrap_access(const char *path, int mode)
{
	return (int)syscall(SYS_access, path, mode);
}

/* libc's own opens call nothing of this library. */
FILE *__wrap_fopen(const char *path, const char *mode)
{
	return raw_next(fopen)(path, mode);
}

int __wrap_sigaction(int number, const struct sigaction *action, struct sigaction *ret_old)
{
	return raw_next(sigaction)(number, action, ret_old);
}

int __wrap_pthread_sigmask(int how, const sigset_t *set, sigset_t *ret_old)
{
	return raw_next(pthread_sigmask)(how, set, ret_old);
}

/* On x86-64 files have one kind of offset, so both names of each call are the same. */
#define SAME(name, other) extern __typeof__(name) other __attribute__((alias(#name)))
SAME(__wrap_open, __wrap_open64);
SAME(__wrap_openat, __wrap_openat64);
SAME(__wrap_mmap, __wrap_mmap64);
SAME(__wrap_fallocate, __wrap_fallocate64);
SAME(__wrap_pread, __wrap_pread64);
SAME(__wrap_pwrite, __wrap_pwrite64);
SAME(__wrap_ftruncate, __wrap_ftruncate64);
SAME(__wrap_fcntl, __wrap_fcntl64);
SAME(__wrap_fstat, __wrap_fstat64);
SAME(__wrap_fopen, __wrap_fopen64);
