/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sev_cert: certificates of SEV and SEV-ES platforms, and AMD's own. Little-endian. Layouts and numbers
 * only; any room may include this.
 */
#ifndef VMM_ABI_SEV_CERT_H
#define VMM_ABI_SEV_CERT_H

#include <stdint.h>

#include "vmm/abi/key.h"
#include "vmm/abi/layout.h"

/* ---- SEV and SEV-ES: certificates (SEV API, appendix C) ---- */

enum abi_sev_usage {
	ABI_SEV_USAGE_ARK = 0x0,
	ABI_SEV_USAGE_ASK = 0x13,
	ABI_SEV_USAGE_INVALID = 0x1000, /* an unused signature slot */
	ABI_SEV_USAGE_OCA = 0x1001,
	ABI_SEV_USAGE_PEK = 0x1002,
	ABI_SEV_USAGE_PDH = 0x1003,
	ABI_SEV_USAGE_CEK = 0x1004,
};

enum abi_sev_algo {
	ABI_SEV_ALGO_INVALID = 0,
	ABI_SEV_ALGO_RSA_SHA256 = 0x1,
	ABI_SEV_ALGO_ECDSA_SHA256 = 0x2,
	ABI_SEV_ALGO_ECDH_SHA256 = 0x3,
	ABI_SEV_ALGO_RSA_SHA384 = 0x101,
	ABI_SEV_ALGO_ECDSA_SHA384 = 0x102,
	ABI_SEV_ALGO_ECDH_SHA384 = 0x103,
};

struct abi_sev_signature {
	uint32_t usage; /* usage of the key that signed; ABI_SEV_USAGE_INVALID: no signature */
	uint32_t algo;
	union {
		struct abi_signature ecdsa;
		uint8_t rsa[512]; /* little-endian */
	};
} ABI_PACKED;
ABI_SIZE(struct abi_sev_signature, 520);

struct abi_rsa_key {
	uint32_t modulus_bits;
	uint8_t exponent[512]; /* little-endian */
	uint8_t modulus[512];
} ABI_PACKED;
ABI_SIZE(struct abi_rsa_key, 1028);

#define ABI_SEV_CERT_SIGNED_BYTES 0x414u

struct abi_sev_cert {
	uint32_t version; /* 1 */
	uint8_t api_major, api_minor;
	uint8_t reserved[2];
	uint32_t usage; /* enum abi_sev_usage */
	uint32_t algo;  /* enum abi_sev_algo */
	union {
		struct abi_public_key ec;
		struct abi_rsa_key rsa;
	};
	struct abi_sev_signature sig[2]; /* over the bytes before them; either order */
} ABI_PACKED;
ABI_SIZE(struct abi_sev_cert, 2084);
ABI_AT(struct abi_sev_cert, 0x8, usage);
ABI_AT(struct abi_sev_cert, 0x10, ec);
ABI_AT(struct abi_sev_cert, ABI_SEV_CERT_SIGNED_BYTES, sig);

/* The certificates that PDH_CERT_EXPORT gives in addition to the PDH. */
struct abi_sev_cert_chain {
	struct abi_sev_cert pek, oca, cek;
} ABI_PACKED;
ABI_SIZE(struct abi_sev_cert_chain, 3 * 2084);

/*
 * AMD's own certificates, ASK and ARK (SEV API, appendix B.1). After this header: public exponent, modulus,
 * signature, little-endian, each as long as the sizes say (2048 or 4096 bits).
 */
struct abi_amd_cert {
	uint32_t version; /* 1 */
	uint8_t key_id[16];
	uint8_t certifying_id[16]; /* key_id of the signer */
	uint32_t usage;            /* ABI_SEV_USAGE_ARK or ABI_SEV_USAGE_ASK */
	uint8_t reserved[16];
	uint32_t exponent_bits;
	uint32_t modulus_bits;
} ABI_PACKED;
ABI_SIZE(struct abi_amd_cert, 64);
ABI_AT(struct abi_amd_cert, 0x24, usage);
ABI_AT(struct abi_amd_cert, 0x38, exponent_bits);

#endif
