/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rsa: makes root keys, whose primes a public rule determines, and signs with RSASSA-PSS. Any thread. RFC
 * 8017, chapters 5.2, 8.1 and 9.1. A search for primes takes seconds, so the table of products holds the step
 * at which each search ended; a test repeats the search.
 */
#include <string.h>

#include <openssl/bn.h>

#include "rsa.h"

#define PRIME_BYTES_MAX (RSA_BYTES_MAX / 2)
#define TRAILER         0xbc
#define NUMBERS         9

struct psp_rsa {
	BN_CTX *ctx;
	BIGNUM *v[NUMBERS];
};

/* The index of each number in v. */
enum { N, P, Q, DP, DQ, QINV, A, B, C };

static void rsa_finish(struct psp_rsa *rsa)
{
	for (int i = 0; i < NUMBERS; i++)
		BN_clear_free(rsa->v[i]);
	BN_CTX_free(rsa->ctx);
}

static bool rsa_init(struct psp_rsa *rsa)
{
	*rsa = (struct psp_rsa){.ctx = BN_CTX_new()};
	for (int i = 0; i < NUMBERS; i++) {
		rsa->v[i] = BN_new();
		if (!rsa->v[i])
			return false;
	}
	return rsa->ctx;
}

/* The search starts at an odd number that begins with two ones; each step is 2. */
static bool prime(const struct product *product, enum psp_rsa_role role, unsigned which, BIGNUM *ret)
{
	static const char *const roles[] = {[RSA_ARK] = "ARK", [RSA_ASK] = "ASK", [RSA_ASVK] = "ASVK"};
	uint8_t start[PRIME_BYTES_MAX];
	size_t size = product->root_bits / 16;
	char label[32];

	snprintf(label, sizeof(label), "%s %s", product->name, roles[role]);
	if (!psp_keys_public(label, which, start, size))
		return false;
	start[0] |= 0xc0;
	start[size - 1] |= 1;
	return BN_bin2bn(start, (int)size, ret) &&
	       BN_add_word(ret, 2 * psp_product_prime_steps(product, 2 * role + which));
}

/* 1 / e modulo a prime less one. */
static bool exponent(struct psp_rsa *rsa, const BIGNUM *of, BIGNUM *ret)
{
	BIGNUM **v = rsa->v;

	return BN_copy(v[A], of) && BN_sub_word(v[A], 1) && BN_set_word(v[B], RSA_EXPONENT) &&
	       BN_mod_inverse(ret, v[B], v[A], rsa->ctx);
}

static bool make(struct psp_rsa *rsa, const struct product *product, enum psp_rsa_role role)
{
	BIGNUM **v = rsa->v;

	return prime(product, role, 0, v[P]) && prime(product, role, 1, v[Q]) &&
	       BN_mul(v[N], v[P], v[Q], rsa->ctx) && exponent(rsa, v[P], v[DP]) &&
	       exponent(rsa, v[Q], v[DQ]) && BN_mod_inverse(v[QINV], v[Q], v[P], rsa->ctx);
}

bool psp_rsa_public(const struct product *product, enum psp_rsa_role role, struct psp_rsa_public *ret_public)
{
	int bytes = (int)product->root_bits / 8;
	struct psp_rsa rsa;
	bool good = rsa_init(&rsa) && make(&rsa, product, role) &&
	            BN_bn2binpad(rsa.v[N], ret_public->modulus, bytes) == bytes;

	rsa_finish(&rsa);
	ret_public->bytes = (size_t)bytes;
	return good;
}

/* ---- EMSA-PSS ---- */

static size_t hash_of(size_t key_bytes, const void *data, size_t size, uint8_t ret[static SHA384_BYTES])
{
	if (key_bytes < RSA_BYTES_MAX) {
		hash_sha256(data, size, ret);
		return SHA256_BYTES;
	}
	hash_sha384(data, size, ret);
	return SHA384_BYTES;
}

/* H is the hash of eight zeros, the message's hash and the salt. */
static void hash_salted(size_t key_bytes, const uint8_t *digest, const uint8_t *salt, size_t hash_bytes,
        uint8_t ret[static SHA384_BYTES])
{
	uint8_t text[8 + 2 * SHA384_BYTES] = {0};

	memcpy(text + 8, digest, hash_bytes);
	memcpy(text + 8 + hash_bytes, salt, hash_bytes);
	hash_of(key_bytes, text, 8 + 2 * hash_bytes, ret);
}

/* Adds MGF1(H) to the data block; the first bit of a PSS block is 0, so that it is less than the modulus. */
static void mask(size_t key_bytes, const uint8_t *h, size_t hash_bytes, uint8_t *block, size_t block_bytes)
{
	uint8_t seed[SHA384_BYTES + 4] = {0}, part[SHA384_BYTES];

	memcpy(seed, h, hash_bytes);
	for (size_t at = 0; at < block_bytes; at += hash_bytes) {
		seed[hash_bytes + 3] = (uint8_t)(at / hash_bytes);
		hash_of(key_bytes, seed, hash_bytes + 4, part);
		for (size_t i = 0; i < hash_bytes && at + i < block_bytes; i++)
			block[at + i] ^= part[i];
	}
	block[0] &= 0x7f;
}

static bool pss_encode(size_t key_bytes, const void *data, size_t size, uint8_t *ret)
{
	uint8_t digest[SHA384_BYTES], salt[SHA384_BYTES];
	size_t hash_bytes = hash_of(key_bytes, data, size, digest), block_bytes = key_bytes - hash_bytes - 1;
	static const char label[] = "pss salt";
	const struct psp_mac_part part = {digest, hash_bytes};

	if (!psp_mac_of(MAC_SHA384, label, sizeof(label), &part, 1, salt))
		return false;
	memset(ret, 0, key_bytes);
	ret[block_bytes - hash_bytes - 1] = 1;
	memcpy(ret + block_bytes - hash_bytes, salt, hash_bytes);
	hash_salted(key_bytes, digest, salt, hash_bytes, digest);
	mask(key_bytes, digest, hash_bytes, ret, block_bytes);
	memcpy(ret + block_bytes, digest, hash_bytes);
	ret[key_bytes - 1] = TRAILER;
	return true;
}

static bool pss_fits(size_t key_bytes, const void *data, size_t size, uint8_t *block)
{
	uint8_t digest[SHA384_BYTES], h[SHA384_BYTES], any = 0;
	size_t hash_bytes = hash_of(key_bytes, data, size, digest), block_bytes = key_bytes - hash_bytes - 1,
	       salt_at = block_bytes - hash_bytes;

	if (block[0] & 0x80 || block[key_bytes - 1] != TRAILER)
		return false;
	mask(key_bytes, block + block_bytes, hash_bytes, block, block_bytes);
	for (size_t i = 0; i < salt_at - 1; i++)
		any |= block[i];
	hash_salted(key_bytes, digest, block + salt_at, hash_bytes, h);
	return any == 0 && block[salt_at - 1] == 1 && crypto_equal(h, block + block_bytes, hash_bytes);
}

/* ---- signatures ---- */

/*
 * Computes m^d by the Chinese remainder theorem: A = m^DP mod P, B = m^DQ mod Q; B + Q * (QINV * (A - B) mod
 * P).
 */
static bool power(struct psp_rsa *rsa)
{
	BIGNUM **v = rsa->v;

	return BN_mod_exp(v[A], v[C], v[DP], v[P], rsa->ctx) &&
	       BN_mod_exp(v[B], v[C], v[DQ], v[Q], rsa->ctx) &&
	       BN_mod_sub(v[A], v[A], v[B], v[P], rsa->ctx) &&
	       BN_mod_mul(v[A], v[A], v[QINV], v[P], rsa->ctx) && BN_mul(v[A], v[A], v[Q], rsa->ctx) &&
	       BN_add(v[C], v[A], v[B]);
}

bool psp_rsa_sign(const struct product *product, enum psp_rsa_role role, const void *data, size_t size,
        uint8_t *ret_signature)
{
	int bytes = (int)product->root_bits / 8;
	uint8_t block[RSA_BYTES_MAX];
	struct psp_rsa rsa;
	bool good = rsa_init(&rsa) && make(&rsa, product, role) &&
	            pss_encode((size_t)bytes, data, size, block) && BN_bin2bn(block, bytes, rsa.v[C]) &&
	            power(&rsa) && BN_bn2binpad(rsa.v[C], ret_signature, bytes) == bytes;

	rsa_finish(&rsa);
	return good;
}

bool psp_rsa_verify(
        const struct psp_rsa_public *public, const void *data, size_t size, const uint8_t *signature)
{
	int bytes = (int)public->bytes;
	uint8_t block[RSA_BYTES_MAX];
	struct psp_rsa rsa;
	BIGNUM **v = rsa.v;
	bool good = rsa_init(&rsa) && BN_bin2bn(public->modulus, bytes, v[N]) &&
	            BN_bin2bn(signature, bytes, v[C]) && BN_cmp(v[C], v[N]) < 0 && BN_is_odd(v[N]) &&
	            BN_set_word(v[A], RSA_EXPONENT) && BN_mod_exp(v[B], v[C], v[A], v[N], rsa.ctx) &&
	            BN_bn2binpad(v[B], block, bytes) == bytes && pss_fits(public->bytes, data, size, block);

	rsa_finish(&rsa);
	return good;
}
