/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address: opens stream sockets to other vmms, and for them. Law: unix(7), ip(7), getaddrinfo(3).
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "helper.h"
#include "vmm/back/address.h"

/* ---- words ---- */

static const char *after(const char *address, const char *scheme)
{
	size_t size = strlen(scheme);

	return strncmp(address, scheme, size) == 0 ? address + size : NULL;
}

struct host {
	char name[BACK_ADDRESS_MAX_BYTES], port[BACK_ADDRESS_MAX_BYTES]; /* an empty name: all addresses */
};

/* Splits "HOST:PORT" or "[HOST]:PORT". */
static int split_host(const char *text, struct host *ret_host, struct err *err)
{
	const char *colon = strrchr(text, ':');
	size_t size = colon ? (size_t)(colon - text) : 0;

	if (!colon || !colon[1] || strlen(text) >= sizeof(ret_host->name))
		return err_set(err, ERR_USAGE, "tcp:%s is not tcp:HOST:PORT", text);
	snprintf(ret_host->port, sizeof(ret_host->port), "%s", colon + 1);
	if (*text == '[' && size >= 2 && text[size - 1] == ']') {
		text++;
		size -= 2;
	} else if (memchr(text, ':', size)) {
		return err_set(
		        err, ERR_USAGE, "tcp:%s: an IPv6 address needs brackets: tcp:[::1]:4444", text);
	}
	snprintf(ret_host->name, sizeof(ret_host->name), "%.*s", (int)size, text);
	return 0;
}

static int make_unix(const char *path, struct sockaddr_un *ret_to, struct err *err)
{
	*ret_to = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (!*path)
		return err_set(err, ERR_USAGE, "unix: without a path");
	if (strlen(path) >= sizeof(ret_to->sun_path))
		return err_set(err, ERR_USAGE, "unix:%s: the path of a socket has at most %zu bytes", path,
		        sizeof(ret_to->sun_path) - 1);
	memcpy(ret_to->sun_path, path, strlen(path) + 1);
	return 0;
}

static int read_fd(const char *text, int *ret_fd, struct err *err)
{
	char *end;
	long fd = strtol(text, &end, 10);

	if (end == text || *end || fd < 0 || fd > INT32_MAX)
		return err_set(err, ERR_USAGE, "fd:%s: a number of a descriptor is needed", text);
	*ret_fd = (int)fd;
	return 0;
}

int back_address_check(const char *address, struct err *err)
{
	struct sockaddr_un to;
	struct host host;
	const char *rest;
	int fd;

	if (strlen(address) >= BACK_ADDRESS_MAX_BYTES)
		return err_set(err, ERR_USAGE, "an address has at most %d bytes", BACK_ADDRESS_MAX_BYTES - 1);
	if ((rest = after(address, "unix:")))
		return make_unix(rest, &to, err);
	if ((rest = after(address, "tcp:")))
		return split_host(rest, &host, err);
	if ((rest = after(address, "fd:")))
		return read_fd(rest, &fd, err);
	return err_set(err, ERR_USAGE, "unknown migration protocol: %s", address);
}

bool back_address_host(const char *address, char ret_host[static BACK_ADDRESS_MAX_BYTES])
{
	const char *rest = after(address, "tcp:");
	struct host host;
	struct err err;

	if (!rest || split_host(rest, &host, &err) < 0 || !*host.name)
		return false;
	memcpy(ret_host, host.name, sizeof(host.name));
	return true;
}

/* ---- to connect ---- */

static int connect_within(int fd, const struct sockaddr *to, socklen_t size, int cancel_fd)
{
	struct pollfd waits[] = {{.fd = fd, .events = POLLOUT}, {.fd = cancel_fd, .events = POLLIN}};
	socklen_t length = sizeof(int);
	int sys = 0, ready;

	if (connect(fd, to, size) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	ready = poll(waits, ARRAY_LEN(waits), BACK_ADDRESS_CONNECT_MS);
	if (ready > 0 && waits[1].revents)
		return ECANCELED;
	if (ready <= 0)
		return ETIMEDOUT;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &sys, &length) < 0 ? errno : sys;
}

static int try_connect(int family, const struct sockaddr *to, socklen_t size, int cancel_fd, int *ret_fd)
{
	auto_close int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int sys, one = 1;

	if (fd < 0)
		return errno;
	sys = connect_within(fd, to, size, cancel_fd);
	if (sys)
		return sys;
	/* The last frames of a move are small, and the guest waits for them. */
	if (family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	*ret_fd = take_fd(&fd);
	return 0;
}

static int find_hosts(
        const char *address, const struct host *host, int flags, struct addrinfo **ret_list, struct err *err)
{
	const struct addrinfo hints = {
	        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_ADDRCONFIG};
	int result = getaddrinfo(*host->name ? host->name : NULL, host->port, &hints, ret_list);

	if (result)
		return err_set(err, ERR_FAILED, "Failed to resolve '%s': %s", address, gai_strerror(result));
	return 0;
}

static int connect_tcp(const char *address, const char *rest, int cancel_fd, int *ret_fd, struct err *err)
{
	struct addrinfo *list;
	struct host host;
	int sys = ENOENT;

	if (split_host(rest, &host, err) < 0 || find_hosts(address, &host, 0, &list, err) < 0)
		return -1;
	for (const struct addrinfo *at = list; at && sys && sys != ECANCELED; at = at->ai_next)
		sys = try_connect(at->ai_family, at->ai_addr, at->ai_addrlen, cancel_fd, ret_fd);
	freeaddrinfo(list);
	return sys ? err_sys(err, ERR_FAILED, sys, "Failed to connect to '%s'", address) : 0;
}

int back_address_connect_here(const char *address, int cancel_fd, int *ret_fd, struct err *err)
{
	const char *rest = after(address, "unix:");
	struct sockaddr_un to;
	int sys;

	*ret_fd = -1;
	if (back_address_check(address, err) < 0)
		return -1;
	if (!rest && after(address, "tcp:"))
		return connect_tcp(address, after(address, "tcp:"), cancel_fd, ret_fd, err);
	if (!rest)
		return err_set(err, ERR_USAGE, "%s: nothing can be connected to", address);
	if (make_unix(rest, &to, err) < 0)
		return -1;
	sys = try_connect(AF_UNIX, (const struct sockaddr *)&to, sizeof(to), cancel_fd, ret_fd);
	return sys ? err_sys(err, ERR_FAILED, sys, "Failed to connect to '%s'", address) : 0;
}

/* ---- to listen ---- */

/*
 * Linux takes down a socket that io_uring watched some milliseconds after its process has ended. It takes
 * connections until then, and disconnects them when it goes.
 */
#define GOING_TRIES    20
#define GOING_PAUSE_US 50000
#define GOING_WAIT_MS  100

/* Is it a socket on which nobody listens any more? */
static bool is_left_behind(const struct sockaddr_un *at)
{
	struct stat file;

	if (lstat(at->sun_path, &file) < 0 || !S_ISSOCK(file.st_mode))
		return false;
	for (unsigned i = 0; i < GOING_TRIES; i++) {
		auto_close int fd = -1;
		int sys = try_connect(AF_UNIX, (const struct sockaddr *)at, sizeof(*at), -1, &fd);
		struct pollfd ready = {fd, POLLIN, 0};

		if (sys)
			return sys == ECONNREFUSED;
		if (poll(&ready, 1, GOING_WAIT_MS) <= 0 || !(ready.revents & POLLHUP))
			return false;
		usleep(GOING_PAUSE_US);
	}
	return false;
}

static int listen_at(int family, const struct sockaddr *at, socklen_t size, int *ret_fd)
{
	auto_close int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1;

	if (fd < 0)
		return errno;
	if (family != AF_UNIX)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, at, size) < 0 || listen(fd, 1) < 0)
		return errno;
	*ret_fd = take_fd(&fd);
	return 0;
}

static int listen_unix(const char *path, int *ret_fd, struct file_made *ret_file, struct err *err)
{
	auto_close int fd = -1;
	struct sockaddr_un at;
	mode_t mask;
	int sys;

	if (make_unix(path, &at, err) < 0)
		return -1;
	mask = umask(0177);
	sys = listen_at(AF_UNIX, (const struct sockaddr *)&at, sizeof(at), &fd);
	if (sys == EADDRINUSE && is_left_behind(&at) && unlink(at.sun_path) == 0)
		sys = listen_at(AF_UNIX, (const struct sockaddr *)&at, sizeof(at), &fd);
	umask(mask);
	if (sys)
		return err_sys(err, ERR_USAGE, sys, "unix:%s", path);
	if (file_made_note(path, ret_file, err) < 0)
		return -1;
	*ret_fd = take_fd(&fd);
	return 0;
}

static int listen_tcp(const char *address, const char *rest, int *ret_fd, struct err *err)
{
	struct addrinfo *list;
	struct host host;
	int sys = ENOENT;

	if (split_host(rest, &host, err) < 0 || find_hosts(address, &host, AI_PASSIVE, &list, err) < 0)
		return -1;
	for (unsigned i = 0; i < GOING_TRIES && sys && (i == 0 || sys == EADDRINUSE); i++) {
		if (i)
			usleep(GOING_PAUSE_US);
		for (const struct addrinfo *at = list; at && sys; at = at->ai_next)
			sys = listen_at(at->ai_family, at->ai_addr, at->ai_addrlen, ret_fd);
	}
	freeaddrinfo(list);
	return sys ? err_sys(err, ERR_USAGE, sys, "%s", address) : 0;
}

static int use_fd(const char *text, int *ret_fd, bool *ret_listens, struct err *err)
{
	socklen_t size = sizeof(int);
	int listens = 0;

	if (read_fd(text, ret_fd, err) < 0)
		return -1;
	if (getsockopt(*ret_fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0)
		return err_sys(err, ERR_USAGE, errno, "fd:%s: a stream socket is needed", text);
	*ret_listens = listens;
	return 0;
}

int back_address_listen(
        const char *address, int *ret_fd, bool *ret_listens, struct file_made *ret_file, struct err *err)
{
	const char *rest;

	*ret_fd = -1;
	*ret_listens = true;
	*ret_file = (struct file_made){0};
	if (back_address_check(address, err) < 0)
		return -1;
	if ((rest = after(address, "unix:")))
		return listen_unix(rest, ret_fd, ret_file, err);
	if ((rest = after(address, "tcp:")))
		return listen_tcp(address, rest, ret_fd, err);
	return use_fd(after(address, "fd:"), ret_fd, ret_listens, err);
}
