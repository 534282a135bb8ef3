/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evidence: reads files of reports and certificates, and prints verdicts. Main thread only.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "evidence.h"
#include "vmm/attest/report.h"
#include "vmm/json.h"

int cli_blob_read(const char *path, struct attest_blob *ret_blob, struct err *err)
{
	auto_free void *data = NULL;
	uint8_t *decoded;
	size_t size;

	if (file_read_all(path, ATTEST_FILE_MAX_BYTES, &data, &size, err) < 0)
		return -1;
	if (size == 0)
		return err_set(err, ERR_USAGE, "%s: is empty%s", file_name(path),
		        strcmp(path, "-") == 0 ? " (it can be read once)" : "");
	decoded = malloc(size);
	if (!decoded)
		return err_set(err, ERR_FAILED, "%s: no memory for its bytes", file_name(path));
	if (attest_form_decode(data, size, decoded, &size) == ATTEST_FORM_BYTES)
		memcpy(decoded, data, size);
	*ret_blob = (struct attest_blob){decoded, size, file_name(path)};
	return 0;
}

int cli_blob_read_option(
        const struct cli_args *args, const char *option, struct attest_blob *ret_blob, struct err *err)
{
	const char *path = cli_value(args, option);

	*ret_blob = (struct attest_blob){0};
	return path ? cli_blob_read(path, ret_blob, err) : 0;
}

void cli_blob_free(struct attest_blob *blob)
{
	free((void *)(uintptr_t)blob->data);
	*blob = (struct attest_blob){0};
}

int cli_report_read(const char *path, struct attest_blob *ret_file, struct abi_snp_report *ret_report,
        struct attest_blob *ret_table, struct err *err)
{
	struct attest_blob file;

	if (cli_blob_read(path, &file, err) < 0)
		return -1;
	if (attest_report_parse(file.data, file.size, ret_report, ret_table, err) < 0) {
		err_wrap(err, "%s", file.name);
		cli_blob_free(&file);
		return -1;
	}
	*ret_file = file;
	return 0;
}

int cli_number_read(const char *option, const char *text, uint64_t max, uint64_t *ret_number, struct err *err)
{
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, strncmp(text, "0x", 2) == 0 ? 16 : 10);
	if (errno || !isdigit((unsigned char)text[0]) || *end != '\0' || number > max)
		return err_set(err, ERR_USAGE, "--%s takes a number up to %#llx, not \"%s\"", option,
		        (unsigned long long)max, TEXT_VALUE(text));
	*ret_number = number;
	return 0;
}

int cli_policy_read(const char *option, enum config_sev_type type, const char *text, uint64_t *ret_policy,
        struct err *err)
{
	uint64_t policy;

	if (config_policy_parse(type, text, &policy, err) < 0)
		return err_wrap(err, "--%s", option);
	if (type != CONFIG_SEV_SNP && policy > UINT32_MAX)
		return err_set(
		        err, ERR_USAGE, "--%s: \"%s\" is not a number of at most 32 bits", option, text);
	*ret_policy = policy;
	return 0;
}

/* Returns false if there is no such day, as February 30. timegm() would take it for a day in March. */
static bool take_date(const struct tm *given, time_t *ret_time)
{
	struct tm tm = *given;
	time_t at = timegm(&tm);

	if (tm.tm_mon != given->tm_mon || tm.tm_mday != given->tm_mday)
		return false;
	*ret_time = at;
	return true;
}

int cli_time_read(const char *text, time_t *ret_time, struct err *err)
{
	static const char *const formats[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"};
	char *end;

	if (!text) {
		*ret_time = time(NULL);
		return 0;
	}
	if (text[0] == '@') {
		errno = 0;
		long long seconds = strtoll(text + 1, &end, 10);

		if (!errno && end > text + 1 && *end == '\0') {
			*ret_time = (time_t)seconds;
			return 0;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		struct tm tm = {0};
		const char *rest = strptime(text, formats[i], &tm);

		if (rest && *rest == '\0' && take_date(&tm, ret_time))
			return 0;
	}
	return err_set(err, ERR_USAGE,
	        "\"%s\" is not a time; write 2026-11-20, 2026-11-20T17:00:00Z or @SECONDS (all UTC)",
	        TEXT_VALUE(text));
}

static int print_json(const struct attest_verdict *verdict, struct err *err)
{
	static const char *const results[] = {"passed", "failed", "note"};
	json_t *list = json_array();
	auto_json json_t *root = NULL;

	for (size_t i = 0; i < verdict->count; i++) {
		const struct attest_check *check = &verdict->checks[i];

		json_doc_append(&list, json_pack("{s:s, s:s, s:o}", "name", check->name, "result",
		                               results[check->result], "text", json_doc_text(check->text)));
	}
	root = json_pack("{s:b, s:b, s:o}", "verified", verdict->passed, "simulated", verdict->simulated,
	        "checks", list);
	return json_doc_print(root, err);
}

static void print_words(const struct attest_verdict *verdict)
{
	static const char *const results[] = {"ok", "FAILED", "note"};
	size_t judged = 0, failed = 0;

	if (verdict->simulated)
		printf("%s\n", CLI_SIMULATED);
	for (size_t i = 0; i < verdict->count; i++) {
		const struct attest_check *check = &verdict->checks[i];

		printf("%-7s %-17s %s\n", results[check->result], check->name, check->text);
		judged += check->result != ATTEST_NOTE;
		failed += check->result == ATTEST_FAILED;
	}
	if (verdict->passed)
		printf("verified: all %zu checks passed\n", judged);
	else
		printf("NOT VERIFIED: %zu of %zu checks failed\n", failed, judged);
}

int cli_verdict_print(const struct attest_verdict *verdict, bool json, struct err *err)
{
	if (!json)
		print_words(verdict);
	else if (print_json(verdict, err) < 0)
		return -1;
	return verdict->passed ? 0 : ERR_FAILED;
}
