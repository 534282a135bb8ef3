/* SPDX-License-Identifier: Apache-2.0 */
#include "../../../src/cli/args.h"
#include "support/test.h"

static const struct cli_option options[] = {
        {"set", "KEY=VALUE", "help", .repeats = true},
        {"json", NULL, "help"},
        {"host", "NAME", "help"},
        {0},
};

static const struct cli_verb verb = {.name = "test",
        .operands = "[CONFIG]",
        .operands_max = 1,
        .summary = "",
        .help = "",
        .options = options};

static struct cli_args *args;
static struct err err;

static int parse(const char *words)
{
	static char text[200];
	static char *argv[20];
	int argc = 0;

	cli_args_destroy(take_ptr(&args));
	snprintf(text, sizeof(text), "%s", words);
	for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	return cli_args_parse(&verb, argc, argv, &args, &err);
}

static int teardown(void **state)
{
	cli_args_destroy(take_ptr(&args));
	return 0;
}

static void test_args_options_and_operands_in_any_order(void **state)
{
	const char *const *sets;
	size_t count;

	assert_ok(parse("test --set a=1 file --json --set=b=2"));
	assert_true(cli_given(args, "json"));
	assert_false(cli_given(args, "host"));
	sets = cli_values(args, "set", &count);
	assert_int_equal(count, 2);
	assert_string_equal(sets[0], "a=1");
	assert_string_equal(sets[1], "b=2");
	assert_int_equal(cli_operand_count(args), 1);
	assert_string_equal(cli_operand(args, 0), "file");
	assert_null(cli_operand(args, 1));
}

static void test_args_mistakes_are_named(void **state)
{
	assert_fails(parse("test --sett a=1"), ERR_USAGE, "--sett is not an option of vmm test");
	assert_fails(parse("test --set"), ERR_USAGE, "--set needs a value");
	assert_fails(parse("test --host a --host b"), ERR_USAGE, "--host is given twice");
	assert_fails(parse("test a b"), ERR_USAGE, "usage: vmm test [CONFIG]");
	assert_fails(parse("test -x"), ERR_USAGE, "is not an option");
}

/* getopt() alone would name the word before the wrong one or, among operands, any word. */
static void test_args_word_that_is_wrong_is_the_one_named(void **state)
{
	static const struct {
		const char *words, *text;
	} rows[] = {
	        {"test -set a=1", "-set is not an option of vmm test; did you mean --set?"},
	        {"test -host sim", "-host is not an option of vmm test; did you mean --host?"},
	        {"test file -set k=v", "-set is not an option of vmm test; did you mean --set?"},
	        {"test --set a=1 -json file", "-json is not an option of vmm test; did you mean --json?"},
	        {"test file -x --json", "-x is not an option"},
	        {"test --hots=sim file", "--hots=sim is not an option of vmm test; did you mean --host?"},
	        {"test --json=yes", "--json takes no value, this is --json=yes"},
	        {"test file --set", "--set needs a value"},
	        {"test --host", "--host needs a value"},
	        /* QEMU's options are keys here. */
	        {"test -m 2G", "it is the key machine.memory: --set machine.memory=VALUE"},
	        {"test -smp 4", "--set machine.vcpus=VALUE"},
	        {"test -append quiet", "--set boot.cmdline=VALUE"},
	        {"test --vcpu-sig=1", "--set machine.cpu-signature=VALUE"},
	        {"test -nographic", "there is no display"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_fails(parse(rows[i].words), ERR_USAGE, rows[i].text);
	assert_memory_equal(err.text, "-nographic", 10);
}

static void test_args_words_that_look_like_options(void **state)
{
	assert_ok(parse("test -- -set"));
	assert_string_equal(cli_operand(args, 0), "-set");
	assert_ok(parse("test --set -x=1 -"));
	assert_string_equal(cli_operand(args, 0), "-");
	assert_string_equal(cli_value(args, "set"), "-x=1");
}

static void test_args_long_word_is_shortened(void **state)
{
	char words[180] = "test --";

	memset(words + 7, 'x', sizeof(words) - 8);
	assert_fails(parse(words), ERR_USAGE, "xxx...xxx");
	assert_true(strlen(err.text) < 130);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_teardown(test_args_options_and_operands_in_any_order, teardown),
	        cmocka_unit_test_teardown(test_args_mistakes_are_named, teardown),
	        cmocka_unit_test_teardown(test_args_word_that_is_wrong_is_the_one_named, teardown),
	        cmocka_unit_test_teardown(test_args_words_that_look_like_options, teardown),
	        cmocka_unit_test_teardown(test_args_long_word_is_shortened, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
