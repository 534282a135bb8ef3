/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli: finds the verb, prints help and errors. Main thread only.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "vmm/config.h"

#include "args.h"
#include "verbs.h"

const struct cli_verb *const cli_verbs[] = {
        &cli_verb_run,
        &cli_verb_ctl,
        &cli_verb_map,
        &cli_verb_check,
        &cli_verb_host,
        &cli_verb_platform,
        &cli_verb_measure,
        &cli_verb_idblock_make,
        &cli_verb_idblock_show,
        &cli_verb_idblock_check,
        &cli_verb_report_show,
        &cli_verb_report_verify,
        &cli_verb_cert_show,
        &cli_verb_cert_verify,
        &cli_verb_session_new,
        &cli_verb_session_verify,
        &cli_verb_secret_pack,
        NULL,
};

static void print_wrapped(FILE *out, const char *text, int indent)
{
	const int width = 78;
	int column = 0;

	while (*text) {
		size_t word = strcspn(text, " \n");

		if (column > indent && column + 1 + (int)word > width) {
			fputc('\n', out);
			column = 0;
		}
		column += column ? fprintf(out, " %.*s", (int)word, text)
		                 : fprintf(out, "%*s%.*s", indent, "", (int)word, text);
		text += word;
		for (; *text == ' ' || *text == '\n'; text++) {
			if (*text == '\n') {
				fputc('\n', out);
				column = 0;
			}
		}
	}
	fputc('\n', out);
}

static void print_verb_help(FILE *out, const struct cli_verb *verb)
{
	fprintf(out, "usage: " VMM_PROGRAM " %s%s%s%s\n\n", verb->name, verb->options ? " [OPTION]..." : "",
	        *verb->operands ? " " : "", verb->operands);
	print_wrapped(out, verb->summary, 0);
	if (*verb->help) {
		fputc('\n', out);
		print_wrapped(out, verb->help, 0);
	}
	if (verb->options)
		fprintf(out, "\nOptions:\n");
	for (const struct cli_option *o = verb->options; o && o->name; o++) {
		fprintf(out, "  --%s%s%s\n", o->name, o->arg ? " " : "", o->arg ?: "");
		print_wrapped(out, o->help, 8);
	}
}

static void print_help(FILE *out)
{
	fprintf(out, VMM_PROGRAM ": launches AMD SEV, SEV-ES and SEV-SNP guests\n\nusage: " VMM_PROGRAM
	                         " VERB [OPTION]... [OPERAND]...\n\n");
	for (const struct cli_verb *const *v = cli_verbs; *v; v++)
		fprintf(out, "  %-16s %s\n", (*v)->name, (*v)->summary);
	fprintf(out, "\n" VMM_PROGRAM " VERB --help describes a verb, " VMM_PROGRAM
	             " --version prints the version.\n"
	             "Exit status: 0 done (the guest shut down), 1 failure, 2 usage or configuration,\n"
	             "3 the guest crashed or terminated itself, 4 this host cannot do it, "
	             "5 the guest rebooted and run.on-reboot is exit, 6 a move of a guest is in doubt.\n");
}

/* Returns how many words of argv name this verb; 0 if they name another. */
static int match(const struct cli_verb *verb, int argc, char **argv)
{
	const char *space = strchr(verb->name, ' ');
	size_t first = space ? (size_t)(space - verb->name) : strlen(verb->name);

	if (strncmp(argv[0], verb->name, first) != 0 || argv[0][first] != '\0')
		return 0;
	if (!space)
		return 1;
	return argc > 1 && strcmp(argv[1], space + 1) == 0 ? 2 : 0;
}

static const struct cli_verb *find(int argc, char **argv, int *ret_words)
{
	for (const struct cli_verb *const *v = cli_verbs; *v; v++) {
		*ret_words = match(*v, argc, argv);
		if (*ret_words)
			return *v;
	}
	return NULL;
}

static const char *verb_name(const void *unused, size_t i)
{
	return i < ARRAY_LEN(cli_verbs) && cli_verbs[i] ? cli_verbs[i]->name : NULL;
}

/* Is the verb in the group? "report show" is in "report". */
static bool is_in_group(const struct cli_verb *verb, const char *group)
{
	size_t length = strlen(group);

	return strncmp(verb->name, group, length) == 0 && verb->name[length] == ' ';
}

/* Returns false if no verb begins with this word. */
static bool print_group_help(const char *group)
{
	bool found = false;

	for (const struct cli_verb *const *v = cli_verbs; *v; v++) {
		if (!is_in_group(*v, group))
			continue;
		if (!found)
			printf("usage: vmm %s VERB [OPTION]... [OPERAND]...\n\n", group);
		found = true;
		printf("  %-16s %s\n", (*v)->name, (*v)->summary);
	}
	if (found)
		printf("\nvmm %s VERB --help describes a verb.\n", group);
	return found;
}

/* The word may be the first one of several verbs, as in "vmm report". */
static int unknown_verb(const char *word, struct err *err)
{
	char list[200] = "";
	size_t used = 0;
	const char *nearest = config_nearest(word, verb_name, NULL);

	for (const struct cli_verb *const *v = cli_verbs; *v; v++) {
		if (is_in_group(*v, word) && used < sizeof(list))
			used += (size_t)snprintf(
			        list + used, sizeof(list) - used, "%svmm %s", used ? ", " : "", (*v)->name);
	}
	if (used)
		return err_set(err, ERR_USAGE, "which one: %s?", list);
	return err_set(err, ERR_USAGE, "there is no verb \"%s\"%s%s; vmm --help lists them", TEXT_VALUE(word),
	        nearest ? "; did you mean " : "", nearest ?: "");
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	}
	return false;
}

static int run_verb(int argc, char **argv, struct err *err)
{
	int words, status;
	const struct cli_verb *verb = find(argc, argv, &words);
	struct cli_args *args;

	if (!verb && argc > 1 && wants_help(2, argv) && print_group_help(argv[0]))
		return 0;
	if (!verb)
		return unknown_verb(argv[0], err);
	if (wants_help(argc, argv)) {
		print_verb_help(stdout, verb);
		return 0;
	}
	if (cli_args_parse(verb, argc - words + 1, argv + words - 1, &args, err) < 0)
		return -1;
	status = verb->run(args, err);
	cli_args_destroy(args);
	return status;
}

static int dispatch(int argc, char **argv, struct err *err)
{
	if (argc < 2) {
		print_help(stderr);
		return ERR_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("vmm " VMM_VERSION "\n");
		return 0;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	        (strcmp(argv[1], "help") == 0 && argc == 2)) {
		print_help(stdout);
		return 0;
	}
	if (strcmp(argv[1], "help") == 0) {
		int words;
		const struct cli_verb *verb = find(argc - 2, argv + 2, &words);

		if (!verb && argc == 3 && print_group_help(argv[2]))
			return 0;
		if (!verb)
			return unknown_verb(argv[2], err);
		print_verb_help(stdout, verb);
		return 0;
	}
	return run_verb(argc - 1, argv + 1, err);
}

/*
 * A process may be started with a standard descriptor closed, and the next file that vmm opens would take its
 * number. So a descriptor takes the number that refuses every read and write, as the closed one did.
 */
static void fill_closed_descriptors(void)
{
	int fd;

	do
		fd = open("/", O_PATH | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/*
 * By default a signal kills a process whose file would grow beyond RLIMIT_FSIZE (setrlimit(2)). If the signal
 * is ignored the write fails with EFBIG, and vmm can say so.
 */
static void ignore_file_size_signal(void)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};

	sigaction(SIGXFSZ, &ignore, NULL);
}

/* Output may still be in the buffer of stdout. Only a flush shows whether it can be written. */
static int finish_output(struct err *err)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	return err_sys(err, ERR_FAILED, errno ?: EIO, "standard output cannot be written");
}

int cli_main(int argc, char **argv)
{
	struct err err = {0};
	int status;

	fill_closed_descriptors();
	ignore_file_size_signal();
	log_find_journal();
	status = dispatch(argc, argv, &err);
	if (finish_output(status < 0 ? NULL : &err) < 0 && status >= 0)
		status = -1;
	if (status < 0) {
		limit_explain(&err);
		fputs(log_is_journal() ? log_prefix(LOG_ERROR) : "vmm: ", stderr);
		text_put_safe(stderr, err.text);
		fputc('\n', stderr);
		status = err.kind ? (int)err.kind : ERR_FAILED;
	}
	return status;
}
