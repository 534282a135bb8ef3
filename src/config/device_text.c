/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device_text: takes the list "devices" of a JSON text, key by key, with the position of each. Any thread.
 */
#include <string.h>

#include "internal.h"

static void take_key(struct config_parse *p, size_t device, const struct config_scan_member *m)
{
	const struct config_key *key = config_device_key_find(m->key);
	struct config_place place = config_text_place(p, &m->key_at);
	auto_free char *dotted = NULL;
	size_t row;

	if (asprintf(&dotted, "devices[%zu].%s", device, m->key) < 0) {
		dotted = NULL;
		p->failed = true;
		return;
	}
	if (!key) {
		config_note(p, config_unknown_device_key(p, &place, dotted));
		return;
	}
	row = (size_t)(key - config_device_keys);
	config_text_take_value(
	        p, m, dotted, &p->config->device_places[device].rows[row], &p->device_values[device][row]);
}

/* Takes the element at s, the newest device. One that is no object has its mistake at once. */
static void take_device(struct config_parse *p, size_t device, struct config_scan *s)
{
	struct config_scan_member m;
	char name[CONFIG_DEVICE_NAME_BYTES];
	int more;

	if (!config_scan_enter(s)) {
		config_mistake_at(p->config, p->mistakes, config_device_name(device, NULL, name),
		        "must be an object with the keys of a device, as {\"driver\": \"rng\"}");
		return;
	}
	while (!p->failed && (more = config_scan_next(s, &m)) != 0) {
		if (more < 0) {
			p->failed = true;
			return;
		}
		take_key(p, device, &m);
		free(m.key);
	}
}

void config_devices_take(struct config_parse *p, struct config_scan_member *m)
{
	struct config_place place = config_text_place(p, &m->value);
	struct config_scan element;

	if (p->devices_line) {
		config_note(p, config_text_given_twice(p, &m->key_at, m->key, p->devices_line));
		return;
	}
	p->devices_line = m->key_at.line;
	if (!config_scan_enter_list(&m->value)) {
		config_note(p, config_mistake_add(p->mistakes, &place, m->key,
		                       "must be a list of devices, as [{\"driver\": \"rng\"}]"));
		return;
	}
	while (!p->failed && config_scan_element(&m->value, &element)) {
		place = config_text_place(p, &element);
		if (!config_device_append(p, &place))
			return;
		take_device(p, p->config->devices_count - 1, &element);
	}
}
