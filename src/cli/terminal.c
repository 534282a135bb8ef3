/* SPDX-License-Identifier: Apache-2.0 */
/*
 * terminal: puts the terminal into raw mode and back, and knows its size. Runs on the main thread and in
 * signal handlers, which use tcsetattr and tcgetpgrp only. Law: termios(3); signal-safety(7); ioctl_tty(2).
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "terminal.h"

static struct termios cooked, raw;
static int terminal_fd = -1;
static pid_t own_group;
static volatile sig_atomic_t is_raw;

/* By default these signals do nothing, or continue a stopped process (signal(7)). */
static const int harmless_signals[] = {SIGCHLD, SIGCONT, SIGURG, SIGWINCH};

/*
 * Both modes process output in the same way, so nothing has to drain first. While vmm is in the background
 * the terminal belongs to another job, and changing it would stop vmm (SIGTTOU). A terminal that does not
 * control this session has no foreground group (-1) and belongs to whoever opened it.
 */
static void set(const struct termios *mode)
{
	int saved = errno;
	pid_t foreground = tcgetpgrp(terminal_fd);

	if (foreground < 0 || foreground == own_group)
		tcsetattr(terminal_fd, TCSANOW, mode);
	errno = saved;
}

/*
 * Restores the terminal and lets the signal do what it does by default: the kernel has removed the handler
 * already (SA_RESETHAND).
 */
static void on_fatal(int signal)
{
	if (is_raw)
		set(&cooked);
	raise(signal);
}

/* Does the signal end or stop this process? One that is ignored or has a handler already does not. */
static bool is_fatal(int signal)
{
	struct sigaction action;

	for (size_t i = 0; i < ARRAY_LEN(harmless_signals); i++)
		if (signal == harmless_signals[i])
			return false;
	return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_DFL;
}

/* SIGKILL, SIGSTOP and the two signals that libc keeps for itself refuse a handler. */
static void take_fatal_signals(void)
{
	struct sigaction action = {.sa_handler = on_fatal, .sa_flags = (int)SA_RESETHAND};

	for (int signal = 1; signal <= SIGRTMAX; signal++)
		if (is_fatal(signal))
			sigaction(signal, &action, NULL);
}

static void on_continue(int signal)
{
	if (!is_raw)
		return;
	take_fatal_signals();
	set(&raw);
}

bool cli_terminal_raw(int fd)
{
	struct sigaction action = {.sa_handler = on_continue, .sa_flags = SA_RESTART};

	if (!isatty(fd) || tcgetattr(fd, &cooked) < 0)
		return false;
	terminal_fd = fd;
	own_group = getpgrp();
	raw = cooked;
	cfmakeraw(&raw);
	/* The guest ends its lines itself, but vmm's own messages need the terminal to do it. */
	raw.c_oflag = cooked.c_oflag;
	is_raw = 1;
	take_fatal_signals();
	sigaction(SIGCONT, &action, NULL);
	set(&raw);
	return true;
}

void cli_terminal_restore(void)
{
	if (!is_raw)
		return;
	is_raw = 0;
	set(&cooked);
}

unsigned cli_terminal_rows(int fd)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_row < 3)
		return UINT_MAX;
	return size.ws_row;
}

unsigned cli_terminal_columns(int fd)
{
	struct winsize size;

	return ioctl(fd, TIOCGWINSZ, &size) < 0 || !size.ws_col ? 80 : size.ws_col;
}
