/*
 * check: every mistake of a configuration in one go. Main thread only.
 */
#include "verbs.h"
#include "vmm/config.h"

static int run(const struct cli_args *args, struct err *err)
{
	const char *path = cli_operand(args, 0);
	struct config *config;

	if (cli_config_load(args, path, stdout, &config, err) < 0)
		return -1;
	printf("%s: no mistakes\n", file_name(path));
	config_destroy(config);
	return 0;
}

static const struct cli_option options[] = {CLI_OPTION_SET, {0}};

const struct cli_verb cli_verb_check = {
        .name = "check",
        .operands = "CONFIG",
        .operands_min = 1,
        .operands_max = 1,
        .summary = "report every mistake in a configuration",
        .help = "Each mistake is a line on standard output: file:line:column: key: what is wrong. Files that "
                "the configuration names must exist and be readable. Nothing is launched.",
        .options = options,
        .run = run,
};
