/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key: keys and signatures as the firmware lays them out. Little-endian. Layouts and numbers only; any room
 * may include this.
 */
#ifndef VMM_ABI_KEY_H
#define VMM_ABI_KEY_H

#include <stdint.h>

#include "vmm/abi/layout.h"

/* ---- keys and signatures of the firmware: ECDSA P-384 with SHA-384 (SNP ABI, chapter 10) ---- */

#define ABI_ALGO_ECDSA_P384_SHA384 1
#define ABI_CURVE_P384             2

struct abi_signature {
	uint8_t r[72], s[72]; /* little-endian, zero-extended */
	uint8_t reserved[368];
} ABI_PACKED;
ABI_SIZE(struct abi_signature, 512);

struct abi_public_key {
	uint32_t curve;
	uint8_t qx[72], qy[72]; /* little-endian, zero-extended */
	uint8_t reserved[880];
} ABI_PACKED;
ABI_SIZE(struct abi_public_key, 1028);

#endif
