/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_told: what controllers are told of networks, and the cable that they pull. Main thread; the device's
 * thread counts, and the counters are read without a lock.
 */
#include <string.h>

#include "net.h"

static struct virtio_net *find(const struct device_board *board, const char *id)
{
	return virtio_device_find(board, &virtio_net_kind, id);
}

bool virtio_net_facts(const struct device_board *board, const char *id, struct virtio_net_facts *ret_facts)
{
	const struct virtio_net *net = find(board, id);

	if (!net)
		return false;
	*ret_facts = (struct virtio_net_facts){
	        .back = net->back->name,
	        .link_up = net_link_is_up(net),
	        .outside = net->vhost,
	        .rx_frames = count_of(&net->rx_frames),
	        .rx_bytes = count_of(&net->rx_bytes),
	        .rx_lost = count_of(&net->rx_lost),
	        .tx_frames = count_of(&net->tx_frames),
	        .tx_bytes = count_of(&net->tx_bytes),
	        .tx_lost = count_of(&net->tx_lost),
	};
	memcpy(ret_facts->mac, net->mac, sizeof(ret_facts->mac));
	return true;
}

struct plug {
	struct virtio_net *net;
	bool up;
};

/* Frames that wait for the back end are lost at once when the cable is pulled. */
static void plug_on_loop(void *ctx)
{
	const struct plug *plug = ctx;
	struct virtio_net *net = plug->net;

	net->plugged = plug->up;
	if (net->vhost)
		virtio_net_vhost_plug(net);
	for (unsigned i = 0; !net->vhost && i < net->pairs_count; i++) {
		virtio_net_send(&net->pairs[i]);
		virtio_net_receive(&net->pairs[i]);
	}
}

bool virtio_net_set_link(const struct device_board *board, const char *id, bool up)
{
	struct plug plug = {find(board, id), up};

	if (!plug.net)
		return false;
	if (plug.net->plugged == up)
		return true;
	loop_call(loop_thread_loop(plug.net->thread), plug_on_loop, &plug);
	virtio_device_config_changed(plug.net->device);
	return true;
}
