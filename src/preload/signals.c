/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signals: the functions that set handlers and masks of signals: SIGILL may be the library's. Any thread.
 */
#include "calls.h"

#include <pthread.h>

PUBLIC int sigaction(int number, const struct sigaction *action, struct sigaction *ret_old)
{
	struct sigaction copy;

	if (number == SIGILL && preload_cpuid_taken())
		return preload_cpuid_sigaction(action, ret_old);
	if (action && preload_cpuid_taken()) {
		copy = *action;
		sigdelset(&copy.sa_mask, SIGILL);
		action = &copy;
	}
	return __wrap_sigaction(number, action, ret_old);
}

PUBLIC sighandler_t signal(int number, sighandler_t handler)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, old;

	if (number != SIGILL || !preload_cpuid_taken())
		return raw_next(signal)(number, handler);
	preload_cpuid_sigaction(&action, &old);
	return old.sa_handler;
}

static const sigset_t *without_ours(const sigset_t *set, sigset_t *copy)
{
	if (!set || !preload_cpuid_taken())
		return set;
	*copy = *set;
	sigdelset(copy, SIGILL);
	return copy;
}

PUBLIC int pthread_sigmask(int how, const sigset_t *set, sigset_t *ret_old)
{
	sigset_t copy;

	return __wrap_pthread_sigmask(how, how == SIG_UNBLOCK ? set : without_ours(set, &copy), ret_old);
}

PUBLIC int sigprocmask(int how, const sigset_t *set, sigset_t *ret_old)
{
	sigset_t copy;

	return raw_next(sigprocmask)(how, how == SIG_UNBLOCK ? set : without_ours(set, &copy), ret_old);
}
