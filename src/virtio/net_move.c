/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_move: the network device of a guest that goes on elsewhere. On the device's loop, which is held. Law:
 * VIRTIO 5.1.4, 5.1.6.5.4.
 *
 * The network learns where the guest is from the frames that it sends. A driver that agreed to
 * GUEST_ANNOUNCE sends some when it is asked to (Linux: gratuitous ARP, and NDP). No other one is asked: vmm
 * does not know the guest's addresses, so until such a guest sends something by itself, frames to it may go
 * to the machine that it has left.
 */
#include <string.h>

#include "net.h"

static void visit_mac(struct virtio_net *net, struct vmstate *s)
{
	uint8_t mac[BACK_NET_MAC_BYTES];

	memcpy(mac, net->mac, sizeof(mac));
	vmstate_bytes(s, "mac", mac, sizeof(mac));
	if (memcmp(mac, net->mac, sizeof(mac)) != 0)
		vmstate_fail(s,
		        "its hardware address is %02x:%02x:%02x:%02x:%02x:%02x there, and another one "
		        "here: give both the same uuid or mac",
		        mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

/* What the driver has asked for by the control queue. */
static void visit_wishes(struct virtio_net *net, uint64_t features, struct vmstate *s)
{
	vmstate_u64(s, "offloads", &net->offloads, features);
	vmstate_count(s, "pairs of queues in use", &net->active,
	        features & NET_BIT(NET_F_MQ) ? net->pairs_count : 1);
	if (!net->active)
		vmstate_fail(s, "no pair of queues is in use");
}

void virtio_net_visit(void *ctx, bool works, uint64_t features, struct vmstate *s)
{
	struct virtio_net *net = ctx;
	bool plugged = net->plugged;

	visit_mac(net, s);
	vmstate_same(s, "the MTU", net->mtu);
	vmstate_same(s, "the number of pairs of queues", net->pairs_count);
	vmstate_bool(s, "cable", &plugged);
	net->plugged = plugged;
	if (works)
		visit_wishes(net, features, s);
	if (!s->loads || s->bad || !works || !(features & NET_BIT(NET_F_GUEST_ANNOUNCE)))
		return;
	net->announce = true;
	virtio_device_config_changed(net->device);
}
