/* SPDX-License-Identifier: Apache-2.0 */
/*
 * id_block: the ID block: the launch digest and policy that the guest owner signed. Little-endian. Layouts
 * and numbers only; any room may include this.
 */
#ifndef VMM_ABI_ID_BLOCK_H
#define VMM_ABI_ID_BLOCK_H

#include <stdint.h>

#include "vmm/abi/key.h"
#include "vmm/abi/layout.h"

/* ---- ID block and its authentication (SNP ABI 8.18, SNP_LAUNCH_FINISH) ---- */

#define ABI_ID_BLOCK_VERSION 1

struct abi_id_block {
	uint8_t ld[48]; /* the launch digest that the guest must have */
	uint8_t family_id[16], image_id[16];
	uint32_t version, guest_svn;
	uint64_t policy;
} ABI_PACKED;
ABI_SIZE(struct abi_id_block, 96);
ABI_AT(struct abi_id_block, 0x58, policy);

struct abi_id_auth {
	uint32_t id_key_algo, author_key_algo;
	uint8_t reserved_008[56];
	struct abi_signature id_block_sig; /* by the ID key, over the 96 bytes of the ID block */
	struct abi_public_key id_key;
	uint8_t reserved_644[60];
	struct abi_signature id_key_sig; /* by the author key, over the 1028 bytes of the ID key */
	struct abi_public_key author_key;
	uint8_t reserved_c84[892];
} ABI_PACKED;
ABI_SIZE(struct abi_id_auth, 4096);
ABI_AT(struct abi_id_auth, 0x040, id_block_sig);
ABI_AT(struct abi_id_auth, 0x240, id_key);
ABI_AT(struct abi_id_auth, 0x680, id_key_sig);
ABI_AT(struct abi_id_auth, 0x880, author_key);

#endif
