/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verdict: the list of checks while it grows. Private to attest.
 */
#ifndef VMM_ATTEST_VERDICT_H
#define VMM_ATTEST_VERDICT_H

#include "vmm/attest.h"

/* Adds a check; name is of static storage. A list that is full fails: no check is lost silently. */
void attest_verdict_add(struct attest_verdict *verdict, const char *name, enum attest_result result,
        const char *fmt, ...) PRINTF(4, 5);
/* PASSED or FAILED with the same words. */
#define attest_verdict_judge(verdict, name, good, ...) \
	attest_verdict_add((verdict), (name), (good) ? ATTEST_PASSED : ATTEST_FAILED, __VA_ARGS__)
/* Call when all checks are added. */
void attest_verdict_close(struct attest_verdict *verdict);

#endif
