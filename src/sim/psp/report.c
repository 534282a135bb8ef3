/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report: makes attestation reports; the PEK signs those of SEV, the VCEK or VLEK those of SNP. Any thread
 * may call; commands run with the lock of the secure processor held. SEV API, ATTESTATION; SNP ABI,
 * MSG_REPORT_REQ and ATTESTATION_REPORT.
 */
#include <string.h>

#include "identity.h"

/* ---- SEV ---- */

static uint32_t report_sev(struct psp *psp, const struct psp_sev_guest *guest,
        const uint8_t mnonce[static 16], struct abi_sev_report *ret_report)
{
	const struct psp_identity *identity = psp_identity_get(psp);
	struct abi_sev_report report = {
	        .policy = guest->policy,
	        .sig_usage = ABI_SEV_USAGE_PEK,
	        .sig_algo = ABI_SEV_ALGO_ECDSA_SHA256,
	};
	struct abi_signature signature;

	memcpy(report.mnonce, mnonce, sizeof(report.mnonce));
	memcpy(report.digest, guest->digest, sizeof(report.digest));
	if (!identity || !psp_ec_sign(&identity->pek, EC_SHA256, &report,
	                         offsetof(struct abi_sev_report, sig_usage), &signature))
		return PSP_BROKEN;
	memcpy(report.r, signature.r, sizeof(report.r));
	memcpy(report.s, signature.s, sizeof(report.s));
	*ret_report = report;
	return PSP_SUCCESS;
}

uint32_t psp_attestation_report(
        struct psp *psp, uint32_t handle, const uint8_t mnonce[static 16], struct abi_sev_report *ret_report)
{
	struct psp_sev_guest *guest;
	auto_leave struct psp_call call = psp_command_enter_sev(psp, PSP_CMD_ATTESTATION, handle, &guest);

	if (call.code)
		return call.code;
	return ret_report ? report_sev(psp, guest, mnonce, ret_report) : PSP_INVALID_LEN;
}

/* ---- SNP ---- */

/* PLATFORM_INFO */
#define PLATFORM_SMT               (1u << 0)
#define PLATFORM_ECC               (1u << 2)
#define PLATFORM_CIPHERTEXT_HIDING (1u << 4)
#define PLATFORM_ALIAS_CHECK       (1u << 5)
#define PLATFORM_BIT_6             (1u << 6) /* set in every genuine report with FMC; AMD's text has no name */

/* ECC and the alias check appear from version 3 on, as genuine reports show. */
static uint64_t platform_info(const struct psp *psp, uint32_t version)
{
	const struct psp_options *o = &psp->options;

	return (o->smt_off ? 0 : PLATFORM_SMT) | (o->snp_asids ? PLATFORM_CIPHERTEXT_HIDING : 0) |
	       (version >= 3 ? PLATFORM_ECC | PLATFORM_ALIAS_CHECK : 0) |
	       (psp->product->tcb_layout == PRODUCT_TCB_FMC ? PLATFORM_BIT_6 : 0);
}

static void put_processor(uint32_t signature, struct abi_snp_report *report)
{
	report->cpuid_family = (uint8_t)product_family(signature);
	report->cpuid_model = (uint8_t)product_model(signature);
	report->cpuid_stepping = (uint8_t)product_stepping(signature);
}

static void put_platform(const struct psp *psp, struct abi_snp_report *report)
{
	const struct psp_options *o = &psp->options;
	const struct psp_product_report form =
	        psp_product_report(psp->product, o->snp_major, o->snp_minor, o->snp_build);

	report->version = form.version;
	report->signature_algo = ABI_ALGO_ECDSA_P384_SHA384;
	report->current_tcb = o->tcb;
	report->committed_tcb = psp->committed_tcb;
	report->reported_tcb = psp->reported_tcb;
	report->platform_info = platform_info(psp, form.version);
	report->current = (struct abi_snp_version){o->snp_build, o->snp_minor, o->snp_major, 0};
	report->committed = report->current;
	report->launch_mit_vector = report->current_mit_vector = form.mitigations;
	if (!psp->mask_chip_id)
		memcpy(report->chip_id, psp->chip.id, sizeof(report->chip_id));
	if (form.version >= 3)
		put_processor(psp->product->signature, report);
}

static void put_guest(const struct psp_snp_guest *guest, struct abi_snp_report *report)
{
	report->guest_svn = guest->block.guest_svn;
	report->policy = guest->policy;
	report->launch_tcb = guest->launch_tcb;
	memcpy(report->family_id, guest->block.family_id, sizeof(report->family_id));
	memcpy(report->image_id, guest->block.image_id, sizeof(report->image_id));
	memcpy(report->measurement, guest->digest, sizeof(report->measurement));
	memcpy(report->host_data, guest->host_data, sizeof(report->host_data));
	memcpy(report->id_key_digest, guest->id_key_digest, sizeof(report->id_key_digest));
	memcpy(report->author_key_digest, guest->author_key_digest, sizeof(report->author_key_digest));
	memcpy(report->report_id, guest->report_id, sizeof(report->report_id));
	memset(report->report_id_ma, 0xff, sizeof(report->report_id_ma)); /* no migration agent */
}

/* A loaded VLEK signs in place of the VCEK. If the host masks its chip's key, the report is not signed. */
static bool sign(struct psp *psp, const struct psp_snp_guest *guest, struct abi_snp_report *report)
{
	struct psp_ec_key key = {0};
	uint32_t signer = ABI_SNP_SIGNER_NONE;
	bool good = true;

	if (psp->vlek.loaded) {
		key = psp->vlek.key;
		signer = ABI_SNP_SIGNER_VLEK;
	} else if (!psp->mask_chip_key) {
		good = psp_keys_vcek(psp, &key);
		signer = ABI_SNP_SIGNER_VCEK;
	}
	report->key_info = (guest->author_en ? ABI_SNP_KEY_AUTHOR : 0) |
	                   (psp->mask_chip_key ? ABI_SNP_KEY_MASKED : 0) | signer << 2;
	if (good && signer != ABI_SNP_SIGNER_NONE)
		good = psp_ec_sign(&key, EC_SHA384, report, ABI_SNP_REPORT_SIGNED_BYTES, &report->signature);
	crypto_wipe(&key, sizeof(key));
	return good;
}

static uint32_t report_snp(struct psp *psp, const struct psp_snp_guest *guest,
        const uint8_t report_data[static 64], uint32_t vmpl, struct abi_snp_report *ret_report)
{
	struct abi_snp_report report = {.vmpl = vmpl};

	if (guest->vcek_disabled && !psp->vlek.loaded)
		return PSP_INVALID_KEY;
	put_platform(psp, &report);
	put_guest(guest, &report);
	memcpy(report.report_data, report_data, sizeof(report.report_data));
	if (!sign(psp, guest, &report))
		return PSP_BROKEN;
	*ret_report = report;
	return PSP_SUCCESS;
}

uint32_t psp_snp_report(struct psp *psp, uint32_t gctx, const uint8_t report_data[static 64], uint32_t vmpl,
        struct abi_snp_report *ret_report)
{
	struct psp_snp_guest *guest;
	auto_leave struct psp_call call = psp_command_enter_snp(psp, PSP_CMD_SNP_GUEST_REPORT, gctx, &guest);

	if (call.code)
		return call.code;
	if (vmpl > 3)
		return PSP_INVALID_PARAM;
	return report_snp(psp, guest, report_data, vmpl, ret_report);
}
