/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_script: a host for tests that answers from a script instead of a kernel, and counts what it was asked.
 */
#ifndef VMM_TEST_HOST_SCRIPT_H
#define VMM_TEST_HOST_SCRIPT_H

#include <errno.h>

#include "vmm/host.h"

struct host_script {
	struct host host;
	int result;   /* the result of every call; descriptors count up from it */
	int sys;      /* with a negative result */
	void *mapped; /* what mmap gives */
	unsigned calls;
};

static inline int script_answer(struct host *h)
{
	struct host_script *s = (struct host_script *)h;

	s->calls++;
	errno = s->sys;
	return s->result;
}

static inline int script_open(struct host *h, const char *path, int flags)
{
	return script_answer(h);
}

static inline int script_close(struct host *h, int fd)
{
	return script_answer(h);
}

static inline int script_ioctl(struct host *h, int fd, unsigned long request, void *arg)
{
	return script_answer(h);
}

static inline void *script_mmap(
        struct host *h, void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	return script_answer(h) < 0 ? MAP_FAILED : ((struct host_script *)h)->mapped;
}

static inline int script_munmap(struct host *h, void *addr, size_t length)
{
	return script_answer(h);
}

static inline int script_fallocate(struct host *h, int fd, int mode, off_t offset, off_t length)
{
	return script_answer(h);
}

static const struct host_ops script_ops = {
        .name = "script",
        .open = script_open,
        .close = script_close,
        .ioctl = script_ioctl,
        .mmap = script_mmap,
        .munmap = script_munmap,
        .fallocate = script_fallocate,
};

#endif
