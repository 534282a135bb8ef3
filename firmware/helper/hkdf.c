/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hkdf: SHA-256, HMAC and HKDF.
 */
#include <string.h>

#include "hkdf.h"

void helper_wipe(void *at, size_t size)
{
	memset(at, 0, size);
	__asm__ volatile("" ::"r"(at) : "memory");
}

/* ---- SHA-256 (FIPS 180-4, 4.1.2, 4.2.2, 5.3.3, 6.2.2) ---- */

#define ROUNDS 64u

static const uint32_t constants[ROUNDS] = {0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b,
        0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74,
        0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
        0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3,
        0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354,
        0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
        0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3,
        0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa,
        0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t turned(uint32_t word, unsigned bits)
{
	return word >> bits | word << (32 - bits);
}

static void put_big(uint8_t *at, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

static void make_schedule(const uint8_t *block, uint32_t w[static ROUNDS])
{
	for (unsigned t = 0; t < 16; t++, block += 4)
		w[t] = (uint32_t)block[0] << 24 | (uint32_t)block[1] << 16 | (uint32_t)block[2] << 8 |
		       block[3];
	for (unsigned t = 16; t < ROUNDS; t++) {
		uint32_t a = w[t - 15], b = w[t - 2];

		w[t] = w[t - 16] + w[t - 7] + (turned(a, 7) ^ turned(a, 18) ^ a >> 3) +
		       (turned(b, 17) ^ turned(b, 19) ^ b >> 10);
	}
}

static void compress(struct sha256 *hash)
{
	uint32_t w[ROUNDS], s[8];

	make_schedule(hash->block, w);
	memcpy(s, hash->state, sizeof(s));
	for (unsigned t = 0; t < ROUNDS; t++) {
		uint32_t choice = (s[4] & s[5]) ^ (~s[4] & s[6]),
		         majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]),
		         one = s[7] + (turned(s[4], 6) ^ turned(s[4], 11) ^ turned(s[4], 25)) + choice +
		               constants[t] + w[t],
		         two = (turned(s[0], 2) ^ turned(s[0], 13) ^ turned(s[0], 22)) + majority;

		memmove(s + 1, s, 7 * sizeof(*s));
		s[4] += one;
		s[0] = one + two;
	}
	for (unsigned i = 0; i < 8; i++)
		hash->state[i] += s[i];
	helper_wipe(w, sizeof(w));
	helper_wipe(s, sizeof(s));
}

void sha256_begin(struct sha256 *hash)
{
	static const uint32_t first[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
	        0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

	*hash = (struct sha256){0};
	memcpy(hash->state, first, sizeof(first));
}

void sha256_add(struct sha256 *hash, const void *data, size_t size)
{
	const uint8_t *from = data;

	while (size) {
		size_t at = hash->bytes % SHA256_BLOCK_BYTES, room = SHA256_BLOCK_BYTES - at,
		       n = size < room ? size : room;

		memcpy(hash->block + at, from, n);
		hash->bytes += n;
		from += n;
		size -= n;
		if (n == room)
			compress(hash);
	}
}

void sha256_end(struct sha256 *hash, uint8_t ret_hash[static SHA256_HASH_BYTES])
{
	static const uint8_t padding[SHA256_BLOCK_BYTES] = {0x80};
	size_t used = hash->bytes % SHA256_BLOCK_BYTES;
	uint8_t bits[8];

	put_big(bits, hash->bytes * 8, sizeof(bits));
	sha256_add(hash, padding, (used < 56 ? 56 : 120) - used);
	sha256_add(hash, bits, sizeof(bits));
	for (unsigned i = 0; i < 8; i++)
		put_big(ret_hash + (size_t)i * 4, hash->state[i], 4);
	helper_wipe(hash, sizeof(*hash));
}

/* ---- HMAC (RFC 2104, 2) ---- */

static void begin_padded(struct sha256 *hash, const uint8_t key[static SHA256_BLOCK_BYTES], uint8_t with)
{
	uint8_t padded[SHA256_BLOCK_BYTES];

	for (unsigned i = 0; i < SHA256_BLOCK_BYTES; i++)
		padded[i] = key[i] ^ with;
	sha256_begin(hash);
	sha256_add(hash, padded, sizeof(padded));
	helper_wipe(padded, sizeof(padded));
}

void hmac_begin(struct hmac *mac, const void *key, size_t key_bytes)
{
	uint8_t whole[SHA256_BLOCK_BYTES] = {0};

	if (key_bytes > sizeof(whole)) {
		sha256_begin(&mac->inner);
		sha256_add(&mac->inner, key, key_bytes);
		sha256_end(&mac->inner, whole);
	} else if (key_bytes) {
		memcpy(whole, key, key_bytes);
	}
	begin_padded(&mac->inner, whole, 0x36);
	begin_padded(&mac->outer, whole, 0x5c);
	helper_wipe(whole, sizeof(whole));
}

void hmac_add(struct hmac *mac, const void *data, size_t size)
{
	sha256_add(&mac->inner, data, size);
}

void hmac_end(struct hmac *mac, uint8_t ret_mac[static SHA256_HASH_BYTES])
{
	uint8_t inner[SHA256_HASH_BYTES];

	sha256_end(&mac->inner, inner);
	sha256_add(&mac->outer, inner, sizeof(inner));
	sha256_end(&mac->outer, ret_mac);
	helper_wipe(inner, sizeof(inner));
}

/* ---- HKDF (RFC 5869, 2.2 and 2.3) ---- */

void hkdf_extract(const void *salt, size_t salt_bytes, const void *secret, size_t secret_bytes,
        uint8_t ret_key[static SHA256_HASH_BYTES])
{
	struct hmac mac;

	hmac_begin(&mac, salt, salt_bytes);
	hmac_add(&mac, secret, secret_bytes);
	hmac_end(&mac, ret_key);
}

void hkdf_expand(const uint8_t key[static SHA256_HASH_BYTES], const void *info, size_t info_bytes, void *ret,
        size_t size)
{
	uint8_t block[SHA256_HASH_BYTES], number = 0, *to = ret;
	struct hmac mac;

	while (size) {
		size_t n = size < sizeof(block) ? size : sizeof(block);

		hmac_begin(&mac, key, SHA256_HASH_BYTES);
		hmac_add(&mac, block, number ? sizeof(block) : 0);
		hmac_add(&mac, info, info_bytes);
		number++;
		hmac_add(&mac, &number, 1);
		hmac_end(&mac, block);
		memcpy(to, block, n);
		to += n;
		size -= n;
	}
	helper_wipe(block, sizeof(block));
}
