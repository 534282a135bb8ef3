/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtiofsd: the program that serves a folder of this machine to a guest, by vhost-user. Any thread.
 */
#ifndef VMM_BACK_VIRTIOFSD_H
#define VMM_BACK_VIRTIOFSD_H

#include <sys/types.h>

#include "vmm/base.h"

/* Connects to the socket of a virtiofsd that somebody else started, if that takes a connection at once.
 * ERR_HOST. */
int back_virtiofsd_connect(const char *path, int *ret_socket, struct err *err) MUST_CHECK;
/*
 * Starts a virtiofsd for a folder and connects to it; the caller ends it (back_child_end()). It builds its
 * own sandbox, in which the folder is its root, with namespaces and a list of system calls. ERR_HOST: there
 * is no virtiofsd. Other failures show when it is spoken to (back_vhost_user_create()); its reason is on
 * standard error.
 */
int back_virtiofsd_start(const char *folder, int *ret_socket, pid_t *ret_pid, struct err *err) MUST_CHECK;

#endif
