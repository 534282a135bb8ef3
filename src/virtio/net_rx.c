/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_rx: frames from the back end to the driver. On the device's loop. While the driver has no buffers, the
 * back end is not watched, and the frames wait there.
 * Law: VIRTIO 5.1.6.3, 5.1.6.4.
 */
#include <string.h>

#include "net.h"

#define NUM_BUFFERS 10 /* where the header has it */

enum result { RX_MORE, RX_EMPTY, RX_STARVED, RX_BROKEN };

static bool is_mergeable(const struct net_pair *pair)
{
	return net_has(pair->net, NET_F_MRG_RXBUF);
}

/* ---- buffers of the driver ---- */

/* Moves what is left to the start of the tables, so that there is room for another chain. */
static void compact(struct net_rx *rx)
{
	memmove(rx->buffers, rx->buffers + rx->first, rx->count * sizeof(*rx->buffers));
	memmove(rx->iov, rx->iov + rx->iov_first, rx->iov_count * sizeof(*rx->iov));
	rx->first = rx->iov_first = 0;
}

static bool has_room(const struct net_rx *rx)
{
	return rx->iov_count + VIRTIO_SEGMENTS_MAX <= NET_RX_IOV;
}

/* Takes one more buffer. Returns as virtio_queue_pop(). */
static int take_buffer(struct net_pair *pair)
{
	struct net_rx *rx = &pair->rx;
	struct virtio_chain chain;
	int popped = virtio_queue_pop(rx->queue, &chain);

	if (popped <= 0)
		return popped;
	if (chain.writable_bytes < BACK_NET_HEADER_BYTES) {
		virtio_device_break(pair->net->device, "a buffer of %llu bytes for a received frame",
		        (unsigned long long)chain.writable_bytes);
		return -1;
	}
	if (rx->iov_first + rx->iov_count + chain.writable > NET_RX_IOV)
		compact(rx);
	rx->buffers[rx->first + rx->count++] = (struct net_buffer){.head = chain.head,
	        .iov_count = (uint16_t)chain.writable,
	        .bytes = (uint32_t)chain.writable_bytes};
	memcpy(rx->iov + rx->iov_first + rx->iov_count, chain.iov + chain.readable,
	        chain.writable * sizeof(*rx->iov));
	rx->iov_count += chain.writable;
	rx->bytes += chain.writable_bytes;
	return 1;
}

/* The room that a frame probably needs; a longer one is right, too, but takes a copy more. */
static uint64_t usual_bytes(const struct net_pair *pair)
{
	unsigned mtu = pair->net->mtu ? pair->net->mtu : 1500;
	bool segments = net_has(pair->net, NET_F_GUEST_TSO4) || net_has(pair->net, NET_F_GUEST_TSO6) ||
	                net_has(pair->net, NET_F_GUEST_USO4);

	if (!is_mergeable(pair))
		return 1;
	return segments ? NET_SPILL_BYTES : (uint64_t)BACK_NET_HEADER_BYTES + 18 + mtu;
}

/* Takes buffers in advance. Returns -1 if the driver broke the rules. */
static int fill(struct net_pair *pair)
{
	struct net_rx *rx = &pair->rx;
	uint64_t wanted = usual_bytes(pair);
	int popped = 1;

	while (popped > 0 && rx->bytes < wanted && has_room(rx))
		popped = take_buffer(pair);
	return popped < 0 ? -1 : 0;
}

/* Gives the driver its first buffer with so many bytes in it. */
static void give_buffer(struct net_rx *rx, uint32_t bytes)
{
	const struct net_buffer *buffer = &rx->buffers[rx->first];

	virtio_queue_push_iov(rx->queue, buffer->head, rx->iov + rx->iov_first, buffer->iov_count, bytes);
	rx->iov_first += buffer->iov_count;
	rx->iov_count -= buffer->iov_count;
	rx->bytes -= buffer->bytes;
	rx->first++;
	rx->count--;
}

/* ---- frames ---- */

/* Writes size bytes into the buffers, from a byte offset on. */
static void put(struct net_rx *rx, uint64_t offset, const uint8_t *data, size_t size)
{
	const struct iovec *iov = rx->iov + rx->iov_first;

	for (unsigned i = 0; i < rx->iov_count && size; i++) {
		size_t n;

		if (offset >= iov[i].iov_len) {
			offset -= iov[i].iov_len;
			continue;
		}
		n = iov[i].iov_len - offset < size ? iov[i].iov_len - offset : size;
		memcpy((uint8_t *)iov[i].iov_base + offset, data, n);
		data += n;
		size -= n;
		offset = 0;
	}
}

static void deliver(struct net_rx *rx)
{
	uint64_t left = rx->frame_bytes, sum = 0;
	uint8_t num_buffers[2];
	unsigned n = 0;

	while (sum < left)
		sum += rx->buffers[rx->first + n++].bytes;
	store_le(num_buffers, 2, n);
	put(rx, NUM_BUFFERS, num_buffers, sizeof(num_buffers));
	while (n--) {
		uint32_t bytes = rx->buffers[rx->first].bytes;

		give_buffer(rx, bytes < left ? bytes : (uint32_t)left);
		left -= bytes < left ? bytes : left;
	}
	rx->frame_bytes = 0;
}

/* Finds room for the rest of a frame that was longer than the buffers. */
static enum result place_rest(struct net_pair *pair)
{
	struct net_rx *rx = &pair->rx;

	while (rx->frame_placed < rx->frame_bytes) {
		uint64_t before = rx->bytes, left = rx->frame_bytes - rx->frame_placed;
		const uint8_t *rest = rx->spill + NET_SPILL_BYTES - left;
		int popped;

		if (!has_room(rx)) {
			virtio_device_break(pair->net->device,
			        "buffers for a received frame of %u parts, with room for %llu bytes",
			        rx->iov_count, (unsigned long long)before);
			return RX_BROKEN;
		}
		popped = take_buffer(pair);
		if (popped <= 0)
			return popped < 0 ? RX_BROKEN : RX_STARVED;
		put(rx, before, rest, left);
		rx->frame_placed += rx->bytes - before < left ? rx->bytes - before : left;
	}
	deliver(rx);
	return RX_MORE;
}

/* Receives a frame into the buffers; what they have no room for goes to the end of the spill. */
static enum result receive_frame(struct net_pair *pair)
{
	struct net_rx *rx = &pair->rx;
	struct iovec *iov = rx->iov + rx->iov_first;
	uint64_t bytes;

	iov[rx->iov_count] = (struct iovec){rx->spill, NET_SPILL_BYTES};
	bytes = back_net_receive(pair->net->back, pair->index, iov, rx->iov_count + 1);
	if (bytes <= BACK_NET_HEADER_BYTES)
		return RX_EMPTY;
	/* 5.1.6.4: without merged buffers a frame that does not fit into one is lost, as on a cable. */
	if (bytes > rx->bytes && !is_mergeable(pair)) {
		count_add(&pair->net->rx_lost, 1);
		return RX_MORE;
	}
	count_add(&pair->net->rx_frames, 1);
	count_add(&pair->net->rx_bytes, bytes - BACK_NET_HEADER_BYTES);
	rx->frame_bytes = bytes;
	rx->frame_placed = bytes < rx->bytes ? bytes : rx->bytes;
	if (rx->frame_placed < bytes)
		memmove(rx->spill + NET_SPILL_BYTES - (bytes - rx->bytes), rx->spill, bytes - rx->bytes);
	return place_rest(pair);
}

/* What comes while the cable is pulled is lost. */
static enum result lose_frame(struct net_pair *pair)
{
	const struct iovec spill = {pair->rx.spill, NET_SPILL_BYTES};

	if (back_net_receive(pair->net->back, pair->index, &spill, 1) <= BACK_NET_HEADER_BYTES)
		return RX_EMPTY;
	count_add(&pair->net->rx_lost, 1);
	return RX_MORE;
}

static enum result step(struct net_pair *pair)
{
	if (pair->rx.frame_bytes)
		return place_rest(pair);
	if (!pair->net->plugged)
		return lose_frame(pair);
	if (fill(pair) < 0)
		return RX_BROKEN;
	return pair->rx.count ? receive_frame(pair) : RX_STARVED;
}

/* ---- a turn ---- */

void virtio_net_receive(struct net_pair *pair)
{
	struct virtio_queue *queue = pair->rx.queue;
	enum result result = RX_MORE;

	if (!queue)
		return;
	virtio_queue_hush(queue);
	for (unsigned i = 0; i < NET_TURN_FRAMES && result == RX_MORE; i++) {
		result = step(pair);
		if (result == RX_STARVED && virtio_queue_listen(queue))
			result = RX_MORE;
	}
	if (result == RX_BROKEN)
		return;
	virtio_queue_flush(queue);
	pair->rx.starved = result == RX_STARVED;
	virtio_net_watch(pair);
	/* The back end may hold frames of which POLLIN says nothing. */
	if (result == RX_MORE)
		loop_post(loop_thread_loop(pair->net->thread), &pair->rx_again);
}
