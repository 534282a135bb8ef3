/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child: programs that serve a device and live as long as it does (virtiofsd, passt). Any thread.
 */
#ifndef VMM_BACK_CHILD_H
#define VMM_BACK_CHILD_H

#include <sys/types.h>

#include "vmm/base.h"

/* The number under which a child finds the descriptor that it gets. */
#define BACK_CHILD_FD 3

/*
 * Starts argv[0], a path or a name that is looked up in PATH. The child gets a copy of fd, log_fd as its
 * output (-1: this process's standard error, for errors alone), no input, and a process group of its own, so
 * that a terminal's Ctrl-C does not end it before the guest. ERR_HOST; err->sys is ENOENT if there is no such
 * program.
 */
int back_child_start(const char *const *argv, int fd, int log_fd, pid_t *ret_pid, struct err *err) MUST_CHECK;
/*
 * Ends a child: asks it to end, and kills it if it does not within BACK_CHILD_WAIT_MS. pid 0 is allowed. The
 * child is gone when it returns.
 */
#define BACK_CHILD_WAIT_MS 2000
void back_child_end(pid_t pid);

#endif
