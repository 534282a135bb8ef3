/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mistake: the list of mistakes, in the order of the file. Any thread. Text from the file may be hostile, so
 * it is cut when it is kept and escaped when it is shown.
 */
#include <stdarg.h>
#include <string.h>

#include "internal.h"

#define WHERE_SHOWN_BYTES 4200 /* room for a whole path */
#define KEY_SHOWN_BYTES   80

/* Returns a copy of at most max bytes, with "..." for the rest. It never cuts a UTF-8 character. */
static char *copy_cut(const char *text, size_t max)
{
	size_t keep = strnlen(text ?: "", max + 1);
	bool cut = keep > max;
	char *copy = NULL;

	if (cut) {
		for (keep = max; keep > 0 && (text[keep] & 0xc0) == 0x80;)
			keep--;
	}
	return asprintf(&copy, "%.*s%s", (int)keep, text ?: "", cut ? "..." : "") < 0 ? NULL : copy;
}

static void mistake_free(struct config_mistake *m)
{
	free(m->where);
	free(m->key);
	free(m->text);
}

/*
 * Mistakes in the file come first, then those in --set words and defaults. Equal ones keep the order in which
 * they were found.
 */
static bool stands_before(const struct config_mistake *a, const struct config_mistake *b)
{
	if (!a->line || !b->line)
		return a->line && !b->line;
	return a->line != b->line ? a->line < b->line : a->column < b->column;
}

static int insert(struct config_mistakes *mistakes, struct config_mistake m)
{
	size_t i = mistakes->count;
	struct config_mistake *list =
	        reallocarray(mistakes->list, mistakes->count + 1, sizeof(*mistakes->list));

	if (!list || !m.where || !m.key || !m.text) {
		mistakes->list = list ?: mistakes->list;
		mistake_free(&m);
		return -1;
	}
	mistakes->list = list;
	mistakes->count++;
	for (; i > 0 && stands_before(&m, &list[i - 1]); i--)
		list[i] = list[i - 1];
	list[i] = m;
	return 0;
}

static PRINTF(4, 0) int add(struct config_mistakes *mistakes, const struct config_place *place,
        const char *key, const char *fmt, va_list args)
{
	struct config_mistake m = {.in_set = place->in_set, .line = place->line, .column = place->column};

	if (mistakes->count == CONFIG_MISTAKES_MAX)
		return 0;
	if (mistakes->count == CONFIG_MISTAKES_MAX - 1)
		return insert(mistakes, (struct config_mistake){
		                                .where = copy_cut(place->where, WHERE_SHOWN_BYTES),
		                                .in_set = place->in_set,
		                                .key = strdup(""),
		                                .text = strdup("there are more mistakes; these come first"),
		                        });
	if (vasprintf(&m.text, fmt, args) < 0)
		m.text = NULL;
	m.where = copy_cut(place->where, WHERE_SHOWN_BYTES);
	m.key = copy_cut(key, KEY_SHOWN_BYTES);
	return insert(mistakes, m);
}

int config_mistake_add(struct config_mistakes *mistakes, const struct config_place *place, const char *key,
        const char *fmt, ...)
{
	va_list args;
	int result;

	va_start(args, fmt);
	result = add(mistakes, place, key, fmt, args);
	va_end(args);
	return result;
}

struct config_place *config_place_find(const struct config *config, const char *name)
{
	const struct config_key *key = config_key_find(name);
	const char *device_key;
	size_t device;

	if (key)
		return &config->places[key - config_keys];
	if (!config_device_name_read(name, &device, &device_key) || device >= config->devices_count)
		return NULL;
	key = config_device_key_find(*device_key ? device_key : config_device_keys[0].name);
	return key ? &config->device_places[device].rows[key - config_device_keys] : NULL;
}

void config_mistake_at(
        const struct config *config, struct config_mistakes *mistakes, const char *name, const char *fmt, ...)
{
	struct config_place *place = config_place_find(config, name);
	va_list args;

	if (!place || place->bad)
		return;
	place->bad = true; /* even if no memory is left for the text, so that the configuration is refused */
	va_start(args, fmt);
	if (add(mistakes, place, name, fmt, args) < 0)
		log_error("no memory for a mistake in %s", name);
	va_end(args);
}

void config_mistakes_finish(struct config_mistakes *mistakes)
{
	for (size_t i = 0; i < mistakes->count; i++)
		mistake_free(&mistakes->list[i]);
	free(mistakes->list);
	*mistakes = (struct config_mistakes){0};
}

static void put_safe(FILE *out, const char *text, const char *after)
{
	if (!*text)
		return;
	text_put_safe(out, text);
	fputs(after, out);
}

char *config_mistake_format(const struct config_mistake *m)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	bool failed;

	if (!out)
		return NULL;
	put_safe(out, m->where, m->line ? ":" : ": ");
	if (m->line)
		fprintf(out, "%u:%u: ", m->line, m->column);
	put_safe(out, m->key, ": ");
	put_safe(out, m->text, "");
	failed = ferror(out);
	if (fclose(out) != 0 || failed) {
		free(text);
		return NULL;
	}
	return text;
}
