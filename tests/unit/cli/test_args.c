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

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_teardown(test_args_options_and_operands_in_any_order, teardown),
	        cmocka_unit_test_teardown(test_args_mistakes_are_named, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
