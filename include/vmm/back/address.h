/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address: where another vmm is, in QEMU's words: "unix:PATH", "tcp:HOST:PORT" (an IPv6 address in brackets;
 * without HOST every address of this computer), "fd:N" (a descriptor that vmm was started with).
 */
#ifndef VMM_BACK_ADDRESS_H
#define VMM_BACK_ADDRESS_H

#include "vmm/base.h"

#define BACK_ADDRESS_MAX_BYTES 300

/* ERR_USAGE, in QEMU's words where it has some: such an address cannot be. */
int back_address_check(const char *address, struct err *err) MUST_CHECK;
/* The name of the host that an address has, without brackets. False: it has none. */
bool back_address_host(const char *address, char ret_host[static BACK_ADDRESS_MAX_BYTES]) MUST_CHECK;
/* How long a connection may take, to each of the addresses that a host's name has. */
#define BACK_ADDRESS_CONNECT_MS 10000
/*
 * Connects to whoever listens there ("unix:", "tcp:"). If there is a helper process (vmm/back/helper.h), a
 * child of that does so. The caller closes the descriptor. Waits at most BACK_ADDRESS_CONNECT_MS for each
 * address, and for the name of a host as long as the resolver does (resolv.conf(5); 30 s with three servers
 * that are silent, unless set otherwise). When cancel_fd can be read, the wait is over at once; without a
 * helper only that for a connection. cancel_fd is borrowed; -1: nothing ends the wait. ERR_USAGE; ERR_FAILED,
 * with err->sys ECANCELED if the wait was ended. Any thread.
 */
int back_address_connect(const char *address, int cancel_fd, int *ret_fd, struct err *err) MUST_CHECK;
/*
 * Listens there, for one connection at a time. *ret_listens: false if the descriptor of "fd:N" is connected
 * already. *ret_file: the socket file, if there is one, for file_made_remove() at the end. A socket file that
 * a dead process left behind is replaced. ERR_USAGE, ERR_FAILED.
 */
int back_address_listen(const char *address, int *ret_fd, bool *ret_listens, struct file_made *ret_file,
        struct err *err) MUST_CHECK;

#endif
