/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export: gives out what AMD's key server would give for this processor: certificates up to the simulated
 * roots. Any thread may call; each function takes the lock of the secure processor.
 */
#include <string.h>

#include <openssl/evp.h>

#include "certs.h"
#include "export.h"
#include "roots.h"
#include "x509.h"

#define LINE_BYTES 48 /* of a PEM line, before base64 makes 64 characters of them */

int psp_export_fail(struct err *err)
{
	return err_set(err, ERR_FAILED, "OpenSSL cannot make the software platform's certificates");
}

bool psp_export_start(struct psp *psp)
{
	pthread_mutex_lock(&psp->lock);
	return psp_keys_of_chip(psp);
}

/* Appends a certificate in PEM to a stream. */
static void put_pem(FILE *out, const struct psp_der *der)
{
	unsigned char line[LINE_BYTES / 3 * 4 + 1];

	fputs("-----BEGIN CERTIFICATE-----\n", out);
	for (size_t at = 0; at < der->size; at += LINE_BYTES) {
		size_t part = der->size - at < LINE_BYTES ? der->size - at : LINE_BYTES;

		EVP_EncodeBlock(line, der->bytes + at, (int)part);
		fprintf(out, "%s\n", (const char *)line);
	}
	fputs("-----END CERTIFICATE-----\n", out);
}

char *psp_export_pem(const struct psp_der *first, const struct psp_der *second)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	put_pem(out, first);
	if (second)
		put_pem(out, second);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static bool put_vcek(struct psp *psp, struct psp_der *der)
{
	struct psp_ec_key vcek;
	const struct psp_x509_chip chip = {
	        .product = psp->product, .key = &vcek.public, .tcb = psp->reported_tcb, .id = psp->chip.id};
	bool good = psp_keys_vcek(psp, &vcek) && psp_x509_put_chip(der, &chip);

	crypto_wipe(&vcek, sizeof(vcek));
	return good;
}

char *psp_export_chain(const struct product *product, enum psp_rsa_role signer)
{
	struct psp_der ca = {0}, ark = {0};

	if (!psp_x509_put_ca(&ca, product, signer) || !psp_x509_put_ca(&ark, product, RSA_ARK))
		return NULL;
	return psp_export_pem(&ca, &ark);
}

static int make_vcek(struct psp *psp, struct psp_der *vcek, struct err *err)
{
	bool good;

	if (!psp->product->snp)
		return err_set(err, ERR_USAGE, "a %s has no SEV-SNP", psp->product->name);
	good = psp_export_start(psp) && put_vcek(psp, vcek);
	pthread_mutex_unlock(&psp->lock);
	return good ? 0 : psp_export_fail(err);
}

int psp_export_snp_certs(struct psp *psp, char **ret_vcek_pem, char **ret_chain_pem, struct err *err)
{
	struct psp_der vcek = {0};
	auto_free char *vcek_pem = NULL, *chain_pem = NULL;

	if (make_vcek(psp, &vcek, err) < 0)
		return -1;
	vcek_pem = psp_export_pem(&vcek, NULL);
	chain_pem = psp_export_chain(psp->product, RSA_ASK);
	if (!vcek_pem || !chain_pem)
		return psp_export_fail(err);
	*ret_vcek_pem = take_ptr(&vcek_pem);
	*ret_chain_pem = take_ptr(&chain_pem);
	return 0;
}

int psp_export_snp_der(
        struct psp *psp, const char *csp_id, struct psp_export ret_certs[static PSP_EXPORTS], struct err *err)
{
	struct psp_der certs[PSP_EXPORTS] = {0};

	if (csp_id ? psp_vlek_certify(psp, csp_id, &certs[PSP_EXPORT_LEAF], err) < 0
	           : make_vcek(psp, &certs[PSP_EXPORT_LEAF], err) < 0)
		return -1;
	if (!psp_x509_put_ca(&certs[PSP_EXPORT_ASK], psp->product, csp_id ? RSA_ASVK : RSA_ASK) ||
	        !psp_x509_put_ca(&certs[PSP_EXPORT_ARK], psp->product, RSA_ARK))
		return psp_export_fail(err);
	for (int i = 0; i < PSP_EXPORTS; i++) {
		uint8_t *bytes = malloc(certs[i].size);

		if (!bytes) {
			while (i-- > 0)
				free(ret_certs[i].bytes);
			return err_set(err, ERR_FAILED, "no memory for certificates");
		}
		memcpy(bytes, certs[i].bytes, certs[i].size);
		ret_certs[i] = (struct psp_export){bytes, certs[i].size};
	}
	return 0;
}

int psp_export_sev_ask_ark(struct psp *psp, uint8_t **ret_data, size_t *ret_size, struct err *err)
{
	auto_free uint8_t *data = malloc(ROOTS_BYTES_MAX);
	size_t size;

	if (!data)
		return err_set(err, ERR_FAILED, "no memory for certificates");
	if (crypto_load(err) < 0)
		return -1;
	if (!psp_roots_put(psp->product, data, &size))
		return psp_export_fail(err);
	*ret_data = take_ptr(&data);
	*ret_size = size;
	return 0;
}

int psp_export_sev_cek(struct psp *psp, struct abi_sev_cert *ret_cek, struct err *err)
{
	struct abi_sev_cert cek;
	bool good =
	        psp_export_start(psp) && psp_cert_init(psp, ABI_SEV_USAGE_CEK, &psp->chip.cek.public, &cek);

	pthread_mutex_unlock(&psp->lock);
	if (!good || !psp_roots_sign_cek(psp->product, &cek))
		return psp_export_fail(err);
	*ret_cek = cek;
	return 0;
}
