/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vlek: loads a VLEK, a key that belongs to a cloud provider instead of one chip and comes wrapped for the
 * chip; it also plays the key server of AMD that wraps the key. Any thread may call; commands run with the
 * lock of the secure processor held. SNP ABI, SNP_VLEK_LOAD. A real VLEK is a chain of hashes that also
 * serves lower TCBs; this one serves only the TCB that it was wrapped for.
 */
#include <string.h>

#include "export.h"
#include "x509.h"

#define HASHES      8 /* of 48 bytes; the last becomes the key */
#define CSP_ID_MAX  32
#define LABEL_BYTES (CSP_ID_MAX + 8)

struct wrapped {
	uint8_t iv[12], reserved_0c[4];
	uint8_t hashes[HASHES][EC_BYTES];
	uint64_t tcb;
	uint8_t reserved_198[8];
	uint8_t tag[MAC_TAG_BYTES];
} ABI_PACKED;
ABI_SIZE(struct wrapped, PSP_VLEK_BYTES);

/* Encrypts or decrypts the hashes. The TCB and the reserved bytes beside it are authenticated. */
static bool crypt_hashes(struct psp *psp, bool encrypts, struct wrapped *wrapped, void *to)
{
	uint8_t key[MAC_GCM_KEY_BYTES];
	struct psp_mac_gcm gcm = {.encrypts = encrypts, .key = key, .iv = wrapped->iv, .tag = wrapped->tag};
	uint8_t bound[sizeof(wrapped->tcb) + sizeof(wrapped->reserved_198)];
	bool good;

	memcpy(bound, &wrapped->tcb, sizeof(wrapped->tcb));
	memcpy(bound + sizeof(wrapped->tcb), wrapped->reserved_198, sizeof(wrapped->reserved_198));
	gcm.bound = (struct psp_mac_part){bound, sizeof(bound)};
	good = psp_keys_derive(psp, "vlek-wrapping", psp->reported_tcb, key, sizeof(key)) &&
	       psp_mac_gcm(&gcm, wrapped->hashes, to, sizeof(wrapped->hashes));
	crypto_wipe(key, sizeof(key));
	return good;
}

void psp_vlek_unload(struct psp *psp)
{
	crypto_wipe(&psp->vlek, sizeof(psp->vlek));
}

static uint32_t load(struct psp *psp, const void *data, size_t size)
{
	uint8_t hashes[HASHES][EC_BYTES];
	struct wrapped wrapped;
	uint32_t code = PSP_SUCCESS;

	if (size != sizeof(wrapped))
		return PSP_INVALID_LEN;
	memcpy(&wrapped, data, sizeof(wrapped));
	if (wrapped.tcb != psp->reported_tcb)
		return PSP_BAD_SVN;
	if (!crypt_hashes(psp, false, &wrapped, hashes))
		return PSP_BAD_MEASUREMENT;
	psp_vlek_unload(psp);
	psp->vlek.loaded = psp_ec_key_make(hashes[HASHES - 1], &psp->vlek.key);
	if (!psp->vlek.loaded)
		code = PSP_BROKEN;
	crypto_wipe(hashes, sizeof(hashes));
	return code;
}

uint32_t psp_snp_vlek_load(struct psp *psp, const void *wrapped, size_t size)
{
	auto_leave struct psp_call call = psp_command_enter(psp, PSP_CMD_SNP_VLEK_LOAD);

	if (call.code)
		return call.code;
	return load(psp, wrapped, size);
}

/* ---- the key server ---- */

/* Makes the provider's key for the reported TCB, as hashes, and its certificate. */
static bool make(struct psp *psp, const char *csp_id, uint8_t ret_hashes[static HASHES][EC_BYTES],
        struct psp_der *ret_cert)
{
	char label[LABEL_BYTES];
	struct psp_ec_key key = {0};
	const struct psp_x509_chip chip = {
	        .product = psp->product, .key = &key.public, .tcb = psp->reported_tcb, .csp_id = csp_id};
	bool good;

	snprintf(label, sizeof(label), "vlek %s", csp_id);
	good = psp_keys_public(label, psp->reported_tcb, ret_hashes, HASHES * EC_BYTES) &&
	       psp_ec_key_make(ret_hashes[HASHES - 1], &key) && psp_x509_put_chip(ret_cert, &chip);
	crypto_wipe(&key, sizeof(key));
	return good;
}

static bool wrap(struct psp *psp, const uint8_t hashes[static HASHES][EC_BYTES], struct wrapped *wrapped)
{
	wrapped->tcb = psp->reported_tcb;
	memcpy(wrapped->hashes, hashes, sizeof(wrapped->hashes));
	return psp_keys_random(psp, wrapped->iv, sizeof(wrapped->iv)) &&
	       crypt_hashes(psp, true, wrapped, wrapped->hashes);
}

static int check_provider(const struct psp *psp, const char *csp_id, struct err *err)
{
	if (psp->product->snp && strlen(csp_id) > 0 && strlen(csp_id) <= CSP_ID_MAX)
		return 0;
	return err_set(
	        err, ERR_USAGE, "a %s has no VLEK for the provider \"%s\"", psp->product->name, csp_id);
}

int psp_vlek_certify(struct psp *psp, const char *csp_id, struct psp_der *ret_cert, struct err *err)
{
	uint8_t hashes[HASHES][EC_BYTES];
	bool good;

	if (check_provider(psp, csp_id, err) < 0)
		return -1;
	good = psp_export_start(psp) && make(psp, csp_id, hashes, ret_cert);
	pthread_mutex_unlock(&psp->lock);
	crypto_wipe(hashes, sizeof(hashes));
	return good ? 0 : psp_export_fail(err);
}

int psp_export_vlek(struct psp *psp, const char *csp_id, uint8_t ret_wrapped[static PSP_VLEK_BYTES],
        char **ret_vlek_pem, char **ret_chain_pem, struct err *err)
{
	auto_free char *pem = NULL, *chain_pem = NULL;
	uint8_t hashes[HASHES][EC_BYTES];
	struct wrapped wrapped = {0};
	struct psp_der cert = {0};
	bool good;

	if (check_provider(psp, csp_id, err) < 0)
		return -1;
	good = psp_export_start(psp) && make(psp, csp_id, hashes, &cert) && wrap(psp, hashes, &wrapped);
	pthread_mutex_unlock(&psp->lock);
	crypto_wipe(hashes, sizeof(hashes));
	pem = good ? psp_export_pem(&cert, NULL) : NULL;
	chain_pem = pem ? psp_export_chain(psp->product, RSA_ASVK) : NULL;
	if (!chain_pem)
		return psp_export_fail(err);
	memcpy(ret_wrapped, &wrapped, sizeof(wrapped));
	*ret_vlek_pem = take_ptr(&pem);
	*ret_chain_pem = take_ptr(&chain_pem);
	return 0;
}
