/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gcm_aesni: AES-256-GCM with AES-NI and PCLMULQDQ. Eight blocks are encrypted side by side, and between
 * their rounds eight others are multiplied into the hash, so that both units of the processor are busy. Law:
 * FIPS 197; NIST SP 800-38D.
 */
#include "gcm_lanes.h"

#define SIDE 8

/* ---- once a key ---- */

GCM_INLINE __m128i spread(__m128i key, __m128i word)
{
	key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
	key = _mm_xor_si128(key, _mm_slli_si128(key, 8));
	return _mm_xor_si128(key, word);
}

/* The next two round keys from the last two. The instruction wants its constant in the code. */
#define EXPAND_TWO(i, constant) \
	do { \
		even = spread(even, _mm_shuffle_epi32(_mm_aeskeygenassist_si128(odd, constant), 0xff)); \
		gcm_store(key->round[i], even); \
		if ((i) == GCM_ROUNDS) \
			break; \
		odd = spread(odd, _mm_shuffle_epi32(_mm_aeskeygenassist_si128(even, 0), 0xaa)); \
		gcm_store(key->round[(i) + 1], odd); \
	} while (0)

void gcm_aesni_expand(struct gcm_key *key, const uint8_t secret[static GCM_SECRET_BYTES])
{
	__m128i even = gcm_load(secret), odd = gcm_load(secret + GCM_BLOCK_BYTES);

	gcm_store(key->round[0], even);
	gcm_store(key->round[1], odd);
	EXPAND_TWO(2, 0x01);
	EXPAND_TWO(4, 0x02);
	EXPAND_TWO(6, 0x04);
	EXPAND_TWO(8, 0x08);
	EXPAND_TWO(10, 0x10);
	EXPAND_TWO(12, 0x20);
	EXPAND_TWO(14, 0x40);
}

void gcm_aesni_encrypt(const struct gcm_key *key, const uint8_t from[static GCM_BLOCK_BYTES],
        uint8_t to[static GCM_BLOCK_BYTES])
{
	__m128i state = _mm_xor_si128(gcm_load(from), gcm_load(key->round[0]));

	for (unsigned r = 1; r < GCM_ROUNDS; r++)
		state = _mm_aesenc_si128(state, gcm_load(key->round[r]));
	gcm_store(to, _mm_aesenclast_si128(state, gcm_load(key->round[GCM_ROUNDS])));
}

/* Multiplies by x: a shift to the left, and what falls out comes back as the polynomial. */
static __m128i times_x(__m128i value)
{
	__m128i carries = _mm_srli_epi64(value, 63);
	__m128i out = _mm_shuffle_epi32(_mm_srai_epi32(value, 31), 0xff); /* the top bit, everywhere */

	value = _mm_or_si128(_mm_slli_epi64(value, 1), _mm_slli_si128(carries, 8));
	return _mm_xor_si128(value, _mm_and_si128(out, _mm_set_epi64x((long long)0xc200000000000000, 1)));
}

void gcm_aesni_prepare(struct gcm_key *key)
{
	__m128i first = times_x(gcm_turn(gcm_load(key->hash))), power = first;

	for (unsigned i = GCM_POWERS; i-- > 0;) {
		struct gcm_sums sums = {0};

		gcm_store(key->power[i], power);
		gcm_store(key->fold[i], gcm_fold(power));
		gcm_multiply_add(&sums, power, first, gcm_fold(first));
		power = gcm_reduce(&sums);
	}
}

/* ---- once a message, or for a few blocks ---- */

GCM_INLINE void multiply_one(const struct gcm_key *key, struct gcm_sums *sums, __m128i block, unsigned power)
{
	gcm_multiply_add(sums, block, gcm_load(key->power[GCM_POWERS - power]),
	        gcm_load(key->fold[GCM_POWERS - power]));
}

void gcm_aesni_hash(
        const struct gcm_key *key, uint8_t hash[static GCM_BLOCK_BYTES], const uint8_t *from, size_t blocks)
{
	__m128i turned = gcm_turn(gcm_load(hash));

	for (size_t i = 0; i < blocks; i++) {
		struct gcm_sums sums = {0};

		turned = _mm_xor_si128(turned, gcm_turn(gcm_load(from + i * GCM_BLOCK_BYTES)));
		multiply_one(key, &sums, turned, 1);
		turned = gcm_reduce(&sums);
	}
	gcm_store(hash, gcm_turn(turned));
}

/* ---- eight blocks ---- */

/*
 * Encrypts eight counters, and meanwhile multiplies the eight blocks at hashed into the hash, to whose first
 * one the hash so far is added. hashed: NULL: none.
 */
GCM_INLINE void eight(const struct gcm_key *key, __m128i counter, __m128i state[static SIDE],
        const uint8_t *hashed, __m128i *hash)
{
	__m128i round = gcm_load(key->round[0]);
	struct gcm_sums sums = {0};

#pragma GCC unroll 8
	for (int i = 0; i < SIDE; i++)
		state[i] = _mm_xor_si128(gcm_turn(_mm_add_epi32(counter, _mm_set_epi32(0, 0, 0, i))), round);
#pragma GCC unroll 13
	for (unsigned r = 1; r < GCM_ROUNDS; r++) {
		round = gcm_load(key->round[r]);
#pragma GCC unroll 8
		for (int i = 0; i < SIDE; i++)
			state[i] = _mm_aesenc_si128(state[i], round);
		if (hashed && r <= SIDE) { /* the block that waits for the hash is the last one */
			unsigned at = r % SIDE;
			__m128i block = gcm_turn(gcm_load(hashed + (size_t)at * GCM_BLOCK_BYTES));

			multiply_one(key, &sums, at ? block : _mm_xor_si128(block, *hash), SIDE - at);
		}
		GCM_KEEP_ORDER(state, sums);
	}
	round = gcm_load(key->round[GCM_ROUNDS]);
#pragma GCC unroll 8
	for (int i = 0; i < SIDE; i++)
		state[i] = _mm_aesenclast_si128(state[i], round);
	if (hashed)
		*hash = gcm_reduce(&sums);
}

GCM_INLINE void store_eight(const __m128i state[static SIDE], const uint8_t *from, uint8_t *to)
{
#pragma GCC unroll 8
	for (unsigned i = 0; i < SIDE; i++)
		gcm_store(to + i * GCM_BLOCK_BYTES,
		        _mm_xor_si128(state[i], gcm_load(from + i * GCM_BLOCK_BYTES)));
}

/*
 * When it seals, the blocks to hash are those of the turn before; the last turn's are left to the caller.
 * When it opens, they are there from the start.
 */
GCM_INLINE __m128i crypt_eights(const struct gcm_key *key, __m128i *counter, __m128i hash,
        const uint8_t *from, uint8_t *to, size_t turns, bool sealing)
{
	__m128i state[SIDE];

	for (size_t turn = 0; turn < turns; turn++) {
		size_t at = turn * SIDE * GCM_BLOCK_BYTES;

		if (!sealing)
			eight(key, *counter, state, from + at, &hash);
		else if (turn)
			eight(key, *counter, state, to + at - (size_t)SIDE * GCM_BLOCK_BYTES, &hash);
		else
			eight(key, *counter, state, NULL, &hash);
		store_eight(state, from + at, to + at);
		*counter = _mm_add_epi32(*counter, _mm_set_epi32(0, 0, 0, SIDE));
	}
	return hash;
}

GCM_INLINE __m128i hash_eight(const struct gcm_key *key, __m128i hash, const uint8_t *from)
{
	struct gcm_sums sums = {0};

#pragma GCC unroll 8
	for (unsigned i = 0; i < SIDE; i++) {
		__m128i block = gcm_turn(gcm_load(from + i * GCM_BLOCK_BYTES));

		multiply_one(key, &sums, i ? block : _mm_xor_si128(block, hash), SIDE - i);
	}
	return gcm_reduce(&sums);
}

/* The blocks that are no eight any more. counter is turned around. */
static void crypt_rest(const struct gcm_key *key, __m128i counter, uint8_t hash[static GCM_BLOCK_BYTES],
        const uint8_t *from, uint8_t *to, size_t blocks, bool sealing)
{
	uint8_t stream[GCM_BLOCK_BYTES];

	for (size_t i = 0; i < blocks; i++, from += GCM_BLOCK_BYTES, to += GCM_BLOCK_BYTES) {
		gcm_store(stream, gcm_turn(counter));
		gcm_aesni_encrypt(key, stream, stream);
		counter = _mm_add_epi32(counter, _mm_set_epi32(0, 0, 0, 1));
		if (!sealing)
			gcm_aesni_hash(key, hash, from, 1);
		gcm_store(to, _mm_xor_si128(gcm_load(stream), gcm_load(from)));
		if (sealing)
			gcm_aesni_hash(key, hash, to, 1);
	}
}

void gcm_aesni_crypt(const struct gcm_key *key, const uint8_t first[static GCM_BLOCK_BYTES],
        uint8_t hash[static GCM_BLOCK_BYTES], const uint8_t *from, uint8_t *to, size_t blocks, bool sealing)
{
	size_t turns = blocks / SIDE, done = turns * SIDE * GCM_BLOCK_BYTES;
	__m128i counter = gcm_turn(gcm_load(first)), turned = gcm_turn(gcm_load(hash));

	if (sealing)
		turned = crypt_eights(key, &counter, turned, from, to, turns, true);
	else
		turned = crypt_eights(key, &counter, turned, from, to, turns, false);
	if (sealing && turns)
		turned = hash_eight(key, turned, to + done - (size_t)SIDE * GCM_BLOCK_BYTES);
	gcm_store(hash, gcm_turn(turned));
	crypt_rest(key, counter, hash, from + done, to + done, blocks % SIDE, sealing);
}

const struct gcm_ops gcm_aesni = {
        gcm_aesni_expand, gcm_aesni_prepare, gcm_aesni_encrypt, gcm_aesni_hash, gcm_aesni_crypt};
