/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox: what the process may still ask of the kernel. Each kind of thread has a list of system calls, and
 * a thread obeys its list from sandbox_enter() on. A call that is not in the list ends the process, with a
 * message that names it. docs/sandbox.md describes the whole.
 */
#ifndef VMM_SANDBOX_H
#define VMM_SANDBOX_H

#include "vmm/base.h"

/* A thread that another one starts obeys the list of the other one, too. */
enum sandbox_thread {
	SANDBOX_MAIN,    /* it starts the threads below but the devices', so their calls are in its list */
	SANDBOX_VCPU,    /* runs the guest */
	SANDBOX_DEVICE,  /* runs the loop of one device */
	SANDBOX_WRITER,  /* writes to descriptors that may block, where io_uring is refused */
	SANDBOX_MIGRATE, /* moves the guest from or to another vmm */
	SANDBOX_THREADS
};

struct sandbox_setup {
	bool simulated;       /* the software platform runs in this process and needs calls of its own */
	bool certificates;    /* vCPUs read certificates that the guest asks for */
	void (*on_end)(void); /* the last act of a process that the sandbox ends, in a signal handler */
};

/*
 * Makes the lists. Main thread, before any other thread is made. From now on sandbox_enter() acts. ERR_HOST:
 * the kernel or libseccomp cannot do it. In a build with a sanitizer or with coverage, whose run-time needs
 * other calls, threads enter their lists, too, but the kernel only logs the other calls.
 */
int sandbox_start(const struct sandbox_setup *setup, struct err *err) MUST_CHECK;
bool sandbox_is_on(void);
/*
 * From here on the calling thread makes only the calls of its list, and neither it nor a program that it
 * starts can gain privileges. Does nothing if the sandbox is off. Ends the process if the kernel refuses.
 */
void sandbox_enter(enum sandbox_thread kind);

/* ---- the lists, for tests and documents ---- */

struct sandbox_row {
	const char *call;
	unsigned threads;  /* a bit for each enum sandbox_thread */
	bool simulated;    /* only with the software platform */
	bool certificates; /* only if vCPUs read certificates */
	bool own_process;  /* the first argument must be this process's number */
	/* If mask is not 0: (argument & mask) must be value. Several rows of a call are alternatives. */
	unsigned argument;
	uint64_t mask, value;
	int refuse; /* an errno: the call fails with it instead, and the process goes on; 0: it is allowed */
	const char *why;
};

extern const struct sandbox_row sandbox_rows[];
extern const size_t sandbox_row_count;

#endif
