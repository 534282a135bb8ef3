/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table: everything that the control socket understands and says, as constant data: the commands with their
 * arguments and results, the events with their data, and the types of both. Dispatch, the checks of
 * arguments, query-commands, query-qmp-schema, docs/control-protocol.md and the completion and help of
 * `vmm ctl` all come from these rows, so they cannot differ. Any thread.
 */
#ifndef VMM_CONTROL_TABLE_H
#define VMM_CONTROL_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "vmm/base.h"

/* ---- types ---- */

enum control_kind {
	CONTROL_STRING,
	CONTROL_INTEGER,  /* signed, 64 bits */
	CONTROL_UNSIGNED, /* 64 bits; a negative number stands for the one with the same bits, as in QEMU */
	CONTROL_NUMBER,
	CONTROL_BOOLEAN,
	CONTROL_ANY,
	CONTROL_ENUM,   /* a string, one of `words` */
	CONTROL_LIST,   /* of `element` */
	CONTROL_OBJECT, /* with `members` and perhaps those of one of `variants` */
};

struct control_type {
	const char *name; /* "str", "uint64", "SevState"; of a list "[SevState]" */
	enum control_kind kind;
	const char *const *words;             /* ends with NULL */
	const struct control_type *element;   /* a list's */
	const struct control_member *members; /* an object's; ends with a row without a name */
	/* The member `tag`, an enum, says which variant's members the object also has. NULL: there are none.
	 */
	const char *tag;
	const struct control_variant *variants; /* ends with a row without a word */
};

/*
 * A list of members ends with a row without a name. If that row has a type, members of any other name are
 * allowed, too.
 */
struct control_member {
	const char *name;
	const struct control_type *type;
	bool optional;
	const char *help; /* a sentence for people */
};

struct control_variant {
	const char *word;
	const struct control_type *type; /* an object */
};

/* ---- commands ---- */

/* A request under way. */
struct control_call;

/*
 * Carries out a command on the loop's thread, without blocking it. The arguments have been checked. Returns
 * the result, which must fit the type of the table; NULL with err set if the command fails; NULL with
 * err->kind ERR_NONE after control_call_defer(), when the answer comes later.
 */
typedef json_t *control_handler(struct control_call *call, struct err *err);

enum control_flag {
	CONTROL_SIM_ONLY = 1 << 0, /* on the software platform only; elsewhere there is no such command */
	CONTROL_CHANGES = 1 << 1,  /* changes the guest or vmm; the others only ask */
	CONTROL_TAKES_FD = 1 << 2, /* wants a descriptor, sent by SCM_RIGHTS with the request */
	CONTROL_GUEST = 1 << 3,    /* changes the guest, which must be here (run_refuse_moved()) */
};

struct control_command {
	const char *name;                       /* vmm's own begin with CONTROL_OWN_PREFIX */
	const struct control_member *arguments; /* ends with a row without a name; NULL: there are none */
	const struct control_type *result;      /* NULL: an empty object */
	unsigned flags;
	control_handler *handler;
	const char *help; /* one or more sentences for people */
};

#define CONTROL_OWN_PREFIX "__vmm_"

extern const struct control_command control_commands[]; /* in the order of the documents */
extern const size_t control_commands_count;

/* Returns the row of a command, or NULL. */
const struct control_command *control_command_find(const char *name);

/* ---- events ---- */

struct control_event {
	const char *name;                  /* vmm's own begin with "__VMM_" */
	const struct control_member *data; /* ends with a row without a name; NULL: the event has no data */
	const char *help;
};

extern const struct control_event control_events[];
extern const size_t control_events_count;

#endif
