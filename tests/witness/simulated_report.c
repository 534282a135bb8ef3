/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the evidence that a guest of the simulated secure processor would hand to a verifier.
 *
 * usage: simulated_report PRODUCT BUILD TCB vcek|vlek|masked FOLDER
 *
 * BUILD: of the firmware 1.55; TCB: hexadecimal; masked: signed by the VCEK, with the chip's id hidden.
 * FOLDER gets report.bin, table.bin (the certificate table) and chain.pem (ASK or ASVK, then ARK).
 */
#include <inttypes.h>
#include <string.h>

#include <openssl/pem.h>

#include "psp/psp.h"
#include "vmm/attest/report.h"

static void check(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "simulated_report: %s\n", what);
	exit(1);
}

static void put(const char *folder, const char *name, const void *data, size_t size)
{
	char path[4096];
	struct err err;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	check(file_replace(path, data, size, &err) == 0, path);
}

/* Decodes the next certificate of a PEM text; the caller frees its bytes with OPENSSL_free(). */
static struct attest_blob next_der(BIO *pem)
{
	unsigned char *data = NULL;
	X509 *x509 = PEM_read_bio_X509(pem, NULL, NULL, NULL);
	int size = x509 ? i2d_X509(x509, &data) : 0;

	X509_free(x509);
	check(size > 0, "a certificate");
	return (struct attest_blob){data, (size_t)size, "certificate"};
}

static void put_certificates(const char *folder, const char *leaf_pem, const char *chain_pem, bool vlek)
{
	BIO *leaf = BIO_new_mem_buf(leaf_pem, -1), *chain = BIO_new_mem_buf(chain_pem, -1);
	struct attest_blob key = next_der(leaf);
	struct attest_table table = {.ask = next_der(chain), .ark = next_der(chain)};
	uint8_t *data;
	size_t size;

	*(vlek ? &table.vlek : &table.vcek) = key;
	check(attest_table_make(&table, &data, &size, NULL) == 0, "the certificate table");
	put(folder, "table.bin", data, size);
	put(folder, "chain.pem", chain_pem, strlen(chain_pem));
	OPENSSL_free((void *)(uintptr_t)key.data);
	OPENSSL_free((void *)(uintptr_t)table.ask.data);
	OPENSSL_free((void *)(uintptr_t)table.ark.data);
	BIO_free(leaf);
	BIO_free(chain);
	free(data);
}

/* Launches a guest of one page, and has the firmware sign a report of it. */
static void put_report(struct psp *psp, const char *folder)
{
	static const struct uapi_sev_snp_launch_finish none;
	uint8_t page[PAGE_SIZE_BYTES] = "a guest", data[64] = "a nonce";
	struct abi_snp_report report;
	uint32_t gctx;

	check(psp_gctx_create(psp, &gctx) == PSP_SUCCESS &&
	                psp_snp_launch_start(psp, gctx, 0x30000, (const uint8_t[16]){0}) == PSP_SUCCESS &&
	                psp_snp_activate(psp, gctx, 1) == PSP_SUCCESS &&
	                psp_snp_launch_update(psp, gctx, ABI_PAGE_NORMAL, 0xfffff000, page) == PSP_SUCCESS &&
	                psp_snp_launch_finish(psp, gctx, &none, NULL, NULL) == PSP_SUCCESS,
	        "the launch");
	check(psp_snp_report(psp, gctx, data, 0, &report) == PSP_SUCCESS, "the report");
	put(folder, "report.bin", &report, sizeof(report));
}

int main(int argc, char **argv)
{
	check(argc == 6, "usage: simulated_report PRODUCT BUILD TCB vcek|vlek|masked FOLDER");
	const bool vlek = strcmp(argv[4], "vlek") == 0;
	const struct psp_options options = {
	        .seed = 1,
	        .product = argv[1],
	        .sev_major = 1,
	        .sev_minor = 55,
	        .sev_build = (uint8_t)atoi(argv[2]),
	        .snp_major = 1,
	        .snp_minor = 55,
	        .snp_build = (uint8_t)atoi(argv[2]),
	        .tcb = strtoull(argv[3], NULL, 16),
	        .asids = 4,
	        .es_asids = 2,
	        .vmsa_features = ABI_FEATURE_SNP,
	};
	uint8_t wrapped[PSP_VLEK_BYTES];
	struct uapi_sev_snp_config masked = {.reported_tcb = options.tcb, .mask_chip = 1};
	char *leaf = NULL, *chain = NULL;
	struct psp *psp = NULL;

	check(crypto_load(NULL) == 0 && psp_create(&options, &psp, NULL) == 0, "the secure processor");
	if (vlek)
		check(psp_export_vlek(psp, "cloud.example", wrapped, &leaf, &chain, NULL) == 0 &&
		                psp_snp_vlek_load(psp, wrapped, sizeof(wrapped)) == PSP_SUCCESS,
		        "the VLEK");
	else
		check(psp_export_snp_certs(psp, &leaf, &chain, NULL) == 0, "the certificates");
	if (strcmp(argv[4], "masked") == 0)
		check(psp_snp_set_config(psp, &masked) == PSP_SUCCESS, "the configuration");
	put_certificates(argv[5], leaf, chain, vlek);
	put_report(psp, argv[5]);
	free(leaf);
	free(chain);
	psp_destroy(psp);
	return 0;
}
