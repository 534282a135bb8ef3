/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test: the header that every unit test includes. cmocka needs its includes in this order.
 */
#ifndef VMM_TEST_H
#define VMM_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/base.h"

/* Asserts that a call succeeded, showing its error text if not; `err` must be in scope. */
#define assert_ok(call) \
	do { \
		err = (struct err){0}; \
		if ((call) != 0) \
			fail_msg("%s: %s", #call, err.text); \
	} while (0)

/* Asserts that a call failed with this kind and that its text has this part; `err` must be in scope. */
#define assert_fails(call, err_kind, part) \
	do { \
		err = (struct err){0}; \
		assert_int_equal((call), -1); \
		assert_int_equal(err.kind, (err_kind)); \
		if (!strstr(err.text, (part))) \
			fail_msg("%s: \"%s\" lacks \"%s\"", #call, err.text, (part)); \
	} while (0)

#endif
