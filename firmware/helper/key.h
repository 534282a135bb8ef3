/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key: where the migration helper's keys come from. The guest's owner injects a root key into source and
 * target by LAUNCH_SECRET. Each helper makes a nonce for each move. The key of a direction follows from the
 * root, both nonces, both launches, the policy, the move and the direction, so none is ever used twice.
 * Law: RFC 5869; APM vol. 3, RDRAND.
 */
#ifndef VMM_HELPER_KEY_H
#define VMM_HELPER_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/abi/helper.h"

/* Gives 64 random bits; false: there are none at the moment. */
typedef bool key_random(uint64_t *ret_value);

/* The processor's own, which a busy processor may refuse for a while. */
bool key_rdrand(uint64_t *ret_value);

/*
 * Makes a nonce. Asks for each part a bounded number of times; false: random has not given it, or says the
 * same again and again.
 */
bool key_nonce(key_random *random, uint8_t ret_nonce[static HELPER_NONCE_BYTES]);

/*
 * Finds the root key in the table of secrets at page, which may hold anything, as when nobody has injected a
 * secret. False: there is no root key of the right length in it. page is private, so nobody changes it.
 */
bool key_find_root(const uint8_t *page, size_t size, uint8_t ret_root[static HELPER_ROOT_BYTES]);

/* Makes the key with which the source (or the target) of the move seals. */
void key_derive(const uint8_t root[static HELPER_ROOT_BYTES], const struct helper_terms *terms,
        const uint8_t own_nonce[static HELPER_NONCE_BYTES], enum helper_role direction,
        uint8_t ret_key[static 32]);

#endif
