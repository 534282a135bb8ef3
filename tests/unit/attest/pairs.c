/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: test_attest_pairs FOLDER
 *
 * Every genuine report against every genuine certificate: those of the list FOLDER/pairs verify up to AMD's
 * root, and no other combination does. A line of the list: report, certificate, option, product, report's
 * version.
 */
#include <openssl/x509.h>

#include "sample.h"
#include "vmm/attest/report.h"

#define PAIRS_MAX 100

struct row {
	char report[16], cert[16], option[16], product[16];
};

static struct row rows[PAIRS_MAX];
static size_t row_count;
static const char *folder;

static struct attest_blob load(const char *name)
{
	struct attest_blob blob = {.name = name};
	char path[512];
	struct err err;
	void *data;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_ok(file_read_all(path, MIB(1), &data, &blob.size, &err));
	blob.data = data;
	return blob;
}

static int setup(void **state)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/pairs", folder);
	auto_fclose FILE *list = fopen(path, "r");

	assert_non_null(list);
	while (row_count < PAIRS_MAX &&
	        fscanf(list, "%15s %15s %15s %15s %*s", rows[row_count].report, rows[row_count].cert,
	                rows[row_count].option, rows[row_count].product) == 4)
		row_count++;
	return crypto_load(NULL);
}

static struct attest_blob chain_of(const struct row *row)
{
	static const struct {
		const char *option, *product, *file;
	} chains[] = {
	        {"--vcek", "Milan", "ask_ark_milan.pem"},
	        {"--vlek", "Milan", "ask_ark_milan_vlek.pem"},
	        {"--vcek", "Genoa", "ask_ark_genoa.pem"},
	        {"--vcek", "Turin", "ask_ark_turin_vcek.pem"},
	};

	for (size_t i = 0; i < ARRAY_LEN(chains); i++) {
		if (strcmp(row->option, chains[i].option) == 0 &&
		        strcmp(row->product, chains[i].product) == 0)
			return sample(chains[i].file);
	}
	fail_msg("no chain for %s %s", row->option, row->product);
	return (struct attest_blob){0};
}

/* Some certificates were valid for a year only, so each is checked on the day after its validity began. */
static time_t valid_at(const struct attest_blob *cert)
{
	const uint8_t *der = cert->data;
	X509 *x509 = d2i_X509(NULL, &der, (long)cert->size);
	struct tm tm;

	assert_non_null(x509);
	assert_int_equal(ASN1_TIME_to_tm(X509_get0_notBefore(x509), &tm), 1);
	X509_free(x509);
	return timegm(&tm) + 86400;
}

static bool belongs(const char *report, const char *cert)
{
	for (size_t i = 0; i < row_count; i++) {
		if (strcmp(rows[i].report, report) == 0 && strcmp(rows[i].cert, cert) == 0)
			return true;
	}
	return false;
}

static bool seen(size_t at, bool report)
{
	for (size_t i = 0; i < at; i++) {
		if (report ? !strcmp(rows[i].report, rows[at].report) : !strcmp(rows[i].cert, rows[at].cert))
			return true;
	}
	return false;
}

/* Returns whether the report of one row verifies with the certificate of another. */
static bool verifies(const char *name, const struct attest_evidence *evidence)
{
	struct attest_blob file = load(name);
	struct attest_verdict verdict;
	struct abi_snp_report report;
	struct err err;

	assert_ok(attest_report_parse(file.data, file.size, &report, NULL, &err));
	assert_ok(attest_report_verify(&report, evidence, &verdict, &err));
	sample_free(&file);
	return verdict.passed;
}

static void test_pairs_alone_verify(void **state)
{
	size_t good = 0, tried = 0;

	for (size_t c = 0; c < row_count; c++) {
		struct attest_evidence evidence = {0};

		if (seen(c, false))
			continue;
		evidence.leaf = load(rows[c].cert);
		evidence.chain[0] = chain_of(&rows[c]);
		evidence.at = valid_at(&evidence.leaf);
		for (size_t r = 0; r < row_count; r++) {
			bool passed;

			if (seen(r, true))
				continue;
			passed = verifies(rows[r].report, &evidence);
			if (passed != belongs(rows[r].report, rows[c].cert))
				fail_msg("%s with %s: verifies %d", rows[r].report, rows[c].cert, passed);
			good += passed;
			tried++;
		}
		sample_milan_free(&evidence);
	}
	print_message("%zu of %zu combinations verify\n", good, tried);
	assert_int_equal(good, row_count);
	assert_true(row_count >= 47);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_pairs_alone_verify)};

	if (argc != 2)
		return 2;
	folder = argv[1];
	return cmocka_run_group_tests(tests, setup, NULL);
}
