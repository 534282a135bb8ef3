/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verdict: collects the checks of a verdict. Any thread.
 */
#include <stdarg.h>

#include "verdict.h"

void attest_verdict_add(
        struct attest_verdict *verdict, const char *name, enum attest_result result, const char *fmt, ...)
{
	struct attest_check *check = &verdict->checks[verdict->count];
	va_list args;

	if (verdict->count == ATTEST_CHECKS_MAX) {
		verdict->checks[ATTEST_CHECKS_MAX - 1].result = ATTEST_FAILED;
		return;
	}
	check->name = name;
	check->result = result;
	va_start(args, fmt);
	vsnprintf(check->text, sizeof(check->text), fmt, args);
	va_end(args);
	verdict->count++;
}

void attest_verdict_close(struct attest_verdict *verdict)
{
	size_t judged = 0, failed = 0;

	for (size_t i = 0; i < verdict->count; i++) {
		judged += verdict->checks[i].result != ATTEST_NOTE;
		failed += verdict->checks[i].result == ATTEST_FAILED;
	}
	verdict->passed = judged > 0 && failed == 0;
}
