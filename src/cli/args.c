/*
 * args: a verb's command line against its table of options. Main thread only.
 */
#include <getopt.h>
#include <string.h>

#include "args.h"

#define OPTIONS_MAX 40

struct given {
	const char *name, *value;
};

struct cli_args {
	struct given *given;
	size_t given_count;
	char **operands;
	int operand_count;
	const char **values; /* backs what cli_values() returned last */
};

int cli_operand_count(const struct cli_args *args)
{
	return args->operand_count;
}

const char *cli_operand(const struct cli_args *args, int i)
{
	return i < args->operand_count ? args->operands[i] : NULL;
}

const char *cli_value(const struct cli_args *args, const char *option)
{
	for (size_t i = args->given_count; i-- > 0;) {
		if (strcmp(args->given[i].name, option) == 0)
			return args->given[i].value;
	}
	return NULL;
}

bool cli_given(const struct cli_args *args, const char *option)
{
	return cli_value(args, option) != NULL;
}

const char *const *cli_values(const struct cli_args *args, const char *option, size_t *ret_count)
{
	size_t count = 0;

	for (size_t i = 0; i < args->given_count; i++) {
		if (strcmp(args->given[i].name, option) == 0)
			args->values[count++] = args->given[i].value;
	}
	*ret_count = count;
	return args->values;
}

void cli_args_destroy(struct cli_args *args)
{
	if (!args)
		return;
	free(args->given);
	free(args->values);
	free(args);
}

/* getopt's table; the value of each row is its index + 1. Returns false if the verb has too many options. */
static bool long_options(const struct cli_verb *verb, struct option *table)
{
	size_t n = 0;

	for (const struct cli_option *o = verb->options; o && o->name; o++, n++) {
		if (n == OPTIONS_MAX)
			return false;
		table[n] =
		        (struct option){o->name, o->arg ? required_argument : no_argument, NULL, (int)n + 1};
	}
	table[n] = (struct option){0};
	return true;
}

static int add(struct cli_args *args, const struct cli_verb *verb, const struct cli_option *o,
        const char *value, struct err *err)
{
	if (!o->repeats && cli_given(args, o->name))
		return err_set(err, ERR_USAGE, "--%s is given twice; see vmm %s --help", o->name, verb->name);
	args->given[args->given_count++] = (struct given){o->name, value ?: ""};
	return 0;
}

static int parse_options(
        struct cli_args *args, const struct cli_verb *verb, int argc, char **argv, struct err *err)
{
	struct option table[OPTIONS_MAX + 1];
	int c;

	if (!long_options(verb, table))
		return err_set(err, ERR_FAILED, "vmm %s has more than %d options", verb->name, OPTIONS_MAX);
	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", table, NULL)) != -1) {
		if (c == ':')
			return err_set(err, ERR_USAGE, "%s needs a value; see vmm %s --help",
			        argv[optind - 1], verb->name);
		if (c == '?')
			return err_set(err, ERR_USAGE, "%s is not an option of vmm %s; see vmm %s --help",
			        argv[optind - 1], verb->name, verb->name);
		if (add(args, verb, &verb->options[c - 1], optarg, err) < 0)
			return -1;
	}
	args->operands = argv + optind;
	args->operand_count = argc - optind;
	return 0;
}

int cli_args_parse(
        const struct cli_verb *verb, int argc, char **argv, struct cli_args **ret_args, struct err *err)
{
	struct cli_args *args = calloc(1, sizeof(*args));

	if (args) {
		args->given = calloc((size_t)argc + 1, sizeof(*args->given));
		args->values = calloc((size_t)argc + 1, sizeof(*args->values));
	}
	if (!args || !args->given || !args->values) {
		cli_args_destroy(args);
		return err_set(err, ERR_FAILED, "no memory for the command line");
	}
	if (parse_options(args, verb, argc, argv, err) < 0)
		goto fail;
	if (args->operand_count < verb->operands_min || args->operand_count > verb->operands_max) {
		err_set(err, ERR_USAGE, "usage: vmm %s%s%s", verb->name, *verb->operands ? " " : "",
		        verb->operands);
		goto fail;
	}
	*ret_args = args;
	return 0;
fail:
	cli_args_destroy(args);
	return -1;
}
