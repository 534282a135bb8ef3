/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated certificates beside AMD's own: each element of the ASN.1 must be there, in the same place, of
 * the same type and with the same contents. What may differ is left out on both sides: the keys and their
 * ids, the chip's id and security levels, and of a chip's certificate the dates. A common name must have
 * "SIMULATED-" in front of the genuine one.
 */
#include <openssl/pem.h>

#include "psp_bench.h"

#define SIMULATED "SIMULATED-"

static X509 *next_pem(BIO *bio)
{
	X509 *x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	assert_non_null(x509);
	return x509;
}

/* Opens a file of tests/data/attestation. */
static BIO *genuine(const char *name)
{
	char path[512];
	BIO *bio;

	snprintf(path, sizeof(path), "%s/attestation/%s", TEST_DATA, name);
	bio = BIO_new_file(path, "r");
	assert_non_null(bio);
	return bio;
}

/* What the element after an OID is. */
enum after { AFTER_OTHER, AFTER_NAME, AFTER_KEY_ID, AFTER_LEVEL, AFTER_CHIP_ID };

static enum after after_oid(const uint8_t *oid, size_t size)
{
	static const uint8_t amd[] = {0x2b, 0x06, 0x01, 0x04, 0x01, 0x9c, 0x78, 0x01};
	char name[80];

	if (size > sizeof(amd) && memcmp(oid, amd, sizeof(amd)) == 0)
		return oid[sizeof(amd)] == 3   ? AFTER_LEVEL
		       : oid[sizeof(amd)] == 4 ? AFTER_CHIP_ID
		                               : AFTER_OTHER;
	if (size != 3 || oid[0] != 0x55)
		return AFTER_OTHER;
	snprintf(name, sizeof(name), "%02x%02x", oid[1], oid[2]);
	return strcmp(name, "0403") == 0                                ? AFTER_NAME
	       : strcmp(name, "1d0e") == 0 || strcmp(name, "1d23") == 0 ? AFTER_KEY_ID
	                                                                : AFTER_OTHER;
}

struct telling {
	FILE *out;
	bool simulated;
	bool leaf;       /* leaves out the dates */
	bool no_trailer; /* leaves out the default value that AMD's server wrote until 2024 */
	enum after after;
};

/* The contents of an element that holds no others. */
static void tell_contents(struct telling *t, int tag, const uint8_t *at, size_t size)
{
	size_t shown = size, prefix = t->simulated && t->after == AFTER_NAME ? strlen(SIMULATED) : 0;

	assert_true(size >= prefix);
	assert_memory_equal(at, SIMULATED, prefix);
	at += prefix;
	shown -= prefix;
	if (tag == V_ASN1_BIT_STRING || (tag == V_ASN1_UTCTIME && t->leaf) || t->after == AFTER_LEVEL ||
	        t->after == AFTER_CHIP_ID)
		shown = 0;
	if (t->after == AFTER_KEY_ID)
		shown -= 20;
	for (size_t i = 0; i < shown; i++)
		fprintf(t->out, "%02x", at[i]);
	if (t->after == AFTER_CHIP_ID)
		fprintf(t->out, "%zu bytes", size);
	t->after = tag == V_ASN1_OBJECT ? after_oid(at, size) : AFTER_OTHER;
}

/* Writes a line for each element: depth, class, tag, contents. */
static void tell(struct telling *t, const uint8_t *at, long size, int depth)
{
	const uint8_t *end = at + size;

	while (at < end) {
		const uint8_t *inner = at;
		int tag, class, form;
		long length;

		form = ASN1_get_object(&inner, &length, &tag, &class, end - at);
		assert_int_equal(form & 0x80, 0);
		at = inner + length;
		if (t->no_trailer && depth > 1 && class == V_ASN1_CONTEXT_SPECIFIC && tag == 3)
			continue;
		fprintf(t->out, "%*s%d.%d ", depth, "", class >> 6, tag);
		if (!(form & V_ASN1_CONSTRUCTED))
			tell_contents(t, tag, inner, (size_t)length);
		fputc('\n', t->out);
		if (form & V_ASN1_CONSTRUCTED)
			tell(t, inner, length, depth + 1);
	}
}

/* Returns what a certificate is made of, on the heap. Frees the certificate. */
static char *told(X509 *x509, struct telling t)
{
	unsigned char *der = NULL;
	int size = i2d_X509(x509, &der);
	char *text = NULL;
	size_t text_size;

	assert_true(size > 0);
	t.out = open_memstream(&text, &text_size);
	tell(&t, der, size, 0);
	fclose(t.out);
	OPENSSL_free(der);
	X509_free(x509);
	return text;
}

static void same(X509 *simulated, X509 *amds, bool leaf, bool no_trailer)
{
	char *one =
	        told(simulated, (struct telling){.simulated = true, .leaf = leaf, .no_trailer = no_trailer});
	char *other = told(amds, (struct telling){.leaf = leaf, .no_trailer = no_trailer});

	assert_string_equal(one, other);
	free(one);
	free(other);
}

/* Compares two certificates of PEM texts with two of a file of AMD's. */
static void same_chain(const char *simulated, const char *file)
{
	BIO *ours = BIO_new_mem_buf(simulated, -1), *amds = genuine(file);

	for (int i = 0; i < 2; i++)
		same(next_pem(ours), next_pem(amds), false, false);
	BIO_free(ours);
	BIO_free(amds);
}

static void test_psp_authorities_have_every_field_of_amds(void **state)
{
	static const char *const rows[][3] = {
	        {"Milan", "ask_ark_milan.pem", "ask_ark_milan_vlek.pem"},
	        {"Genoa", "ask_ark_genoa.pem", "ask_ark_genoa_vlek.pem"},
	        {"Turin", "ask_ark_turin_vcek.pem", "ask_ark_turin_vlek.pem"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct psp *psp = bench_psp(rows[i][0]);
		char *vcek, *chain, *vlek, *vlek_chain;
		uint8_t wrapped[PSP_VLEK_BYTES];
		struct err err;

		assert_ok(psp_export_snp_certs(psp, &vcek, &chain, &err));
		assert_ok(psp_export_vlek(psp, "cloud.example", wrapped, &vlek, &vlek_chain, &err));
		same_chain(chain, rows[i][1]);
		same_chain(vlek_chain, rows[i][2]);
		free(vcek);
		free(chain);
		free(vlek);
		free(vlek_chain);
		psp_destroy(psp);
	}
}

static void test_psp_chips_have_every_field_of_amds(void **state)
{
	static const struct {
		const char *product, *file;
		bool old;
	} rows[] = {{"Milan", "milan-vcek-a.der", true}, {"Milan", "milan-vcek-b.der", true},
	        {"Turin", "turin-vcek.der", false}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct psp *psp = bench_psp(rows[i].product);
		BIO *file = genuine(rows[i].file), *bio;
		char *vcek, *chain;
		struct err err;

		assert_ok(psp_export_snp_certs(psp, &vcek, &chain, &err));
		bio = BIO_new_mem_buf(vcek, -1);
		same(next_pem(bio), d2i_X509_bio(file, NULL), true, rows[i].old);
		BIO_free(bio);
		BIO_free(file);
		free(vcek);
		free(chain);
		psp_destroy(psp);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_psp_authorities_have_every_field_of_amds),
	        cmocka_unit_test(test_psp_chips_have_every_field_of_amds),
	};

	return crypto_load(NULL) < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
