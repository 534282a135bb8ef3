/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault: a host around another one that makes the n-th call fail, for tests that walk through every failure
 * of a path. Calls that close and unmap are passed on uncounted, because no caller can act on their failure.
 * Any thread.
 */
#include <errno.h>
#include <stdatomic.h>

#include "fault.h"
#include "names.h"

struct host_fault {
	struct host host;
	uint64_t nth;
	int sys;
	_Atomic uint64_t calls;
	char failed[64];
};

static struct host_fault *fault_of(struct host *h)
{
	return (struct host_fault *)h;
}

/* Counts a call. Returns true if this call must fail. */
static bool fails(struct host_fault *f, const char *call, const char *what)
{
	if (atomic_fetch_add(&f->calls, 1) + 1 != f->nth)
		return false;
	snprintf(f->failed, sizeof(f->failed), "%s%s%s", call, what ? " " : "", what ?: "");
	errno = f->sys;
	return true;
}

static int fault_open(struct host *h, const char *path, int flags)
{
	struct host_fault *f = fault_of(h);

	return fails(f, "open", path) ? -1 : host_open(f->host.inner, path, flags);
}

static int fault_close(struct host *h, int fd)
{
	return host_close(fault_of(h)->host.inner, fd);
}

static int fault_ioctl(struct host *h, int fd, unsigned long request, void *arg)
{
	struct host_fault *f = fault_of(h);
	struct host_command command;
	const char *name = host_command_find(request, arg, &command) && command.row
	                           ? command.row->name
	                           : host_ioctl_name(request);

	return fails(f, "ioctl", name) ? -1 : host_ioctl(f->host.inner, fd, request, arg);
}

static void *fault_mmap(struct host *h, void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	struct host_fault *f = fault_of(h);

	return fails(f, "mmap", NULL) ? MAP_FAILED
	                              : host_mmap(f->host.inner, addr, length, prot, flags, fd, offset);
}

static int fault_munmap(struct host *h, void *addr, size_t length)
{
	return host_munmap(fault_of(h)->host.inner, addr, length);
}

static int fault_fallocate(struct host *h, int fd, int mode, off_t offset, off_t length)
{
	struct host_fault *f = fault_of(h);

	return fails(f, "fallocate", NULL) ? -1 : host_fallocate(f->host.inner, fd, mode, offset, length);
}

static void fault_destroy(struct host *h)
{
	free(fault_of(h));
}

static const struct host_ops fault_ops = {
        .name = "fault",
        .open = fault_open,
        .close = fault_close,
        .ioctl = fault_ioctl,
        .mmap = fault_mmap,
        .munmap = fault_munmap,
        .fallocate = fault_fallocate,
        .destroy = fault_destroy,
};

int host_fault_create(struct host *inner, uint64_t nth, int sys, struct host **ret_host, struct err *err)
{
	struct host_fault *f = calloc(1, sizeof(*f));

	if (!f)
		return err_sys(err, ERR_FAILED, ENOMEM, "fault injector");
	f->host.ops = &fault_ops;
	f->host.inner = inner;
	f->nth = nth;
	f->sys = sys;
	*ret_host = &f->host;
	return 0;
}

uint64_t host_fault_calls(const struct host *h)
{
	return atomic_load(&((const struct host_fault *)h)->calls);
}

const char *host_fault_name(const struct host *h)
{
	return ((const struct host_fault *)h)->failed;
}
