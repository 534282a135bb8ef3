/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net: the doors to the back ends of networks, and what these share: how a descriptor is watched, and how a
 * back end ends. On the device's loop, but for opening and destroying.
 */
#include <poll.h>
#include <stdarg.h>
#include <string.h>

#include "net.h"

int back_net_open(const struct config_device *config, const uint8_t mac[static BACK_NET_MAC_BYTES],
        struct back_net **ret_net, struct err *err)
{
	if (*config->tap || config->tap_fd >= 0)
		return back_tap_open(config, ret_net, err);
	return back_passt_open(config, mac, ret_net, err);
}

void back_net_destroy(struct back_net *net)
{
	if (net)
		net->ops->destroy(net);
}

int back_net_start(
        struct back_net *net, struct loop *loop, const struct back_net_events *events, struct err *err)
{
	net->loop = loop;
	net->events = *events;
	return net->ops->start(net, err);
}

void back_net_stop(struct back_net *net)
{
	net->ops->stop(net);
	net->events = (struct back_net_events){0};
}

void back_net_watch(struct back_net *net, unsigned queue, int events)
{
	if (!net->down)
		net->ops->watch(net, queue, events);
}

unsigned back_net_send(
        struct back_net *net, unsigned queue, const struct back_net_frame *frames, unsigned count)
{
	unsigned taken = net->down ? count : net->ops->send(net, queue, frames, count);

	/* What a back end that ended on the way did not take is lost. */
	return net->down ? count : taken;
}

size_t back_net_receive(struct back_net *net, unsigned queue, const struct iovec *iov, unsigned iov_count)
{
	return net->down ? 0 : net->ops->receive(net, queue, iov, iov_count);
}

int back_net_set_offloads(struct back_net *net, unsigned offloads, struct err *err)
{
	return net->down || !net->offloads ? 0 : net->ops->set_offloads(net, offloads, err);
}

int back_net_set_queues(struct back_net *net, unsigned count, struct err *err)
{
	return net->down || !net->ops->set_queues ? 0 : net->ops->set_queues(net, count, err);
}

int back_net_tap_fd(const struct back_net *net, unsigned queue)
{
	return net->ops->tap_fd ? net->ops->tap_fd(net, queue) : -1;
}

int back_net_watch_end(struct back_net *net, struct err *err)
{
	return net->down || !net->ops->watch_end ? 0 : net->ops->watch_end(net, err);
}

/* ---- for back ends ---- */

static void on_ready(void *ctx, int events)
{
	struct back_net_port *port = ctx;
	const struct back_net_events *device = &port->net->events;

	/* An error or the peer's end shows in the next call, which one of these leads to. */
	if (events & (POLLERR | POLLHUP))
		events |= port->events;
	if (device->on_ready)
		device->on_ready(device->ctx, port->queue, events & port->events);
}

void back_net_port_watch(struct back_net_port *port, int events)
{
	struct err err;

	if (port->events == events)
		return;
	loop_op_stop(port->watch);
	port->watch = NULL;
	port->events = events;
	if (events && loop_watch_start(port->net->loop, port->fd, (short)events, on_ready, port, &port->watch,
	                      &err) < 0) {
		port->events = 0;
		back_net_end(port->net, "%s", err.text);
	}
}

void back_net_end(struct back_net *net, const char *fmt, ...)
{
	char why[400];
	va_list args;

	if (net->down)
		return;
	net->down = true;
	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	net->ops->stop(net);
	log_warn("%s: %s; the guest's link is down from now on", net->name, why);
	if (net->events.on_down)
		net->events.on_down(net->events.ctx);
}

void back_net_clear_header(const struct iovec *iov, unsigned iov_count)
{
	size_t left = BACK_NET_HEADER_BYTES;

	for (unsigned i = 0; i < iov_count && left; i++) {
		size_t n = iov[i].iov_len < left ? iov[i].iov_len : left;

		memset(iov[i].iov_base, 0, n);
		left -= n;
	}
}
