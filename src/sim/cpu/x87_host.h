/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87_host: the arithmetic of the x87. The host's x87 computes it with the guest's precision and rounding.
 * All exceptions are masked but overflow and underflow, because their masks decide the result (APM 1, 6.8).
 * Each function takes 80-bit (or memory) operands and returns the status word: exceptions and C0 to C3.
 */
#ifndef CPU_X87_HOST_H
#define CPU_X87_HOST_H

#include "x87.h"

#define HOST_X87(name, code) \
	static u16 name(u16 fcw, const void *a, const void *b, void *r) \
	{ \
		u16 sw, saved; \
		__asm__ volatile("fnstcw %[saved]\n\tfnclex\n\tfldcw %[fcw]\n\t" code "\n\tfldcw %[saved]" \
		                 : [sw] "=m"(sw), [saved] "=m"(saved) \
		                 : [fcw] "m"(fcw), [a] "r"(a), [b] "r"(b), [r] "r"(r) \
		                 : "memory", "st", "st(1)", "st(2)"); \
		return sw; \
	}

#define A  "fldt (%[a])\n\t"
#define AB "fldt (%[b])\n\tfldt (%[a])\n\t"
/* Clears the exceptions that the host met, so that they do not trap in the host. */
#define STATUS "\n\tfnstsw %[sw]\n\tfnclex\n\t"
#define TAKE   "fstpt (%[r])"
#define DROP   "fstp %%st(0)"
#define TAKE_2 "fstpt 16(%[r])\n\tfstpt (%[r])"

#endif
