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
/* Returns the value as jansson reads it, NULL if jansson cannot read it. */
json_t *config_scan_value(const struct config_scan *s, json_error_t *error);

/* ---- value.c, bits.c: a JSON value becomes a field; on failure the field is untouched ---- */

int config_value_set(
        struct config *config, const struct config_key *key, const json_t *value, struct err *err) MUST_CHECK;
int config_bits_set(
        struct config *config, const struct config_key *key, const json_t *value, struct err *err) MUST_CHECK;
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
	bool failed;             /* reading more is useless, or no memory is left */
};

/* Takes the values of a JSON text, without checking them. */
void config_text_take(struct config_parse *p, const void *text, size_t size);
/* Returns the row of the first key in a section, or NULL. */
const struct config_key *config_section_find(const char *dotted);
/* Returns as config_mistake_add(). */
int config_unknown_key(
        struct config_parse *p, const struct config_place *place, const char *dotted) MUST_CHECK;

static inline void config_note(struct config_parse *p, int result)
{
	if (result < 0)
		p->failed = true;
}

#endif
