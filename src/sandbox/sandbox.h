/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox: what the files of the room share.
 */
#ifndef VMM_SANDBOX_PRIVATE_H
#define VMM_SANDBOX_PRIVATE_H

#include <linux/filter.h>

#include "vmm/sandbox.h"

#define SANDBOX_CALLS 512 /* numbers of x86-64's system calls are below */

/* What sandbox_start() has made. It is not changed afterwards, so any thread may read it. */
struct sandbox_made {
	struct sock_fprog programs[SANDBOX_THREADS];
	char *names[SANDBOX_CALLS]; /* NULL: libseccomp does not know the number */
	void (*on_end)(void);
};

extern struct sandbox_made sandbox_made;

/* Takes SIGSYS, which the kernel sends to a thread that makes a forbidden call. */
int sandbox_take_signal(struct err *err) MUST_CHECK;

#endif
