/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device_words: devices on the command line: --disk, --net and --device, which add one, and --set words for a
 * key of one. Any thread.
 */
#include <string.h>

#include "internal.h"

const char *const config_device_options[] = {"--device", "--disk", "--net", NULL};

/* ---- one key ---- */

static void set_row(struct config_parse *p, size_t device, const struct config_key *key, json_t *value,
        const struct config_place *place)
{
	size_t row = (size_t)(key - config_device_keys);
	struct config_place *kept = &p->config->device_places[device].rows[row];
	char name[CONFIG_DEVICE_NAME_BYTES];

	free(kept->where);
	*kept = *place;
	kept->given = true;
	kept->where = strdup(place->where);
	p->failed |= !kept->where;
	json_decref(p->device_values[device][row]);
	p->device_values[device][row] = value;
	if (!value && !p->failed)
		config_mistake_at(p->config, p->mistakes, config_device_name(device, key->name, name),
		        "is not valid UTF-8");
}

static void set_key(
        struct config_parse *p, const char *name, const char *text, const struct config_place *place)
{
	const struct config_key *key;
	const char *device_key;
	size_t device;

	if (!config_device_name_read(name, &device, &device_key))
		return;
	key = config_device_key_find(device_key);
	if (device > p->config->devices_count)
		config_note(p, config_mistake_add(p->mistakes, place, name,
		                       "there is no such device; the next one to add is devices[%zu]",
		                       p->config->devices_count));
	else if (!*device_key)
		config_note(
		        p, config_mistake_add(p->mistakes, place, name,
		                   "is a device; set one of its keys (devices[%zu].driver=DRIVER)", device));
	else if (!key)
		config_note(p, config_unknown_device_key(p, place, name));
	else if (device < p->config->devices_count || config_device_append(p, place))
		set_row(p, device, key, config_word_value(key, text), place);
}

void config_device_set(struct config_parse *p, const char *name, const char *text, char *where)
{
	struct config_place place = {.where = where, .in_set = true};

	set_key(p, name, text, &place);
	free(where);
}

/* ---- one device ---- */

/* What follows the option: KEY=VALUE words with commas between them. A doubled comma stands for one. */
struct words {
	const char *rest;
	char *word; /* the current one; room for all of the text */
};

static bool next_word(struct words *w)
{
	char *to = w->word;

	if (!w->rest)
		return false;
	while (*w->rest && (*w->rest != ',' || w->rest[1] == ',')) {
		w->rest += *w->rest == ',';
		*to++ = *w->rest++;
	}
	*to = '\0';
	w->rest = *w->rest ? w->rest + 1 : NULL;
	return true;
}

/* Sets a key of the newest device. A word without "=" is a key that is switched on. */
static void take_word(struct config_parse *p, char *word, const struct config_place *place)
{
	size_t device = p->config->devices_count - 1, length = strcspn(word, "=");
	const char *text = word[length] ? word + length + 1 : "true";
	const struct config_key *key;
	auto_free char *name = NULL;

	word[length] = '\0';
	if (asprintf(&name, "devices[%zu].%s", device, word) < 0) {
		name = NULL;
		p->failed = true;
		return;
	}
	key = config_device_key_find(word);
	if (key && p->device_values[device][key - config_device_keys])
		config_note(p, config_mistake_add(p->mistakes, place, name, "is given twice"));
	else
		set_key(p, name, text, place);
}

static void take_named(
        struct config_parse *p, const char *key, const char *text, const struct config_place *place)
{
	char name[CONFIG_DEVICE_NAME_BYTES];

	set_key(p, config_device_name(p->config->devices_count - 1, key, name), text, place);
}

/* What --net begins with: the network that needs no privilege, under two names, or a tap interface. */
static void take_network(struct config_parse *p, char *word, const struct config_place *place)
{
	take_named(p, "driver", "net", place);
	if (strncmp(word, "tap=", strlen("tap=")) == 0 || strncmp(word, "tap-fd=", strlen("tap-fd=")) == 0)
		take_word(p, word, place);
	else if (strcmp(word, "user") != 0 && strcmp(word, "passt") != 0)
		config_note(p, config_mistake_add(p->mistakes, place, NULL,
		                       "--net begins with user (passt is the same), tap=INTERFACE or "
		                       "tap-fd=NUMBER; this is %s",
		                       TEXT_VALUE(word)));
}

static void take_first(
        struct config_parse *p, const char *option, char *word, const struct config_place *place)
{
	if (strcmp(option, "--net") == 0) {
		take_network(p, word, place);
	} else if (strcmp(option, "--disk") == 0) {
		take_named(p, "driver", "blk", place);
		take_named(p, "file", word, place);
	} else {
		take_named(p, "driver", word, place);
	}
}

static void take_device(struct config_parse *p, const char *option, const char *text)
{
	auto_free char *where = NULL, *word = strdup(text);
	struct words w = {.rest = text, .word = word};
	struct config_place place = {.in_set = true};

	if (!word || asprintf(&where, "%s %s", option, TEXT_VALUE(text)) < 0) {
		where = NULL;
		p->failed = true;
		return;
	}
	place.where = where;
	if (!config_device_append(p, &place))
		return;
	next_word(&w);
	take_first(p, option, word, &place);
	while (!p->failed && next_word(&w))
		take_word(p, word, &place);
}

bool config_device_word(struct config_parse *p, const char *word)
{
	for (const char *const *option = config_device_options; *option; option++) {
		size_t length = strlen(*option);

		if (strncmp(word, *option, length) == 0 && word[length] == ' ') {
			take_device(p, *option, word + length + 1);
			return true;
		}
	}
	return false;
}
