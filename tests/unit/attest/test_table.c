/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/pem.h>

#include "made.h"

/*
 * The GUIDs of VCEK, ASK, ARK, and one that nothing uses. The file milan-certs-a.bin, written by snphost,
 * confirms them.
 */
static const uint8_t guids[][16] = {
        {0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd},
        {0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f, 0xe4, 0xa0, 0x2f, 0x05, 0xae, 0xf3, 0x27, 0xc7, 0x82},
        {0xc0, 0xb4, 0x06, 0xa4, 0xa8, 0x03, 0x49, 0x52, 0x97, 0x43, 0x3f, 0xb6, 0x01, 0x4c, 0xd0, 0xae},
        {1},
};

struct made_table {
	uint8_t bytes[16384];
	size_t size;
	int entries;
};

static void add(struct made_table *t, const uint8_t guid[static 16], const void *data, size_t size)
{
	uint8_t *entry = t->bytes + 24 * (size_t)t->entries++;

	memcpy(entry, guid, 16);
	store_le(entry + 16, 4, t->size);
	store_le(entry + 20, 4, size);
	memcpy(t->bytes + t->size, data, size);
	t->size += (size + 15) & ~(size_t)15;
}

/* The genuine certificates of report a, as a host hands them out: DER, then zeros to the end of the page. */
static struct made_table milan_table(bool with_unknown)
{
	struct made_table table = {.size = 24 * 5};
	struct attest_blob leaf = sample("milan-vcek-a.der"), chain = sample("ask_ark_milan.pem");
	BIO *bio = BIO_new_mem_buf(chain.data, (int)chain.size);

	add(&table, guids[0], leaf.data, leaf.size);
	if (with_unknown)
		add(&table, guids[3], "unknown", 7);
	for (int i = 1; i <= 2; i++) {
		X509 *x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
		struct attest_blob der = made_der(x509, "der");

		add(&table, guids[i], der.data, der.size);
		sample_free(&der);
		X509_free(x509);
	}
	BIO_free(bio);
	sample_free(&leaf);
	sample_free(&chain);
	table.size = (table.size + 4095) & ~(size_t)4095;
	return table;
}

static struct abi_snp_report milan_report(void)
{
	struct abi_snp_report report;
	struct attest_evidence evidence = sample_milan('a', &report);

	sample_milan_free(&evidence);
	return report;
}

static struct attest_evidence evidence_of(const struct made_table *table)
{
	return (struct attest_evidence){
	        .table = {table->bytes, table->size, "table"},
	        .at = SAMPLE_TIME,
	};
}

static void test_table_alone_verifies_a_report(void **state)
{
	struct abi_snp_report report = milan_report();
	struct attest_verdict verdict;
	struct err err;

	for (int with_unknown = 0; with_unknown < 2; with_unknown++) {
		struct made_table table = milan_table(with_unknown);
		struct attest_evidence evidence = evidence_of(&table);

		assert_ok(attest_report_verify(&report, &evidence, &verdict, &err));
		assert_failed_checks(&verdict, "");
		if (with_unknown)
			assert_non_null(strstr(check_named(&verdict, "table")->text, "1 entries"));
	}
}

static void test_table_flips_fail(void **state)
{
	struct abi_snp_report report = milan_report();
	struct made_table table = milan_table(false);
	struct attest_evidence evidence = evidence_of(&table);
	struct attest_verdict verdict;

	/* The whole head; of the certificates, which test_flip has whole, every third byte. */
	for (size_t i = 0; i < table.size; i += i < 24 * 5 ? 1 : 3) {
		table.bytes[i] ^= (uint8_t)(1u << (i % 8));
		if (attest_report_verify(&report, &evidence, &verdict, NULL) == 0 && verdict.passed)
			fail_msg("byte %zu of the table flipped still passes", i);
		table.bytes[i] ^= (uint8_t)(1u << (i % 8));
	}
}

static void assert_refused(const struct made_table *table, const char *part)
{
	struct abi_snp_report report = milan_report();
	struct attest_evidence evidence = evidence_of(table);
	struct attest_verdict verdict;
	struct err err;

	assert_fails(attest_report_verify(&report, &evidence, &verdict, &err), ERR_USAGE, part);
}

static void test_table_that_lies_is_refused(void **state)
{
	struct made_table table = milan_table(false);

	store_le(table.bytes + 16, 4, table.size - 1);
	assert_refused(&table, "points outside");
	table = milan_table(false);
	store_le(table.bytes + 20, 4, UINT32_MAX);
	assert_refused(&table, "points outside");
	table = milan_table(false);
	store_le(table.bytes + 16, 4, 0); /* into the head */
	assert_refused(&table, "overlaps");
	table = milan_table(false);
	memcpy(table.bytes + 24, guids[0], 16);
	assert_refused(&table, "there twice");
	table = milan_table(false);
	table.size = 40;
	assert_refused(&table, "points outside");
	table = (struct made_table){.size = 30, .bytes = {1}};
	assert_refused(&table, "before its zero entry");
	table = (struct made_table){.size = 4096};
	assert_refused(&table, "the VCEK");
	memset(table.bytes, 1, sizeof(table.bytes));
	for (size_t i = 0; i < table.size; i += 24)
		memset(table.bytes + i + 16, 0, 8);
	assert_refused(&table, "more than");
}

static int setup(void **state)
{
	return crypto_load(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_table_alone_verifies_a_report),
	        cmocka_unit_test(test_table_flips_fail),
	        cmocka_unit_test(test_table_that_lies_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
