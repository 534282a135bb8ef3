/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evidence: files of reports and certificates, and verdicts on them, as several verbs read and print them.
 */
#ifndef VMM_CLI_EVIDENCE_H
#define VMM_CLI_EVIDENCE_H

#include "cli.h"
#include "vmm/abi/report.h"
#include "vmm/attest.h"
#include "vmm/config.h"

/*
 * Reads a file, or standard input if path is "-". The bytes may also come as Base64 or hexadecimal. The
 * caller frees the blob's data with cli_blob_free(); its name is path, which is borrowed.
 */
int cli_blob_read(const char *path, struct attest_blob *ret_blob, struct err *err) MUST_CHECK;
/* Reads the file that an option names. If the option was not given, the blob is empty. */
int cli_blob_read_option(const struct cli_args *args, const char *option, struct attest_blob *ret_blob,
        struct err *err) MUST_CHECK;
void cli_blob_free(struct attest_blob *blob); /* an empty one is allowed */

/*
 * Reads a report and the file that holds it, which the caller frees with cli_blob_free(). *ret_table (may be
 * NULL) is the certificate table behind the report, borrowed from the file.
 */
int cli_report_read(const char *path, struct attest_blob *ret_file, struct abi_snp_report *ret_report,
        struct attest_blob *ret_table, struct err *err) MUST_CHECK;

/* Reads an option's number of at most max, decimal or with 0x. Nothing may stand around it; 010 is ten. */
int cli_number_read(
        const char *option, const char *text, uint64_t max, uint64_t *ret_number, struct err *err) MUST_CHECK;
/*
 * Reads an option's policy: a number, or the words of sev.policy. Whether a guest can have it is not judged.
 */
int cli_policy_read(const char *option, enum config_sev_type type, const char *text, uint64_t *ret_policy,
        struct err *err) MUST_CHECK;
/* Reads "2026-11-20", "2026-11-20T17:00:00Z" or "@1795194000". If text is NULL, the time is now. */
int cli_time_read(const char *text, time_t *ret_time, struct err *err) MUST_CHECK;

/* Prints every check, in words or as JSON. Returns the exit status: 0 if all checks passed, otherwise 1. */
int cli_verdict_print(const struct attest_verdict *verdict, bool json, struct err *err);

#endif
