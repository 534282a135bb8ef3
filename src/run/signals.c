/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signals: takes the signals that ask vmm to end its guest. Main thread.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "signals.h"

/* nohup(1), and shells that start a program in the background, have signals ignored. Blocking one would undo
 * that. */
static void add_unless_ignored(sigset_t *mask, int signal)
{
	struct sigaction action;

	if (sigaction(signal, NULL, &action) == 0 && action.sa_handler != SIG_IGN)
		sigaddset(mask, signal);
}

int run_signals_take(int *ret_fd, sigset_t *ret_old_mask, struct err *err)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigset_t mask;
	int fd;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	add_unless_ignored(&mask, SIGINT);
	add_unless_ignored(&mask, SIGHUP);
	/* When a reader goes away, the write fails. vmm does not die of it. */
	sigaction(SIGPIPE, &ignore, NULL);
	pthread_sigmask(SIG_BLOCK, &mask, ret_old_mask);
	fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return err_sys(err, ERR_FAILED, errno, "signalfd");
	*ret_fd = fd;
	return 0;
}

bool run_signals_drop(int fd)
{
	struct signalfd_siginfo info;
	bool some = false;

	while (read(fd, &info, sizeof(info)) == sizeof(info))
		some = true;
	return some;
}
