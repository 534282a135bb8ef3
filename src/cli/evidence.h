/*
 * evidence: files of reports and certificates, and verdicts on them, as several verbs read and print them.
 */
#ifndef VMM_CLI_EVIDENCE_H
#define VMM_CLI_EVIDENCE_H

#include "cli.h"
#include "vmm/attest.h"
#include "vmm/config.h"

/*
 * A file, or "-" for the standard input, whose bytes may also come as Base64 or hexadecimal. The blob's data
 * is the caller's to free with blob_free(); path is borrowed as its name.
 */
int blob_read(const char *path, struct attest_blob *ret_blob, struct err *err) MUST_CHECK;
/* As blob_read(); without a path (the option was not given) the blob is empty. */
int blob_read_option(const struct cli_args *args, const char *option, struct attest_blob *ret_blob,
        struct err *err) MUST_CHECK;
void blob_free(struct attest_blob *blob); /* an empty one is allowed */

/* A report, and the file that holds it, which the caller frees; *ret_table (may be NULL) is borrowed from it.
 */
int report_read(const char *path, struct attest_blob *ret_file, struct abi_snp_report *ret_report,
        struct attest_blob *ret_table, struct err *err) MUST_CHECK;

/* An option's number, decimal or with 0x, nothing around it (010 is ten); at most max. */
int number_read(
        const char *option, const char *text, uint64_t max, uint64_t *ret_number, struct err *err) MUST_CHECK;
/* An option's policy, a number or the words of sev.policy; whether a guest can have it is not judged. */
int policy_read(const char *option, enum config_sev_type type, const char *text, uint64_t *ret_policy,
        struct err *err) MUST_CHECK;
/* "2026-11-20", "2026-11-20T17:00:00Z" or "@1795194000"; NULL: now. */
int time_read(const char *text, time_t *ret_time, struct err *err) MUST_CHECK;

/* Prints every check, words or JSON. Returns the exit status: 0 if the verdict is good, otherwise 1. */
int verdict_print(const struct attest_verdict *verdict, bool json, struct err *err);

#endif
