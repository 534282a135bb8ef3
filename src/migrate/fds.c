/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fds: sends and receives descriptors. The kernel never gives those of two messages in one read, and gives
 * them with the first byte of theirs that is read (unix(7)).
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fds.h"

union room {
	struct cmsghdr head;
	uint8_t bytes[CMSG_SPACE(MIGRATE_FDS_MAX * sizeof(int))];
};

static void add(struct migrate_fds *into, int fd)
{
	if (into->count < MIGRATE_FDS_MAX) {
		into->fds[into->count++] = fd;
		return;
	}
	into->too_many = true;
	close(fd);
}

static void add_all(struct migrate_fds *into, struct msghdr *message)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
		const unsigned char *at = CMSG_DATA(part);
		int fd;

		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t left = part->cmsg_len - CMSG_LEN(0); left >= sizeof(fd); left -= sizeof(fd)) {
			memcpy(&fd, at, sizeof(fd));
			add(into, fd);
			at += sizeof(fd);
		}
	}
	into->too_many |= (message->msg_flags & MSG_CTRUNC) != 0;
}

ssize_t migrate_fds_receive(int fd, void *data, size_t size, struct migrate_fds *into)
{
	union room room;
	struct iovec iov = {data, size};
	struct msghdr message = {
	        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &room, .msg_controllen = sizeof(room)};
	ssize_t got = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (got >= 0)
		add_all(into, &message);
	return got;
}

ssize_t migrate_fds_send(int fd, const void *data, size_t size, const struct migrate_fds *with)
{
	union room room = {0};
	struct iovec iov = {(void *)(uintptr_t)data, size};
	struct msghdr message = {.msg_iov = &iov,
	        .msg_iovlen = 1,
	        .msg_control = &room,
	        .msg_controllen = CMSG_SPACE(with->count * sizeof(int))};

	room.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(with->count * sizeof(int)),
	        .cmsg_level = SOL_SOCKET,
	        .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(&room.head), with->fds, with->count * sizeof(int));
	return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void migrate_fds_close(struct migrate_fds *fds)
{
	while (fds->count)
		close(fds->fds[--fds->count]);
	fds->too_many = false;
}
