/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check: do the arguments of a request fit the command's row? What is missing or of the wrong type is found
 * in the order of the row, and only then what is too much, with QEMU's words (qapi/qobject-input-visitor.c).
 */
#include <string.h>

#include "control.h"

static int wrong_type(const char *name, const char *expected, struct err *err)
{
	return err_set(err, ERR_USAGE, "Invalid parameter type for '%s', expected: %s", name, expected);
}

static int check_word(const struct control_type *type, const char *name, const json_t *value, struct err *err)
{
	const char *word = json_string_value(value);

	if (!word)
		return wrong_type(name, "string", err);
	for (const char *const *known = type->words; *known; known++) {
		if (strcmp(*known, word) == 0)
			return 0;
	}
	return err_set(err, ERR_USAGE, "Parameter '%s' does not accept value '%s'", name, TEXT_VALUE(word));
}

static int check_list(
        const struct control_type *type, const char *name, const json_t *value, struct err *err);

static int check_value(
        const struct control_type *type, const char *name, const json_t *value, struct err *err)
{
	switch (type->kind) {
	case CONTROL_STRING: return json_is_string(value) ? 0 : wrong_type(name, "string", err);
	case CONTROL_INTEGER: return json_is_integer(value) ? 0 : wrong_type(name, "integer", err);
	case CONTROL_UNSIGNED:
		return json_is_integer(value)
		               ? 0
		               : err_set(err, ERR_USAGE, "Parameter '%s' expects uint64", name);
	case CONTROL_NUMBER: return json_is_number(value) ? 0 : wrong_type(name, "number", err);
	case CONTROL_BOOLEAN: return json_is_boolean(value) ? 0 : wrong_type(name, "boolean", err);
	case CONTROL_ANY: return 0;
	case CONTROL_ENUM: return check_word(type, name, value, err);
	case CONTROL_LIST: return check_list(type, name, value, err);
	case CONTROL_OBJECT:
		return json_is_object(value) ? control_check_arguments(type->members, value, err)
		                             : wrong_type(name, "object", err);
	}
	return 0;
}

/* QEMU calls an element of a list 'null'. */
static int check_list(const struct control_type *type, const char *name, const json_t *value, struct err *err)
{
	if (!json_is_array(value))
		return wrong_type(name, "array", err);
	for (size_t i = 0; i < json_array_size(value); i++) {
		if (check_value(type->element, "null", json_array_get(value, i), err) < 0)
			return -1;
	}
	return 0;
}

static bool is_member(const struct control_member *members, const char *name)
{
	for (const struct control_member *m = members; m && m->name; m++) {
		if (strcmp(m->name, name) == 0)
			return true;
	}
	return false;
}

/* A last row of any type without a name stands for all other members. */
static bool takes_all(const struct control_member *members)
{
	while (members && members->name)
		members++;
	return members && members->type;
}

int control_check_arguments(const struct control_member *members, const json_t *arguments, struct err *err)
{
	for (const struct control_member *m = members; m && m->name; m++) {
		const json_t *value = json_object_get(arguments, m->name);

		if (!value && !m->optional)
			return err_set(err, ERR_USAGE, "Parameter '%s' is missing", m->name);
		if (value && check_value(m->type, m->name, value, err) < 0)
			return -1;
	}
	if (takes_all(members))
		return 0;
	/* jansson's iterator wants to be able to change the object. */
	for (void *at = json_object_iter((json_t *)(uintptr_t)arguments); at;
	        at = json_object_iter_next((json_t *)(uintptr_t)arguments, at)) {
		if (!is_member(members, json_object_iter_key(at)))
			return err_set(err, ERR_USAGE, "Parameter '%s' is unexpected",
			        TEXT_VALUE(json_object_iter_key(at)));
	}
	return 0;
}
