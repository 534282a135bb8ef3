/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enter: puts a thread under its list, and ends the process with a message when a thread makes another call.
 * Any thread, and a signal handler. Law: seccomp(2), signal-safety(7).
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "sandbox.h"

#define SYSCALL_BYTES 2 /* of the instruction */

static const char *const thread_words[] = {
        [SANDBOX_MAIN] = "the main thread",
        [SANDBOX_VCPU] = "the thread of a vCPU",
        [SANDBOX_DEVICE] = "the thread of a device",
        [SANDBOX_WRITER] = "a thread that writes",
        [SANDBOX_MIGRATE] = "the thread that moves the guest",
};

static _Thread_local enum sandbox_thread own_kind;

/* ---- the end ---- */

/*
 * When the handler returns, the call is made again, and the process ends by SIGSYS. Of several threads that
 * come at the same time the first one does that, and the others wait for the end.
 */
static void on_forbidden(int signal, siginfo_t *info, void *context)
{
	static const struct sigaction by_default = {.sa_handler = SIG_DFL};
	static atomic_bool ends;
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
	int number = info->si_syscall;
	const char *name = number >= 0 && number < SANDBOX_CALLS ? sandbox_made.names[number] : NULL;

	while (atomic_exchange(&ends, true))
		poll(NULL, 0, -1);
	log_error("the sandbox ends vmm: %s made the system call %s (number %d, second argument %#llx), "
	          "which is not in its list. Please report this; --no-sandbox runs without the lists",
	        thread_words[own_kind], name ?: "without a name", number,
	        (unsigned long long)registers[REG_RSI]);
	if (sandbox_made.on_end)
		sandbox_made.on_end();
	sigaction(SIGSYS, &by_default, NULL);
	registers[REG_RIP] -= SYSCALL_BYTES;
}

int sandbox_take_signal(struct err *err)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO};

	action.sa_sigaction = on_forbidden;
	if (sigaction(SIGSYS, &action, NULL) < 0)
		return err_sys(err, ERR_FAILED, errno, "the sandbox: SIGSYS");
	return 0;
}

/* ---- the beginning ---- */

/* A signal that is blocked would end the process without the message. */
static void unblock(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/*
 * An empty network, and nothing to share with others by System V IPC, for this thread and those that it
 * makes. A process without CAP_SYS_ADMIN would need a user namespace for it, which one with several threads
 * cannot have (unshare(2)).
 */
static void leave_namespaces(void)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
		log_debug("the sandbox has no namespaces of its own: %s", err_sys_name(errno));
}

void sandbox_enter(enum sandbox_thread kind)
{
	if (!sandbox_is_on())
		return;
	own_kind = kind;
	unblock();
	if (kind == SANDBOX_MAIN)
		leave_namespaces();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &sandbox_made.programs[kind]) == 0)
		return;
	log_error("%s cannot enter the sandbox: %s (%s)", thread_words[kind], strerrordesc_np(errno),
	        err_sys_name(errno));
	abort();
}
