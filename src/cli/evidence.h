/*
 * evidence: files of reports and certificates, and verdicts on them, as several verbs read and print them.
 */
#ifndef VMM_CLI_EVIDENCE_H
#define VMM_CLI_EVIDENCE_H

#include "cli.h"
#include "vmm/attest.h"

/* The blob's data is the caller's to free with blob_free(); path is borrowed as its name. */
int blob_read(const char *path, struct attest_blob *ret_blob, struct err *err) MUST_CHECK;
/* As blob_read(); without a path (the option was not given) the blob is empty. */
int blob_read_option(const struct cli_args *args, const char *option, struct attest_blob *ret_blob,
        struct err *err) MUST_CHECK;
void blob_free(struct attest_blob *blob); /* an empty one is allowed */

int report_read(const char *path, struct abi_snp_report *ret_report, struct err *err) MUST_CHECK;

/* An option's number, decimal or with 0x, nothing around it (010 is ten); at most max. */
int number_read(
        const char *option, const char *text, uint64_t max, uint64_t *ret_number, struct err *err) MUST_CHECK;
/* "2026-11-20", "2026-11-20T17:00:00Z" or "@1795194000"; NULL: now. */
int time_read(const char *text, time_t *ret_time, struct err *err) MUST_CHECK;

/* Prints every check, words or JSON. Returns the exit status: 0 if the verdict is good, otherwise 1. */
int verdict_print(const struct attest_verdict *verdict, bool json, struct err *err);

#endif
