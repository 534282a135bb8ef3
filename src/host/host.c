/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host: passes each call on through the host's table of operations. Any thread.
 */
#include "vmm/host.h"

const char *host_name(const struct host *h)
{
	while (h->inner)
		h = h->inner;
	return h->ops->name;
}

int host_open(struct host *h, const char *path, int flags)
{
	return h->ops->open(h, path, flags);
}

int host_close(struct host *h, int fd)
{
	return fd < 0 ? 0 : h->ops->close(h, fd);
}

int host_ioctl(struct host *h, int fd, unsigned long request, void *arg)
{
	return h->ops->ioctl(h, fd, request, arg);
}

int host_ioctl_number(struct host *h, int fd, unsigned long request, uint64_t number)
{
	return h->ops->ioctl(h, fd, request, (void *)(uintptr_t)number);
}

void *host_mmap(struct host *h, void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	return h->ops->mmap(h, addr, length, prot, flags, fd, offset);
}

int host_munmap(struct host *h, void *addr, size_t length)
{
	return addr ? h->ops->munmap(h, addr, length) : 0;
}

int host_fallocate(struct host *h, int fd, int mode, off_t offset, off_t length)
{
	return h->ops->fallocate(h, fd, mode, offset, length);
}

void host_destroy(struct host *h)
{
	if (h)
		h->ops->destroy(h);
}
