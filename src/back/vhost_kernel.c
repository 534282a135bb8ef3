/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost_kernel: the kernel's own back ends, by ioctls on /dev/vhost-*. They read the rings at addresses of
 * this process. Law: linux/vhost.h; kernel, drivers/vhost.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vhost.h"

#define FEATURES_LEFT_OUT \
	(UINT64_C(1) << 24 /* NOTIFY_ON_EMPTY, of old devices */ | UINT64_C(1) << VHOST_F_LOG_ALL | \
	        UINT64_C(1) << 27 /* for vhost-net: it makes the header of each frame itself */ | \
	        UINT64_C(1) << 33 /* ACCESS_PLATFORM, see back_vhost_features() */)

static int call(const struct back_vhost *vhost, unsigned long request, const void *arg, const char *name,
        struct err *err)
{
	if (ioctl(vhost->fd, request, arg) < 0)
		return err_sys(err, ERR_HOST, errno, "%s", name);
	return 0;
}

#define CALL(vhost, request, arg, err) call(vhost, request, arg, #request, err)

int back_vhost_ioctl(
        struct back_vhost *vhost, unsigned long request, const void *arg, const char *name, struct err *err)
{
	if (call(vhost, request, arg, name, err) < 0)
		return err_wrap(err, "%s", vhost->name);
	return 0;
}

/* The kernel makes its thread here. */
static int own(struct back_vhost *vhost, struct err *err)
{
	if (!vhost->owned && CALL(vhost, VHOST_SET_OWNER, NULL, err) < 0)
		return -1;
	vhost->owned = true;
	return 0;
}

static int set_features(struct back_vhost *vhost, uint64_t features, struct err *err)
{
	if (own(vhost, err) < 0)
		return -1;
	return CALL(vhost, VHOST_SET_FEATURES, &features, err);
}

static int set_memory(struct back_vhost *vhost, const struct page_lent *lent, unsigned count, struct err *err)
{
	_Alignas(struct vhost_memory)
	        uint8_t room[sizeof(struct vhost_memory) +
	                     PAGE_REGIONS_MAX * sizeof(struct vhost_memory_region)] = {0};
	struct vhost_memory *memory = (struct vhost_memory *)room;

	memory->nregions = count;
	for (unsigned i = 0; i < count; i++) {
		memory->regions[i] = (struct vhost_memory_region){
		        .guest_phys_addr = lent[i].gpa.raw,
		        .memory_size = lent[i].size_bytes,
		        .userspace_addr = (uint64_t)(uintptr_t)lent[i].at,
		};
	}
	return CALL(vhost, VHOST_SET_MEM_TABLE, memory, err);
}

static int set_fd(const struct back_vhost *vhost, unsigned long request, const char *name, unsigned index,
        int fd, struct err *err)
{
	const struct vhost_vring_file file = {.index = index, .fd = fd};

	return call(vhost, request, &file, name, err);
}

static int start_queue(
        struct back_vhost *vhost, const struct back_vhost_queue *queue, int error_fd, struct err *err)
{
	const struct vhost_vring_state size = {queue->index, queue->size}, base = {queue->index, 0};
	const struct vhost_vring_addr rings = {
	        .index = queue->index,
	        .desc_user_addr = (uint64_t)(uintptr_t)queue->desc,
	        .avail_user_addr = (uint64_t)(uintptr_t)queue->avail,
	        .used_user_addr = (uint64_t)(uintptr_t)queue->used,
	};

	if (CALL(vhost, VHOST_SET_VRING_NUM, &size, err) < 0 ||
	        CALL(vhost, VHOST_SET_VRING_BASE, &base, err) < 0 ||
	        CALL(vhost, VHOST_SET_VRING_ADDR, &rings, err) < 0 ||
	        set_fd(vhost, VHOST_SET_VRING_CALL, "VHOST_SET_VRING_CALL", queue->index, queue->call_fd,
	                err) < 0 ||
	        set_fd(vhost, VHOST_SET_VRING_ERR, "VHOST_SET_VRING_ERR", queue->index, error_fd, err) < 0)
		return -1;
	return set_fd(vhost, VHOST_SET_VRING_KICK, "VHOST_SET_VRING_KICK", queue->index, queue->kick_fd, err);
}

/* The caller has taken the queue's own back end away before (VHOST_NET_SET_BACKEND, VHOST_VSOCK_SET_RUNNING).
 */
static int stop_queue(struct back_vhost *vhost, unsigned index, struct err *err)
{
	const struct vhost_vring_addr nowhere = {.index = index};
	struct vhost_vring_state base = {index, 0};

	if (set_fd(vhost, VHOST_SET_VRING_KICK, "VHOST_SET_VRING_KICK", index, -1, err) < 0 ||
	        set_fd(vhost, VHOST_SET_VRING_CALL, "VHOST_SET_VRING_CALL", index, -1, err) < 0 ||
	        set_fd(vhost, VHOST_SET_VRING_ERR, "VHOST_SET_VRING_ERR", index, -1, err) < 0)
		return -1;
	/* The kernel keeps the addresses, which may belong to something else when the guest's memory has
	 * gone. */
	if (CALL(vhost, VHOST_GET_VRING_BASE, &base, err) < 0)
		return -1;
	return CALL(vhost, VHOST_SET_VRING_ADDR, &nowhere, err);
}

static const struct back_vhost_ops ops = {
        .set_features = set_features,
        .set_memory = set_memory,
        .start_queue = start_queue,
        .stop_queue = stop_queue,
};

int back_vhost_open(const char *name, struct loop *loop, const struct back_vhost_events *events,
        struct back_vhost **ret_vhost, struct err *err)
{
	struct back_vhost *vhost;
	char path[64], module[64];
	uint64_t features = 0;
	int fd;

	snprintf(path, sizeof(path), "/dev/%s", name);
	snprintf(module, sizeof(module), "%s", name);
	for (char *dash = strchr(module, '-'); dash; dash = strchr(dash, '-'))
		*dash = '_';
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, ERR_HOST, errno,
		        errno == EACCES
		                ? "%s: give this user access to it, such as by membership in the group kvm"
		                : "%s: load the kernel's module (modprobe %s)",
		        path, module);
	vhost = back_vhost_allocate(&ops, fd, name, loop, events, err);
	if (!vhost)
		return -1;
	if (CALL(vhost, VHOST_GET_FEATURES, &features, err) < 0) {
		back_vhost_destroy(vhost);
		return err_wrap(err, "%s", path);
	}
	vhost->features = features & ~FEATURES_LEFT_OUT;
	*ret_vhost = vhost;
	return 0;
}
