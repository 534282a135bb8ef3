/* SPDX-License-Identifier: Apache-2.0 */
/*
 * script_parse: the file of `vmm run --expect`, a statement a line: expect, send, timeout, quit. Main thread.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "script.h"

#define TIMEOUT_MAX_S 86400u

struct parser {
	const char *path;
	const char *at, *line_start, *end; /* of the file; at moves */
	unsigned line;
	unsigned timeout_s; /* of what follows */
	struct run_script *script;
	size_t used; /* of script->bytes */
	struct err *err;
};

static int PRINTF(3, 4) wrong(const struct parser *p, const char *at, const char *fmt, ...)
{
	char text[200];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return err_set(
	        p->err, ERR_USAGE, "%s:%u:%zu: %s", p->path, p->line, (size_t)(at - p->line_start) + 1, text);
}

/* ---- words ---- */

static void skip_blanks(struct parser *p)
{
	while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\r'))
		p->at++;
}

static bool line_ends(struct parser *p)
{
	skip_blanks(p);
	return p->at == p->end || *p->at == '\n' || *p->at == '#';
}

/* Takes the word if it is the next one. */
static bool take_word(struct parser *p, const char *word)
{
	size_t size = strlen(word);

	skip_blanks(p);
	if ((size_t)(p->end - p->at) < size || memcmp(p->at, word, size) != 0)
		return false;
	if (p->at + size < p->end && (isalnum((unsigned char)p->at[size]) || p->at[size] == '-'))
		return false;
	p->at += size;
	return true;
}

static int take_seconds(struct parser *p, unsigned *ret_seconds)
{
	const char *start;
	unsigned seconds = 0;

	skip_blanks(p);
	start = p->at;
	while (p->at < p->end && isdigit((unsigned char)*p->at) && seconds <= TIMEOUT_MAX_S)
		seconds = seconds * 10 + (unsigned)(*p->at++ - '0');
	if (p->at == start || !seconds || seconds > TIMEOUT_MAX_S)
		return wrong(p, start, "a number of seconds is wanted, from 1 to %u", TIMEOUT_MAX_S);
	*ret_seconds = seconds;
	return 0;
}

/* ---- texts ---- */

static int take_hex(struct parser *p, char *ret_byte)
{
	char digits[3] = "";

	if (p->end - p->at >= 2)
		memcpy(digits, p->at, 2);
	if (!hex_decode(digits, ret_byte, 1))
		return wrong(p, p->at, "\\x wants two hexadecimal digits");
	p->at += 2;
	return 0;
}

/* Behind the backslash. */
static int take_escape(struct parser *p, char *ret_byte)
{
	static const char names[] = "rnte\\\"", bytes[] = "\r\n\t\x1b\\\"";
	const char *found = p->at < p->end && *p->at ? strchr(names, *p->at) : NULL;

	if (found) {
		*ret_byte = bytes[found - names];
		p->at++;
		return 0;
	}
	if (p->at < p->end && *p->at == 'x') {
		p->at++;
		return take_hex(p, ret_byte);
	}
	return wrong(p, p->at - 1, "no such escape; there are \\r \\n \\t \\e \\\\ \\\" and \\xNN");
}

static int take_byte(struct parser *p, char *ret_byte)
{
	unsigned char byte = (unsigned char)*p->at;

	if (byte == '\\') {
		p->at++;
		return take_escape(p, ret_byte);
	}
	if ((byte < ' ' && byte != '\t') || byte == 0x7f)
		return wrong(p, p->at, "a control character; write it as \\x%02x", byte);
	*ret_byte = (char)byte;
	p->at++;
	return 0;
}

static int take_text(struct parser *p, struct run_script_text *ret_text)
{
	const char *start;

	skip_blanks(p);
	start = p->at;
	if (p->at == p->end || *p->at != '"')
		return wrong(p, start, "a text in quotes is wanted, as in \"login: \"");
	ret_text->bytes = p->script->bytes + p->used;
	for (p->at++; p->at < p->end && *p->at != '"';) {
		if (*p->at == '\n')
			return wrong(p, start, "the text has no closing quote on its line");
		if (take_byte(p, &p->script->bytes[p->used]) < 0)
			return -1;
		p->used++;
	}
	if (p->at == p->end)
		return wrong(p, start, "the text has no closing quote on its line");
	p->at++;
	ret_text->size = (size_t)(p->script->bytes + p->used - ret_text->bytes);
	if (!ret_text->size || ret_text->size > RUN_SCRIPT_TEXT_MAX)
		return wrong(p, start, "a text has 1 to %u bytes", RUN_SCRIPT_TEXT_MAX);
	return 0;
}

/* Escape sequences are removed from the output before it is searched, so they could never be found there. */
static int take_expected(struct parser *p, struct run_script_text *ret_text)
{
	const char *start;

	skip_blanks(p);
	start = p->at;
	if (take_text(p, ret_text) < 0)
		return -1;
	for (size_t i = 0; i < ret_text->size; i++) {
		if (strchr("\x1b\a", ret_text->bytes[i])) /* and NUL */
			return wrong(p, start,
			        "ESC, BEL and NUL are not looked for: escape sequences are "
			        "taken out of the output");
	}
	return 0;
}

/* ---- statements ---- */

static int take_expect(struct parser *p, struct run_script_step *step)
{
	step->timeout_s = p->timeout_s;
	if (take_word(p, "end")) {
		step->kind = RUN_SCRIPT_END;
	} else {
		step->kind = RUN_SCRIPT_EXPECT;
		do {
			if (step->text_count == RUN_SCRIPT_TEXTS_MAX)
				return wrong(p, p->at, "at most %u texts", RUN_SCRIPT_TEXTS_MAX);
			if (take_expected(p, &step->texts[step->text_count++]) < 0)
				return -1;
		} while (take_word(p, "or"));
	}
	return take_word(p, "timeout") ? take_seconds(p, &step->timeout_s) : 0;
}

static struct run_script_step *add_step(struct parser *p)
{
	struct run_script_step *steps = reallocarray(p->script->steps, p->script->count + 1, sizeof(*steps));

	if (!steps)
		return NULL;
	p->script->steps = steps;
	steps[p->script->count] = (struct run_script_step){.line = p->line};
	return &steps[p->script->count++];
}

/* After the guest's end there is nothing that a step could act on. */
static bool is_last(const struct run_script *script)
{
	enum run_script_kind kind = script->count ? script->steps[script->count - 1].kind : RUN_SCRIPT_SEND;

	return kind == RUN_SCRIPT_QUIT || kind == RUN_SCRIPT_END;
}

static int take_step(struct parser *p)
{
	const char *start = p->at;
	struct run_script_step *step;

	if (is_last(p->script))
		return wrong(p, start, "nothing may follow the guest's end, on line %u",
		        p->script->steps[p->script->count - 1].line);
	if (p->script->count == RUN_SCRIPT_STEPS_MAX)
		return wrong(p, start, "at most %u statements", RUN_SCRIPT_STEPS_MAX);
	step = add_step(p);
	if (!step)
		return err_sys(p->err, ERR_FAILED, ENOMEM, "%s", p->path);
	if (take_word(p, "expect"))
		return take_expect(p, step);
	if (take_word(p, "send")) {
		step->kind = RUN_SCRIPT_SEND;
		step->text_count = 1;
		return take_text(p, &step->texts[0]);
	}
	step->kind = RUN_SCRIPT_QUIT;
	if (take_word(p, "quit"))
		return 0;
	return wrong(p, start, "a statement is wanted: expect, send, timeout or quit");
}

static int take_line(struct parser *p)
{
	p->line++;
	p->line_start = p->at;
	if (!line_ends(p)) {
		int result = take_word(p, "timeout") ? take_seconds(p, &p->timeout_s) : take_step(p);

		if (result < 0)
			return -1;
		if (!line_ends(p))
			return wrong(p, p->at, "nothing more is wanted on this line");
	}
	while (p->at < p->end && *p->at != '\n')
		p->at++;
	if (p->at < p->end)
		p->at++;
	return 0;
}

static int parse(struct parser *p)
{
	while (p->at < p->end) {
		if (take_line(p) < 0)
			return -1;
	}
	if (!p->script->count)
		return err_set(p->err, ERR_USAGE, "%s: has no statement", p->path);
	return 0;
}

int run_script_parse(
        const char *path, const char *text, size_t size, struct run_script **ret_script, struct err *err)
{
	struct run_script *script = calloc(1, sizeof(*script));
	struct parser parser = {.path = path,
	        .at = text,
	        .end = text + size,
	        .timeout_s = RUN_SCRIPT_TIMEOUT_S,
	        .script = script,
	        .err = err};

	if (script) {
		script->path = strdup(path);
		script->bytes = malloc(size + 1);
	}
	if (!script || !script->path || !script->bytes) {
		run_script_destroy(script);
		return err_sys(err, ERR_FAILED, ENOMEM, "%s", path);
	}
	if (parse(&parser) < 0) {
		run_script_destroy(script);
		return -1;
	}
	*ret_script = script;
	return 0;
}

int run_script_load(const char *path, struct run_script **ret_script, struct err *err)
{
	auto_free void *data = NULL;
	size_t size;

	if (file_read_all(path, RUN_SCRIPT_FILE_MAX, &data, &size, err) < 0)
		return -1;
	return run_script_parse(file_name(path), data, size, ret_script, err);
}

void run_script_destroy(struct run_script *script)
{
	if (!script)
		return;
	free(script->path);
	free(script->bytes);
	free(script->steps);
	free(script);
}
