/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report: the attestation reports of SEV-SNP guests, read and judged.
 */
#ifndef VMM_ATTEST_REPORT_H
#define VMM_ATTEST_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "vmm/abi/report.h"
#include "vmm/attest.h"
#include "vmm/base.h"
#include "vmm/product.h"

/* ---- reading ---- */

#define ATTEST_REPORT_VERSION_MIN 2
#define ATTEST_REPORT_VERSION_MAX 5

/*
 * Reads a report (1184 bytes) that stands alone, in a MSG_REPORT_RSP (SNP ABI, MSG_REPORT_RSP) or in the
 * report of Azure's paravisor ("HCLA"). Zeros may follow the report, or a certificate table (a raw quote of
 * go-sev-guest). *ret_table becomes the table, borrowed from data, with size 0 if there is none; ret_table
 * may be NULL. ERR_USAGE if the data is none of these forms, if the report's version is not 2 to 5, or if the
 * firmware's status in the response is a refusal. Nothing in *ret_report is authentic before
 * attest_report_verify().
 */
int attest_report_parse(const void *data, size_t size, struct abi_snp_report *ret_report,
        struct attest_blob *ret_table, struct err *err) MUST_CHECK;

/*
 * Finds the product by the CPUID fields of version 3 and later. PRODUCT_UNKNOWN for older reports, and for
 * products without SEV-SNP.
 */
enum product_id attest_report_product(const struct abi_snp_report *report);

/* The parts of a TCB_VERSION, in the order in which they are shown. */
enum attest_tcb_part {
	ATTEST_TCB_FMC, /* of PRODUCT_TCB_FMC alone */
	ATTEST_TCB_BOOTLOADER,
	ATTEST_TCB_TEE,
	ATTEST_TCB_SNP,
	ATTEST_TCB_MICROCODE,
	ATTEST_TCB_PARTS
};

/*
 * Finds the layout by the CPUID fields; for version 2, which has none, by the length of the chip's id.
 */
enum product_tcb_layout attest_report_tcb_layout(const struct abi_snp_report *report);
const char *attest_tcb_part_name(enum attest_tcb_part part); /* "bootloader" */
/* Returns -1 if this layout has no such part. */
int attest_tcb_get(uint64_t tcb, enum product_tcb_layout layout, enum attest_tcb_part part);

/* The words for a bit of a field. A table ends with a row without words. */
struct attest_bit {
	unsigned bit;
	const char *key;   /* for tools: "smt"; NULL: config_snp_policy_bits has the word */
	const char *set;   /* what 1 means; NULL: nothing worth showing */
	const char *clear; /* what 0 means; NULL: nothing worth showing */
};

extern const struct attest_bit attest_policy_bits[];   /* SNP ABI, guest policy */
extern const struct attest_bit attest_platform_bits[]; /* SNP ABI, PLATFORM_INFO */
const char *attest_signer_name(uint32_t key_info);     /* "VCEK", "VLEK", "none", "reserved" */

/*
 * Gives the URL at which AMD's key server has the VCEK that signed this report. A report of version 2 does
 * not say whether its processor is a Milan or a Genoa, so it gets two URLs. It gets none if no VCEK signed
 * it, if it hides its chip, or if its processor is not known.
 */
struct attest_vcek_urls {
	size_t count;
	char url[2][ATTEST_URL_BYTES];
};
void attest_report_vcek_urls(const struct abi_snp_report *report, struct attest_vcek_urls *ret_urls);

/* ---- judging ---- */

/* The fields of a report that can be checked against a wanted value. */
enum attest_field {
	ATTEST_MEASUREMENT,
	ATTEST_HOST_DATA,
	ATTEST_REPORT_DATA,
	ATTEST_ID_KEY,
	ATTEST_AUTHOR_KEY,
	ATTEST_FAMILY_ID,
	ATTEST_IMAGE_ID,
	ATTEST_CHIP_ID,
	ATTEST_POLICY, /* as 8 bytes, little-endian */
	ATTEST_VMPL,   /* as 4 bytes, little-endian */
	ATTEST_FIELDS
};

struct attest_field_info {
	const char *name;    /* also the option of `vmm report verify`: "host-data" */
	size_t offset, size; /* in the report; size is at most 64 */
};

extern const struct attest_field_info attest_fields[ATTEST_FIELDS];

/* The values that a report must have. A zeroed struct demands nothing. */
struct attest_wanted {
	bool field_given[ATTEST_FIELDS];
	uint8_t field[ATTEST_FIELDS][64];
	bool tcb_given[ATTEST_TCB_PARTS];
	uint8_t tcb[ATTEST_TCB_PARTS]; /* reported_tcb must not be lower */
	bool guest_svn_given;
	uint32_t guest_svn;  /* must not be lower */
	const char *csp_id;  /* the cloud provider that a VLEK must name; NULL: any provider, or a VCEK */
	const char *signer;  /* "VCEK" or "VLEK": the kind of key that must have signed; NULL: either */
	bool masked_chip_id; /* accept a report that hides its chip */
};

/* The certificates of a table that hosts hand to guests (GHCB, "SNP Extended Guest Request"), DER. */
struct attest_table {
	struct attest_blob vcek, vlek, ask, ark; /* size 0: not in the table */
};

/* Makes a table. The caller frees *ret_data. ERR_USAGE if the table would exceed ATTEST_FILE_MAX_BYTES. */
int attest_table_make(
        const struct attest_table *from, uint8_t **ret_data, size_t *ret_size, struct err *err) MUST_CHECK;

/*
 * Finds the certificates of a table, which are borrowed from the blob. ERR_USAGE with the blob's name if an
 * entry leaves the table, overlaps another, or is there twice, or if a byte outside all entries is not zero.
 */
int attest_table_parse(
        const struct attest_blob *blob, struct attest_table *ret_table, struct err *err) MUST_CHECK;
/*
 * Checks that each certificate is X.509 and of its kind, that there is one of a key that signs reports, and
 * that the names of the issuers fit. *ret_lacks becomes the words for what a verifier has to get elsewhere,
 * or NULL. ERR_USAGE.
 */
int attest_table_check(const struct attest_table *table, const char **ret_lacks, struct err *err) MUST_CHECK;
/*
 * Decodes a file that holds one certificate, in PEM or in DER; ret_der has room for blob->size bytes. It does
 * not look into the DER. ERR_USAGE with the blob's name.
 */
int attest_cert_decode(
        const struct attest_blob *blob, uint8_t *ret_der, size_t *ret_size, struct err *err) MUST_CHECK;

#define ATTEST_CHAIN_FILES 4

struct attest_evidence {
	/*
	 * Files with one or more certificates each, in DER or PEM: VCEK or VLEK, ASK or ASVK, ARK. The
	 * contents of a certificate decide what it is used for, not the file that holds it.
	 */
	struct attest_blob leaf, chain[ATTEST_CHAIN_FILES];
	struct attest_blob table; /* the GHCB certificate table, used for what the files do not hold */
	struct attest_blob root;  /* a root key's certificate to trust beside AMD's, DER or PEM */
	time_t at;                /* the time at which the certificates must be valid */
	struct attest_wanted wanted;
};

/*
 * Judges a report: signature, certificates up to a trusted root, the certificate's TCB, chip and product, and
 * every wanted value (SNP ABI, "Attestation Report Format"; AMD 57230, VCEK certificates). All checks are
 * made and listed even if one fails. Returns -1 with ERR_USAGE only if a certificate is missing or cannot be
 * read.
 */
int attest_report_verify(const struct abi_snp_report *report, const struct attest_evidence *evidence,
        struct attest_verdict *ret_verdict, struct err *err) MUST_CHECK;

#endif
