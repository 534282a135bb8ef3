/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passt: a network that needs no privilege. passt(1) is started with one end of a socket pair, speaks for the
 * guest with ordinary sockets of this host, and ends when the other end is closed. It is opened on the main
 * thread; afterwards it runs on the device's loop.
 * Law: passt(1); RFC 826 and RFC 5227 for the question that tells when it is ready.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "stream.h"
#include "vmm/back/child.h"
#include "vmm/back/helper.h"

#define PROGRAM     "passt"
#define MTU_DEFAULT 1500 /* Ethernet's */
#define READY_MS    5000
#define WORDS_MS    2000 /* for the last words of one that ended */
#define LINE_BYTES  300  /* of its messages that are shown */

struct passt {
	struct back_stream stream;
	pid_t pid;  /* 0: none */
	int log_fd; /* what it writes to its standard error; -1: none */
	struct loop_op *log_watch;
	char line[LINE_BYTES]; /* the unfinished line, and after its end the last one */
	size_t line_bytes;
};

static struct passt *passt_of(struct back_net *net)
{
	return (struct passt *)net;
}

/* ---- ports to forward ---- */

/* Reads a port, or a range of them. Returns the text after it, or NULL. */
static const char *skip_ports(const char *at)
{
	for (;; at++) {
		char *end;
		unsigned long port;

		if (!isdigit((unsigned char)*at))
			return NULL;
		port = strtoul(at, &end, 10);
		if (port == 0 || port > 65535)
			return NULL;
		at = end;
		if (*at != '-')
			return at;
	}
}

/* One word between commas: [ADDRESS[%INTERFACE]/]PORTS[:PORTS], or ~PORTS. */
static bool is_forward(const char *word)
{
	static const char address[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.:%-_";
	const char *slash = strchr(word, '/'), *at = slash ? slash + 1 : word;

	if (slash && strspn(word, address) != (size_t)(slash - word))
		return false;
	if (*at == '~')
		at++;
	at = skip_ports(at);
	if (at && *at == ':')
		at = skip_ports(at + 1);
	return at && !*at;
}

static int check_forward(const char *key, const char *text, struct err *err)
{
	auto_free char *copy = strdup(text);
	char *rest = copy, *word;

	if (!copy)
		return err_sys(err, ERR_FAILED, ENOMEM, PROGRAM);
	if (!*text || !strcmp(text, "none") || !strcmp(text, "all"))
		return 0;
	while ((word = strsep(&rest, ","))) {
		if (!is_forward(word))
			return err_set(err, ERR_USAGE,
			        "%s: \"%s\" names no ports; write PORT, FROM-TO, HOST-PORT:GUEST-PORT or "
			        "ADDRESS/PORT, with commas between them, such as 127.0.0.1/2222:22",
			        key, TEXT_VALUE(word));
	}
	return 0;
}

/* ---- its messages ---- */

/* Without a system logger each line of passt is followed by one that complains of that. */
static bool is_noise(const char *line)
{
	return !*line || (strstr(line, "Failed to send") && strstr(line, "to syslog"));
}

static void take_byte(struct passt *passt, char byte, char last[static LINE_BYTES])
{
	if (byte != '\n') {
		if (passt->line_bytes < LINE_BYTES - 1)
			passt->line[passt->line_bytes++] = byte;
		return;
	}
	passt->line[passt->line_bytes] = '\0';
	passt->line_bytes = 0;
	if (is_noise(passt->line))
		return;
	memcpy(last, passt->line, LINE_BYTES);
	log_guest(LOG_DEBUG, "passt says: %s", last);
}

/* Takes what passt has written by now; last: its last line. Returns false at the end. */
static bool take_messages(struct passt *passt, char last[static LINE_BYTES])
{
	char text[512];
	ssize_t got = read(passt->log_fd, text, sizeof(text));

	for (ssize_t i = 0; i < got; i++)
		take_byte(passt, text[i], last);
	return got > 0 || (got < 0 && errno == EAGAIN);
}

static void on_message(void *ctx, int events)
{
	struct passt *passt = ctx;
	char last[LINE_BYTES];

	if (!take_messages(passt, last)) {
		loop_op_stop(passt->log_watch);
		passt->log_watch = NULL;
	}
}

/* ---- the child ---- */

static unsigned mtu_of(const struct config_device *config)
{
	return config->mtu ? config->mtu : MTU_DEFAULT;
}

static int start_program(
        const struct config_device *config, int socket, int log_fd, pid_t *ret_pid, struct err *err)
{
	char mtu[16];
	const char *tcp = *config->forward_tcp ? config->forward_tcp : "none";
	const char *udp = *config->forward_udp ? config->forward_udp : "none";
	const char *const words[] = {PROGRAM, "--foreground", "--fd", "3", "--mtu", mtu, "--tcp-ports", tcp,
	        "--udp-ports", udp, NULL};

	snprintf(mtu, sizeof(mtu), "%u", mtu_of(config));
	if (back_child_start(words, socket, log_fd, ret_pid, err) == 0)
		return 0;
	if (err->sys == ENOENT)
		err_append(err, "; the guest's network needs this program: apt install passt");
	return -1;
}

int back_passt_spawn(const struct config_device *config, struct back_server *ret_server, struct err *err)
{
	int sockets[2], pipes[2], result;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
		return err_sys(err, ERR_HOST, errno, PROGRAM);
	/* Not blocking: messages that nobody reads must not stop passt. */
	if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) < 0) {
		close(sockets[0]);
		close(sockets[1]);
		return err_sys(err, ERR_HOST, errno, PROGRAM);
	}
	result = start_program(config, sockets[1], pipes[1], &ret_server->pid, err);
	close(sockets[1]);
	close(pipes[1]);
	if (result < 0) {
		close(sockets[0]);
		close(pipes[0]);
		return -1;
	}
	ret_server->fd = sockets[0];
	ret_server->log_fd = pipes[0];
	return 0;
}

/* ---- is it ready? ---- */

/*
 * Asks by ARP who has an address: passt answers for every one but the guest's. The question comes from the
 * guest's hardware address and from no IP address, which makes it a probe (RFC 5227, 2.1.1).
 */
static int ask(const struct passt *passt, const uint8_t mac[static BACK_NET_MAC_BYTES])
{
	uint8_t frame[4 + 42] = {0, 0, 0, 42, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, [4 + 12] = 0x08, 0x06, 0, 1,
	        0x08, 0, 6, 4, 0, 1};

	memcpy(frame + 4 + 6, mac, BACK_NET_MAC_BYTES);
	memcpy(frame + 4 + 22, mac, BACK_NET_MAC_BYTES);
	memcpy(frame + 4 + 38, (uint8_t[]){169, 254, 1, 1}, 4);
	return send(passt->stream.port.fd, frame, sizeof(frame), MSG_NOSIGNAL) == sizeof(frame) ? 0 : -1;
}

/* Waits for milliseconds at most until the descriptor can be read. */
static bool is_readable(int fd, int ms)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	int n;

	do
		n = poll(&ready, 1, ms);
	while (n < 0 && errno == EINTR);
	return n > 0;
}

/* passt ended without an answer: what it said last is the reason. */
static int explain_end(struct passt *passt, struct err *err)
{
	char last[LINE_BYTES] = "it gave no reason";

	while (is_readable(passt->log_fd, WORDS_MS) && take_messages(passt, last))
		;
	err_set(err, ERR_HOST, "passt ended at its start: %s", last);
	if (strstr(last, "user namespace") || strstr(last, "unshare"))
		err_append(err,
		        "; it shuts itself in with a user namespace, which this system refuses: in a chroot "
		        "or "
		        "a container, or by user.max_user_namespaces, kernel.unprivileged_userns_clone or "
		        "AppArmor");
	if (strstr(last, "not usable") || strstr(last, "routable interface"))
		err_append(err, "; this passt wants an interface with a default route (later ones do not)");
	return -1;
}

/* On a host with IPv6 alone nobody answers ARP. The answer itself goes to the guest, whom it tells nothing.
 */
static int wait_until_ready(
        struct passt *passt, const uint8_t mac[static BACK_NET_MAC_BYTES], struct err *err)
{
	int fd = passt->stream.port.fd;
	uint8_t byte;

	if (ask(passt, mac) < 0)
		return explain_end(passt, err);
	if (!is_readable(fd, READY_MS)) {
		log_debug("passt has not answered a question by ARP; the guest starts all the same");
		return 0;
	}
	if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
		return explain_end(passt, err);
	return 0;
}

/* ---- life ---- */

static int passt_start(struct back_net *net, struct err *err)
{
	struct passt *passt = passt_of(net);

	if (passt->log_watch)
		return 0;
	return loop_watch_start(net->loop, passt->log_fd, POLLIN, on_message, passt, &passt->log_watch, err);
}

static void passt_stop(struct back_net *net)
{
	struct passt *passt = passt_of(net);

	back_stream_stop(net);
	loop_op_stop(passt->log_watch);
	passt->log_watch = NULL;
}

static void passt_destroy(struct back_net *net)
{
	struct passt *passt = passt_of(net);

	back_stream_finish(&passt->stream);
	back_server_end(passt->pid);
	if (passt->log_fd >= 0)
		close(passt->log_fd);
	free(passt);
}

static const struct back_net_ops passt_ops = {
        .start = passt_start,
        .stop = passt_stop,
        .watch = back_stream_watch,
        .send = back_stream_send,
        .receive = back_stream_receive,
        .destroy = passt_destroy,
};

static int set_up(struct passt *passt, const struct config_device *config,
        const uint8_t mac[static BACK_NET_MAC_BYTES], struct err *err)
{
	struct back_server server;

	if (config->queues > 1)
		return err_set(err, ERR_USAGE, "passt has one queue; more need a tap");
	if (check_forward("forward-tcp", config->forward_tcp, err) < 0 ||
	        check_forward("forward-udp", config->forward_udp, err) < 0 ||
	        back_server_start(config, &server, err) < 0)
		return -1;
	passt->pid = server.pid;
	passt->log_fd = server.log_fd;
	if (back_stream_init(&passt->stream, PROGRAM, server.fd, err) < 0)
		return -1;
	return wait_until_ready(passt, mac, err);
}

int back_passt_open(const struct config_device *config, const uint8_t mac[static BACK_NET_MAC_BYTES],
        struct back_net **ret_net, struct err *err)
{
	struct passt *passt = calloc(1, sizeof(*passt));

	if (!passt)
		return err_sys(err, ERR_FAILED, ENOMEM, PROGRAM);
	passt->stream.net.ops = &passt_ops;
	passt->stream.net.mtu = mtu_of(config);
	passt->stream.port.fd = -1;
	passt->log_fd = -1;
	if (set_up(passt, config, mac, err) < 0) {
		passt_destroy(&passt->stream.net);
		return -1;
	}
	*ret_net = &passt->stream.net;
	return 0;
}
