/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost_user: back ends in other processes, by messages over a UNIX socket. A message is a request, flags, a
 * size and the payload, and may carry descriptors; numbers are in this machine's order. Nothing that comes
 * back is believed: it must be the answer to what was asked, of the size that was expected, in time. Law:
 * vhost-user protocol, as QEMU documents it.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "vhost.h"

enum request {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	SET_VRING_ERR = 14,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	GET_QUEUE_NUM = 17,
	SET_VRING_ENABLE = 18,
};

#define VERSION    1u
#define REPLY      4u
#define NEED_REPLY 8u

#define F_PROTOCOL_FEATURES (UINT64_C(1) << 30) /* a feature bit that is not for the driver */
#define PROTOCOL_MQ         (UINT64_C(1) << 0)
#define PROTOCOL_REPLY_ACK  (UINT64_C(1) << 3)

/* What is not for the driver: NOTIFY_ON_EMPTY, LOG_ALL, the bit above, ACCESS_PLATFORM. */
#define FEATURES_LEFT_OUT (UINT64_C(1) << 24 | UINT64_C(1) << 26 | F_PROTOCOL_FEATURES | UINT64_C(1) << 33)

struct header {
	uint32_t request, flags, size;
};

struct region {
	uint64_t gpa, size, user_address, file_offset;
};

struct memory_table {
	uint32_t count, padding;
	struct region regions[PAGE_REGIONS_MAX];
};

struct vring_state {
	uint32_t index, number;
};

struct vring_address {
	uint32_t index, flags;
	uint64_t desc, used, avail, log;
};

struct message {
	enum request request;
	const void *payload;
	uint32_t size;
	const int *fds;
	unsigned fd_count;
};

/* ---- bytes ---- */

static int64_t now_ms(void)
{
	return (int64_t)(clock_ns(CLOCK_MONOTONIC) / 1000000);
}

void back_vhost_set_deadline(struct back_vhost *vhost)
{
	vhost->deadline_ms = now_ms() + BACK_VHOST_WAIT_MS;
}

/* Waits for the socket until the deadline. */
static int wait_for(const struct back_vhost *vhost, short events, struct err *err)
{
	struct pollfd poll_fd = {.fd = vhost->fd, .events = events};
	int64_t left = vhost->deadline_ms - now_ms();
	int n = left > 0 ? poll(&poll_fd, 1, (int)left) : 0;

	if (n < 0 && errno != EINTR)
		return err_sys(err, ERR_FAILED, errno, "poll");
	if (n == 0)
		return err_set(err, ERR_FAILED, "no answer within %d s", BACK_VHOST_WAIT_MS / 1000);
	return 0;
}

static ssize_t send_some(
        const struct back_vhost *vhost, const struct iovec *iov, const struct message *message)
{
	union {
		struct cmsghdr head;
		uint8_t room[CMSG_SPACE(PAGE_REGIONS_MAX * sizeof(int))];
	} control = {0};
	struct msghdr parts = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = 2};

	if (message->fd_count) {
		size_t bytes = message->fd_count * sizeof(int);

		control.head = (struct cmsghdr){
		        .cmsg_len = CMSG_LEN(bytes), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.head), message->fds, bytes);
		parts.msg_control = &control;
		parts.msg_controllen = CMSG_SPACE(bytes);
	}
	return sendmsg(vhost->fd, &parts, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The whole message goes in one piece: it is small, and a socket takes it whole or not at all until it is
 * full. */
static int send_message(
        struct back_vhost *vhost, const struct message *message, uint32_t flags, struct err *err)
{
	struct header header = {message->request, VERSION | flags, message->size};
	const struct iovec iov[2] = {
	        {&header, sizeof(header)}, {(void *)(uintptr_t)message->payload, message->size}};
	ssize_t n;

	while ((n = send_some(vhost, iov, message)) < 0 && (errno == EAGAIN || errno == EINTR)) {
		if (wait_for(vhost, POLLOUT, err) < 0)
			return -1;
	}
	if (n < 0)
		return err_sys(err, ERR_FAILED, errno, "sending");
	if ((size_t)n != sizeof(header) + message->size)
		return err_set(err, ERR_FAILED, "it takes nothing any more");
	return 0;
}

/* Descriptors that come with the bytes are closed by the kernel, since there is no room for them. */
static int receive(struct back_vhost *vhost, void *data, size_t size, struct err *err)
{
	uint8_t *at = data;

	while (size) {
		ssize_t n = recv(vhost->fd, at, size, MSG_DONTWAIT);

		if (n == 0)
			return err_set(err, ERR_FAILED, "it has hung up");
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return err_sys(err, ERR_FAILED, errno, "receiving");
		if (n < 0 && wait_for(vhost, POLLIN, err) < 0)
			return -1;
		if (n > 0) {
			at += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

/* ---- messages ---- */

static int receive_answer(
        struct back_vhost *vhost, enum request request, void *answer, uint32_t size, struct err *err)
{
	struct header header;

	if (receive(vhost, &header, sizeof(header), err) < 0)
		return -1;
	if (header.request != request || (header.flags & (3u | REPLY)) != (VERSION | REPLY) ||
	        header.size != size)
		return err_set(err, ERR_FAILED,
		        "request %u was answered with request %u, flags %#x and %u bytes; expected were %u "
		        "bytes",
		        request, header.request, header.flags, header.size, size);
	return receive(vhost, answer, size, err);
}

/* Sends a message, and takes the answer if size is not 0. After a failure nothing more is said. */
static int exchange(struct back_vhost *vhost, const struct message *message, uint32_t flags, void *answer,
        uint32_t size, struct err *err)
{
	if (vhost->broken)
		return err_set(err, ERR_FAILED, "it failed before");
	if (send_message(vhost, message, flags, err) < 0 ||
	        (size && receive_answer(vhost, message->request, answer, size, err) < 0)) {
		vhost->broken = true;
		return -1;
	}
	return 0;
}

static int ask(struct back_vhost *vhost, enum request request, uint64_t *ret_answer, struct err *err)
{
	return exchange(
	        vhost, &(struct message){.request = request}, 0, ret_answer, sizeof(*ret_answer), err);
}

/* Says something, and learns whether it was taken if the back end can tell. */
static int say(struct back_vhost *vhost, const struct message *message, struct err *err)
{
	uint64_t refused = 0;

	if (exchange(vhost, message, vhost->acknowledges ? NEED_REPLY : 0, &refused,
	            vhost->acknowledges ? sizeof(refused) : 0, err) < 0)
		return -1;
	if (refused)
		return err_set(err, ERR_FAILED, "it refuses request %u", message->request);
	return 0;
}

static int say_u64(struct back_vhost *vhost, enum request request, uint64_t value, struct err *err)
{
	return say(vhost, &(struct message){request, &value, sizeof(value), NULL, 0}, err);
}

static int say_state(
        struct back_vhost *vhost, enum request request, unsigned index, uint32_t number, struct err *err)
{
	const struct vring_state state = {index, number};

	return say(vhost, &(struct message){request, &state, sizeof(state), NULL, 0}, err);
}

static int say_fd(struct back_vhost *vhost, enum request request, unsigned index, int fd, struct err *err)
{
	uint64_t value = index;

	return say(vhost, &(struct message){request, &value, sizeof(value), &fd, 1}, err);
}

/* ---- what vhost.c asks for ---- */

static int set_features(struct back_vhost *vhost, uint64_t features, struct err *err)
{
	return say_u64(vhost, SET_FEATURES, features | (vhost->has_protocol ? F_PROTOCOL_FEATURES : 0), err);
}

/* Guest addresses stand in for addresses of this process, which the back end has no use for. */
static int set_memory(struct back_vhost *vhost, const struct page_lent *lent, unsigned count, struct err *err)
{
	struct memory_table table = {.count = count};
	int fds[PAGE_REGIONS_MAX];
	uint64_t ignored;

	for (unsigned i = 0; i < count; i++) {
		table.regions[i] = (struct region){lent[i].gpa.raw, lent[i].size_bytes, lent[i].gpa.raw, 0};
		fds[i] = lent[i].fd;
	}
	if (say(vhost,
	            &(struct message){SET_MEM_TABLE, &table,
	                    (uint32_t)(offsetof(struct memory_table, regions) +
	                               count * sizeof(struct region)),
	                    fds, count},
	            err) < 0)
		return -1;
	/* Whoever answers this has dealt with the table before. */
	return vhost->acknowledges ? 0 : ask(vhost, GET_FEATURES, &ignored, err);
}

static int start_queue(
        struct back_vhost *vhost, const struct back_vhost_queue *queue, int error_fd, struct err *err)
{
	const struct vring_address rings = {
	        .index = queue->index,
	        .desc = queue->desc_gpa,
	        .used = queue->used_gpa,
	        .avail = queue->avail_gpa,
	};
	const struct message place = {SET_VRING_ADDR, &rings, sizeof(rings), NULL, 0};

	if (say_state(vhost, SET_VRING_NUM, queue->index, queue->size, err) < 0 ||
	        say_state(vhost, SET_VRING_BASE, queue->index, 0, err) < 0 || say(vhost, &place, err) < 0 ||
	        say_fd(vhost, SET_VRING_CALL, queue->index, queue->call_fd, err) < 0 ||
	        say_fd(vhost, SET_VRING_ERR, queue->index, error_fd, err) < 0 ||
	        say_fd(vhost, SET_VRING_KICK, queue->index, queue->kick_fd, err) < 0)
		return -1;
	/* Without protocol features a queue runs from its kick on. */
	return vhost->has_protocol ? say_state(vhost, SET_VRING_ENABLE, queue->index, 1, err) : 0;
}

static int stop_queue(struct back_vhost *vhost, unsigned index, struct err *err)
{
	const struct vring_state asked = {index, 0};
	struct vring_state answer;

	if (vhost->has_protocol && say_state(vhost, SET_VRING_ENABLE, index, 0, err) < 0)
		return -1;
	return exchange(vhost, &(struct message){GET_VRING_BASE, &asked, sizeof(asked), NULL, 0}, 0, &answer,
	        sizeof(answer), err);
}

static const struct back_vhost_ops ops = {
        .set_features = set_features,
        .set_memory = set_memory,
        .start_queue = start_queue,
        .stop_queue = stop_queue,
};

/* ---- the first words ---- */

static int agree_on_protocol(struct back_vhost *vhost, struct err *err)
{
	uint64_t offered, wanted;

	if (ask(vhost, GET_PROTOCOL_FEATURES, &offered, err) < 0)
		return -1;
	wanted = offered & (PROTOCOL_MQ | PROTOCOL_REPLY_ACK);
	if (say_u64(vhost, SET_PROTOCOL_FEATURES, wanted, err) < 0)
		return -1;
	vhost->has_protocol = true;
	vhost->acknowledges = wanted & PROTOCOL_REPLY_ACK;
	return 0;
}

static int meet(struct back_vhost *vhost, struct err *err)
{
	uint64_t features;

	back_vhost_set_deadline(vhost);
	if (ask(vhost, GET_FEATURES, &features, err) < 0 ||
	        ((features & F_PROTOCOL_FEATURES) && agree_on_protocol(vhost, err) < 0))
		return -1;
	vhost->features = features & ~FEATURES_LEFT_OUT;
	return say(vhost, &(struct message){.request = SET_OWNER}, err);
}

int back_vhost_user_create(int socket, const char *name, struct loop *loop,
        const struct back_vhost_events *events, struct back_vhost **ret_vhost, struct err *err)
{
	struct back_vhost *vhost = back_vhost_allocate(&ops, socket, name, loop, events, err);

	if (!vhost)
		return -1;
	vhost->is_process = true;
	if (meet(vhost, err) < 0) {
		back_vhost_destroy(vhost);
		return err_wrap(err, "%s", name);
	}
	*ret_vhost = vhost;
	return 0;
}
