/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protocol: what docs/control-protocol.md says of commands, events and types, from the table that the program
 * itself uses. Prints Markdown.
 */
#include <ctype.h>
#include <string.h>

#include "vmm/control/table.h"

#define TYPES_MAX 200

/* The types that were met, in the order of their first use. */
static const struct control_type *types[TYPES_MAX];
static size_t type_count;

static const struct control_type *element_of(const struct control_type *type)
{
	return type->kind == CONTROL_LIST ? type->element : type;
}

/* Objects and enums are described below under their names. */
static bool is_described(const struct control_type *type)
{
	return type->kind == CONTROL_OBJECT || type->kind == CONTROL_ENUM;
}

static void meet(const struct control_type *type)
{
	for (size_t i = 0; i < type_count; i++) {
		if (types[i] == type)
			return;
	}
	if (is_described(type) && type_count < TYPES_MAX)
		types[type_count++] = type;
}

/* Headings become anchors in small letters. */
static void put_type(const struct control_type *type)
{
	const struct control_type *one = element_of(type);

	if (type->kind == CONTROL_LIST)
		printf("list of ");
	if (!is_described(one)) {
		printf("%s", one->name);
		return;
	}
	meet(one);
	printf("[%s](#", one->name);
	for (const char *c = one->name; *c; c++)
		putchar(tolower((unsigned char)*c));
	printf(")");
}

static void put_members(const struct control_member *members, const char *what)
{
	if (!members)
		return;
	printf("\n| %s | type | |\n|---|---|---|\n", what);
	for (; members->name; members++) {
		printf("| `%s` | ", members->name);
		put_type(members->type);
		printf("%s | %s |\n", members->optional ? ", optional" : "", members->help ?: "");
	}
	if (members->type)
		printf("| any other | any | |\n");
}

static void put_command(const struct control_command *command)
{
	printf("\n### %s\n\n%s\n", command->name, command->help);
	if (command->flags & CONTROL_SIM_ONLY)
		printf("On the software platform only.\n");
	if (command->flags & CONTROL_GUEST)
		printf("Fails when another vmm has the guest, or is about to get it, or has not sent it "
		       "yet.\n");
	if (command->flags & CONTROL_TAKES_FD)
		printf("A descriptor comes with it (SCM_RIGHTS).\n");
	put_members(command->arguments, "argument");
	if (!command->result)
		return;
	printf("\nReturns ");
	put_type(command->result);
	puts(".");
}

static void put_words(const struct control_type *type)
{
	printf("\nOne of ");
	for (const char *const *word = type->words; *word; word++)
		printf("`%s`%s", *word, word[1] ? ", " : ".\n");
}

static void put_described(const struct control_type *type)
{
	printf("\n### %s\n", type->name);
	if (type->kind == CONTROL_ENUM) {
		put_words(type);
		return;
	}
	put_members(type->members, "member");
	for (const struct control_variant *v = type->variants; v && v->word; v++) {
		printf("\nWhere `%s` is `%s`, also:\n", type->tag, v->word);
		put_members(v->type->members, "member");
	}
}

int main(void)
{
	puts("## Commands");
	for (size_t i = 0; i < control_commands_count; i++)
		put_command(&control_commands[i]);
	puts("\n## Events");
	for (size_t i = 0; i < control_events_count; i++) {
		printf("\n### %s\n\n%s\n", control_events[i].name, control_events[i].help);
		put_members(control_events[i].data, "data");
	}
	puts("\n## Types");
	for (size_t i = 0; i < type_count; i++) /* describing one may meet more */
		put_described(types[i]);
	return 0;
}
