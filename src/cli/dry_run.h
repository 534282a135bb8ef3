/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dry_run: says what a launch would do.
 */
#ifndef VMM_CLI_DRY_RUN_H
#define VMM_CLI_DRY_RUN_H

#include "vmm/json.h"
#include "vmm/launch.h"

/*
 * Prints the steps, what they measure, the digest, and every refusal that can be foreseen. simulated: the
 * host is the software platform. Returns the exit status, which is that of the first refusal, or 0; -1 with
 * err if the result could not be printed.
 */
int cli_dry_run(const struct config *config, const struct launch *launch, bool simulated, bool as_json,
        struct err *err) MUST_CHECK;

/*
 * Does the same where the configuration makes no launch. why is the first mistake. All mistakes in the files
 * are printed, if the files can be read a second time.
 */
int cli_dry_run_mistaken(const struct config *config, const struct err *why, bool simulated, bool as_json,
        struct err *err) MUST_CHECK;

/* Makes an array of the warnings, a text each. */
json_t *cli_warnings_json(const struct launch_findings *warnings);

#endif
