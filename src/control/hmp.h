/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hmp: what human-monitor-command consists of: commands for people, and a text that grows.
 */
#ifndef VMM_CONTROL_HMP_H
#define VMM_CONTROL_HMP_H

#include "control.h"

/* Answers with text; rest is what follows the command. As control_handler. */
typedef json_t *control_hmp_run(struct control_call *call, const char *rest, struct err *err);

struct control_hmp {
	const char *name, *arguments, *help;
	control_hmp_run *run;
};

/* The subcommands of `info`; ends with a row without a name. */
extern const struct control_hmp control_hmp_info[];

/* device.c */
json_t *control_info_block(struct control_call *call, const char *rest, struct err *err);
json_t *control_info_network(struct control_call *call, const char *rest, struct err *err);

/* hmp_migrate.c */
json_t *control_hmp_migrate(struct control_call *call, const char *rest, struct err *err);
json_t *control_hmp_migrate_capability(struct control_call *call, const char *rest, struct err *err);
json_t *control_hmp_info_migrate(struct control_call *call, const char *rest, struct err *err);

/* Zeroed at first. */
struct control_text {
	char *data;
	size_t used;
	bool bad; /* no memory was left */
};
void control_text_add(struct control_text *text, const char *fmt, ...) PRINTF(2, 3);
/* Returns the text as a JSON string and frees it; NULL if no memory was left. */
json_t *control_text_take(struct control_text *text);

#endif
