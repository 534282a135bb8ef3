/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message: the messages by which a SEV-SNP guest asks its secure processor. The hypervisor carries them, but
 * can neither read nor change them. Little-endian. Law: SNP ABI (56860), SNP_GUEST_REQUEST and the chapter on
 * guest messages. Layouts and numbers only; any room may include this.
 */
#ifndef VMM_ABI_MESSAGE_H
#define VMM_ABI_MESSAGE_H

#include <stdint.h>

#include "vmm/abi/layout.h"
#include "vmm/abi/snp.h"

/* ---- the header (SNP ABI, SNP_GUEST_REQUEST: "Message Header Format") ---- */

#define ABI_MESSAGE_ALGO_AES_256_GCM 1
#define ABI_MESSAGE_HEADER_VERSION   1
#define ABI_MESSAGE_VMPCKS           4
#define ABI_MESSAGE_BOUND_AT         0x30 /* from here on the header is authenticated */
#define ABI_MESSAGE_IV_BYTES         12   /* the sequence number, then zeros */

struct abi_message_header {
	uint8_t tag[32]; /* of which AES-256-GCM uses 16 */
	uint64_t sequence;
	uint8_t reserved_28[8];
	uint8_t algo;
	uint8_t header_version;
	uint16_t header_bytes;
	uint8_t type;
	uint8_t version; /* of this type of message */
	uint16_t bytes;  /* of the payload, which follows the header: a multiple of 16 */
	uint32_t reserved_38;
	uint8_t vmpck; /* the key that protects the payload: 0 to 3 */
	uint8_t reserved_3d[35];
} ABI_PACKED;
ABI_SIZE(struct abi_message_header, 0x60);
ABI_AT(struct abi_message_header, 0x20, sequence);
ABI_AT(struct abi_message_header, ABI_MESSAGE_BOUND_AT, algo);
ABI_AT(struct abi_message_header, 0x31, header_version);
ABI_AT(struct abi_message_header, 0x32, header_bytes);
ABI_AT(struct abi_message_header, 0x34, type);
ABI_AT(struct abi_message_header, 0x35, version);
ABI_AT(struct abi_message_header, 0x36, bytes);
ABI_AT(struct abi_message_header, 0x3c, vmpck);

/* A message lies in one page. */
#define ABI_MESSAGE_PAYLOAD_MAX (4096u - sizeof(struct abi_message_header))

/* ---- types (SNP ABI, SNP_GUEST_REQUEST: "Message Type Encodings") ---- */

/* An answer has the type of its request and 1, and the sequence number of its request and 1. */
enum abi_message_type {
	ABI_MSG_CPUID_REQ = 1,
	ABI_MSG_CPUID_RSP = 2,
	ABI_MSG_KEY_REQ = 3,
	ABI_MSG_KEY_RSP = 4,
	ABI_MSG_REPORT_REQ = 5,
	ABI_MSG_REPORT_RSP = 6,
	ABI_MSG_TSC_INFO_REQ = 17,
	ABI_MSG_TSC_INFO_RSP = 18,
};

/* ---- CPUID (SNP ABI, "CPUID Reporting") ---- */

struct abi_msg_cpuid_req {
	uint32_t count; /* of entries, which follow; at most ABI_CPUID_PAGE_MAX */
	uint32_t reserved_04;
	uint64_t reserved_08;
} ABI_PACKED;
ABI_SIZE(struct abi_msg_cpuid_req, 16);

struct abi_msg_cpuid_rsp {
	uint32_t status;
	uint32_t count; /* of the entries that the firmware judged */
	uint64_t reserved_08;
} ABI_PACKED;
ABI_SIZE(struct abi_msg_cpuid_rsp, 16);

/* ---- derived keys (SNP ABI, "Key Derivation") ---- */

/* Which of the processor's keys is meant, here and in a request for a report. */
enum abi_key_select {
	ABI_KEY_VLEK_OR_VCEK = 0, /* the VLEK, if there is one */
	ABI_KEY_VCEK = 1,
	ABI_KEY_VLEK = 2,
	ABI_KEY_RESERVED = 3,
};

#define ABI_KEY_REQ_VMRK           (1u << 0) /* of select: the guest's root key, not the processor's */
#define ABI_KEY_REQ_SELECT(select) ((select) >> 1 & 3u)
#define ABI_KEY_REQ_SELECT_KNOWN   7u

/*
 * The guest chooses which of these are mixed into the key. The root key, the VMPL, the host data and the ID
 * key always are.
 */
#define ABI_KEY_FIELD_POLICY      (UINT64_C(1) << 0)
#define ABI_KEY_FIELD_IMAGE_ID    (UINT64_C(1) << 1)
#define ABI_KEY_FIELD_FAMILY_ID   (UINT64_C(1) << 2)
#define ABI_KEY_FIELD_MEASUREMENT (UINT64_C(1) << 3)
#define ABI_KEY_FIELD_GUEST_SVN   (UINT64_C(1) << 4)
#define ABI_KEY_FIELD_TCB         (UINT64_C(1) << 5)
#define ABI_KEY_FIELDS_KNOWN      UINT64_C(0x3f)

struct abi_msg_key_req {
	uint32_t select; /* bit 0: ABI_KEY_REQ_VMRK; bits 2:1: enum abi_key_select */
	uint32_t reserved_04;
	uint64_t fields;
	uint32_t vmpl; /* at least the number of the VMPCK */
	uint32_t guest_svn;
	uint64_t tcb;
} ABI_PACKED;
ABI_SIZE(struct abi_msg_key_req, 0x20);
ABI_AT(struct abi_msg_key_req, 0x08, fields);
ABI_AT(struct abi_msg_key_req, 0x10, vmpl);
ABI_AT(struct abi_msg_key_req, 0x14, guest_svn);
ABI_AT(struct abi_msg_key_req, 0x18, tcb);

struct abi_msg_key_rsp {
	uint32_t status;
	uint8_t reserved_04[28];
	uint8_t key[32];
} ABI_PACKED;
ABI_SIZE(struct abi_msg_key_rsp, 0x40);
ABI_AT(struct abi_msg_key_rsp, 0x20, key);

/* ---- reports (SNP ABI, "Attestation"); the answer is struct abi_snp_report_rsp, then the report ---- */

#define ABI_REPORT_REQ_SELECT_KNOWN 3u

struct abi_msg_report_req {
	uint8_t report_data[64];
	uint32_t vmpl;   /* at least the number of the VMPCK */
	uint32_t select; /* bits 1:0: enum abi_key_select */
	uint8_t reserved_48[24];
} ABI_PACKED;
ABI_SIZE(struct abi_msg_report_req, 0x60);
ABI_AT(struct abi_msg_report_req, 0x40, vmpl);
ABI_AT(struct abi_msg_report_req, 0x44, select);

/* ---- the secure TSC (SNP ABI, "TSC Info") ---- */

struct abi_msg_tsc_info_req {
	uint8_t reserved_00[0x80];
} ABI_PACKED;
ABI_SIZE(struct abi_msg_tsc_info_req, 0x80);

struct abi_msg_tsc_info_rsp {
	uint32_t status;
	uint32_t reserved_04;
	uint64_t scale, offset; /* of a VMSA: tsc_scale, tsc_offset */
	uint32_t factor;        /* as in the secrets page */
	uint8_t reserved_1c[100];
} ABI_PACKED;
ABI_SIZE(struct abi_msg_tsc_info_rsp, 0x80);
ABI_AT(struct abi_msg_tsc_info_rsp, 0x08, scale);
ABI_AT(struct abi_msg_tsc_info_rsp, 0x10, offset);
ABI_AT(struct abi_msg_tsc_info_rsp, 0x18, factor);

#endif
