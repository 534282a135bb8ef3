/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check: reports every mistake of a configuration in one go. Main thread only.
 */
#include <string.h>

#include "dry_run.h"
#include "verbs.h"
#include "vmm/config.h"
#include "vmm/json.h"
#include "vmm/launch.h"

static json_t *number_or_null(unsigned number)
{
	return number ? json_integer(number) : json_null();
}

/* A mistake stands in a file or in a word of the command line, or belongs to neither. */
static json_t *mistake_json(const struct config_mistake *m)
{
	bool is_key = strncmp(m->where, "--set ", strlen("--set ")) == 0;
	const char *word = m->in_set ? m->where + (is_key ? strlen("--set ") : 0) : NULL;

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "file", json_doc_text(m->in_set ? NULL : m->where),
	        "set", json_doc_text(word), "line", number_or_null(m->line), "column",
	        number_or_null(m->column), "key", json_doc_text(m->key), "text", json_doc_text(m->text));
}

static int print_json(
        const struct config_mistakes *mistakes, const struct launch_findings *warnings, struct err *err)
{
	json_t *list = json_array();
	auto_json json_t *root = NULL;

	for (size_t i = 0; i < mistakes->count; i++)
		json_doc_append(&list, mistake_json(&mistakes->list[i]));
	root = json_pack("{s:o, s:o}", "mistakes", list, "warnings", cli_warnings_json(warnings));
	return json_doc_print(root, err);
}

static int print(const struct cli_args *args, int result, const struct config_mistakes *mistakes,
        const struct launch_findings *warnings, struct err *err)
{
	const char *path = cli_operand(args, 0);

	launch_warn(warnings);
	if (cli_given(args, "json")) {
		if (print_json(mistakes, warnings, err) < 0)
			return -1;
		return result < 0 ? cli_mistakes_count(mistakes, err) : 0;
	}
	if (result < 0)
		return cli_mistakes_print(stdout, mistakes, err);
	printf("%s: no mistakes\n", path ? file_name(path) : "the command line");
	return 0;
}

static int run(const struct cli_args *args, struct err *err)
{
	const struct launch_findings *warnings;
	struct config_mistakes mistakes = {0};
	struct config *config = NULL;
	int result = cli_config_load_whole(args, cli_operand(args, 0), &config, &mistakes, &warnings);

	result = print(args, result, &mistakes, warnings, err);
	config_mistakes_finish(&mistakes);
	config_destroy(config);
	return result;
}

static const struct cli_option options[] = {CLI_OPTION_SET, CLI_OPTIONS_DEVICES, CLI_OPTION_JSON, {0}};

const struct cli_verb cli_verb_check = {
        .name = "check",
        .operands = "[CONFIG]",
        .operands_max = 1,
        .summary = "report every mistake in a configuration",
        .help = "Each mistake is a line on standard output: file:line:column: key: what is wrong. Files that "
                "the configuration names are read and judged as a launch would judge them. Whether this host "
                "can launch the guest is what vmm run --dry-run says. Without CONFIG the options are judged "
                "alone. A configuration that measures well and "
                "protects nothing is a warning on standard error. Nothing is launched.",
        .options = options,
        .run = run,
};
