/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net: the parts of virtio-net (VIRTIO 5.1). net.c is the device, net_features.c what it offers, net_rx.c and
 * net_tx.c move frames, net_control.c obeys the control queue, net_vhost.c lets the kernel move the frames,
 * net_told.c answers controllers.
 * Everything runs on the device's loop, but for the adding and the registers.
 */
#ifndef VIRTIO_NET_H
#define VIRTIO_NET_H

#include "count.h"
#include "vmm/back/net.h"
#include "vmm/back/vhost.h"
#include "vmm/virtio.h"

/* Feature bits (VIRTIO 5.1.3). */
enum {
	NET_F_CSUM = 0,
	NET_F_GUEST_CSUM = 1,
	NET_F_CTRL_GUEST_OFFLOADS = 2,
	NET_F_MTU = 3,
	NET_F_MAC = 5,
	NET_F_GUEST_TSO4 = 7,
	NET_F_GUEST_TSO6 = 8,
	NET_F_GUEST_ECN = 9,
	NET_F_HOST_TSO4 = 11,
	NET_F_HOST_TSO6 = 12,
	NET_F_HOST_ECN = 13,
	NET_F_MRG_RXBUF = 15,
	NET_F_STATUS = 16,
	NET_F_CTRL_VQ = 17,
	NET_F_GUEST_ANNOUNCE = 21,
	NET_F_MQ = 22,
	NET_F_GUEST_USO4 = 54,
	NET_F_GUEST_USO6 = 55,
	NET_F_HOST_USO = 56,
};
#define NET_BIT(bit) (UINT64_C(1) << (bit))

#define NET_PAIRS_MAX   32
#define NET_QUEUE_SIZE  1024 /* 64 KiB in buffers of 1,500 bytes need 44 entries */
#define NET_TURN_FRAMES 256  /* of one queue, before others get their turn */

/* A buffer that the driver gave for received frames, and that is not yet filled. */
struct net_buffer {
	uint16_t head;
	uint16_t iov_count;
	uint32_t bytes;
};

#define NET_RX_IOV 768 /* with the spill, fewer than readv(2) takes */

/*
 * Received frames go straight into the driver's buffers, of which those for the longest frame are taken in
 * advance. What a frame is longer than they are goes to the spill, and from there to the next buffers.
 */
struct net_rx {
	struct virtio_queue *queue; /* NULL: not in use */
	struct net_buffer buffers[NET_RX_IOV];
	struct iovec iov[NET_RX_IOV + 1];   /* of all buffers; then the spill */
	unsigned first, count;              /* of buffers */
	unsigned iov_first, iov_count;      /* of iov */
	uint64_t bytes;                     /* of all buffers */
	uint64_t frame_bytes, frame_placed; /* a frame that waits for buffers; 0: none */
	uint8_t *spill;                     /* NET_SPILL_BYTES */
	bool starved;                       /* the driver has no buffers: the frames wait in the back end */
};
#define NET_SPILL_BYTES (BACK_NET_HEADER_BYTES + BACK_NET_FRAME_MAX)

struct net_tx {
	struct virtio_queue *queue; /* NULL: not in use */
	struct virtio_chain chains[BACK_NET_BATCH];
	unsigned first, count; /* chains that were taken, and that the back end has not */
};

struct net_pair {
	struct virtio_net *net;
	unsigned index;
	struct net_rx rx;
	struct net_tx tx;
	struct back_vhost *vhost; /* NULL: we move the frames */
	bool served;              /* vhost was started */
	struct loop_task rx_again, tx_again;
};

struct virtio_net {
	struct virtio_device *device;
	struct back_net *back;
	struct loop_thread *thread;
	char *id;
	uint8_t mac[BACK_NET_MAC_BYTES];
	uint16_t mtu;          /* 0: none to offer */
	_Atomic bool plugged;  /* nobody pulled the cable */
	_Atomic bool gone;     /* the back end, for good */
	_Atomic bool announce; /* the guest has moved: its driver is to tell the network where it is */
	/* Written by the device's thread alone. */
	_Atomic uint64_t rx_frames, rx_bytes, rx_lost, tx_frames, tx_bytes, tx_lost;
	bool vhost, vhost_started;
	uint64_t offered, features;   /* features: agreed */
	uint64_t offloads;            /* GUEST_*: those that the driver wants at the moment */
	unsigned active;              /* pairs that received frames are spread over */
	struct virtio_queue *control; /* NULL: none */
	struct loop_op *control_bell; /* where the transport does not hear its kicks */
	struct loop_task down;
	unsigned pairs_count;
	struct net_pair *pairs;
};

/* As the driver sees it. */
static inline bool net_link_is_up(const struct virtio_net *net)
{
	return net->plugged && !net->gone;
}

static inline bool net_has(const struct virtio_net *net, unsigned bit)
{
	return net->features & NET_BIT(bit);
}

extern const struct virtio_kind virtio_net_kind;

/* net_features.c: what the device offers, and what the driver's choice means to the back end. */
uint64_t virtio_net_offer(const struct virtio_net *net);
unsigned virtio_net_guest_offloads(uint64_t features);
/* The address of configuration, or a stable one. ERR_USAGE. */
int virtio_net_mac(const struct config_device *config, const char *machine,
        uint8_t ret_mac[static BACK_NET_MAC_BYTES], struct err *err) MUST_CHECK;

/* net_rx.c, net_tx.c: move frames until there are none, no buffers, or the turn is over. */
void virtio_net_receive(struct net_pair *pair);
void virtio_net_send(struct net_pair *pair);

/* net_control.c: obeys the commands that wait. */
void virtio_net_control(struct virtio_net *net);

/* net_vhost.c. Opening decides net->vhost; it is no error if this host has no vhost-net. */
void virtio_net_vhost_open(struct virtio_net *net);
int virtio_net_vhost_start(
        struct virtio_net *net, const struct virtio_start *start, struct err *err) MUST_CHECK;
void virtio_net_vhost_stop(struct virtio_net *net);
void virtio_net_vhost_close(struct virtio_net *net);
/* The cable was pulled, or put in again. */
void virtio_net_vhost_plug(struct virtio_net *net);

/* net_move.c: struct virtio_kind's visit. */
void virtio_net_visit(void *net, bool works, uint64_t features, struct vmstate *s);

/* net.c: watches the back end for what a pair of queues waits for. */
void virtio_net_watch(struct net_pair *pair);
/* net.c: the link is down for good. */
void virtio_net_link_down(struct virtio_net *net);

#endif
