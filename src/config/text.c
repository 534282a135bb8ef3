/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text: takes the values of a JSON text by key, with the position of each. Any thread. jansson checks the
 * text; scan.c finds the positions. RFC 8259.
 */
#include <ctype.h>
#include <string.h>

#include "internal.h"

struct config_place config_text_place(const struct config_parse *p, const struct config_scan *at)
{
	return (struct config_place){.where = p->name, .line = at->line, .column = at->column};
}

/* Jansson's message in words that need no knowledge of jansson. */
static const char *syntax_text(const json_error_t *error)
{
	switch (json_error_code(error)) {
	case json_error_stack_overflow: return "is nested too deeply";
	case json_error_end_of_input_expected: return "there is more text after the end of the object";
	case json_error_null_byte_in_key: return "a key has a NUL character";
	case json_error_numeric_overflow: return "the number is too large";
	case json_error_invalid_utf8: return "the text is not valid UTF-8 here";
	case json_error_out_of_memory: return "no memory to read it";
	default: return error->text;
	}
}

/*
 * jansson reports the column of the last character of the wrong token, and shows the token if it is short
 * ("... near 'tru'"). This function returns the column of its first character. Inside a string that does not
 * end, it returns the last, which says more.
 */
static unsigned syntax_column(const json_error_t *error)
{
	const char *near = strstr(error->text, " near '"), *c = near ? near + strlen(" near '") : "";
	const char *end = near ? strrchr(c, '\'') : NULL;
	unsigned column = error->column > 0 ? (unsigned)error->column : 1;

	if (json_error_code(error) == json_error_invalid_utf8)
		return column + 1;
	if (!end || end == c || (*c == '"' && (end == c + 1 || end[-1] != '"')))
		return column;
	for (c++; c < end && column > 1; c++) {
		if ((*c & 0xc0) != 0x80)
			column--;
	}
	return column;
}

/* Adds the only mistake of a text that cannot be read. */
static void unreadable(struct config_parse *p, unsigned line, unsigned column, const char *text)
{
	struct config_place place = {.where = p->name, .line = line, .column = column};

	p->failed = true;
	config_note(p, config_mistake_add(p->mistakes, &place, NULL, "%s", text));
}

/*
 * Finds the hexadecimal number, such as "0x30000", that jansson refused after its first 0. Writes "" if the
 * error is another one.
 */
#define HEX_TEXT_BYTES 24
static const char *hex_text(
        const struct config_scan *text, const json_error_t *error, char hex[static HEX_TEXT_BYTES])
{
	const char *x = text->at + (error->position > 0 ? error->position : 0);
	size_t digits = 0;

	hex[0] = '\0';
	if (x > text->end)
		return hex;
	while (x > text->at && isalpha((unsigned char)x[-1]))
		x--; /* jansson's token may have been "xff" */
	if (x == text->at || x >= text->end || x[-1] != '0' || (*x != 'x' && *x != 'X'))
		return hex;
	while (x + 1 + digits < text->end && isxdigit((unsigned char)x[1 + digits]))
		digits++;
	snprintf(hex, HEX_TEXT_BYTES, "0x%.*s", digits < 16 ? (int)digits : 16, x + 1);
	return hex;
}

/* Adds the mistake of a text that jansson refuses. */
static void refuse(struct config_parse *p, const struct config_scan *text, const json_error_t *error)
{
	char hex[HEX_TEXT_BYTES], sentence[160];

	if (!*hex_text(text, error, hex)) {
		unreadable(p, (unsigned)error->line, syntax_column(error), syntax_text(error));
		return;
	}
	snprintf(sentence, sizeof(sentence),
	        "JSON has no hexadecimal numbers; where a key takes one, write it in quotes: \"%s\"", hex);
	unreadable(p, (unsigned)error->line, syntax_column(error), sentence);
}

/* Is the whole text one JSON object? If not, this adds one mistake, and the rest is not read. */
static bool text_is_object(struct config_parse *p, const struct config_scan *text)
{
	/*
	 * Large whole numbers pass here as reals, so that config_text_take_value() can name the key whose
	 * value is too large.
	 */
	const size_t flags = JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL;
	struct config_scan first = *text, nul = *text;
	json_error_t error;
	json_t *root;

	config_scan_space(&first);
	config_scan_find(&nul, '\0');
	if (first.at == first.end)
		unreadable(
		        p, first.line, first.column, "is empty; the smallest configuration is an object, {}");
	else if (nul.at < nul.end) /* jansson would take the NUL for the end of the text */
		unreadable(p, nul.line, nul.column, "there is a NUL byte here; a text is needed");
	else if (text->end - text->at >= 3 && memcmp(text->at, "\xef\xbb\xbf", 3) == 0)
		unreadable(p, 1, 1, "begins with a byte order mark (U+FEFF); save the file without it");
	else if (*first.at != '{')
		unreadable(p, first.line, first.column, "a configuration is an object and begins with {");
	if (p->failed)
		return false;
	root = json_loadb(text->at, (size_t)(text->end - text->at), flags, &error);
	if (!root)
		refuse(p, text, &error);
	json_decref(root);
	return !p->failed;
}

/* ---- keys ---- */

const struct config_key *config_section_find(const char *dotted)
{
	size_t length = strlen(dotted);

	for (size_t i = 0; i < config_keys_count; i++) {
		if (strncmp(config_keys[i].name, dotted, length) == 0 && config_keys[i].name[length] == '.')
			return &config_keys[i];
	}
	return NULL;
}

/* why and meant are NULL if there is nothing to say. */
static int no_such_key(struct config_parse *p, const struct config_place *place, const char *dotted,
        const char *why, const char *meant)
{
	if (why)
		return config_mistake_add(p->mistakes, place, dotted, "there is no such key: %s", why);
	if (meant)
		return config_mistake_add(
		        p->mistakes, place, dotted, "there is no such key; did you mean %s?", meant);
	return config_mistake_add(p->mistakes, place, dotted, "there is no such key; vmm.conf(5) lists them");
}

int config_unknown_key(struct config_parse *p, const struct config_place *place, const char *dotted)
{
	char section[CONFIG_SUGGEST_SECTION_BYTES];
	const char *why;

	if (p->mistakes->count == CONFIG_MISTAKES_MAX)
		return 0; /* this mistake is not kept, so a suggestion would be wasted */
	why = config_why_none(dotted);
	return no_such_key(p, place, dotted, why, why ? NULL : config_suggest_key(dotted, section));
}

int config_unknown_device_key(struct config_parse *p, const struct config_place *place, const char *dotted)
{
	const char *meant, *key = dotted;
	size_t device;

	if (p->mistakes->count == CONFIG_MISTAKES_MAX)
		return 0;
	config_device_name_read(dotted, &device, &key);
	meant = config_suggest_device_key(key);
	return no_such_key(p, place, dotted, meant ? NULL : config_why_none(key), meant);
}

int config_text_given_twice(
        struct config_parse *p, const struct config_scan *at, const char *dotted, unsigned first)
{
	struct config_place place = config_text_place(p, at);

	return config_mistake_add(p->mistakes, &place, dotted, "is given twice, first on line %u", first);
}

void config_text_take_value(struct config_parse *p, const struct config_scan_member *m, const char *dotted,
        struct config_place *place, json_t **value)
{
	json_error_t error;

	if (*value) {
		config_note(p, config_text_given_twice(p, &m->key_at, dotted, place->line));
		return;
	}
	place->line = m->value.line;
	place->column = m->value.column;
	place->given = true;
	*value = config_scan_value(&m->value, &error);
	if (!*value)
		config_mistake_at(p->config, p->mistakes, dotted, "%s", syntax_text(&error));
}

/* Returns false if the members of this section must not be read. */
static bool enter_section(struct config_parse *p, struct config_scan_member *m,
        const struct config_key *first, const char *dotted)
{
	unsigned *line = &p->section_lines[first - config_keys];
	struct config_place place = config_text_place(p, &m->value);

	if (*line) {
		config_note(p, config_text_given_twice(p, &m->key_at, dotted, *line));
		return false;
	}
	*line = m->key_at.line;
	if (config_scan_enter(&m->value))
		return true;
	config_note(p, config_mistake_add(
	                       p->mistakes, &place, dotted, "is a section: an object with keys is needed"));
	return false;
}

static void take_members(struct config_parse *p, struct config_scan *object, const char *section);

static void take_member(struct config_parse *p, struct config_scan_member *m, const char *dotted)
{
	const struct config_key *key = config_key_find(dotted), *first = config_section_find(dotted);
	struct config_place place = config_text_place(p, &m->key_at);

	if (key)
		config_text_take_value(
		        p, m, dotted, &p->config->places[key - config_keys], &p->values[key - config_keys]);
	else if (strcmp(dotted, "devices") == 0)
		config_devices_take(p, m);
	else if (!first)
		config_note(p, config_unknown_key(p, &place, dotted));
	else if (enter_section(p, m, first, dotted))
		take_members(p, &m->value, dotted);
}

/* Takes the members of an object. The recursion is no deeper than the keys of the table have dots. */
static void take_members(struct config_parse *p, struct config_scan *object, const char *section)
{
	struct config_scan_member m;
	int more;

	while ((more = config_scan_next(object, &m)) > 0) {
		auto_free char *key = m.key;
		auto_free char *dotted = NULL;

		if (asprintf(&dotted, "%s%s%s", section, *section ? "." : "", key) < 0) {
			dotted = NULL;
			p->failed = true;
			return;
		}
		take_member(p, &m, dotted);
	}
	config_note(p, more);
}

void config_text_take(struct config_parse *p, const void *text, size_t size)
{
	struct config_scan s = config_scan_over(text, size);

	if (text_is_object(p, &s) && config_scan_enter(&s))
		take_members(p, &s, "");
}
