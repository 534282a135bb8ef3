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
/* How long a connection may take. */
#define BACK_ADDRESS_CONNECT_MS 10000
/*
 * Connects to whoever listens there ("unix:", "tcp:"). If there is a helper process (vmm/back/helper.h), it
 * does so. The caller closes the descriptor. Waits at most BACK_ADDRESS_CONNECT_MS, and for the name of a
 * host as long as the resolver does. ERR_USAGE; ERR_FAILED. Any thread.
 */
int back_address_connect(const char *address, int *ret_fd, struct err *err) MUST_CHECK;
/*
 * Listens there, for one connection at a time. *ret_listens: false if the descriptor of "fd:N" is connected
 * already. *ret_path: the socket file that the caller unlinks and frees at the end; NULL: there is none. A
 * socket file that a dead process left behind is replaced. ERR_USAGE, ERR_FAILED.
 */
int back_address_listen(
        const char *address, int *ret_fd, bool *ret_listens, char **ret_path, struct err *err) MUST_CHECK;

#endif
