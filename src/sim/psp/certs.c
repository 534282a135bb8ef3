/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certs: makes, signs and checks the certificates of SEV. Any thread. SEV API, appendix C.
 */
#include "certs.h"

/*
 * The usage of a certificate, the algorithm that this firmware's keys have for it, and the usages of the keys
 * that may sign it.
 */
static const struct {
	uint32_t usage, algo, signers[2];
} usages[] = {
        {ABI_SEV_USAGE_OCA, ABI_SEV_ALGO_ECDSA_SHA256, {ABI_SEV_USAGE_OCA, ABI_SEV_USAGE_OCA}},
        {ABI_SEV_USAGE_PEK, ABI_SEV_ALGO_ECDSA_SHA256, {ABI_SEV_USAGE_OCA, ABI_SEV_USAGE_CEK}},
        {ABI_SEV_USAGE_PDH, ABI_SEV_ALGO_ECDH_SHA256, {ABI_SEV_USAGE_PEK, ABI_SEV_USAGE_PEK}},
        {ABI_SEV_USAGE_CEK, ABI_SEV_ALGO_ECDSA_SHA256, {ABI_SEV_USAGE_ASK, ABI_SEV_USAGE_ASK}},
};

static bool may_sign(uint32_t child, uint32_t parent)
{
	for (size_t i = 0; i < ARRAY_LEN(usages); i++) {
		if (usages[i].usage == child)
			return usages[i].signers[0] == parent || usages[i].signers[1] == parent;
	}
	return false;
}

bool psp_cert_init(const struct psp *psp, uint32_t usage, const struct abi_public_key *key,
        struct abi_sev_cert *ret_cert)
{
	*ret_cert = (struct abi_sev_cert){
	        .version = 1,
	        .api_major = psp->options.sev_major,
	        .api_minor = psp->options.sev_minor,
	        .usage = usage,
	};
	ret_cert->ec = *key;
	psp_cert_strip(ret_cert);
	for (size_t i = 0; i < ARRAY_LEN(usages); i++) {
		if (usages[i].usage == usage)
			ret_cert->algo = usages[i].algo;
	}
	return ret_cert->algo != ABI_SEV_ALGO_INVALID;
}

void psp_cert_strip(struct abi_sev_cert *cert)
{
	for (size_t i = 0; i < ARRAY_LEN(cert->sig); i++)
		cert->sig[i] = (struct abi_sev_signature){.usage = ABI_SEV_USAGE_INVALID};
}

bool psp_cert_sign(struct abi_sev_cert *cert, unsigned slot, uint32_t signer, const struct psp_ec_key *key)
{
	cert->sig[slot].usage = signer;
	cert->sig[slot].algo = ABI_SEV_ALGO_ECDSA_SHA256;
	return psp_ec_sign(key, EC_SHA256, cert, ABI_SEV_CERT_SIGNED_BYTES, &cert->sig[slot].ecdsa);
}

const struct abi_sev_signature *psp_cert_signature(const struct abi_sev_cert *cert, uint32_t signer)
{
	for (size_t i = 0; i < ARRAY_LEN(cert->sig); i++) {
		if (cert->sig[i].usage == signer)
			return &cert->sig[i];
	}
	return NULL;
}

/* An owner may use other algorithms than this firmware does, but the key must be on P-384. */
static bool form_ok(const struct abi_sev_cert *cert)
{
	return cert->version == 1 &&
	       (cert->algo == ABI_SEV_ALGO_ECDSA_SHA256 || cert->algo == ABI_SEV_ALGO_ECDSA_SHA384 ||
	               cert->algo == ABI_SEV_ALGO_ECDH_SHA256 || cert->algo == ABI_SEV_ALGO_ECDH_SHA384) &&
	       psp_ec_public_ok(&cert->ec);
}

bool psp_cert_is_signed(const struct abi_sev_cert *child, const struct abi_sev_cert *parent)
{
	const struct abi_sev_signature *sig = psp_cert_signature(child, parent->usage);

	if (!sig || !may_sign(child->usage, parent->usage) || sig->algo != parent->algo || !form_ok(child) ||
	        !form_ok(parent))
		return false;
	return psp_ec_verify(&parent->ec, sig->algo == ABI_SEV_ALGO_ECDSA_SHA384 ? EC_SHA384 : EC_SHA256,
	        child, ABI_SEV_CERT_SIGNED_BYTES, &sig->ecdsa);
}
