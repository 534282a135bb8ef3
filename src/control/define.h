/* SPDX-License-Identifier: Apache-2.0 */
/*
 * define: how the files of types define them.
 */
#ifndef VMM_CONTROL_DEFINE_H
#define VMM_CONTROL_DEFINE_H

#include "types.h"

/*
 * Define an object with the members that follow; one that also has the members of a variant, which its member
 * tag selects; and a list. The literals at this level last as long as the program.
 */
#define OBJECT(ident, qmp_name, ...) \
	const struct control_type ident = {.name = (qmp_name), \
	        .kind = CONTROL_OBJECT, \
	        .members = (const struct control_member[]){__VA_ARGS__, {0}}}
#define UNION(ident, qmp_name, tag_name, variant_rows, ...) \
	const struct control_type ident = {.name = (qmp_name), \
	        .kind = CONTROL_OBJECT, \
	        .members = (const struct control_member[]){__VA_ARGS__, {0}}, \
	        .tag = (tag_name), \
	        .variants = (variant_rows)}
#define LIST(ident, qmp_name, of) \
	const struct control_type ident = {.name = (qmp_name), .kind = CONTROL_LIST, .element = &(of)}
#define ENUM(ident, qmp_name, ...) \
	const struct control_type ident = { \
	        .name = (qmp_name), .kind = CONTROL_ENUM, .words = (const char *const[]){__VA_ARGS__, NULL}}

#define STR  &control_type_str
#define INT  &control_type_int
#define BOOL &control_type_bool
#define U64  &control_type_uint64
#define ANY  &control_type_any

/* A member that is not always there. */
#define MAYBE true

#endif
