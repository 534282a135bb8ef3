/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema: the answer to query-qmp-schema, made from the table: an entity for each command and event, and for
 * each type that they lead to (QEMU's qapi/introspect.json). Main thread.
 */
#include <string.h>

#include "control.h"

#define NO_MEMBERS "q_empty" /* the object of which commands without arguments and results speak */

struct schema {
	json_t *list;
	json_t *seen; /* the names of the types in the list */
};

static void add_type(struct schema *schema, const struct control_type *type);

static void add(struct schema *schema, const char *name, const char *meta, json_t *entity)
{
	json_doc_set(&entity, "name", json_string(name));
	json_doc_set(&entity, "meta-type", json_string(meta));
	json_doc_append(&schema->list, entity);
}

/* In the schema all integers have one type. */
static const char *type_name(const struct control_type *type)
{
	return type->kind == CONTROL_UNSIGNED ? "int" : type->name;
}

/* ---- types ---- */

static json_t *members_of(struct schema *schema, const struct control_member *members)
{
	json_t *list = json_array();

	for (const struct control_member *m = members; m && m->name; m++) {
		json_t *member = json_pack("{s:s,s:s}", "name", m->name, "type", type_name(m->type));

		if (m->optional)
			json_doc_set(&member, "default", json_null());
		json_doc_append(&list, member);
		add_type(schema, m->type);
	}
	return list;
}

static json_t *variants_of(struct schema *schema, const struct control_variant *variants)
{
	json_t *list = json_array();

	for (const struct control_variant *v = variants; v->word; v++) {
		json_doc_append(&list, json_pack("{s:s,s:s}", "case", v->word, "type", v->type->name));
		add_type(schema, v->type);
	}
	return list;
}

static json_t *object_of(struct schema *schema, const struct control_type *type)
{
	json_t *entity = json_pack("{s:o}", "members", members_of(schema, type->members));

	if (!type->tag)
		return entity;
	json_doc_set(&entity, "tag", json_string(type->tag));
	json_doc_set(&entity, "variants", variants_of(schema, type->variants));
	return entity;
}

static json_t *enum_of(const struct control_type *type)
{
	json_t *members = json_array(), *values = json_array();

	for (const char *const *word = type->words; *word; word++) {
		json_doc_append(&members, json_pack("{s:s}", "name", *word));
		json_doc_append(&values, json_string(*word));
	}
	return json_pack("{s:o,s:o}", "members", members, "values", values);
}

static json_t *array_of(struct schema *schema, const struct control_type *type)
{
	add_type(schema, type->element);
	return json_pack("{s:s}", "element-type", type_name(type->element));
}

static json_t *builtin_of(const struct control_type *type)
{
	static const char *const json_types[] = {
	        [CONTROL_STRING] = "string",
	        [CONTROL_INTEGER] = "int",
	        [CONTROL_UNSIGNED] = "int",
	        [CONTROL_NUMBER] = "number",
	        [CONTROL_BOOLEAN] = "boolean",
	        [CONTROL_ANY] = "value",
	};

	return json_pack("{s:s}", "json-type", json_types[type->kind]);
}

static void add_type(struct schema *schema, const struct control_type *type)
{
	const char *name = type_name(type);

	if (json_object_get(schema->seen, name))
		return;
	json_doc_set(&schema->seen, name, json_true());
	switch (type->kind) {
	case CONTROL_OBJECT: add(schema, name, "object", object_of(schema, type)); break;
	case CONTROL_ENUM: add(schema, name, "enum", enum_of(type)); break;
	case CONTROL_LIST: add(schema, name, "array", array_of(schema, type)); break;
	default: add(schema, name, "builtin", builtin_of(type)); break;
	}
}

/* The members of a command's arguments and of an event's data make an object of their own. */
static json_t *own_object(
        struct schema *schema, const char *name, const char *end, const struct control_member *members)
{
	auto_free char *type = NULL;

	if (!members)
		return json_string(NO_MEMBERS);
	if (asprintf(&type, "q_%s%s", name, end) < 0)
		return NULL;
	add(schema, type, "object", json_pack("{s:o}", "members", members_of(schema, members)));
	return json_string(type);
}

/* ---- commands and events ---- */

static void add_command(struct schema *schema, const struct control_command *command)
{
	json_t *arguments = own_object(schema, command->name, "-arg", command->arguments);

	if (command->result)
		add_type(schema, command->result);
	add(schema, command->name, "command",
	        json_pack("{s:o,s:s,s:b}", "arg-type", arguments, "ret-type",
	                command->result ? type_name(command->result) : NO_MEMBERS, "allow-oob", 0));
}

static void add_event(struct schema *schema, const struct control_event *event)
{
	json_t *data = own_object(schema, event->name, "-data", event->data);

	add(schema, event->name, "event", json_pack("{s:o}", "arg-type", data));
}

json_t *control_query_schema(struct control_call *call, struct err *err)
{
	struct schema schema = {.list = json_array(), .seen = json_object()};

	add(&schema, NO_MEMBERS, "object", json_pack("{s:[]}", "members"));
	for (size_t i = 0; i < control_commands_count; i++) {
		if (control_command_exists(call->control, &control_commands[i]))
			add_command(&schema, &control_commands[i]);
	}
	for (size_t i = 0; i < control_events_count; i++)
		add_event(&schema, &control_events[i]);
	json_decref(schema.seen);
	return schema.list;
}
