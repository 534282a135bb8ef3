/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verdict: collects the checks of a verdict. Private to attest.
 */
#ifndef VMM_ATTEST_VERDICT_H
#define VMM_ATTEST_VERDICT_H

#include "vmm/attest.h"

/*
 * Adds a check; name has static storage. If the list is full, the verdict fails, so that no check is lost
 * silently.
 */
void attest_verdict_add(struct attest_verdict *verdict, const char *name, enum attest_result result,
        const char *fmt, ...) PRINTF(4, 5);
/* Adds a check that PASSED or FAILED, with the same text in both cases. */
#define attest_verdict_judge(verdict, name, good, ...) \
	attest_verdict_add((verdict), (name), (good) ? ATTEST_PASSED : ATTEST_FAILED, __VA_ARGS__)
/* Completes the verdict. Call this after all checks have been added. */
void attest_verdict_close(struct attest_verdict *verdict);

#endif
