/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load: makes a configuration from bytes and --set words, and reports every mistake on the way. Any thread.
 */
#include <string.h>

#include "internal.h"

/* ---- --set words ---- */

/*
 * Reads the value of a --set word: as JSON if it is JSON (which must be a string if the key takes text),
 * otherwise as plain text.
 */
json_t *config_word_value(const struct config_key *key, const char *text)
{
	bool is_text = key->type == CONFIG_SIZE || key->type == CONFIG_WORD || config_value_is_text(key);
	json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

	if (value && (!is_text || json_is_string(value)))
		return value;
	json_decref(value);
	return json_string(text);
}

static int set_refused(struct config_parse *p, const struct config_place *place, const char *name)
{
	if (strcmp(name, "devices") == 0)
		return config_mistake_add(p->mistakes, place, name,
		        "is a list; set a key of one device (devices[0].file=FILE), or add a device with "
		        "--disk, --net or --device");
	if (config_section_find(name))
		return config_mistake_add(p->mistakes, place, name, "is a section; set one of its keys");
	return config_unknown_key(p, place, name);
}

/* Takes over where. */
static void set_key(struct config_parse *p, const struct config_key *key, const char *text, char *where)
{
	struct config_place *place = &p->config->places[key - config_keys];
	json_t **value = &p->values[key - config_keys];

	free(place->where);
	*place = (struct config_place){.where = where, .given = true, .in_set = true};
	json_decref(*value);
	*value = config_word_value(key, text);
	if (!*value)
		config_mistake_at(p->config, p->mistakes, key->name, "is not valid UTF-8");
}

static void take_set(struct config_parse *p, const char *word)
{
	auto_free char *where = NULL, *name = strndup(word, strcspn(word, "="));
	const struct config_key *key = name ? config_key_find(name) : NULL;
	struct config_place place = {.in_set = true};
	const char *equals = strchr(word, '='), *device_key;
	size_t device;

	if (!name || asprintf(&where, "--set %s", TEXT_VALUE(word)) < 0) {
		where = NULL;
		p->failed = true;
		return;
	}
	place.where = where;
	if (!equals)
		config_note(p, config_mistake_add(p->mistakes, &place, NULL, "KEY=VALUE is needed"));
	else if (key)
		set_key(p, key, equals + 1, take_ptr(&where));
	else if (config_device_name_read(name, &device, &device_key))
		config_device_set(p, name, equals + 1, take_ptr(&where));
	else
		config_note(p, set_refused(p, &place, name));
}

/* ---- together ---- */

void config_apply_default(struct config_parse *p, const struct config_key *key, void *record)
{
	char **text = (char **)((char *)record + key->offset);
	json_t *value = key->def ? json_loads(key->def, JSON_DECODE_ANY, NULL) : NULL;

	if (key->def)
		p->failed |= !value || config_value_set(record, key, value, NULL) < 0;
	else if (config_value_is_text(key))
		p->failed |= !(*text = strdup(""));
	json_decref(value);
}

void config_apply(struct config_parse *p, const struct config_key *key, void *record, const json_t *value,
        const char *dotted)
{
	struct err err = {0};

	config_apply_default(p, key, record);
	if (value && config_value_set(record, key, value, &err) < 0)
		config_mistake_at(p->config, p->mistakes, dotted, "%s", err.text);
}

/* Words for bits have a meaning only with a sev.type. If that has a mistake, the bits are not read. */
static bool is_readable(const struct config_parse *p, const struct config_key *key)
{
	const struct config_key *type = config_key_find("sev.type");

	return (key->type != CONFIG_POLICY && key->type != CONFIG_FEATURES) ||
	       !p->config->places[type - config_keys].bad;
}

/*
 * Applies the values in the order of the table, because keys that depend on sev.type need it to be read
 * first.
 */
static void apply_values(struct config_parse *p)
{
	for (size_t i = 0; i < config_keys_count; i++) {
		const struct config_key *key = &config_keys[i];

		config_apply(p, key, p->config, is_readable(p, key) ? p->values[i] : NULL, key->name);
	}
}

static struct config *config_create(const char *name)
{
	struct config *config = calloc(1, sizeof(*config));

	if (config)
		config->places = calloc(config_keys_count, sizeof(*config->places));
	if (!config || !config->places) {
		config_destroy(config);
		return NULL;
	}
	for (size_t i = 0; i < config_keys_count; i++) {
		config->places[i].where = strdup(name);
		if (!config->places[i].where) {
			config_destroy(config);
			return NULL;
		}
	}
	return config;
}

void config_record_finish(void *record, const struct config_key *keys, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (config_value_is_text(&keys[i]))
			free(*(char **)((char *)record + keys[i].offset));
	}
}

void config_destroy(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; config->places && i < config_keys_count; i++)
		free(config->places[i].where);
	config_record_finish(config, config_keys, config_keys_count);
	config_devices_destroy(config);
	free(config->places);
	free(config);
}

static bool is_good(const struct config_parse *p)
{
	for (size_t i = 0; i < config_keys_count; i++) {
		if (p->config->places[i].bad)
			return false;
	}
	for (size_t d = 0; d < p->config->devices_count; d++) {
		for (size_t i = 0; i < config_device_keys_count; i++) {
			if (p->config->device_places[d].rows[i].bad)
				return false;
		}
	}
	return !p->failed && p->mistakes->count == 0;
}

static void read_all(struct config_parse *p, const void *text, size_t size, const char *const *sets,
        size_t n_sets, config_check *check)
{
	if (text)
		config_text_take(p, text, size);
	for (size_t i = 0; i < n_sets && !p->failed; i++) {
		if (!config_device_word(p, sets[i]))
			take_set(p, sets[i]);
	}
	if (p->failed)
		return;
	apply_values(p);
	config_devices_apply(p);
	if (p->failed)
		return;
	config_check_between(p->config, p->mistakes);
	config_devices_check(p->config, p->mistakes);
	if (check)
		check(p->config, p->mistakes);
}

static void values_finish(struct config_parse *p)
{
	for (size_t i = 0; i < config_keys_count; i++)
		json_decref(p->values[i]);
	for (size_t d = 0; d < CONFIG_DEVICES_MAX; d++) {
		for (size_t i = 0; i < config_device_keys_count; i++)
			json_decref(p->device_values[d][i]);
	}
}

int config_parse(const char *name, const void *text, size_t size, const char *const *sets, size_t n_sets,
        config_check *check, struct config **ret_config, struct config_mistakes *mistakes)
{
	auto_free json_t **values = calloc(config_keys_count, sizeof(json_t *));
	auto_free unsigned *lines = calloc(config_keys_count, sizeof(*lines));
	auto_free char *own_name = strdup(name);
	struct config_parse p = {.name = own_name,
	        .config = config_create(name),
	        .mistakes = mistakes,
	        .values = values,
	        .section_lines = lines};
	bool good = false;

	if (p.config && own_name && values && lines) {
		read_all(&p, text, size, sets, n_sets, check);
		good = is_good(&p);
		values_finish(&p);
	}
	if (good)
		*ret_config = take_ptr(&p.config);
	config_destroy(p.config);
	return good ? 0 : -1;
}

int config_load(const char *path, const char *const *sets, size_t n_sets, config_check *check,
        struct config **ret_config, struct config_mistakes *mistakes)
{
	auto_free void *text = NULL;
	struct config_place nowhere = {0};
	struct err err = {0};
	size_t size = 0;

	if (!path)
		return config_parse("", NULL, 0, sets, n_sets, check, ret_config, mistakes);
	if (file_read_all(path, CONFIG_FILE_MAX_BYTES, &text, &size, &err) < 0) {
		if (config_mistake_add(mistakes, &nowhere, NULL, "%s", err.text) < 0)
			log_error("%s", err.text);
		return -1;
	}
	return config_parse(path, text, size, sets, n_sets, check, ret_config, mistakes);
}
