/* SPDX-License-Identifier: Apache-2.0 */
/* Expected values are from the tables of SEV API 55766 and SNP ABI 56860, written out here as numbers. */
#include <inttypes.h>

#include "parse.h"

struct row {
	const char *type, *value; /* JSON */
	uint64_t bits;
};

static struct config *with(const char *key, const struct row *r)
{
	auto_free char *text = NULL;

	assert_true(asprintf(&text, "{\"sev\": {\"%s\": %s, \"type\": \"%s\"}}", key, r->value, r->type) > 0);
	return parsed(text, NULL);
}

static void test_policy_numbers_and_words(void **state)
{
	static const struct row rows[] = {
	        {"sev", "null", 0x1},
	        {"sev-es", "null", 0x5},
	        {"sev-snp", "null", 0x30000},
	        {"none", "null", 0},
	        {"sev", "0", 0},
	        {"sev", "[]", 0},
	        {"sev", "\"nodbg,noks,nosend,domain,sev\"", 0x3b},
	        {"sev", "[\"nodbg\", \"api=1.51\"]", 0x33010001},
	        {"sev-es", "[]", 0x4},
	        {"sev-es", "\"nodbg , es\"", 0x5},
	        {"sev-es", "4", 0x4},
	        {"sev-snp", "[]", 0x20000},
	        {"sev-snp", "196608", 0x30000},
	        {"sev-snp", "\"0x30000\"", 0x30000},
	        {"sev-snp", "\"196608\"", 0x30000},
	        {"sev-snp", "\"smt\"", 0x30000},
	        {"sev-snp", "\"migrate-ma\"", 0x60000},
	        {"sev-snp", "\"debug\"", 0xa0000},
	        {"sev-snp", "\"single-socket\"", 0x120000},
	        {"sev-snp", "\"cxl\"", 0x220000},
	        {"sev-snp", "\"aes-256-xts\"", 0x420000},
	        {"sev-snp", "\"rapl-dis\"", 0x820000},
	        {"sev-snp", "\"ciphertext-hiding\"", 0x1020000},
	        {"sev-snp", "\"page-swap-disable\"", 0x2020000},
	        {"sev-snp", "[\"smt\", \"abi=1.55\"]", 0x30137},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct config *c = with("policy", &rows[i]);

		if (c->sev.policy != rows[i].bits)
			fail_msg("%s %s: 0x%" PRIx64, rows[i].type, rows[i].value, c->sev.policy);
		assert_int_equal(c->sev.policy_given, strcmp(rows[i].value, "null") != 0);
		config_destroy(c);
	}
}

static void test_defaults_of_bits_are_those_that_the_help_names(void **state)
{
	assert_non_null(
	        strstr(config_key_find("sev.policy")->help, "0x1 for sev, 0x5 for sev-es, 0x30000 for"));
	assert_non_null(strstr(config_key_find("sev.vmsa-features")->help, "0 for sev-es, 0x1 for sev-snp"));
}

static void test_features_numbers_and_words(void **state)
{
	static const struct row rows[] = {
	        {"sev-es", "null", 0},
	        {"sev-snp", "null", 1},
	        {"sev-es", "\"debug-swap\"", 0x20},
	        {"sev-es", "0", 0},
	        {"sev-snp", "\"debug-swap, secure-tsc\"", 0x221},
	        {"sev-snp", "[\"vtom\", \"restricted-injection\", \"vmsa-reg-protection\"]", 0x400b},
	        {"sev-snp", "\"0x21\"", 0x21},
	        {"sev-snp", "1", 1},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct config *c = with("vmsa-features", &rows[i]);

		if (c->sev.vmsa_features != rows[i].bits)
			fail_msg("%s %s: 0x%" PRIx64, rows[i].type, rows[i].value, c->sev.vmsa_features);
		config_destroy(c);
	}
}

static const struct refusal {
	const char *key, *type, *value, *text;
} refusals[] = {
        {"policy", "sev-snp", "65536",
                "is 0x10000, but every SNP policy must have bit 17 set: write 0x30000, or words, which need "
                "not say this bit"},
        {"policy", "sev-snp", "\"0x300000\"",
                "is 0x300000, but every SNP policy must have bit 17 set: write 0x320000, or words, which "
                "need not say this bit"},
        {"policy", "sev-snp", "\"0x8000000000030000\"",
                "is 0x8000000000030000, of which 0x8000000000000000 is reserved"},
        {"policy", "sev-snp", "\"0x4020000\"", "is 0x4020000, of which 0x4000000 is reserved"},
        {"policy", "sev-snp", "\"debgu\"", "has no word \"debgu\"; did you mean \"debug\"?"},
        {"policy", "sev-snp", "\"\"", "has an empty word; null is the default"},
        {"policy", "sev-snp", "\"smt,\"", "has an empty word; null is the default"},
        {"policy", "sev-snp", "\" \"", "has an empty word; null is the default"},
        {"policy", "sev-snp", "\"abi=1\"", "\"abi=1\" must be abi=MAJOR.MINOR, each from 0 to 255"},
        {"policy", "sev-snp", "\"abi=1.256\"", "\"abi=1.256\" must be abi=MAJOR.MINOR"},
        {"policy", "sev-snp", "\"abi=1.2.3\"", "\"abi=1.2.3\" must be abi=MAJOR.MINOR"},
        {"policy", "sev-snp", "\"abi=1.-2\"", "\"abi=1.-2\" must be abi=MAJOR.MINOR"},
        {"policy", "sev-snp", "\"0x\"", "\"0x\" is not a number of at most 64 bits"},
        {"policy", "sev-snp", "\"3000z\"", "\"3000z\" is not a number of at most 64 bits"},
        {"policy", "sev-snp", "\"0x10000000000020000\"", "is not a number of at most 64 bits"},
        {"policy", "sev-snp", "-1", "must be a number, words or null; this is -1"},
        {"policy", "sev-snp", "1.5", "must be a number, words or null; this is 1.5"},
        {"policy", "sev-snp", "{}", "must be a number, words or null; this is an object"},
        {"policy", "sev-snp", "[\"smt\", 3]", "is a list of words, and 3 is not one"},
        {"policy", "sev-snp", "[\"smt,debug\"]", "has no word \"smt,debug\"; there are smt, "},
        {"policy", "sev", "\"smt\"",
                "has no word \"smt\"; there are nodbg, noks, es, nosend, domain, sev and api="},
        {"policy", "sev", "5", "is 0x5, but bit 2 (es) belongs to sev.type \"sev-es\": write 0x1"},
        {"policy", "sev", "\"es\"", "is 0x4, but bit 2 (es) belongs to sev.type \"sev-es\": write 0x0"},
        {"policy", "sev", "64", "is 0x40, of which 0x40 is reserved"},
        {"policy", "sev", "4294967296", "is 0x100000000, of which 0x100000000 is reserved"},
        {"policy", "sev-es", "1",
                "is 0x1, but a sev-es guest needs bit 2 (es) in its policy: write 0x5, or words, which need "
                "not say this bit"},
        {"policy", "none", "1", "is for sev.type sev, sev-es or sev-snp; the type is none"},
        {"vmsa-features", "sev-snp", "32",
                "is 0x20, but bit 0 (snp) is set in every sev-snp guest's features: write 0x21, or words, "
                "which need not say this bit"},
        {"vmsa-features", "sev-snp", "\"0x2001\"", "is 0x2001, of which 0x2000 is reserved"},
        {"vmsa-features", "sev-snp", "\"debug_swap\"",
                "has no word \"debug_swap\"; did you mean \"debug-swap\"?"},
        {"vmsa-features", "sev-es", "1",
                "is 0x1, but bit 0 (snp) belongs to sev.type \"sev-snp\": write 0x0"},
        {"vmsa-features", "sev", "1", "is for sev.type sev-es or sev-snp; the type is sev"},
        {"vmsa-features", "none", "\"x\"", "is for sev.type sev-es or sev-snp; the type is none"},
};

static void test_bits_refusals_name_the_reason(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		const struct refusal *r = &refusals[i];
		auto_free char *text = NULL, *found = NULL, *start = NULL;

		assert_true(asprintf(&text, "{\"sev\": {\"%s\": %s, \"type\": \"%s\"}}", r->key, r->value,
		                    r->type) > 0);
		assert_true(asprintf(&start, "t:1:%zu: sev.%s: ", strlen(r->key) + 14, r->key) > 0);
		found = mistakes_of(text, strlen(text), NULL);
		if (strncmp(found, start, strlen(start)) != 0 || !strstr(found, r->text))
			fail_msg("%s: %s", text, found);
	}
}

static void test_bits_say_nothing_when_the_type_is_wrong(void **state)
{
	assert_mistakes("{\"sev\": {\"policy\": \"nonsense\", \"type\": \"snp\", \"session\": \"s\", "
	                "\"dh-cert\": \"d\"}}",
	        NULL,
	        "t:1:40: sev.type: must be none, sev, sev-es or sev-snp; this is \"snp\"; "
	        "did you mean \"sev-snp\"?\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_policy_numbers_and_words),
	        cmocka_unit_test(test_defaults_of_bits_are_those_that_the_help_names),
	        cmocka_unit_test(test_features_numbers_and_words),
	        cmocka_unit_test(test_bits_refusals_name_the_reason),
	        cmocka_unit_test(test_bits_say_nothing_when_the_type_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
