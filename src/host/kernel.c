/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel: the host that makes its calls to the real kernel. Any thread; no state.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "vmm/host.h"

static int kernel_open(struct host *h, const char *path, int flags)
{
	return open(path, flags | O_CLOEXEC);
}

static int kernel_close(struct host *h, int fd)
{
	return close(fd);
}

static int kernel_ioctl(struct host *h, int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg);
}

static void *kernel_mmap(struct host *h, void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	return mmap(addr, length, prot, flags, fd, offset);
}

static int kernel_munmap(struct host *h, void *addr, size_t length)
{
	return munmap(addr, length);
}

static int kernel_fallocate(struct host *h, int fd, int mode, off_t offset, off_t length)
{
	return fallocate(fd, mode, offset, length);
}

static void kernel_destroy(struct host *h)
{
	free(h);
}

static const struct host_ops kernel_ops = {
        .name = "kvm",
        .open = kernel_open,
        .close = kernel_close,
        .ioctl = kernel_ioctl,
        .mmap = kernel_mmap,
        .munmap = kernel_munmap,
        .fallocate = kernel_fallocate,
        .destroy = kernel_destroy,
};

int host_kernel_create(struct host **ret_host, struct err *err)
{
	struct host *h = calloc(1, sizeof(*h));

	if (!h)
		return err_sys(err, ERR_FAILED, ENOMEM, "host");
	h->ops = &kernel_ops;
	*ret_host = h;
	return 0;
}
