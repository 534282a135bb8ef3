/* SPDX-License-Identifier: Apache-2.0 */
#include "parse.h"

static void test_mistakes_come_in_the_order_of_the_file(void **state)
{
	assert_mistakes("{\n\t\"log\": 1,\n  \"name\": 2, \"ho\xc3\xb6st\": \"\xc3\xa4\", \"host\": 3}",
	        "name=",
	        ""
	        "t:2:9: log: must be error, warn, info or debug; this is 1\n"
	        "t:3:14: ho\xc3\xb6st: there is no such key; did you mean host?\n"
	        "t:3:36: host: must be kvm or sim; this is 3\n"
	        "--set name=: name: must not be empty\n");
}

static void test_mistakes_beyond_the_limit_are_counted_as_more(void **state)
{
	struct config_mistakes mistakes = {0};
	struct config *config = NULL;
	auto_free char *text = calloc(1, 6 * 1000 + 8);
	size_t used = 1;

	text[0] = '{';
	for (int i = 0; i < 1000; i++)
		used += (size_t)sprintf(text + used, "%s\"z\":0", i ? "," : "");
	strcpy(text + used, "}");
	assert_int_equal(config_parse("t", text, used + 1, NULL, 0, NULL, &config, &mistakes), -1);
	assert_int_equal(mistakes.count, CONFIG_MISTAKES_MAX);
	assert_non_null(strstr(mistakes.list[CONFIG_MISTAKES_MAX - 1].text, "there are more mistakes"));
	config_mistakes_finish(&mistakes);
}

static void test_mistake_hostile_key_is_cut_and_escaped(void **state)
{
	char text[400], *found;

	snprintf(text, sizeof(text), "{\"\\u001b[2J%0200d\": 1}", 0);
	found = mistakes_of(text, strlen(text), NULL);
	assert_true(strncmp(found, "t:1:2: \\x1b[2J0000", 18) == 0);
	assert_non_null(strstr(found, "000...: there is no such key"));
	assert_true(strlen(found) < 200);
	free(found);
}

static void test_mistake_is_told_once_a_key(void **state)
{
	struct config *c = parsed("{\n\"name\": \"x\"}", NULL);
	struct config_mistakes mistakes = {0};
	char *line;

	config_mistake_at(c, &mistakes, "name", "first %d", 1);
	config_mistake_at(c, &mistakes, "name", "second");
	config_mistake_at(c, &mistakes, "log", "of a default");
	assert_int_equal(mistakes.count, 2);
	line = config_mistake_format(&mistakes.list[0]);
	assert_string_equal(line, "t:2:9: name: first 1");
	free(line);
	line = config_mistake_format(&mistakes.list[1]);
	assert_string_equal(line, "t: log: of a default");
	free(line);
	config_mistakes_finish(&mistakes);
	config_destroy(c);
}

static void refuse_cpu(const struct config *config, struct config_mistakes *mistakes)
{
	if (strcmp(config->machine.cpu, "486") == 0)
		config_mistake_at(config, mistakes, "machine.cpu", "is old");
}

static void test_callers_check_joins_the_list(void **state)
{
	const char *text = "{\"machine.cpu\": \"486\", \"host\": 1}";
	struct config_mistakes mistakes = {0};
	struct config *config = NULL;

	assert_int_equal(config_parse("t", text, strlen(text), NULL, 0, refuse_cpu, &config, &mistakes), -1);
	assert_int_equal(mistakes.count, 2);
	assert_string_equal(mistakes.list[0].text, "is old");
	assert_int_equal(mistakes.list[0].column, 17);
	config_mistakes_finish(&mistakes);
	assert_int_equal(config_parse("t", "{}", 2, NULL, 0, refuse_cpu, &config, &mistakes), 0);
	config_destroy(config);
}

static void test_text_that_is_no_object_is_one_mistake(void **state)
{
	auto_free char *deep = malloc(100000), *found = NULL;

	assert_mistakes("", NULL, "t:1:1: is empty; the smallest configuration is an object, {}\n");
	assert_mistakes(" \n\t", NULL, "t:2:2: is empty; the smallest configuration is an object, {}\n");
	assert_mistakes("[]", NULL, "t:1:1: a configuration is an object and begins with {\n");
	assert_mistakes("{} x", "name=", "t:1:4: there is more text after the end of the object\n");
	assert_mistakes("{\"name\": \"\xff\"}", NULL, "t:1:11: the text is not valid UTF-8 here\n");
	assert_mistakes("{\"name\\u0000\": 1}", NULL, "t:1:2: a key has a NUL character\n");
	assert_mistakes("{\"log\": 1e999}", NULL, "t:1:9: the number is too large\n");
	assert_mistakes("{\"log\": t\xc3\xbc}", NULL, "t:1:9: invalid token near 't'\n");
	assert_mistakes("{\"log\" \"t\xc3\xbcr\"}", NULL, "t:1:8: ':' expected near '\"t\xc3\xbcr\"'\n");
	found = mistakes_of("{\n \"name\":\0}", 12, NULL);
	assert_string_equal(found, "t:2:9: there is a NUL byte here; a text is needed\n");
	free(found);
	memset(deep, '[', 100000);
	memcpy(deep, "{\"a\":", 5);
	found = mistakes_of(deep, 100000, NULL);
	assert_string_equal(found, "t:1:2053: is nested too deeply\n");
}

static void test_deep_and_odd_values_of_unknown_keys_are_stepped_over(void **state)
{
	assert_mistakes("{\"a\\\"}\": [[{\"x\": \"]}\\\\\"}, 1], \"}\"], \"\": {\"\": {}}, \"lgo\": -1e3}",
	        NULL,
	        "t:1:2: a\"}: there is no such key; vmm.conf(5) lists them\n"
	        "t:1:37: there is no such key; vmm.conf(5) lists them\n"
	        "t:1:51: lgo: there is no such key; did you mean log?\n");
}

static void test_load_refuses_what_is_no_small_file(void **state)
{
	struct config_mistakes mistakes = {0};
	struct config *config = NULL;
	char path[] = "/tmp/vmm-test-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 10 << 20), 0);
	assert_int_equal(config_load(path, NULL, 0, NULL, &config, &mistakes), -1);
	assert_int_equal(config_load("/", NULL, 0, NULL, &config, &mistakes), -1);
	assert_int_equal(config_load("/nonexistent", NULL, 0, NULL, &config, &mistakes), -1);
	assert_int_equal(mistakes.count, 3);
	assert_non_null(strstr(mistakes.list[0].text, "has 10485760 bytes, the limit is 1048576"));
	assert_non_null(strstr(mistakes.list[1].text, "is a directory"));
	assert_non_null(strstr(mistakes.list[2].text, "No such file"));
	config_mistakes_finish(&mistakes);
	close(fd);
	unlink(path);
}

static void test_files_are_checked_in_the_same_go(void **state)
{
	const char *text = "{\"firmware\": \"/nonexistent/f\",\n\"boot\": {\"kernel\": \"/\", \"initrd\": "
	                   "\"/dev/null\"},\n"
	                   "\"machine\": {\"debugcon\": \"/nonexistent/d\"}}";
	struct config_mistakes mistakes = {0};
	struct config *config = NULL;

	assert_int_equal(
	        config_parse("t", text, strlen(text), NULL, 0, config_check_files, &config, &mistakes), -1);
	assert_int_equal(mistakes.count, 4);
	assert_string_equal(
	        mistakes.list[0].text, "/nonexistent/f cannot be read: No such file or directory");
	assert_string_equal(mistakes.list[1].text, "/ cannot be read: it is a directory, a file is needed");
	assert_string_equal(mistakes.list[2].text,
	        "/dev/null cannot be read: it is a device, a regular file or a pipe is needed");
	assert_string_equal(mistakes.list[3].text,
	        "/nonexistent/d cannot be written: its folder is missing or cannot be written");
	assert_int_equal(mistakes.list[3].line, 3);
	config_mistakes_finish(&mistakes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_mistakes_come_in_the_order_of_the_file),
	        cmocka_unit_test(test_mistakes_beyond_the_limit_are_counted_as_more),
	        cmocka_unit_test(test_mistake_hostile_key_is_cut_and_escaped),
	        cmocka_unit_test(test_mistake_is_told_once_a_key),
	        cmocka_unit_test(test_callers_check_joins_the_list),
	        cmocka_unit_test(test_text_that_is_no_object_is_one_mistake),
	        cmocka_unit_test(test_deep_and_odd_values_of_unknown_keys_are_stepped_over),
	        cmocka_unit_test(test_load_refuses_what_is_no_small_file),
	        cmocka_unit_test(test_files_are_checked_in_the_same_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
