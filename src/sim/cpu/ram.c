/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ram: survives accesses to guest memory that is not there. A thread with a guard comes back from a SIGSEGV
 * or SIGBUS that its access to guest memory caused. Every other signal goes to the handler that was there
 * before. Any thread; a guard belongs to one thread. Law: sigaction(2), setjmp(3).
 */
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>

#include "ram.h"

/* The signal's handler reads this variable, and must not have to allocate it first. */
static _Thread_local struct ram_guard *innermost __attribute__((tls_model("initial-exec")));

static const struct sigaction by_default; /* all zero: SIG_DFL */
static struct sigaction before_segv, before_bus;

/* Returns whether an access caused the signal, and not kill(2) or memory that the host's hardware lost. */
static bool by_access(int signal, const siginfo_t *info)
{
	bool lost = signal == SIGBUS && (info->si_code == BUS_MCEERR_AR || info->si_code == BUS_MCEERR_AO);

	return info->si_code > 0 && info->si_code < SI_KERNEL && !lost;
}

/*
 * Does what the program would have done without this handler. If the signal had the default action or was
 * ignored, the process ends: the access is repeated when this handler returns, and a signal that was sent is
 * sent again.
 */
static void pass_on(int signal, siginfo_t *info, void *context)
{
	struct sigaction *before = signal == SIGSEGV ? &before_segv : &before_bus, then = *before;

	if (then.sa_flags & (int)SA_RESETHAND)
		*before = by_default;
	if (then.sa_flags & SA_SIGINFO) {
		then.sa_sigaction(signal, info, context);
	} else if (then.sa_handler != SIG_DFL && then.sa_handler != SIG_IGN) {
		then.sa_handler(signal);
	} else {
		sigaction(signal, &by_default, NULL);
		if (info->si_code <= 0)
			raise(signal);
	}
}

/* Unblocks the signal. The kernel blocks it while its handler runs, and longjmp() does not end a handler. */
static void unblock(int signal)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* Sends the thread elsewhere when the handler returns; its registers stay. */
static bool take_detour(const struct ram_guard *guard, ucontext_t *context)
{
	greg_t *rip = &context->uc_mcontext.gregs[REG_RIP];
	uintptr_t to = guard->detour ? guard->detour(guard, (uintptr_t)*rip) : 0;

	if (to)
		*rip = (greg_t)to;
	return to;
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	struct ram_guard *guard = innermost;

	while (guard && !(by_access(signal, info) && guard->owns(guard, (uintptr_t)info->si_addr)))
		guard = guard->outer;
	if (!guard) {
		pass_on(signal, info, context);
		return;
	}
	if (take_detour(guard, context))
		return;
	innermost = guard->outer;
	unblock(signal);
	longjmp(*guard->back, RAM_FAULT);
}

static void take_signal(int signal, struct sigaction *before)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK}, now;

	action.sa_sigaction = on_fault;
	if (sigaction(signal, NULL, &now) < 0 || now.sa_sigaction == on_fault)
		return;
	*before = now;
	sigaction(signal, &action, NULL);
}

void cpu_ram_guard_prepare(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&lock);
	take_signal(SIGSEGV, &before_segv);
	take_signal(SIGBUS, &before_bus);
	pthread_mutex_unlock(&lock);
}

void cpu_ram_guard_begin(struct ram_guard *guard)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, cpu_ram_guard_prepare);
	guard->outer = innermost;
	innermost = guard;
	__asm__ volatile("" ::: "memory");
}

void cpu_ram_guard_end(struct ram_guard *guard)
{
	__asm__ volatile("" ::: "memory");
	innermost = guard->outer;
}

/* ---- one access ---- */

static bool in_range(const struct ram_guard *guard, uintptr_t address)
{
	return address - (uintptr_t)guard->start < guard->size;
}

bool cpu_ram_try(void *guest, size_t size, void (*work)(uint8_t *guest, void *arg), void *arg)
{
	jmp_buf back;
	struct ram_guard guard = {.back = &back, .owns = in_range, .start = guest, .size = size};
	volatile bool done = false;

	cpu_ram_guard_begin(&guard);
	if (!setjmp(back)) {
		work(guest, arg);
		done = true;
	}
	cpu_ram_guard_end(&guard);
	return done;
}

struct bytes {
	void *to;
	const void *from;
	size_t size;
};

static void copy(uint8_t *guest, void *arg)
{
	const struct bytes *bytes = arg;

	ram_copy(bytes->to, bytes->from, bytes->size);
}

static void touch(uint8_t *guest, void *arg)
{
	ram_touch(guest, true);
}

bool cpu_ram_try_read(void *to, const void *guest, size_t size)
{
	return cpu_ram_try((void *)(uintptr_t)guest, size, copy, &(struct bytes){to, guest, size});
}

bool cpu_ram_try_write(void *guest, const void *from, size_t size)
{
	return cpu_ram_try(guest, size, copy, &(struct bytes){guest, from, size});
}

bool cpu_ram_try_touch(void *guest)
{
	return cpu_ram_try(guest, 1, touch, NULL);
}
