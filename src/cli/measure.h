/*
 * measure: what the files of the verb `measure` share. Main thread only.
 */
#ifndef VMM_CLI_MEASURE_H
#define VMM_CLI_MEASURE_H

#include "vmm/json.h"
#include "vmm/launch.h"

/*
 * A measurement as JSON: digest, what of the configuration it depends on, and, if wanted, a row for each run
 * of pages: {name, type, gpa, pages, bytes, digest} with the digest after it, and what lets a later
 * measurement tell which page or register became another: `contents`, the first 8 bytes of each page's
 * SHA-256, or `registers`. The caller's to decref.
 */
int measure_make(
        const struct launch_plan *plan, bool rows, json_t **ret_measurement, struct err *err) MUST_CHECK;

/*
 * What differs between two measurements with rows: an array of sentences, the first of which is the first
 * difference in the order of the launch; empty if nothing does. then may be any JSON; ERR_USAGE, naming path,
 * if it is no measurement with rows.
 */
int measure_compare(const json_t *then, const char *path, const json_t *now, json_t **ret_differences,
        struct err *err) MUST_CHECK;

/* The string under a key, "" if there is none. */
const char *measure_text(const json_t *object, const char *key);

extern const char *const measure_page_types[]; /* by enum abi_page_type */
extern const char *const measure_sev_types[];  /* by enum config_sev_type */

#endif
