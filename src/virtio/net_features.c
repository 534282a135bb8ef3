/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_features: what a network device offers, from what its back end has; and its address.
 * Law: VIRTIO 5.1.3.
 */
#include <string.h>

#include "net.h"
#include "vhost.h"

/* What the driver may leave to us, and we to the driver. */
static const struct {
	unsigned offload;
	uint64_t host, guest;
} offloads[] = {
        {BACK_NET_CSUM, NET_BIT(NET_F_CSUM), NET_BIT(NET_F_GUEST_CSUM)},
        {BACK_NET_TSO4, NET_BIT(NET_F_HOST_TSO4), NET_BIT(NET_F_GUEST_TSO4)},
        {BACK_NET_TSO6, NET_BIT(NET_F_HOST_TSO6), NET_BIT(NET_F_GUEST_TSO6)},
        {BACK_NET_ECN, NET_BIT(NET_F_HOST_ECN), NET_BIT(NET_F_GUEST_ECN)},
        /* Taps have both IP versions or none, so a driver that takes one gets none. */
        {BACK_NET_USO, NET_BIT(NET_F_HOST_USO), NET_BIT(NET_F_GUEST_USO4) | NET_BIT(NET_F_GUEST_USO6)},
};

uint64_t virtio_net_offer(const struct virtio_net *net)
{
	uint64_t offer = NET_BIT(NET_F_MAC) | NET_BIT(NET_F_STATUS) | NET_BIT(NET_F_MRG_RXBUF);

	for (size_t i = 0; i < ARRAY_LEN(offloads); i++) {
		if (net->back->offloads & offloads[i].offload)
			offer |= offloads[i].host | offloads[i].guest;
	}
	if (net->mtu)
		offer |= NET_BIT(NET_F_MTU);
	if (net->back->offloads)
		offer |= NET_BIT(NET_F_CTRL_VQ) | NET_BIT(NET_F_CTRL_GUEST_OFFLOADS);
	if (net->pairs_count > 1)
		offer |= NET_BIT(NET_F_CTRL_VQ) | NET_BIT(NET_F_MQ);
	if (offer & NET_BIT(NET_F_CTRL_VQ))
		offer |= NET_BIT(NET_F_GUEST_ANNOUNCE);
	if (net->vhost)
		offer |= VIRTIO_VHOST_RINGS;
	return offer;
}

unsigned virtio_net_guest_offloads(uint64_t features)
{
	unsigned found = 0;

	for (size_t i = 0; i < ARRAY_LEN(offloads); i++) {
		if ((features & offloads[i].guest) == offloads[i].guest)
			found |= offloads[i].offload;
	}
	/* 5.1.3.1: each needs the checksum, and ECN needs TSO; a driver that forgot that gets less. */
	if (!(found & BACK_NET_CSUM))
		return 0;
	if (!(found & (BACK_NET_TSO4 | BACK_NET_TSO6)))
		found &= ~(unsigned)BACK_NET_ECN;
	return found;
}

/* ---- the address ---- */

/* FNV-1a, of the text and the byte that ends it. */
static uint64_t hash(uint64_t start, const char *text)
{
	uint64_t value = start;

	do
		value = (value ^ (uint8_t)*text) * 0x100000001b3u;
	while (*text++);
	return value;
}

static int parse(const char *text, uint8_t ret_mac[static BACK_NET_MAC_BYTES], struct err *err)
{
	unsigned byte[BACK_NET_MAC_BYTES];
	int end = 0;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &byte[0], &byte[1], &byte[2], &byte[3], &byte[4],
	            &byte[5], &end) != BACK_NET_MAC_BYTES ||
	        text[end])
		return err_set(err, ERR_USAGE,
		        "\"%s\" is no hardware address; it looks like 52:54:00:12:34:56", TEXT_VALUE(text));
	if (byte[0] & 1)
		return err_set(
		        err, ERR_USAGE, "%s is the address of a group; the first byte must be even", text);
	for (unsigned i = 0; i < BACK_NET_MAC_BYTES; i++)
		ret_mac[i] = (uint8_t)byte[i];
	return 0;
}

/*
 * A guest finds its network again by its address, so this is the same at each start: a hash of what tells
 * the machine from others, of the device's name in it, and of the interface, of which a host has one. The
 * bit "locally administered" is set, "group" is not (IEEE 802).
 */
int virtio_net_mac(const struct config_device *config, const char *machine,
        uint8_t ret_mac[static BACK_NET_MAC_BYTES], struct err *err)
{
	uint64_t value;

	if (*config->mac)
		return parse(config->mac, ret_mac, err);
	value = hash(hash(hash(0xcbf29ce484222325u, machine), config->id), config->tap);
	value ^= value >> 32;
	for (unsigned i = 0; i < BACK_NET_MAC_BYTES; i++)
		ret_mac[i] = (uint8_t)(value >> 8 * i);
	ret_mac[0] = (uint8_t)((ret_mac[0] & 0xfc) | 2);
	return 0;
}
