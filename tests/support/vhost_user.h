/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost_user: a vhost-user back end for tests, on a thread of its own at the other end of a socketpair. It
 * writes down what it is told, and misbehaves as asked. Written from the protocol's text, not from src/back.
 */
#ifndef VMM_TEST_VHOST_USER_H
#define VMM_TEST_VHOST_USER_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"

enum peer_request {
	PEER_GET_FEATURES = 1,
	PEER_SET_FEATURES = 2,
	PEER_SET_OWNER = 3,
	PEER_SET_MEM_TABLE = 5,
	PEER_SET_VRING_NUM = 8,
	PEER_SET_VRING_ADDR = 9,
	PEER_SET_VRING_BASE = 10,
	PEER_GET_VRING_BASE = 11,
	PEER_SET_VRING_KICK = 12,
	PEER_SET_VRING_CALL = 13,
	PEER_SET_VRING_ERR = 14,
	PEER_GET_PROTOCOL_FEATURES = 15,
	PEER_SET_PROTOCOL_FEATURES = 16,
	PEER_SET_VRING_ENABLE = 18,
	PEER_REQUESTS = 64,
};

#define PEER_RINGS 2

enum peer_manners {
	PEER_GOOD,
	PEER_REFUSES,       /* answers an acknowledged message with 1 */
	PEER_HANGS_UP,      /* instead of an answer */
	PEER_OTHER_REQUEST, /* answers what was not asked */
	PEER_OTHER_SIZE,    /* says that its answer is bigger than the protocol has it */
	PEER_SMALL_SIZE,    /* smaller */
	PEER_HUGE_SIZE,     /* as big as can be said */
	PEER_NO_REPLY_FLAG,
	PEER_OTHER_VERSION,
	PEER_HALF_HEADER, /* hangs up in the middle of the answer's header */
	PEER_HALF_ANSWER, /* in the middle of what follows */
	PEER_TWICE,       /* says each answer twice */
	PEER_SILENT,      /* answers nothing */
	PEER_TRICKLES,    /* a byte now and then, for ever */
	PEER_SENDS_FDS,
	PEER_SLOW, /* takes a second for each answer */
};

struct peer {
	int fd, listener; /* listener: the one whose first connection is taken; 0: none */
	uint64_t features, protocol_features;
	enum peer_manners manners;
	unsigned when; /* the request from which on it has those manners; 0: always */

	pthread_t thread;
	unsigned heard[PEER_REQUESTS]; /* how often each request came */
	uint64_t set_features, set_protocol_features;
	struct {
		uint32_t count, padding;
		struct {
			uint64_t gpa, size, user_address, offset;
		} regions[8];
	} table;
	unsigned table_fds, enabled;
	int error_fd; /* of the queue that was started last; -1 */
	struct peer_ring {
		uint32_t size, base;
		uint64_t desc, avail, used;
		int kick_fd, call_fd; /* -1 */
		bool enabled;
	} rings[PEER_RINGS];
};

struct peer_header {
	uint32_t request, flags, size;
};

static inline bool peer_receive(
        struct peer *peer, struct peer_header *header, uint8_t *payload, int fds[8], unsigned *fd_count)
{
	uint8_t control[CMSG_SPACE(8 * sizeof(int))];
	struct iovec iov = {header, sizeof(*header)};
	struct msghdr parts = {
	        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	const struct cmsghdr *cmsg;

	*fd_count = 0;
	if (recvmsg(peer->fd, &parts, MSG_WAITALL) != sizeof(*header) || header->size > 4096)
		return false;
	cmsg = CMSG_FIRSTHDR(&parts);
	if (cmsg && cmsg->cmsg_type == SCM_RIGHTS) {
		*fd_count = (unsigned)((cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(cmsg), *fd_count * sizeof(int));
	}
	return !header->size || recv(peer->fd, payload, header->size, MSG_WAITALL) == (ssize_t)header->size;
}

static inline void peer_keep(int *place, int fd)
{
	if (*place >= 0)
		close(*place);
	*place = fd;
}

/* Returns whether the descriptor is kept. */
static inline bool peer_note_ring(struct peer *peer, uint32_t request, const uint8_t *payload, int fd)
{
	struct peer_ring *ring = &peer->rings[load_le(payload, 4) % PEER_RINGS];
	uint32_t number = (uint32_t)load_le(payload + 4, 4);

	switch (request) {
	case PEER_SET_VRING_NUM: ring->size = number; break;
	case PEER_SET_VRING_BASE: ring->base = number; break;
	case PEER_SET_VRING_ADDR:
		ring->desc = load_le(payload + 8, 8);
		ring->used = load_le(payload + 16, 8);
		ring->avail = load_le(payload + 24, 8);
		break;
	case PEER_SET_VRING_KICK: peer_keep(&ring->kick_fd, fd); return true;
	case PEER_SET_VRING_CALL: peer_keep(&ring->call_fd, fd); return true;
	case PEER_SET_VRING_ERR: peer_keep(&peer->error_fd, fd); return true;
	case PEER_SET_VRING_ENABLE: peer->enabled = ring->enabled = number; break;
	case PEER_GET_VRING_BASE: ring->enabled = false; break;
	default: break;
	}
	return false;
}

static inline void peer_note(struct peer *peer, const struct peer_header *header, const uint8_t *payload,
        const int *fds, unsigned fd_count)
{
	unsigned keep = 0;

	peer->heard[header->request % PEER_REQUESTS]++;
	switch (header->request) {
	case PEER_SET_FEATURES: peer->set_features = load_le(payload, 8); break;
	case PEER_SET_PROTOCOL_FEATURES: peer->set_protocol_features = load_le(payload, 8); break;
	case PEER_SET_MEM_TABLE:
		memcpy(&peer->table, payload,
		        header->size < sizeof(peer->table) ? header->size : sizeof(peer->table));
		peer->table_fds = fd_count;
		break;
	default: keep = peer_note_ring(peer, header->request, payload, fd_count ? fds[0] : -1); break;
	}
	for (unsigned i = keep; i < fd_count; i++)
		close(fds[i]);
}

static inline void peer_send(struct peer *peer, const void *data, size_t size, bool with_fd)
{
	union {
		struct cmsghdr head;
		uint8_t room[CMSG_SPACE(sizeof(int))];
	} control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)),
	                     .cmsg_level = SOL_SOCKET,
	                     .cmsg_type = SCM_RIGHTS}};
	struct iovec iov = {(void *)(uintptr_t)data, size};
	struct msghdr parts = {.msg_iov = &iov, .msg_iovlen = 1};

	if (with_fd) {
		memcpy(CMSG_DATA(&control.head), &peer->fd, sizeof(int));
		parts.msg_control = &control;
		parts.msg_controllen = sizeof(control);
	}
	(void)!sendmsg(peer->fd, &parts, MSG_NOSIGNAL);
}

/* The size that an answer says that it has. */
static inline uint32_t peer_size(enum peer_manners manners, uint32_t size)
{
	switch (manners) {
	case PEER_OTHER_SIZE: return size + 8;
	case PEER_SMALL_SIZE: return size - 1;
	case PEER_HUGE_SIZE: return UINT32_MAX;
	default: return size;
	}
}

/* A byte now and then, until vmm hangs up. */
static inline void peer_trickle(struct peer *peer, const uint8_t *reply)
{
	while (send(peer->fd, reply, 1, MSG_NOSIGNAL) == 1)
		usleep(1000000);
}

/* Returns false if the peer has hung up. */
static inline bool peer_answer(struct peer *peer, uint32_t request, const void *data, uint32_t size, bool bad)
{
	enum peer_manners manners = bad ? peer->manners : PEER_GOOD;
	uint8_t reply[12 + 16];
	size_t bytes = sizeof(struct peer_header) + size;
	struct peer_header header = {request + (manners == PEER_OTHER_REQUEST),
	        (manners == PEER_OTHER_VERSION ? 2u : 1u) | (manners == PEER_NO_REPLY_FLAG ? 0 : 4u),
	        peer_size(manners, size)};

	memcpy(reply, &header, sizeof(header));
	memcpy(reply + sizeof(header), data, size);
	switch (manners) {
	case PEER_HANGS_UP: return false;
	case PEER_SILENT: return true;
	case PEER_SLOW: usleep(1000000); break;
	case PEER_TRICKLES: peer_trickle(peer, reply); return false;
	case PEER_HALF_HEADER: bytes = sizeof(header) / 2; break;
	case PEER_HALF_ANSWER: bytes = sizeof(header) + size / 2; break;
	case PEER_TWICE: peer_send(peer, reply, bytes, false); break;
	default: break;
	}
	peer_send(peer, reply, bytes, manners == PEER_SENDS_FDS);
	return manners != PEER_HALF_HEADER && manners != PEER_HALF_ANSWER;
}

static inline bool peer_serve(struct peer *peer, const struct peer_header *header, const uint8_t *payload)
{
	bool bad = !peer->when || peer->heard[peer->when % PEER_REQUESTS];
	uint64_t refused = bad && peer->manners == PEER_REFUSES;

	switch (header->request) {
	case PEER_GET_FEATURES: return peer_answer(peer, header->request, &peer->features, 8, bad);
	case PEER_GET_PROTOCOL_FEATURES:
		return peer_answer(peer, header->request, &peer->protocol_features, 8, bad);
	case PEER_GET_VRING_BASE: return peer_answer(peer, header->request, payload, 8, bad);
	default: return !(header->flags & 8) || peer_answer(peer, header->request, &refused, 8, bad);
	}
}

static inline void *peer_main(void *ctx)
{
	struct peer *peer = ctx;
	struct peer_header header;
	uint8_t payload[4096] = {0};
	unsigned fd_count;
	int fds[8];

	if (peer->listener)
		peer->fd = accept(peer->listener, NULL, NULL);
	while (peer_receive(peer, &header, payload, fds, &fd_count)) {
		peer_note(peer, &header, payload, fds, fd_count);
		if (!peer_serve(peer, &header, payload))
			break;
	}
	shutdown(peer->fd, SHUT_RDWR);
	return NULL;
}

static inline void peer_forget(struct peer *peer)
{
	peer->error_fd = -1;
	for (unsigned i = 0; i < PEER_RINGS; i++)
		peer->rings[i].kick_fd = peer->rings[i].call_fd = -1;
}

/* Returns the socket for vmm. */
static inline int peer_start(struct peer *peer)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	peer->fd = fds[0];
	peer_forget(peer);
	assert_int_equal(pthread_create(&peer->thread, NULL, peer_main, peer), 0);
	return fds[1];
}

/* Serves the first connection to a socket that listens. */
static inline void peer_listen(struct peer *peer, int listener)
{
	peer->listener = listener;
	peer_forget(peer);
	assert_int_equal(pthread_create(&peer->thread, NULL, peer_main, peer), 0);
}

/* After vmm has closed its end, or the peer has hung up. */
static inline void peer_end(struct peer *peer)
{
	pthread_join(peer->thread, NULL);
	close(peer->fd);
	peer_keep(&peer->error_fd, -1);
	for (unsigned i = 0; i < PEER_RINGS; i++) {
		peer_keep(&peer->rings[i].kick_fd, -1);
		peer_keep(&peer->rings[i].call_fd, -1);
	}
}

#endif
