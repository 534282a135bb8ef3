/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli: one file per verb. A verb is a row: its options are a table, from which parsing, --help and the man
 * page come. Main thread only.
 */
#ifndef VMM_CLI_H
#define VMM_CLI_H

#include "vmm/base.h"

/* The first line of all words about the software platform. JSON has "simulated": true instead. */
#define CLI_SIMULATED "This is the software platform, a simulation: nothing protects the guest."

struct cli_option {
	const char *name; /* without the dashes */
	const char *arg;  /* what follows it, for the help ("KEY=VALUE"); NULL: a flag */
	const char *help; /* one or more sentences */
	bool repeats;     /* may be given more than once */
};

struct cli_args;

struct cli_verb {
	const char *name;     /* one or two words: "run", "report show" */
	const char *operands; /* for the help: "[CONFIG]" */
	int operands_min, operands_max;
	bool passes_on;                   /* the first operand is a program, and what follows it its own */
	const char *summary;              /* one line, no full stop */
	const char *help;                 /* paragraphs for --help and the man page; may be "" */
	const struct cli_option *options; /* ends with a row without a name; NULL: none */
	/* Returns the exit status (docs/errors.md), or -1 with err. */
	int (*run)(const struct cli_args *args, struct err *err);
};

/* All verbs, in the order in which the help lists them; ends with NULL. */
extern const struct cli_verb *const cli_verbs[];

/* The rows that several verbs share. */
#define CLI_OPTION_SET \
	{ \
		"set", "KEY=VALUE", "Set a configuration key, after the file; see vmm.conf(5).", \
		        .repeats = true \
	}
/* The options that add a device, as config_device_options has them. */
#define CLI_OPTIONS_DEVICES \
	{"disk", "FILE[,KEY=VALUE...]", \
	        "Add a disk: a raw image, a block device or an NBD URI; see vmm.conf(5) for the keys. A " \
	        "key without a value is true: --disk debian.raw,read-only.", \
	        .repeats = true}, \
	        {"net", "user[,KEY=VALUE...]", \
	                "Add a network card: user is connected through a passt process and needs no " \
	                "privilege " \
	                "(--net user,forward-tcp=2222:22), tap=INTERFACE to a tap interface.", \
	                .repeats = true}, \
	{ \
		"device", "DRIVER[,KEY=VALUE...]", \
		        "Add a device of any kind: --device vsock,cid=3. A comma in a value is written " \
		        "twice.", \
		        .repeats = true \
	}
#define CLI_OPTION_JSON \
	{ \
		"json", NULL, "Print JSON for tools instead of words for people." \
	}

int cli_operand_count(const struct cli_args *args);
const char *cli_operand(const struct cli_args *args, int i); /* NULL past the last */
bool cli_given(const struct cli_args *args, const char *option);
const char *cli_value(const struct cli_args *args, const char *option); /* the last one given; NULL: none */
/* All values of a repeating option, in order. */
const char *const *cli_values(const struct cli_args *args, const char *option, size_t *ret_count);
/* The i-th option of the command line and its value, from 0; NULL past the last. */
const char *cli_option_at(const struct cli_args *args, size_t i, const char **ret_value);

struct config;
struct config_mistakes;
struct launch_findings;
/*
 * Loads the configuration in path (NULL: defaults), the verb's --set words and its devices, and judges it,
 * with its files, as one that is to run. Mistakes are printed to out, a line each; then -1 with err,
 * ERR_USAGE. If out is standard error, a single mistake is err's text instead.
 */
int cli_config_load(const struct cli_args *args, const char *path, FILE *out, struct config **ret_config,
        struct err *err) MUST_CHECK;

/*
 * Does the same and judges the contents of all files, too, for vmm check. It prints nothing: the caller
 * zeroes mistakes, and finishes it in either case. *ret_warnings is borrowed and holds the warnings until the
 * next call.
 */
int cli_config_load_whole(const struct cli_args *args, const char *path, struct config **ret_config,
        struct config_mistakes *mistakes, const struct launch_findings **ret_warnings) MUST_CHECK;

/*
 * Returns -1 with err, which says how many mistakes there are; if there are none, that there was no memory.
 */
int cli_mistakes_count(const struct config_mistakes *mistakes, struct err *err);
/*
 * Prints the mistakes to out and does the same. If out is standard error, a single mistake is err's text
 * instead.
 */
int cli_mistakes_print(FILE *out, const struct config_mistakes *mistakes, struct err *err);

/* Does the same for a guest that is only measured, which may be larger. Mistakes go to standard error. */
int cli_config_load_measured(const struct cli_args *args, const char *path, struct config **ret_config,
        struct err *err) MUST_CHECK;

/* Takes the --set words alone and looks at no files, for verbs that launch nothing. */
int cli_config_load_bare(const struct cli_args *args, struct config **ret_config, struct err *err) MUST_CHECK;

/* Runs what argv asks for; returns the process's exit status. */
int cli_main(int argc, char **argv);

#endif
