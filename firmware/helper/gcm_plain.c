/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gcm_plain: AES-256-GCM without special instructions, for processors that have none: simple, slow, and its
 * S-box is a table. Law: FIPS 197; NIST SP 800-38D, 6.3.
 */
#include <string.h>

#include "gcm_ops.h"

/* ---- AES ---- */

static uint8_t rotate(uint8_t value, unsigned bits)
{
	return (uint8_t)(value << bits | value >> (8 - bits));
}

static uint8_t twice(uint8_t value)
{
	return (uint8_t)(value << 1 ^ (value >> 7) * 0x1b);
}

/*
 * FIPS 197, 5.1.1. p goes through all values but 0 as powers of 3, q through their inverses as powers of its
 * inverse, 0xf6.
 */
static void make_box(uint8_t box[static 256])
{
	uint8_t p = 1, q = 1;

	do {
		p ^= twice(p);
		q ^= (uint8_t)(q << 1);
		q ^= (uint8_t)(q << 2);
		q ^= (uint8_t)(q << 4);
		if (q & 0x80)
			q ^= 0x09;
		box[p] = 0x63 ^ q ^ rotate(q, 1) ^ rotate(q, 2) ^ rotate(q, 3) ^ rotate(q, 4);
	} while (p != 1);
	box[0] = 0x63;
}

static uint8_t substitute(uint8_t value)
{
	static uint8_t box[256];

	if (!box[0]) /* whoever makes it at the same time writes the same bytes */
		make_box(box);
	return box[value];
}

static void expand(struct gcm_key *key, const uint8_t secret[static GCM_SECRET_BYTES])
{
	uint8_t *words = key->round[0], constant = 1;

	memcpy(words, secret, GCM_SECRET_BYTES);
	for (unsigned i = GCM_SECRET_BYTES; i < sizeof(key->round); i += 4) {
		uint8_t word[4];

		memcpy(word, words + i - 4, 4);
		if (i % GCM_SECRET_BYTES == 0) {
			uint8_t first = word[0];

			for (unsigned k = 0; k < 3; k++)
				word[k] = substitute(word[k + 1]);
			word[3] = substitute(first);
			word[0] ^= constant;
			constant = twice(constant);
		} else if (i % GCM_SECRET_BYTES == GCM_BLOCK_BYTES) {
			for (unsigned k = 0; k < 4; k++)
				word[k] = substitute(word[k]);
		}
		for (unsigned k = 0; k < 4; k++)
			words[i + k] = words[i + k - GCM_SECRET_BYTES] ^ word[k];
	}
}

/* SubBytes and ShiftRows: byte i of the result comes from column i / 4 + i % 4. */
static void substitute_and_shift(uint8_t state[static GCM_BLOCK_BYTES])
{
	uint8_t old[GCM_BLOCK_BYTES];

	memcpy(old, state, sizeof(old));
	for (unsigned i = 0; i < GCM_BLOCK_BYTES; i++)
		state[i] = substitute(old[(i + 4 * (i % 4)) % GCM_BLOCK_BYTES]);
}

static void mix_columns(uint8_t state[static GCM_BLOCK_BYTES])
{
	for (unsigned c = 0; c < GCM_BLOCK_BYTES; c += 4) {
		uint8_t *s = state + c, first = s[0], all = s[0] ^ s[1] ^ s[2] ^ s[3];

		for (unsigned k = 0; k < 4; k++)
			s[k] ^= all ^ twice(s[k] ^ (k < 3 ? s[k + 1] : first));
	}
}

static void add(uint8_t *to, const uint8_t *from)
{
	for (unsigned i = 0; i < GCM_BLOCK_BYTES; i++)
		to[i] ^= from[i];
}

static void encrypt(const struct gcm_key *key, const uint8_t from[static GCM_BLOCK_BYTES],
        uint8_t to[static GCM_BLOCK_BYTES])
{
	uint8_t state[GCM_BLOCK_BYTES];

	memcpy(state, from, sizeof(state));
	add(state, key->round[0]);
	for (unsigned r = 1; r < GCM_ROUNDS; r++) {
		substitute_and_shift(state);
		mix_columns(state);
		add(state, key->round[r]);
	}
	substitute_and_shift(state);
	add(state, key->round[GCM_ROUNDS]);
	memcpy(to, state, sizeof(state));
}

/* ---- GHASH ---- */

static void prepare(struct gcm_key *key)
{
	memset(key->power, 0, sizeof(key->power));
	memset(key->fold, 0, sizeof(key->fold));
}

/* Divides by 2, which is a shift to the right in GCM's order of bits. */
static void halve(uint8_t value[static GCM_BLOCK_BYTES])
{
	uint8_t carry = 0, lost = value[GCM_BLOCK_BYTES - 1] & 1;

	for (unsigned i = 0; i < GCM_BLOCK_BYTES; i++) {
		uint8_t next = (uint8_t)(value[i] << 7);

		value[i] = value[i] >> 1 | carry;
		carry = next;
	}
	value[0] ^= lost * 0xe1;
}

static void multiply(uint8_t value[static GCM_BLOCK_BYTES], const uint8_t by[static GCM_BLOCK_BYTES])
{
	uint8_t product[GCM_BLOCK_BYTES] = {0}, shifted[GCM_BLOCK_BYTES];

	memcpy(shifted, by, sizeof(shifted));
	for (unsigned bit = 0; bit < 8 * GCM_BLOCK_BYTES; bit++) {
		uint8_t mask = (uint8_t) - (value[bit / 8] >> (7 - bit % 8) & 1);

		for (unsigned i = 0; i < GCM_BLOCK_BYTES; i++)
			product[i] ^= shifted[i] & mask;
		halve(shifted);
	}
	memcpy(value, product, sizeof(product));
}

static void hash_blocks(
        const struct gcm_key *key, uint8_t hash[static GCM_BLOCK_BYTES], const uint8_t *from, size_t blocks)
{
	for (size_t i = 0; i < blocks; i++) {
		add(hash, from + i * GCM_BLOCK_BYTES);
		multiply(hash, key->hash);
	}
}

/* ---- both ---- */

static void count(uint8_t counter[static GCM_BLOCK_BYTES])
{
	for (unsigned i = GCM_BLOCK_BYTES - 1; i >= GCM_IV_BYTES && ++counter[i] == 0; i--)
		;
}

static void crypt(const struct gcm_key *key, const uint8_t first[static GCM_BLOCK_BYTES],
        uint8_t hash[static GCM_BLOCK_BYTES], const uint8_t *from, uint8_t *to, size_t blocks, bool sealing)
{
	uint8_t counter[GCM_BLOCK_BYTES], stream[GCM_BLOCK_BYTES];

	memcpy(counter, first, sizeof(counter));
	for (size_t i = 0; i < blocks; i++, from += GCM_BLOCK_BYTES, to += GCM_BLOCK_BYTES) {
		encrypt(key, counter, stream);
		count(counter);
		if (!sealing)
			hash_blocks(key, hash, from, 1);
		add(stream, from);
		memcpy(to, stream, sizeof(stream));
		if (sealing)
			hash_blocks(key, hash, to, 1);
	}
}

const struct gcm_ops gcm_plain = {expand, prepare, encrypt, hash_blocks, crypt};
