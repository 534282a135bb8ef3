/* SPDX-License-Identifier: Apache-2.0 */
/*
 * back/net: what a network device is connected to: a tap interface of this host, or a peer behind a stream
 * socket (passt).
 *
 * The device's loop calls everything but back_net_open() and back_net_destroy(). A back end has one or more
 * queues, as its device has pairs of them. It keeps no frame: send() takes what the host takes now, and
 * receive() gives what the host has now. Everything that comes from a peer is hostile: it is bounded, and
 * what breaks the rules ends the connection.
 */
#ifndef VMM_BACK_NET_H
#define VMM_BACK_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/base.h"
#include "vmm/config.h"
#include "vmm/loop.h"

#define BACK_NET_MAC_BYTES    6
#define BACK_NET_HEADER_BYTES 12 /* struct virtio_net_hdr_v1 (VIRTIO 5.1.6) */
#define BACK_NET_FRAME_MIN    14 /* an Ethernet header */
/* A segmented packet of 65,535 bytes behind an Ethernet header with a VLAN tag. */
#define BACK_NET_FRAME_MAX  (65535 + 18)
#define BACK_NET_QUEUES_MAX 32
#define BACK_NET_BATCH      64 /* frames that one send() takes at most */

/* What the frames of a back end may leave to the receiver, in either direction. */
enum back_net_offload {
	BACK_NET_CSUM = 1 << 0, /* the checksum of TCP and UDP */
	BACK_NET_TSO4 = 1 << 1, /* the segmentation of TCP over IPv4, ... */
	BACK_NET_TSO6 = 1 << 2,
	BACK_NET_ECN = 1 << 3, /* ... with congestion notification */
	BACK_NET_USO = 1 << 4, /* the segmentation of UDP, over IPv4 and IPv6 */
};

/*
 * A frame to be sent. iov begins with a header of BACK_NET_HEADER_BYTES, which asks for offloads; a back end
 * without any ignores it.
 */
struct back_net_frame {
	const struct iovec *iov;
	unsigned iov_count;
	size_t bytes; /* of the frame, without the header: BACK_NET_FRAME_MIN..frame_max of the back end */
};

struct back_net;

/* How a back end calls its device, on the device's loop. */
struct back_net_events {
	/* events: POLLIN, POLLOUT or both, of those that were asked for. */
	void (*on_ready)(void *ctx, unsigned queue, int events);
	/*
	 * The back end is gone for good, and has said so in the log. From now on it takes all frames without
	 * sending them, and has none to give. Called once.
	 */
	void (*on_down)(void *ctx);
	void *ctx;
};

struct back_net_ops {
	int (*start)(struct back_net *net, struct err *err);
	void (*stop)(struct back_net *net);
	void (*watch)(struct back_net *net, unsigned queue, int events);
	unsigned (*send)(
	        struct back_net *net, unsigned queue, const struct back_net_frame *frames, unsigned count);
	size_t (*receive)(struct back_net *net, unsigned queue, const struct iovec *iov, unsigned iov_count);
	int (*set_offloads)(struct back_net *net, unsigned offloads, struct err *err);
	int (*set_queues)(struct back_net *net, unsigned count, struct err *err);
	int (*tap_fd)(const struct back_net *net, unsigned queue);
	int (*watch_end)(struct back_net *net, struct err *err);
	void (*destroy)(struct back_net *net);
};

/* The first member of each back end's own struct. Its opener fills it, and the device only reads it. */
struct back_net {
	const struct back_net_ops *ops;
	char *name;         /* for messages: "tap0", "passt" */
	unsigned queues;    /* 1..BACK_NET_QUEUES_MAX */
	unsigned offloads;  /* BACK_NET_* that it has */
	unsigned mtu;       /* 0: it does not say */
	unsigned frame_max; /* bytes of the longest frame that it takes */
	/* Set by back_net_start(). */
	struct loop *loop;
	struct back_net_events events;
	bool down; /* gone for good */
};

/*
 * Opens what a row of devices[] names. mac is the guest's address. Main thread. ERR_USAGE, ERR_HOST: why it
 * cannot, and what to do. The caller destroys *ret_net.
 */
int back_net_open(const struct config_device *config, const uint8_t mac[static BACK_NET_MAC_BYTES],
        struct back_net **ret_net, struct err *err) MUST_CHECK;
/* Main thread, after back_net_stop(). NULL is allowed. */
void back_net_destroy(struct back_net *net);

/* Connects a back end to its device, whose loop is that of the calling thread. Nothing is watched yet. */
int back_net_start(struct back_net *net, struct loop *loop, const struct back_net_events *events,
        struct err *err) MUST_CHECK;
/* Ends all watches. The back end can be started again; one that was never started may be stopped. */
void back_net_stop(struct back_net *net);
/* Asks for on_ready() while queue has these events (POLLIN, POLLOUT, 0), instead of those asked for before.
 */
void back_net_watch(struct back_net *net, unsigned queue, int events);
/*
 * Sends frames in their order. Returns how many were taken, whose buffers are free again. The others have to
 * wait for POLLOUT. A frame that the host refuses is taken, and lost.
 */
unsigned back_net_send(
        struct back_net *net, unsigned queue, const struct back_net_frame *frames, unsigned count) MUST_CHECK;
/*
 * Receives one frame into iov, behind a header of BACK_NET_HEADER_BYTES, of which the last two bytes
 * (num_buffers) mean nothing. Returns the bytes of both; of what iov has no room for, these or the end are
 * lost. 0: there is no frame now. Only after a 0 does POLLIN tell of the next.
 */
size_t back_net_receive(
        struct back_net *net, unsigned queue, const struct iovec *iov, unsigned iov_count) MUST_CHECK;
/* Chooses what received frames may leave to the guest; a subset of net->offloads. */
int back_net_set_offloads(struct back_net *net, unsigned offloads, struct err *err) MUST_CHECK;
/* Spreads received frames over the first count queues; at first it is one. */
int back_net_set_queues(struct back_net *net, unsigned count, struct err *err) MUST_CHECK;
/* The descriptor of a tap's queue, borrowed, for the kernel's vhost; -1: the back end is no tap. */
int back_net_tap_fd(const struct back_net *net, unsigned queue);
/*
 * Calls on_down() when the back end is gone, until back_net_stop(), also while nobody sends or receives here:
 * for a tap that the kernel's vhost serves.
 */
int back_net_watch_end(struct back_net *net, struct err *err) MUST_CHECK;

#endif
