/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gcm: measures the helper's AES-256-GCM, sealing and opening pages of 4 KiB, against OpenSSL's, which
 * encrypts as `openssl speed` does: one message without an end, and no tag. The turns alternate, and the best
 * of each counts, since the machine has other work. It judges nothing: docs/performance.md has the figures.
 */
#include <openssl/evp.h>
#include <string.h>

#include "support/helper_forms.h"
#include "vmm/base.h"

#define PAGE  4096u
#define AAD   32u
#define PAGES 10000u
#define TURNS 40

static _Alignas(PAGE) uint8_t plain[PAGE], sealed[PAGE], opened[PAGE];
static uint8_t secret[GCM_SECRET_BYTES], iv[GCM_IV_BYTES], aad[AAD];

static uint64_t now(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* MB/s */
static double rate(uint64_t start)
{
	return (double)PAGES * PAGE * 1e3 / (double)(now() - start);
}

static double time_openssl(void)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint64_t start;
	double result;
	int done;

	if (!ctx || EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, secret, iv) != 1)
		abort();
	start = now();
	for (unsigned i = 0; i < PAGES; i++)
		if (EVP_EncryptUpdate(ctx, sealed, &done, plain, PAGE) != 1)
			abort();
	result = rate(start);
	EVP_CIPHER_CTX_free(ctx);
	return result;
}

static double time_seal(const struct gcm_key *key)
{
	uint8_t tag[GCM_TAG_BYTES];
	uint64_t start = now();

	for (unsigned i = 0; i < PAGES; i++)
		gcm_seal(key, iv, aad, AAD, plain, PAGE, sealed, tag);
	return rate(start);
}

static double time_open(const struct gcm_key *key)
{
	uint8_t tag[GCM_TAG_BYTES];
	uint64_t start;

	gcm_seal(key, iv, aad, AAD, plain, PAGE, sealed, tag);
	start = now();
	for (unsigned i = 0; i < PAGES; i++)
		if (!gcm_open(key, iv, aad, AAD, sealed, PAGE, opened, tag))
			abort();
	return rate(start);
}

static double most(double a, double b)
{
	return a > b ? a : b;
}

static void measure(void)
{
	double openssl = 0, seal[GCM_FORMS] = {0}, open[GCM_FORMS] = {0};
	struct gcm_key key;

	for (unsigned turn = 0; turn < TURNS; turn++) {
		openssl = most(openssl, time_openssl());
		for (enum gcm_form form = GCM_AESNI; form < GCM_FORMS; form++) {
			if (!form_runs(form))
				continue;
			gcm_key_set(&key, form, secret);
			seal[form] = most(seal[form], time_seal(&key));
			open[form] = most(open[form], time_open(&key));
		}
	}
	printf("| form | seal, MB/s | / OpenSSL | open, MB/s | / OpenSSL |\n|---|---|---|---|---|\n");
	printf("| OpenSSL | %.0f | 1 | | |\n", openssl);
	for (enum gcm_form form = GCM_AESNI; form < GCM_FORMS; form++) {
		if (form_runs(form))
			printf("| %s | %.0f | %.2f | %.0f | %.2f |\n", form_names[form], seal[form],
			        seal[form] / openssl, open[form], open[form] / openssl);
	}
}

int main(int argc, char **argv)
{
	struct err err;

	if (argc > 1) {
		bool help = strcmp(argv[1], "--help") == 0;

		fprintf(help ? stdout : stderr,
		        "usage: bench_gcm\n"
		        "How fast the migration helper seals and opens pages, in each form that this "
		        "processor "
		        "can\nrun, against OpenSSL. Prints the best of several turns; judges nothing.\n");
		return help ? 0 : 2;
	}
	if (crypto_load(&err) < 0) {
		fprintf(stderr, "bench_gcm: %s\n", err.text);
		return 1;
	}
	measure();
	return 0;
}
