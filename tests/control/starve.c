/* SPDX-License-Identifier: Apache-2.0 */
/*
 * starve: a library that is loaded into vmm before others (LD_PRELOAD, ld.so(8)). The file that STARVE names
 * has a number of four bytes: so many of the next allocations of the main thread, and of the thread of a
 * move, fail.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* glibc's own, which need no dlsym(3). */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *at, size_t size);

static _Atomic int32_t *left;
static _Thread_local bool starves;
static int (*set_name)(pthread_t thread, const char *name);

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("STARVE");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*left), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (fd >= 0)
		close(fd);
	*(void **)&set_name = dlsym(RTLD_NEXT, "pthread_setname_np");
	if (at == MAP_FAILED || !set_name)
		abort();
	left = at;
	starves = true;
}

EXPORT int pthread_setname_np(pthread_t thread, const char *name)
{
	starves = starves || strcmp(name, "migrate") == 0;
	return set_name(thread, name);
}

static bool runs_out(void)
{
	if (!starves || atomic_load(left) <= 0 || atomic_fetch_sub(left, 1) <= 0)
		return false;
	errno = ENOMEM;
	return true;
}

EXPORT void *malloc(size_t size)
{
	return runs_out() ? NULL : __libc_malloc(size);
}

EXPORT void *calloc(size_t count, size_t size)
{
	return runs_out() ? NULL : __libc_calloc(count, size);
}

EXPORT void *realloc(void *at, size_t size)
{
	return runs_out() ? NULL : __libc_realloc(at, size);
}

EXPORT void *reallocarray(void *at, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return runs_out() ? NULL : __libc_realloc(at, bytes);
}
