/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure: what the files of the verb `measure` share, and dry_run.c. Main thread only.
 */
#ifndef VMM_CLI_MEASURE_H
#define VMM_CLI_MEASURE_H

#include "vmm/json.h"
#include "vmm/launch.h"

/*
 * Makes the document of a measurement (docs/json.md): the digest, what it depends on and, if wanted, a row
 * for each run of pages. A row has the digest after it, and what lets a later measurement find the page or
 * the register that has changed: the first 8 bytes of each page's SHA-256, or the registers. The caller
 * decrefs it.
 */
int cli_measure_make(
        const struct launch_plan *plan, bool rows, json_t **ret_measurement, struct err *err) MUST_CHECK;

/*
 * Compares two measurements with rows. *ret_differences is an array of sentences in the order of the launch,
 * and empty if nothing differs. then may be any JSON; ERR_USAGE, with path in its text, if it is not a
 * measurement with rows.
 */
int cli_measure_compare(const json_t *then, const char *path, const json_t *now, json_t **ret_differences,
        struct err *err) MUST_CHECK;

/* Is this a trace, as `vmm platform --trace` writes it? */
bool cli_measure_is_trace(const char *text, size_t size);
/*
 * Reads what the last launch of a trace has measured, as a measurement with rows that are cut as those of
 * now. text may be any bytes; ERR_USAGE, with path in its text, if no launch came to an end in it. The caller
 * decrefs *ret_then.
 */
int cli_measure_read_trace(const char *text, size_t size, const char *path, const json_t *now,
        json_t **ret_then, struct err *err) MUST_CHECK;

/* Returns the string under a key, or "" if there is none. */
const char *cli_measure_text(const json_t *object, const char *key);

extern const char *const cli_measure_page_types[]; /* by enum abi_page_type */
extern const char *const cli_measure_sev_types[];  /* by enum config_sev_type */

#endif
