/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every byte tried: a bit flipped anywhere in a report or in a certificate, in DER or in PEM, must make
 * verification fail, be it with a failed check or with a refusal to read. docs/attestation.md names the
 * exceptions: the text around certificates in PEM, and the twin of an ECDSA signature.
 */
#include "sample.h"

static bool passes(const struct attest_blob *report_file, const struct attest_evidence *evidence)
{
	struct abi_snp_report report;
	struct attest_verdict verdict = {0};

	return attest_report_parse(report_file->data, report_file->size, &report, NULL, NULL) == 0 &&
	       attest_report_verify(&report, evidence, &verdict, NULL) == 0 && verdict.passed;
}

/* Is the byte outside of the certificates in PEM? Here only line ends are. */
static bool is_around(const struct attest_blob *blob, size_t at)
{
	static const char end[] = "-----END CERTIFICATE-----";
	const char *text = blob->data;

	return text[0] == '-' && text[at] == '\n' && at >= strlen(end) &&
	       memcmp(text + at - strlen(end), end, strlen(end)) == 0;
}

/*
 * Flips one bit of every byte of victim, which lies in the evidence or is the report; another bit each time.
 */
static void flip_each(
        struct attest_blob *victim, const struct attest_blob *report, const struct attest_evidence *evidence)
{
	uint8_t *bytes = (uint8_t *)(uintptr_t)victim->data;

	assert_true(passes(report, evidence));
	for (size_t i = 0; i < victim->size; i++) {
		uint8_t bit = (uint8_t)(1u << (i % 8));

		if (is_around(victim, i))
			continue;
		bytes[i] ^= bit;
		if (passes(report, evidence))
			fail_msg("%s: byte %zu with bit %#x flipped still passes", victim->name, i, bit);
		bytes[i] ^= bit;
	}
	assert_true(passes(report, evidence));
}

static void with_sample(void **state, size_t victim_offset)
{
	struct abi_snp_report parsed;
	struct attest_evidence evidence = sample_milan('a', &parsed);
	struct attest_blob report = sample("milan-report-a.bin");

	flip_each(victim_offset == SIZE_MAX
	                  ? &report
	                  : (struct attest_blob *)(void *)((uint8_t *)&evidence + victim_offset),
	        &report, &evidence);
	sample_milan_free(&evidence);
	sample_free(&report);
}

static void test_flip_in_report_fails(void **state)
{
	with_sample(state, SIZE_MAX);
}

static void test_flip_in_vcek_fails(void **state)
{
	with_sample(state, offsetof(struct attest_evidence, leaf));
}

static void test_flip_in_chain_fails(void **state)
{
	with_sample(state, offsetof(struct attest_evidence, chain));
}

/*
 * For characters that carry no data, or less data than their bits, tries every other value, not only one bit.
 */
static bool is_frame(const uint8_t *text, size_t i, size_t size)
{
	bool before_pad = i + 1 < size && text[i + 1] == '=' && text[i] != '=';

	return text[i] == '=' || before_pad || (text[i] == '\n' && i % 5 == 0) || i == 0;
}

/* One white space in place of another changes nothing. */
static bool is_same(uint8_t a, uint8_t b)
{
	return a == b || (memchr(" \t\r\n", a, 4) && memchr(" \t\r\n", b, 4));
}

static void test_any_other_value_in_pem_frame_fails(void **state)
{
	struct abi_snp_report parsed;
	struct attest_evidence evidence = sample_milan('a', &parsed);
	struct attest_blob report = sample("milan-report-a.bin");
	uint8_t *text = (uint8_t *)(uintptr_t)evidence.chain[0].data;

	for (size_t i = 0; i < evidence.chain[0].size; i++) {
		uint8_t good = text[i];

		if (!is_frame(text, i, evidence.chain[0].size) || is_around(&evidence.chain[0], i))
			continue;
		for (unsigned value = 0; value < 256; value++) {
			text[i] = (uint8_t)value;
			if (!is_same(text[i], good) && passes(&report, &evidence))
				fail_msg("byte %zu of the chain as %#x still passes", i, value);
		}
		text[i] = good;
	}
	sample_milan_free(&evidence);
	sample_free(&report);
}

/* The certificate's signed part lies at 4..770, the bits of its signature from 848 on. */
static void test_every_bit_of_certificate_frame_fails(void **state)
{
	struct abi_snp_report parsed;
	struct attest_evidence evidence = sample_milan('a', &parsed);
	struct attest_blob report = sample("milan-report-a.bin");
	uint8_t *der = (uint8_t *)(uintptr_t)evidence.leaf.data;

	for (size_t i = 0; i < 848; i = i == 7 ? 771 : i + 1) {
		for (unsigned bit = 0; bit < 8; bit++) {
			der[i] ^= (uint8_t)(1u << bit);
			if (passes(&report, &evidence))
				fail_msg("byte %zu of the VCEK with bit %u flipped still passes", i, bit);
			der[i] ^= (uint8_t)(1u << bit);
		}
	}
	assert_true(passes(&report, &evidence));
	sample_milan_free(&evidence);
	sample_free(&report);
}

/* The order of P-384's group, big-endian (SEC 2, 2.5.1). */
static const uint8_t order[48] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4,
        0x37, 0x2d, 0xdf, 0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5,
        0x29, 0x73};

/*
 * This is the one change that no check notices, as docs/attestation.md says: anyone can make (r, n - s) from
 * an ECDSA signature (r, s), and it is equally valid. Both are found in genuine reports, so neither may be
 * refused.
 */
static void test_signature_has_a_twin(void **state)
{
	struct abi_snp_report parsed;
	struct attest_evidence evidence = sample_milan('a', &parsed);
	struct attest_blob report = sample("milan-report-a.bin");
	uint8_t *s = (uint8_t *)(uintptr_t)report.data + offsetof(struct abi_snp_report, signature.s);
	int borrow = 0;

	for (int i = 0; i < 48; i++) { /* n - s; s is little-endian */
		int digit = order[47 - i] - s[i] - borrow;

		borrow = digit < 0;
		s[i] = (uint8_t)digit;
	}
	assert_memory_not_equal(s, parsed.signature.s, 48);
	assert_true(passes(&report, &evidence));
	sample_milan_free(&evidence);
	sample_free(&report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_flip_in_report_fails),
	        cmocka_unit_test(test_flip_in_vcek_fails),
	        cmocka_unit_test(test_flip_in_chain_fails),
	        cmocka_unit_test(test_any_other_value_in_pem_frame_fails),
	        cmocka_unit_test(test_every_bit_of_certificate_frame_fails),
	        cmocka_unit_test(test_signature_has_a_twin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
