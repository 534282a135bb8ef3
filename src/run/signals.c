/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signals: takes the signals that ask vmm to end its guest. Main thread.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "run.h"

#define SECOND_NS 1000000000ull

/* ---- what a signal does to the guest ---- */

/* A guest that a signal ends has not shut down, and the exit status says so, unless nobody wants it to. */
static void explain_signal(struct run *run)
{
	/* A guest that reboots when it is asked to shut down has done that. */
	bool reboots = run->resets && run_life_is_moving(run->state) && !run_is_pausing(run);
	static const char *const texts[RUN_LIFE_STATES] = {
	        [RUN_LIFE_LAUNCHING] = "a signal ended vmm before the guest was launched",
	        [RUN_LIFE_HOLDING] = "a signal ended vmm before the guest was launched",
	        [RUN_LIFE_HELD] = "a signal ended vmm before the guest was started",
	        [RUN_LIFE_PAUSING] = "a signal ended the guest while it was paused",
	        [RUN_LIFE_QUIETENING] = "a signal ended the guest while it was paused",
	        [RUN_LIFE_PAUSED] = "a signal ended the guest while it was paused",
	        [RUN_LIFE_CLOSING] = "the guest was ended by a second signal before it had shut down",
	};

	if (run_launching_waits(run))
		err_set(&run->err, ERR_FAILED,
		        "sev.secret: a signal ended the wait for the guest owner's secret");
	else if (texts[run->state] && run->config->run.grace_s && !reboots)
		err_set(&run->err, ERR_FAILED, "%s", texts[run->state]);
}

/* Returns whether a signal was waiting. None waits afterwards. */
static bool drop(int fd)
{
	struct signalfd_siginfo info;
	bool some = false;

	while (read(fd, &info, sizeof(info)) == sizeof(info))
		some = true;
	return some;
}

/*
 * One request often comes as several signals at once: timeout(1) sends one to vmm and one to vmm's process
 * group, and the shell passes on a terminal's hangup. So a signal counts as a second request only if it comes
 * more than a second later.
 */
static void on_signal(void *ctx, int events)
{
	struct run *run = ctx;
	uint64_t now = clock_ns(CLOCK_MONOTONIC); /* before the signals are read: whoever sees them gone
	                                             counts from then on */

	if (!drop(run->signal_fd))
		return;
	if (run->signalled_ns && now - run->signalled_ns <= SECOND_NS)
		return;
	run->signalled_ns = now;
	explain_signal(run);
	run_step_because(run, RUN_LIFE_TERM, RUN_CAUSE_HOST_SIGNAL);
}

/* ---- taking them, and giving them back ---- */

/* nohup(1), and shells that start a program in the background, have signals ignored. Blocking one would undo
 * that. */
static void add_unless_ignored(sigset_t *mask, int signal)
{
	struct sigaction action;

	if (sigaction(signal, NULL, &action) == 0 && action.sa_handler != SIG_IGN)
		sigaddset(mask, signal);
}

static int open_fd(const sigset_t *mask, struct err *err)
{
	int fd = signalfd(-1, mask, SFD_CLOEXEC | SFD_NONBLOCK);

	return fd < 0 ? err_sys(err, ERR_FAILED, errno, "signalfd") : fd;
}

int run_signals_take(struct run *run, struct err *err)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	add_unless_ignored(&mask, SIGINT);
	add_unless_ignored(&mask, SIGHUP);
	/* When a reader goes away, the write fails. vmm does not die of it. */
	sigaction(SIGPIPE, &ignore, NULL);
	pthread_sigmask(SIG_BLOCK, &mask, &run->old_mask);
	run->masked = true;
	run->signal_fd = open_fd(&mask, err);
	if (run->signal_fd < 0 || run_vcpu_prepare_kick(err) < 0)
		return -1;
	return loop_watch_start(run->loop, run->signal_fd, POLLIN, on_signal, run, &run->signal_watch, err);
}

void run_signals_give_back(struct run *run)
{
	if (run->signal_fd >= 0) {
		/* A signal that asked an ended guest to end must not kill vmm before it has said how the
		 * guest ended. */
		drop(run->signal_fd);
		close(run->signal_fd);
	}
	if (run->masked)
		pthread_sigmask(SIG_SETMASK, &run->old_mask, NULL);
}
