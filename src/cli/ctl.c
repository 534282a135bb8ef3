/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl: `vmm ctl` asks a guest's vmm and steers it, through its control socket. It works with QEMU, too. Main
 * thread only.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "vmm/json.h"

#include "ctl.h"
#include "verbs.h"

#define LIMIT_DEFAULT_S 60
#define LIMIT_MAX_S     1000000

/* A refusal of a command that was perhaps mistyped says so. */
static int suggest(const struct cli_ctl *ctl, const char *command, struct err *err)
{
	const char *meant = cli_ctl_link_refused(ctl->link) ? cli_ctl_meant(command) : NULL;
	const struct err refusal = *err;

	if (meant)
		err_set(err, refusal.kind, "%s; did you mean %s?", refusal.text, meant);
	return -1;
}

static int run_command(
        struct cli_ctl *ctl, const char *command, const char *const *words, size_t count, struct err *err)
{
	json_t *arguments = cli_ctl_arguments(command, words, count, err);
	auto_json json_t *value = NULL;

	if (!arguments)
		return -1;
	if (!json_object_size(arguments))
		json_decref(take_ptr(&arguments));
	value = cli_ctl_link_call(ctl->link, command, arguments, ctl->fd, err);
	if (!value)
		return suggest(ctl, command, err);
	cli_ctl_show_value(value, ctl->form);
	return 0;
}

int cli_ctl_command(struct cli_ctl *ctl, const char *const *words, size_t count, struct err *err)
{
	const char *command = words[0];
	bool watch = ctl->watch || (count == 2 && strcmp(words[1], "--watch") == 0);

	if (strcmp(command, "help") == 0 && count <= 2)
		return cli_ctl_help(count == 2 ? words[1] : NULL, err);
	if (strcmp(command, "metrics") == 0 && count == 1)
		return cli_ctl_metrics(ctl->link, err);
	if (strcmp(command, "status") == 0 && (count == 1 || watch))
		return cli_ctl_status(ctl->link, watch, ctl->form, err);
	if (cli_ctl_is_move(words, count))
		return cli_ctl_migrate(ctl, words, count, err);
	return run_command(ctl, command, words + 1, count - 1, err);
}

/* ---- events ---- */

static void on_event(void *ctx, const json_t *event)
{
	const struct cli_ctl *ctl = ctx;

	cli_ctl_show_event(event, ctl->form);
}

/* Standard output that nobody reads any more ends the program by SIGPIPE. */
static int follow_events(struct cli_ctl *ctl, struct err *err)
{
	bool ended = false;
	int result = 0;

	cli_ctl_link_listen(ctl->link, on_event, ctl);
	while (result == 0 && !ended)
		result = cli_ctl_link_events(ctl->link, -1, &ended, err);
	return result;
}

/* ---- the verb ---- */

/* Reads an option that is a number up to max. Leaves *ret_number as it is if the option is not given. */
static int number_option(
        const struct cli_args *args, const char *option, unsigned max, unsigned *ret_number, struct err *err)
{
	const char *text = cli_value(args, option);
	unsigned long value;
	char *end;

	if (!text)
		return 0;
	value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || value > max)
		return err_set(err, ERR_USAGE, "--%s is %s, expected: a number from 0 to %u", option,
		        TEXT_VALUE(text), max);
	*ret_number = (unsigned)value;
	return 0;
}

static int read_move(const struct cli_args *args, struct cli_ctl *ctl, struct err *err)
{
	static const char *const names[] = {
	        "keep", "handover", "postcopy", "resume", "bandwidth", "downtime"};
	const char *words[] = {cli_operand(args, 1), cli_operand(args, 2)};

	ctl->move = (struct cli_ctl_move){
	        .keep = cli_given(args, "keep"),
	        .handover = cli_given(args, "handover"),
	        .postcopy = cli_given(args, "postcopy"),
	        .resume = cli_given(args, "resume"),
	        .bandwidth = cli_value(args, "bandwidth"),
	        .downtime = cli_value(args, "downtime"),
	};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (cli_given(args, names[i]) && (cli_operand_count(args) != 3 || !cli_ctl_is_move(words, 2)))
			return err_set(err, ERR_USAGE,
			        "--%s belongs to the commands migrate ADDRESS and save PATH", names[i]);
	}
	return 0;
}

static int read_options(
        const struct cli_args *args, struct cli_ctl *ctl, unsigned *ret_limit_s, struct err *err)
{
	unsigned fd = ~0u;

	if (cli_given(args, "raw") && cli_given(args, "pretty"))
		return err_set(err, ERR_USAGE, "--raw and --pretty exclude each other");
	if (cli_given(args, "events") && cli_operand_count(args) > 1)
		return err_set(err, ERR_USAGE, "--events takes no command");
	ctl->watch = cli_given(args, "watch");
	if (ctl->watch && (cli_operand_count(args) != 2 || strcmp(cli_operand(args, 1), "status") != 0))
		return err_set(err, ERR_USAGE, "--watch belongs to the command status");
	if (read_move(args, ctl, err) < 0)
		return -1;
	ctl->form = cli_given(args, "pretty") || (isatty(STDOUT_FILENO) && !cli_given(args, "raw"))
	                    ? CLI_CTL_PRETTY
	                    : CLI_CTL_RAW;
	if (number_option(args, "timeout", LIMIT_MAX_S, ret_limit_s, err) < 0 ||
	        number_option(args, "fd", INT32_MAX, &fd, err) < 0)
		return -1;
	ctl->fd = (int)fd;
	if (ctl->fd >= 0 && fcntl(ctl->fd, F_GETFD) < 0)
		return err_sys(err, ERR_USAGE, errno, "--fd: the descriptor %d is not open", ctl->fd);
	return 0;
}

static int run_session(const struct cli_args *args, struct cli_ctl *ctl, struct err *err)
{
	const char *words[CLI_CTL_WORDS_MAX];
	size_t count = 0;

	if (cli_given(args, "events"))
		return follow_events(ctl, err);
	for (const char *word; count < ARRAY_LEN(words) && (word = cli_operand(args, (int)count + 1));)
		words[count++] = word;
	return count ? cli_ctl_command(ctl, words, count, err) : cli_ctl_prompt(ctl, err);
}

static int run(const struct cli_args *args, struct err *err)
{
	struct cli_ctl ctl = {0};
	unsigned limit_s = LIMIT_DEFAULT_S;
	int result;

	if (read_options(args, &ctl, &limit_s, err) < 0)
		return -1;
	if (cli_ctl_link_open(cli_operand(args, 0), limit_s, &ctl.link, err) < 0)
		return -1;
	result = run_session(args, &ctl, err);
	cli_ctl_link_close(ctl.link);
	return result;
}

static const struct cli_option options[] = {
        {"events", NULL, "Print events, one a line, until the server ends."},
        {"watch", NULL, "With the command status: show it anew every second, with what happened in between."},
        {"keep", NULL, "With migrate ADDRESS, or save PATH: do not end the vmm that the guest has left."},
        {"handover", NULL,
                "With migrate ADDRESS: let a vmm on this host go on with the guest and its memory, of which "
                "nothing is copied. ADDRESS is unix:PATH."},
        {"postcopy", NULL,
                "With migrate ADDRESS: let the guest go over after the first pass over its memory, however "
                "fast it writes. The rest follows while it runs there."},
        {"bandwidth", "BYTES",
                "With migrate ADDRESS, or save PATH: how many bytes a second may be sent, perhaps with K, M "
                "or "
                "G behind the number; 0 is no limit."},
        {"downtime", "MILLISECONDS",
                "With migrate ADDRESS, or save PATH: how long the guest may be stopped."},
        {"resume", NULL,
                "With migrate ADDRESS: ask the vmm there what became of a move that is in doubt, or whose "
                "post-copy lost its connection, and complete it."},
        {"raw", NULL,
                "Print each result as one line of JSON, which is the default if standard output is not a "
                "terminal."},
        {"pretty", NULL, "Print results for people: JSON with indents, texts as they are."},
        {"timeout", "SECONDS", "How long an answer may take; 60 if it is not given."},
        {"fd", "N", "Send this open descriptor with the command, as getfd wants it."},
        {0},
};

const struct cli_verb cli_verb_ctl = {
        .name = "ctl",
        .operands = "SOCKET [COMMAND [ARGUMENT]...]",
        .operands_min = 1,
        .operands_max = 1 + CLI_CTL_WORDS_MAX,
        .summary = "ask and steer a running guest through its control socket",
        .help = "SOCKET is what the guest's key control.socket names. COMMAND is a command of the control "
                "socket (QMP's query-status, stop, cont, quit and others); status, which shows the guest in "
                "words; metrics, which prints its figures in Prometheus' text format; migrate ADDRESS, which "
                "moves the guest to a vmm that was started with --incoming ADDRESS, shows how it goes, and "
                "ends the vmm that the guest has left (Ctrl-C: the guest stays); save PATH, which does the "
                "same to a file, from which vmm run --incoming file:PATH loads the guest; or help. Arguments "
                "are "
                "KEY=VALUE words or one JSON object.\n"
                "Without a command vmm ctl reads commands from standard input: on a terminal with a prompt, "
                "a history, and completion by the tabulator key.\n"
                "The exit status is 0 if the command succeeded, 1 if the server refused it (its reason is on "
                "standard error) or the connection failed, 2 if no server answers at SOCKET or the command "
                "line is wrong, 6 if a move is in doubt.",
        .options = options,
        .run = run,
};
