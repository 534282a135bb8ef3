/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure: computes the launch digest that a configuration must have, on any machine. Main thread only.
 */
#include <errno.h>
#include <string.h>

#include "measure.h"
#include "verbs.h"
#include "vmm/owner.h"

#define SAVED_MAX_BYTES MIB(256) /* traces of long runs are large */

/* ---- printing ---- */

static void print_rows(const json_t *measurement)
{
	const json_t *rows = json_object_get(measurement, "rows");

	printf("%-18s %7s  %-10s  %-17s  %s\n", "GPA", "PAGES", "TYPE", "WHAT", "DIGEST AFTER");
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);

		printf("%-18s %7lld  %-10s  %-17s  %s\n", cli_measure_text(row, "gpa"),
		        (long long)json_integer_value(json_object_get(row, "pages")),
		        cli_measure_text(row, "type"), cli_measure_text(row, "name"),
		        cli_measure_text(row, "digest"));
	}
}

static int print_measurement(const struct cli_args *args, const json_t *measurement, struct err *err)
{
	if (cli_given(args, "json"))
		return json_doc_print(measurement, err);
	if (cli_given(args, "rows"))
		print_rows(measurement);
	printf("%s\n", cli_measure_text(measurement, "digest"));
	return 0;
}

/* ---- comparing ---- */

static int load_saved(const char *path, const json_t *now, json_t **ret_saved, struct err *err)
{
	auto_free void *data = NULL;
	json_error_t why;
	size_t size;

	if (file_read_all(path, SAVED_MAX_BYTES, &data, &size, err) < 0)
		return -1;
	if (cli_measure_is_trace(data, size))
		return cli_measure_read_trace(data, size, path, now, ret_saved, err);
	*ret_saved = json_loadb(data, size, JSON_REJECT_DUPLICATES, &why);
	if (!*ret_saved)
		/* jansson's message quotes the file, whose bytes must not reach the terminal. */
		return err_set(err, ERR_USAGE, "%s:%d:%d: is not JSON", path, why.line, why.column);
	return 0;
}

static int print_differences(const struct cli_args *args, const json_t *then, const json_t *now,
        const json_t *differences, struct err *err)
{
	bool same = json_array_size(differences) == 0;
	auto_json json_t *json = NULL;

	if (cli_given(args, "json")) {
		json = json_pack("{s:b, s:O, s:O, s:O}", "same", same, "digest",
		        json_object_get(now, "digest"), "digest-then", json_object_get(then, "digest"),
		        "differences", differences);
		if (json_doc_print(json, err) < 0)
			return -1;
	} else if (same) {
		printf("the same: %s\n", cli_measure_text(now, "digest"));
	}
	for (size_t i = 0; !json && i < json_array_size(differences); i++)
		printf("%s%s\n", i ? "       then: " : "first differs: ",
		        json_string_value(json_array_get(differences, i)));
	return same ? 0 : ERR_FAILED;
}

static int compare(const struct cli_args *args, const json_t *measurement, struct err *err)
{
	const char *path = cli_value(args, "compare");
	auto_json json_t *saved = NULL, *differences = NULL;

	if (load_saved(path, measurement, &saved, err) < 0 ||
	        cli_measure_compare(saved, path, measurement, &differences, err) < 0)
		return -1;
	return print_differences(args, saved, measurement, differences, err);
}

/* ---- the verb ---- */

/* An ID block for another guest is an error. The digest that it should have has been printed before. */
static int check_id_block(const struct config *config, const json_t *measurement, struct err *err)
{
	struct launch_digest digest = {.size_bytes = SHA384_BYTES};
	struct abi_id_block block;
	struct abi_id_auth auth;

	if (!*config->sev.id_block)
		return 0;
	if (!hex_decode(cli_measure_text(measurement, "digest"), digest.bytes, digest.size_bytes))
		return err_set(err, ERR_FAILED,
		        "only SEV-SNP guests have ID blocks: leave sev.id-block out, or set sev.type to "
		        "sev-snp");
	if (owner_id_block_read(config->sev.id_block, &block, err) < 0 ||
	        owner_id_auth_read(config->sev.id_auth, &auth, err) < 0 ||
	        owner_id_verify(&block, &auth, err) < 0)
		return -1;
	return owner_id_match(&block, digest.bytes, digest.size_bytes, config->sev.policy, err);
}

static int measure_plan(const struct cli_args *args, const struct config *config,
        const struct launch_plan *plan, struct err *err)
{
	auto_json json_t *measurement = NULL;
	bool rows = cli_given(args, "rows") || cli_given(args, "compare");

	if (cli_measure_make(plan, rows, &measurement, err) < 0)
		return -1;
	if (cli_given(args, "compare"))
		return compare(args, measurement, err);
	if (print_measurement(args, measurement, err) < 0)
		return -1;
	return check_id_block(config, measurement, err);
}

static int warn(const struct config *config, const struct launch_files *files, struct err *err)
{
	auto_free struct launch_findings *warnings = calloc(1, sizeof(*warnings));

	if (!warnings)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for warnings");
	launch_judge(config, files, warnings);
	launch_warn(warnings);
	return 0;
}

static int measure_config(const struct cli_args *args, const struct config *config, struct err *err)
{
	struct launch_files files;
	struct launch_plan *plan;
	int status = -1;

	if (launch_files_read(config, &files, err) < 0)
		return -1;
	if (launch_plan_make(config, &files, &plan, err) == 0) {
		if (warn(config, &files, err) == 0)
			status = measure_plan(args, config, plan, err);
		launch_plan_destroy(plan);
	}
	launch_files_finish(&files);
	return status;
}

static int run(const struct cli_args *args, struct err *err)
{
	struct config *config;
	int status;

	if (cli_config_load_measured(args, cli_operand(args, 0), &config, err) < 0)
		return -1;
	status = measure_config(args, config, err);
	config_destroy(config);
	return status;
}

static const struct cli_option options[] = {
        CLI_OPTION_SET,
        CLI_OPTION_JSON,
        {"rows", NULL,
                "Print a row for each run of pages in the order of the launch, with the digest after it. "
                "With --json the rows also hold what --compare needs."},
        {"compare", "FILE",
                "Say what differs from a measurement that --json --rows printed earlier, or from what was "
                "launched in the trace FILE of vmm platform. The exit status is 1 if anything differs."},
        {0},
};

const struct cli_verb cli_verb_measure = {
        .name = "measure",
        .operands = "[CONFIG]",
        .operands_max = 1,
        .summary = "print the launch digest that a configuration must have",
        .help = "The digest is computed from the same plan that a launch issues, without SEV hardware. It "
                "depends on the firmware image, for SEV-ES and SEV-SNP also on machine.vcpus, machine.cpu, "
                "sev.vmsa-features and sev.init, with boot.hashes on kernel, initial RAM disk and command "
                "line, and with sev.helper on the helper of this vmm. With sev.id-block, the block's "
                "signature, digest and policy are checked, "
                "too.\n\nSEV and SEV-ES digests are the LD of LAUNCH_MEASURE; a SEV-SNP digest is "
                "MEASUREMENT of the attestation report.",
        .options = options,
        .run = run,
};
