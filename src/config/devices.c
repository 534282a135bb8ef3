/* SPDX-License-Identifier: Apache-2.0 */
/*
 * devices: the devices of a configuration while it is read: their names, places and values. Any thread.
 */
#include <string.h>

#include "internal.h"

#define LIST "devices"

/* ---- names ---- */

const char *config_device_name(size_t device, const char *key, char text[static CONFIG_DEVICE_NAME_BYTES])
{
	snprintf(text, CONFIG_DEVICE_NAME_BYTES, LIST "[%zu]%s%s", device, key ? "." : "", key ?: "");
	return text;
}

bool config_device_name_read(const char *name, size_t *ret_device, const char **ret_key)
{
	const char *digits = name + strlen(LIST "["), *end;
	size_t length, device = 0;

	if (strncmp(name, LIST "[", strlen(LIST "[")) != 0)
		return false;
	length = strspn(digits, "0123456789");
	end = digits + length;
	if (length == 0 || length > 6 || *end != ']' || (end[1] && end[1] != '.'))
		return false;
	for (size_t i = 0; i < length; i++)
		device = 10 * device + (size_t)(digits[i] - '0');
	*ret_device = device;
	*ret_key = end[1] ? end + 2 : end + 1;
	return true;
}

/* ---- making and ending ---- */

static bool grow(struct config *config)
{
	size_t count = config->devices_count + 1;
	struct config_device *devices = reallocarray(config->devices, count, sizeof(*devices));
	struct config_device_places *places = NULL;

	if (devices) {
		config->devices = devices;
		places = reallocarray(config->device_places, count, sizeof(*places));
	}
	if (!places)
		return false;
	config->device_places = places;
	devices[count - 1] = (struct config_device){0};
	places[count - 1] = (struct config_device_places){0};
	config->devices_count = count;
	return true;
}

bool config_device_append(struct config_parse *p, const struct config_place *place)
{
	struct config *config = p->config;
	struct config_place *rows;

	if (config->devices_count == CONFIG_DEVICES_MAX) {
		config_note(p, config_mistake_add(p->mistakes, place, LIST,
		                       "has more than %d devices, the most that a guest can have",
		                       CONFIG_DEVICES_MAX));
		return false;
	}
	if (!grow(config)) {
		p->failed = true;
		return false;
	}
	rows = config->device_places[config->devices_count - 1].rows;
	for (size_t i = 0; i < config_device_keys_count; i++) {
		rows[i] = *place;
		rows[i].where = strdup(place->where);
		p->failed |= !rows[i].where;
	}
	return !p->failed;
}

void config_devices_destroy(struct config *config)
{
	for (size_t d = 0; d < config->devices_count; d++) {
		for (size_t i = 0; i < config_device_keys_count; i++)
			free(config->device_places[d].rows[i].where);
		config_record_finish(&config->devices[d], config_device_keys, config_device_keys_count);
	}
	free(config->devices);
	free(config->device_places);
}

/* ---- values become fields ---- */

static void foreign_key(
        struct config_parse *p, size_t device, const struct config_key *key, enum config_driver driver)
{
	char name[CONFIG_DEVICE_NAME_BYTES], words[CONFIG_WORDS_TEXT_BYTES];

	config_mistake_at(p->config, p->mistakes, config_device_name(device, key->name, name),
	        "is a key of %s devices; the driver of this one is %s",
	        config_words_text(config_driver_words, key->types, words), config_driver_words[driver]);
}

static void missing_key(struct config_parse *p, size_t device, const struct config_key *key)
{
	char name[CONFIG_DEVICE_NAME_BYTES], words[CONFIG_WORDS_TEXT_BYTES];
	enum config_driver driver = p->config->devices[device].driver;

	if (key->types)
		config_mistake_at(p->config, p->mistakes, config_device_name(device, key->name, name),
		        "is missing; the driver %s needs it", config_driver_words[driver]);
	else
		config_mistake_at(p->config, p->mistakes, config_device_name(device, key->name, name),
		        "is missing; it is %s", config_words_text(config_driver_words, ~0u, words));
}

static void apply_key(struct config_parse *p, size_t device, const struct config_key *key)
{
	struct config_device *fields = &p->config->devices[device];
	size_t row = (size_t)(key - config_device_keys);
	const struct config_place *places = p->config->device_places[device].rows;
	bool knows_driver = row == 0 || !places[0].bad, ours;
	char name[CONFIG_DEVICE_NAME_BYTES];

	ours = knows_driver && (!key->types || (key->types & CONFIG_FOR(fields->driver)));
	config_apply(p, key, fields, ours ? p->device_values[device][row] : NULL,
	        config_device_name(device, key->name, name));
	if (knows_driver && !ours && places[row].given)
		foreign_key(p, device, key, fields->driver);
	if (ours && key->required && !places[row].given)
		missing_key(p, device, key);
}

/* A string is NULL only after no memory was left for it. */
static bool is_given(const char *string)
{
	return string && *string;
}

static bool has_id(const struct config *config, const char *id)
{
	for (size_t d = 0; d < config->devices_count; d++) {
		if (is_given(config->devices[d].id) && strcmp(config->devices[d].id, id) == 0)
			return true;
	}
	return false;
}

/* Names a device by its driver and the first number that is free. */
static void name_device(struct config_parse *p, struct config_device *device)
{
	char *id = NULL;

	for (unsigned n = 0; !id; n++) {
		if (asprintf(&id, "%s%u", config_driver_words[device->driver], n) < 0) {
			p->failed = true;
			return;
		}
		if (has_id(p->config, id)) {
			free(id);
			id = NULL;
		}
	}
	free(device->id);
	device->id = id;
}

static bool wants_rng(const struct config *config)
{
	if (!config->machine.rng || config->devices_count == CONFIG_DEVICES_MAX)
		return false;
	for (size_t d = 0; d < config->devices_count; d++) {
		if (config->devices[d].driver == CONFIG_RNG)
			return false;
	}
	return config->devices_count > 0;
}

static void apply_device(struct config_parse *p, size_t device)
{
	struct config_device *fields = &p->config->devices[device];

	for (size_t i = 0; i < config_device_keys_count && !p->failed; i++)
		apply_key(p, device, &config_device_keys[i]);
	fields->net = is_given(fields->tap) || fields->tap_fd >= 0 ? CONFIG_NET_TAP : CONFIG_NET_PASST;
}

static void add_rng(struct config_parse *p)
{
	const struct config_key *driver = &config_device_keys[0];
	size_t device = p->config->devices_count;

	if (!config_device_append(p, &(struct config_place){.where = p->name}))
		return;
	p->device_values[device][0] = json_string(config_driver_words[CONFIG_RNG]);
	p->config->device_places[device].rows[driver - config_device_keys].given = true;
	apply_device(p, device);
}

void config_devices_apply(struct config_parse *p)
{
	struct config *config = p->config;

	for (size_t d = 0; d < config->devices_count; d++)
		apply_device(p, d);
	if (!p->failed && wants_rng(config))
		add_rng(p);
	for (size_t d = 0; d < config->devices_count && !p->failed; d++) {
		if (!is_given(config->devices[d].id))
			name_device(p, &config->devices[d]);
	}
}
