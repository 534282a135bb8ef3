/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helper: what the helper process does for vmm, and vmm does itself where there is none.
 */
#ifndef BACK_HELPER_H
#define BACK_HELPER_H

#include "vmm/base.h"

/* As back_address_connect(), in this process. */
int back_address_connect_here(const char *address, int cancel_fd, int *ret_fd, struct err *err) MUST_CHECK;

#endif
