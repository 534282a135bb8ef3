/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sev_cert: checks the form and the signatures of SEV's platform certificates and of AMD's own. Any thread.
 * SEV API, appendix B.1 (ASK and ARK) and appendix C (PDH, PEK, OCA, CEK).
 */
#include <string.h>

#include "cert.h"
#include "sev_cert.h"
#include "vmm/attest/key.h"
#include "vmm/attest/sev.h"

void attest_sev_key_finish(struct attest_sev_key *key)
{
	if (key->key)
		EVP_PKEY_free(key->key);
	*key = (struct attest_sev_key){0};
}

/* The usage of the key that signs certificates of this usage. */
static const struct {
	uint32_t usage;
	const char *name;
	uint32_t signers[2]; /* in either order; INVALID if there is only one */
} usages[] = {
        {ABI_SEV_USAGE_ARK, "ARK", {ABI_SEV_USAGE_ARK, ABI_SEV_USAGE_INVALID}},
        {ABI_SEV_USAGE_ASK, "ASK", {ABI_SEV_USAGE_ARK, ABI_SEV_USAGE_INVALID}},
        {ABI_SEV_USAGE_OCA, "OCA", {ABI_SEV_USAGE_OCA, ABI_SEV_USAGE_INVALID}},
        {ABI_SEV_USAGE_PEK, "PEK", {ABI_SEV_USAGE_OCA, ABI_SEV_USAGE_CEK}},
        {ABI_SEV_USAGE_PDH, "PDH", {ABI_SEV_USAGE_PEK, ABI_SEV_USAGE_INVALID}},
        {ABI_SEV_USAGE_CEK, "CEK", {ABI_SEV_USAGE_ASK, ABI_SEV_USAGE_INVALID}},
};

static const struct {
	uint32_t algo;
	const char *name;
} algos[] = {
        {ABI_SEV_ALGO_INVALID, "none"},
        {ABI_SEV_ALGO_RSA_SHA256, "RSA with SHA-256"},
        {ABI_SEV_ALGO_ECDSA_SHA256, "ECDSA with SHA-256"},
        {ABI_SEV_ALGO_ECDH_SHA256, "ECDH with SHA-256"},
        {ABI_SEV_ALGO_RSA_SHA384, "RSA with SHA-384"},
        {ABI_SEV_ALGO_ECDSA_SHA384, "ECDSA with SHA-384"},
        {ABI_SEV_ALGO_ECDH_SHA384, "ECDH with SHA-384"},
};

const char *attest_sev_usage_name(uint32_t usage)
{
	for (size_t i = 0; i < ARRAY_LEN(usages); i++) {
		if (usages[i].usage == usage)
			return usages[i].name;
	}
	return "unknown";
}

const char *attest_sev_algo_name(uint32_t algo)
{
	for (size_t i = 0; i < ARRAY_LEN(algos); i++) {
		if (algos[i].algo == algo)
			return algos[i].name;
	}
	return "unknown";
}

static bool is_rsa(uint32_t algo)
{
	return algo == ABI_SEV_ALGO_RSA_SHA256 || algo == ABI_SEV_ALGO_RSA_SHA384;
}

static const EVP_MD *md_of(uint32_t algo)
{
	return algo & 0x100 ? EVP_sha384() : EVP_sha256();
}

/* Do the two signature slots name exactly the signers of this usage? An unused slot must be empty. */
static bool slots_fit(const struct abi_sev_cert *cert)
{
	const uint32_t *signers = NULL;
	uint32_t first = cert->sig[0].usage, second = cert->sig[1].usage;

	for (size_t i = 0; i < ARRAY_LEN(usages); i++) {
		if (usages[i].usage == cert->usage)
			signers = usages[i].signers;
	}
	for (int i = 0; i < 2; i++) {
		const struct abi_sev_signature *sig = &cert->sig[i];

		if (sig->usage == ABI_SEV_USAGE_INVALID && (sig->algo != 0 || !bytes_are_zero(sig->rsa, 512)))
			return false;
	}
	return signers && ((first == signers[0] && second == signers[1]) ||
	                          (first == signers[1] && second == signers[0]));
}

int attest_sev_cert_parse(const void *data, size_t size, struct abi_sev_cert *ret_cert, struct err *err)
{
	struct cursor c = cursor_over(data, size);
	struct abi_sev_cert cert;
	struct attest_sev_key key;

	cursor_copy(&c, &cert, sizeof(cert));
	if (c.bad || c.left)
		return err_set(
		        err, ERR_USAGE, "has %zu bytes, a SEV certificate has %zu", size, sizeof(cert));
	if (cert.version != 1)
		return err_set(err, ERR_USAGE, "has certificate version %u, only 1 is known", cert.version);
	if (cert.usage < ABI_SEV_USAGE_OCA || cert.usage > ABI_SEV_USAGE_CEK)
		return err_set(err, ERR_USAGE, "is a certificate for the unknown usage %#x", cert.usage);
	if (crypto_load(err) < 0 || attest_sev_key_of_cert(&cert, &key, err) < 0)
		return -1;
	attest_sev_key_finish(&key);
	*ret_cert = cert;
	return 0;
}

int attest_sev_key_of_cert(const struct abi_sev_cert *cert, struct attest_sev_key *ret_key, struct err *err)
{
	struct attest_sev_key key = {.usage = cert->usage, .algo = cert->algo};
	size_t bytes = cert->rsa.modulus_bits / 8;

	if (!is_rsa(cert->algo))
		key.key = attest_key_from_ec(&cert->ec);
	else if ((bytes == 256 || bytes == 512) && cert->rsa.modulus_bits % 8 == 0) {
		key.rsa_bytes = bytes;
		key.key = attest_key_from_rsa(cert->rsa.modulus, cert->rsa.exponent, bytes);
	}
	if (!key.key)
		return err_set(err, ERR_USAGE,
		        "%s: its key is neither a point of P-384 nor RSA of 2048 or 4096 bits",
		        attest_sev_usage_name(cert->usage));
	*ret_key = key;
	return 0;
}

const char *attest_sev_cert_fault(const struct abi_sev_cert *child, const struct attest_sev_key *parent)
{
	const struct abi_sev_signature *sig = NULL;

	if (!slots_fit(child))
		return "its signature slots are not those of such a certificate";
	for (int i = 0; i < 2; i++) {
		if (child->sig[i].usage == parent->usage)
			sig = &child->sig[i];
	}
	if (!sig || sig->algo != parent->algo)
		return "its signature is by another kind of key";
	if (parent->rsa_bytes == 0)
		return attest_key_check_ecdsa(
		        parent->key, md_of(parent->algo), child, ABI_SEV_CERT_SIGNED_BYTES, &sig->ecdsa);
	if (!bytes_are_zero(sig->rsa + parent->rsa_bytes, sizeof(sig->rsa) - parent->rsa_bytes))
		return "the signature's padding is not zero";
	return attest_key_check_pss(parent->key, md_of(parent->algo), child, ABI_SEV_CERT_SIGNED_BYTES,
	        sig->rsa, parent->rsa_bytes);
}

const char *attest_sev_report_fault(const struct abi_sev_report *report, const struct attest_sev_key *pek)
{
	struct abi_signature sig = {0};

	/* The bytes beside the signed ones and the signature may only say which key signed. */
	if (report->sig_usage != pek->usage || report->sig_algo != pek->algo || report->reserved != 0)
		return "its signature is by another kind of key";
	if (pek->rsa_bytes)
		return "the PEK is not a key on P-384";
	memcpy(sig.r, report->r, sizeof(sig.r));
	memcpy(sig.s, report->s, sizeof(sig.s));
	return attest_key_check_ecdsa(
	        pek->key, md_of(pek->algo), report, offsetof(struct abi_sev_report, sig_usage), &sig);
}

int attest_amd_raw_take(struct cursor *c, struct attest_amd_raw *ret_cert, struct err *err)
{
	struct attest_amd_raw cert = {.raw = c->at};

	cursor_copy(c, &cert.head, sizeof(cert.head));
	cert.number_bytes = cert.head.modulus_bits / 8;
	if (c->bad || cert.head.version != 1 || cert.head.exponent_bits != cert.head.modulus_bits ||
	        (cert.head.modulus_bits != 2048 && cert.head.modulus_bits != 4096))
		return err_set(err, ERR_USAGE,
		        "is not an ASK or ARK in AMD's binary format (832 bytes for Naples, 1600 since "
		        "Rome)");
	if (!cursor_take(c, 3 * cert.number_bytes))
		return err_set(err, ERR_USAGE, "ends within the %s", attest_sev_usage_name(cert.head.usage));
	cert.size = sizeof(cert.head) + 3 * cert.number_bytes;
	*ret_cert = cert;
	return 0;
}

int attest_sev_key_of_amd(const struct attest_amd_raw *cert, struct attest_sev_key *ret_key, struct err *err)
{
	const uint8_t *exponent = cert->raw + sizeof(cert->head);
	struct attest_sev_key key = {
	        .usage = cert->head.usage,
	        .algo = cert->number_bytes == 256 ? ABI_SEV_ALGO_RSA_SHA256 : ABI_SEV_ALGO_RSA_SHA384,
	        .key = attest_key_from_rsa(exponent + cert->number_bytes, exponent, cert->number_bytes),
	        .rsa_bytes = cert->number_bytes,
	};

	if (!key.key)
		return err_set(err, ERR_USAGE, "%s: its numbers are not an RSA key",
		        attest_sev_usage_name(cert->head.usage));
	*ret_key = key;
	return 0;
}

int attest_amd_cert_parse(const void *data, size_t size, struct attest_amd_cert *ret_cert, struct err *err)
{
	struct cursor c = cursor_over(data, size);
	struct attest_amd_raw cert;
	struct attest_sev_key key;

	if (crypto_load(err) < 0 || attest_amd_raw_take(&c, &cert, err) < 0 ||
	        attest_sev_key_of_amd(&cert, &key, err) < 0)
		return -1;
	*ret_cert = (struct attest_amd_cert){
	        .size = cert.size,
	        .usage = cert.head.usage,
	        .bits = cert.head.modulus_bits,
	        .root = attest_anchor_find(key.key),
	        .simulated = attest_anchor_is_simulated(key.key),
	};
	memcpy(ret_cert->key_id, cert.head.key_id, sizeof(ret_cert->key_id));
	memcpy(ret_cert->certifying_id, cert.head.certifying_id, sizeof(ret_cert->certifying_id));
	attest_sev_key_finish(&key);
	return 0;
}

const char *attest_amd_raw_fault(const struct attest_amd_raw *child, const struct attest_amd_raw *parent,
        const struct attest_sev_key *key)
{
	size_t signed_bytes = child->size - child->number_bytes;

	if (memcmp(child->head.certifying_id, parent->head.key_id, sizeof(parent->head.key_id)) != 0)
		return "it names another signer";
	if (child->number_bytes != parent->number_bytes)
		return "its signature is not as long as its signer's key";
	return attest_key_check_pss(key->key, md_of(key->algo), child->raw, signed_bytes,
	        child->raw + signed_bytes, child->number_bytes);
}
