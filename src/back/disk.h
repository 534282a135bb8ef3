/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk: what the kinds of disks share.
 */
#ifndef VMM_BACK_DISK_H
#define VMM_BACK_DISK_H

#include "vmm/back.h"

#endif
