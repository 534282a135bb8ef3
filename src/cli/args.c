/* SPDX-License-Identifier: Apache-2.0 */
/*
 * args: a verb's command line against its table of options. Main thread only.
 */
#include <getopt.h>
#include <string.h>

#include "vmm/config.h"

#include "args.h"

#define OPTIONS_MAX 40
#define OPERAND     1   /* getopt_long()'s name for a word that is not an option */
#define FIRST_ROW   256 /* the value of the table's first row: neither OPERAND nor a character */

struct given {
	const char *name, *value;
};

struct cli_args {
	struct given *given;
	size_t given_count;
	const char **operands;
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

const char *cli_option_at(const struct cli_args *args, size_t i, const char **ret_value)
{
	if (i >= args->given_count)
		return NULL;
	*ret_value = args->given[i].value;
	return args->given[i].name;
}

void cli_args_destroy(struct cli_args *args)
{
	if (!args)
		return;
	free(args->given);
	free(args->operands);
	free(args->values);
	free(args);
}

/*
 * Fills getopt's table; the value of each row is its index + FIRST_ROW. Returns false if the verb has too
 * many options.
 */
static bool long_options(const struct cli_verb *verb, struct option *table)
{
	size_t n = 0;

	for (const struct cli_option *o = verb->options; o && o->name; o++, n++) {
		if (n == OPTIONS_MAX)
			return false;
		table[n] = (struct option){
		        o->name, o->arg ? required_argument : no_argument, NULL, FIRST_ROW + (int)n};
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

static const char *option_name(const void *verb, size_t i)
{
	const struct cli_option *options = ((const struct cli_verb *)verb)->options;

	return options ? options[i].name : NULL;
}

static const char *key_name(const void *unused, size_t i)
{
	return i < config_keys_count ? config_keys[i].name : NULL;
}

static bool takes_keys(const struct cli_verb *verb)
{
	const char *name;

	for (size_t i = 0; (name = option_name(verb, i)); i++) {
		if (strcmp(name, "set") == 0)
			return true;
	}
	return false;
}

/* Writes a suggestion for a word that is not an option, or "" if there is none. */
static void suggest(const struct cli_verb *verb, const char *word, char *text, size_t size)
{
	auto_free char *name = strndup(word + strspn(word, "-"), strcspn(word + strspn(word, "-"), "="));
	const char *option = name ? config_same(name, option_name, verb) : NULL;
	const char *key = name && takes_keys(verb) ? config_same(name, key_name, NULL) : NULL;

	text[0] = '\0';
	if (name && config_why_none(name))
		snprintf(text, size, "%s; ", config_why_none(name));
	else if (!option && !key && name)
		option = config_nearest(name, option_name, verb);
	if (option)
		snprintf(text, size, "did you mean --%s? ", option);
	else if (key)
		snprintf(text, size, "it is the key %s: --set %s=VALUE; ", key, key);
}

/* glibc leaves the row's value in optopt when a flag was given a value. */
static int refuse(const struct cli_verb *verb, const char *word, struct err *err)
{
	char meant[100];

	if (word[1] == '-' && optopt)
		return err_set(err, ERR_USAGE, "--%s takes no value, this is %s; see vmm %s --help",
		        verb->options[optopt - FIRST_ROW].name, TEXT_VALUE(word), verb->name);
	suggest(verb, word, meant, sizeof(meant));
	return err_set(err, ERR_USAGE, "%s is not an option of vmm %s; %ssee vmm %s --help", TEXT_VALUE(word),
	        verb->name, meant, verb->name);
}

/*
 * The leading "-" makes getopt return options and operands in their order, so that argv[at] is the word that
 * is wrong; "+" makes it stop at the first operand.
 */
static int parse_words(
        struct cli_args *args, const struct cli_verb *verb, int argc, char **argv, struct err *err)
{
	struct option table[OPTIONS_MAX + 1];
	int c, at = 1;

	if (!long_options(verb, table))
		return err_set(err, ERR_FAILED, "vmm %s has more than %d options", verb->name, OPTIONS_MAX);
	optind = 0;
	opterr = 0;
	for (; (c = getopt_long(argc, argv, verb->passes_on ? "+:" : "-:", table, NULL)) != -1; at = optind) {
		if (c == OPERAND)
			args->operands[args->operand_count++] = optarg;
		else if (c == ':')
			return err_set(err, ERR_USAGE, "%s needs a value; see vmm %s --help",
			        TEXT_VALUE(argv[at]), verb->name);
		else if (c == '?')
			return refuse(verb, argv[at], err);
		else if (add(args, verb, &verb->options[c - FIRST_ROW], optarg, err) < 0)
			return -1;
	}
	while (optind < argc) /* what follows "--", or a program */
		args->operands[args->operand_count++] = argv[optind++];
	return 0;
}

int cli_args_parse(
        const struct cli_verb *verb, int argc, char **argv, struct cli_args **ret_args, struct err *err)
{
	struct cli_args *args = calloc(1, sizeof(*args));

	if (args) {
		args->given = calloc((size_t)argc + 1, sizeof(*args->given));
		args->operands = calloc((size_t)argc + 1, sizeof(*args->operands));
		args->values = calloc((size_t)argc + 1, sizeof(*args->values));
	}
	if (!args || !args->given || !args->operands || !args->values) {
		cli_args_destroy(args);
		return err_set(err, ERR_FAILED, "no memory for the command line");
	}
	if (parse_words(args, verb, argc, argv, err) < 0)
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
