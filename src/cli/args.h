/* SPDX-License-Identifier: Apache-2.0 */
/*
 * args: the part of the parser that only cli.c and the tests need.
 */
#ifndef VMM_CLI_ARGS_H
#define VMM_CLI_ARGS_H

#include "cli.h"

/* argv[0] is the verb. The strings of argv are borrowed for the life of args; argv is reordered. */
int cli_args_parse(const struct cli_verb *verb, int argc, char **argv, struct cli_args **ret_args,
        struct err *err) MUST_CHECK;
void cli_args_destroy(struct cli_args *args); /* NULL is allowed */

#endif
