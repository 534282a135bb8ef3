/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key: converts the secure processor's public keys and signatures to OpenSSL's forms. Any thread. SEV API,
 * appendix C; SNP ABI, chapter 10: P-384 and RSA-PSS, numbers little-endian.
 */
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "key.h"
#include "vmm/attest/key.h"

#define RSA_BYTES_MAX 512

static EVP_PKEY *from_params(const char *type, OSSL_PARAM *params)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (!ctx || EVP_PKEY_fromdata_init(ctx) <= 0 ||
	        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) <= 0)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	return key;
}

EVP_PKEY *attest_key_from_ec(const struct abi_public_key *key)
{
	uint8_t point[1 + 2 * P384_BYTES] = {POINT_CONVERSION_UNCOMPRESSED};
	char group[] = "P-384";
	OSSL_PARAM params[] = {
	        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
	        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
	        OSSL_PARAM_construct_end(),
	};

	if (key->curve != ABI_CURVE_P384 ||
	        !bytes_are_zero(key->qx + P384_BYTES, sizeof(key->qx) - P384_BYTES) ||
	        !bytes_are_zero(key->qy + P384_BYTES, sizeof(key->qy) - P384_BYTES) ||
	        !bytes_are_zero(key->reserved, sizeof(key->reserved)))
		return NULL;
	bytes_reverse(point + 1, key->qx, P384_BYTES);
	bytes_reverse(point + 1 + P384_BYTES, key->qy, P384_BYTES);
	return from_params("EC", params); /* refuses points off the curve */
}

EVP_PKEY *attest_key_from_rsa(const uint8_t *modulus, const uint8_t *exponent, size_t size)
{
	uint8_t n[RSA_BYTES_MAX], e[RSA_BYTES_MAX];
	/*
	 * OSSL_PARAM integers are in this machine's byte order, which is that of the secure processor:
	 * little-endian.
	 */
	OSSL_PARAM params[] = {
	        OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, n, size),
	        OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, e, size),
	        OSSL_PARAM_construct_end(),
	};

	if (size > RSA_BYTES_MAX)
		return NULL;
	memcpy(n, modulus, size);
	memcpy(e, exponent, size);
	return from_params("RSA", params);
}

int attest_key_to_ec(EVP_PKEY *key, struct abi_public_key *ret_key, struct err *err)
{
	uint8_t point[1 + 2 * P384_BYTES];
	size_t size;

	if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &size) != 1 ||
	        size != sizeof(point) || point[0] != POINT_CONVERSION_UNCOMPRESSED)
		return err_set(err, ERR_FAILED, "OpenSSL cannot give the key's P-384 point");
	*ret_key = (struct abi_public_key){.curve = ABI_CURVE_P384};
	bytes_reverse(ret_key->qx, point + 1, P384_BYTES);
	bytes_reverse(ret_key->qy, point + 1 + P384_BYTES, P384_BYTES);
	return 0;
}

bool attest_key_fingerprint(EVP_PKEY *key, uint8_t ret_digest[static SHA384_BYTES])
{
	uint8_t *der = NULL;
	int size = i2d_PUBKEY(key, &der);

	if (size <= 0)
		return false;
	hash_sha384(der, (size_t)size, ret_digest);
	OPENSSL_free(der);
	return true;
}

/* Encodes r and s as DER, the form that EVP accepts. Returns -1 if no memory is left. */
static int ecdsa_to_der(const struct abi_signature *sig, uint8_t **ret_der)
{
	ECDSA_SIG *pair = ECDSA_SIG_new();
	BIGNUM *r = BN_lebin2bn(sig->r, P384_BYTES, NULL), *s = BN_lebin2bn(sig->s, P384_BYTES, NULL);
	int size = -1;

	if (pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1) {
		r = s = NULL; /* pair now owns them */
		size = i2d_ECDSA_SIG(pair, ret_der);
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(pair);
	return size;
}

static bool digest_verify(EVP_PKEY *key, const EVP_MD *md, int padding, const void *data, size_t size,
        const uint8_t *sig, size_t sig_size)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pkey_ctx = NULL;
	bool good;

	good = ctx && EVP_DigestVerifyInit(ctx, &pkey_ctx, md, NULL, key) == 1;
	if (good && padding)
		good = EVP_PKEY_CTX_set_rsa_padding(pkey_ctx, padding) == 1 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey_ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
	good = good && EVP_DigestVerify(ctx, sig, sig_size, data, size) == 1;
	EVP_MD_CTX_free(ctx);
	return good;
}

const char *attest_key_check_ecdsa(
        EVP_PKEY *key, const EVP_MD *md, const void *data, size_t size, const struct abi_signature *sig)
{
	uint8_t *der = NULL;
	int der_size;
	bool good;

	/*
	 * No signature covers these bytes, so they must be zero: otherwise somebody could hide data in a
	 * valid report.
	 */
	if (!bytes_are_zero(sig->r + P384_BYTES, sizeof(sig->r) - P384_BYTES) ||
	        !bytes_are_zero(sig->s + P384_BYTES, sizeof(sig->s) - P384_BYTES) ||
	        !bytes_are_zero(sig->reserved, sizeof(sig->reserved)))
		return "the signature's padding is not zero";
	der_size = ecdsa_to_der(sig, &der);
	if (der_size <= 0)
		return "the signature cannot be encoded";
	good = digest_verify(key, md, 0, data, size, der, (size_t)der_size);
	OPENSSL_free(der);
	return good ? NULL : "the signature does not match";
}

const char *attest_key_check_pss(
        EVP_PKEY *key, const EVP_MD *md, const void *data, size_t size, const uint8_t *sig, size_t sig_size)
{
	uint8_t big_endian[RSA_BYTES_MAX];

	if (sig_size > sizeof(big_endian))
		return "the signature is too long";
	bytes_reverse(big_endian, sig, sig_size);
	if (!digest_verify(key, md, RSA_PKCS1_PSS_PADDING, data, size, big_endian, sig_size))
		return "the signature does not match";
	return NULL;
}

const char *attest_ecdsa_check(
        const struct abi_public_key *key, const void *data, size_t size, const struct abi_signature *sig)
{
	auto_key EVP_PKEY *pkey = attest_key_from_ec(key);

	return pkey ? attest_key_check_ecdsa(pkey, EVP_sha384(), data, size, sig)
	            : "its key is not a point of P-384 with zeros around it";
}
