/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words: what shells complete, from the tables that the program itself reads: verbs, options, keys of the
 * configuration, and the control socket's commands. Runs when the tree is built. It copies a frame, whose
 * word
 * @program@ becomes the name of the program, and whose line @words@ becomes functions that both bash and zsh
 * understand: those with the tables, and those of a second file, which use them.
 */
#include <ctype.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/ctl.h"
#include "vmm/config.h"
#include "vmm/control/table.h"

#define FILES "@files" /* stands for the names of files */

/* A word of the tables never has a quote; what has one would end the script's string. */
static void put_word(void *unused, const char *word)
{
	if (!strchr(word, '\''))
		printf(" '%s'", word);
}

static void start_words(void)
{
	fputs("printf '%s\\n'", stdout);
}

/* ---- verbs ---- */

/* The first words of all verbs, each once. Those of one group lie together. */
static void put_first_words(void)
{
	size_t before = 0;
	const char *last = "";

	start_words();
	for (const struct cli_verb *const *v = cli_verbs; *v; v++) {
		size_t length = strcspn((*v)->name, " ");

		if (length != before || strncmp(last, (*v)->name, length) != 0)
			printf(" '%.*s'", (int)length, (*v)->name);
		last = (*v)->name;
		before = length;
	}
	puts(" ;;");
}

/* If this verb is the first one of its group: a case for the group, with all its verbs. */
static void put_group(const struct cli_verb *const *first)
{
	const char *group = (*first)->name;
	size_t length = strcspn(group, " ");
	const struct cli_verb *const *v = first;

	if (!group[length] || (first > cli_verbs && strncmp(first[-1]->name, group, length + 1) == 0))
		return;
	printf("\t'%.*s') ", (int)length, group);
	start_words();
	for (; *v && strncmp((*v)->name, group, length + 1) == 0; v++)
		put_word(NULL, (*v)->name + length + 1);
	puts(" ;;");
}

static void put_verbs(void)
{
	puts("# __vmm_next VERB: words that go on after it; it fails if the verb is whole.\n__vmm_next() "
	     "{\n\tcase $1 in");
	fputs("\t'') ", stdout);
	put_first_words();
	for (const struct cli_verb *const *v = cli_verbs; *v; v++)
		put_group(v);
	puts("\t*) return 1 ;;\n\tesac\n}\n");
}

/* ---- options ---- */

static void put_options(void)
{
	puts("# __vmm_options VERB: its options.\n__vmm_options() {\n\tcase $1 in");
	for (const struct cli_verb *const *v = cli_verbs; *v; v++) {
		printf("\t'%s') ", (*v)->name);
		start_words();
		for (const struct cli_option *o = (*v)->options; o && o->name; o++)
			printf(" '--%s'", o->name);
		puts(" '--help' ;;");
	}
	puts("\tesac\n}\n");
}

/* Words that an option's value is one of: "kvm|sim". */
static void put_choice(const char *arg)
{
	start_words();
	for (size_t n; *arg; arg += n + (arg[n] == '|')) {
		n = strcspn(arg, "|");
		printf(" '%.*s'", (int)n, arg);
	}
}

/* Prints the shell command that lists the values of an option. Its argument's name in the help says which
 * they are. */
static void put_value(const char *arg)
{
	if (strcmp(arg, "KEY=VALUE") == 0)
		fputs("__vmm_keys \"$3\"", stdout);
	else if (strncmp(arg, "FILE", 4) == 0 || strcmp(arg, "PEM") == 0)
		fputs("echo " FILES, stdout);
	else if (strncmp(arg, "DRIVER", 6) == 0)
		fputs("__vmm_drivers", stdout);
	else if (islower(*arg) && !strchr(arg, '['))
		put_choice(arg);
	else
		fputs(":", stdout);
}

static void put_values(void)
{
	puts("# __vmm_value VERB OPTION CURRENT: values of the option; it fails if the option takes none.\n"
	     "__vmm_value() {\n\tcase \"$1 $2\" in");
	for (const struct cli_verb *const *v = cli_verbs; *v; v++) {
		for (const struct cli_option *o = (*v)->options; o && o->name; o++) {
			if (!o->arg)
				continue;
			printf("\t'%s --%s') ", (*v)->name, o->name);
			put_value(o->arg);
			puts(" ;;");
		}
	}
	puts("\t*) return 1 ;;\n\tesac\n}\n");
}

/* ---- keys ---- */

static const char *const *words_of(const struct config_key *key)
{
	static const char *const booleans[] = {"true", "false", NULL};

	return key->type == CONFIG_BOOL ? booleans : key->type == CONFIG_WORD ? key->words : NULL;
}

static void put_keys(void)
{
	puts("# __vmm_keys CURRENT: keys of the configuration, or the values of the one that is there.\n"
	     "__vmm_keys() {\n\tcase $1 in");
	for (size_t i = 0; i < config_keys_count; i++) {
		const char *const *word = words_of(&config_keys[i]);

		if (!word)
			continue;
		printf("\t'%s='*) ", config_keys[i].name);
		start_words();
		for (; *word; word++)
			printf(" '%s=%s'", config_keys[i].name, *word);
		puts(" ;;");
	}
	fputs("\t*=*) ;;\n\t*) ", stdout);
	start_words();
	for (size_t i = 0; i < config_keys_count; i++)
		printf(" '%s='", config_keys[i].name);
	puts(" ;;\n\tesac\n}\n");
}

static void put_drivers(void)
{
	fputs("__vmm_drivers() { ", stdout);
	start_words();
	for (const char *const *driver = config_driver_words; *driver; driver++)
		put_word(NULL, *driver);
	puts("; }\n");
}

/* ---- the control socket ---- */

static void put_commands(void)
{
	static const char *const nothing[] = {""};

	fputs("__vmm_commands() { ", stdout);
	start_words();
	cli_ctl_candidates(nothing, 1, put_word, NULL);
	puts("; }\n");
}

static void put_argument_case(const char *command, const char *argument)
{
	const char *words[] = {command, argument};

	printf("\t'%s %s'*) ", command, argument);
	start_words();
	cli_ctl_candidates(words, 2, put_word, NULL);
	puts(" ;;");
}

/* A case for each argument's values, and after them one for the command's arguments. */
static void put_arguments(void)
{
	puts("# __vmm_arguments COMMAND CURRENT: arguments of a command of ctl, or the values of the one "
	     "that is "
	     "there.\n__vmm_arguments() {\n\tcase \"$1 $2\" in");
	for (size_t i = 0; i < control_commands_count; i++) {
		const struct control_command *command = &control_commands[i];

		for (const struct control_member *m = command->arguments; m && m->name; m++) {
			auto_free char *argument = NULL;

			if (asprintf(&argument, "%s=", m->name) >= 0)
				put_argument_case(command->name, argument);
		}
		if (command->arguments)
			put_argument_case(command->name, "");
	}
	puts("\t'help '*) __vmm_commands ;;\n\tesac\n}\n");
}

/* ---- frames ---- */

static void put_tables(void)
{
	put_verbs();
	put_options();
	put_values();
	put_keys();
	put_drivers();
	put_commands();
	put_arguments();
}

static void put_line(const char *line)
{
	static const char mark[] = "@program@";
	const char *at;

	for (; (at = strstr(line, mark)); line = at + strlen(mark))
		printf("%.*s" VMM_PROGRAM, (int)(at - line), line);
	fputs(line, stdout);
}

/* Copies a file. If it has the line @words@, that becomes the tables and the file common. */
static int put_file(const char *path, const char *common)
{
	auto_fclose FILE *file = fopen(path, "r");
	char line[1000];

	if (!file) {
		perror(path);
		return 1;
	}
	while (fgets(line, sizeof(line), file)) {
		if (strcmp(line, "@words@\n") != 0) {
			put_line(line);
			continue;
		}
		put_tables();
		if (put_file(common, NULL) != 0)
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3)
		return put_file(argv[1], argv[2]);
	fprintf(stderr, "usage: words FRAME COMMON\n");
	return 2;
}
