/*
 * dry_run: what a launch would do.
 */
#ifndef VMM_CLI_DRY_RUN_H
#define VMM_CLI_DRY_RUN_H

#include "vmm/json.h"
#include "vmm/launch.h"

/*
 * Prints the steps, what they measure, the digest, and every foreseen refusal. simulated: the host is the
 * software platform, which JSON tells. Returns the exit status: that of the first refusal, or 0; -1 if it
 * could not be told.
 */
int cli_dry_run(const struct config *config, const struct launch *launch, bool simulated, bool as_json,
        struct err *err) MUST_CHECK;

/*
 * The same where no launch can be made of the configuration: why is the first mistake; all that its files
 * show are told.
 */
int cli_dry_run_mistaken(const struct config *config, const struct err *why, bool simulated, bool as_json,
        struct err *err) MUST_CHECK;

/* An array of the warnings, a text each. */
json_t *cli_warnings_json(const struct launch_findings *warnings);

#endif
