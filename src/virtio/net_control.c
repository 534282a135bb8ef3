/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_control: the control queue, by which the driver changes offloads and the number of queues. On the
 * device's loop. Law: VIRTIO 5.1.6.5.
 */
#include "net.h"

#define CLASS_ANNOUNCE 3
#define CLASS_MQ       4
#define CLASS_OFFLOADS 5
#define ANNOUNCE_ACK   0
#define MQ_PAIRS_SET   0
#define OFFLOADS_SET   0
#define OFFLOADS_ALL \
	(NET_BIT(NET_F_GUEST_CSUM) | NET_BIT(NET_F_GUEST_TSO4) | NET_BIT(NET_F_GUEST_TSO6) | \
	        NET_BIT(NET_F_GUEST_ECN) | NET_BIT(NET_F_GUEST_USO4) | NET_BIT(NET_F_GUEST_USO6))
#define ACK_OK    0
#define ACK_ERROR 1

/* 5.1.6.5.6.2: of those that were agreed to. */
static int set_offloads(struct virtio_net *net, uint64_t wanted, struct err *err)
{
	if (!net_has(net, NET_F_CTRL_GUEST_OFFLOADS) || (wanted & ~(net->features & OFFLOADS_ALL)))
		return err_set(
		        err, ERR_GUEST, "offloads %#llx that were not agreed to", (unsigned long long)wanted);
	if (back_net_set_offloads(net->back, virtio_net_guest_offloads(wanted), err) < 0)
		return -1;
	net->offloads = wanted;
	return 0;
}

static int set_pairs(struct virtio_net *net, unsigned count, struct err *err)
{
	if (!net_has(net, NET_F_MQ) || count == 0 || count > net->pairs_count)
		return err_set(err, ERR_GUEST, "%u pairs of queues", count);
	if (back_net_set_queues(net->back, count, err) < 0)
		return -1;
	net->active = count;
	return 0;
}

/* 5.1.6.5.4: the driver has told the network where the guest is. */
static int end_announcement(struct virtio_net *net, struct err *err)
{
	if (!net_has(net, NET_F_GUEST_ANNOUNCE))
		return err_set(err, ERR_GUEST, "an answer to an announcement that was not agreed to");
	net->announce = false;
	return 0;
}

static int obey(struct virtio_net *net, const struct virtio_chain *chain, struct err *err)
{
	uint8_t command[2], data[8] = {0};
	size_t size;

	if (virtio_chain_read(chain, 0, command, sizeof(command)) != sizeof(command))
		return err_set(err, ERR_GUEST, "a command without a number");
	size = virtio_chain_read(chain, sizeof(command), data, sizeof(data));
	if (command[0] == CLASS_ANNOUNCE && command[1] == ANNOUNCE_ACK && size == 0)
		return end_announcement(net, err);
	if (command[0] == CLASS_OFFLOADS && command[1] == OFFLOADS_SET && size == 8)
		return set_offloads(net, load_le(data, 8), err);
	if (command[0] == CLASS_MQ && command[1] == MQ_PAIRS_SET && size >= 2)
		return set_pairs(net, (unsigned)load_le(data, 2), err);
	return err_set(err, ERR_GUEST, "the command %u of class %u, %zu bytes", command[1], command[0], size);
}

void virtio_net_control(struct virtio_net *net)
{
	struct virtio_queue *queue = net->control;
	struct virtio_chain chain;
	int popped;

	/* A queue has at most NET_QUEUE_SIZE commands, and the driver waits for each of them. */
	for (unsigned i = 0; i < NET_QUEUE_SIZE; i++) {
		struct err err = {0};
		uint8_t ack;

		popped = virtio_queue_pop(queue, &chain);
		if (popped < 0)
			return;
		if (popped == 0 && !virtio_queue_listen(queue))
			break;
		if (popped == 0)
			continue;
		ack = obey(net, &chain, &err) < 0 ? ACK_ERROR : ACK_OK;
		if (ack != ACK_OK)
			log_guest(LOG_DEBUG, "%s: refused: %s", net->id, err.text);
		virtio_queue_push(queue, &chain, (uint32_t)virtio_chain_write(&chain, 0, &ack, 1));
	}
	virtio_queue_flush(queue);
}
