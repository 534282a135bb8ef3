/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check: arguments against a row of the table: order and words of the errors. The words are QEMU's, as
 * clients see them.
 */
#include <jansson.h>

#include "../../../src/control/control.h"
#include "support/test.h"

static const char *const words[] = {"one", "two", NULL};
static const struct control_type word = {.name = "Word", .kind = CONTROL_ENUM, .words = words};
static const struct control_type list = {.name = "[Word]", .kind = CONTROL_LIST, .element = &word};
static const struct control_member inner[] = {{"x", &control_type_int}, {0}};
static const struct control_type object = {.name = "Object", .kind = CONTROL_OBJECT, .members = inner};

static const struct control_member members[] = {
        {"text", &control_type_str},
        {"gpa", &control_type_uint64, true},
        {"count", &control_type_int, true},
        {"on", &control_type_bool, true},
        {"word", &word, true},
        {"list", &list, true},
        {"object", &object, true},
        {"any", &control_type_any, true},
        {0},
};

static void check(const struct control_member *row, const char *arguments, const char *expected)
{
	json_t *value = json_loads(arguments, 0, NULL);
	struct err err = {0};
	int result;

	assert_non_null(value);
	result = control_check_arguments(row, value, &err);
	json_decref(value);
	assert_int_equal(result, expected ? -1 : 0);
	if (expected)
		assert_string_equal(err.text, expected);
}

static void test_what_fits_is_taken(void **state)
{
	check(members, "{\"text\": \"\"}", NULL);
	check(members,
	        "{\"text\": \"a\", \"gpa\": -1, \"count\": 3, \"on\": false, \"word\": \"two\", \"list\": "
	        "[\"one\", \"one\"], \"object\": {\"x\": 1}, \"any\": null}",
	        NULL);
	check(NULL, "{}", NULL);
}

static void test_missing_comes_before_unexpected(void **state)
{
	check(members, "{\"bogus\": 1}", "Parameter 'text' is missing");
	check(members, "{\"text\": \"\", \"bogus\": 1}", "Parameter 'bogus' is unexpected");
	check(NULL, "{\"bogus\": 1}", "Parameter 'bogus' is unexpected");
	check(members, "{\"text\": 1, \"bogus\": 1}", "Invalid parameter type for 'text', expected: string");
}

static void test_wrong_types_have_qemus_words(void **state)
{
	check(members, "{\"text\": null}", "Invalid parameter type for 'text', expected: string");
	check(members, "{\"text\": \"\", \"gpa\": 1.0}", "Parameter 'gpa' expects uint64");
	check(members, "{\"text\": \"\", \"gpa\": 18446744073709551616.0}", "Parameter 'gpa' expects uint64");
	check(members, "{\"text\": \"\", \"count\": \"1\"}",
	        "Invalid parameter type for 'count', expected: integer");
	check(members, "{\"text\": \"\", \"on\": 1}", "Invalid parameter type for 'on', expected: boolean");
	check(members, "{\"text\": \"\", \"list\": {}}",
	        "Invalid parameter type for 'list', expected: array");
	check(members, "{\"text\": \"\", \"object\": []}",
	        "Invalid parameter type for 'object', expected: object");
}

static void test_words_and_elements_are_checked(void **state)
{
	check(members, "{\"text\": \"\", \"word\": \"six\"}", "Parameter 'word' does not accept value 'six'");
	check(members, "{\"text\": \"\", \"list\": [\"one\", \"nope\"]}",
	        "Parameter 'null' does not accept value 'nope'");
	check(members, "{\"text\": \"\", \"object\": {}}", "Parameter 'x' is missing");
	check(members, "{\"text\": \"\", \"object\": {\"x\": 1, \"y\": 2}}", "Parameter 'y' is unexpected");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_what_fits_is_taken),
	        cmocka_unit_test(test_missing_comes_before_unexpected),
	        cmocka_unit_test(test_wrong_types_have_qemus_words),
	        cmocka_unit_test(test_words_and_elements_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
