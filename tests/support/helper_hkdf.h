/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helper_hkdf: HKDF-SHA256 as OpenSSL makes it, to compare the helper's with.
 */
#ifndef VMM_TEST_HELPER_HKDF_H
#define VMM_TEST_HELPER_HKDF_H

#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "support/test.h"

static inline void openssl_hkdf(const uint8_t *secret, size_t secret_bytes, const void *salt,
        size_t salt_bytes, const void *info, size_t info_bytes, uint8_t *ret, size_t size)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);

	assert_non_null(ctx);
	assert_int_equal(EVP_PKEY_derive_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_hkdf_md(ctx, EVP_sha256()), 1);
	assert_int_equal(EVP_PKEY_CTX_set1_hkdf_salt(ctx, salt, (int)salt_bytes), 1);
	assert_int_equal(EVP_PKEY_CTX_set1_hkdf_key(ctx, secret, (int)secret_bytes), 1);
	assert_int_equal(EVP_PKEY_CTX_add1_hkdf_info(ctx, info, (int)info_bytes), 1);
	assert_int_equal(EVP_PKEY_derive(ctx, ret, &size), 1);
	EVP_PKEY_CTX_free(ctx);
}

#endif
