/* SPDX-License-Identifier: Apache-2.0 */
/*
 * id_key: the operations on private keys that id_block.c needs. Any thread.
 */
#ifndef VMM_OWNER_ID_KEY_H
#define VMM_OWNER_ID_KEY_H

#include "vmm/owner.h"

int owner_id_key_public(
        const struct owner_id_key *key, struct abi_public_key *ret_public, struct err *err) MUST_CHECK;
/* Signs with ECDSA on P-384 and SHA-384. */
int owner_id_key_sign(const struct owner_id_key *key, const void *data, size_t size,
        struct abi_signature *ret_sig, struct err *err) MUST_CHECK;

#endif
