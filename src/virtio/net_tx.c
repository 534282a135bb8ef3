/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_tx: frames from the driver to the back end. On the device's loop. Frames that the back end does not
 * take stay in the batch until it can, and the driver's other frames stay in the queue.
 * Law: VIRTIO 5.1.6.1, 5.1.6.2.
 */
#include "net.h"

/* Can the network carry it? passt, for one, hangs up on what is shorter or longer. */
static bool is_frame(const struct net_pair *pair, const struct virtio_chain *chain)
{
	uint64_t bytes = chain->readable_bytes - BACK_NET_HEADER_BYTES;

	return bytes >= BACK_NET_FRAME_MIN && bytes <= pair->net->back->frame_max;
}

/* Fills an empty batch. Returns how many chains it took from the queue; -1: the driver broke the rules. */
static int take(struct net_pair *pair)
{
	struct net_tx *tx = &pair->tx;
	int popped = 1, chains = 0;

	tx->first = tx->count = 0;
	for (; chains < BACK_NET_BATCH; chains++) {
		struct virtio_chain *chain = &tx->chains[tx->count];

		popped = virtio_queue_pop(tx->queue, chain);
		if (popped <= 0)
			break;
		if (chain->readable_bytes < BACK_NET_HEADER_BYTES) {
			virtio_device_break(pair->net->device,
			        "a frame to be sent of %llu bytes, which has no header",
			        (unsigned long long)chain->readable_bytes);
			return -1;
		}
		if (is_frame(pair, chain)) {
			tx->count++;
			continue;
		}
		if (tx->count) {
			virtio_queue_unpop(tx->queue); /* chains go back in order: those before it wait */
			break;
		}
		virtio_queue_push(tx->queue, chain, 0);
		count_add(&pair->net->tx_lost, 1);
	}
	return popped < 0 ? -1 : chains;
}

/* Returns how many frames are gone. A cable that was pulled loses them all. */
static unsigned put_on_cable(struct net_pair *pair, const struct back_net_frame *frames, unsigned count)
{
	struct virtio_net *net = pair->net;
	uint64_t bytes = 0;
	unsigned taken;

	if (!net_link_is_up(net)) {
		count_add(&net->tx_lost, count);
		return count;
	}
	taken = back_net_send(net->back, pair->index, frames, count);
	for (unsigned i = 0; i < taken; i++)
		bytes += frames[i].bytes;
	count_add(&net->tx_frames, taken);
	count_add(&net->tx_bytes, bytes);
	return taken;
}

/* Sends the batch. Returns false if a part of it has to wait. */
static bool send_batch(struct net_pair *pair)
{
	struct net_tx *tx = &pair->tx;
	struct back_net_frame frames[BACK_NET_BATCH];
	unsigned taken;

	for (unsigned i = 0; i < tx->count; i++) {
		const struct virtio_chain *chain = &tx->chains[tx->first + i];

		frames[i] = (struct back_net_frame){.iov = chain->iov,
		        .iov_count = chain->readable,
		        .bytes = chain->readable_bytes - BACK_NET_HEADER_BYTES};
	}
	taken = put_on_cable(pair, frames, tx->count);
	for (unsigned i = 0; i < taken; i++)
		virtio_queue_push(tx->queue, &tx->chains[tx->first + i], 0);
	tx->first += taken;
	tx->count -= taken;
	return tx->count == 0;
}

void virtio_net_send(struct net_pair *pair)
{
	struct net_tx *tx = &pair->tx;
	int taken = 1;

	if (!tx->queue)
		return;
	virtio_queue_hush(tx->queue);
	for (int chains = 0; taken && chains < NET_TURN_FRAMES; chains += taken) {
		if (!tx->count)
			taken = take(pair);
		if (taken < 0)
			return;
		if (tx->count && !send_batch(pair))
			break;
		if (!taken)
			taken = virtio_queue_listen(tx->queue);
	}
	virtio_queue_flush(tx->queue);
	virtio_net_watch(pair);
	if (taken && !tx->count)
		loop_post(loop_thread_loop(pair->net->thread), &pair->tx_again);
}
