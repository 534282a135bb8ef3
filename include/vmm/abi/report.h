/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report: the attestation report of SEV-SNP, and the certificate table that hosts give to guests with it.
 * Little-endian. Layouts and numbers only; any room may include this.
 */
#ifndef VMM_ABI_REPORT_H
#define VMM_ABI_REPORT_H

#include <stdint.h>

#include "vmm/abi/guid.h"
#include "vmm/abi/key.h"
#include "vmm/abi/layout.h"

/* ---- SNP: the attestation report (SNP ABI, ATTESTATION_REPORT) ---- */

#define ABI_SNP_REPORT_SIGNED_BYTES 0x2a0u

struct abi_snp_version {
	uint8_t build, minor, major, reserved;
} ABI_PACKED;

struct abi_snp_report {
	uint32_t version; /* 2 to 5 */
	uint32_t guest_svn;
	uint64_t policy;
	uint8_t family_id[16];
	uint8_t image_id[16];
	uint32_t vmpl;
	uint32_t signature_algo;
	uint64_t current_tcb;
	uint64_t platform_info;
	uint32_t key_info;
	uint32_t reserved_4c;
	uint8_t report_data[64];
	uint8_t measurement[48];
	uint8_t host_data[32];
	uint8_t id_key_digest[48];
	uint8_t author_key_digest[48];
	uint8_t report_id[32];
	uint8_t report_id_ma[32];
	uint64_t reported_tcb;
	uint8_t cpuid_family, cpuid_model, cpuid_stepping; /* since version 3 */
	uint8_t reserved_18b[21];
	uint8_t chip_id[64];
	uint64_t committed_tcb;
	struct abi_snp_version current;
	struct abi_snp_version committed;
	uint64_t launch_tcb;
	uint64_t launch_mit_vector;  /* since version 5 */
	uint64_t current_mit_vector; /* since version 5 */
	uint8_t reserved_208[152];
	struct abi_signature signature; /* over the bytes before it */
} ABI_PACKED;
ABI_SIZE(struct abi_snp_report, 1184);
ABI_AT(struct abi_snp_report, 0x08, policy);
ABI_AT(struct abi_snp_report, 0x10, family_id);
ABI_AT(struct abi_snp_report, 0x30, vmpl);
ABI_AT(struct abi_snp_report, 0x38, current_tcb);
ABI_AT(struct abi_snp_report, 0x40, platform_info);
ABI_AT(struct abi_snp_report, 0x48, key_info);
ABI_AT(struct abi_snp_report, 0x50, report_data);
ABI_AT(struct abi_snp_report, 0x90, measurement);
ABI_AT(struct abi_snp_report, 0xc0, host_data);
ABI_AT(struct abi_snp_report, 0xe0, id_key_digest);
ABI_AT(struct abi_snp_report, 0x110, author_key_digest);
ABI_AT(struct abi_snp_report, 0x140, report_id);
ABI_AT(struct abi_snp_report, 0x160, report_id_ma);
ABI_AT(struct abi_snp_report, 0x180, reported_tcb);
ABI_AT(struct abi_snp_report, 0x188, cpuid_family);
ABI_AT(struct abi_snp_report, 0x1a0, chip_id);
ABI_AT(struct abi_snp_report, 0x1e0, committed_tcb);
ABI_AT(struct abi_snp_report, 0x1e8, current);
ABI_AT(struct abi_snp_report, 0x1ec, committed);
ABI_AT(struct abi_snp_report, 0x1f0, launch_tcb);
ABI_AT(struct abi_snp_report, 0x1f8, launch_mit_vector);
ABI_AT(struct abi_snp_report, 0x208, reserved_208);
ABI_AT(struct abi_snp_report, ABI_SNP_REPORT_SIGNED_BYTES, signature);

#define ABI_SNP_SIGNER_VCEK          0u /* key_info bits 4:2 */
#define ABI_SNP_SIGNER_VLEK          1u
#define ABI_SNP_SIGNER_NONE          7u
#define ABI_SNP_KEY_SIGNER(key_info) (((key_info) >> 2) & 7u)
#define ABI_SNP_KEY_AUTHOR           (1u << 0) /* the guest's ID block had an author key */
#define ABI_SNP_KEY_MASKED           (1u << 1) /* mask_chip_key: the report is not signed */

/* The header of the answer to MSG_REPORT_REQ. The report follows it. */
struct abi_snp_report_rsp {
	uint32_t status;
	uint32_t report_size;
	uint8_t reserved[24];
} ABI_PACKED;
ABI_SIZE(struct abi_snp_report_rsp, 32);

/*
 * ---- SNP: the certificate table of an extended guest request (GHCB, "SNP Extended Guest Request") ----
 *
 * The specification gives the GUIDs as text. All known programs store them in the order of the text: AMD's
 * sev-guest with uuid_parse(), virtee/sev with Uuid::as_bytes(), go-sev-guest with uuid.UUID.
 */

struct abi_cert_table_entry {
	struct abi_text_guid guid; /* all zero: the end */
	uint32_t offset;           /* from the start of the table */
	uint32_t length;
} ABI_PACKED;
ABI_SIZE(struct abi_cert_table_entry, 24);

/* 63da758d-e664-4564-adc5-f4b93be8accd */
#define ABI_CERT_VCEK_GUID \
	((struct abi_text_guid){{0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, 0xad, 0xc5, 0xf4, 0xb9, \
	        0x3b, 0xe8, 0xac, 0xcd}})
/* a8074bc2-a25a-483e-aae6-39c045a0b8a1 */
#define ABI_CERT_VLEK_GUID \
	((struct abi_text_guid){{0xa8, 0x07, 0x4b, 0xc2, 0xa2, 0x5a, 0x48, 0x3e, 0xaa, 0xe6, 0x39, 0xc0, \
	        0x45, 0xa0, 0xb8, 0xa1}})
/* 4ab7b379-bbac-4fe4-a02f-05aef327c782 */
#define ABI_CERT_ASK_GUID \
	((struct abi_text_guid){{0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f, 0xe4, 0xa0, 0x2f, 0x05, 0xae, \
	        0xf3, 0x27, 0xc7, 0x82}})
/* c0b406a4-a803-4952-9743-3fb6014cd0ae */
#define ABI_CERT_ARK_GUID \
	((struct abi_text_guid){{0xc0, 0xb4, 0x06, 0xa4, 0xa8, 0x03, 0x49, 0x52, 0x97, 0x43, 0x3f, 0xb6, \
	        0x01, 0x4c, 0xd0, 0xae}})

#endif
