/*
 * report: attestation reports, of SEV signed by the PEK, of SNP by the VCEK or VLEK. Any thread; the lock of
 * the secure processor. SEV API, ATTESTATION; SNP ABI, MSG_REPORT_REQ and ATTESTATION_REPORT.
 */
#include <string.h>

#include "identity.h"

/* ---- SEV ---- */

static uint32_t report_sev(struct psp *psp, const struct sev_guest *guest, const uint8_t mnonce[static 16],
        struct abi_sev_report *ret_report)
{
	const struct identity *identity = identity_get(psp);
	struct abi_sev_report report = {
	        .policy = guest->policy,
	        .sig_usage = ABI_SEV_USAGE_PEK,
	        .sig_algo = ABI_SEV_ALGO_ECDSA_SHA256,
	};
	struct abi_signature signature;

	memcpy(report.mnonce, mnonce, sizeof(report.mnonce));
	memcpy(report.digest, guest->digest, sizeof(report.digest));
	if (!identity || !ec_sign(&identity->pek, EC_SHA256, &report,
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
	struct sev_guest *guest;
	uint32_t code = command_enter_sev(psp, PSP_CMD_ATTESTATION, handle, &guest);

	if (code == PSP_SUCCESS)
		code = report_sev(psp, guest, mnonce, ret_report);
	return command_leave(psp, code);
}

/* ---- SNP ---- */

#define PLATFORM_SMT               (1u << 0)
#define PLATFORM_CIPHERTEXT_HIDING (1u << 4)

/* CPUID fields came with ABI 1.56, mitigation vectors with 1.58; Turin's firmware always had the former. */
static uint32_t version_of(const struct psp *psp)
{
	const struct psp_options *o = &psp->options;

	if (o->snp_major > 1 || o->snp_minor >= 58)
		return 5;
	return o->snp_minor >= 56 || psp->product->fmc ? 3 : 2;
}

static void put_platform(const struct psp *psp, struct abi_snp_report *report)
{
	const struct psp_options *o = &psp->options;
	uint32_t signature = psp->product->signature;

	report->version = version_of(psp);
	report->signature_algo = ABI_ALGO_ECDSA_P384_SHA384;
	report->current_tcb = o->tcb;
	report->committed_tcb = psp->committed_tcb;
	report->reported_tcb = psp->reported_tcb;
	report->platform_info =
	        (o->smt_off ? 0 : PLATFORM_SMT) | (o->snp_asids ? PLATFORM_CIPHERTEXT_HIDING : 0);
	report->current = (struct abi_snp_version){o->snp_build, o->snp_minor, o->snp_major, 0};
	report->committed = report->current;
	if (!psp->mask_chip_id)
		memcpy(report->chip_id, psp->chip.id, sizeof(report->chip_id));
	if (report->version >= 3) {
		report->cpuid_family = (uint8_t)((signature >> 8 & 0xf) + (signature >> 20 & 0xff));
		report->cpuid_model = (uint8_t)((signature >> 4 & 0xf) | (signature >> 12 & 0xf0));
		report->cpuid_stepping = signature & 0xf;
	}
}

static void put_guest(const struct snp_guest *guest, struct abi_snp_report *report)
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

/* A VLEK, if there is one, goes before the VCEK; a host that masks its chip's key signs with none. */
static bool sign(struct psp *psp, const struct snp_guest *guest, struct abi_snp_report *report)
{
	struct ec_key key = {0};
	uint32_t signer = ABI_SNP_SIGNER_NONE;
	bool good = true;

	if (psp->vlek.loaded) {
		key = psp->vlek.key;
		signer = ABI_SNP_SIGNER_VLEK;
	} else if (!psp->mask_chip_key) {
		good = keys_vcek(psp, &key);
		signer = ABI_SNP_SIGNER_VCEK;
	}
	report->key_info = (guest->author_en ? ABI_SNP_KEY_AUTHOR : 0) |
	                   (psp->mask_chip_key ? ABI_SNP_KEY_MASKED : 0) | signer << 2;
	if (good && signer != ABI_SNP_SIGNER_NONE)
		good = ec_sign(&key, EC_SHA384, report, ABI_SNP_REPORT_SIGNED_BYTES, &report->signature);
	crypto_wipe(&key, sizeof(key));
	return good;
}

static uint32_t report_snp(struct psp *psp, const struct snp_guest *guest,
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
	struct snp_guest *guest;
	uint32_t code = command_enter_snp(psp, PSP_CMD_SNP_GUEST_REPORT, gctx, &guest);

	if (code == PSP_SUCCESS && vmpl > 3)
		code = PSP_INVALID_PARAM;
	if (code == PSP_SUCCESS)
		code = report_snp(psp, guest, report_data, vmpl, ret_report);
	return command_leave(psp, code);
}
