/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report: reads SNP attestation reports, and names their bits in words. Any thread. SNP ABI:
 * ATTESTATION_REPORT, MSG_REPORT_RSP, TCB_VERSION, guest policy, PLATFORM_INFO.
 */
#include <string.h>

#include "vmm/attest.h"

#include "bytes.h"
#include "form.h"
#include "table.h"
#include "vmm/attest/report.h"

#define HCL_HEADER_BYTES 32
#define FAMILY_FMC       0x1a /* from this CPUID family on, also of products that are not known, TCBs have FMC */

static int refuse(const void *data, size_t size, struct err *err)
{
	const char *guess = attest_form_guess(data, size);

	return err_set(err, ERR_USAGE,
	        "has %zu bytes and is not an attestation report: neither one of %zu bytes, nor a report "
	        "response, nor a "
	        "report of Azure's paravisor, as they are, in Base64 or in hexadecimal%s%s",
	        size, sizeof(struct abi_snp_report), guess ? "; " : "", guess ?: "");
}

/* Skips the header of the answer to a guest's request. The report and the rest of the page follow it. */
static int skip_response_header(struct cursor *c, struct err *err)
{
	const struct cursor whole = *c;
	uint32_t status = cursor_u32(c), size = cursor_u32(c);
	const uint8_t *reserved = cursor_take(c, sizeof(((struct abi_snp_report_rsp *)0)->reserved));

	if (!reserved || !bytes_are_zero(reserved, 24) ||
	        (size != sizeof(struct abi_snp_report) && status == 0))
		return refuse(whole.at, whole.left, err);
	if (status != 0)
		return err_set(err, ERR_USAGE,
		        "is a report response with status %#x: the firmware made no report "
		        "(0x16: the request's parameters, 0x27: the key that was asked for)",
		        status);
	return 0;
}

static bool is_known_version(uint32_t version)
{
	return version >= ATTEST_REPORT_VERSION_MIN && version <= ATTEST_REPORT_VERSION_MAX;
}

/*
 * Skips everything up to the report. A response begins with its status, and no status equals a report's
 * version.
 */
static int skip_header(struct cursor *c, struct err *err)
{
	if (c->left == sizeof(struct abi_snp_report) || (c->left >= 4 && is_known_version(load_le(c->at, 4))))
		return 0;
	if (c->left >= HCL_HEADER_BYTES && memcmp(c->at, "HCLA", 4) == 0) {
		cursor_take(c, HCL_HEADER_BYTES);
		return 0;
	}
	return skip_response_header(c, err);
}

/*
 * Checks what follows the report: zeros, as in a page or a buffer of the request; a certificate table, as in
 * a raw quote; or the claims of a paravisor.
 */
static int take_rest(const struct cursor *c, bool is_hcl, struct attest_blob *ret_table, struct err *err)
{
	const struct attest_blob rest = {c->at, c->left, "the certificate table behind the report"};
	struct attest_table_certs table;

	*ret_table = (struct attest_blob){0};
	if (is_hcl || bytes_are_zero(c->at, c->left))
		return 0;
	if (attest_table_read(&rest, &table, NULL) < 0)
		return err_set(err, ERR_USAGE,
		        "has %zu bytes after the report that are neither zeros nor a certificate table; "
		        "`head -c %zu FILE` keeps a report that comes first",
		        c->left, sizeof(struct abi_snp_report));
	*ret_table = rest;
	return 0;
}

int attest_report_parse(const void *data, size_t size, struct abi_snp_report *ret_report,
        struct attest_blob *ret_table, struct err *err)
{
	struct cursor c = cursor_over(data, size);
	struct attest_blob table;
	struct abi_snp_report report;

	if (skip_header(&c, err) < 0)
		return -1;
	cursor_copy(&c, &report, sizeof(report));
	if (c.bad)
		return err_set(err, ERR_USAGE, "ends within the report: %zu bytes; a report alone has %zu",
		        size, sizeof(report));
	if (!is_known_version(report.version))
		return err_set(err, ERR_USAGE, "has report version %u; versions %d to %d are known",
		        report.version, ATTEST_REPORT_VERSION_MIN, ATTEST_REPORT_VERSION_MAX);
	if (take_rest(&c, size >= 4 && memcmp(data, "HCLA", 4) == 0, &table, err) < 0)
		return -1;
	*ret_report = report;
	if (ret_table)
		*ret_table = table;
	return 0;
}

enum product_id attest_report_product(const struct abi_snp_report *report)
{
	enum product_id id = report->version < 3
	                             ? PRODUCT_UNKNOWN
	                             : product_by_model(report->cpuid_family, report->cpuid_model);

	return product_get(id)->snp ? id : PRODUCT_UNKNOWN;
}

static bool has_short_id(const struct abi_snp_report *report)
{
	size_t size = product_chip_id_bytes(PRODUCT_TCB_FMC);

	return bytes_are_zero(report->chip_id + size, sizeof(report->chip_id) - size) &&
	       !bytes_are_zero(report->chip_id, size);
}

enum product_tcb_layout attest_report_tcb_layout(const struct abi_snp_report *report)
{
	if (report->version >= 3)
		return report->cpuid_family >= FAMILY_FMC ? PRODUCT_TCB_FMC : PRODUCT_TCB_PLAIN;
	/*
	 * A masked chip id is all zeros and hides its length. No report of version 2 with a short id was
	 * seen.
	 */
	return has_short_id(report) ? PRODUCT_TCB_FMC : PRODUCT_TCB_PLAIN;
}

/* The byte of each part in a TCB_VERSION; -1 if the layout does not have the part. */
static const struct {
	const char *name;
	int byte[2];
} tcb_parts[ATTEST_TCB_PARTS] = {
        [ATTEST_TCB_FMC] = {"fmc", {-1, 0}},
        [ATTEST_TCB_BOOTLOADER] = {"bootloader", {0, 1}},
        [ATTEST_TCB_TEE] = {"tee", {1, 2}},
        [ATTEST_TCB_SNP] = {"snp", {6, 3}},
        [ATTEST_TCB_MICROCODE] = {"microcode", {7, 7}},
};

const char *attest_tcb_part_name(enum attest_tcb_part part)
{
	return tcb_parts[part].name;
}

int attest_tcb_get(uint64_t tcb, enum product_tcb_layout layout, enum attest_tcb_part part)
{
	int byte = tcb_parts[part].byte[layout];

	return byte < 0 ? -1 : (int)(tcb >> (8 * byte) & 0xff);
}

const struct attest_bit attest_policy_bits[] = {
        {16, NULL, "SMT allowed", "SMT forbidden"},
        {17, NULL, NULL, "bit 17 is 0, which no firmware accepts"},
        {18, NULL, "migration agent allowed", NULL},
        {19, NULL, "DEBUGGING ALLOWED", "no debugging"},
        {20, NULL, "one socket only", NULL},
        {21, NULL, "CXL allowed", NULL},
        {22, NULL, "AES-256-XTS memory encryption demanded", NULL},
        {23, NULL, "RAPL must be off", NULL},
        {24, NULL, "ciphertext hiding demanded", NULL},
        {25, NULL, "page swapping forbidden", NULL},
        {0},
};

const struct attest_bit attest_platform_bits[] = {
        {0, "smt", "SMT on", "SMT off"},
        {1, "tsme", "TSME on", NULL},
        {2, "ecc", "ECC memory", NULL},
        {3, "rapl-dis", "RAPL off", NULL},
        {4, "ciphertext-hiding", "ciphertext hiding on", NULL},
        {5, "alias-check", "memory alias check done", NULL},
        /* Genuine reports with FMC set this bit. AMD's texts do not name it; other verifiers do. */
        {6, "iommu-write-safe", "IOMMU write-safe (bit 6, named by others than AMD)", NULL},
        {7, "tio", "trusted I/O on", NULL},
        {0},
};

const char *attest_signer_name(uint32_t key_info)
{
	switch (ABI_SNP_KEY_SIGNER(key_info)) {
	case ABI_SNP_SIGNER_VCEK: return "VCEK";
	case ABI_SNP_SIGNER_VLEK: return "VLEK";
	case ABI_SNP_SIGNER_NONE: return "none";
	default: return "reserved";
	}
}

const struct attest_field_info attest_fields[ATTEST_FIELDS] = {
#define FIELD(name, member) \
	{ \
		name, offsetof(struct abi_snp_report, member), sizeof(((struct abi_snp_report *)0)->member) \
	}
        [ATTEST_MEASUREMENT] = FIELD("measurement", measurement),
        [ATTEST_HOST_DATA] = FIELD("host-data", host_data),
        [ATTEST_REPORT_DATA] = FIELD("report-data", report_data),
        [ATTEST_ID_KEY] = FIELD("id-key", id_key_digest),
        [ATTEST_AUTHOR_KEY] = FIELD("author-key", author_key_digest),
        [ATTEST_FAMILY_ID] = FIELD("family-id", family_id),
        [ATTEST_IMAGE_ID] = FIELD("image-id", image_id),
        [ATTEST_CHIP_ID] = FIELD("chip-id", chip_id),
        [ATTEST_POLICY] = FIELD("policy", policy),
        [ATTEST_VMPL] = FIELD("vmpl", vmpl),
#undef FIELD
};
