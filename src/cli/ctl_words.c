/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_words: commands and their arguments as people type them, against the table of the control socket's
 * commands. Main thread only.
 */
#include <errno.h>
#include <string.h>

#include "vmm/config.h"
#include "vmm/control/table.h"
#include "vmm/json.h"

#include "ctl.h"

/* The commands that vmm ctl carries out itself. */
static const struct {
	const char *name, *help;
} own_words[] = {
        {"status", "What the guest is and does, in words."},
        {"metrics", "The guest's figures in the text format of Prometheus."},
        {"save", "save PATH [--keep] [--bandwidth=BYTES] [--downtime=MILLISECONDS]: saves the guest to a "
                 "file, shows how it goes, and ends the vmm that the guest has left."},
        {"help", "All commands; help COMMAND describes one."},
};

/* Forms of commands of the table that vmm ctl has in addition. */
static const struct {
	const char *name, *form, *help;
} forms[] = {
        {"migrate",
                "migrate ADDRESS [--handover] [--postcopy] [--keep] [--resume] [--bandwidth=BYTES] "
                "[--downtime=MILLISECONDS]",
                "Waits for the end, shows how it goes, and ends the vmm that the guest has left, unless "
                "there is "
                "--keep."},
};

/* ---- values ---- */

static json_t *wrong(struct err *err, const char *key, const char *text, const char *expected)
{
	err_set(err, ERR_USAGE, "%s is %s, expected: %s", key, TEXT_VALUE(text), expected);
	return NULL;
}

/* How far a unit shifts a number to the left: 1K is 1024. 0: it is none. */
static unsigned unit_shift(const char *text)
{
	static const char units[] = "KMGT";
	const char *unit = *text && !text[1] ? strchr(units, *text) : NULL;

	return unit ? 10 * (unsigned)(unit + 1 - units) : 0;
}

/* A number above the signed ones is sent as the negative one with the same bits, as QEMU takes it. */
static json_t *integer_of(const struct control_type *type, const char *key, const char *text, struct err *err)
{
	bool is_large = type->kind == CONTROL_UNSIGNED && *text != '-';
	unsigned long long value;
	unsigned shift;
	char *end;

	errno = 0;
	value = is_large ? strtoull(text, &end, 0) : (unsigned long long)strtoll(text, &end, 0);
	shift = unit_shift(end);
	if (end == text || (*end && !shift) || errno || *text == ' ' || (shift && value >> (63 - shift)))
		return wrong(err, key, text, "an integer, perhaps with K, M, G or T behind it");
	return json_integer((json_int_t)(value << shift));
}

static json_t *number_of(const char *key, const char *text, struct err *err)
{
	char *end;
	double value = strtod(text, &end);
	json_t *number = end != text && !*end ? json_real(value) : NULL;

	return number ?: wrong(err, key, text, "a number");
}

static json_t *boolean_of(const char *key, const char *text, struct err *err)
{
	if (strcmp(text, "true") == 0 || strcmp(text, "on") == 0)
		return json_true();
	if (strcmp(text, "false") == 0 || strcmp(text, "off") == 0)
		return json_false();
	return wrong(err, key, text, "true or false");
}

static json_t *text_of(const char *key, const char *text, struct err *err)
{
	return json_string(text) ?: wrong(err, key, text, "a text in UTF-8");
}

/* JSON, or, if it is none, a text. */
static json_t *any_of(const char *key, const char *text, struct err *err)
{
	return json_loads(text, JSON_DECODE_ANY, NULL) ?: text_of(key, text, err);
}

static json_t *value_of(const struct control_type *type, const char *key, const char *text, struct err *err);

/* A list is JSON, or elements with commas between them. */
static json_t *list_of(const struct control_type *type, const char *key, const char *text, struct err *err)
{
	json_t *list = *text == '[' ? json_loads(text, 0, NULL) : json_array();
	auto_free char *copy = strdup(text);
	char *rest = copy;

	if (*text == '[')
		return list ?: wrong(err, key, text, "a list in JSON");
	for (char *element; rest && *rest && (element = strsep(&rest, ","));) {
		json_t *value = value_of(type->element, key, element, err);

		if (!value) {
			json_decref(list);
			return NULL;
		}
		json_doc_append(&list, value);
	}
	return list;
}

static json_t *value_of(const struct control_type *type, const char *key, const char *text, struct err *err)
{
	switch (type ? type->kind : CONTROL_ANY) {
	case CONTROL_STRING:
	case CONTROL_ENUM: return text_of(key, text, err);
	case CONTROL_INTEGER:
	case CONTROL_UNSIGNED: return integer_of(type, key, text, err);
	case CONTROL_NUMBER: return number_of(key, text, err);
	case CONTROL_BOOLEAN: return boolean_of(key, text, err);
	case CONTROL_LIST: return list_of(type, key, text, err);
	case CONTROL_OBJECT:
	case CONTROL_ANY: return any_of(key, text, err);
	}
	return NULL;
}

/* ---- arguments ---- */

/* Returns NULL if the server may know it, but the table does not. */
static const struct control_member *member_of(const struct control_command *command, const char *name)
{
	for (const struct control_member *m = command ? command->arguments : NULL; m && m->name; m++) {
		if (strcmp(m->name, name) == 0)
			return m;
	}
	return NULL;
}

static json_t *object_of(const char *text, struct err *err)
{
	json_error_t error;
	json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	if (!object)
		err_set(err, ERR_USAGE, "the arguments are not a JSON object: %s at character %d", error.text,
		        error.column);
	return object;
}

static int add_word(
        json_t *arguments, const struct control_command *command, const char *word, struct err *err)
{
	const char *equal = strchr(word, '=');
	auto_free char *key = equal ? strndup(word, (size_t)(equal - word)) : NULL;
	const struct control_member *member = key ? member_of(command, key) : NULL;
	json_t *value;

	if (!key || !*key)
		return err_set(err, ERR_USAGE, "the argument %s is neither KEY=VALUE nor a JSON object",
		        TEXT_VALUE(word));
	if (json_object_get(arguments, key))
		return err_set(err, ERR_USAGE, "the argument %s is given twice", TEXT_VALUE(key));
	value = value_of(member ? member->type : NULL, key, equal + 1, err);
	if (!value)
		return -1;
	if (json_object_set_new(arguments, key, value) < 0)
		return err_set(err, ERR_USAGE, "the argument's name %s is not UTF-8", TEXT_VALUE(key));
	return 0;
}

json_t *cli_ctl_arguments(const char *command, const char *const *words, size_t count, struct err *err)
{
	const struct control_command *row = control_command_find(command);
	auto_json json_t *arguments = NULL;

	if (count == 1 && words[0][0] == '{')
		return object_of(words[0], err);
	arguments = json_object();
	for (size_t i = 0; i < count; i++) {
		if (add_word(arguments, row, words[i], err) < 0)
			return NULL;
	}
	return take_ptr(&arguments);
}

/* ---- lines ---- */

/* Ends the word at *line and moves *line behind it. Returns false if a quote has no end. */
static bool end_word(char **line)
{
	char *from = *line, *to = *line, quote = '\0';

	for (; *from && (quote || (*from != ' ' && *from != '\t')); from++) {
		if (quote ? *from == quote : *from == '"' || *from == '\'')
			quote = quote ? '\0' : *from;
		else
			*to++ = *from;
	}
	*line = *from ? from + 1 : from;
	*to = '\0';
	return !quote;
}

int cli_ctl_split(char *line, const char **words, size_t max, size_t *ret_count, struct err *err)
{
	size_t count = 0;

	line[strcspn(line, "\r\n")] = '\0';
	for (;;) {
		line += strspn(line, " \t");
		if (!*line)
			break;
		if (count == max)
			return err_set(err, ERR_USAGE, "the line has more than %zu words", max);
		words[count++] = line;
		if (*line == '{')
			break;
		if (!end_word(&line))
			return err_set(err, ERR_USAGE, "a quote has no end");
	}
	*ret_count = count;
	return 0;
}

/* ---- completion ---- */

struct candidates {
	const char *start; /* what is there already */
	void (*each)(void *ctx, const char *word);
	void *ctx;
};

static void offer(const struct candidates *to, const char *first, const char *second)
{
	auto_free char *word = NULL;

	if (asprintf(&word, "%s%s", first, second) < 0)
		return;
	if (strncmp(word, to->start, strlen(to->start)) == 0)
		to->each(to->ctx, word);
}

static void offer_commands(const struct candidates *to)
{
	for (size_t i = 0; i < control_commands_count; i++)
		offer(to, control_commands[i].name, "");
}

/* "KEY=" or, once that is there, its values. */
static void offer_arguments(const struct candidates *to, const struct control_command *command)
{
	static const char *const booleans[] = {"true", "false", NULL};

	for (const struct control_member *m = command ? command->arguments : NULL; m && m->name; m++) {
		size_t length = strlen(m->name);
		bool is_there = strncmp(to->start, m->name, length) == 0 && to->start[length] == '=';
		const char *const *values = m->type->kind == CONTROL_BOOLEAN ? booleans : m->type->words;
		auto_free char *key = NULL;

		if (asprintf(&key, "%s=", m->name) < 0)
			return;
		if (!is_there || !values)
			offer(to, key, "");
		else
			for (; *values; values++)
				offer(to, key, *values);
	}
}

void cli_ctl_candidates(
        const char *const *words, size_t count, void (*each)(void *ctx, const char *word), void *ctx)
{
	struct candidates to = {count ? words[count - 1] : "", each, ctx};

	if (count > 1 && strcmp(words[0], "help") != 0) {
		offer_arguments(&to, control_command_find(words[0]));
		return;
	}
	offer_commands(&to);
	for (size_t i = 0; i < ARRAY_LEN(own_words); i++)
		offer(&to, own_words[i].name, "");
}

/* ---- help ---- */

static const char *candidate(const void *ctx, size_t i)
{
	if (i < control_commands_count)
		return control_commands[i].name;
	i -= control_commands_count;
	return i < ARRAY_LEN(own_words) ? own_words[i].name : NULL;
}

const char *cli_ctl_meant(const char *command)
{
	return control_command_find(command) ? NULL : config_nearest(command, candidate, NULL);
}

static void put_member(const struct control_member *m)
{
	printf("  %s=%s%s", m->name, m->type->name, m->optional ? " (optional)" : "");
	for (const char *const *word = m->type->words; word && *word; word++)
		printf("%s%s", word == m->type->words ? ": " : ", ", *word);
	printf("%s%s\n", m->help ? "\n      " : "", m->help ?: "");
}

static void put_all(void)
{
	for (size_t i = 0; i < ARRAY_LEN(own_words); i++)
		printf("%-30s %s\n", own_words[i].name, own_words[i].help);
	for (size_t i = 0; i < control_commands_count; i++) {
		const char *help = control_commands[i].help, *stop = strstr(help, ". ");

		printf("%-30s %.*s\n", control_commands[i].name, stop ? (int)(stop - help) + 1 : 1000, help);
	}
}

int cli_ctl_help(const char *command, struct err *err)
{
	const struct control_command *row = command ? control_command_find(command) : NULL;

	for (size_t i = 0; command && i < ARRAY_LEN(own_words); i++) {
		if (strcmp(own_words[i].name, command) == 0)
			return printf("%s\n%s\n", command, own_words[i].help) < 0 ? -1 : 0;
	}
	if (command && !row)
		return err_set(err, ERR_USAGE, "there is no help on %s; help lists the commands",
		        TEXT_VALUE(command));
	if (!row) {
		put_all();
		return 0;
	}
	printf("%s\n%s\n", row->name, row->help);
	for (const struct control_member *m = row->arguments; m && m->name; m++)
		put_member(m);
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		if (strcmp(forms[i].name, row->name) == 0)
			printf("or %s\n%s\n", forms[i].form, forms[i].help);
	}
	return 0;
}
