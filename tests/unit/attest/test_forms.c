/*
 * In which forms the genuine certificates of report a are taken, and in which not.
 */
#include <openssl/pem.h>

#include "made.h"

static struct abi_snp_report report;
static struct attest_blob leaf, chain;
static X509 *certs[2]; /* ASK, ARK */

static int setup(void **state)
{
	struct attest_evidence evidence = sample_milan('a', &report);
	BIO *bio;

	if (crypto_load(NULL) < 0)
		return -1;
	bio = BIO_new_mem_buf(evidence.chain.data, (int)evidence.chain.size);
	leaf = evidence.leaf;
	chain = evidence.chain;
	for (int i = 0; i < 2; i++)
		certs[i] = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	return certs[0] && certs[1] ? 0 : -1;
}

static int teardown(void **state)
{
	sample_free(&leaf);
	sample_free(&chain);
	X509_free(certs[0]);
	X509_free(certs[1]);
	return 0;
}

/* text and more, one after the other; the caller frees. */
static struct attest_blob joined(struct attest_blob text, const char *more, size_t more_size)
{
	uint8_t *bytes = malloc(text.size + more_size);

	memcpy(bytes, text.data, text.size);
	if (more_size)
		memcpy(bytes + text.size, more, more_size);
	return (struct attest_blob){bytes, text.size + more_size, "joined"};
}

static struct attest_blob with_crlf(struct attest_blob text)
{
	char *out = malloc(2 * text.size);
	size_t used = 0;

	for (const char *c = text.data; c < (const char *)text.data + text.size; c++) {
		if (*c == '\n')
			out[used++] = '\r';
		out[used++] = *c;
	}
	return (struct attest_blob){out, used, "crlf"};
}

static void takes(struct attest_blob leaf_form, struct attest_blob chain_form)
{
	struct attest_evidence evidence = {.leaf = leaf_form, .chain = chain_form, .at = SAMPLE_TIME};
	struct attest_verdict verdict;
	struct err err;

	assert_ok(attest_report_verify(&report, &evidence, &verdict, &err));
	assert_failed_checks(&verdict, "");
}

static void refuses(struct attest_blob leaf_form, struct attest_blob chain_form, const char *part)
{
	struct attest_evidence evidence = {.leaf = leaf_form, .chain = chain_form, .at = SAMPLE_TIME};
	struct attest_verdict verdict;
	struct err err;

	assert_fails(attest_report_verify(&report, &evidence, &verdict, &err), ERR_USAGE, part);
}

static void test_forms_of_the_same_certificates_are_taken(void **state)
{
	const uint8_t *der = leaf.data;
	X509 *vcek = d2i_X509(NULL, &der, (long)leaf.size);
	struct attest_blob crlf = with_crlf(chain);
	struct attest_blob forms[] = {
	        made_pem(vcek, NULL, "leaf in PEM"),
	        made_pem(certs[1], certs[0], "ARK first"),
	        joined(crlf, "", 0),
	        joined(chain, "\n", 1),
	        joined(crlf, "\r\n", 2),
	        {chain.data, chain.size - 1, "no line end at the end"},
	};

	takes(forms[0], chain);
	for (size_t i = 1; i < ARRAY_LEN(forms); i++)
		takes(leaf, forms[i]);
	for (size_t i = 0; i + 1 < ARRAY_LEN(forms); i++)
		sample_free(&forms[i]);
	sample_free(&crlf);
	X509_free(vcek);
}

static void test_forms_with_anything_more_are_refused(void **state)
{
	static const char *const more[] = {"\n\n", " ", "\r\n", "x", "-----BEGIN CERTIFICATE-----\n"};
	struct attest_blob longer = joined(leaf, "", 1);

	refuses(longer, chain, "is no X.509 certificate");
	sample_free(&longer);
	for (size_t i = 0; i < ARRAY_LEN(more); i++) {
		longer = joined(chain, more[i], strlen(more[i]));
		refuses(leaf, longer, "has more after");
		sample_free(&longer);
	}
	refuses(chain, chain, "has more after the one certificate");
}

/* The chain with a character put in or taken out: what base64 says stays the same. */
static void refuses_edited(size_t at, bool put_in)
{
	uint8_t *text = malloc(chain.size + 1);
	const uint8_t *from = chain.data;

	memcpy(text, from, at);
	text[at] = '\n';
	memcpy(text + at + put_in, from + at + !put_in, chain.size - at - !put_in);
	refuses(leaf, (struct attest_blob){text, chain.size + put_in - !put_in, "edited"},
	        "not a PEM certificate");
	free(text);
}

static void test_forms_of_loose_pem_are_refused(void **state)
{
	const char *end = memmem(chain.data, chain.size, "-----END", 8);
	size_t second = (size_t)(end - (const char *)chain.data) + strlen("-----END CERTIFICATE-----\n");

	refuses_edited(28 + 64, false);    /* two lines are one */
	refuses_edited(28 + 32, true);     /* one line is two */
	refuses_edited(28 + 65, true);     /* an empty line within */
	refuses_edited(second, true);      /* an empty line between */
	refuses_edited(second - 27, true); /* an empty line before the end */
	refuses_edited(0, true);           /* an empty line in front */
	refuses(leaf,
	        (struct attest_blob){"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", 54, "empty"},
	        "not a PEM certificate");
	refuses(leaf, (struct attest_blob){chain.data, 2000, "cut"}, "not a PEM certificate");
	refuses(leaf, (struct attest_blob){chain.data, second, "one only"},
	        "holds one certificate, \"SEV-Milan\"");
}

/* BER allows a length to be written longer than it needs to be; DER, and we, do not. */
static void test_forms_in_ber_are_refused(void **state)
{
	uint8_t ber[4096] = {0x30, 0x83, 0x00};
	const uint8_t *at = ber;
	X509 *x509;

	assert_memory_equal(leaf.data, "\x30\x82", 2);
	memcpy(ber + 3, (const uint8_t *)leaf.data + 2, leaf.size - 2);
	x509 = d2i_X509(NULL, &at, (long)leaf.size + 1);
	assert_non_null(x509); /* OpenSSL reads it */
	X509_free(x509);
	refuses((struct attest_blob){ber, leaf.size + 1, "BER"}, chain, "in DER");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_forms_of_the_same_certificates_are_taken),
	        cmocka_unit_test(test_forms_with_anything_more_are_refused),
	        cmocka_unit_test(test_forms_of_loose_pem_are_refused),
	        cmocka_unit_test(test_forms_in_ber_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
