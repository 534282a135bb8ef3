/* SPDX-License-Identifier: Apache-2.0 */
/*
 * owner: the guest owner's side of a launch. The guest owner is the person whose guest runs on somebody
 * else's host. For SEV and SEV-ES, a session carries the owner's keys to the secure processor, a measurement
 * comes back, and a secret follows. For SEV-SNP, a signed ID block says which guest may run. Nothing here
 * needs the host. Any thread; nothing is kept between calls. No given bytes or files are trusted.
 */
#ifndef VMM_OWNER_H
#define VMM_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/abi/id_block.h"
#include "vmm/abi/key.h"
#include "vmm/abi/sev_cert.h"
#include "vmm/abi/sev_launch.h"
#include "vmm/attest.h"
#include "vmm/base.h"

/* ---- SEV and SEV-ES: the session and the measurement (SEV API, LAUNCH_START, LAUNCH_MEASURE) ---- */

/* The owner's secrets. Wipe them with crypto_wipe(). */
struct owner_keys {
	uint8_t tek[16]; /* encrypts launch secrets */
	uint8_t tik[16]; /* authenticates the measurement, the policy and launch secrets */
};
_Static_assert(sizeof(struct owner_keys) == 32, "TEK and TIK are wrapped as one");

/*
 * Makes new keys and wraps them for the platform that has this PDH: the session blob and the owner's
 * Diffie-Hellman certificate for LAUNCH_START. The caller has checked the PDH's signatures with
 * attest_sev_verify(). On failure nothing is written.
 */
int owner_session_create(const struct abi_sev_cert *pdh, uint32_t policy, struct abi_sev_session *ret_session,
        struct abi_sev_cert *ret_godh, struct owner_keys *ret_keys, struct err *err) MUST_CHECK;
/* Was policy_mac of the session made with these keys for this policy? */
int owner_session_check(const struct abi_sev_session *session, const struct owner_keys *keys, uint32_t policy,
        bool *ret_good, struct err *err) MUST_CHECK;

/* The values that LAUNCH_MEASURE authenticates, beside its nonce. */
struct owner_measured {
	uint8_t api_major, api_minor, build; /* version of the firmware that measured (PLATFORM_STATUS) */
	uint32_t policy;
	uint8_t digest[SHA256_BYTES]; /* of all that was launched, as `vmm measure` computes it */
};

/* Computes the MEASURE that a firmware with these keys must give for this launch and nonce. */
int owner_measure_expected(const struct owner_keys *keys, const struct owner_measured *launch,
        const uint8_t mnonce[static 16], uint8_t ret_measure[static 32], struct err *err) MUST_CHECK;

/* ---- SEV and SEV-ES: launch secrets (SEV API, LAUNCH_SECRET) ---- */

#define OWNER_SECRET_MAX_BYTES KIB(16) /* the kernel's limit for what goes to LAUNCH_SECRET */

struct owner_secret_entry {
	struct abi_efi_guid guid;
	struct attest_blob value;
};

/*
 * Makes the table of secrets as guests find it (edk2 OvmfPkg/AmdSev, Linux efi_secret), padded with zeros to
 * a multiple of 16 bytes. The caller wipes and frees *ret_data. ERR_USAGE if the table would be larger than
 * the limit, if an entry is empty, or if two entries have the same GUID.
 */
int owner_secret_table(const struct owner_secret_entry *entries, size_t count, uint8_t **ret_data,
        size_t *ret_size, struct err *err) MUST_CHECK;
/*
 * Encrypts data (size: a multiple of 16, at most the limit) for LAUNCH_SECRET of the launch that has this
 * MEASURE. ret_ciphertext has room for size bytes; its contents are undefined on failure.
 */
int owner_secret_pack(const struct owner_keys *keys, const uint8_t measure[static 32], const uint8_t *data,
        size_t size, struct abi_sev_secret_header *ret_header, uint8_t *ret_ciphertext,
        struct err *err) MUST_CHECK;

/* ---- SEV-SNP: the ID block; the firmware refuses a guest with another digest (SNP ABI 8.18) ---- */

#define OWNER_ID_FILE_MAX_BYTES KIB(16)

/* A private ECDSA P-384 key. */
struct owner_id_key;

/*
 * Reads a key from a PEM file without a password. ERR_USAGE, with the remedy, if the file holds no such key.
 */
int owner_id_key_read(const char *path, struct owner_id_key **ret_key, struct err *err) MUST_CHECK;
/* Makes a new key, in memory only. */
int owner_id_key_generate(struct owner_id_key **ret_key, struct err *err) MUST_CHECK;
/* Wipes the key. NULL is allowed. */
void owner_id_key_destroy(struct owner_id_key *key);

/* Signs the block with id, and the ID key with author (NULL: no author). */
int owner_id_sign(const struct abi_id_block *block, const struct owner_id_key *id,
        const struct owner_id_key *author, struct abi_id_auth *ret_auth, struct err *err) MUST_CHECK;
/*
 * Makes a block that lets only this digest and policy run, signed with a key that is wiped before this
 * returns. Nobody needs to trust whoever launched the guest: no other guest can have been launched with this
 * block. For sev.enforce-digest. ERR_FAILED if the digest is not 48 bytes long.
 */
int owner_id_make(const uint8_t *digest, size_t digest_bytes, uint64_t policy, struct abi_id_block *ret_block,
        struct abi_id_auth *ret_auth, struct err *err) MUST_CHECK;

/*
 * Reads the structure from a file: bare, in Base64 with lines of any length, or in hexadecimal. ERR_USAGE if
 * the file holds anything else.
 */
int owner_id_block_read(const char *path, struct abi_id_block *ret_block, struct err *err) MUST_CHECK;
int owner_id_auth_read(const char *path, struct abi_id_auth *ret_auth, struct err *err) MUST_CHECK;

/* Does it hold an author key? */
bool owner_id_has_author(const struct abi_id_auth *auth);
/* Computes the SHA-384 of a key: ID_KEY_DIGEST or AUTHOR_KEY_DIGEST of the attestation report. */
void owner_id_key_digest(const struct abi_public_key *key, uint8_t ret_digest[static SHA384_BYTES]);
/* Would the firmware accept the block and its signatures? ERR_USAGE says which of its checks fails. */
int owner_id_verify(
        const struct abi_id_block *block, const struct abi_id_auth *auth, struct err *err) MUST_CHECK;
/* Would the firmware accept a guest with this digest and policy? ERR_USAGE says what differs. */
int owner_id_match(const struct abi_id_block *block, const uint8_t *digest, size_t digest_bytes,
        uint64_t policy, struct err *err) MUST_CHECK;

#endif
