/* SPDX-License-Identifier: Apache-2.0 */
#include "parse.h"

static uint64_t memory(const char *set)
{
	struct config *c = parsed("{}", (const char *const[]){set, NULL});
	uint64_t bytes = c->machine.memory_bytes;

	config_destroy(c);
	return bytes;
}

static void test_size_units_are_binary(void **state)
{
	assert_int_equal(memory("machine.memory=1048576"), MIB(1));
	assert_int_equal(memory("machine.memory=1024K"), MIB(1));
	assert_int_equal(memory("machine.memory=512M"), MIB(512));
	assert_int_equal(memory("machine.memory=2g"), GIB(2));
	assert_int_equal(memory("machine.memory=1GiB"), GIB(1));
	assert_int_equal(memory("machine.memory=1T"), GIB(1024));
	assert_int_equal(memory("machine.memory=\"3M\""), MIB(3));
}

static void test_size_wrong_text_is_refused(void **state)
{
	static const char *const texts[] = {"", " 1M", "-1M", "1.5G", "1MB", "1 M", "1Q", "M", "1MiBs",
	        "0x100000", "99999999999999999999", "17179869184G", "true"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		auto_free char *set = NULL, *found = NULL;

		assert_true(asprintf(&set, "machine.memory=%s", texts[i]) > 0);
		found = mistakes_of("{}", 2, set);
		if (!strstr(found, "machine.memory: must be a size"))
			fail_msg("%s: %s", set, found);
	}
}

static void test_size_out_of_range_or_off_a_page_is_refused(void **state)
{
	assert_mistakes("{\"machine\": {\"memory\": 4096}}", NULL,
	        "t:1:24: machine.memory: must be from 1M to 16T; this is 4096\n");
	assert_mistakes("{\"machine\": {\"memory\": \"17T\"}}", NULL,
	        "t:1:24: machine.memory: must be from 1M to 16T; this is \"17T\"\n");
	assert_mistakes("{\"machine\": {\"memory\": 1048577}}", NULL,
	        "t:1:24: machine.memory: must be a multiple of 1M; this is 1048577\n");
	assert_mistakes("{\"machine\": {\"memory\": \"3M\", \"hugepages\": true}}", NULL,
	        "t:1:24: machine.memory: must be a multiple of 2M, because machine.hugepages is on\n");
}

static void test_number_edges(void **state)
{
	static const char *const wrong[] = {"0", "513", "-1", "1.0", "\"1\"", "null", "4294967297"};
	struct config *c = parsed("{\"machine\": {\"vcpus\": 1}, \"run\": {\"grace\": 3600}}", NULL);

	assert_int_equal(c->machine.vcpus, 1);
	assert_int_equal(c->run.grace_s, 3600);
	config_destroy(c);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		auto_free char *text = NULL, *found = NULL;

		assert_true(asprintf(&text, "{\"machine.vcpus\": %s}", wrong[i]) > 0);
		found = mistakes_of(text, strlen(text), NULL);
		assert_non_null(strstr(
		        found, "t:1:19: machine.vcpus: must be a whole number from 1 to 512; this is "));
	}
	assert_mistakes("{\"run.grace\": 3601}", NULL,
	        "t:1:15: run.grace: must be a whole number of seconds from 0 to 3600; this is 3601\n");
}

static void test_text_with_nul_or_control_is_refused(void **state)
{
	assert_mistakes("{\"name\": \"a\\u0000b\"}", NULL,
	        "t:1:10: name: has a NUL character, which no such text can hold\n");
	assert_mistakes("{\"name\": \"a\\u001b[2J\"}", NULL,
	        "t:1:10: name: has a control character (0x1b); remove it\n");
	assert_mistakes("{\"log\": \"warn\\u0000\"}", NULL,
	        "t:1:9: log: must be error, warn, info or debug; this is \"warn\"\n");
	assert_mistakes("{\"sev.type\": \"sev-snp\", \"sev.policy\": \"smt\\u0000\"}", NULL,
	        "t:1:39: sev.policy: has a NUL character, which no such text can hold\n");
}

static void test_hex_needs_every_digit(void **state)
{
	const char *sixty_four = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeg";
	auto_free char *set = NULL, *found = NULL;

	assert_true(asprintf(&set, "sev.host-data=%s", sixty_four) > 0);
	found = mistakes_of("{\"sev.type\": \"sev-snp\"}", 23, set);
	assert_non_null(strstr(found, "must be \"\" or a string of 64 hexadecimal digits; this is \"0123"));
	assert_mistakes("{\"sev.type\": \"sev-snp\", \"sev.host-data\": \"00\"}", NULL,
	        "t:1:42: sev.host-data: must be \"\" or a string of 64 hexadecimal digits; this one has 2 "
	        "characters\n");
}

static void test_set_words_apply_in_order_after_the_file(void **state)
{
	static const char *const sets[] = {"machine.vcpus=3", "name=plain text", "name=\"quoted\"",
	        "machine.hugepages=true", "machine.vcpus=4", NULL};
	struct config *c = parsed("{\"machine\": {\"vcpus\": \"overridden\"}, \"name\": \"file\"}", sets);

	assert_int_equal(c->machine.vcpus, 4);
	assert_string_equal(c->name, "quoted");
	assert_true(c->machine.hugepages);
	config_destroy(c);
}

static void test_set_value_that_looks_like_json_stays_text_for_text(void **state)
{
	static const char *const sets[] = {
	        "name=42", "boot.kernel=/k", "boot.cmdline=a=b console=ttyS0", NULL};
	struct config *c = parsed("{}", sets);

	assert_string_equal(c->name, "42");
	assert_string_equal(c->boot.cmdline, "a=b console=ttyS0");
	config_destroy(c);
}

static void test_set_wrong_words_are_told(void **state)
{
	assert_mistakes("{}", "name", "--set name: KEY=VALUE is needed\n");
	assert_mistakes("{}", "", "--set : KEY=VALUE is needed\n");
	assert_mistakes("{}", "=1", "--set =1: there is no such key; vmm.conf(5) lists them\n");
	assert_mistakes("{}", "nmae=1", "--set nmae=1: nmae: there is no such key; did you mean name?\n");
	assert_mistakes("{}", "machine={}", "--set machine={}: machine: is a section; set one of its keys\n");
	assert_mistakes("{}", "name=\xff", "--set name=\\xff: name: is not valid UTF-8\n");
	assert_mistakes("{}", "machine.vcpus=two",
	        "--set machine.vcpus=two: machine.vcpus: must be a whole number from 1 to 512; this is "
	        "\"two\"\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_size_units_are_binary),
	        cmocka_unit_test(test_size_wrong_text_is_refused),
	        cmocka_unit_test(test_size_out_of_range_or_off_a_page_is_refused),
	        cmocka_unit_test(test_number_edges),
	        cmocka_unit_test(test_text_with_nul_or_control_is_refused),
	        cmocka_unit_test(test_hex_needs_every_digit),
	        cmocka_unit_test(test_set_words_apply_in_order_after_the_file),
	        cmocka_unit_test(test_set_value_that_looks_like_json_stays_text_for_text),
	        cmocka_unit_test(test_set_wrong_words_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
