/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helper: forked before vmm enters its sandbox. vmm's threads ask it one after the other, by messages over a
 * socket. It trusts nobody who asks: a request names a device of the configuration that it was forked with,
 * a program that it has started itself, or the address of another vmm, to which a child of it connects and no
 * more. It ends when vmm does. Law: unix(7), SCM_RIGHTS.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "helper.h"
#include "net.h"
#include "vmm/back/address.h"
#include "vmm/back/child.h"
#include "vmm/back/helper.h"
#include "vmm/back/virtiofsd.h"
#include "vmm/sandbox.h"

#define SOCKET_FD 3 /* in the helper */
#define FDS_MAX   2

enum request_kind { START, END, CONNECT, QUIT };

struct request {
	enum request_kind kind;
	uint32_t device;                      /* of START: an index of devices[] */
	pid_t pid;                            /* of END */
	char address[BACK_ADDRESS_MAX_BYTES]; /* of CONNECT */
};

struct reply {
	int result;
	struct err err;
	pid_t pid;
	bool has_log;
};

static const struct config *config; /* NULL: there is no helper */
static int helper_fd = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- without a helper, and in it ---- */

static int start_here(const struct config_device *device, struct back_server *ret_server, struct err *err)
{
	*ret_server = (struct back_server){-1, -1, 0};
	if (device->driver == CONFIG_NET)
		return back_passt_spawn(device, ret_server, err);
	if (*device->folder)
		return back_virtiofsd_start(device->folder, &ret_server->fd, &ret_server->pid, err);
	return back_virtiofsd_connect(device->socket, &ret_server->fd, err);
}

static bool is_served(const struct config_device *device)
{
	return device->driver == CONFIG_FS ||
	       (device->driver == CONFIG_NET && device->net == CONFIG_NET_PASST);
}

/* ---- messages ---- */

union fd_room {
	struct cmsghdr head;
	uint8_t bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

static int send_reply(const struct reply *reply, const int *fds, unsigned count)
{
	union fd_room room = {0};
	struct iovec iov = {(void *)(uintptr_t)reply, sizeof(*reply)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	if (count) {
		room.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(count * sizeof(int)),
		        .cmsg_level = SOL_SOCKET,
		        .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&room.head), fds, count * sizeof(int));
		message.msg_control = &room;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
	}
	return sendmsg(SOCKET_FD, &message, MSG_NOSIGNAL) == sizeof(*reply) ? 0 : -1;
}

/* Returns 0, or -1 if whoever answers is gone. Descriptors that did not come are -1. */
static int receive_reply(int fd, struct reply *reply, int fds[static FDS_MAX])
{
	union fd_room room = {0};
	struct iovec iov = {reply, sizeof(*reply)};
	struct msghdr message = {
	        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &room, .msg_controllen = sizeof(room)};
	ssize_t n;

	do
		n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	fds[0] = fds[1] = -1;
	if (n != sizeof(*reply))
		return -1;
	if (message.msg_controllen >= CMSG_LEN(sizeof(int)) && room.head.cmsg_type == SCM_RIGHTS)
		memcpy(fds, CMSG_DATA(&room.head), room.head.cmsg_len - CMSG_LEN(0));
	return 0;
}

/* ---- vmm's side ---- */

static int ask(const struct request *request, struct reply *reply, int fds[static FDS_MAX])
{
	const struct iovec iov = {(void *)(uintptr_t)request, sizeof(*request)};
	const struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)&iov, .msg_iovlen = 1};
	int result = -1;

	pthread_mutex_lock(&lock);
	if (sendmsg(helper_fd, &message, MSG_NOSIGNAL) == sizeof(*request))
		result = receive_reply(helper_fd, reply, fds);
	pthread_mutex_unlock(&lock);
	return result;
}

int back_server_start(const struct config_device *device, struct back_server *ret_server, struct err *err)
{
	struct request request = {.kind = START};
	struct reply reply;
	int fds[FDS_MAX];

	if (!config)
		return start_here(device, ret_server, err);
	request.device = (uint32_t)(device - config->devices);
	if (ask(&request, &reply, fds) < 0)
		return err_set(err, ERR_FAILED, "the helper process of vmm is gone; start vmm again");
	if (reply.result < 0) {
		*err = reply.err;
		return -1;
	}
	*ret_server = (struct back_server){fds[0], fds[1], reply.pid};
	return 0;
}

void back_server_end(pid_t pid)
{
	const struct request request = {.kind = END, .pid = pid};
	struct reply reply;
	int fds[FDS_MAX];

	if (!config)
		back_child_end(pid);
	else if (pid && ask(&request, &reply, fds) < 0)
		log_warn("the helper process of vmm is gone, and with it what it had started");
}

/* Waits for what the helper's child says on fd, or until nobody wants to hear it any more. */
static int await_connection(int fd, int cancel_fd, const char *address, int *ret_fd, struct err *err)
{
	struct pollfd waits[] = {{.fd = fd, .events = POLLIN}, {.fd = cancel_fd, .events = POLLIN}};
	struct reply reply;
	int fds[FDS_MAX];

	while (poll(waits, ARRAY_LEN(waits), -1) < 0 && errno == EINTR)
		;
	if (waits[1].revents)
		return err_sys(err, ERR_FAILED, ECANCELED, "Failed to connect to '%s'", address);
	if (receive_reply(fd, &reply, fds) < 0)
		return err_set(err, ERR_FAILED, "Failed to connect to '%s': the process that tried is gone",
		        address);
	if (reply.result < 0) {
		*err = reply.err;
		return -1;
	}
	*ret_fd = fds[0];
	return 0;
}

int back_address_connect(const char *address, int cancel_fd, int *ret_fd, struct err *err)
{
	struct request request = {.kind = CONNECT};
	struct reply reply;
	int fds[FDS_MAX], result;

	*ret_fd = -1;
	if (!config && sandbox_is_on())
		return err_set(err, ERR_FAILED,
		        "vmm has no helper process that could connect; hand it a descriptor");
	if (!config)
		return back_address_connect_here(address, cancel_fd, ret_fd, err);
	if (back_address_check(address, err) < 0)
		return -1;
	memcpy(request.address, address, strlen(address) + 1);
	if (ask(&request, &reply, fds) < 0)
		return err_set(err, ERR_FAILED, "the helper process of vmm is gone; start vmm again");
	if (reply.result < 0) {
		*err = reply.err;
		return -1;
	}
	result = await_connection(fds[0], cancel_fd, address, ret_fd, err);
	close(fds[0]);
	return result;
}

/* ---- the helper's side ---- */

static pid_t children[CONFIG_DEVICES_MAX]; /* 0: free */

static pid_t take_child(pid_t *place)
{
	pid_t pid = *place;

	*place = 0;
	return pid;
}

static pid_t *find_child(pid_t pid)
{
	for (size_t i = 0; i < ARRAY_LEN(children); i++)
		if (children[i] == pid)
			return &children[i];
	return NULL;
}

/* A program that failed is replaced after it was ended, so there is always a free place for an honest vmm. */
static void start_for(const struct request *request, struct reply *reply, int fds[static FDS_MAX])
{
	struct back_server server = {-1, -1, 0};
	pid_t *place = find_child(0);

	reply->result = -1;
	if (!place || request->device >= config->devices_count ||
	        !is_served(&config->devices[request->device])) {
		err_set(&reply->err, ERR_FAILED, "the helper process of vmm serves no such device");
	} else {
		reply->result = start_here(&config->devices[request->device], &server, &reply->err);
		if (reply->result == 0)
			*place = reply->pid = server.pid;
	}
	fds[0] = server.fd;
	fds[1] = server.log_fd;
}

/*
 * The helper itself waits for no connection, and for no name of a host. A child does, one at a time, and vmm
 * hangs up when it does not want the connection any more.
 */
static pid_t connector; /* 0: there is none */

static void end_connector(void)
{
	pid_t pid = take_child(&connector);

	if (!pid)
		return;
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* The child: answers on fd. */
static void be_connector(const struct request *request, int fd)
{
	char address[BACK_ADDRESS_MAX_BYTES];
	struct reply reply = {0};
	int connection;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(address, sizeof(address), "%.*s", BACK_ADDRESS_MAX_BYTES - 1, request->address);
	/* In the place of the socket on which the helper is asked. */
	if (dup2(fd, SOCKET_FD) == SOCKET_FD) {
		reply.result = back_address_connect_here(address, SOCKET_FD, &connection, &reply.err);
		send_reply(&reply, &connection, reply.result == 0);
	}
}

static void connect_for(const struct request *request, struct reply *reply, int fds[static FDS_MAX])
{
	auto_close int there = -1;
	int ends[2];

	end_connector();
	reply->result = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		err_sys(&reply->err, ERR_FAILED, errno, "the helper process");
		return;
	}
	fds[0] = ends[0];
	there = ends[1];
	connector = fork();
	if (connector == 0) {
		close(ends[0]);
		be_connector(request, there);
		_Exit(0);
	}
	if (connector > 0)
		reply->result = 0;
	else
		err_sys(&reply->err, ERR_FAILED, errno, "the helper process");
	connector = connector > 0 ? connector : 0;
}

static void end_all(void)
{
	end_connector();
	for (size_t i = 0; i < ARRAY_LEN(children); i++)
		back_child_end(take_child(&children[i]));
}

static void end_for(const struct request *request)
{
	pid_t *place = request->pid > 0 ? find_child(request->pid) : NULL;

	if (!place)
		return;
	back_child_end(take_child(place));
}

static int answer(const struct request *request)
{
	struct reply reply = {0};
	int fds[FDS_MAX] = {-1, -1}, result;
	unsigned count = 0;

	if (request->kind == START)
		start_for(request, &reply, fds);
	else if (request->kind == END)
		end_for(request);
	else if (request->kind == CONNECT)
		connect_for(request, &reply, fds);
	else
		end_all();
	while (count < FDS_MAX && fds[count] >= 0)
		count++;
	result = send_reply(&reply, fds, count);
	while (count)
		close(fds[--count]);
	return request->kind == QUIT ? -1 : result;
}

/* vmm has ended when nothing more can be received. */
static void serve(void)
{
	struct request request;

	while (recv(SOCKET_FD, &request, sizeof(request), 0) == sizeof(request) && answer(&request) == 0)
		;
	end_all();
}

/*
 * Keeps the socket and the standard error, and nothing else of vmm's. Only the end of vmm ends it: signals of
 * the terminal and of a service manager are for vmm.
 */
static void become_helper(int fd)
{
	auto_close int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_NAME, "vmm-helper");
	if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(nothing, STDOUT_FILENO) < 0 ||
	        (fd != SOCKET_FD && dup2(fd, SOCKET_FD) < 0))
		return;
	take_fd(&nothing);
	fcntl(SOCKET_FD, F_SETFD, FD_CLOEXEC);
	close_range(SOCKET_FD + 1, ~0u, 0);
	serve();
}

/* ---- life ---- */

static bool needs_helper(const struct config *of)
{
	bool needs = false;

	for (size_t i = 0; i < of->devices_count; i++)
		needs |= is_served(&of->devices[i]);
	return needs;
}

int back_helper_start(const struct config *of, bool connects, struct err *err)
{
	int fds[2];
	pid_t pid;

	if (!connects && !needs_helper(of))
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return err_sys(err, ERR_FAILED, errno, "the helper process");
	config = of;
	pid = fork();
	if (pid == 0) {
		become_helper(fds[1]);
		_Exit(0);
	}
	close(fds[1]);
	if (pid < 0) {
		config = NULL;
		close(fds[0]);
		return err_sys(err, ERR_FAILED, errno, "the helper process");
	}
	helper_fd = fds[0];
	return 0;
}

/* It answers when it has ended what it had started. Then it ends, too, and init takes it when vmm is gone. */
void back_helper_stop(void)
{
	const struct request request = {.kind = QUIT};
	struct reply reply;
	int fds[FDS_MAX];

	if (!config)
		return;
	(void)ask(&request, &reply, fds);
	close(helper_fd);
	helper_fd = -1;
	config = NULL;
}
