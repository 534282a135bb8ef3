/* SPDX-License-Identifier: Apache-2.0 */
/*
 * script_screen: the guest's output as text, in which a script's texts are looked for. Main thread.
 * Facts: ECMA-48 (CSI: parameters, intermediates, a final byte from 40h to 7Eh); xterm's control sequences
 * (titles).
 */
#include <string.h>

#include "script.h"

#define ESC        0x1b
#define BEL        0x07
#define TAIL_LINES 15
#define TAIL_BYTES 1200

/* Returns true if the byte is text. A line's end also ends a title that has no end of its own. */
static bool is_text(struct run_script_screen *screen, uint8_t byte)
{
	if (byte == ESC) {
		screen->state = RUN_SCREEN_ESCAPE;
		return false;
	}
	switch (screen->state) {
	case RUN_SCREEN_TEXT: return byte && byte != BEL;
	case RUN_SCREEN_ESCAPE:
		screen->state = byte == '['                  ? RUN_SCREEN_CSI
		                : byte == ']'                ? RUN_SCREEN_TITLE
		                : byte == '(' || byte == ')' ? RUN_SCREEN_CHARSET
		                                             : RUN_SCREEN_TEXT;
		return false;
	case RUN_SCREEN_CSI:
		if (byte >= ' ' && byte < '@')
			return false;
		screen->state = RUN_SCREEN_TEXT;
		return byte < ' ' && is_text(screen, byte);
	case RUN_SCREEN_TITLE:
		if (byte != BEL && byte != '\r' && byte != '\n')
			return false;
		screen->state = RUN_SCREEN_TEXT;
		return byte != BEL;
	case RUN_SCREEN_CHARSET: screen->state = RUN_SCREEN_TEXT; return false;
	}
	return false;
}

/* Makes room by forgetting the older half. What a text needs to be found whole, and the last lines, stay. */
static void forget(struct run_script_screen *screen)
{
	size_t half = sizeof(screen->text) / 2;

	memmove(screen->text, screen->text + half, screen->used - half);
	screen->used -= half;
	screen->seen = screen->seen > half ? screen->seen - half : 0;
}

size_t run_script_show(struct run_script_screen *screen, const void *data, size_t size)
{
	const uint8_t *bytes = data;
	size_t i = 0;

	if (screen->used == sizeof(screen->text))
		forget(screen);
	for (; i < size && screen->used < sizeof(screen->text); i++) {
		if (is_text(screen, bytes[i]))
			screen->text[screen->used++] = (char)bytes[i];
	}
	return i;
}

bool run_script_find(struct run_script_screen *screen, const struct run_script_step *step)
{
	const char *from = screen->text + screen->seen, *first = NULL;
	size_t size = 0;

	for (unsigned i = 0; i < step->text_count; i++) {
		const struct run_script_text *text = &step->texts[i];
		const char *at = memmem(from, screen->used - screen->seen, text->bytes, text->size);

		if (at && (!first || at < first)) {
			first = at;
			size = text->size;
		}
	}
	if (first)
		screen->seen = (size_t)(first - screen->text) + size;
	return first != NULL;
}

/* ---- what is told ---- */

void run_script_name(const struct run_script_step *step, FILE *out)
{
	for (unsigned i = 0; i < step->text_count; i++) {
		auto_free char *text = strndup(step->texts[i].bytes, step->texts[i].size);

		fputs(i ? " or \"" : "\"", out);
		text_put_safe(out, text ?: "");
		fputc('"', out);
	}
}

/* Where the last lines begin that have text. */
static size_t tail_start(const struct run_script_screen *screen)
{
	size_t at = screen->used, lines = 0;
	bool text = false;

	for (; at > 0 && screen->used - at < TAIL_BYTES; at--) {
		char byte = screen->text[at - 1];

		if (byte == '\n' && text && ++lines == TAIL_LINES)
			break;
		text = byte != '\n' && (text || (byte != '\r' && byte != ' '));
	}
	return at;
}

/* A line without text is not shown. */
static void put_line(const char *line, size_t size, FILE *out)
{
	auto_free char *text = malloc(size + 1);
	size_t used = 0;

	for (size_t i = 0; text && i < size; i++) {
		if (line[i] != '\r' && (used || line[i] != ' '))
			text[used++] = line[i];
	}
	if (!used)
		return;
	text[used] = '\0';
	fputs("    ", out);
	text_put_safe(out, text);
	fputc('\n', out);
}

void run_script_tail(const struct run_script_screen *screen, FILE *out)
{
	for (size_t at = tail_start(screen), size; at < screen->used; at += size + 1) {
		const char *line = screen->text + at, *end = memchr(line, '\n', screen->used - at);

		size = end ? (size_t)(end - line) : screen->used - at;
		put_line(line, size, out);
	}
}
