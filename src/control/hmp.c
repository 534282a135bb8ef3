/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hmp: human-monitor-command: a line of text in, lines of text out, for people who type at qmp-shell -H.
 * Lines end in CR LF, and a command that does not exist is answered, not refused, as in QEMU. Main thread.
 */
#include <ctype.h>
#include <string.h>

#include "hmp.h"

/* ---- commands that do what a command of the table does ---- */

/*
 * Makes the text an answer: nothing if the command went well, otherwise its error, as QEMU prints it. A
 * result that comes later is text, too (control_call_empty()).
 */
static json_t *as_text(json_t *result, const struct control_call *call, const struct err *err)
{
	if (call->deferred)
		return NULL;
	json_decref(result);
	return result ? json_string("") : json_sprintf("Error: %s\r\n", err->text);
}

static json_t *run_other(struct control_call *call, control_handler *handler)
{
	struct err err = {.text = "no memory is left"};

	return as_text(handler(call, &err), call, &err);
}

#define OTHER(name, handler) \
	static json_t *name(struct control_call *call, const char *rest, struct err *err) \
	{ \
		return run_other(call, handler); \
	}
OTHER(do_stop, control_stop)
OTHER(do_cont, control_cont)
OTHER(do_quit, control_quit)
OTHER(do_reset, control_reset)
OTHER(do_powerdown, control_powerdown)
OTHER(do_wakeup, control_wakeup)
OTHER(do_migrate_cancel, control_migrate_cancel)
OTHER(do_migrate_start_postcopy, control_migrate_start_postcopy)

/* ---- help, and the table ---- */

static json_t *help(struct control_call *call, const char *rest, struct err *err);
static json_t *info(struct control_call *call, const char *rest, struct err *err);

static const struct control_hmp commands[] = {
        {"help", "[cmd]", "show the help", help},
        {"info", "[subcommand]", "show various information about the system state", info},
        {"c", "", "resume emulation (the same as cont)", do_cont},
        {"cont", "", "resume emulation", do_cont},
        {"migrate", "[-d] uri", "migrate to URI; info migrate tells how it goes, also without -d",
                control_hmp_migrate},
        {"migrate_cancel", "", "cancel the current VM migration", do_migrate_cancel},
        {"migrate_set_capability", "capability state", "switch a capability of moves on or off",
                control_hmp_migrate_capability},
        {"migrate_start_postcopy", "", "let the guest that moves go over now (postcopy-ram)",
                do_migrate_start_postcopy},
        {"q", "", "quit (the same as quit)", do_quit},
        {"quit", "", "quit the emulator", do_quit},
        {"stop", "", "stop emulation", do_stop},
        {"system_powerdown", "", "send system power down event", do_powerdown},
        {"system_reset", "", "reset the system", do_reset},
        {"system_wakeup", "", "wakeup guest from suspend", do_wakeup},
        {0},
};

static const struct control_hmp *find(const struct control_hmp *table, const char *name, size_t length)
{
	for (; table->name; table++) {
		if (strlen(table->name) == length && strncmp(table->name, name, length) == 0)
			return table;
	}
	return NULL;
}

static void list(struct control_text *text, const char *prefix, const struct control_hmp *table)
{
	for (; table->name; table++)
		control_text_add(text, "%s%s%s%s -- %s\r\n", prefix, table->name,
		        *table->arguments ? " " : "", table->arguments, table->help);
}

static json_t *help(struct control_call *call, const char *rest, struct err *err)
{
	const struct control_hmp *one = find(commands, rest, strlen(rest));
	struct control_text text = {0};

	if (strcmp(rest, "info") == 0)
		list(&text, "info ", control_hmp_info);
	else if (one)
		control_text_add(&text, "%s%s%s -- %s\r\n", one->name, *one->arguments ? " " : "",
		        one->arguments, one->help);
	else if (!*rest)
		list(&text, "", commands);
	return control_text_take(&text);
}

/* Without a word, or with one that is none of them, `info` lists what there is. */
static json_t *info(struct control_call *call, const char *rest, struct err *err)
{
	size_t length = strcspn(rest, " ");
	const struct control_hmp *one = find(control_hmp_info, rest, length);
	struct control_text text = {0};

	if (one)
		return one->run(call, rest + length + strspn(rest + length, " "), err);
	list(&text, "info ", control_hmp_info);
	return control_text_take(&text);
}

/* ---- the command ---- */

static int check_cpu(const struct control_call *call, struct err *err)
{
	const json_t *index = json_object_get(call->arguments, "cpu-index");
	json_int_t number = json_integer_value(index);

	if (index && (number < 0 || number >= run_vcpus(call->control->place.run)))
		return err_set(err, ERR_USAGE, "Parameter 'cpu-index' expects a CPU number");
	return 0;
}

static char *trimmed(const char *line)
{
	char *copy;

	line += strspn(line, " \t\r\n");
	copy = strdup(line);
	for (size_t end = copy ? strlen(copy) : 0; end && isspace((unsigned char)copy[end - 1]); end--)
		copy[end - 1] = '\0';
	return copy;
}

json_t *control_human(struct control_call *call, struct err *err)
{
	auto_free char *line = trimmed(json_string_value(json_object_get(call->arguments, "command-line")));
	const struct control_hmp *command;
	size_t length;

	if (!line || check_cpu(call, err) < 0)
		return NULL;
	length = strcspn(line, " ");
	if (!length)
		return json_string("");
	command = find(commands, line, length);
	if (!command) {
		line[length] = '\0';
		return json_sprintf("unknown command: '%s'\r\n", TEXT_VALUE(line));
	}
	return command->run(call, line + length + strspn(line + length, " "), err);
}
