/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gcm_vaes: AES-256-GCM with VAES and VPCLMULQDQ on 256 bits: sixteen blocks are encrypted side by side, two
 * in a register, and between their rounds sixteen others are multiplied into the hash. Wider registers gain
 * nothing, since memory is the limit then. Law: FIPS 197; NIST SP 800-38D.
 */
#include "gcm_lanes.h"

#define SIDE  8 /* registers */
#define BYTES ((size_t)SIDE * 2 * GCM_BLOCK_BYTES)

struct wide_sums {
	__m256i low, middle, high;
};

GCM_INLINE __m256i load(const uint8_t *at)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

GCM_INLINE void store(uint8_t *at, __m256i blocks)
{
	_mm256_storeu_si256((__m256i *)(void *)at, blocks);
}

/* A round key, in both halves. */
GCM_INLINE __m256i load_both(const uint8_t *at)
{
	return _mm256_broadcastsi128_si256(gcm_load(at));
}

GCM_INLINE __m256i turn(__m256i blocks)
{
	return _mm256_shuffle_epi8(blocks, _mm256_broadcastsi128_si256(_mm_set_epi8(
	                                           0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)));
}

GCM_INLINE void multiply_add(const struct gcm_key *key, struct wide_sums *sums, __m256i blocks, unsigned pair)
{
	__m256i power = load(key->power[2 * pair]), fold = load(key->fold[2 * pair]);
	__m256i folded = _mm256_xor_si256(blocks, _mm256_unpackhi_epi64(blocks, blocks));

	sums->low = _mm256_xor_si256(sums->low, _mm256_clmulepi64_epi128(blocks, power, 0x00));
	sums->high = _mm256_xor_si256(sums->high, _mm256_clmulepi64_epi128(blocks, power, 0x11));
	sums->middle = _mm256_xor_si256(sums->middle, _mm256_clmulepi64_epi128(folded, fold, 0x00));
}

GCM_INLINE __m128i both(__m256i sum)
{
	return _mm_xor_si128(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
}

GCM_INLINE __m128i reduce(const struct wide_sums *sums)
{
	const struct gcm_sums narrow = {both(sums->low), both(sums->middle), both(sums->high)};

	return gcm_reduce(&narrow);
}

GCM_INLINE __m256i with_hash(__m256i blocks, __m128i hash)
{
	return _mm256_xor_si256(blocks, _mm256_inserti128_si256(_mm256_setzero_si256(), hash, 0));
}

/* As eight() of gcm_aesni.c. counter: two, turned around. */
GCM_INLINE void sixteen(const struct gcm_key *key, __m256i counter, __m256i state[static SIDE],
        const uint8_t *hashed, __m128i *hash)
{
	__m256i round = load_both(key->round[0]);
	struct wide_sums sums = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()};

#pragma GCC unroll 8
	for (int i = 0; i < SIDE; i++)
		state[i] = _mm256_xor_si256(
		        turn(_mm256_add_epi32(counter, _mm256_set_epi32(0, 0, 0, 2 * i, 0, 0, 0, 2 * i))),
		        round);
#pragma GCC unroll 13
	for (unsigned r = 1; r < GCM_ROUNDS; r++) {
		round = load_both(key->round[r]);
#pragma GCC unroll 8
		for (int i = 0; i < SIDE; i++)
			state[i] = _mm256_aesenc_epi128(state[i], round);
		if (hashed && r <= SIDE) { /* the pair that waits for the hash is the last one */
			unsigned pair = r % SIDE;
			__m256i blocks = turn(load(hashed + (size_t)pair * 2 * GCM_BLOCK_BYTES));

			multiply_add(key, &sums, pair ? blocks : with_hash(blocks, *hash), pair);
		}
		GCM_KEEP_ORDER(state, sums);
	}
	round = load_both(key->round[GCM_ROUNDS]);
#pragma GCC unroll 8
	for (int i = 0; i < SIDE; i++)
		state[i] = _mm256_aesenclast_epi128(state[i], round);
	if (hashed)
		*hash = reduce(&sums);
}

GCM_INLINE void store_sixteen(const __m256i state[static SIDE], const uint8_t *from, uint8_t *to)
{
#pragma GCC unroll 8
	for (size_t i = 0; i < SIDE; i++)
		store(to + i * 2 * GCM_BLOCK_BYTES,
		        _mm256_xor_si256(state[i], load(from + i * 2 * GCM_BLOCK_BYTES)));
}

GCM_INLINE __m128i crypt_sixteens(const struct gcm_key *key, __m128i first, __m128i hash, const uint8_t *from,
        uint8_t *to, size_t turns, bool sealing)
{
	__m256i state[SIDE], counter = _mm256_inserti128_si256(_mm256_castsi128_si256(first),
	                             _mm_add_epi32(first, _mm_set_epi32(0, 0, 0, 1)), 1);

	for (size_t turn = 0; turn < turns; turn++) {
		size_t at = turn * BYTES;

		if (!sealing)
			sixteen(key, counter, state, from + at, &hash);
		else if (turn)
			sixteen(key, counter, state, to + at - BYTES, &hash);
		else
			sixteen(key, counter, state, NULL, &hash);
		store_sixteen(state, from + at, to + at);
		counter = _mm256_add_epi32(counter, _mm256_set_epi32(0, 0, 0, 2 * SIDE, 0, 0, 0, 2 * SIDE));
	}
	return hash;
}

GCM_INLINE __m128i hash_sixteen(const struct gcm_key *key, __m128i hash, const uint8_t *from)
{
	struct wide_sums sums = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()};

#pragma GCC unroll 8
	for (unsigned i = 0; i < SIDE; i++) {
		__m256i blocks = turn(load(from + (size_t)i * 2 * GCM_BLOCK_BYTES));

		multiply_add(key, &sums, i ? blocks : with_hash(blocks, hash), i);
	}
	return reduce(&sums);
}

static void crypt(const struct gcm_key *key, const uint8_t first[static GCM_BLOCK_BYTES],
        uint8_t hash[static GCM_BLOCK_BYTES], const uint8_t *from, uint8_t *to, size_t blocks, bool sealing)
{
	size_t turns = blocks * GCM_BLOCK_BYTES / BYTES, done = turns * BYTES;
	__m128i counter = gcm_turn(gcm_load(first)), turned = gcm_turn(gcm_load(hash));
	uint8_t next[GCM_BLOCK_BYTES];

	if (sealing)
		turned = crypt_sixteens(key, counter, turned, from, to, turns, true);
	else
		turned = crypt_sixteens(key, counter, turned, from, to, turns, false);
	if (sealing && turns)
		turned = hash_sixteen(key, turned, to + done - BYTES);
	gcm_store(hash, gcm_turn(turned));
	counter = _mm_add_epi32(counter, _mm_set_epi32(0, 0, 0, (int)(turns * 2 * SIDE)));
	gcm_store(next, gcm_turn(counter));
	_mm256_zeroupper();
	gcm_aesni_crypt(key, next, hash, from + done, to + done, blocks - done / GCM_BLOCK_BYTES, sealing);
}

const struct gcm_ops gcm_vaes = {
        gcm_aesni_expand, gcm_aesni_prepare, gcm_aesni_encrypt, gcm_aesni_hash, crypt};
