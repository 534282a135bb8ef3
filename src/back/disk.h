/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk: what the kinds of disks share.
 */
#ifndef VMM_BACK_DISK_H
#define VMM_BACK_DISK_H

#include "vmm/back.h"

/*
 * Locks an image until its open file description is closed: for writing, or so that nobody writes it. Returns
 * ERR_USAGE if somebody else uses it, ERR_HOST if the file system has no locks; the text follows the file's
 * name.
 */
int back_lock(int fd, bool writable, struct err *err) MUST_CHECK;

#endif
