/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real tap in a network namespace of the test's own, which needs root. The judge is the kernel: a packet
 * socket on the interface is the network behind it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "support/test.h"
#include "vmm/back/net.h"

#define HEADER BACK_NET_HEADER_BYTES

static const char *why_not;
static char empty[] = "", tap0[] = "tap0";

/* An empty network, of this process alone. */
static int group_setup(void **state)
{
	if (unshare(CLONE_NEWNET) < 0)
		why_not = "no network namespace of its own: not root";
	else if (access("/dev/net/tun", R_OK | W_OK) < 0)
		why_not = "no /dev/net/tun";
	return 0;
}

static void need_network(void)
{
	if (why_not) {
		print_message("%s\n", why_not);
		skip();
	}
}

static struct config_device config_of(char *name, int fd, unsigned queues)
{
	return (struct config_device){.driver = CONFIG_NET,
	        .net = CONFIG_NET_TAP,
	        .tap = name,
	        .tap_fd = fd,
	        .queues = queues,
	        .mac = empty,
	        .forward_tcp = empty,
	        .forward_udp = empty};
}

static int open_tap(char *name, int fd, unsigned queues, struct back_net **ret_net, struct err *err)
{
	struct config_device config = config_of(name, fd, queues);

	return back_net_open(&config, (const uint8_t *)"\2\0\0\0\0\1", ret_net, err);
}

/* Makes an interface that stays until it is deleted. */
static void make(const char *name, int flags)
{
	struct ifreq request = {.ifr_flags = (short)(flags | IFF_NO_PI)};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
	assert_int_equal(ioctl(fd, TUNSETPERSIST, 1), 0);
	close(fd);
}

static void set_up(const char *name, bool up)
{
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &request), 0);
	request.ifr_flags = (short)(up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	close(fd);
}

/* Deletes the interface, as "ip link del" does. */
static void delete (const char *name)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg info;
	} request = {.header = {.nlmsg_len = sizeof(request),
	                     .nlmsg_type = RTM_DELLINK,
	                     .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
	        .info = {.ifi_index = (int)if_nametoindex(name)}};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	char answer[512];

	assert_int_equal(send(fd, &request, sizeof(request), 0), sizeof(request));
	assert_true(recv(fd, answer, sizeof(answer), 0) > 0);
	assert_int_equal(if_nametoindex(name), 0);
	close(fd);
}

/* The network behind the interface. */
static int open_network(const char *name)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
	        .sll_protocol = htons(0x88b5),
	        .sll_ifindex = (int)if_nametoindex(name)};
	int fd = socket(
	        AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(0x88b5)); /* IEEE 802's number for experiments */

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static bool is_readable(int fd)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};

	return poll(&ready, 1, 10000) == 1;
}

/* A frame from the guest's side, of the kind that open_network() hears. */
static void fill(uint8_t *frame, size_t bytes, uint8_t value)
{
	memset(frame, value, bytes);
	memset(frame, 0xff, 6);
	frame[12] = 0x88;
	frame[13] = 0xb5;
}

struct card {
	struct back_net *net;
	struct loop *loop;
	unsigned downs;
};

static void on_down(void *ctx)
{
	((struct card *)ctx)->downs++;
}

static void on_ready(void *ctx, unsigned queue, int events)
{
	uint8_t buffer[4096];
	struct iovec iov = {buffer, sizeof(buffer)};
	struct card *card = ctx;

	while (back_net_receive(card->net, queue, &iov, 1))
		;
	if (card->net->down)
		loop_stop(card->loop);
}

static void start(struct card *card)
{
	const struct back_net_events events = {.on_ready = on_ready, .on_down = on_down, .ctx = card};
	struct err err;

	assert_ok(loop_create(&card->loop, &err));
	assert_ok(back_net_start(card->net, card->loop, &events, &err));
}

static void finish(struct card *card)
{
	back_net_stop(card->net);
	loop_destroy(card->loop);
	back_net_destroy(card->net);
}

static void exchange(struct card *card, const char *name)
{
	uint8_t data[HEADER + 100] = {0}, got[4096];
	struct iovec iov[] = {{data, 30}, {data + 30, sizeof(data) - 30}}, whole = {got, sizeof(got)};
	struct back_net_frame frame = {iov, 2, 100};
	int network = open_network(name);
	size_t bytes;

	fill(data + HEADER, 100, 0x11);
	assert_int_equal(back_net_send(card->net, 0, &frame, 1), 1);
	assert_true(is_readable(network));
	assert_int_equal(recv(network, got, sizeof(got), 0), 100);
	assert_memory_equal(got, data + HEADER, 100);

	fill(data + HEADER, 100, 0x22);
	assert_int_equal(send(network, data + HEADER, 100, 0), 100);
	/* The kernel may have sent frames of its own before. */
	do
		bytes = back_net_receive(card->net, 0, &whole, 1);
	while (bytes && got[HEADER + 12] != 0x88);
	assert_int_equal(bytes, HEADER + 100);
	assert_memory_equal(got + HEADER, data + HEADER, 100);
	close(network);
}

static void test_tap_carries_frames(void **state)
{
	struct card card = {0};
	struct err err;

	need_network();
	make(tap0, IFF_TAP);
	assert_ok(open_tap(tap0, -1, 0, &card.net, &err));
	set_up(tap0, true);
	assert_int_equal(card.net->mtu, 1500);
	assert_int_equal(card.net->offloads & (BACK_NET_CSUM | BACK_NET_TSO4 | BACK_NET_TSO6),
	        BACK_NET_CSUM | BACK_NET_TSO4 | BACK_NET_TSO6);
	start(&card);
	assert_ok(back_net_set_offloads(card.net, card.net->offloads, &err));
	exchange(&card, tap0);
	finish(&card);
	delete (tap0);
}

static void test_tap_loses_frames_while_the_interface_is_down(void **state)
{
	struct card card = {0};
	uint8_t data[HEADER + 100] = {0};
	struct iovec iov = {data, sizeof(data)};
	struct back_net_frame frames[2] = {{&iov, 1, 100}, {&iov, 1, 100}};
	struct err err;

	need_network();
	make(tap0, IFF_TAP);
	assert_ok(open_tap(tap0, -1, 0, &card.net, &err));
	start(&card);
	assert_int_equal(back_net_send(card.net, 0, frames, 2), 2);
	assert_int_equal(card.downs, 0);
	set_up(tap0, true);
	exchange(&card, tap0);
	finish(&card);
	delete (tap0);
}

static void test_tap_tells_once_that_the_interface_is_gone(void **state)
{
	struct card card = {0};
	uint8_t data[HEADER + 100] = {0};
	struct iovec iov = {data, sizeof(data)};
	struct back_net_frame frame = {&iov, 1, 100};
	struct err err;

	need_network();
	make(tap0, IFF_TAP);
	assert_ok(open_tap(tap0, -1, 0, &card.net, &err));
	set_up(tap0, true);
	start(&card);
	back_net_watch(card.net, 0, POLLIN);
	delete (tap0);
	assert_ok(loop_run(card.loop, &err)); /* until on_ready() has seen it */
	assert_int_equal(card.downs, 1);
	assert_int_equal(back_net_send(card.net, 0, &frame, 1), 1);
	assert_int_equal(card.downs, 1);
	finish(&card);
}

static void on_down_stop(void *ctx)
{
	on_down(ctx);
	loop_stop(((struct card *)ctx)->loop);
}

/* Nobody reads or writes here: the kernel's vhost does, of which the end cannot be seen. */
static void test_tap_hears_of_its_end_while_vhost_serves_it(void **state)
{
	struct card card = {0};
	const struct back_net_events events = {.on_down = on_down_stop, .ctx = &card};
	struct err err;

	need_network();
	make(tap0, IFF_TAP);
	assert_ok(open_tap(tap0, -1, 0, &card.net, &err));
	assert_ok(loop_create(&card.loop, &err));
	assert_ok(back_net_start(card.net, card.loop, &events, &err));
	assert_ok(back_net_watch_end(card.net, &err));
	set_up(tap0, true);
	delete (tap0);
	assert_ok(loop_run(card.loop, &err));
	assert_int_equal(card.downs, 1);
	finish(&card);
}

static void test_tap_is_inherited_with_and_without_a_header(void **state)
{
	need_network();
	for (int header = 0; header < 2; header++) {
		struct ifreq request = {
		        .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | (header ? IFF_VNET_HDR : 0)),
		        .ifr_name = "tap9"};
		int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
		struct card card = {0};
		struct err err;

		assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
		assert_ok(open_tap(empty, fd, 0, &card.net, &err));
		assert_string_equal(card.net->name, "tap9");
		assert_int_equal(card.net->offloads != 0, header);
		set_up("tap9", true);
		start(&card);
		exchange(&card, "tap9");
		finish(&card);
	}
}

static void test_tap_refuses_other_descriptors(void **state)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI, .ifr_name = "tun9"};
	struct back_net *net;
	struct err err;
	int fd;

	need_network();
	assert_fails(open_tap(empty, 12345, 0, &net, &err), ERR_USAGE, "descriptor 12345");
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_fails(open_tap(empty, fd, 0, &net, &err), ERR_USAGE, "not attached to a tap interface");
	close(fd);
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
	assert_fails(open_tap(empty, fd, 0, &net, &err), ERR_USAGE, "not with IFF_TAP");
	close(fd);
}

static void test_tap_says_what_is_wrong_with_a_name(void **state)
{
	static char lo[] = "lo", missing[] = "tap7", tun[] = "tun1", one[] = "tap1",
	            long_name[] = "an-interface-name";
	struct back_net *net = NULL, *second;
	struct config_device config = config_of(one, -1, 0);
	struct err err;

	need_network();
	assert_fails(open_tap(missing, -1, 0, &net, &err), ERR_USAGE, "ip tuntap add dev tap7 mode tap user");
	assert_fails(open_tap(lo, -1, 0, &net, &err), ERR_USAGE, "lo is no tap interface");
	assert_fails(open_tap(long_name, -1, 0, &net, &err), ERR_USAGE, "15 characters");
	make(tun, IFF_TUN);
	assert_fails(open_tap(tun, -1, 0, &net, &err), ERR_USAGE, "mode tap");
	make(one, IFF_TAP);
	assert_fails(open_tap(one, -1, 2, &net, &err), ERR_HOST, "multi_queue");
	config.mtu = 9000;
	assert_fails(
	        back_net_open(&config, (const uint8_t *)"\2\0\0\0\0\1", &net, &err), ERR_USAGE, "mtu 9000");
	assert_ok(open_tap(one, -1, 0, &net, &err));
	assert_fails(open_tap(one, -1, 0, &second, &err), ERR_HOST, "another program uses it");
	back_net_destroy(net);
}

/* The kernel gives a detached queue no frames, and after an attachment takes what it sends. */
static void test_tap_has_several_queues(void **state)
{
	static char many[] = "tap4";
	struct card card = {0};
	struct err err;

	need_network();
	make(many, IFF_TAP | IFF_MULTI_QUEUE);
	assert_ok(open_tap(many, -1, 4, &card.net, &err));
	assert_int_equal(card.net->queues, 4);
	set_up(many, true);
	start(&card);
	exchange(&card, many);
	assert_ok(back_net_set_queues(card.net, 4, &err));
	assert_ok(back_net_set_queues(card.net, 4, &err));
	assert_ok(back_net_set_queues(card.net, 1, &err));
	exchange(&card, many);
	finish(&card);
	/* A tap that was made for many serves one, too. */
	memset(&card, 0, sizeof(card));
	assert_ok(open_tap(many, -1, 1, &card.net, &err));
	start(&card);
	exchange(&card, many);
	finish(&card);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_tap_carries_frames),
	        cmocka_unit_test(test_tap_loses_frames_while_the_interface_is_down),
	        cmocka_unit_test(test_tap_tells_once_that_the_interface_is_gone),
	        cmocka_unit_test(test_tap_hears_of_its_end_while_vhost_serves_it),
	        cmocka_unit_test(test_tap_is_inherited_with_and_without_a_header),
	        cmocka_unit_test(test_tap_refuses_other_descriptors),
	        cmocka_unit_test(test_tap_says_what_is_wrong_with_a_name),
	        cmocka_unit_test(test_tap_has_several_queues),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
