/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calls: what the functions that take the place of libc's share (calls.c, open.c, signals.c).
 */
#ifndef PRELOAD_CALLS_H
#define PRELOAD_CALLS_H

#undef _FILE_OFFSET_BITS /* libc's headers rename open() and others by it */
#undef _FORTIFY_SOURCE   /* or define them themselves */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "preload.h"
#include "raw.h"

#define PUBLIC __attribute__((visibility("default")))
/* libc has two names for many calls, which are the same on x86-64. */
#define ALSO(name, other) \
	__asm__(".globl " #other "\n\t.type " #other ", @function\n\t.set " #other ", " #name)

static inline int fail(int sys)
{
	errno = sys;
	return -1;
}

#endif
