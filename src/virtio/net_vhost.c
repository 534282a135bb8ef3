/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_vhost: a tap whose frames the kernel moves (vhost-net), one of its threads for each pair of queues.
 * The control queue and the registers stay here. On the device's loop.
 * Law: linux/vhost.h; VHOST_NET_SET_BACKEND.
 */
#include <linux/vhost.h>

#include "net.h"
#include "vhost.h"

static void on_broken(void *ctx, const char *why)
{
	struct virtio_net *net = ctx;

	log_warn("%s: %s; the guest's link is down from now on", net->id, why);
	virtio_net_link_down(net);
}

/* The main thread opens the devices, since the thread of the loop may open nothing. */
static void open_all(struct virtio_net *net)
{
	const struct back_vhost_events events = {.on_broken = on_broken, .ctx = net};
	struct err err;

	for (unsigned i = 0; i < net->pairs_count; i++) {
		if (back_vhost_open("vhost-net", loop_thread_loop(net->thread), &events, &net->pairs[i].vhost,
		            &err) == 0 &&
		        virtio_vhost_check(net->pairs[i].vhost, "vhost-net", &err) == 0)
			continue;
		log_debug("%s: %s; vmm moves the frames itself", net->id, err.text);
		virtio_net_vhost_close(net);
		return;
	}
	net->vhost = true;
}

void virtio_net_vhost_open(struct virtio_net *net)
{
	if (back_net_tap_fd(net->back, 0) >= 0)
		open_all(net);
}

/* Connects the kernel's two queues of a pair to the tap's queue, or with -1 to nothing. */
static int connect_tap(struct net_pair *pair, int fd, struct err *err)
{
	for (unsigned i = 0; i < 2; i++) {
		struct vhost_vring_file file = {.index = i, .fd = fd};

		if (back_vhost_ioctl(
		            pair->vhost, VHOST_NET_SET_BACKEND, &file, "VHOST_NET_SET_BACKEND", err) < 0)
			return -1;
	}
	return 0;
}

static int plug(struct net_pair *pair, struct err *err)
{
	int fd = pair->net->plugged ? back_net_tap_fd(pair->net->back, pair->index) : -1;

	return connect_tap(pair, fd, err);
}

static int start_pair(struct net_pair *pair, const struct virtio_start *start, struct err *err)
{
	/* Without MQ there is one pair; behind it may come the control queue, which is not for vhost. */
	if (pair->index && !net_has(pair->net, NET_F_MQ))
		return 0;
	if (!start->queues[2 * pair->index] || !start->queues[2 * pair->index + 1])
		return 0;
	if (virtio_vhost_start(pair->vhost, start, 2 * pair->index, 2, err) < 0)
		return -1;
	pair->served = true;
	return plug(pair, err);
}

void virtio_net_vhost_plug(struct virtio_net *net)
{
	struct err err;

	for (unsigned i = 0; i < net->pairs_count; i++) {
		if (net->pairs[i].served && plug(&net->pairs[i], &err) < 0)
			log_warn("%s: %s", net->id, err.text);
	}
}

int virtio_net_vhost_start(struct virtio_net *net, const struct virtio_start *start, struct err *err)
{
	if (back_net_watch_end(net->back, err) < 0)
		return -1;
	for (unsigned i = 0; i < net->pairs_count; i++) {
		if (start_pair(&net->pairs[i], start, err) == 0)
			continue;
		virtio_net_vhost_stop(net);
		return -1;
	}
	return 0;
}

void virtio_net_vhost_stop(struct virtio_net *net)
{
	struct err err;

	for (unsigned i = 0; i < net->pairs_count; i++) {
		net->pairs[i].served = false;
		if (!net->pairs[i].vhost)
			continue;
		/* A kernel that no longer knows the tap has let go of it already. */
		if (connect_tap(&net->pairs[i], -1, &err) < 0)
			log_debug("%s: %s", net->id, err.text);
		back_vhost_stop(net->pairs[i].vhost);
	}
}

void virtio_net_vhost_close(struct virtio_net *net)
{
	for (unsigned i = 0; i < net->pairs_count; i++) {
		back_vhost_destroy(net->pairs[i].vhost);
		net->pairs[i].vhost = NULL;
	}
	net->vhost = false;
}
