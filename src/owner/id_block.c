/* SPDX-License-Identifier: Apache-2.0 */
/*
 * id_block: makes, reads and checks ID blocks and their signatures. With an ID block the firmware refuses a
 * SEV-SNP guest that is not the expected one. Files are not trusted. Any thread; no state. Law: SNP ABI 8.18
 * (SNP_LAUNCH_FINISH), ID Block and ID Authentication Information Structure.
 */
#include <string.h>

#include "id_key.h"
#include "vmm/attest.h"
#include "vmm/attest/key.h"

/* ---- making ---- */

int owner_id_sign(const struct abi_id_block *block, const struct owner_id_key *id,
        const struct owner_id_key *author, struct abi_id_auth *ret_auth, struct err *err)
{
	struct abi_id_auth auth = {.id_key_algo = ABI_ALGO_ECDSA_P384_SHA384};

	if (owner_id_key_public(id, &auth.id_key, err) < 0 ||
	        owner_id_key_sign(id, block, sizeof(*block), &auth.id_block_sig, err) < 0)
		return err_wrap(err, "ID key");
	if (author) {
		auth.author_key_algo = ABI_ALGO_ECDSA_P384_SHA384;
		if (owner_id_key_public(author, &auth.author_key, err) < 0 ||
		        owner_id_key_sign(author, &auth.id_key, sizeof(auth.id_key), &auth.id_key_sig, err) <
		                0)
			return err_wrap(err, "author key");
	}
	*ret_auth = auth;
	return 0;
}

int owner_id_make(const uint8_t *digest, size_t digest_bytes, uint64_t policy, struct abi_id_block *ret_block,
        struct abi_id_auth *ret_auth, struct err *err)
{
	struct abi_id_block block = {.version = ABI_ID_BLOCK_VERSION, .policy = policy};
	struct owner_id_key *key;
	int result;

	if (digest_bytes != sizeof(block.ld))
		return err_set(err, ERR_FAILED, "an ID block holds a SEV-SNP digest, this one has %zu bytes",
		        digest_bytes);
	memcpy(block.ld, digest, sizeof(block.ld));
	if (owner_id_key_generate(&key, err) < 0)
		return -1;
	result = owner_id_sign(&block, key, NULL, ret_auth, err);
	owner_id_key_destroy(key);
	if (result == 0)
		*ret_block = block;
	return result;
}

/* ---- reading ---- */

static int read_struct(
        const char *path, const char *what, void *ret_struct, size_t size_bytes, struct err *err)
{
	auto_free void *data = NULL;
	size_t data_bytes;

	if (file_read_all(path, OWNER_ID_FILE_MAX_BYTES, &data, &data_bytes, err) < 0)
		return err_wrap(err, "%s", what);
	if (attest_form_struct(data, data_bytes, ret_struct, size_bytes, err) < 0)
		return err_wrap(err, "%s: %s", what, file_name(path));
	return 0;
}

int owner_id_block_read(const char *path, struct abi_id_block *ret_block, struct err *err)
{
	return read_struct(path, "ID block", ret_block, sizeof(*ret_block), err);
}

int owner_id_auth_read(const char *path, struct abi_id_auth *ret_auth, struct err *err)
{
	return read_struct(path, "ID authentication", ret_auth, sizeof(*ret_auth), err);
}

/* ---- checking ---- */

bool owner_id_has_author(const struct abi_id_auth *auth)
{
	static const struct abi_public_key none;

	return memcmp(&auth->author_key, &none, sizeof(none)) != 0;
}

void owner_id_key_digest(const struct abi_public_key *key, uint8_t ret_digest[static SHA384_BYTES])
{
	hash_sha384(key, sizeof(*key), ret_digest);
}

static int check_signature(const char *what, const struct abi_public_key *key, uint32_t algo,
        const void *data, size_t size, const struct abi_signature *sig, struct err *err)
{
	const char *why;

	if (algo != ABI_ALGO_ECDSA_P384_SHA384)
		return err_set(err, ERR_USAGE,
		        "%s: key algorithm %u, the firmware takes %u (ECDSA P-384 with SHA-384)", what, algo,
		        ABI_ALGO_ECDSA_P384_SHA384);
	why = attest_ecdsa_check(key, data, size, sig);
	return why ? err_set(err, ERR_USAGE, "%s: %s (the firmware would say BAD_SIGNATURE)", what, why) : 0;
}

int owner_id_verify(const struct abi_id_block *block, const struct abi_id_auth *auth, struct err *err)
{
	if (crypto_load(err) < 0)
		return -1;
	if (block->version != ABI_ID_BLOCK_VERSION)
		return err_set(err, ERR_USAGE, "the ID block has version %u, the firmware takes version %u",
		        block->version, ABI_ID_BLOCK_VERSION);
	if (check_signature("signature of the ID block", &auth->id_key, auth->id_key_algo, block,
	            sizeof(*block), &auth->id_block_sig, err) < 0)
		return -1;
	if (!owner_id_has_author(auth))
		return 0;
	return check_signature("author's signature of the ID key", &auth->author_key, auth->author_key_algo,
	        &auth->id_key, sizeof(auth->id_key), &auth->id_key_sig, err);
}

int owner_id_match(const struct abi_id_block *block, const uint8_t *digest, size_t digest_bytes,
        uint64_t policy, struct err *err)
{
	char expected[2 * SHA384_BYTES + 1], actual[2 * SHA384_BYTES + 1];

	if (digest_bytes != sizeof(block->ld) || !crypto_equal(block->ld, digest, sizeof(block->ld))) {
		hex_encode(block->ld, sizeof(block->ld), expected);
		hex_encode(digest, digest_bytes, actual);
		return err_set(err, ERR_USAGE,
		        "the ID block is for the digest %s, this guest has %s (the firmware would say "
		        "BAD_MEASUREMENT)",
		        expected, actual);
	}
	if (block->policy != policy)
		return err_set(err, ERR_USAGE,
		        "the ID block is for the policy 0x%llx, this guest has 0x%llx: set sev.policy (the "
		        "firmware would say POLICY_FAILURE)",
		        (unsigned long long)block->policy, (unsigned long long)policy);
	return 0;
}
