/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snp_launch: measures, checks and fills pages, and finishes the launch. Any thread may call; commands run
 * with the lock of the secure processor held. SNP ABI, SNP_LAUNCH_UPDATE and SNP_LAUNCH_FINISH.
 */
#include <string.h>

#include "internal.h"

#define SECRETS_VERSION 3

/* ---- pages ---- */

static void tell(const struct psp *psp, enum abi_page_type type, uint64_t gpa, const void *contents)
{
	static const char *const pages[] = {
	        [ABI_PAGE_NORMAL] = "normal",
	        [ABI_PAGE_VMSA] = "vmsa",
	        [ABI_PAGE_ZERO] = "zero",
	        [ABI_PAGE_UNMEASURED] = "unmeasured",
	        [ABI_PAGE_SECRETS] = "secrets",
	        [ABI_PAGE_CPUID] = "cpuid",
	};
	const struct sim_measured measured = {.guest = "sev-snp",
	        .page = pages[type],
	        .gpa = gpa,
	        .data = contents,
	        .size_bytes = PAGE_SIZE_BYTES};

	if (psp->options.measured)
		psp->options.measured(&measured);
}

static void tell_end(const struct psp *psp, const struct psp_snp_guest *guest)
{
	const struct sim_measured measured = {
	        .guest = "sev-snp", .digest = guest->digest, .digest_bytes = sizeof(guest->digest)};

	if (psp->options.measured)
		psp->options.measured(&measured);
}

/* The new LD is SHA-384(PAGE_INFO); PAGE_INFO holds the old LD. */
static void extend(const struct psp *psp, struct psp_snp_guest *guest, enum abi_page_type type, uint64_t gpa,
        const void *contents)
{
	struct abi_page_info info = {.length = sizeof(info), .page_type = (uint8_t)type, .gpa = gpa};

	memcpy(info.digest_cur, guest->digest, sizeof(info.digest_cur));
	if (contents)
		hash_sha384(contents, PAGE_SIZE_BYTES, info.contents);
	hash_sha384(&info, sizeof(info), guest->digest);
	tell(psp, type, gpa, contents);
}

/*
 * The secure processor sets the TSC's scale and offset itself, and does not measure them. VmsaRegProt is not
 * supported.
 */
static uint32_t update_vmsa(const struct psp *psp, struct psp_snp_guest *guest, uint64_t gpa, void *page)
{
	struct abi_vmsa vmsa;

	memcpy(&vmsa, page, sizeof(vmsa));
	if (!(vmsa.sev_features & ABI_FEATURE_SNP) ||
	        (vmsa.sev_features & ~(psp->options.vmsa_features | ABI_FEATURE_SNP)))
		return PSP_INVALID_PARAM;
	vmsa.tsc_scale = vmsa.tsc_offset = 0;
	extend(psp, guest, ABI_PAGE_VMSA, gpa, &vmsa);
	if (vmsa.sev_features & ABI_FEATURE_SECURE_TSC) {
		vmsa.tsc_scale = PSP_TSC_SCALE_ONE;
		memcpy(page, &vmsa, sizeof(vmsa));
	}
	crypto_wipe(&vmsa, sizeof(vmsa));
	return PSP_SUCCESS;
}

static void fill_secrets(const struct psp *psp, const struct psp_snp_guest *guest, void *page)
{
	struct abi_secrets_page secrets = {
	        .version = SECRETS_VERSION,
	        .fms = psp->product->signature,
	        .tsc_factor = PSP_TSC_FACTOR,
	};

	memcpy(secrets.gosvw, guest->gosvw, sizeof(secrets.gosvw));
	memcpy(secrets.vmpck, guest->vmpck, sizeof(secrets.vmpck));
	memcpy(page, &secrets, sizeof(secrets));
	crypto_wipe(&secrets, sizeof(secrets));
}

static uint32_t update(
        const struct psp *psp, struct psp_snp_guest *guest, enum abi_page_type type, uint64_t gpa, void *page)
{
	uint32_t code;

	switch (type) {
	case ABI_PAGE_VMSA: return update_vmsa(psp, guest, gpa, page);
	case ABI_PAGE_NORMAL: extend(psp, guest, type, gpa, page); return PSP_SUCCESS;
	case ABI_PAGE_ZERO: memset(page, 0, PAGE_SIZE_BYTES); break;
	case ABI_PAGE_UNMEASURED: break;
	case ABI_PAGE_SECRETS: fill_secrets(psp, guest, page); break;
	case ABI_PAGE_CPUID:
		code = psp_snp_cpuid_check(psp, page);
		if (code)
			return code;
		break;
	}
	extend(psp, guest, type, gpa, NULL);
	return PSP_SUCCESS;
}

uint32_t psp_snp_launch_update(
        struct psp *psp, uint32_t gctx, enum abi_page_type type, uint64_t gpa, void *page)
{
	struct psp_snp_guest *guest;
	auto_leave struct psp_call call = psp_command_enter_snp(psp, PSP_CMD_SNP_LAUNCH_UPDATE, gctx, &guest);

	if (call.code)
		return call.code;
	if (type < ABI_PAGE_NORMAL || type > ABI_PAGE_CPUID)
		return PSP_INVALID_PARAM;
	if (!is_aligned(gpa, PAGE_SIZE_BYTES))
		return PSP_INVALID_ADDRESS;
	if (!guest->asid)
		return PSP_INACTIVE;
	return update(psp, guest, type, gpa, page);
}

/* ---- the end ---- */

static bool verify(const struct abi_public_key *key, const void *data, size_t size,
        const struct abi_signature *signature, uint8_t ret_key_digest[static SHA384_BYTES])
{
	hash_sha384(key, sizeof(*key), ret_key_digest);
	return psp_ec_verify(key, EC_SHA384, data, size, signature);
}

/*
 * Checks the ID block and keeps it if it is right. A refused block leaves nothing behind: the launch may
 * still finish without one.
 */
static uint32_t identify(struct psp_snp_guest *guest, bool author_en, const struct abi_id_block *block,
        const struct abi_id_auth *auth)
{
	uint8_t id_key_digest[SHA384_BYTES], author_key_digest[SHA384_BYTES] = {0};

	if (memcmp(block->ld, guest->digest, sizeof(block->ld)) != 0)
		return PSP_BAD_MEASUREMENT;
	if (block->policy != guest->policy)
		return PSP_POLICY_FAILURE;
	if (auth->id_key_algo != ABI_ALGO_ECDSA_P384_SHA384 ||
	        (author_en && auth->author_key_algo != ABI_ALGO_ECDSA_P384_SHA384))
		return PSP_INVALID_PARAM;
	if (!verify(&auth->id_key, block, sizeof(*block), &auth->id_block_sig, id_key_digest))
		return PSP_BAD_SIGNATURE;
	if (author_en && !verify(&auth->author_key, &auth->id_key, sizeof(auth->id_key), &auth->id_key_sig,
	                         author_key_digest))
		return PSP_BAD_SIGNATURE;
	guest->block = *block;
	memcpy(guest->id_key_digest, id_key_digest, sizeof(id_key_digest));
	memcpy(guest->author_key_digest, author_key_digest, sizeof(author_key_digest));
	guest->author_en = author_en;
	return PSP_SUCCESS;
}

static void finish_launch(
        struct psp *psp, struct psp_snp_guest *guest, const struct uapi_sev_snp_launch_finish *finish)
{
	memcpy(guest->host_data, finish->host_data, sizeof(guest->host_data));
	guest->vcek_disabled = finish->vcek_disabled;
	guest->state = SNP_RUNNING;
	psp_asid_run(psp, guest->asid);
}

uint32_t psp_snp_launch_finish(struct psp *psp, uint32_t gctx,
        const struct uapi_sev_snp_launch_finish *finish, const struct abi_id_block *block,
        const struct abi_id_auth *auth)
{
	struct psp_snp_guest *guest;
	auto_leave struct psp_call call = psp_command_enter_snp(psp, PSP_CMD_SNP_LAUNCH_FINISH, gctx, &guest);
	uint32_t code;

	if (call.code)
		return call.code;
	if (!guest->asid)
		return PSP_INACTIVE;
	if (finish->id_block_en && (!block || !auth))
		return PSP_INVALID_ADDRESS;
	tell_end(psp, guest);
	code = finish->id_block_en ? identify(guest, finish->auth_key_en, block, auth) : PSP_SUCCESS;
	if (code)
		return code;
	finish_launch(psp, guest, finish);
	return PSP_SUCCESS;
}
