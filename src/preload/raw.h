/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw: the calls that reach the kernel, whatever calls.c defines (ld(1), --wrap). Code of this library writes
 * them by their ordinary names, except in calls.c, open.c and signals.c, where those are their own.
 */
#ifndef PRELOAD_RAW_H
#define PRELOAD_RAW_H

#include <dlfcn.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "vmm/base.h"

int __wrap_open(const char *path, int flags, ...);
int __wrap_openat(int folder, const char *path, int flags, ...);
int __wrap_close(int fd);
int __wrap_ioctl(int fd, unsigned long request, void *arg);
void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t length);
ssize_t __wrap_read(int fd, void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __wrap_pread(int fd, void *data, size_t size, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *data, size_t size, off_t offset);
int __wrap_ftruncate(int fd, off_t size);
int __wrap_fcntl(int fd, int command, void *arg);
int __wrap_dup(int fd);
int __wrap_eventfd(unsigned count, int flags);
int __wrap_epoll_create1(int flags);
int __wrap_signalfd(int fd, const sigset_t *set, int flags);
int __wrap_fstat(int fd, struct stat *ret_stat);
int __wrap_access(const char *path, int mode);
FILE *__wrap_fopen(const char *path, const char *mode);
int __wrap_sigaction(int number, const struct sigaction *action, struct sigaction *ret_old);
int __wrap_pthread_sigmask(int how, const sigset_t *set, sigset_t *ret_old);

/* The function of this name that the program would have called without this library. */
#define raw_next(name) \
	({ \
		static __typeof__(&name) next_; \
		__typeof__(&name) now_ = __atomic_load_n(&next_, __ATOMIC_RELAXED); \
		if (!now_) { \
			now_ = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
			__atomic_store_n(&next_, now_, __ATOMIC_RELAXED); \
		} \
		now_; \
	})

#endif
