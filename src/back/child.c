/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child: starts and ends programs that serve a device. Any thread; no state.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>

#include "vmm/back/child.h"

extern char **environ;

#define LOOK_MS 10

static int prepare(posix_spawn_file_actions_t *files, posix_spawnattr_t *attributes, int fd, int log_fd)
{
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	/* The two descriptors go to their places in an order in which neither overwrites the other. */
	return posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0) ?:
	       (log_fd < 0 ? posix_spawn_file_actions_addopen(files, 1, "/dev/null", O_WRONLY, 0)
	                   : posix_spawn_file_actions_adddup2(files, log_fd, 1)
	                             ?: posix_spawn_file_actions_adddup2(files, log_fd, 2)) ?:
	       posix_spawn_file_actions_adddup2(files, fd, BACK_CHILD_FD) ?:
	       posix_spawn_file_actions_addclosefrom_np(files, BACK_CHILD_FD + 1) ?:
	       posix_spawnattr_setsigmask(attributes, &none) ?:
	       posix_spawnattr_setsigdefault(attributes, &all) ?:
	       posix_spawnattr_setpgroup(attributes, 0) ?:
	       posix_spawnattr_setflags(attributes,
	               POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
}

int back_child_start(const char *const *argv, int fd, int log_fd, pid_t *ret_pid, struct err *err)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	pid_t pid;
	int sys;

	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	sys = prepare(&files, &attributes, fd, log_fd)
	              ?: posix_spawnp(
	                         &pid, argv[0], &files, &attributes, (char *const *)(uintptr_t)argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	if (sys)
		return err_sys(err, ERR_HOST, sys, "starting %s", argv[0]);
	*ret_pid = pid;
	return 0;
}

/* Leaves the child for waitpid(2), so that its number is still its own. */
static bool has_ended(pid_t pid)
{
	siginfo_t info = {0};
	int result = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);

	return result == 0 ? info.si_pid == pid : errno == ECHILD;
}

void back_child_end(pid_t pid)
{
	const struct timespec look = {.tv_nsec = LOOK_MS * 1000000L};

	if (!pid)
		return;
	/* The child's process group has its number. What the child has started ends with it. */
	kill(-pid, SIGTERM);
	for (unsigned ms = 0; ms < BACK_CHILD_WAIT_MS && !has_ended(pid); ms += LOOK_MS)
		nanosleep(&look, NULL);
	kill(-pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}
