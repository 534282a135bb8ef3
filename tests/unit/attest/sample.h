/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sample: the genuine evidence of tests/data/attestation, loaded. TEST_DATA is the folder tests/data.
 */
#ifndef VMM_ATTEST_SAMPLE_H
#define VMM_ATTEST_SAMPLE_H

#include "support/test.h"

#include "vmm/attest.h"
#include "vmm/attest/report.h"

/* A moment at which all sample certificates are valid: 2025-06-15. */
#define SAMPLE_TIME 1750000000

static inline struct attest_blob sample(const char *name)
{
	struct attest_blob blob = {.name = name};
	struct err err;
	char path[512];
	void *data;

	snprintf(path, sizeof(path), TEST_DATA "/attestation/%s", name);
	assert_ok(file_read_all(path, MIB(1), &data, &blob.size, &err));
	blob.data = data;
	return blob;
}

static inline void sample_free(struct attest_blob *blob)
{
	free((void *)(uintptr_t)blob->data);
	*blob = (struct attest_blob){0};
}

/* which: 'a' or 'b'. */
static inline struct attest_evidence sample_milan(char which, struct abi_snp_report *ret_report)
{
	struct attest_evidence evidence = {.at = SAMPLE_TIME};
	struct attest_blob report;
	struct err err;
	char name[40];

	snprintf(name, sizeof(name), "milan-report-%c.bin", which);
	report = sample(name);
	assert_ok(attest_report_parse(report.data, report.size, ret_report, NULL, &err));
	sample_free(&report);
	evidence.leaf = sample(which == 'a' ? "milan-vcek-a.der" : "milan-vcek-b.der");
	evidence.chain[0] = sample("ask_ark_milan.pem");
	return evidence;
}

static inline void sample_milan_free(struct attest_evidence *evidence)
{
	sample_free(&evidence->leaf);
	for (int i = 0; i < ATTEST_CHAIN_FILES; i++)
		sample_free(&evidence->chain[i]);
	sample_free(&evidence->table);
	sample_free(&evidence->root);
}

static inline const struct attest_check *check_named(const struct attest_verdict *verdict, const char *name)
{
	for (size_t i = 0; i < verdict->count; i++) {
		if (strcmp(verdict->checks[i].name, name) == 0)
			return &verdict->checks[i];
	}
	fail_msg("no check is named %s", name);
	return NULL;
}

static inline void assert_check_says(const struct attest_verdict *verdict, const char *name, const char *part)
{
	const char *text = "(there is no such check)";

	for (size_t i = 0; i < verdict->count; i++) {
		if (strcmp(verdict->checks[i].name, name) == 0)
			text = verdict->checks[i].text;
	}
	if (!strstr(text, part))
		fail_msg("%s: \"%s\" lacks \"%s\"", name, text, part);
}

/* Asserts that exactly these checks failed; names: separated by spaces, in order. */
static inline void assert_failed_checks(const struct attest_verdict *verdict, const char *names)
{
	char failed[400] = "";

	for (size_t i = 0; i < verdict->count; i++) {
		if (verdict->checks[i].result != ATTEST_FAILED)
			continue;
		if (*failed)
			strncat(failed, " ", sizeof(failed) - strlen(failed) - 1);
		strncat(failed, verdict->checks[i].name, sizeof(failed) - strlen(failed) - 1);
	}
	assert_string_equal(failed, names);
	assert_int_equal(verdict->passed, *names == '\0');
}

#endif
