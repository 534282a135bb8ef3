/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json: the values of documents, and the result when a part of a document cannot be made.
 */
#include <string.h>

#include "support/test.h"
#include "vmm/json.h"

static void assert_dump(json_t *value, const char *text)
{
	auto_free char *dump = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

	assert_non_null(value);
	assert_string_equal(dump, text);
	json_decref(value);
}

static void test_mask_of_zero_is_hexadecimal(void **state)
{
	assert_dump(json_doc_mask(0), "\"0x0\"");
	assert_dump(json_doc_mask(0x30000), "\"0x30000\"");
	assert_dump(json_doc_mask(UINT64_MAX), "\"0xffffffffffffffff\"");
}

static void test_bytes_are_lower_case(void **state)
{
	static const uint8_t bytes[] = {0x00, 0xab, 0xff};

	assert_dump(json_doc_bytes(bytes, sizeof(bytes)), "\"00abff\"");
	assert_dump(json_doc_bytes(bytes, 0), "\"\"");
}

static void test_text_hostile_is_escaped(void **state)
{
	assert_dump(json_doc_text("a \x1b[31m \xff b"), "\"a \\\\x1b[31m \\\\xff b\"");
	assert_dump(json_doc_text("h\xc3\xa4user"), "\"h\xc3\xa4user\"");
	assert_dump(json_doc_text(""), "null");
	assert_dump(json_doc_text(NULL), "null");
}

static void test_policy_has_the_words_of_the_configuration(void **state)
{
	assert_dump(json_doc_policy(CONFIG_SEV, 0x00370005),
	        "{\"value\":\"0x370005\",\"nodbg\":true,\"noks\":false,\"es\":true,\"nosend\":false,"
	        "\"domain\":false,\"sev\":false,\"api\":\"55.0\"}");
	assert_dump(json_doc_policy(CONFIG_SEV_SNP, 0x130137),
	        "{\"value\":\"0x130137\",\"smt\":true,\"migrate-ma\":false,\"debug\":false,\"single-socket\":"
	        "true,"
	        "\"cxl\":false,\"aes-256-xts\":false,\"rapl-dis\":false,\"ciphertext-hiding\":false,"
	        "\"page-swap-disable\":false,\"abi\":\"1.55\"}");
}

static void test_tcb_of_milan_has_no_fmc(void **state)
{
	assert_dump(json_doc_tcb(0xdb18000000000004, PRODUCT_TCB_PLAIN),
	        "{\"value\":\"0xdb18000000000004\",\"fmc\":null,\"bootloader\":4,\"tee\":0,\"snp\":24,"
	        "\"microcode\":219}");
	assert_dump(json_doc_tcb(0x4400000004030201, PRODUCT_TCB_FMC),
	        "{\"value\":\"0x4400000004030201\",\"fmc\":1,\"bootloader\":2,\"tee\":3,\"snp\":4,"
	        "\"microcode\":68}");
}

static void test_document_with_a_missing_part_is_none(void **state)
{
	json_t *object = json_object(), *array = json_array();
	struct err err = {0};

	json_doc_set(&object, "good", json_true());
	assert_non_null(object);
	json_doc_set(&object, "missing", NULL);
	assert_null(object);
	json_doc_set(&object, "late", json_string("freed"));
	assert_null(object);
	json_doc_append(&array, NULL);
	assert_null(array);
	json_doc_append(&array, json_string("freed"));
	assert_null(array);
	assert_int_equal(json_doc_print(object, &err), -1);
	assert_int_equal(err.kind, ERR_FAILED);
}

/* Makes jansson's allocations fail from number fail_at on. */
static unsigned allocations, fail_at;

static void *failing_malloc(size_t size)
{
	return ++allocations >= fail_at ? NULL : malloc(size);
}

static json_t *make_document(void)
{
	json_t *list = json_array();

	json_doc_append(&list, json_doc_policy(CONFIG_SEV_ES, 5));
	json_doc_append(&list, json_doc_tcb(1, PRODUCT_TCB_FMC));
	json_doc_append(&list, json_doc_text("words"));
	return json_pack("{s:o, s:o}", "list", list, "digest", json_doc_bytes("abc", 3));
}

static void test_document_without_memory_is_none(void **state)
{
	auto_json json_t *whole = make_document(), *made = NULL;
	unsigned failures = 0;

	assert_non_null(whole);
	json_set_alloc_funcs(failing_malloc, free);
	for (fail_at = 1; !made && fail_at < 1000; fail_at++) {
		allocations = 0;
		made = make_document();
		failures += !made;
	}
	json_set_alloc_funcs(malloc, free);
	assert_true(failures > 20);
	assert_true(json_equal(made, whole));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_mask_of_zero_is_hexadecimal),
	        cmocka_unit_test(test_bytes_are_lower_case),
	        cmocka_unit_test(test_text_hostile_is_escaped),
	        cmocka_unit_test(test_policy_has_the_words_of_the_configuration),
	        cmocka_unit_test(test_tcb_of_milan_has_no_fmc),
	        cmocka_unit_test(test_document_with_a_missing_part_is_none),
	        cmocka_unit_test(test_document_without_memory_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
