/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault: the fault injector, a host for tests that makes the n-th call fail.
 */
#ifndef VMM_HOST_FAULT_H
#define VMM_HOST_FAULT_H

#include "vmm/host.h"

/*
 * Counts every call that can fail, and fails call number nth (from 1; 0: none) with the errno sys, without
 * making it. inner is borrowed and must outlive the injector.
 */
int host_fault_create(
        struct host *inner, uint64_t nth, int sys, struct host **ret_host, struct err *err) MUST_CHECK;
/* The calls made so far, the failed one included. */
uint64_t host_fault_calls(const struct host *h);
/* The call that was failed, for messages of tests: "ioctl KVM_CREATE_VM"; "" if none was yet. */
const char *host_fault_name(const struct host *h);

#endif
