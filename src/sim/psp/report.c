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

/* Which key signs: by the guest's choice, and because a host can forbid its chip's key. */
static uint32_t signer_of(const struct psp *psp, unsigned select)
{
	if (psp_key_is_vlek(psp, select))
		return ABI_SNP_SIGNER_VLEK;
	return psp->mask_chip_key ? ABI_SNP_SIGNER_NONE : ABI_SNP_SIGNER_VCEK;
}

static bool sign(
        struct psp *psp, const struct psp_snp_guest *guest, unsigned select, struct abi_snp_report *report)
{
	uint32_t signer = signer_of(psp, select);
	struct psp_ec_key key = {0};
	bool good = true;

	if (signer == ABI_SNP_SIGNER_VLEK)
		key = psp->vlek.key;
	else if (signer == ABI_SNP_SIGNER_VCEK)
		good = psp_keys_vcek(psp, &key);
	report->key_info = (guest->author_en ? ABI_SNP_KEY_AUTHOR : 0) |
	                   (psp->mask_chip_key ? ABI_SNP_KEY_MASKED : 0) | signer << 2;
	if (good && signer != ABI_SNP_SIGNER_NONE)
		good = psp_ec_sign(&key, EC_SHA384, report, ABI_SNP_REPORT_SIGNED_BYTES, &report->signature);
	crypto_wipe(&key, sizeof(key));
	return good;
}

/* vmpl_min is the level of the guest's code that asks: it may ask for less privileged code, too. */
static uint32_t report_snp(struct psp *psp, const struct psp_snp_guest *guest,
        const struct abi_msg_report_req *request, unsigned vmpl_min, struct abi_snp_report *ret_report)
{
	struct abi_snp_report report = {.vmpl = request->vmpl};

	if (!psp_key_is_allowed(psp, guest, request->select))
		return PSP_INVALID_KEY;
	if (request->vmpl < vmpl_min || request->vmpl >= ABI_MESSAGE_VMPCKS)
		return PSP_INVALID_PARAM;
	put_platform(psp, &report);
	put_guest(guest, &report);
	memcpy(report.report_data, request->report_data, sizeof(report.report_data));
	if (!sign(psp, guest, request->select, &report))
		return PSP_BROKEN;
	*ret_report = report;
	return PSP_SUCCESS;
}

uint32_t psp_answer_report(struct psp *psp, const struct psp_question *question, void *ret_answer)
{
	static const uint8_t zeros[sizeof(((struct abi_msg_report_req *)NULL)->reserved_48)];
	const struct abi_snp_report_rsp head = {.report_size = sizeof(struct abi_snp_report)};
	struct abi_msg_report_req request;
	struct abi_snp_report report;
	uint32_t code;

	memcpy(&request, question->payload, sizeof(request));
	memcpy(ret_answer, &head, sizeof(head));
	if (request.select & ~ABI_REPORT_REQ_SELECT_KNOWN ||
	        memcmp(request.reserved_48, zeros, sizeof(zeros)) != 0)
		return PSP_INVALID_PARAM;
	code = report_snp(psp, question->guest, &request, question->vmpck, &report);
	if (code == PSP_SUCCESS)
		memcpy((uint8_t *)ret_answer + sizeof(head), &report, sizeof(report));
	return code;
}

uint32_t psp_snp_report(struct psp *psp, uint32_t gctx, const uint8_t report_data[static 64], uint32_t vmpl,
        struct abi_snp_report *ret_report)
{
	struct abi_msg_report_req request = {.vmpl = vmpl, .select = ABI_KEY_VLEK_OR_VCEK};
	struct psp_snp_guest *guest;
	auto_leave struct psp_call call = psp_command_enter_snp(psp, PSP_CMD_SNP_GUEST_REPORT, gctx, &guest);

	if (call.code)
		return call.code;
	memcpy(request.report_data, report_data, sizeof(request.report_data));
	return report_snp(psp, guest, &request, 0, ret_report);
}
