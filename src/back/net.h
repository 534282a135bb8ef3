/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net: what the back ends of networks share.
 */
#ifndef BACK_NET_H
#define BACK_NET_H

#include "vmm/back/helper.h"
#include "vmm/back/net.h"

/* A descriptor of a back end, and the events for which the loop watches it. */
struct back_net_port {
	struct back_net *net;
	unsigned queue;
	int fd; /* owned; -1: none */
	int events;
	struct loop_op *watch;
};

/* Watches the port for these events instead of those before. A watch that cannot be made ends the back end.
 */
void back_net_port_watch(struct back_net_port *port, int events);

/* Ends the back end: says why in the log and tells the device, both once. */
void back_net_end(struct back_net *net, const char *fmt, ...) PRINTF(2, 3);

/* Zeroes a received frame's header, for a back end that has none. */
void back_net_clear_header(const struct iovec *iov, unsigned iov_count);

/* Each opens one kind of back end. */
int back_tap_open(const struct config_device *config, struct back_net **ret_net, struct err *err) MUST_CHECK;
int back_passt_open(const struct config_device *config, const uint8_t mac[static BACK_NET_MAC_BYTES],
        struct back_net **ret_net, struct err *err) MUST_CHECK;

/* Starts a passt for the device; its descriptors and number go to ret_server. */
int back_passt_spawn(
        const struct config_device *config, struct back_server *ret_server, struct err *err) MUST_CHECK;

#endif
