/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen: the listening socket: made at a path, or inherited; and who may connect to it. unix(7),
 * sd_listen_fds(3). Main thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "control.h"

#define KEY           "control.socket"
#define FD_PREFIX     "fd:"
#define FIRST_FD      3 /* SD_LISTEN_FDS_START */
#define BACKLOG       64
#define PEER_TRIES    20
#define PEER_WAIT_MS  1000 /* a server says something at once; one that is stopped does not */
#define PEER_PAUSE_US 50000
#define MODE_OWN      0600
#define MODE_EVERYONE 0666 /* where control.allow names users: SO_PEERCRED tells who connects */

/* ---- a socket that was inherited ---- */

static int check_inherited(int fd, struct err *err)
{
	int domain = 0, type = 0, listens = 0;
	socklen_t size = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0)
		return err_sys(err, ERR_USAGE, errno, "the control socket, descriptor %d", fd);
	getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
	getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size);
	if (domain != AF_UNIX || type != SOCK_STREAM || !listens)
		return err_set(err, ERR_USAGE,
		        "the control socket, descriptor %d, is no listening Unix stream socket (in a unit of "
		        "systemd: ListenStream=, Accept=no)",
		        fd);
	return 0;
}

static int take_inherited(struct control_listener *listener, int fd, struct err *err)
{
	int flags;

	if (check_inherited(fd, err) < 0)
		return -1;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return err_sys(err, ERR_FAILED, errno, "the control socket, descriptor %d", fd);
	listener->fd = fd;
	return 0;
}

/* Reads a plain number; -1 if the text is none. */
static int number_of(const char *text)
{
	char *end;
	unsigned long value;

	if (!text || *text < '0' || *text > '9')
		return -1;
	errno = 0;
	value = strtoul(text, &end, 10);
	return errno || *end || value > INT32_MAX ? -1 : (int)value;
}

/* Which of the names, with colons between them, is "control"? The first descriptor if none is. */
static int index_of_name(const char *names, int count)
{
	int i = 0;

	for (const char *at = names; at && i < count;
	        at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL, i++) {
		if (strncmp(at, "control", 7) == 0 && (at[7] == ':' || !at[7]))
			return i;
	}
	return 0;
}

int control_inherited(void)
{
	int count = number_of(getenv("LISTEN_FDS")), fd = -1;

	if (count > 0 && number_of(getenv("LISTEN_PID")) == getpid())
		fd = FIRST_FD + index_of_name(getenv("LISTEN_FDNAMES"), count);
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDNAMES");
	return fd;
}

/* ---- a socket at a path ---- */

static int address_of(const char *path, struct sockaddr_un *ret_address, struct err *err)
{
	*ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(ret_address->sun_path))
		return err_set(err, ERR_USAGE, "the path has %zu bytes; a socket's has at most %zu",
		        strlen(path), sizeof(ret_address->sun_path) - 1);
	strncpy(ret_address->sun_path, path, sizeof(ret_address->sun_path) - 1);
	return 0;
}

enum peer { PEER_NONE, PEER_GOES, PEER_LIVES };

/* Connecting tells a living socket from one whose process has died. Returns an enum peer, or -1. */
static int try_peer(const struct sockaddr_un *address, struct err *err)
{
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd ready = {fd, POLLIN, 0};

	if (fd < 0)
		return err_sys(err, ERR_FAILED, errno, "socket");
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		return poll(&ready, 1, PEER_WAIT_MS) > 0 && ready.revents & POLLHUP ? PEER_GOES : PEER_LIVES;
	if (errno == EAGAIN) /* it listens, and its queue is full */
		return PEER_LIVES;
	if (errno == ECONNREFUSED || errno == ENOENT)
		return PEER_NONE;
	return err_sys(err, ERR_USAGE, errno, "the socket that is there cannot be tried");
}

/*
 * Linux takes down a socket that io_uring watched some milliseconds after its process has ended. It takes
 * connections until then, and disconnects them when it goes.
 */
static int await_peer(const struct sockaddr_un *address, struct err *err)
{
	int peer = PEER_GOES;

	for (unsigned i = 0; i < PEER_TRIES && peer == PEER_GOES; i++) {
		if (i)
			usleep(PEER_PAUSE_US);
		peer = try_peer(address, err);
	}
	return peer;
}

static int remove_ghost(const struct sockaddr_un *address, struct err *err)
{
	struct stat file;
	int peer;

	if (lstat(address->sun_path, &file) < 0)
		return errno == ENOENT ? 0 : err_sys(err, ERR_USAGE, errno, "it cannot be looked at");
	if (!S_ISSOCK(file.st_mode))
		return err_set(
		        err, ERR_USAGE, "a file that is no socket is there; remove it, or name another");
	peer = await_peer(address, err);
	if (peer < 0)
		return -1;
	if (peer != PEER_NONE)
		return err_set(
		        err, ERR_USAGE, "another process listens there; end it, or name another socket");
	if (unlink(address->sun_path) < 0 && errno != ENOENT)
		return err_sys(err, ERR_USAGE, errno, "the socket of a dead process cannot be removed");
	log_info("%s: removed the socket of a dead process", address->sun_path);
	return 0;
}

/* The mode that a socket has before it is bound becomes that of its file, so the file never allows more. */
static int bind_with_mode(int fd, const struct sockaddr_un *address, mode_t mode, struct err *err)
{
	if (fchmod(fd, mode) < 0)
		return err_sys(err, ERR_FAILED, errno, "fchmod");
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return err_sys(err, ERR_USAGE, errno, "bind");
	/* The umask may have taken something away from it. */
	if (chmod(address->sun_path, mode) < 0 || listen(fd, BACKLOG) < 0)
		return err_sys(err, ERR_FAILED, errno, "the new socket");
	return 0;
}

/* Of several processes that start at the same time, one at a time tries and replaces the socket. */
static int lock_folder(const char *path, int *ret_fd, struct err *err)
{
	auto_close int fd = file_folder_open(path);

	if (fd < 0)
		return err_sys(err, ERR_USAGE, errno, "the folder cannot be opened");
	if (flock(fd, LOCK_EX) < 0)
		return err_sys(err, ERR_FAILED, errno, "the folder cannot be locked");
	*ret_fd = take_fd(&fd);
	return 0;
}

static int listen_at(struct control_listener *listener, const char *path, struct err *err)
{
	mode_t mode = listener->user_count ? MODE_EVERYONE : MODE_OWN;
	struct sockaddr_un address;
	auto_close int folder = -1, fd = -1;

	if (address_of(path, &address, err) < 0 || lock_folder(path, &folder, err) < 0 ||
	        remove_ghost(&address, err) < 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, ERR_FAILED, errno, "socket");
	if (bind_with_mode(fd, &address, mode, err) < 0)
		return -1;
	if (file_made_note(path, &listener->file, err) < 0)
		return -1;
	listener->fd = take_fd(&fd);
	return 0;
}

/* ---- users ---- */

static int user_of(const char *word, uid_t *ret_user, struct err *err)
{
	int number = number_of(word);
	const struct passwd *entry = number < 0 ? getpwnam(word) : NULL;

	if (number < 0 && !entry)
		return err_set(err, ERR_USAGE, "control.allow: there is no user %s", TEXT_VALUE(word));
	*ret_user = entry ? entry->pw_uid : (uid_t)number;
	return 0;
}

static int read_users(struct control_listener *listener, const char *list, struct err *err)
{
	auto_free char *copy = strdup(list);
	char *rest = copy, *word;

	if (!copy)
		return err_sys(err, ERR_FAILED, ENOMEM, "control.allow");
	while ((word = strsep(&rest, ", "))) {
		if (!*word)
			continue;
		if (listener->user_count == CONTROL_USERS_MAX)
			return err_set(err, ERR_USAGE, "control.allow: at most %d users", CONTROL_USERS_MAX);
		if (user_of(word, &listener->users[listener->user_count], err) < 0)
			return -1;
		listener->user_count++;
	}
	return 0;
}

static bool may_connect(const struct control_listener *listener, uid_t user)
{
	for (unsigned i = 0; i < listener->user_count; i++) {
		if (listener->users[i] == user)
			return true;
	}
	return user == 0 || user == listener->own_user;
}

/* ---- clients ---- */

int control_listener_accept(const struct control_listener *listener)
{
	auto_close int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (fd < 0)
		return -1;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && may_connect(listener, peer.uid))
		return take_fd(&fd);
	log_guest(LOG_WARN, "control: user %u, process %d, may not connect (control.allow)", peer.uid,
	        peer.pid);
	errno = EPERM;
	return -1;
}

/* ---- life ---- */

int control_listener_open(
        struct control_listener *listener, const struct control_place *place, struct err *err)
{
	const char *where = place->config->control.socket;
	bool is_fd = strncmp(where, FD_PREFIX, strlen(FD_PREFIX)) == 0;

	listener->own_user = geteuid();
	if (read_users(listener, place->config->control.allow, err) < 0)
		return -1;
	if (place->listen_fd >= 0)
		return take_inherited(listener, place->listen_fd, err);
	if (is_fd && number_of(where + strlen(FD_PREFIX)) < 0)
		return err_set(
		        err, ERR_USAGE, KEY ": %s names no descriptor; one is like fd:3", TEXT_VALUE(where));
	if (is_fd)
		return take_inherited(listener, number_of(where + strlen(FD_PREFIX)), err);
	if (listen_at(listener, where, err) < 0)
		return err_wrap(err, KEY ": %s", TEXT_VALUE(where));
	return 0;
}

void control_listener_close(struct control_listener *listener)
{
	file_made_remove(&listener->file);
	if (listener->fd >= 0)
		close(listener->fd);
	listener->fd = -1;
}
