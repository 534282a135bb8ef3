/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key: nonces, the owner's root key, and the keys that follow from them.
 */
#include <string.h>

#include "hkdf.h"
#include "key.h"
#include "vmm/abi/sev_launch.h"

/* AMD and Intel call ten failures in a row a broken generator; the host can make it fail more often. */
#define TRIES 64u

bool key_rdrand(uint64_t *ret_value)
{
	bool there;

	__asm__ volatile("rdrand %0" : "=r"(*ret_value), "=@ccc"(there));
	return there;
}

/*
 * A generator that is stuck says the same again, as after a suspend, when some processors of AMD say all ones
 * and call it a success. Good ones say such a value once in 2^62 times; it counts as a refusal.
 */
static bool is_random(uint64_t value, uint64_t before)
{
	return value && value != UINT64_MAX && value != before;
}

bool key_nonce(key_random *random, uint8_t ret_nonce[static HELPER_NONCE_BYTES])
{
	uint64_t before = 0;

	for (unsigned at = 0; at < HELPER_NONCE_BYTES; at += 8) {
		uint64_t value = 0;
		unsigned tries = 0;

		while (!random(&value) || !is_random(value, before)) {
			if (++tries == TRIES)
				return false;
		}
		before = value;
		memcpy(ret_nonce + at, &value, sizeof(value));
	}
	return true;
}

/* ---- the root key ---- */

static struct abi_secret_header header_at(const uint8_t *at)
{
	struct abi_secret_header header;

	memcpy(&header, at, sizeof(header));
	return header;
}

static bool is_guid(const struct abi_secret_header *header, struct abi_efi_guid guid)
{
	return memcmp(header->guid.bytes, guid.bytes, sizeof(guid.bytes)) == 0;
}

bool key_find_root(const uint8_t *page, size_t size, uint8_t ret_root[static HELPER_ROOT_BYTES])
{
	struct abi_secret_header header;
	size_t end;

	if (size < sizeof(header))
		return false;
	header = header_at(page);
	end = header.length;
	if (!is_guid(&header, ABI_SECRET_TABLE_GUID) || end > size)
		return false;
	for (size_t at = sizeof(header); at + sizeof(header) <= end; at += header.length) {
		header = header_at(page + at);
		if (header.length < sizeof(header) || header.length > end - at)
			return false;
		if (is_guid(&header, HELPER_ROOT_GUID)) {
			if (header.length != sizeof(header) + HELPER_ROOT_BYTES)
				return false;
			memcpy(ret_root, page + at + sizeof(header), HELPER_ROOT_BYTES);
			return true;
		}
	}
	return false;
}

/* ---- the keys of a move ---- */

void key_derive(const uint8_t root[static HELPER_ROOT_BYTES], const struct helper_terms *terms,
        const uint8_t own_nonce[static HELPER_NONCE_BYTES], enum helper_role direction,
        uint8_t ret_key[static 32])
{
	bool is_source = terms->role == HELPER_SOURCE;
	struct helper_info info = {.policy = terms->policy, .direction = direction};
	uint8_t key[SHA256_HASH_BYTES];

	memcpy(info.source_nonce, is_source ? own_nonce : terms->peer_nonce, HELPER_NONCE_BYTES);
	memcpy(info.target_nonce, is_source ? terms->peer_nonce : own_nonce, HELPER_NONCE_BYTES);
	memcpy(info.source_digest, terms->source_digest, HELPER_DIGEST_BYTES);
	memcpy(info.target_digest, terms->target_digest, HELPER_DIGEST_BYTES);
	memcpy(info.move, terms->move, HELPER_MOVE_BYTES);
	hkdf_extract(HELPER_SALT, sizeof(HELPER_SALT), root, HELPER_ROOT_BYTES, key);
	hkdf_expand(key, &info, sizeof(info), ret_key, 32);
	helper_wipe(key, sizeof(key));
}
