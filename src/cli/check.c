/*
 * check: every mistake of a configuration in one go. Main thread only.
 */
#include "verbs.h"
#include "vmm/config.h"

static int run(const struct cli_args *args, struct err *err)
{
	const char *path = cli_operand(args, 0);
	struct config *config;

	if (cli_config_load_whole(args, path, stdout, &config, err) < 0)
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
                "the configuration names are read and judged as a launch would; whether this host can launch "
                "it, vmm run --dry-run says. What measures well and protects nothing is a warning on "
                "standard "
                "error. Nothing is launched.",
        .options = options,
        .run = run,
};
