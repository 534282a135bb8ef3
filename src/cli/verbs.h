/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verbs: the rows of all verbs. Each verb has a file of its own.
 */
#ifndef VMM_CLI_VERBS_H
#define VMM_CLI_VERBS_H

#include "cli.h"

extern const struct cli_verb cli_verb_check;
extern const struct cli_verb cli_verb_ctl;
extern const struct cli_verb cli_verb_map;
extern const struct cli_verb cli_verb_measure;
extern const struct cli_verb cli_verb_idblock_make;
extern const struct cli_verb cli_verb_idblock_show;
extern const struct cli_verb cli_verb_idblock_check;
extern const struct cli_verb cli_verb_host;
extern const struct cli_verb cli_verb_platform;
extern const struct cli_verb cli_verb_run;
extern const struct cli_verb cli_verb_report_show;
extern const struct cli_verb cli_verb_report_verify;
extern const struct cli_verb cli_verb_cert_show;
extern const struct cli_verb cli_verb_cert_verify;
extern const struct cli_verb cli_verb_session_new;
extern const struct cli_verb cli_verb_session_verify;
extern const struct cli_verb cli_verb_secret_pack;

#endif
