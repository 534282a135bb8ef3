/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value: converts a JSON value to a field of the configuration, by the type of its key. Any thread.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "internal.h"

#define QUOTED_BYTES \
	40 /* of a string shown in a message; CONFIG_VALUE_TEXT_BYTES has room for the quotes \
	    */

const char *config_value_text(const json_t *value, char text[static CONFIG_VALUE_TEXT_BYTES])
{
	static const char *const names[] = {
	        [JSON_OBJECT] = "an object",
	        [JSON_ARRAY] = "a list",
	        [JSON_TRUE] = "true",
	        [JSON_FALSE] = "false",
	        [JSON_NULL] = "null",
	};
	size_t keep;
	double real;
	bool bare;

	switch (json_typeof(value)) {
	case JSON_STRING:
		keep = json_string_length(value);
		if (keep > QUOTED_BYTES) {
			for (keep = QUOTED_BYTES; (json_string_value(value)[keep] & 0xc0) == 0x80;)
				keep--;
		}
		snprintf(text, CONFIG_VALUE_TEXT_BYTES, "\"%.*s\"%s", (int)keep, json_string_value(value),
		        keep < json_string_length(value) ? "..." : "");
		return text;
	case JSON_INTEGER:
		snprintf(text, CONFIG_VALUE_TEXT_BYTES, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return text;
	case JSON_REAL:
		real = json_real_value(value);
		bare = real > -1e6 && real < 1e6 && real == (int)real; /* "%g" would show 2.0 as 2 */
		snprintf(text, CONFIG_VALUE_TEXT_BYTES, bare ? "%g.0" : "%g", real);
		return text;
	default: return names[json_typeof(value)];
	}
}

int config_value_text_check(const json_t *string, struct err *err)
{
	const char *text = json_string_value(string);

	if (strlen(text) != json_string_length(string))
		return err_set(err, ERR_USAGE, "has a NUL character, which no such text can hold");
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return err_set(err, ERR_USAGE, "has a control character (0x%02x); remove it",
			        (unsigned char)*text);
	}
	return 0;
}

static void *field_of(void *record, const struct config_key *key)
{
	return (char *)record + key->offset;
}

static int wrong(const char *needed, const json_t *value, struct err *err)
{
	char text[CONFIG_VALUE_TEXT_BYTES];

	return err_set(err, ERR_USAGE, "must be %s; this is %s", needed, config_value_text(value, text));
}

static int set_bool(void *record, const struct config_key *key, const json_t *value, struct err *err)
{
	if (!json_is_boolean(value))
		return wrong("true or false", value, err);
	*(bool *)field_of(record, key) = json_is_true(value);
	return 0;
}

static int set_number(void *record, const struct config_key *key, const json_t *value, struct err *err)
{
	json_int_t n = json_integer_value(value);
	bool may_be_null = strcmp(key->def ?: "", "null") == 0;
	char needed[120];

	if (may_be_null && json_is_null(value)) {
		*(unsigned *)field_of(record, key) = 0;
		return 0;
	}
	snprintf(needed, sizeof(needed), "%sa whole number%s%s from %" PRIu64 " to %" PRIu64,
	        may_be_null ? "null or " : "", key->unit ? " of " : "", key->unit ?: "", key->min, key->max);
	if (!json_is_integer(value) || n < 0 || (uint64_t)n < key->min || (uint64_t)n > key->max)
		return wrong(needed, value, err);
	*(unsigned *)field_of(record, key) = (unsigned)n;
	return 0;
}

/* Reads bytes, or binary multiples of them: "512", "512M", "2G", "1GiB". */
static bool size_read(const char *text, uint64_t *ret_bytes)
{
	static const char units[] = "KMGT";
	const char *unit;
	uint64_t n;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno)
		return false;
	if (*end) {
		unit = strchr(units, toupper((unsigned char)*end));
		if (!unit || (strcmp(end + 1, "") != 0 && strcmp(end + 1, "iB") != 0))
			return false;
		if (!mul_ok(n, UINT64_C(1) << 10 * (unit - units + 1), &n))
			return false;
	}
	*ret_bytes = n;
	return true;
}

const char *config_size_text(uint64_t bytes, char text[static CONFIG_SIZE_TEXT_BYTES])
{
	static const char *const units[] = {"", "K", "M", "G", "T"};
	size_t unit = 0;

	for (; bytes && bytes % 1024 == 0 && unit + 1 < ARRAY_LEN(units); unit++)
		bytes /= 1024;
	snprintf(text, CONFIG_SIZE_TEXT_BYTES, "%" PRIu64 "%s", bytes, units[unit]);
	return text;
}

static int set_size(void *record, const struct config_key *key, const json_t *value, struct err *err)
{
	char needed[100], min[CONFIG_SIZE_TEXT_BYTES], max[CONFIG_SIZE_TEXT_BYTES];
	uint64_t bytes;

	if (json_is_integer(value) && json_integer_value(value) >= 0)
		bytes = (uint64_t)json_integer_value(value);
	else if (!json_is_string(value) || config_value_text_check(value, NULL) < 0 ||
	         !size_read(json_string_value(value), &bytes))
		return wrong("a size: a number of bytes, or a string like \"512M\" or \"2GiB\"", value, err);
	snprintf(needed, sizeof(needed), "from %s to %s", config_size_text(key->min, min),
	        config_size_text(key->max, max));
	if (bytes < key->min || bytes > key->max)
		return wrong(needed, value, err);
	if (!is_aligned(bytes, MIB(1)))
		return wrong("a multiple of 1M", value, err);
	*(uint64_t *)field_of(record, key) = bytes;
	return 0;
}

static int replace_text(void *record, const struct config_key *key, const json_t *value, struct err *err)
{
	char **field = field_of(record, key);
	char *copy = strdup(json_string_value(value));

	if (!copy)
		return err_set(err, ERR_FAILED, "no memory for its value");
	free(*field);
	*field = copy;
	return 0;
}

static int set_text(void *record, const struct config_key *key, const json_t *value, struct err *err)
{
	size_t length = json_string_length(value);

	if (!json_is_string(value))
		return wrong(
		        key->type == CONFIG_STRING ? "a string" : "the name of a file, a string", value, err);
	if (config_value_text_check(value, err) < 0)
		return -1;
	if (length < key->min)
		return err_set(err, ERR_USAGE, "must not be empty");
	if (length > key->max)
		return err_set(
		        err, ERR_USAGE, "has %zu bytes, at most %" PRIu64 " are taken", length, key->max);
	return replace_text(record, key, value, err);
}

static int set_register(void *record, const struct config_key *key, const json_t *value, struct err *err)
{
	const char *text = json_string_value(value);
	uint64_t number = UINT64_MAX;

	if (json_is_null(value))
		number = 0;
	else if (json_is_integer(value) && json_integer_value(value) >= 0)
		number = (uint64_t)json_integer_value(value);
	else if (text &&
	         (config_value_text_check(value, NULL) < 0 || config_bits_number(text, &number, NULL) < 0))
		number = UINT64_MAX;
	if (number > UINT32_MAX)
		return wrong("a number of 32 bits, such as \"0xa00f11\", or null", value, err);
	*(uint32_t *)field_of(record, key) = (uint32_t)number;
	*(bool *)((char *)record + key->given) = !json_is_null(value);
	return 0;
}

static int set_hex(void *record, const struct config_key *key, const json_t *value, struct err *err)
{
	size_t length = json_string_length(value);
	char needed[80], least[24] = "";

	if (key->min != key->max)
		snprintf(least, sizeof(least), "%" PRIu64 " to ", key->min);
	snprintf(needed, sizeof(needed), "\"\" or a string of %s%" PRIu64 " hexadecimal digits", least,
	        key->max);
	if (!json_is_string(value))
		return wrong(needed, value, err);
	if (strncmp(json_string_value(value), "0x", 2) == 0)
		return wrong("hexadecimal digits alone, without 0x", value, err);
	if (length && (length < key->min || length > key->max))
		return err_set(err, ERR_USAGE, "must be %s; this one has %zu characters", needed, length);
	if (strspn(json_string_value(value), "0123456789abcdefABCDEF") != length)
		return wrong(needed, value, err);
	return replace_text(record, key, value, err);
}

static int set_uuid(void *record, const struct config_key *key, const json_t *value, struct err *err)
{
	const char *text = json_string_value(value);
	uint8_t bytes[16];

	if (!text || (json_string_length(value) && !guid_decode(text, json_string_length(value), bytes)))
		return wrong("\"\" or a UUID such as \"123e4567-e89b-12d3-a456-426614174000\"", value, err);
	return replace_text(record, key, value, err);
}

/* IEEE 802: the lowest bit of the first byte marks an address of a group, which no card can have. */
static bool is_mac(const char *text)
{
	uint8_t bytes[6];

	if (strlen(text) != 3 * sizeof(bytes) - 1)
		return false;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		char pair[3] = {text[3 * i], text[3 * i + 1]};

		if (!hex_decode(pair, &bytes[i], 1) || (i > 0 && text[3 * i - 1] != ':'))
			return false;
	}
	return !(bytes[0] & 1) && (bytes[0] | bytes[1] | bytes[2] | bytes[3] | bytes[4] | bytes[5]);
}

static int set_mac(void *record, const struct config_key *key, const json_t *value, struct err *err)
{
	const char *text = json_string_value(value);

	if (!text || config_value_text_check(value, NULL) < 0 || (*text && !is_mac(text)))
		return wrong("\"\" or the address of one card, as \"52:54:00:12:34:56\" (the second digit is "
		             "even)",
		        value, err);
	return replace_text(record, key, value, err);
}

static int set_fd(void *record, const struct config_key *key, const json_t *value, struct err *err)
{
	json_int_t n = json_is_null(value) ? -1 : json_integer_value(value);

	if (!json_is_null(value) && (!json_is_integer(value) || n < (json_int_t)key->min || n > INT32_MAX))
		return wrong("null or the number of an open descriptor, from 3", value, err);
	*(int *)field_of(record, key) = (int)n;
	return 0;
}

static const char *word_name(const void *words, size_t i)
{
	return ((const char *const *)words)[i];
}

static int wrong_word(const struct config_key *key, const json_t *value, struct err *err)
{
	const char *meant = json_is_string(value) && config_value_text_check(value, NULL) == 0
	                            ? config_nearest(json_string_value(value), word_name, key->words)
	                            : NULL;
	char words[CONFIG_WORDS_TEXT_BYTES], text[CONFIG_VALUE_TEXT_BYTES];

	return err_set(err, ERR_USAGE, "must be %s; this is %s%s%s%s",
	        config_words_text(key->words, ~0u, words), config_value_text(value, text),
	        meant ? "; did you mean \"" : "", meant ?: "", meant ? "\"?" : "");
}

static int set_word(void *record, const struct config_key *key, const json_t *value, struct err *err)
{
	for (unsigned i = 0; json_is_string(value) && key->words[i]; i++) {
		if (strcmp(key->words[i], json_string_value(value)) == 0 &&
		        config_value_text_check(value, NULL) == 0) {
			*(unsigned *)field_of(record, key) = i;
			return 0;
		}
	}
	return wrong_word(key, value, err);
}

int config_value_set(void *record, const struct config_key *key, const json_t *value, struct err *err)
{
	static int (*const setters[])(void *, const struct config_key *, const json_t *, struct err *) = {
	        [CONFIG_BOOL] = set_bool,
	        [CONFIG_NUMBER] = set_number,
	        [CONFIG_SIZE] = set_size,
	        [CONFIG_STRING] = set_text,
	        [CONFIG_PATH] = set_text,
	        [CONFIG_OUTPUT] = set_text,
	        [CONFIG_OUTPUT_WHOLE] = set_text,
	        [CONFIG_WORD] = set_word,
	        [CONFIG_HEX] = set_hex,
	        [CONFIG_UUID] = set_uuid,
	        [CONFIG_MAC] = set_mac,
	        [CONFIG_FD] = set_fd,
	        [CONFIG_REGISTER] = set_register,
	        [CONFIG_POLICY] = config_bits_set,
	        [CONFIG_FEATURES] = config_bits_set,
	};

	return setters[key->type](record, key, value, err);
}

bool config_value_is_text(const struct config_key *key)
{
	switch (key->type) {
	case CONFIG_STRING:
	case CONFIG_PATH:
	case CONFIG_OUTPUT:
	case CONFIG_OUTPUT_WHOLE:
	case CONFIG_HEX:
	case CONFIG_UUID:
	case CONFIG_MAC: return true;
	default: return false;
	}
}
