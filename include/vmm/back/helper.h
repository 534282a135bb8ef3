/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helper: a second process, which starts and ends the programs that serve devices (virtiofsd, passt), and
 * connects to other vmms (vmm/back/address.h), for a vmm whose sandbox lets it do neither. It knows the
 * configuration, and starts only what that says. Without a helper vmm does the same itself.
 */
#ifndef VMM_BACK_HELPER_H
#define VMM_BACK_HELPER_H

#include <sys/types.h>

#include "vmm/config.h"

/* A process that serves a device, and how vmm reaches it. */
struct back_server {
	int fd;     /* the connection */
	int log_fd; /* what it writes to its standard error; -1: that goes to vmm's own */
	pid_t pid;  /* 0: it is not ours */
};

/*
 * Makes the helper if a device of the configuration may need one, or connects: a controller may want vmm to
 * connect to another one. Main thread, before there are others. The
 * configuration is borrowed until back_helper_stop(). ERR_FAILED.
 */
int back_helper_start(const struct config *config, bool connects, struct err *err) MUST_CHECK;
/* Ends the helper and the programs that it has started. Does nothing if there is no helper. */
void back_helper_stop(void);

/*
 * Starts the program that serves a device, or connects to one that runs (fs with a socket). The caller closes
 * the descriptors and calls back_server_end(). If there is a helper, the device must be one of its
 * configuration. ERR_HOST; err->sys is ENOENT if there is no such program. Any thread.
 */
int back_server_start(
        const struct config_device *device, struct back_server *ret_server, struct err *err) MUST_CHECK;
/* As back_child_end(): the program is gone when it returns. */
void back_server_end(pid_t pid);

#endif
