/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify: checks a report against its certificates and against the wanted values. Any thread. SNP ABI,
 * "Attestation Report Format" and "Report Signature"; AMD 57230.
 */
#include <string.h>

#include <openssl/err.h>

#include "chain.h"
#include "verdict.h"

static void judge_signature(
        const struct abi_snp_report *report, const struct attest_chain *chain, struct attest_verdict *verdict)
{
	const char *fault;

	if (report->signature_algo != ABI_ALGO_ECDSA_P384_SHA384)
		fault = "its algorithm is not ECDSA P-384 with SHA-384";
	else
		fault = attest_key_check_ecdsa(chain->leaf.key, EVP_sha384(), report,
		        ABI_SNP_REPORT_SIGNED_BYTES, &report->signature);
	attest_verdict_judge(verdict, "signature", !fault, "the report is %ssigned by \"%s\"%s%s",
	        fault ? "not " : "", chain->leaf.cn, fault ? ": " : "", fault ?: "");
}

/*
 * A host that masks its chip's key (MASK_CHIP_KEY) gets no report signed by a VCEK. The firmware still signs
 * with a VLEK, and the report says both. SNP ABI, MSG_REPORT_REQ and SNP_CONFIG.
 */
static void judge_signer(const struct abi_snp_report *report, const struct attest_chain *chain,
        const struct attest_wanted *wanted, struct attest_verdict *verdict)
{
	const char *kind = chain->chip.is_vlek ? "VLEK" : "VCEK",
	           *claimed = attest_signer_name(report->key_info), *demanded = wanted->signer ?: kind;
	bool masked = report->key_info & ABI_SNP_KEY_MASKED && !chain->chip.is_vlek,
	     other = strcmp(kind, demanded) != 0;

	attest_verdict_judge(verdict, "signer", !masked && !other && strcmp(kind, claimed) == 0,
	        "the report names %s, the certificate is of a %s%s%s%s", claimed, kind,
	        masked ? "; this host is set not to sign with its chip's key (mask_chip_key)" : "",
	        other ? ", demanded is a " : "", other ? demanded : "");
}

/* Report, chip certificate and root must name the same product; a report of version 2 does not name one. */
static void judge_product(
        const struct abi_snp_report *report, const struct attest_chain *chain, struct attest_verdict *verdict)
{
	enum product_id of_report = attest_report_product(report), of_chip = chain->chip.product;
	bool silent = report->version < 3, foreign = chain->root_product == PRODUCT_UNKNOWN;

	attest_verdict_judge(verdict, "product",
	        of_chip != PRODUCT_UNKNOWN && (silent || of_report == of_chip) &&
	                (foreign || chain->root_product == of_chip),
	        "report: %s, certificate: %s, root: %s",
	        silent ? "does not say" : product_get(of_report)->name, chain->chip.product_name,
	        foreign ? "not AMD's" : product_get(chain->root_product)->name);
}

static enum product_tcb_layout layout_of(const struct attest_cert_chip *chip)
{
	return chip->tcb[ATTEST_TCB_FMC] >= 0 ? PRODUCT_TCB_FMC : PRODUCT_TCB_PLAIN;
}

/* The chip derives its key from reported_tcb, so the certificate must name exactly the same levels. */
static void judge_tcb(const struct abi_snp_report *report, const struct attest_cert_chip *chip,
        struct attest_verdict *verdict)
{
	char text[200] = "";
	size_t used = 0;
	bool good = true;

	for (int part = 0; part < ATTEST_TCB_PARTS; part++) {
		int reported = attest_tcb_get(report->reported_tcb, layout_of(chip), part);

		if (reported < 0 && chip->tcb[part] < 0)
			continue;
		good = good && reported == chip->tcb[part];
		if (used < sizeof(text))
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s %d",
			        used ? ", " : "", attest_tcb_part_name(part), reported);
		if (reported != chip->tcb[part] && used < sizeof(text))
			used += (size_t)snprintf(
			        text + used, sizeof(text) - used, " (certificate: %d)", chip->tcb[part]);
	}
	attest_verdict_judge(verdict, "tcb", good, "reported TCB: %s", text);
}

/* A VCEK belongs to one chip, whose id has 64 bytes, or 8 and then zeros. A VLEK belongs to a provider. */
static void judge_chip(const struct abi_snp_report *report, const struct attest_cert_chip *chip,
        const struct attest_wanted *wanted, struct attest_verdict *verdict)
{
	uint8_t id[sizeof(report->chip_id)] = {0};
	char reported[2 * 8 + 1], certified[2 * 8 + 1];

	if (chip->is_vlek) {
		attest_verdict_add(verdict, "provider", ATTEST_NOTE,
		        "a key of provider \"%s\", not of one chip", chip->csp_id);
		return;
	}
	if (bytes_are_zero(report->chip_id, sizeof(report->chip_id))) {
		attest_verdict_add(verdict, "chip-id", wanted->masked_chip_id ? ATTEST_NOTE : ATTEST_FAILED,
		        "the report hides it (mask_chip_id)%s",
		        wanted->masked_chip_id
		                ? ", as --masked-chip-id accepts; the certificate names its chip"
		                : "; --masked-chip-id accepts that");
		return;
	}
	memcpy(id, chip->hwid, chip->hwid_size);
	hex_encode(report->chip_id, 8, reported);
	hex_encode(id, 8, certified);
	attest_verdict_judge(verdict, "chip-id", memcmp(report->chip_id, id, sizeof(id)) == 0,
	        "report %s..., certificate %s... (%zu bytes compared)", reported, certified, sizeof(id));
}

static void judge_field(const struct abi_snp_report *report, enum attest_field field,
        const struct attest_wanted *wanted, struct attest_verdict *verdict)
{
	const struct attest_field_info *info = &attest_fields[field];
	const uint8_t *is = (const uint8_t *)report + info->offset;
	bool good = memcmp(is, wanted->field[field], info->size) == 0;
	char is_hex[2 * 64 + 1], wanted_hex[2 * 64 + 1];

	if (info->size <= 8) {
		snprintf(is_hex, sizeof(is_hex), "%#llx",
		        (unsigned long long)load_le(is, (unsigned)info->size));
		snprintf(wanted_hex, sizeof(wanted_hex), "%#llx",
		        (unsigned long long)load_le(wanted->field[field], (unsigned)info->size));
	} else {
		hex_encode(is, info->size, is_hex);
		hex_encode(wanted->field[field], info->size, wanted_hex);
	}
	attest_verdict_judge(
	        verdict, info->name, good, "%s%s%s", is_hex, good ? "" : ", wanted ", good ? "" : wanted_hex);
}

static void judge_min_tcb(const struct abi_snp_report *report, const struct attest_cert_chip *chip,
        const struct attest_wanted *wanted, struct attest_verdict *verdict)
{
	for (int part = 0; part < ATTEST_TCB_PARTS; part++) {
		int reported = attest_tcb_get(report->reported_tcb, layout_of(chip), part);

		if (!wanted->tcb_given[part])
			continue;
		if (reported < 0)
			attest_verdict_add(verdict, "min-tcb", ATTEST_FAILED,
			        "this product has no %s, wanted at least %u", attest_tcb_part_name(part),
			        wanted->tcb[part]);
		else
			attest_verdict_judge(verdict, "min-tcb", reported >= (int)wanted->tcb[part],
			        "%s is %d, wanted at least %u", attest_tcb_part_name(part), reported,
			        wanted->tcb[part]);
	}
}

static void judge_wanted(const struct abi_snp_report *report, const struct attest_cert_chip *chip,
        const struct attest_wanted *wanted, struct attest_verdict *verdict)
{
	for (int field = 0; field < ATTEST_FIELDS; field++) {
		if (wanted->field_given[field])
			judge_field(report, field, wanted, verdict);
	}
	judge_min_tcb(report, chip, wanted, verdict);
	if (wanted->guest_svn_given)
		attest_verdict_judge(verdict, "min-guest-svn", report->guest_svn >= wanted->guest_svn,
		        "is %u, wanted at least %u", report->guest_svn, wanted->guest_svn);
	if (wanted->csp_id)
		attest_verdict_judge(verdict, "csp-id",
		        chip->is_vlek && strcmp(chip->csp_id, wanted->csp_id) == 0,
		        "is %s%s%s, wanted \"%.64s\"", chip->is_vlek ? "\"" : "that of no provider (a VCEK)",
		        chip->csp_id, chip->is_vlek ? "\"" : "", wanted->csp_id);
}

int attest_report_verify(const struct abi_snp_report *report, const struct attest_evidence *evidence,
        struct attest_verdict *ret_verdict, struct err *err)
{
	struct attest_verdict verdict = {0};
	struct attest_chain chain;

	if (crypto_load(err) < 0 ||
	        attest_chain_gather(evidence, ABI_SNP_KEY_SIGNER(report->key_info) == ABI_SNP_SIGNER_VLEK,
	                &chain, err) < 0)
		return -1;
	judge_signature(report, &chain, &verdict);
	judge_signer(report, &chain, &evidence->wanted, &verdict);
	attest_chain_judge(&chain, evidence->at, &verdict);
	judge_product(report, &chain, &verdict);
	judge_tcb(report, &chain.chip, &verdict);
	judge_chip(report, &chain.chip, &evidence->wanted, &verdict);
	judge_wanted(report, &chain.chip, &evidence->wanted, &verdict);
	attest_notes_add(report, &chain, &evidence->wanted, &verdict);
	attest_verdict_close(&verdict);
	attest_chain_finish(&chain);
	ERR_clear_error();
	*ret_verdict = verdict;
	return 0;
}
