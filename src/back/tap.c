/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap: a tap interface of this host as a network. A queue is a descriptor of /dev/net/tun; a frame is one
 * readv(2) or writev(2), behind a header of virtio-net that the kernel checks and obeys.
 * Law: Linux, Documentation/networking/tuntap.rst; linux/if_tun.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "net.h"

#define TUN_PATH "/dev/net/tun"
/* These came with Linux 6.2, later than the headers of Debian 12. */
#define NO_OFFSET (-1) /* preadv2(2): as readv does; the sandbox then needs one call fewer */
#define TUN_USO4  0x20
#define TUN_USO6  0x40

#define GONE "the interface is gone"

struct tap {
	struct back_net net;
	bool has_header; /* frames have a header of virtio-net in front */
	bool detached[BACK_NET_QUEUES_MAX];
	int links; /* a netlink socket that hears of changes of interfaces; -1: none */
	struct loop_op *links_watch;
	struct back_net_port ports[BACK_NET_QUEUES_MAX];
};

static struct tap *tap_of(struct back_net *net)
{
	return (struct tap *)net;
}

/* Was the interface deleted, or taken from this descriptor? */
static bool is_gone(int sys)
{
	return sys == EBADFD || sys == ENODEV;
}

/* ---- offloads ---- */

/* Kernels take a word of offloads whole or refuse it, so the largest word that is taken tells what they have.
 */
static const unsigned offload_sets[] = {
        BACK_NET_CSUM | BACK_NET_TSO4 | BACK_NET_TSO6 | BACK_NET_ECN | BACK_NET_USO,
        BACK_NET_CSUM | BACK_NET_TSO4 | BACK_NET_TSO6 | BACK_NET_ECN,
        BACK_NET_CSUM,
};

static unsigned kernel_word(unsigned offloads)
{
	unsigned word = 0;

	word |= offloads & BACK_NET_CSUM ? TUN_F_CSUM : 0;
	word |= offloads & BACK_NET_TSO4 ? TUN_F_TSO4 : 0;
	word |= offloads & BACK_NET_TSO6 ? TUN_F_TSO6 : 0;
	word |= offloads & BACK_NET_ECN ? TUN_F_TSO_ECN : 0;
	word |= offloads & BACK_NET_USO ? TUN_USO4 | TUN_USO6 : 0;
	return word;
}

static unsigned probe_offloads(const struct tap *tap)
{
	int fd = tap->ports[0].fd;
	unsigned found = 0;

	for (size_t i = 0; tap->has_header && i < ARRAY_LEN(offload_sets) && !found; i++) {
		if (ioctl(fd, TUNSETOFFLOAD, (unsigned long)kernel_word(offload_sets[i])) == 0)
			found = offload_sets[i];
	}
	/* A driver that agrees to nothing gets whole packets with checksums. */
	if (ioctl(fd, TUNSETOFFLOAD, 0ul) < 0)
		return 0;
	return found;
}

static int tap_set_offloads(struct back_net *net, unsigned offloads, struct err *err)
{
	if (ioctl(tap_of(net)->ports[0].fd, TUNSETOFFLOAD, (unsigned long)kernel_word(offloads)) == 0)
		return 0;
	if (is_gone(errno))
		back_net_end(net, GONE);
	else
		return err_sys(err, ERR_HOST, errno, "%s: its offloads cannot be changed to %#x", net->name,
		        kernel_word(offloads));
	return 0;
}

/* ---- frames ---- */

/* Copies iov without the header in front, for a tap that has none. Returns the count; room: IOV_MAX. */
static unsigned skip_header(const struct iovec *iov, unsigned count, struct iovec *ret_iov)
{
	size_t skip = BACK_NET_HEADER_BYTES;
	unsigned n = 0;

	for (unsigned i = 0; i < count && n < IOV_MAX; i++) {
		size_t cut = iov[i].iov_len < skip ? iov[i].iov_len : skip;

		skip -= cut;
		if (iov[i].iov_len > cut)
			ret_iov[n++] = (struct iovec){(uint8_t *)iov[i].iov_base + cut, iov[i].iov_len - cut};
	}
	return n;
}

static ssize_t write_frame(const struct tap *tap, unsigned queue, const struct iovec *iov, unsigned count)
{
	struct iovec body[IOV_MAX];

	if (!tap->has_header) {
		count = skip_header(iov, count, body);
		iov = body;
	}
	return pwritev2(tap->ports[queue].fd, iov, (int)count, NO_OFFSET, 0);
}

static unsigned tap_send(
        struct back_net *net, unsigned queue, const struct back_net_frame *frames, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (write_frame(tap_of(net), queue, frames[i].iov, frames[i].iov_count) >= 0)
			continue;
		if (errno == EAGAIN)
			return i;
		/* Other errors lose this frame only, such as EIO while the interface is down. */
		if (is_gone(errno)) {
			back_net_end(net, GONE);
			return i;
		}
	}
	return count;
}

static size_t tap_receive(struct back_net *net, unsigned queue, const struct iovec *iov, unsigned iov_count)
{
	const struct tap *tap = tap_of(net);
	size_t missing = tap->has_header ? 0 : BACK_NET_HEADER_BYTES;
	struct iovec body[IOV_MAX];
	ssize_t got;

	if (missing) {
		back_net_clear_header(iov, iov_count);
		iov_count = skip_header(iov, iov_count, body);
		iov = body;
	}
	got = preadv2(tap->ports[queue].fd, iov, (int)iov_count, NO_OFFSET, 0);
	if (got < 0 && is_gone(errno))
		back_net_end(net, GONE);
	return got <= 0 ? 0 : (size_t)got + missing;
}

/* The kernel spreads frames over the queues that are attached. */
static int tap_set_queues(struct back_net *net, unsigned count, struct err *err)
{
	struct tap *tap = tap_of(net);

	for (unsigned i = 1; i < net->queues; i++) {
		struct ifreq request = {
		        .ifr_flags = (short)(i < count ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE)};

		if (tap->detached[i] == (i >= count))
			continue;
		if (ioctl(tap->ports[i].fd, TUNSETQUEUE, &request) < 0)
			return err_sys(err, ERR_HOST, errno, "%s: TUNSETQUEUE", net->name);
		tap->detached[i] = i >= count;
	}
	return 0;
}

/* ---- life ---- */

static int tap_start(struct back_net *net, struct err *err)
{
	return 0;
}

static void tap_watch(struct back_net *net, unsigned queue, int events)
{
	back_net_port_watch(&tap_of(net)->ports[queue], events);
}

static void tap_stop(struct back_net *net)
{
	struct tap *tap = tap_of(net);

	for (unsigned i = 0; i < net->queues; i++)
		back_net_port_watch(&tap->ports[i], 0);
	loop_op_stop(tap->links_watch);
	tap->links_watch = NULL;
}

/* Some interface changed: was it ours that went? What the message says does not matter. */
static void on_links(void *ctx, int events)
{
	struct back_net *net = ctx;
	const struct tap *tap = tap_of(net);
	struct ifreq request;
	char message[4096];

	while (recv(tap->links, message, sizeof(message), MSG_DONTWAIT) > 0)
		;
	if (ioctl(tap->ports[0].fd, TUNGETIFF, &request) < 0 && is_gone(errno))
		back_net_end(net, GONE);
}

static int tap_watch_end(struct back_net *net, struct err *err)
{
	struct tap *tap = tap_of(net);

	return loop_watch_start(net->loop, tap->links, POLLIN, on_links, net, &tap->links_watch, err);
}

static int tap_fd(const struct back_net *net, unsigned queue)
{
	return ((const struct tap *)net)->ports[queue].fd;
}

static void tap_destroy(struct back_net *net)
{
	struct tap *tap = tap_of(net);

	for (unsigned i = 0; i < ARRAY_LEN(tap->ports); i++) {
		if (tap->ports[i].fd >= 0)
			close(tap->ports[i].fd);
	}
	if (tap->links >= 0)
		close(tap->links);
	free(net->name);
	free(tap);
}

static const struct back_net_ops tap_ops = {
        .start = tap_start,
        .stop = tap_stop,
        .watch = tap_watch,
        .send = tap_send,
        .receive = tap_receive,
        .set_offloads = tap_set_offloads,
        .set_queues = tap_set_queues,
        .tap_fd = tap_fd,
        .watch_end = tap_watch_end,
        .destroy = tap_destroy,
};

/* ---- opening ---- */

/*
 * Is there an interface of this name, and is it a tap? Its driver says so, by the call that ethtool(8) makes;
 * sysfs may be that of another network namespace.
 */
static int check_name(const char *name, unsigned queues, struct err *err)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq request = {.ifr_data = (char *)&info};
	auto_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (if_nametoindex(name) == 0)
		return err_set(err, ERR_USAGE,
		        "this host has no interface %s; make it (as root): ip tuntap add dev %s mode tap "
		        "user "
		        "USER%s && ip link set %s up",
		        name, name, queues > 1 ? " multi_queue" : "", name);
	memcpy(request.ifr_name, name, strlen(name));
	if (fd < 0 || ioctl(fd, SIOCETHTOOL, &request) < 0 || strcmp(info.driver, "tun") != 0)
		return err_set(err, ERR_USAGE, "%s is no tap interface", name);
	if (strcmp(info.bus_info, "tap") != 0)
		return err_set(err, ERR_USAGE,
		        "%s is a tun interface, which has no Ethernet frames; make it with mode tap", name);
	return 0;
}

static int attach_failed(const char *name, struct err *err)
{
	int sys = errno;

	err_sys(err, ERR_HOST, sys, "%s: TUNSETIFF", name);
	if (sys == EPERM || sys == EACCES)
		err_append(err,
		        "; it belongs to another user; as root: ip tuntap del dev %s mode tap; ip tuntap add "
		        "dev "
		        "%s mode tap user USER",
		        name, name);
	if (sys == EBUSY)
		err_append(err, "; another program uses it");
	return -1;
}

/* Attaches a new descriptor to the interface: one more queue of it. */
static int attach(const char *name, int flags, int *ret_fd, struct err *err)
{
	auto_close int fd = open(TUN_PATH, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	struct ifreq request = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | flags)};

	if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
		return err_sys(err, ERR_HOST, errno, "%s: is the kernel's module tun loaded (modprobe tun)?",
		        TUN_PATH);
	if (fd < 0)
		return err_sys(err, ERR_HOST, errno, "%s", TUN_PATH);
	memcpy(request.ifr_name, name, strlen(name));
	if (ioctl(fd, TUNSETIFF, &request) < 0)
		return attach_failed(name, err);
	*ret_fd = take_fd(&fd);
	return 0;
}

static int attach_all(struct tap *tap, const char *name, struct err *err)
{
	unsigned queues = tap->net.queues;

	if (strlen(name) >= IFNAMSIZ)
		return err_set(err, ERR_USAGE, "%s: no interface has a name of more than %d characters", name,
		        IFNAMSIZ - 1);
	if (check_name(name, queues, err) < 0)
		return -1;
	tap->has_header = true;
	if (queues == 1 && attach(name, 0, &tap->ports[0].fd, err) == 0)
		return 0;
	/* The flag must be that with which the interface was made; EINVAL: it is not. */
	if (queues == 1 && err->sys != EINVAL)
		return -1;
	for (unsigned i = 0; i < queues; i++) {
		if (attach(name, IFF_MULTI_QUEUE, &tap->ports[i].fd, err) == 0)
			continue;
		if (queues > 1 && err->sys == EINVAL)
			err_append(err,
			        "; for several queues make it with: ip tuntap add dev %s mode tap "
			        "multi_queue",
			        name);
		return -1;
	}
	return 0;
}

/* Takes a descriptor that somebody else attached to a tap. */
static int inherit(struct tap *tap, int fd, struct err *err)
{
	struct ifreq request = {0};
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return err_sys(err, ERR_USAGE, errno, "descriptor %d", fd);
	if (ioctl(fd, TUNGETIFF, &request) < 0)
		return err_sys(err, ERR_USAGE, errno, "descriptor %d is not attached to a tap interface", fd);
	if (!(request.ifr_flags & IFF_TAP) || !(request.ifr_flags & IFF_NO_PI))
		return err_set(err, ERR_USAGE,
		        "descriptor %d is attached to %.*s, but not with IFF_TAP and IFF_NO_PI", fd, IFNAMSIZ,
		        request.ifr_name);
	if (tap->net.queues > 1)
		return err_set(err, ERR_USAGE, "descriptor %d is one queue; more need a tap by name", fd);
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return err_sys(err, ERR_HOST, errno, "descriptor %d", fd);
	tap->ports[0].fd = fd;
	tap->has_header = request.ifr_flags & IFF_VNET_HDR;
	free(tap->net.name);
	tap->net.name = strndup(request.ifr_name, IFNAMSIZ);
	return tap->net.name ? 0 : err_sys(err, ERR_FAILED, ENOMEM, "tap");
}

/* The driver of a device without the legacy interface has headers of 12 bytes; the kernel's default is 10. */
static int set_header(struct tap *tap, struct err *err)
{
	int bytes = BACK_NET_HEADER_BYTES;

	for (unsigned i = 0; tap->has_header && i < tap->net.queues; i++) {
		if (ioctl(tap->ports[i].fd, TUNSETVNETHDRSZ, &bytes) < 0)
			return err_sys(err, ERR_HOST, errno, "%s: TUNSETVNETHDRSZ", tap->net.name);
	}
	return 0;
}

/* The interface's MTU; 0: unknown, as that of one in another network namespace. */
static unsigned mtu_of(const char *name)
{
	struct ifreq request = {0};
	auto_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	if (fd < 0 || ioctl(fd, SIOCGIFMTU, &request) < 0 || request.ifr_mtu < 0)
		return 0;
	return (unsigned)request.ifr_mtu;
}

/* The socket that tells of changes of interfaces. It is opened before the sandbox, which opens none. */
static int open_links(struct tap *tap, struct err *err)
{
	const struct sockaddr_nl links = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};

	tap->links = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (tap->links < 0 || bind(tap->links, (const struct sockaddr *)&links, sizeof(links)) < 0)
		return err_sys(err, ERR_HOST, errno, "%s: a netlink socket", tap->net.name);
	return 0;
}

static int set_up(struct tap *tap, const struct config_device *config, struct err *err)
{
	unsigned mtu;

	if ((config->tap_fd >= 0 ? inherit(tap, config->tap_fd, err) : attach_all(tap, config->tap, err)) <
	                0 ||
	        set_header(tap, err) < 0 || open_links(tap, err) < 0)
		return -1;
	mtu = mtu_of(tap->net.name);
	if (mtu && config->mtu > mtu)
		return err_set(err, ERR_USAGE,
		        "the guest's MTU %u is more than the %u of %s; as root: ip link set %s mtu %u",
		        config->mtu, mtu, tap->net.name, tap->net.name, config->mtu);
	tap->net.mtu = config->mtu ? config->mtu : mtu;
	tap->net.offloads = probe_offloads(tap);
	return tap_set_queues(&tap->net, 1, err);
}

int back_tap_open(const struct config_device *config, struct back_net **ret_net, struct err *err)
{
	struct tap *tap = calloc(1, sizeof(*tap));

	if (!tap)
		return err_sys(err, ERR_FAILED, ENOMEM, "tap");
	tap->net = (struct back_net){.ops = &tap_ops,
	        .name = strdup(config->tap),
	        .queues = config->queues ? config->queues : 1,
	        .frame_max = BACK_NET_FRAME_MAX};
	tap->links = -1;
	for (unsigned i = 0; i < BACK_NET_QUEUES_MAX; i++)
		tap->ports[i] = (struct back_net_port){.net = &tap->net, .queue = i, .fd = -1};
	if (!tap->net.name || tap->net.queues > BACK_NET_QUEUES_MAX) {
		tap_destroy(&tap->net);
		return err_set(err, ERR_USAGE, "a tap has 1 to %d queues", BACK_NET_QUEUES_MAX);
	}
	if (set_up(tap, config, err) < 0) {
		tap_destroy(&tap->net);
		return -1;
	}
	*ret_net = &tap->net;
	return 0;
}
