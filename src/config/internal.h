/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal: what the files of config share.
 */
#ifndef VMM_CONFIG_INTERNAL_H
#define VMM_CONFIG_INTERNAL_H

#include <jansson.h>

#include "vmm/config.h"

struct config_place {
	char *where;
	unsigned line, column; /* 0 for a --set word or a default */
	bool given;            /* the key was given, in the file or by --set */
	bool in_set;           /* the key was given by --set */
	bool bad;              /* the key already has a mistake */
};

#define CONFIG_DEVICE_KEYS_MAX 32 /* the rows of config_device_keys have room */
struct config_device_places {
	struct config_place rows[CONFIG_DEVICE_KEYS_MAX]; /* one for each row of config_device_keys */
};

/* Returns the place of a key such as "boot.kernel", "devices[1].file" or "devices[1]", or NULL. */
struct config_place *config_place_find(const struct config *config, const char *name);

/* ---- mistake.c ---- */

/* Adds a mistake. Strings are copied; key and where may be NULL. Returns -1 if no memory is left. */
int config_mistake_add(struct config_mistakes *mistakes, const struct config_place *place, const char *key,
        const char *fmt, ...) PRINTF(4, 5) MUST_CHECK;

/* ---- suggest.c ---- */

/*
 * Returns the key that was probably meant; otherwise the section, which is written to text; otherwise NULL.
 */
#define CONFIG_SUGGEST_SECTION_BYTES 32
const char *config_suggest_key(const char *dotted, char text[static CONFIG_SUGGEST_SECTION_BYTES]);
/* Returns the key of a device that was probably meant, or NULL. */
const char *config_suggest_device_key(const char *name);

/* ---- foreign.c: what other programs call a key, a word or a processor ---- */

struct config_foreign {
	const char *theirs, *ours;
	const char *why; /* if vmm has no such thing, the reason; otherwise NULL */
};
extern const struct config_foreign config_foreign_names[]; /* ends with a row without names */

/* ---- scan.c: members of an object, in text that jansson has found valid ---- */

struct config_scan {
	const char *at, *end;
	unsigned line, column;
};

struct config_scan_member {
	char *key; /* the caller frees */
	struct config_scan key_at;
	struct config_scan value; /* from its first character to the end of its last */
};

struct config_scan config_scan_over(const void *text, size_t size);
/* The first moves past white space, the second to the next c. Neither moves beyond the end. */
void config_scan_space(struct config_scan *s);
void config_scan_find(struct config_scan *s, char c);
/* Steps into the object at s; false: there is no object. */
bool config_scan_enter(struct config_scan *s);
/*
 * Returns 1 with the next member, 0 if there are no more, -1 if no memory is left or if the text is not what
 * jansson found it to be.
 */
int config_scan_next(struct config_scan *s, struct config_scan_member *ret_member);
/* Steps into the list at s; false: there is no list. */
bool config_scan_enter_list(struct config_scan *s);
/* Returns true with the next element, from its first character to the end of its last; false: the end. */
bool config_scan_element(struct config_scan *s, struct config_scan *ret_element);
/* Returns the value as jansson reads it, NULL if jansson cannot read it. */
json_t *config_scan_value(const struct config_scan *s, json_error_t *error);

/* ---- value.c, bits.c: a JSON value becomes a field; on failure the field is untouched ---- */

/* record is the struct config or the struct config_device to which the key belongs. */
int config_value_set(
        void *record, const struct config_key *key, const json_t *value, struct err *err) MUST_CHECK;
int config_bits_set(
        void *record, const struct config_key *key, const json_t *value, struct err *err) MUST_CHECK;
/* Does the key's field hold a string of its own? */
bool config_value_is_text(const struct config_key *key);
/* Describes a value for messages: "true", "3", "\"abc\"", "a list". Long strings are cut. */
#define CONFIG_VALUE_TEXT_BYTES 64
const char *config_value_text(const json_t *value, char text[static CONFIG_VALUE_TEXT_BYTES]);
/* Reads a number of at most 64 bits, in decimal or, after 0x, in hexadecimal. Nothing may stand around it. */
int config_bits_number(const char *text, uint64_t *ret_number, struct err *err) MUST_CHECK;
/* Refuses NUL and other control characters. */
int config_value_text_check(const json_t *string, struct err *err) MUST_CHECK;

/* ---- check.c ---- */

/* Finds the mistakes that only several keys together show. */
void config_check_between(const struct config *config, struct config_mistakes *mistakes);

/* ---- load.c, text.c: the state of reading ---- */

struct config_parse {
	char *name;
	struct config *config;
	struct config_mistakes *mistakes;
	json_t **values;         /* one for each row of config_keys; NULL: not given */
	unsigned *section_lines; /* as values; a section's line is at its first key's row; 0: not given */
	unsigned devices_line;   /* of "devices"; 0: not given */
	json_t *device_values[CONFIG_DEVICES_MAX][CONFIG_DEVICE_KEYS_MAX];
	bool failed; /* reading more is useless, or no memory is left */
};

/* Takes the values of a JSON text, without checking them. */
void config_text_take(struct config_parse *p, const void *text, size_t size);
/* Returns the row of the first key in a section, or NULL. */
const struct config_key *config_section_find(const char *dotted);
/* Takes one value from a JSON text. place and value are those of the key; dotted is its name. */
void config_text_take_value(struct config_parse *p, const struct config_scan_member *m, const char *dotted,
        struct config_place *place, json_t **value);
struct config_place config_text_place(const struct config_parse *p, const struct config_scan *at);
/* The next three return as config_mistake_add(). */
int config_text_given_twice(
        struct config_parse *p, const struct config_scan *at, const char *dotted, unsigned first) MUST_CHECK;
int config_unknown_key(
        struct config_parse *p, const struct config_place *place, const char *dotted) MUST_CHECK;
int config_unknown_device_key(
        struct config_parse *p, const struct config_place *place, const char *dotted) MUST_CHECK;

/* Reads the value of a word of the command line: as JSON, or as the plain text that the key takes. */
json_t *config_word_value(const struct config_key *key, const char *text);
/* Sets a field to the default of its key, and then to the value if there is one. */
void config_apply(struct config_parse *p, const struct config_key *key, void *record, const json_t *value,
        const char *dotted);
void config_apply_default(struct config_parse *p, const struct config_key *key, void *record);
void config_record_finish(void *record, const struct config_key *keys, size_t count);

/* ---- device_*.c: the elements of devices[] ---- */

#define CONFIG_DEVICE_NAME_BYTES 64 /* of "devices[23].forward-tcp" */
/* Writes the name of a device's key; key NULL: of the device. Returns text. */
const char *config_device_name(size_t device, const char *key, char text[static CONFIG_DEVICE_NAME_BYTES]);
/* Reads it back. *ret_key points into name and is "" for the device itself. */
bool config_device_name_read(const char *name, size_t *ret_device, const char **ret_key);
/* Adds a device without values. It stands at this place. Returns false with a mistake, or with failed. */
bool config_device_append(struct config_parse *p, const struct config_place *place);
/* Takes the list of a JSON text. */
void config_devices_take(struct config_parse *p, struct config_scan_member *m);
/* Takes a --set word for a key of a device. where describes the word; the callee takes it over. */
void config_device_set(struct config_parse *p, const char *name, const char *text, char *where);
/* Takes a word of config_device_options; false: it is none. */
bool config_device_word(struct config_parse *p, const char *word);
/* Applies the values of all devices, names those without an id, and adds the rng. */
void config_devices_apply(struct config_parse *p);
void config_devices_destroy(struct config *config);
/* Finds what is wrong among the keys of a device, and between devices. */
void config_devices_check(const struct config *config, struct config_mistakes *mistakes);

static inline void config_note(struct config_parse *p, int result)
{
	if (result < 0)
		p->failed = true;
}

#endif
