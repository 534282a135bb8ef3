/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsock: sockets between the guest and this machine, without a network. The kernel's vhost-vsock serves the
 * two queues of data. The third has events that only a moved guest would get. Law: VIRTIO 5.10;
 * linux/vhost.h.
 */
#include <errno.h>
#include <linux/vhost.h>
#include <string.h>

#include "vhost.h"

#define DATA_QUEUES 2
#define QUEUES      3
#define SEQPACKET   (UINT64_C(1) << 1)

struct vsock {
	struct virtio_device *device;
	struct back_vhost *vhost;
	uint64_t cid;
};

static void on_broken(void *ctx, const char *why)
{
	struct vsock *vsock = ctx;

	virtio_device_break(vsock->device, "%s", why);
}

static int set_running(struct vsock *vsock, int running, struct err *err)
{
	return back_vhost_ioctl(
	        vsock->vhost, VHOST_VSOCK_SET_RUNNING, &running, "VHOST_VSOCK_SET_RUNNING", err);
}

static int vsock_start(void *ctx, const struct virtio_start *start, struct err *err)
{
	struct vsock *vsock = ctx;

	/* The kernel serves both or none. */
	if (!start->queues[0] || !start->queues[1])
		return err_set(err, ERR_GUEST, "the driver has enabled only one of the queues for data");
	if (virtio_vhost_start(vsock->vhost, start, 0, DATA_QUEUES, err) < 0)
		return -1;
	if (set_running(vsock, 1, err) == 0)
		return 0;
	back_vhost_stop(vsock->vhost);
	return -1;
}

/* The driver has left room for an event, and there is none. */
static void vsock_kick(void *ctx, struct virtio_queue *queue)
{
}

static void vsock_stop(void *ctx)
{
	struct vsock *vsock = ctx;
	struct err err;

	if (set_running(vsock, 0, &err) < 0)
		log_warn("%s", err.text);
	back_vhost_stop(vsock->vhost);
	virtio_device_stopped(vsock->device);
}

static void vsock_finish(void *ctx)
{
	struct vsock *vsock = ctx;

	back_vhost_destroy(vsock->vhost);
	free(vsock);
}

static void vsock_config_read(void *ctx, unsigned offset, void *data, unsigned size)
{
	const struct vsock *vsock = ctx;

	memcpy(data, (const uint8_t *)&vsock->cid + offset, size);
}

static const struct virtio_kind vsock_kind = {
        .name = "virtio-vsock",
        .id = 19,
        .pci_class = 0x078000, /* communication, other */
        .config_read = vsock_config_read,
        .start = vsock_start,
        .kick = vsock_kick,
        .stop = vsock_stop,
        .finish = vsock_finish,
        .unmovable =
                "it has a vsock device, whose connections end here in the kernel, which also writes to the "
                "guest's memory without telling vmm; start it without the device",
};

static int set_cid(struct vsock *vsock, struct err *err)
{
	if (back_vhost_ioctl(vsock->vhost, VHOST_VSOCK_SET_GUEST_CID, &vsock->cid,
	            "VHOST_VSOCK_SET_GUEST_CID", err) == 0)
		return 0;
	if (err->sys == EADDRINUSE)
		return err_set(err, ERR_HOST,
		        "cid %llu: another guest of this machine has it; choose another number",
		        (unsigned long long)vsock->cid);
	return err_wrap(err, "cid %llu", (unsigned long long)vsock->cid);
}

int virtio_vsock_add(const struct virtio_place *place, const struct config_device *config, struct err *err)
{
	struct vsock *vsock = calloc(1, sizeof(*vsock));

	if (!vsock)
		return err_sys(err, ERR_FAILED, ENOMEM, "virtio-vsock");
	vsock->cid = config->cid;
	if (back_vhost_open("vhost-vsock", place->main_loop, &(struct back_vhost_events){on_broken, vsock},
	            &vsock->vhost, err) < 0 ||
	        virtio_vhost_check(vsock->vhost, "vhost-vsock", err) < 0 || set_cid(vsock, err) < 0) {
		vsock_finish(vsock);
		return -1;
	}
	return virtio_pci_add(place->board,
	        &(struct virtio_setup){
	                .kind = &vsock_kind,
	                .ctx = vsock,
	                .id = config->id,
	                .features = back_vhost_features(vsock->vhost) & (SEQPACKET | VIRTIO_VHOST_RINGS),
	                .queues = QUEUES,
	                .queue_size = 128,
	                .config_bytes = sizeof(vsock->cid),
	                .loop = place->main_loop,
	                .outside = {(1u << DATA_QUEUES) - 1},
	        },
	        &vsock->device, err);
}
