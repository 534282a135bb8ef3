/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ec: computes on P-384 with numbers and points, so that no result depends on a random number. The caller
 * holds the lock of the secure processor. FIPS 186-5 (ECDSA), RFC 6979 (its nonces), SEC 1 (Diffie-Hellman).
 * The numbers and points are OpenSSL's; these computations are not hardened against anyone who can observe
 * this machine.
 */
#include <string.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>

#include "ec.h"
#include "mac.h"

#define COORDINATE_BYTES 72 /* of a coordinate in the secure processor's layout */
#define NUMBERS          8

/* The numbers that one operation needs. They are wiped and freed together. */
struct work {
	EC_GROUP *group;
	BN_CTX *ctx;
	const BIGNUM *n; /* the order */
	EC_POINT *p, *q;
	BIGNUM *v[NUMBERS];
};

static void work_finish(struct work *w)
{
	for (int i = 0; i < NUMBERS; i++)
		BN_clear_free(w->v[i]);
	EC_POINT_clear_free(w->p);
	EC_POINT_free(w->q);
	EC_GROUP_free(w->group);
	BN_CTX_free(w->ctx);
}

static bool work_init(struct work *w)
{
	*w = (struct work){.group = EC_GROUP_new_by_curve_name(NID_secp384r1), .ctx = BN_CTX_new()};
	if (!w->group || !w->ctx)
		return false;
	w->n = EC_GROUP_get0_order(w->group);
	w->p = EC_POINT_new(w->group);
	w->q = EC_POINT_new(w->group);
	for (int i = 0; i < NUMBERS; i++) {
		w->v[i] = BN_new();
		if (!w->v[i])
			return false;
	}
	return w->p && w->q;
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
	uint8_t any = 0;

	while (size)
		any |= bytes[--size];
	return any == 0;
}

/* Loads the number from a field of the layout. Returns false if bytes that must be zero are not. */
static bool load(const uint8_t field[static COORDINATE_BYTES], BIGNUM *number)
{
	return is_zero(field + EC_BYTES, COORDINATE_BYTES - EC_BYTES) &&
	       BN_lebin2bn(field, EC_BYTES, number) != NULL;
}

static bool store(const BIGNUM *number, uint8_t field[static COORDINATE_BYTES])
{
	return BN_bn2lebinpad(number, field, COORDINATE_BYTES) == COORDINATE_BYTES;
}

/* Refuses a point that does not lie on the curve. Uses v[6] and v[7]. */
static bool load_point(struct work *w, const struct abi_public_key *public, EC_POINT *point)
{
	return public->curve == ABI_CURVE_P384 && is_zero(public->reserved, sizeof(public->reserved)) &&
	       load(public->qx, w->v[6]) && load(public->qy, w->v[7]) &&
	       EC_POINT_set_affine_coordinates(w->group, point, w->v[6], w->v[7], w->ctx) == 1;
}

static bool in_order(const struct work *w, const BIGNUM *number)
{
	return !BN_is_zero(number) && BN_cmp(number, w->n) < 0;
}

bool psp_ec_key_make(const uint8_t scalar[static EC_BYTES], struct psp_ec_key *ret_key)
{
	struct psp_ec_key key = {.public.curve = ABI_CURVE_P384};
	struct work w;
	bool good;

	good = work_init(&w) && BN_bin2bn(scalar, EC_BYTES, w.v[0]) && in_order(&w, w.v[0]) &&
	       EC_POINT_mul(w.group, w.p, w.v[0], NULL, NULL, w.ctx) == 1 &&
	       EC_POINT_get_affine_coordinates(w.group, w.p, w.v[1], w.v[2], w.ctx) == 1 &&
	       store(w.v[1], key.public.qx) && store(w.v[2], key.public.qy);
	work_finish(&w);
	if (good) {
		memcpy(key.scalar, scalar, EC_BYTES);
		*ret_key = key;
	}
	crypto_wipe(&key, sizeof(key));
	return good;
}

bool psp_ec_public_ok(const struct abi_public_key *public)
{
	struct work w;
	bool good = work_init(&w) && load_point(&w, public, w.q);

	work_finish(&w);
	return good;
}

static size_t digest_of(
        enum psp_ec_hash hash, const void *data, size_t size, uint8_t ret[static SHA384_BYTES])
{
	if (hash == EC_SHA256) {
		hash_sha256(data, size, ret);
		return SHA256_BYTES;
	}
	hash_sha384(data, size, ret);
	return SHA384_BYTES;
}

/*
 * The generator of nonces for a key and a digest (RFC 6979, 3.2). A P-384 number is as long as the longest
 * digest.
 */
struct nonces {
	enum psp_mac_hash hash;
	size_t size; /* of k and v */
	uint8_t k[SHA384_BYTES], v[SHA384_BYTES];
};

static bool nonces_step(struct nonces *n, const uint8_t *tag, const uint8_t *scalar, const uint8_t *digest)
{
	const struct psp_mac_part parts[] = {
	        {n->v, n->size},
	        {tag, 1},
	        {scalar, scalar ? EC_BYTES : 0},
	        {digest, digest ? EC_BYTES : 0},
	};

	return psp_mac_of(n->hash, n->k, n->size, parts, ARRAY_LEN(parts), n->k) &&
	       psp_mac_of(n->hash, n->k, n->size, parts, 1, n->v);
}

static bool nonces_init(struct nonces *n, enum psp_ec_hash hash, const struct psp_ec_key *key,
        const uint8_t digest[static EC_BYTES])
{
	static const uint8_t tags[] = {0, 1};

	*n = (struct nonces){
	        .hash = hash == EC_SHA256 ? MAC_SHA256 : MAC_SHA384,
	        .size = hash == EC_SHA256 ? SHA256_BYTES : SHA384_BYTES,
	};
	memset(n->v, 1, n->size);
	return nonces_step(n, &tags[0], key->scalar, digest) && nonces_step(n, &tags[1], key->scalar, digest);
}

static bool nonces_next(struct nonces *n, const struct work *w, BIGNUM *ret_k)
{
	static const uint8_t tag;
	const struct psp_mac_part v = {n->v, n->size};
	uint8_t t[2 * SHA384_BYTES];
	bool good = true;

	for (;;) {
		for (size_t have = 0; good && have < EC_BYTES; have += n->size) {
			good = psp_mac_of(n->hash, n->k, n->size, &v, 1, n->v);
			memcpy(t + have, n->v, n->size);
		}
		good = good && BN_bin2bn(t, EC_BYTES, ret_k);
		if (!good || in_order(w, ret_k))
			break;
		good = nonces_step(n, &tag, NULL, NULL);
	}
	crypto_wipe(t, sizeof(t));
	return good;
}

/*
 * v[0] is the digest, v[1] the scalar, v[2] k, v[3] r, v[4] s, v[5] 1 / k. If r or s is 0, there is no
 * signature; that is as unlikely as guessing the key.
 */
static bool sign(struct work *w, struct nonces *n)
{
	BIGNUM **v = w->v;

	BN_set_flags(v[1], BN_FLG_CONSTTIME);
	BN_set_flags(v[2], BN_FLG_CONSTTIME);
	return nonces_next(n, w, v[2]) && EC_POINT_mul(w->group, w->p, v[2], NULL, NULL, w->ctx) == 1 &&
	       EC_POINT_get_affine_coordinates(w->group, w->p, v[6], NULL, w->ctx) == 1 &&
	       BN_nnmod(v[3], v[6], w->n, w->ctx) == 1 && BN_mod_inverse(v[5], v[2], w->n, w->ctx) &&
	       BN_mod_mul(v[4], v[1], v[3], w->n, w->ctx) == 1 &&
	       BN_mod_add(v[4], v[4], v[0], w->n, w->ctx) == 1 &&
	       BN_mod_mul(v[4], v[4], v[5], w->n, w->ctx) == 1 && !BN_is_zero(v[3]) && !BN_is_zero(v[4]);
}

bool psp_ec_sign(const struct psp_ec_key *key, enum psp_ec_hash hash, const void *data, size_t size,
        struct abi_signature *ret_signature)
{
	struct abi_signature signature = {0};
	uint8_t digest[SHA384_BYTES], reduced[EC_BYTES];
	size_t digest_bytes = digest_of(hash, data, size, digest);
	struct nonces n = {0};
	struct work w;
	bool good;

	/* bits2octets(): the digest as a number below n. */
	good = work_init(&w) && BN_bin2bn(digest, (int)digest_bytes, w.v[0]) &&
	       BN_nnmod(w.v[0], w.v[0], w.n, w.ctx) == 1 &&
	       BN_bn2binpad(w.v[0], reduced, EC_BYTES) == EC_BYTES && nonces_init(&n, hash, key, reduced) &&
	       BN_bin2bn(key->scalar, EC_BYTES, w.v[1]) && sign(&w, &n) && store(w.v[3], signature.r) &&
	       store(w.v[4], signature.s);
	work_finish(&w);
	crypto_wipe(&n, sizeof(n));
	if (good)
		*ret_signature = signature;
	return good;
}

bool psp_ec_verify(const struct abi_public_key *public, enum psp_ec_hash hash, const void *data, size_t size,
        const struct abi_signature *signature)
{
	uint8_t digest[SHA384_BYTES];
	size_t digest_bytes = digest_of(hash, data, size, digest);
	struct work w;
	BIGNUM **v = w.v; /* v[0] the digest, v[1] r, v[2] s, v[3] 1 / s, v[4] and v[5] the factors */
	bool good;

	good = work_init(&w) && is_zero(signature->reserved, sizeof(signature->reserved)) &&
	       load(signature->r, v[1]) && load(signature->s, v[2]) && in_order(&w, v[1]) &&
	       in_order(&w, v[2]) && load_point(&w, public, w.q) &&
	       BN_bin2bn(digest, (int)digest_bytes, v[0]) && BN_mod_inverse(v[3], v[2], w.n, w.ctx) &&
	       BN_mod_mul(v[4], v[0], v[3], w.n, w.ctx) == 1 &&
	       BN_mod_mul(v[5], v[1], v[3], w.n, w.ctx) == 1 &&
	       EC_POINT_mul(w.group, w.p, v[4], w.q, v[5], w.ctx) == 1 &&
	       EC_POINT_get_affine_coordinates(w.group, w.p, v[6], NULL, w.ctx) == 1 &&
	       BN_nnmod(v[7], v[6], w.n, w.ctx) == 1 && BN_cmp(v[7], v[1]) == 0;
	work_finish(&w);
	return good;
}

bool psp_ec_agree(
        const struct psp_ec_key *own, const struct abi_public_key *peer, uint8_t ret_z[static EC_BYTES])
{
	struct work w;
	bool good;

	good = work_init(&w) && load_point(&w, peer, w.q) && BN_bin2bn(own->scalar, EC_BYTES, w.v[0]) &&
	       EC_POINT_mul(w.group, w.p, NULL, w.q, w.v[0], w.ctx) == 1 &&
	       EC_POINT_get_affine_coordinates(w.group, w.p, w.v[1], NULL, w.ctx) == 1 &&
	       BN_bn2binpad(w.v[1], ret_z, EC_BYTES) == EC_BYTES;
	work_finish(&w);
	return good;
}
