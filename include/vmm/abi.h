/*
 * abi: layouts that a guest or the SEV firmware sees, as they lie in memory: little-endian, packed, their
 * sizes and offsets asserted. Layouts and numbers only; any room may include this. Sections name their law.
 */
#ifndef VMM_ABI_H
#define VMM_ABI_H

#include <stddef.h>
#include <stdint.h>

#define ABI_PACKED             __attribute__((packed))
#define ABI_SIZE(type, size)   _Static_assert(sizeof(type) == (size), #type " has another size")
#define ABI_AT(type, at, name) _Static_assert(offsetof(type, name) == (at), #type "." #name " lies elsewhere")

/*
 * ---- GUIDs in memory: there are two orders, and each has a type of its own so that they cannot be mixed up
 * ----
 *
 * EFI's, of firmware tables and launch secrets: the first three groups are little-endian (UEFI, appendix A).
 * That of the text, of certificate tables: the bytes lie as the digits are written (RFC 4122, section 4.1.2).
 */

struct abi_efi_guid {
	uint8_t bytes[16];
};

#define ABI_EFI_GUID(a, b, c, d, e) \
	((struct abi_efi_guid){{(uint8_t)(a), (uint8_t)((a) >> 8), (uint8_t)((a) >> 16), \
	        (uint8_t)((a) >> 24), (uint8_t)(b), (uint8_t)((b) >> 8), (uint8_t)(c), (uint8_t)((c) >> 8), \
	        (uint8_t)((d) >> 8), (uint8_t)(d), (uint8_t)((uint64_t)(e) >> 40), \
	        (uint8_t)((uint64_t)(e) >> 32), (uint8_t)((e) >> 24), (uint8_t)((e) >> 16), \
	        (uint8_t)((e) >> 8), (uint8_t)(e)}})

struct abi_text_guid {
	uint8_t digits[16];
};

/* ---- policies (SEV API 2; SNP ABI 4.3) ---- */

#define ABI_SEV_POLICY_NODBG  (1u << 0)
#define ABI_SEV_POLICY_NOKS   (1u << 1)
#define ABI_SEV_POLICY_ES     (1u << 2)
#define ABI_SEV_POLICY_NOSEND (1u << 3)
#define ABI_SEV_POLICY_DOMAIN (1u << 4)
#define ABI_SEV_POLICY_SEV    (1u << 5)
#define ABI_SEV_POLICY_KNOWN  0xffff003full /* with the API version in bits 16..31 */

#define ABI_SNP_POLICY_SMT           (1ull << 16)
#define ABI_SNP_POLICY_MUST_BE_ONE   (1ull << 17)
#define ABI_SNP_POLICY_MIGRATE_MA    (1ull << 18)
#define ABI_SNP_POLICY_DEBUG         (1ull << 19)
#define ABI_SNP_POLICY_SINGLE_SOCKET (1ull << 20)
#define ABI_SNP_POLICY_KNOWN         0x3ffffffull /* with the ABI version in bits 0..15 */

/* ---- SNP launch digest (SNP ABI 8.17, PAGE_INFO and PAGE_TYPE) ---- */

enum abi_page_type {
	ABI_PAGE_NORMAL = 1,
	ABI_PAGE_VMSA = 2,
	ABI_PAGE_ZERO = 3,
	ABI_PAGE_UNMEASURED = 4,
	ABI_PAGE_SECRETS = 5,
	ABI_PAGE_CPUID = 6,
};

/* Where the RMP records VMSA pages: all ones, page aligned, cut to 48 bits. */
#define ABI_VMSA_GPA 0xfffffffff000ull

struct abi_page_info {
	uint8_t digest_cur[48];
	uint8_t contents[48]; /* SHA-384 of a NORMAL or VMSA page, else 0 */
	uint16_t length;      /* of this structure */
	uint8_t page_type;
	uint8_t imi_page;
	uint8_t permissions[4]; /* of VMPL 3, 2, 1 and reserved: 0 under KVM */
	uint64_t gpa;
} ABI_PACKED;
ABI_SIZE(struct abi_page_info, 0x70);
ABI_AT(struct abi_page_info, 0x60, length);
ABI_AT(struct abi_page_info, 0x68, gpa);

/* ---- VMSA (APM volume 2, table B-4) ---- */

struct abi_segment {
	uint16_t selector, attrib;
	uint32_t limit;
	uint64_t base;
} ABI_PACKED;
ABI_SIZE(struct abi_segment, 16);

struct abi_vmsa {
	struct abi_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	uint64_t pl_ssp[4];
	uint64_t u_cet;
	uint8_t reserved_0c8[2];
	uint8_t vmpl, cpl;
	uint8_t reserved_0cc[4];
	uint64_t efer;
	uint8_t reserved_0d8[104];
	uint64_t xss;
	uint64_t cr4, cr3, cr0;
	uint64_t dr7, dr6;
	uint64_t rflags, rip;
	uint64_t dr0, dr1, dr2, dr3;
	uint64_t dr_mask[4];
	uint8_t reserved_1c0[24];
	uint64_t rsp;
	uint64_t s_cet, ssp, isst_addr;
	uint64_t rax;
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base, sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t cr2;
	uint8_t reserved_248[32];
	uint64_t g_pat, dbgctl, br_from, br_to, last_excp_from, last_excp_to;
	uint8_t reserved_298[80];
	uint32_t pkru, tsc_aux;
	uint64_t tsc_scale, tsc_offset;
	uint8_t reserved_300[8];
	uint64_t rcx, rdx, rbx;
	uint8_t reserved_320[8];
	uint64_t rbp, rsi, rdi;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint8_t reserved_380[16];
	uint64_t exit_info_1, exit_info_2, exit_int_info, nrip;
	uint64_t sev_features;
	uint64_t vintr, exit_code, vtom, tlb_id, pcpu_id, event_inj;
	uint64_t xcr0;
	uint8_t reserved_3f0[16];
	uint64_t x87_dp;
	uint32_t mxcsr;
	uint16_t x87_ftw, x87_fsw, x87_fcw, x87_fop, x87_ds, x87_cs;
	uint64_t x87_rip;
	uint8_t x87[80];
	uint8_t xmm[16][16];
	uint8_t ymm[16][16]; /* the upper halves */
	uint8_t reserved_670[2448];
} ABI_PACKED;
ABI_SIZE(struct abi_vmsa, 4096);
ABI_AT(struct abi_vmsa, 0x0ca, vmpl);
ABI_AT(struct abi_vmsa, 0x0d0, efer);
ABI_AT(struct abi_vmsa, 0x140, xss);
ABI_AT(struct abi_vmsa, 0x178, rip);
ABI_AT(struct abi_vmsa, 0x1d8, rsp);
ABI_AT(struct abi_vmsa, 0x1f8, rax);
ABI_AT(struct abi_vmsa, 0x240, cr2);
ABI_AT(struct abi_vmsa, 0x268, g_pat);
ABI_AT(struct abi_vmsa, 0x2e8, pkru);
ABI_AT(struct abi_vmsa, 0x310, rdx);
ABI_AT(struct abi_vmsa, 0x378, r15);
ABI_AT(struct abi_vmsa, 0x3b0, sev_features);
ABI_AT(struct abi_vmsa, 0x3e8, xcr0);
ABI_AT(struct abi_vmsa, 0x408, mxcsr);
ABI_AT(struct abi_vmsa, 0x410, x87_fcw);
ABI_AT(struct abi_vmsa, 0x420, x87);
ABI_AT(struct abi_vmsa, 0x470, xmm);
ABI_AT(struct abi_vmsa, 0x570, ymm);

/* sev_features of the VMSA (APM volume 2, table B-4; SEV_STATUS shows them to the guest). */
#define ABI_FEATURE_SNP              (1ull << 0)
#define ABI_FEATURE_VTOM             (1ull << 1)
#define ABI_FEATURE_REFLECT_VC       (1ull << 2)
#define ABI_FEATURE_RESTRICTED_INJ   (1ull << 3)
#define ABI_FEATURE_ALTERNATE_INJ    (1ull << 4)
#define ABI_FEATURE_DEBUG_SWAP       (1ull << 5)
#define ABI_FEATURE_PREVENT_HOST_IBS (1ull << 6)
#define ABI_FEATURE_BTB_ISOLATION    (1ull << 7)
#define ABI_FEATURE_VMPL_SSS         (1ull << 8)
#define ABI_FEATURE_SECURE_TSC       (1ull << 9)
#define ABI_FEATURE_VMGEXIT_PARAM    (1ull << 10)
#define ABI_FEATURE_PMC_VIRT         (1ull << 11)
#define ABI_FEATURE_IBS_VIRT         (1ull << 12)
#define ABI_FEATURE_VMSA_REG_PROT    (1ull << 14)
#define ABI_FEATURE_SMT_PROT         (1ull << 15)

/* ---- OVMF's tables at the end of the image (edk2 OvmfPkg/ResetVector) ---- */

/* The footer's entry ends this far before the end of the image. */
#define ABI_OVMF_FOOTER_GAP 32

/* Ends an entry; its data lies below it. len counts data and this structure. */
struct abi_ovmf_entry {
	uint16_t len;
	struct abi_efi_guid guid;
} ABI_PACKED;
ABI_SIZE(struct abi_ovmf_entry, 18);

#define ABI_OVMF_FOOTER   ABI_EFI_GUID(0x96b582de, 0x1fb2, 0x45f7, 0xbaea, 0xa366c55a082d)
#define ABI_OVMF_RESET    ABI_EFI_GUID(0x00f771de, 0x1a7e, 0x4fcb, 0x890e, 0x68c77e2fb44e)
#define ABI_OVMF_SECRET   ABI_EFI_GUID(0x4c2eb361, 0x7d9b, 0x4cc3, 0x8081, 0x127c90d3d294)
#define ABI_OVMF_HASHES   ABI_EFI_GUID(0x7255371f, 0x3a3b, 0x4b04, 0x927b, 0x1da6efa8d454)
#define ABI_OVMF_METADATA ABI_EFI_GUID(0xdc886566, 0x984a, 0x4798, 0xa75e, 0x5585a7bf67cc)

enum abi_ovmf_section_type {
	ABI_OVMF_SEC_MEM = 1,
	ABI_OVMF_SECRETS = 2,
	ABI_OVMF_CPUID = 3,
	ABI_OVMF_SVSM_CAA = 4,
	ABI_OVMF_KERNEL_HASHES = 0x10,
};

#define ABI_OVMF_METADATA_SIGNATURE "ASEV"
#define ABI_OVMF_METADATA_VERSION   1

struct abi_ovmf_metadata {
	char signature[4];
	uint32_t len; /* header and sections */
	uint32_t version;
	uint32_t count;
} ABI_PACKED;
ABI_SIZE(struct abi_ovmf_metadata, 16);

struct abi_ovmf_section {
	uint32_t gpa, size, type;
} ABI_PACKED;
ABI_SIZE(struct abi_ovmf_section, 12);

/* ---- kernel hashes (edk2 OvmfPkg/AmdSev/BlobVerifierLibSevHashes) ---- */

#define ABI_HASHES_TABLE   ABI_EFI_GUID(0x9438d606, 0x4f22, 0x4cc9, 0xb479, 0xa793d411fd21)
#define ABI_HASHES_CMDLINE ABI_EFI_GUID(0x97d02dd8, 0xbd20, 0x4c94, 0xaa78, 0xe7714d36ab2a)
#define ABI_HASHES_INITRD  ABI_EFI_GUID(0x44baf731, 0x3a2f, 0x4bd7, 0x9af1, 0x41e29169781d)
#define ABI_HASHES_KERNEL  ABI_EFI_GUID(0x4de79437, 0xabd2, 0x427f, 0xb835, 0xd5b172d2045b)

struct abi_hash {
	struct abi_efi_guid guid;
	uint16_t len; /* of this structure */
	uint8_t sha256[32];
} ABI_PACKED;
ABI_SIZE(struct abi_hash, 50);

struct abi_hashes {
	struct abi_efi_guid guid;
	uint16_t len; /* without the padding */
	struct abi_hash cmdline, initrd, kernel;
	uint8_t padding[8]; /* LAUNCH_UPDATE_DATA takes multiples of 16 bytes */
} ABI_PACKED;
ABI_SIZE(struct abi_hashes, 0xb0);
ABI_AT(struct abi_hashes, 168, padding);

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

/* What MSG_REPORT_REQ is answered with; the report follows. */
struct abi_snp_report_rsp {
	uint32_t status;
	uint32_t report_size;
	uint8_t reserved[24];
} ABI_PACKED;
ABI_SIZE(struct abi_snp_report_rsp, 32);

/* ---- SNP: pages that the firmware checks or fills (SNP ABI, SNP_LAUNCH_UPDATE) ---- */

#define ABI_CPUID_PAGE_MAX 64

struct abi_cpuid_entry {
	uint32_t eax_in, ecx_in;
	uint64_t xcr0_in, xss_in;
	uint32_t eax, ebx, ecx, edx;
	uint64_t reserved;
} ABI_PACKED;
ABI_SIZE(struct abi_cpuid_entry, 48);

struct abi_cpuid_page {
	uint32_t count;
	uint32_t reserved_04;
	uint64_t reserved_08;
	struct abi_cpuid_entry entries[ABI_CPUID_PAGE_MAX];
	uint8_t reserved_c10[1008];
} ABI_PACKED;
ABI_SIZE(struct abi_cpuid_page, 4096);

struct abi_secrets_page {
	uint32_t version;
	uint32_t flags; /* bit 0: initial migration image */
	uint32_t fms;   /* family, model, stepping: CPUID.1.EAX */
	uint32_t reserved_0c;
	uint8_t gosvw[16];
	uint8_t vmpck[4][32];
	uint8_t os_area[96];
	uint8_t vmsa_tweak_bitmap[64];
	uint64_t svsm_base, svsm_size, svsm_caa;
	uint32_t svsm_max_version;
	uint8_t svsm_guest_vmpl, reserved_15d[3];
	uint32_t tsc_factor;
	uint8_t reserved_164[3740];
} ABI_PACKED;
ABI_SIZE(struct abi_secrets_page, 4096);
ABI_AT(struct abi_secrets_page, 0x20, vmpck);
ABI_AT(struct abi_secrets_page, 0xa0, os_area);
ABI_AT(struct abi_secrets_page, 0x100, vmsa_tweak_bitmap);
ABI_AT(struct abi_secrets_page, 0x140, svsm_base);
ABI_AT(struct abi_secrets_page, 0x15c, svsm_guest_vmpl);
ABI_AT(struct abi_secrets_page, 0x160, tsc_factor);

/*
 * ---- SNP: the certificate table of an extended guest request (GHCB, "SNP Extended Guest Request") ----
 *
 * The specification gives the GUIDs as text. Everybody stores them in the order of the text: AMD's sev-guest
 * by uuid_parse(), virtee/sev by Uuid::as_bytes(), go-sev-guest by uuid.UUID.
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
	uint32_t usage; /* of the key that signed, ABI_SEV_USAGE_INVALID: none */
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

/* What PDH_CERT_EXPORT gives beside the PDH. */
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

/* ---- SEV and SEV-ES: what the guest's owner sends and gets (SEV API, LAUNCH_START to LAUNCH_SECRET) ---- */

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
