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
#include <sys/syscall.h>

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

int __wrap_open(const char *path, int flags, ...)
{
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, MODE(flags));
}

int __wrap_openat(int folder, const char *path, int flags, ...)
{
	return (int)syscall(SYS_openat, folder, path, flags, MODE(flags));
}

int __wrap_close(int fd)
{
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
	return (int)syscall(SYS_fcntl, fd, command, arg);
}

int __wrap_dup(int fd)
{
	return (int)syscall(SYS_dup, fd);
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
SAME(__wrap_fopen, __wrap_fopen64);
