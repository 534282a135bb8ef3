/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config: what the files of this room need of each other.
 */
#ifndef VMM_CONFIG_INTERNAL_H
#define VMM_CONFIG_INTERNAL_H

#include <jansson.h>

#include "vmm/config.h"

struct config_place {
	char *where;
	unsigned line, column; /* 0: a --set word, or a default */
	bool given;            /* in the file or by --set */
	bool in_set;           /* by --set */
	bool bad;              /* this key has a mistake already */
};

/* ---- mistake.c ---- */

/* Strings are copied; key and where may be NULL. Returns -1 when no memory is left. */
int config_mistake_add(struct config_mistakes *mistakes, const struct config_place *place, const char *key,
        const char *fmt, ...) PRINTF(4, 5) MUST_CHECK;

/* ---- suggest.c ---- */

/* The key that was probably meant; if none, the section, which is written to text; or NULL. */
#define CONFIG_SUGGEST_SECTION_BYTES 32
const char *config_suggest_key(const char *dotted, char text[static CONFIG_SUGGEST_SECTION_BYTES]);

/* ---- foreign.c: what other programs call a key, a word or a processor ---- */

struct config_foreign {
	const char *theirs, *ours;
	const char *why; /* there is nothing of ours: the reason; NULL otherwise */
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
	struct config_scan value; /* from its first to behind its last character */
};

struct config_scan config_scan_over(const void *text, size_t size);
/* Past white space; on to the next c; each at most to the end. */
void config_scan_space(struct config_scan *s);
void config_scan_find(struct config_scan *s, char c);
/* Steps into the object at s; false: there is no object. */
bool config_scan_enter(struct config_scan *s);
/* 1: the next member, 0: there is none, -1: no memory, or the text is not what jansson said it is. */
int config_scan_next(struct config_scan *s, struct config_scan_member *ret_member);
/* The value as jansson reads it, NULL if it cannot. */
json_t *config_scan_value(const struct config_scan *s, json_error_t *error);

/* ---- value.c, bits.c: a JSON value becomes a field; on failure the field is untouched ---- */

int config_value_set(
        struct config *config, const struct config_key *key, const json_t *value, struct err *err) MUST_CHECK;
int config_bits_set(
        struct config *config, const struct config_key *key, const json_t *value, struct err *err) MUST_CHECK;
/* "true", "3", "\"abc\"", "a list": for messages; long strings are cut. */
#define CONFIG_VALUE_TEXT_BYTES 64
const char *config_value_text(const json_t *value, char text[static CONFIG_VALUE_TEXT_BYTES]);
/* Decimal, or hexadecimal behind 0x, of at most 64 bits; nothing around it. */
int config_bits_number(const char *text, uint64_t *ret_number, struct err *err) MUST_CHECK;
/* Refuses NUL and other control characters. */
int config_value_text_check(const json_t *string, struct err *err) MUST_CHECK;

/* ---- check.c ---- */

/* Finds the mistakes that only several keys together show. */
void config_check_between(const struct config *config, struct config_mistakes *mistakes);

/* ---- load.c, text.c: what is being read ---- */

struct config_parse {
	char *name;
	struct config *config;
	struct config_mistakes *mistakes;
	json_t **values;         /* one a row of config_keys; NULL: not given */
	unsigned *section_lines; /* the same; a section stands at its first key's row; 0: not given */
	bool failed;             /* nothing more is worth reading, or no memory is left */
};

/* The values of a JSON text, not yet judged. */
void config_text_take(struct config_parse *p, const void *text, size_t size);
/* The row of the first key in a section, or NULL. */
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
