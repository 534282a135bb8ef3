/* SPDX-License-Identifier: Apache-2.0 */
/*
 * values: random numbers, and the random contents of a case's registers: integers and floating-point values,
 * many of them edge cases.
 */
#include <string.h>

#include "cases.h"

uint64_t diff_random(struct diff_random *r)
{
	/* splitmix64 */
	uint64_t z = (r->state += 0x9e3779b97f4a7c15u);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint64_t diff_edge_value(struct diff_random *r)
{
	static const uint64_t edges[] = {0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000,
	        0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000,
	        0xffffffffffffffff};
	uint64_t v = diff_random(r);

	switch (below(r, 4)) {
	case 0: return edges[below(r, sizeof(edges) / sizeof(edges[0]))];
	case 1: return v >> below(r, 64);
	case 2: return edges[below(r, sizeof(edges) / sizeof(edges[0]))] + (uint64_t)(int64_t)(int8_t)v % 4;
	default: return v;
	}
}

static uint32_t single_value(struct diff_random *r)
{
	static const uint32_t singles[] = {0, 1, 0x7fffff, 0x800000, 0xffffff, 0x1fffffff, 0x20000000,
	        0x3f000000, 0x3f800000, 0x3f800001, 0x3fffffff, 0x40000000, 0x5f800000, 0x7f000000,
	        0x7f7fffff, 0x7f800000};

	return one_in(r, 2) ? singles[below(r, 16)] | below(r, 2) << 31
	                    : 0x3f800000u ^ ((uint32_t)diff_random(r) & 0x80ffffff);
}

/* A double or two singles. */
static uint64_t sse_value(struct diff_random *r)
{
	static const uint64_t doubles[] = {0, 0x3ff0000000000000, 0x7ff0000000000000, 0x7ff8000000000000,
	        0x7ff0000000000001, 0x1, 0x000fffffffffffff, 0x0010000000000000, 0x7fe0000000000000,
	        0x7fefffffffffffff, 0x1ff0000000000001, 0x5fffffffffffffff, 0x41dfffffffc00000,
	        0x43e0000000000000, 0x3fe0000000000000, 0x4000000000000000, 0x3810000000000000,
	        0x380fffffffffffff, 0x47efffffffffffff, 0x4059000000000000};

	switch (below(r, 8)) {
	case 0:
	case 1:
	case 2: return doubles[below(r, 20)] | diff_random(r) << 63;
	case 3:
	case 4:
	case 5: return (uint64_t)single_value(r) << 32 | single_value(r);
	case 6: return 0x3ff0000000000000u ^ (diff_random(r) & 0x801fffffffffffffu);
	default: return diff_edge_value(r);
	}
}

/* x87 and SSE contents: floating-point values with their edges, rounding and precision modes. */
void diff_fpu_state(struct diff_random *r, struct diff_case *c)
{
	/* The edges of 80, 32 and 64 bits. */
	static const uint16_t exponents[] = {0, 1, 0x3ffe, 0x3fff, 0x4000, 0x403e, 0x7ffe, 0x7fff, 0x3f81,
	        0x3f80, 0x407e, 0x407f, 0x3c01, 0x3c00, 0x43fe, 0x43ff};
	uint8_t *fx = c->start.fxsave;
	uint32_t mxcsr;

	fx[0] = one_in(r, 4) ? 0x40 | below(r, 64) : 0x7f;
	fx[1] = (uint8_t)(below(r, 16));
	if ((fx[1] & 3) == 1)
		fx[1] |= 3;
	fx[3] = (uint8_t)(below(r, 8) << 3 | (diff_random(r) & 0x47)); /* TOP, C0 to C3 */
	fx[4] = one_in(r, 2) ? 0xff : (uint8_t)diff_random(r);
	for (unsigned i = 0; i < 8; i++) {
		uint64_t mantissa = diff_edge_value(r);
		uint16_t exponent =
		        one_in(r, 2) ? exponents[below(r, 16)] : (uint16_t)(0x3fff - 40 + below(r, 80));

		/* Pseudo-denormals and unnormals are of interest to nobody but the invalid-operand test. */
		if (exponent && !one_in(r, 32))
			mantissa |= (uint64_t)1 << 63;
		if (!exponent && !one_in(r, 32))
			mantissa &= ~((uint64_t)1 << 63);
		exponent |= (uint16_t)(below(r, 2) << 15);
		memcpy(fx + 32 + i * 16, &mantissa, 8);
		memcpy(fx + 40 + i * 16, &exponent, 2);
	}
	/* Rounding, flush to zero, denormals are zero; exceptions mostly masked. */
	mxcsr = 0x1f80u & ~(one_in(r, 4) ? 0x1f80 & (uint32_t)diff_random(r) : 0);
	mxcsr |= below(r, 4) << 13 | (one_in(r, 4) ? 0x8000 : 0) | (one_in(r, 4) ? 0x40 : 0);
	memcpy(fx + 24, &mxcsr, 4);
	for (unsigned i = 160; i < 416; i += 8) {
		uint64_t value = sse_value(r);

		memcpy(fx + i, &value, 8);
		value = sse_value(r);
		memcpy(c->start.ymm + i - 160, &value, 8);
	}
}
