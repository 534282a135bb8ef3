/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame: the dialect in which QEMU's clients send requests. Objects need nothing between them, strings may
 * have single quotes, and a byte that fits nowhere begins anew (QEMU's docs/interop/qmp-spec.rst). The JSON
 * itself is jansson's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"

static const char bad_token[] = "JSON parse error, invalid character or token";
static const char no_value[] = "JSON parse error, expecting value";
static const char too_deep[] = "JSON nesting depth limit exceeded";
static const char too_long[] = "JSON token size limit exceeded";

/* ---- the text ---- */

static void begin_anew(struct control_frame *frame, enum control_frame_state state)
{
	frame->state = state;
	frame->braces = frame->brackets = 0;
	frame->used = 0;
}

/* There is always room for a NUL behind the text. */
static int put(struct control_frame *frame, char c)
{
	if (frame->used + 1 >= frame->room) {
		size_t room = frame->room ? 2 * frame->room : 256;
		char *text = realloc(frame->text, room);

		if (!text)
			return -1;
		frame->text = text;
		frame->room = room;
	}
	frame->text[frame->used++] = c;
	frame->text[frame->used] = '\0';
	return 0;
}

/*
 * jansson refuses integers that do not fit 64 bits with a sign, and QEMU makes floating-point numbers of
 * those that do not fit at all. ".0" makes one.
 */
static int end_word(struct control_frame *frame)
{
	const char *word = frame->text + frame->word;
	char *end;

	frame->state = CONTROL_FRAME_INSIDE;
	errno = 0;
	strtoll(word, &end, 10);
	if (errno != ERANGE || *end)
		return 0;
	return put(frame, '.') < 0 || put(frame, '0') < 0 ? -1 : 0;
}

/* ---- a byte at a time; each returns what it makes of the byte ---- */

static bool is_word(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
	       c == '+' || c == '.' || c == '_';
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static enum control_frame_result whole_or_more(const struct control_frame *frame)
{
	return frame->braces || frame->brackets ? CONTROL_FRAME_MORE : CONTROL_FRAME_WHOLE;
}

static enum control_frame_result put_or_fail(struct control_frame *frame, char c)
{
	return put(frame, c) < 0 ? CONTROL_FRAME_NO_MEMORY : CONTROL_FRAME_MORE;
}

static enum control_frame_result on_bracket(struct control_frame *frame, char c, const char **ret_why)
{
	int *count = c == '{' || c == '}' ? &frame->braces : &frame->brackets;

	*count += c == '{' || c == '[' ? 1 : -1;
	if (*count < 0) {
		*ret_why = no_value;
		return CONTROL_FRAME_BAD;
	}
	if (frame->braces + frame->brackets > CONTROL_FRAME_MAX_DEPTH) {
		*ret_why = too_deep;
		return CONTROL_FRAME_BAD;
	}
	frame->state = CONTROL_FRAME_INSIDE;
	return put(frame, c) < 0 ? CONTROL_FRAME_NO_MEMORY : whole_or_more(frame);
}

/* Outside strings and words. */
static enum control_frame_result on_token(struct control_frame *frame, uint8_t c, const char **ret_why)
{
	bool between = frame->state == CONTROL_FRAME_BETWEEN;

	if (is_space(c))
		return between ? CONTROL_FRAME_MORE : put_or_fail(frame, ' ');
	if (c == '"' || c == '\'') {
		frame->state = CONTROL_FRAME_STRING;
		frame->quote = (char)c;
		return put_or_fail(frame, '"');
	}
	if (is_word(c)) {
		frame->state = CONTROL_FRAME_WORD;
		frame->word = frame->used;
		return put_or_fail(frame, (char)c);
	}
	if (c == '{' || c == '}' || c == '[' || c == ']')
		return on_bracket(frame, (char)c, ret_why);
	if (c != ',' && c != ':')
		return CONTROL_FRAME_BAD;
	*ret_why = no_value;
	return between ? CONTROL_FRAME_BAD : put_or_fail(frame, (char)c);
}

/* These bytes are in no string of QEMU's lexer: control characters, and what never stands in UTF-8. */
static bool breaks_string(uint8_t c)
{
	return c < 0x20 || c == 0xc0 || c == 0xc1 || c >= 0xf5;
}

static enum control_frame_result on_string(struct control_frame *frame, uint8_t c)
{
	if (breaks_string(c))
		return CONTROL_FRAME_BAD;
	if (c == (uint8_t)frame->quote) {
		frame->state = CONTROL_FRAME_INSIDE;
		return put(frame, '"') < 0 ? CONTROL_FRAME_NO_MEMORY : whole_or_more(frame);
	}
	if (c == '\\') {
		frame->state = CONTROL_FRAME_ESCAPE;
		return CONTROL_FRAME_MORE;
	}
	if (c == '"' && put(frame, '\\') < 0)
		return CONTROL_FRAME_NO_MEMORY;
	return put_or_fail(frame, (char)c);
}

/* An escaped single quote is QEMU's alone; jansson judges the others. */
static enum control_frame_result on_escape(struct control_frame *frame, uint8_t c)
{
	if (breaks_string(c))
		return CONTROL_FRAME_BAD;
	frame->state = CONTROL_FRAME_STRING;
	if (c != '\'' && put(frame, '\\') < 0)
		return CONTROL_FRAME_NO_MEMORY;
	return put_or_fail(frame, (char)c);
}

/* QEMU's lexer goes on at a structural character, a control character, or a byte that is in no text. */
static enum control_frame_result on_recovering(struct control_frame *frame, uint8_t c, const char **ret_why)
{
	bool is_structural = c && strchr("{}[],:", c);

	if (is_structural || (c < 0x20 && c != '\t') || c >= 0xfe)
		frame->state = CONTROL_FRAME_BETWEEN;
	return is_structural ? on_token(frame, c, ret_why) : CONTROL_FRAME_MORE;
}

static enum control_frame_result on_byte(struct control_frame *frame, uint8_t c, const char **ret_why)
{
	if (frame->used >= CONTROL_FRAME_MAX_BYTES) {
		*ret_why = too_long;
		return CONTROL_FRAME_BAD;
	}
	switch (frame->state) {
	case CONTROL_FRAME_STRING: return on_string(frame, c);
	case CONTROL_FRAME_ESCAPE: return on_escape(frame, c);
	case CONTROL_FRAME_WORD:
		if (is_word(c))
			return put_or_fail(frame, (char)c);
		return end_word(frame) < 0 ? CONTROL_FRAME_NO_MEMORY : on_token(frame, c, ret_why);
	case CONTROL_FRAME_SKIPPING:
		if (c == '\n' || c == '\r' || c == 0xff)
			frame->state = CONTROL_FRAME_BETWEEN;
		return CONTROL_FRAME_MORE;
	case CONTROL_FRAME_RECOVERING: return on_recovering(frame, c, ret_why);
	default: return on_token(frame, c, ret_why);
	}
}

/* ---- the stream ---- */

/* A word that is a value of its own ends before the next byte, which may belong to the next value. */
static bool ends_before(struct control_frame *frame, uint8_t c)
{
	return frame->state == CONTROL_FRAME_WORD && !frame->braces && !frame->brackets && !is_word(c);
}

enum control_frame_result control_frame_feed(
        struct control_frame *frame, const uint8_t **data, size_t *left, const char **ret_why)
{
	while (*left) {
		enum control_frame_result result;
		const char *why = bad_token;

		if (ends_before(frame, **data))
			return end_word(frame) < 0 ? CONTROL_FRAME_NO_MEMORY : CONTROL_FRAME_WHOLE;
		result = on_byte(frame, **data, &why);
		(*data)++;
		(*left)--;
		if (result == CONTROL_FRAME_BAD) {
			begin_anew(frame, why == no_value    ? CONTROL_FRAME_BETWEEN
			                  : why == bad_token ? CONTROL_FRAME_RECOVERING
			                                     : CONTROL_FRAME_SKIPPING);
			*ret_why = why;
		}
		if (result != CONTROL_FRAME_MORE)
			return result;
	}
	return CONTROL_FRAME_MORE;
}

char *control_frame_take(struct control_frame *frame, size_t *ret_size)
{
	char *text = frame->text;

	*ret_size = frame->used;
	*frame = (struct control_frame){0};
	return text;
}

void control_frame_finish(struct control_frame *frame)
{
	free(frame->text);
	*frame = (struct control_frame){0};
}
