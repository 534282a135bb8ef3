/* SPDX-License-Identifier: Apache-2.0 */
/*
 * id_key: reads and makes private keys, and signs ID blocks with them. Any thread. OpenSSL clears a private
 * key when it frees it; the buffers of this file are wiped here. Law: SNP ABI, chapter 10 (signatures and
 * keys).
 */
#include <errno.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "id_key.h"
#include "vmm/attest.h"
#include "vmm/attest/key.h"

struct owner_id_key {
	EVP_PKEY *pkey;
};

void owner_id_key_destroy(struct owner_id_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}

/* Takes ownership of pkey, even on failure. */
static int wrap(EVP_PKEY *pkey, struct owner_id_key **ret_key, struct err *err)
{
	struct owner_id_key *key = calloc(1, sizeof(*key));

	if (!key) {
		EVP_PKEY_free(pkey);
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for a key");
	}
	key->pkey = pkey;
	*ret_key = key;
	return 0;
}

/* Without this callback OpenSSL would ask for the password of an encrypted key at the terminal. */
static int no_password(char *buffer, int size, int writing, void *ctx)
{
	*(bool *)ctx = true;
	return -1;
}

static bool is_p384(EVP_PKEY *pkey)
{
	char group[32];

	return EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) == 1 &&
	       (strcmp(group, SN_secp384r1) == 0 || strcmp(group, "P-384") == 0);
}

static int parse_pem(
        const char *path, const void *data, size_t size, struct owner_id_key **ret_key, struct err *err)
{
	bool encrypted = false;
	BIO *bio = BIO_new_mem_buf(data, (int)size);
	EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, &encrypted) : NULL;

	BIO_free(bio);
	ERR_clear_error();
	if (!pkey && encrypted)
		return err_set(err, ERR_USAGE,
		        "%s: the key is encrypted; openssl pkey -in %s writes it without a password", path,
		        path);
	if (!pkey)
		return err_set(err, ERR_USAGE,
		        "%s: holds no private key in PEM; openssl ecparam -name secp384r1 -genkey -noout "
		        "makes one",
		        path);
	if (!is_p384(pkey)) {
		EVP_PKEY_free(pkey);
		return err_set(err, ERR_USAGE,
		        "%s: is not a P-384 key, and the firmware takes no other; openssl ecparam -name "
		        "secp384r1 -genkey -noout makes one",
		        path);
	}
	/* Files may ask for compressed points, but the firmware needs the whole point. */
	EVP_PKEY_set_utf8_string_param(pkey, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
	        OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED);
	return wrap(pkey, ret_key, err);
}

int owner_id_key_read(const char *path, struct owner_id_key **ret_key, struct err *err)
{
	void *data;
	size_t size;
	int result;

	if (crypto_load(err) < 0 || file_read_all(path, OWNER_ID_FILE_MAX_BYTES, &data, &size, err) < 0)
		return -1;
	result = parse_pem(path, data, size, ret_key, err);
	crypto_wipe(data, size);
	free(data);
	return result;
}

int owner_id_key_generate(struct owner_id_key **ret_key, struct err *err)
{
	EVP_PKEY *pkey;

	if (crypto_load(err) < 0)
		return -1;
	pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", SN_secp384r1);
	if (!pkey)
		return err_set(err, ERR_FAILED, "OpenSSL cannot make a P-384 key");
	return wrap(pkey, ret_key, err);
}

int owner_id_key_public(const struct owner_id_key *key, struct abi_public_key *ret_public, struct err *err)
{
	return attest_key_to_ec(key->pkey, ret_public, err);
}

/* Converts the two numbers of a DER signature to the firmware's layout. */
static bool from_der(const uint8_t *der, size_t size, struct abi_signature *ret_sig)
{
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)size);
	const BIGNUM *r, *s;
	bool fits = false;

	*ret_sig = (struct abi_signature){0};
	if (pair) {
		ECDSA_SIG_get0(pair, &r, &s);
		fits = BN_bn2lebinpad(r, ret_sig->r, sizeof(ret_sig->r)) > 0 &&
		       BN_bn2lebinpad(s, ret_sig->s, sizeof(ret_sig->s)) > 0;
	}
	ECDSA_SIG_free(pair);
	return fits;
}

int owner_id_key_sign(const struct owner_id_key *key, const void *data, size_t size,
        struct abi_signature *ret_sig, struct err *err)
{
	uint8_t der[160]; /* two 384-bit numbers need at most 104 */
	size_t der_size = sizeof(der);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha384(), NULL, key->pkey) == 1 &&
	            EVP_DigestSign(ctx, der, &der_size, data, size) == 1 && from_der(der, der_size, ret_sig);

	EVP_MD_CTX_free(ctx);
	return good ? 0 : err_set(err, ERR_FAILED, "OpenSSL cannot sign with the key");
}
