/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What sev.certificates may name, judged before a launch. The certificates are genuine, and put together
 * wrongly. tests/unit/run/test_certs.c has what a guest gets.
 */
#include "bench.h"
#include "support/folder.h"
#include "vmm/attest/report.h"

static struct bench bench;
static char folder[64];

static int setup(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/vmm-certs-XXXXXX");
	return mkdtemp(folder) ? crypto_load(NULL) : -1;
}

static int teardown(void **state)
{
	folder_remove(folder);
	return 0;
}

static struct attest_blob load(const char *name)
{
	struct attest_blob blob = {.name = name};
	char path[512];
	struct err err;
	void *data;

	snprintf(path, sizeof(path), "%s/attestation/%s", TEST_DATA, name);
	assert_ok(file_read_all(path, MIB(1), &data, &blob.size, &err));
	blob.data = data;
	return blob;
}

/* Copies a file of the tests' data into the folder, or a part of it between two certificates in PEM. */
static void put(const char *as, const char *name, int number)
{
	struct attest_blob blob = load(name);
	const char *at = blob.data, *end = at + blob.size;
	char path[128];
	FILE *out;

	for (int i = 0; i < number; i++)
		at = memmem(at + 1, (size_t)(end - at) - 1, "-----BEGIN", 10);
	if (number == 0)
		end = (const char *)memmem(at, (size_t)(end - at), "-----END CERTIFICATE-----", 25) + 26;
	snprintf(path, sizeof(path), "%s/%s", folder, as);
	out = fopen(path, "w");
	assert_non_null(out);
	assert_int_equal(fwrite(at, 1, (size_t)(end - at), out), end - at);
	fclose(out);
	free((void *)(uintptr_t)blob.data);
}

#define WHOLE (-1)

static void test_certificates_of_a_folder_are_judged(void **state)
{
	static const struct {
		struct {
			const char *as, *name;
			int number; /* of the certificate in the file */
		} files[4];
		const char *refused; /* NULL: launched */
	} rows[] = {
	        {{{"vcek.der", "milan-vcek-a.der", WHOLE}, {"ask.pem", "ask_ark_milan.pem", 0},
	                 {"ark.pem", "ask_ark_milan.pem", 1}},
	                NULL},
	        {{{"vcek.der", "milan-vcek-a.der", WHOLE}}, NULL}, /* a warning: ASK and ARK are elsewhere */
	        {{{"ask.pem", "ask_ark_milan.pem", 0}}, "has none of vcek.der, vcek.pem, vlek.der, vlek.pem"},
	        {{{"vlek.der", "milan-vcek-a.der", WHOLE}}, "the table's VLEK: is a VCEK, not a VLEK"},
	        {{{"vcek.pem", "ask_ark_milan.pem", 0}}, "names no product"},
	        {{{"vcek.der", "milan-vcek-a.der", WHOLE}, {"ask.pem", "ask_ark_genoa.pem", 0}},
	                "\"SEV-VCEK\", was not issued by the table's ASK, \"SEV-Genoa\""},
	        {{{"vcek.der", "milan-vcek-a.der", WHOLE}, {"ask.pem", "ask_ark_milan_vlek.pem", 0}},
	                "was not issued by the table's ASK, \"SEV-VLEK-Milan\""},
	        {{{"vcek.der", "milan-vcek-a.der", WHOLE}, {"ask.pem", "ask_ark_milan.pem", 0},
	                 {"ark.pem", "ask_ark_turin_vcek.pem", 1}},
	                "\"SEV-Milan\", was not issued by the table's ARK, \"ARK-Turin\""},
	        {{{"vcek.der", "milan-report-a.bin", WHOLE}}, "has 1184 bytes and no certificate"},
	        {{{"vcek.der", "milan-vcek-a.der", WHOLE}, {"ask.pem", "ask_ark_milan.pem", 0},
	                 {"asvk.pem", "ask_ark_milan_vlek.pem", 0}},
	                "has both ask and asvk"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char set[96];
		const char *sets[] = {set, NULL};
		int result;

		setup(NULL);
		for (size_t k = 0; k < ARRAY_LEN(rows[i].files) && rows[i].files[k].as; k++)
			put(rows[i].files[k].as, rows[i].files[k].name, rows[i].files[k].number);
		snprintf(set, sizeof(set), "sev.certificates=%s", folder);
		bench_start(&bench);
		result = bench_launch(&bench, "sev-snp", sets);
		if (!rows[i].refused && result < 0)
			fail_msg("row %zu: %s", i, bench.err.text);
		if (rows[i].refused && (result == 0 || bench.err.kind != ERR_USAGE ||
		                               !strstr(bench.err.text, rows[i].refused) ||
		                               strncmp(bench.err.text, "sev.certificates", 16) != 0))
			fail_msg("row %zu: \"%s\", not \"%s\"", i, result ? bench.err.text : "launched",
			        rows[i].refused);
		bench_end(&bench);
		teardown(NULL);
	}
}

static void test_certificates_of_a_wrong_path_are_refused(void **state)
{
	static const struct {
		const char *path, *refused;
	} rows[] = {
	        {"/nowhere/table", "sev.certificates: /nowhere/table: No such file"},
	        {"/dev/null", "is neither a file nor a folder"},
	        {TEST_DATA "/attestation/milan-vcek-a.der", "entry 0 points outside"},
	        {TEST_DATA "/attestation", "has none of vcek.der"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char set[600];
		const char *sets[] = {set, NULL};

		snprintf(set, sizeof(set), "sev.certificates=%s", rows[i].path);
		bench_start(&bench);
		assert_int_equal(bench_launch(&bench, "sev-snp", sets), -1);
		if (!strstr(bench.err.text, rows[i].refused))
			fail_msg("row %zu: \"%s\", not \"%s\"", i, bench.err.text, rows[i].refused);
		bench_end(&bench);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_certificates_of_a_folder_are_judged),
	        cmocka_unit_test(test_certificates_of_a_wrong_path_are_refused),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
