/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87_host: the arithmetic of the x87, done by the host's x87 with the guest's precision and rounding, and
 * with all exceptions masked but overflow and underflow, of which the mask decides the result (APM 1, 6.8).
 * Each takes 80-bit (or memory) operands and returns the status word: exceptions and C0 to C3.
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
/* What the host met is not to become an exception there. */
#define STATUS "\n\tfnstsw %[sw]\n\tfnclex\n\t"
#define TAKE   "fstpt (%[r])"
#define DROP   "fstp %%st(0)"
#define TAKE_2 "fstpt 16(%[r])\n\tfstpt (%[r])"

#endif
