/*
 * idkey: what idblock.c does with private keys. Any thread.
 */
#ifndef VMM_LAUNCH_IDKEY_H
#define VMM_LAUNCH_IDKEY_H

#include "vmm/launch.h"

int launch_id_key_public(
        const struct launch_id_key *key, struct abi_public_key *ret_public, struct err *err) MUST_CHECK;
/* ECDSA P-384 with SHA-384. */
int launch_id_key_sign(const struct launch_id_key *key, const void *data, size_t size,
        struct abi_signature *ret_sig, struct err *err) MUST_CHECK;

#endif
