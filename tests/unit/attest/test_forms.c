/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forms in which the genuine certificates of report a are accepted, and those in which they are not; and
 * bytes that come as text.
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
	bio = BIO_new_mem_buf(evidence.chain[0].data, (int)evidence.chain[0].size);
	leaf = evidence.leaf;
	chain = evidence.chain[0];
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
	struct attest_evidence evidence = {.leaf = leaf_form, .chain[0] = chain_form, .at = SAMPLE_TIME};
	struct attest_verdict verdict;
	struct err err;

	assert_ok(attest_report_verify(&report, &evidence, &verdict, &err));
	assert_failed_checks(&verdict, "");
}

static void refuses(struct attest_blob leaf_form, struct attest_blob chain_form, const char *part)
{
	struct attest_evidence evidence = {.leaf = leaf_form, .chain[0] = chain_form, .at = SAMPLE_TIME};
	struct attest_verdict verdict;
	struct err err;

	assert_fails(attest_report_verify(&report, &evidence, &verdict, &err), ERR_USAGE, part);
}

static struct attest_blob text_of(const char *front, struct attest_blob pem, const char *back)
{
	size_t before = strlen(front), after = strlen(back);
	char *text = malloc(before + pem.size + after);

	memcpy(text, front, before);
	memcpy(text + before, pem.data, pem.size);
	memcpy(text + before + pem.size, back, after);
	return (struct attest_blob){text, before + pem.size + after, "text"};
}

static struct attest_blob in_one_line(struct attest_blob text)
{
	char *out = malloc(text.size);
	size_t used = 0;

	for (const char *c = text.data; c < (const char *)text.data + text.size; c++) {
		if (*c != '\n')
			out[used++] = *c;
	}
	return (struct attest_blob){out, used, "one line"};
}

static void test_forms_of_pem_are_taken(void **state)
{
	struct attest_blob ask = made_pem(certs[0], NULL, "ASK"), ark = made_pem(certs[1], NULL, "ARK");
	struct attest_blob between[] = {text_of("", ask, "\n"), text_of("", ask, "\r\n# and its root\n")};
	struct attest_blob forms[] = {
	        made_pem(certs[1], certs[0], "ARK first"),
	        with_crlf(chain),
	        text_of("# from the key server\nCertificate:\n    Data:\n        Version: 3 (0x2)\n", chain,
	                "\n\n"),
	        in_one_line(chain),
	        joined(between[0], ark.data, ark.size),
	        joined(between[1], ark.data, ark.size),
	        joined(chain, "", 0),
	};

	forms[ARRAY_LEN(forms) - 1].size--; /* no line end at the end */
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		takes(leaf, forms[i]);
		sample_free(&forms[i]);
	}
	sample_free(&between[0]);
	sample_free(&between[1]);
	sample_free(&ask);
	sample_free(&ark);
}

static void test_forms_of_der_are_taken(void **state)
{
	struct attest_blob ask = made_der(certs[0], "ASK"), ark = made_der(certs[1], "ARK");
	struct attest_blob both = joined(ask, ark.data, ark.size), line = joined(leaf, "\r\n", 2);

	takes(line, chain);
	takes(leaf, both);
	sample_free(&ask);
	sample_free(&ark);
	sample_free(&both);
	sample_free(&line);
}

static void takes_files(struct attest_blob leaf_form, struct attest_blob first, struct attest_blob second)
{
	struct attest_evidence evidence = {.leaf = leaf_form, .chain = {first, second}, .at = SAMPLE_TIME};
	struct attest_verdict verdict;
	struct err err;

	assert_ok(attest_report_verify(&report, &evidence, &verdict, &err));
	assert_failed_checks(&verdict, "");
}

/*
 * Certificates are accepted in any file and order: one file with all, as Azure gives it; one file each, as
 * snphost exports.
 */
static void test_forms_certificates_are_told_by_what_they_are(void **state)
{
	const uint8_t *der = leaf.data;
	X509 *vcek = d2i_X509(NULL, &der, (long)leaf.size);
	struct attest_blob none = {0}, pem = made_pem(vcek, NULL, "VCEK"), ask = made_der(certs[0], "ASK"),
	                   ark = made_pem(certs[1], NULL, "ARK"), all = joined(pem, chain.data, chain.size),
	                   asvk = sample("ask_ark_milan_vlek.pem"),
	                   three = joined(chain, asvk.data, asvk.size);

	takes_files(pem, chain, none);
	takes_files(all, none, none);
	takes_files(none, all, none);
	takes_files(all, chain, all); /* the same ones again */
	takes_files(leaf, ask, ark);
	takes_files(leaf, ark, ask);
	takes_files(ark, ask, leaf);
	takes_files(leaf, three, none); /* ASK, ARK, ASVK, and the ARK again */
	sample_free(&pem);
	sample_free(&ask);
	sample_free(&ark);
	sample_free(&all);
	sample_free(&asvk);
	sample_free(&three);
	X509_free(vcek);
}

static void test_forms_that_could_mean_two_are_refused(void **state)
{
	struct attest_blob other = sample("milan-vcek-b.der"), two = joined(leaf, other.data, other.size);

	refuses(two, chain, "two certificates that could be meant");
	sample_free(&other);
	sample_free(&two);
}

static void test_forms_that_lack_one_name_what_is_there(void **state)
{
	struct attest_blob ask = made_pem(certs[0], NULL, "ask.pem");

	refuses((struct attest_blob){0}, chain, "the VCEK that signed the report");
	refuses(ask, ask, "ask.pem holds \"SEV-Milan\", which is another");
	refuses(leaf, ask, "AMD's root certificate (ARK) is given neither");
	sample_free(&ask);
}

static void test_forms_of_something_else_are_refused(void **state)
{
	static const struct {
		const char *text, *part;
	} rows[] = {
	        {"{\"vcekCert\": \"...\"}", "has 19 bytes and no certificate"},
	        {"{\"vcekCert\": \"...\"}", "jq -r"},
	        {"-----BEGIN PUBLIC KEY-----\n", "PEM, but of something else"},
	        {"\x1f\x8b rest", "gzip"},
	        {"<html>not found</html>", "a server's error"},
	        {"words", "neither in DER nor in PEM"},
	        {"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "certificate 1 is incomplete"},
	        {"-----BEGIN CERTIFICATE-----\nMII=\n", "certificate 1 is incomplete"},
	        {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "in DER (3 bytes)"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		refuses((struct attest_blob){rows[i].text, strlen(rows[i].text), "else"}, chain,
		        rows[i].part);
}

static void test_forms_that_are_damaged_are_refused(void **state)
{
	struct attest_blob junk = joined(leaf, "junk", 4), zeros = joined(leaf, "\0\0", 2),
	                   text = joined(chain, "", 0);
	char *first_end = memmem(text.data, text.size, "-----END", 8);

	refuses(junk, chain, "what follows certificate 1");
	refuses(zeros, chain, "what follows certificate 1");
	refuses((struct attest_blob){leaf.data, leaf.size - 1, "cut"}, chain,
	        "not an X.509 certificate in DER");
	refuses(leaf, (struct attest_blob){chain.data, 2000, "cut"}, "certificate 1 is incomplete");
	refuses(leaf, (struct attest_blob){chain.data, chain.size - 2, "cut"}, "certificate 2 is incomplete");
	*first_end = '='; /* now the END of the second one would end both */
	refuses(leaf, text, "certificate 1 is incomplete");
	sample_free(&junk);
	sample_free(&zeros);
	sample_free(&text);
}

/* RFC 4648, section 10, and what base64, xxd -p and openssl base64 make of longer bytes. */
static void test_forms_of_bytes_as_text_are_decoded(void **state)
{
	static const struct {
		const char *text;
		enum attest_form form;
		const char *bytes;
	} rows[] = {
	        {"Zm9vYmE=", ATTEST_FORM_BASE64, "fooba"},
	        {"Zm9vYg==", ATTEST_FORM_BASE64, "foob"},
	        {"Zm9vYmFy", ATTEST_FORM_BASE64, "foobar"},
	        {" Zm9v\nYmE\r\n=\n", ATTEST_FORM_BASE64, "fooba"},
	        {"Zm9vYmE", ATTEST_FORM_BASE64, "fooba"}, /* the alphabet for URLs goes without padding */
	        {"_-8_", ATTEST_FORM_BASE64, "\xff\xef\x3f"},
	        {"/+8/", ATTEST_FORM_BASE64, "\xff\xef\x3f"},
	        {"666f6F\n62 61\n", ATTEST_FORM_HEX, "fooba"},
	        {"Zm9vYmF=", ATTEST_FORM_BYTES, NULL}, /* spare bits that are not zero */
	        {"Zm9vYmE==", ATTEST_FORM_BYTES, NULL},
	        {"Zm9vY", ATTEST_FORM_BYTES, NULL},
	        {"Zm=9vYmE", ATTEST_FORM_BYTES, NULL},
	        {"Zm9v*mFy", ATTEST_FORM_BYTES, NULL},
	        {"", ATTEST_FORM_BYTES, NULL},
	        {" \n", ATTEST_FORM_BYTES, NULL},
	        {"=", ATTEST_FORM_BYTES, NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t bytes[32];
		size_t size = 99;

		assert_int_equal(
		        attest_form_decode(rows[i].text, strlen(rows[i].text), bytes, &size), rows[i].form);
		assert_int_equal(size, rows[i].bytes ? strlen(rows[i].bytes) : 99);
		if (rows[i].bytes)
			assert_memory_equal(bytes, rows[i].bytes, size);
	}
}

/*
 * PEM consists of letters, dashes and white space, so it would pass for Base64 in the alphabet for URLs,
 * whatever its length.
 */
static void test_forms_of_pem_are_not_taken_for_base64(void **state)
{
	struct attest_blob text = text_of("AAAA", chain, "AAAA");
	uint8_t *bytes = malloc(text.size);
	size_t size;

	for (size_t cut = 0; cut < 4; cut++)
		assert_int_equal(
		        attest_form_decode(text.data, text.size - cut, bytes, &size), ATTEST_FORM_BYTES);
	free(bytes);
	sample_free(&text);
}

static void test_forms_of_a_structure_are_told_by_its_size(void **state)
{
	char bytes[9] = "";
	struct err err;

	assert_ok(attest_form_struct("Zm9vYmE=", 8, bytes, 8, &err)); /* as it is */
	assert_memory_equal(bytes, "Zm9vYmE=", 8);
	assert_ok(attest_form_struct("Zm9vYmE=", 8, bytes, 5, &err));
	assert_memory_equal(bytes, "fooba", 5);
	assert_ok(attest_form_struct("61626364", 8, bytes, 4, &err));
	assert_memory_equal(bytes, "abcd", 4);
	assert_ok(attest_form_struct("61626364", 8, bytes, 6, &err)); /* Base64 that looks like hexadecimal */
	assert_memory_equal(bytes, "\xeb\x5e\xb6\xeb\x7e\xb8", 6);
	assert_fails(attest_form_struct("Zm9vYmE=", 8, bytes, 6, &err), ERR_USAGE,
	        "has 5 bytes in Base64: it must be the 6 bytes of the structure");
	assert_fails(
	        attest_form_struct("616263", 6, bytes, 4, &err), ERR_USAGE, "has 3 bytes in hexadecimal");
	assert_fails(attest_form_struct("\1\2", 2, bytes, 4, &err), ERR_USAGE, "has 2 bytes:");
	assert_fails(attest_form_struct("", 0, bytes, 4, &err), ERR_USAGE, "has 0 bytes:");
}

/* BER allows a length to be written with more bytes than it needs; DER does not, and vmm does not. */
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
	        cmocka_unit_test(test_forms_of_pem_are_taken),
	        cmocka_unit_test(test_forms_of_der_are_taken),
	        cmocka_unit_test(test_forms_certificates_are_told_by_what_they_are),
	        cmocka_unit_test(test_forms_that_could_mean_two_are_refused),
	        cmocka_unit_test(test_forms_that_lack_one_name_what_is_there),
	        cmocka_unit_test(test_forms_of_something_else_are_refused),
	        cmocka_unit_test(test_forms_that_are_damaged_are_refused),
	        cmocka_unit_test(test_forms_of_bytes_as_text_are_decoded),
	        cmocka_unit_test(test_forms_of_pem_are_not_taken_for_base64),
	        cmocka_unit_test(test_forms_of_a_structure_are_told_by_its_size),
	        cmocka_unit_test(test_forms_in_ber_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
