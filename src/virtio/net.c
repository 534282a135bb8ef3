/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net: the network device. It is added on the main thread, its registers are read on vCPUs' threads, and
 * everything else runs on its own loop, whose thread it owns.
 * Law: VIRTIO 5.1.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "net.h"

#define NET_DEVICE_ID 1
#define NET_PCI_CLASS 0x020000 /* an Ethernet controller */
#define LINK_UP       1
#define ANNOUNCE      2
#define MTU_MIN       68 /* Linux declines what is less (RFC 791 has this as the least) */

/* struct virtio_net_config (5.1.4), as far as the features of this device reach. */
struct registers {
	uint8_t mac[BACK_NET_MAC_BYTES];
	uint16_t status, max_virtqueue_pairs, mtu;
} __attribute__((packed));

/* ---- registers ---- */

static void net_config_read(void *ctx, unsigned offset, void *data, unsigned size)
{
	const struct virtio_net *net = ctx;
	struct registers registers = {
	        .status = (uint16_t)((net_link_is_up(net) ? LINK_UP : 0) | (net->announce ? ANNOUNCE : 0)),
	        .max_virtqueue_pairs = (uint16_t)net->pairs_count,
	        .mtu = net->mtu,
	};

	memcpy(registers.mac, net->mac, sizeof(registers.mac));
	memcpy(data, (const uint8_t *)&registers + offset, size);
}

/* ---- the back end's events ---- */

void virtio_net_watch(struct net_pair *pair)
{
	bool receives = pair->rx.queue && !pair->rx.starved;

	back_net_watch(
	        pair->net->back, pair->index, (receives ? POLLIN : 0) | (pair->tx.count ? POLLOUT : 0));
}

static void on_ready(void *ctx, unsigned queue, int events)
{
	struct virtio_net *net = ctx;

	if (events & POLLOUT)
		virtio_net_send(&net->pairs[queue]);
	if (events & POLLIN)
		virtio_net_receive(&net->pairs[queue]);
}

void virtio_net_link_down(struct virtio_net *net)
{
	net->gone = true;
	virtio_device_config_changed(net->device);
}

static void on_down(void *ctx)
{
	struct virtio_net *net = ctx;

	virtio_net_link_down(net);
	loop_post(loop_thread_loop(net->thread), &net->down);
}

/* Frames that waited for the back end wait no longer: it takes them all, and they are lost. */
static void drop_waiting(void *ctx)
{
	struct virtio_net *net = ctx;

	for (unsigned i = 0; i < net->pairs_count; i++)
		virtio_net_send(&net->pairs[i]);
}

static void rx_again(void *ctx)
{
	virtio_net_receive(ctx);
}

static void tx_again(void *ctx)
{
	virtio_net_send(ctx);
}

/* ---- the driver's side ---- */

static void start_pair(struct net_pair *pair, const struct virtio_start *start)
{
	pair->rx.queue = start->queues[2 * pair->index];
	pair->tx.queue = start->queues[2 * pair->index + 1];
	virtio_net_receive(pair);
	virtio_net_send(pair);
}

static int start_back(struct virtio_net *net, struct err *err)
{
	const struct back_net_events events = {.on_ready = on_ready, .on_down = on_down, .ctx = net};

	if (back_net_start(net->back, loop_thread_loop(net->thread), &events, err) < 0 ||
	        back_net_set_queues(net->back, net->active, err) < 0)
		return -1;
	return back_net_set_offloads(net->back, virtio_net_guest_offloads(net->offloads), err);
}

static void on_control(void *ctx)
{
	virtio_net_control(ctx);
}

/*
 * 5.1.2: without MQ the control queue follows the first pair. There it has the number of one that vhost
 * serves, so the transport does not hear its kicks.
 */
static int start_control(struct virtio_net *net, const struct virtio_start *start, struct err *err)
{
	unsigned index = net_has(net, NET_F_MQ) ? 2 * net->pairs_count : 2;

	if (!net_has(net, NET_F_CTRL_VQ))
		return 0;
	net->control = start->queues[index];
	if (!net->control || !net->vhost || index == 2 * net->pairs_count)
		return 0;
	return loop_bell_start(loop_thread_loop(net->thread), virtio_queue_place(net->control).kick_fd,
	        on_control, net, &net->control_bell, err);
}

static int start_all(struct virtio_net *net, const struct virtio_start *start, struct err *err)
{
	if (start_back(net, err) < 0 || start_control(net, start, err) < 0)
		return -1;
	if (net->vhost)
		return virtio_net_vhost_start(net, start, err);
	/* Without MQ there is one pair; behind it may come the control queue. */
	for (unsigned i = 0; i < (net_has(net, NET_F_MQ) ? net->pairs_count : 1); i++)
		start_pair(&net->pairs[i], start);
	return 0;
}

static void forget(struct net_pair *pair)
{
	struct net_rx *rx = &pair->rx;

	/* A frame that waited for the driver's buffers is lost. */
	if (rx->frame_bytes)
		count_add(&pair->net->rx_lost, 1);
	rx->queue = pair->tx.queue = NULL;
	rx->first = rx->count = rx->iov_first = rx->iov_count = 0;
	rx->bytes = rx->frame_bytes = rx->frame_placed = 0;
	rx->starved = false;
	pair->tx.first = pair->tx.count = 0;
}

static void stop_all(struct virtio_net *net)
{
	if (net->vhost)
		virtio_net_vhost_stop(net);
	back_net_stop(net->back);
	for (unsigned i = 0; i < net->pairs_count; i++)
		forget(&net->pairs[i]);
	loop_op_stop(take_ptr(&net->control_bell));
	net->control = NULL;
}

static int net_start(void *ctx, const struct virtio_start *start, struct err *err)
{
	struct virtio_net *net = ctx;

	net->features = start->features;
	if (!start->goes_on) {
		net->offloads = start->features;
		net->active = 1;
		net->announce = false;
	}
	if (start_all(net, start, err) == 0)
		return 0;
	stop_all(net);
	return -1;
}

static void net_kick(void *ctx, struct virtio_queue *queue)
{
	struct virtio_net *net = ctx;
	unsigned index = virtio_queue_index(queue);

	if (queue == net->control)
		virtio_net_control(net);
	else if (index / 2 >= net->pairs_count)
		return;
	else if (index % 2)
		virtio_net_send(&net->pairs[index / 2]);
	else
		virtio_net_receive(&net->pairs[index / 2]);
}

static void net_stop(void *ctx)
{
	struct virtio_net *net = ctx;

	stop_all(net);
	virtio_device_stopped(net->device);
}

/* ---- life ---- */

static void close_vhost(void *ctx)
{
	virtio_net_vhost_close(ctx);
}

static void net_finish(void *ctx)
{
	struct virtio_net *net = ctx;

	if (net->thread)
		loop_call(loop_thread_loop(net->thread), close_vhost, net);
	loop_thread_destroy(net->thread);
	back_net_destroy(net->back);
	for (unsigned i = 0; i < net->pairs_count; i++)
		free(net->pairs[i].rx.spill);
	free(net->pairs);
	free(net->id);
	free(net);
}

const struct virtio_kind virtio_net_kind = {
        .name = "virtio-net",
        .id = NET_DEVICE_ID,
        .pci_class = NET_PCI_CLASS,
        .config_read = net_config_read,
        .start = net_start,
        .kick = net_kick,
        .stop = net_stop,
        .visit = virtio_net_visit,
        .finish = net_finish,
        .unmovable =
                "the kernel moves the frames of one of its networks (vhost-net), and writes to its memory "
                "without telling vmm; start it with \"vhost\": false",
};

static int make_pairs(struct virtio_net *net, struct err *err)
{
	unsigned count = net->back->queues;

	net->pairs = calloc(count, sizeof(*net->pairs));
	if (!net->pairs)
		return err_sys(err, ERR_FAILED, ENOMEM, "%s", net->id);
	net->pairs_count = count;
	for (unsigned i = 0; i < count; i++) {
		struct net_pair *pair = &net->pairs[i];

		pair->net = net;
		pair->index = i;
		pair->rx_again = (struct loop_task){.fn = rx_again, .ctx = pair};
		pair->tx_again = (struct loop_task){.fn = tx_again, .ctx = pair};
		pair->rx.spill = malloc(NET_SPILL_BYTES);
		if (!pair->rx.spill)
			return err_sys(err, ERR_FAILED, ENOMEM, "%s", net->id);
	}
	return 0;
}

static int create(const struct virtio_place *place, const struct config_device *config,
        struct virtio_net *net, struct err *err)
{
	net->down = (struct loop_task){.fn = drop_waiting, .ctx = net};
	net->plugged = true;
	net->id = strdup(config->id);
	if (!net->id)
		return err_sys(err, ERR_FAILED, ENOMEM, "network");
	if (virtio_net_mac(config, place->machine ? place->machine : "", net->mac, err) < 0 ||
	        back_net_open(config, net->mac, &net->back, err) < 0 || make_pairs(net, err) < 0 ||
	        loop_thread_create(net->id, &net->thread, err) < 0)
		return -1;
	if (net->back->mtu >= MTU_MIN && net->back->mtu <= UINT16_MAX)
		net->mtu = (uint16_t)net->back->mtu;
	if (config->vhost)
		virtio_net_vhost_open(net);
	return 0;
}

int virtio_net_add(const struct virtio_place *place, const struct config_device *config, struct err *err)
{
	struct virtio_net *net = calloc(1, sizeof(*net));
	struct virtio_setup setup = {.kind = &virtio_net_kind,
	        .ctx = net,
	        .id = config->id,
	        .queue_size = NET_QUEUE_SIZE,
	        .config_bytes = sizeof(struct registers)};

	if (!net)
		return err_sys(err, ERR_FAILED, ENOMEM, "network");
	if (create(place, config, net, err) < 0) {
		net_finish(net);
		return -1;
	}
	setup.features = virtio_net_offer(net);
	setup.queues = 2 * net->pairs_count + (setup.features & NET_BIT(NET_F_CTRL_VQ) ? 1 : 0);
	setup.loop = loop_thread_loop(net->thread);
	for (unsigned i = 0; net->vhost && i < 2 * net->pairs_count; i++)
		setup.outside[i / 64] |= UINT64_C(1) << i % 64;
	return virtio_pci_add(place->board, &setup, &net->device, err);
}
