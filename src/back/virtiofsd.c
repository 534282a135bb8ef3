/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtiofsd: starts the program, or finds one that runs. It is given a socket on which it listens, and takes
 * the first connection. Any thread; no state.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "vmm/back/child.h"
#include "vmm/back/virtiofsd.h"

static int address_of(const char *path, struct sockaddr_un *ret_address, struct err *err)
{
	*ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(ret_address->sun_path))
		return err_set(err, ERR_USAGE, "%s: the path of a socket has at most %zu characters",
		        TEXT_VALUE(path), sizeof(ret_address->sun_path) - 1);
	memcpy(ret_address->sun_path, path, strlen(path));
	return 0;
}

/* A socket that blocks would wait, without an end, for a virtiofsd that listens but takes no connections. */
int back_virtiofsd_connect(const char *path, int *ret_socket, struct err *err)
{
	struct sockaddr_un address;
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (address_of(path, &address, err) < 0)
		return -1;
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return err_sys(err, ERR_HOST, errno, "%s: connecting to virtiofsd", path);
	*ret_socket = take_fd(&fd);
	return 0;
}

/* ---- a virtiofsd of our own ---- */

static int listen_at(const char *path, int *ret_fd, struct err *err)
{
	struct sockaddr_un address;
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (address_of(path, &address, err) < 0)
		return -1;
	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
		return err_sys(err, ERR_HOST, errno, "%s: a socket for virtiofsd", path);
	*ret_fd = take_fd(&fd);
	return 0;
}

/*
 * A socket that listens, with one connection that waits to be accepted. It needs a name for a moment; the
 * folder of that name is closed to other users, so that the connection can only be ours.
 */
static int make_pair(int *ret_listener, int *ret_socket, struct err *err)
{
	const char *tmp = getenv("TMPDIR");
	char folder[200], path[sizeof(folder) + 8];
	auto_close int listener = -1;
	int result;

	snprintf(folder, sizeof(folder), "%s/vmm-fs.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(folder))
		return err_sys(err, ERR_HOST, errno, "%s: a folder for the socket of virtiofsd", folder);
	snprintf(path, sizeof(path), "%s/socket", folder);
	result = listen_at(path, &listener, err);
	if (result == 0)
		result = back_virtiofsd_connect(path, ret_socket, err);
	unlink(path);
	rmdir(folder);
	if (result == 0)
		*ret_listener = take_fd(&listener);
	return result;
}

/*
 * Where the program lies: in PATH, or where distributions hide it. Debian 12's is the older one, which QEMU
 * came with, and has other options.
 */
static const struct {
	const char *path;
	bool old;
} programs[] = {
        {"virtiofsd", false},
        {"/usr/libexec/virtiofsd", false},
        {"/usr/lib/virtiofsd", false},
        {"/usr/lib/qemu/virtiofsd", true},
};

static int start_program(unsigned i, const char *folder, int listener, pid_t *ret_pid, struct err *err)
{
	char old_source[4200], source[4200];
	const char *const old[] = {programs[i].path, "--fd=3", "-o", old_source, "-o", "log_level=err", NULL};
	const char *const new[] = {programs[i].path, "--fd=3", source, "--log-level=error", NULL};

	if (programs[i].old && strchr(folder, ','))
		return err_set(err, ERR_USAGE,
		        "the virtiofsd of this machine takes no folder with a comma in its name");
	snprintf(old_source, sizeof(old_source), "source=%s", folder);
	snprintf(source, sizeof(source), "--shared-dir=%s", folder);
	return back_child_start(programs[i].old ? old : new, listener, -1, ret_pid, err);
}

int back_virtiofsd_start(const char *folder, int *ret_socket, pid_t *ret_pid, struct err *err)
{
	auto_close int listener = -1, socket = -1;
	int result = -1;

	if (strlen(folder) >= 4096)
		return err_set(err, ERR_USAGE, "%s: no folder has a path that long", TEXT_VALUE(folder));
	if (make_pair(&listener, &socket, err) < 0)
		return -1;
	for (unsigned i = 0; i < ARRAY_LEN(programs); i++) {
		result = start_program(i, folder, listener, ret_pid, err);
		if (result == 0 || err->sys != ENOENT)
			break;
	}
	if (result < 0) {
		if (err->sys == ENOENT)
			return err_set(err, ERR_HOST,
			        "there is no virtiofsd on this machine: install it (Debian 13: the package "
			        "virtiofsd; Debian 12: qemu-system-common)");
		return -1;
	}
	*ret_socket = take_fd(&socket);
	return 0;
}
