/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan: finds the positions of keys and values in a JSON text. jansson gives a position only for errors of
 * syntax, so this file walks the members of the few objects that hold keys, in text that jansson has already
 * found valid. jansson reads the values. RFC 8259. Any thread.
 */
#include <string.h>

#include "internal.h"

struct config_scan config_scan_over(const void *text, size_t size)
{
	const char *at = text;

	return (struct config_scan){.at = at, .end = at + size, .line = 1, .column = 1};
}

/* Moves on by one byte. Columns count characters, so bytes that continue a UTF-8 sequence are not counted. */
static void step(struct config_scan *s)
{
	if (*s->at == '\n') {
		s->line++;
		s->column = 1;
	} else if (s->at + 1 == s->end || ((unsigned char)s->at[1] & 0xc0) != 0x80) {
		s->column++;
	}
	s->at++;
}

void config_scan_space(struct config_scan *s)
{
	while (s->at < s->end && memchr(" \t\r\n", *s->at, 4))
		step(s);
}

/* Moves past the closing quote of the string that begins at s. */
static void skip_string(struct config_scan *s)
{
	step(s);
	while (s->at < s->end && *s->at != '"') {
		if (*s->at == '\\')
			step(s);
		if (s->at < s->end)
			step(s);
	}
	if (s->at < s->end)
		step(s);
}

/* Moves past one value of any depth, without recursion. */
static void skip_value(struct config_scan *s)
{
	size_t depth = 0;

	while (s->at < s->end) {
		if (*s->at == '"') {
			skip_string(s);
		} else if (*s->at == '{' || *s->at == '[') {
			depth++;
			step(s);
			continue;
		} else if (*s->at == '}' || *s->at == ']') {
			if (depth == 0)
				return;
			depth--;
			step(s);
		} else if (depth == 0 && memchr(", \t\r\n", *s->at, 5)) {
			return;
		} else {
			step(s);
			continue;
		}
		if (depth == 0)
			return;
	}
}

static bool skip_char(struct config_scan *s, char c)
{
	config_scan_space(s);
	if (s->at == s->end || *s->at != c)
		return false;
	step(s);
	return true;
}

void config_scan_find(struct config_scan *s, char c)
{
	while (s->at < s->end && *s->at != c)
		step(s);
}

bool config_scan_enter(struct config_scan *s)
{
	return skip_char(s, '{');
}

bool config_scan_enter_list(struct config_scan *s)
{
	return skip_char(s, '[');
}

bool config_scan_element(struct config_scan *s, struct config_scan *ret_element)
{
	skip_char(s, ',');
	config_scan_space(s);
	if (s->at == s->end || *s->at == ']')
		return false;
	*ret_element = *s;
	skip_value(s);
	ret_element->end = s->at;
	return true;
}

json_t *config_scan_value(const struct config_scan *s, json_error_t *error)
{
	return json_loadb(s->at, (size_t)(s->end - s->at), JSON_DECODE_ANY | JSON_ALLOW_NUL, error);
}

int config_scan_next(struct config_scan *s, struct config_scan_member *ret_member)
{
	struct config_scan_member m;
	json_error_t error;
	json_t *key;

	skip_char(s, ',');
	config_scan_space(s);
	if (s->at == s->end || *s->at != '"')
		return 0;
	m.key_at = *s;
	skip_string(s);
	m.key_at.end = s->at;
	if (!skip_char(s, ':'))
		return -1;
	config_scan_space(s);
	m.value = *s;
	skip_value(s);
	m.value.end = s->at;
	key = config_scan_value(&m.key_at, &error);
	m.key = key ? strdup(json_string_value(key) ?: "") : NULL;
	json_decref(key);
	if (!m.key)
		return -1;
	*ret_member = m;
	return 1;
}
