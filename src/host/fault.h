/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault: the fault injector: a host for tests that makes the n-th call fail.
 */
#ifndef VMM_HOST_FAULT_H
#define VMM_HOST_FAULT_H

#include "vmm/host.h"

/*
 * Makes a host that counts every call that can fail. Call number nth (from 1; 0: no call) fails with the
 * errno sys and does not reach inner. inner is borrowed and must outlive the injector.
 */
int host_fault_create(
        struct host *inner, uint64_t nth, int sys, struct host **ret_host, struct err *err) MUST_CHECK;
/* Returns how many calls were made so far, the failed one included. */
uint64_t host_fault_calls(const struct host *h);
/* Returns the call that failed, for messages of tests: "ioctl KVM_CREATE_VM"; "" if none has failed yet. */
const char *host_fault_name(const struct host *h);

#endif
