/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gcm_lanes: GHASH with PCLMULQDQ, of one block. Blocks are turned around when they are loaded, and the hash
 * key is multiplied by x once: so products need no shift, and what is reduced is POLYVAL's (RFC 8452,
 * appendix A). Only files that are compiled for these instructions include this.
 */
#ifndef VMM_HELPER_GCM_LANES_H
#define VMM_HELPER_GCM_LANES_H

#include <immintrin.h>

#include "gcm_ops.h"

#define GCM_INLINE static inline __attribute__((always_inline))

/*
 * Keeps the compiler from doing one register's rounds after another's, for which it would have to keep other
 * registers in memory.
 */
#define GCM_KEEP_ORDER(state, sums) \
	__asm__ volatile("" \
	                 : "+x"((state)[0]), "+x"((state)[1]), "+x"((state)[2]), "+x"((state)[3]), \
	                 "+x"((state)[4]), "+x"((state)[5]), "+x"((state)[6]), "+x"((state)[7]), \
	                 "+x"((sums).low), "+x"((sums).middle), "+x"((sums).high))

/* Products that are not reduced yet: low and high halves, and those of the folded factors (Karatsuba). */
struct gcm_sums {
	__m128i low, middle, high;
};

GCM_INLINE __m128i gcm_turn(__m128i block)
{
	return _mm_shuffle_epi8(block, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

GCM_INLINE __m128i gcm_load(const uint8_t *at)
{
	return _mm_loadu_si128((const __m128i *)(const void *)at);
}

GCM_INLINE void gcm_store(uint8_t *at, __m128i block)
{
	_mm_storeu_si128((__m128i *)(void *)at, block);
}

GCM_INLINE __m128i gcm_fold(__m128i value)
{
	return _mm_xor_si128(value, _mm_unpackhi_epi64(value, value));
}

GCM_INLINE void gcm_multiply_add(struct gcm_sums *sums, __m128i value, __m128i power, __m128i fold)
{
	sums->low = _mm_xor_si128(sums->low, _mm_clmulepi64_si128(value, power, 0x00));
	sums->high = _mm_xor_si128(sums->high, _mm_clmulepi64_si128(value, power, 0x11));
	sums->middle = _mm_xor_si128(sums->middle, _mm_clmulepi64_si128(gcm_fold(value), fold, 0x00));
}

/* Divides by x^128, 64 bits at a time: the polynomial's upper half is 0xc2 at its top. */
GCM_INLINE __m128i gcm_reduce(const struct gcm_sums *sums)
{
	const __m128i polynomial = _mm_set_epi64x(0, (long long)0xc200000000000000);
	__m128i middle = _mm_xor_si128(sums->middle, _mm_xor_si128(sums->low, sums->high)),
	        low = _mm_xor_si128(sums->low, _mm_slli_si128(middle, 8)),
	        high = _mm_xor_si128(sums->high, _mm_srli_si128(middle, 8));

	low = _mm_xor_si128(_mm_shuffle_epi32(low, 0x4e), _mm_clmulepi64_si128(low, polynomial, 0x00));
	low = _mm_xor_si128(_mm_shuffle_epi32(low, 0x4e), _mm_clmulepi64_si128(low, polynomial, 0x00));
	return _mm_xor_si128(low, high);
}

#endif
