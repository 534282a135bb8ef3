/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk: what the kinds of disks share.
 */
#ifndef VMM_BACK_DISK_PRIVATE_H
#define VMM_BACK_DISK_PRIVATE_H

#include "vmm/back/disk.h"

#endif
