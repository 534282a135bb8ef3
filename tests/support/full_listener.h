/* SPDX-License-Identifier: Apache-2.0 */
/*
 * full_listener: an address at which connections neither come about nor are refused: the queue of who listens
 * there is full, and nobody takes anything out of it.
 */
#ifndef TEST_FULL_LISTENER_H
#define TEST_FULL_LISTENER_H

#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/test.h"

struct full_listener {
	int listener, first;
	char address[40]; /* "tcp:127.0.0.1:4444" */
};

static inline void listener_fill(struct full_listener *full)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(at);

	full->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	full->first = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(full->listener >= 0 && full->first >= 0);
	assert_int_equal(bind(full->listener, (const struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(full->listener, 0), 0);
	assert_int_equal(getsockname(full->listener, (struct sockaddr *)&at, &size), 0);
	assert_int_equal(connect(full->first, (const struct sockaddr *)&at, sizeof(at)), 0);
	snprintf(full->address, sizeof(full->address), "tcp:127.0.0.1:%u", ntohs(at.sin_port));
}

static inline void listener_close(struct full_listener *full)
{
	close(full->listener);
	close(full->first);
}

#endif
