/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_evidence: certificates from hostile bytes, held against the genuine report a: the first byte says as
 * which evidence the rest is given.
 */
#include <string.h>

#include "fuzz.h"
#include "vmm/attest.h"
#include "vmm/attest/report.h"

enum { LEAF, CHAIN, TABLE, ROOT, ROLES };

static struct {
	struct abi_snp_report report;
	struct attest_blob leaf, chain;
} sample;

static struct attest_blob load(const char *path)
{
	struct attest_blob blob = {.name = path};
	void *data;

	fuzz_assert(file_read_all(path, MIB(1), &data, &blob.size, NULL) == 0);
	blob.data = data;
	return blob;
}

static void load_sample(void)
{
	struct attest_blob report = load(TEST_DATA "/attestation/milan-report-a.bin");

	fuzz_assert(attest_report_parse(report.data, report.size, &sample.report, NULL, NULL) == 0);
	free((void *)(uintptr_t)report.data);
	sample.leaf = load(TEST_DATA "/attestation/milan-vcek-a.der");
	sample.chain = load(TEST_DATA "/attestation/ask_ark_milan.pem");
}

/* The genuine certificates have more than one form as PEM, in a table or as a root, and only one in DER. */
static bool may_pass(unsigned role, const struct attest_blob *given)
{
	return role != LEAF || *(const char *)given->data != '0' || /* DER begins with 30 */
	       memmem(given->data, given->size, sample.leaf.data, sample.leaf.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct attest_evidence evidence = {.at = 1750000000};
	struct attest_verdict verdict;
	struct err err = {0};
	unsigned role;

	if (!sample.leaf.data)
		load_sample();
	if (size < 2)
		return 0;
	role = data[0] % ROLES;
	struct attest_blob given = {data + 1, size - 1, "fuzz"};

	evidence.leaf = role == LEAF ? given : role == TABLE ? (struct attest_blob){0} : sample.leaf;
	evidence.chain[0] = role == CHAIN ? given : role == TABLE ? (struct attest_blob){0} : sample.chain;
	evidence.table = role == TABLE ? given : (struct attest_blob){0};
	evidence.root = role == ROOT ? given : (struct attest_blob){0};
	if (attest_report_verify(&sample.report, &evidence, &verdict, &err) < 0) {
		fuzz_assert(err.kind == ERR_USAGE && *err.text);
		return 0;
	}
	fuzz_assert(verdict.count > 0 && verdict.count <= ATTEST_CHECKS_MAX);
	fuzz_assert(!verdict.passed || may_pass(role, &given));
	for (size_t i = 0; i < verdict.count; i++) {
		for (const char *c = verdict.checks[i].text; *c; c++)
			fuzz_assert((unsigned char)*c >= ' ' && (unsigned char)*c < 0x7f);
	}
	return 0;
}
