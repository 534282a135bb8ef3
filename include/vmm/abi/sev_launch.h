/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sev_launch: what the guest owner of SEV and SEV-ES guests sends to a launch and gets from it.
 * Little-endian. Layouts and numbers only; any room may include this.
 */
#ifndef VMM_ABI_SEV_LAUNCH_H
#define VMM_ABI_SEV_LAUNCH_H

#include <stdint.h>

#include "vmm/abi/guid.h"
#include "vmm/abi/layout.h"

/* ---- SEV and SEV-ES: what the guest owner sends and gets (SEV API, LAUNCH_START to LAUNCH_SECRET) ---- */

struct abi_sev_session {
	uint8_t nonce[16];
	uint8_t wrap_tk[32]; /* TEK then TIK, encrypted */
	uint8_t wrap_iv[16];
	uint8_t wrap_mac[32];
	uint8_t policy_mac[32];
} ABI_PACKED;
ABI_SIZE(struct abi_sev_session, 128);
ABI_AT(struct abi_sev_session, 0x30, wrap_iv);
ABI_AT(struct abi_sev_session, 0x60, policy_mac);

struct abi_sev_measure {
	uint8_t measure[32];
	uint8_t mnonce[16];
} ABI_PACKED;
ABI_SIZE(struct abi_sev_measure, 48);

struct abi_sev_secret_header {
	uint32_t flags; /* bit 0: compressed */
	uint8_t iv[16];
	uint8_t mac[32];
} ABI_PACKED;
ABI_SIZE(struct abi_sev_secret_header, 52);

/* A launch secret as guests read it: this header, then entries with the same header; length counts itself. */
struct abi_secret_header {
	struct abi_efi_guid guid;
	uint32_t length;
} ABI_PACKED;
ABI_SIZE(struct abi_secret_header, 20);

#define ABI_SECRET_TABLE_GUID ABI_EFI_GUID(0x1e74f542, 0x71dd, 0x4d66, 0x963e, 0xef4287ff173b)

/* The answer of GET_ATTESTATION_REPORT, signed by the PEK over the bytes before sig_usage. */
struct abi_sev_report {
	uint8_t mnonce[16];
	uint8_t digest[32];
	uint32_t policy;
	uint32_t sig_usage;
	uint32_t sig_algo;
	uint32_t reserved;
	uint8_t r[72];
	uint8_t s[72];
} ABI_PACKED;
ABI_SIZE(struct abi_sev_report, 0xd0);
ABI_AT(struct abi_sev_report, 0x30, policy);
ABI_AT(struct abi_sev_report, 0x38, sig_algo);
ABI_AT(struct abi_sev_report, 0x40, r);

#endif
