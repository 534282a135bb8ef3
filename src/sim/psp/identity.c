/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity: makes OCA, PEK and PDH from the seed, signs and exports them, and replaces them with an owner's.
 * The commands take the lock of the secure processor; all other functions run with it held. SEV API, chapter
 * 5 and appendix C. All keys are on P-384 and sign with SHA-256, as those of AMD's firmware do.
 */
#include <string.h>

#include "certs.h"
#include "identity.h"

static bool make_pdh(struct psp *psp, struct psp_identity *identity)
{
	return psp_keys_derive_ec(psp, "pdh", ++psp->pdh_no, &identity->pdh) &&
	       psp_cert_init(psp, ABI_SEV_USAGE_PDH, &identity->pdh.public, &identity->pdh_cert) &&
	       psp_cert_sign(&identity->pdh_cert, 0, ABI_SEV_USAGE_PEK, &identity->pek);
}

/* The platform owns itself: the OCA's key signs its own certificate and the PEK's, and is then forgotten. */
static bool make_identity(struct psp *psp, struct psp_identity *identity)
{
	struct psp_ec_key oca;
	bool good;

	good = psp_keys_derive_ec(psp, "oca", ++psp->pek_no, &oca) &&
	       psp_keys_derive_ec(psp, "pek", psp->pek_no, &identity->pek) &&
	       psp_cert_init(psp, ABI_SEV_USAGE_OCA, &oca.public, &identity->oca_cert) &&
	       psp_cert_sign(&identity->oca_cert, 0, ABI_SEV_USAGE_OCA, &oca) &&
	       psp_cert_init(psp, ABI_SEV_USAGE_PEK, &identity->pek.public, &identity->pek_cert) &&
	       psp_cert_sign(&identity->pek_cert, 0, ABI_SEV_USAGE_OCA, &oca) &&
	       psp_cert_sign(&identity->pek_cert, 1, ABI_SEV_USAGE_CEK, &psp->chip.cek) &&
	       make_pdh(psp, identity);
	crypto_wipe(&oca, sizeof(oca));
	identity->made = good;
	return good;
}

/* Replaces the old identity with the new one if the new one was made; wipes the copy. */
static uint32_t take(struct psp *psp, struct psp_identity *identity, bool good)
{
	if (good)
		psp->identity = *identity;
	crypto_wipe(identity, sizeof(*identity));
	return good ? PSP_SUCCESS : PSP_BROKEN;
}

const struct psp_identity *psp_identity_get(struct psp *psp)
{
	struct psp_identity identity = {0};

	if (!psp->identity.made && take(psp, &identity, make_identity(psp, &identity)) != PSP_SUCCESS)
		return NULL;
	return &psp->identity;
}

void psp_identity_forget(struct psp *psp)
{
	crypto_wipe(&psp->identity, sizeof(psp->identity));
}

/* ---- commands ---- */

uint32_t psp_pek_gen(struct psp *psp)
{
	struct psp_identity identity = {0};
	auto_leave struct psp_call call = psp_command_enter(psp, PSP_CMD_PEK_GEN);

	if (call.code)
		return call.code;
	return take(psp, &identity, make_identity(psp, &identity));
}

uint32_t psp_pdh_gen(struct psp *psp)
{
	struct psp_identity identity;
	auto_leave struct psp_call call = psp_command_enter(psp, PSP_CMD_PDH_GEN);

	if (call.code)
		return call.code;
	if (!psp_identity_get(psp))
		return PSP_BROKEN;
	identity = psp->identity;
	return take(psp, &identity, make_pdh(psp, &identity));
}

uint32_t psp_pek_csr(struct psp *psp, struct abi_sev_cert *ret_csr)
{
	auto_leave struct psp_call call = psp_command_enter(psp, PSP_CMD_PEK_CSR);

	if (call.code)
		return call.code;
	if (!ret_csr)
		return PSP_INVALID_LEN;
	if (!psp_identity_get(psp))
		return PSP_BROKEN;
	*ret_csr = psp->identity.pek_cert;
	psp_cert_strip(ret_csr);
	return PSP_SUCCESS;
}

static uint32_t import(struct psp *psp, const struct abi_sev_cert *pek, const struct abi_sev_cert *oca)
{
	struct psp_identity identity;

	if (!psp_identity_get(psp))
		return PSP_BROKEN;
	if (psp->identity.owned)
		return PSP_ALREADY_OWNED;
	if (oca->usage != ABI_SEV_USAGE_OCA || !psp_cert_is_signed(oca, oca) ||
	        !psp_cert_is_signed(pek, oca) ||
	        memcmp(pek, &psp->identity.pek_cert, ABI_SEV_CERT_SIGNED_BYTES) != 0)
		return PSP_INVALID_CERTIFICATE;
	identity = psp->identity;
	identity.owned = true;
	identity.oca_cert = *oca;
	psp_cert_strip(&identity.pek_cert);
	identity.pek_cert.sig[0] = *psp_cert_signature(pek, ABI_SEV_USAGE_OCA);
	return take(psp, &identity,
	        psp_cert_sign(&identity.pek_cert, 1, ABI_SEV_USAGE_CEK, &psp->chip.cek) &&
	                make_pdh(psp, &identity));
}

uint32_t psp_pek_cert_import(struct psp *psp, const struct abi_sev_cert *pek, const struct abi_sev_cert *oca)
{
	auto_leave struct psp_call call = psp_command_enter(psp, PSP_CMD_PEK_CERT_IMPORT);

	if (call.code)
		return call.code;
	return import(psp, pek, oca);
}

uint32_t psp_pdh_cert_export(
        struct psp *psp, struct abi_sev_cert *ret_pdh, struct abi_sev_cert_chain *ret_chain)
{
	struct abi_sev_cert cek;
	auto_leave struct psp_call call = psp_command_enter(psp, PSP_CMD_PDH_CERT_EXPORT);

	if (call.code)
		return call.code;
	if (!ret_pdh || !ret_chain)
		return PSP_INVALID_LEN;
	if (!psp_identity_get(psp) || !psp_cert_init(psp, ABI_SEV_USAGE_CEK, &psp->chip.cek.public, &cek))
		return PSP_BROKEN;
	*ret_pdh = psp->identity.pdh_cert;
	*ret_chain = (struct abi_sev_cert_chain){psp->identity.pek_cert, psp->identity.oca_cert, cek};
	return PSP_SUCCESS;
}

uint32_t psp_get_id(struct psp *psp, uint8_t *ret_id)
{
	auto_leave struct psp_call call = psp_command_enter(psp, PSP_CMD_GET_ID);

	if (call.code)
		return call.code;
	if (!ret_id)
		return PSP_INVALID_LEN;
	memcpy(ret_id, psp->chip.id, sizeof(psp->chip.id));
	return PSP_SUCCESS;
}
