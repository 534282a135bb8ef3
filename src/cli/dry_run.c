/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dry_run: says what `vmm run` would do and why it would be refused, and launches nothing. Main thread.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "dry_run.h"
#include "measure.h"

static json_t *steps_json(const struct launch *launch)
{
	json_t *steps = json_array();
	const char *name, *call;

	for (unsigned i = 0; launch_step_words(launch, i, &name, &call); i++)
		json_doc_append(&steps, json_pack("{s:s, s:s}", "name", name, "call", call));
	return steps;
}

static json_t *refusals_json(const struct launch_findings *findings)
{
	json_t *refusals = json_array();

	for (unsigned i = 0; i < findings->count; i++)
		json_doc_append(
		        &refusals, json_pack("{s:o, s:i}", "reason", json_doc_text(findings->list[i].text),
		                           "exit-status", (int)findings->list[i].kind));
	return refusals;
}

json_t *cli_warnings_json(const struct launch_findings *warnings)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < warnings->count; i++)
		json_doc_append(&list, json_doc_text(warnings->list[i].text));
	return list;
}

/* Leaves *ret_measurement as it is for a plain guest, of which nothing is measured. */
static int measure(const struct launch *launch, json_t **ret_measurement, struct err *err)
{
	const struct launch_plan *plan = launch_plan_of(launch);

	return plan ? cli_measure_make(plan, true, ret_measurement, err) : 0;
}

static void print_words(const json_t *dry)
{
	const json_t *measurement = json_object_get(dry, "measurement"), *entry;
	size_t i;

	printf("dry run of \"%s\", sev.type %s: nothing was launched\n", cli_measure_text(dry, "name"),
	        cli_measure_text(dry, "type"));
	json_array_foreach(json_object_get(dry, "steps"), i, entry) printf(
	        "  %2zu %-16s %s\n", i + 1, cli_measure_text(entry, "name"), cli_measure_text(entry, "call"));
	if (json_is_object(measurement)) {
		printf("measured:\n");
		json_array_foreach(json_object_get(measurement, "rows"), i, entry)
		        printf("  %-18s %7lld pages  %-10s %s\n", cli_measure_text(entry, "gpa"),
		                (long long)json_integer_value(json_object_get(entry, "pages")),
		                cli_measure_text(entry, "type"), cli_measure_text(entry, "name"));
		printf("digest: %s\n", cli_measure_text(measurement, "digest"));
	}
	json_array_foreach(json_object_get(dry, "refusals"), i, entry)
	        printf("would be refused: %s\n", cli_measure_text(entry, "reason"));
	if (!json_array_size(json_object_get(dry, "refusals")))
		printf("nothing that can be foreseen refuses this launch\n");
}

/* The result of a dry run. */
struct outcome {
	bool simulated;
	json_t *steps, *measurement; /* measurement is NULL if nothing is measured */
	const struct launch_findings *refusals, *warnings;
};

static int show(const struct config *config, const struct outcome *outcome, bool as_json, struct err *err)
{
	auto_json json_t *dry =
	        json_pack("{s:b, s:o, s:s, s:o, s:o, s:o, s:o}", "simulated", outcome->simulated, "name",
	                json_doc_text(config->name), "type", cli_measure_sev_types[config->sev.type], "steps",
	                outcome->steps, "measurement", outcome->measurement ?: json_null(), "refusals",
	                refusals_json(outcome->refusals), "warnings", cli_warnings_json(outcome->warnings));

	if (!dry)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for the dry run");
	launch_warn(outcome->warnings);
	if (!as_json)
		print_words(dry);
	else if (json_doc_print(dry, err) < 0)
		return -1;
	return outcome->refusals->count ? (int)outcome->refusals->list[0].kind : 0;
}

/* Adds what the machine refuses. The launch judges only its own part. */
static void add_machine(
        const struct config *config, const struct launch *launch, struct launch_findings *findings)
{
	const struct machine_files files = launch_machine_files(launch);

	if (findings->count < LAUNCH_FINDINGS_MAX &&
	        machine_check(config, &files, &findings->list[findings->count]) < 0)
		findings->count++;
}

int cli_dry_run(const struct config *config, const struct launch *launch, bool simulated, bool as_json,
        struct err *err)
{
	auto_free struct launch_findings *findings = calloc(1, sizeof(*findings));
	json_t *measurement = NULL;
	struct outcome outcome;

	if (!findings)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for the dry run");
	launch_findings(launch, findings);
	add_machine(config, launch, findings);
	if (measure(launch, &measurement, err) < 0)
		return -1;
	outcome = (struct outcome){
	        simulated, steps_json(launch), measurement, findings, launch_warnings(launch)};
	return show(config, &outcome, as_json, err);
}

/* Can all files be read a second time? The launch that failed has emptied a pipe. */
static bool can_be_read_again(const struct config *config)
{
	for (size_t i = 0; i < config_keys_count; i++) {
		const struct config_key *key = &config_keys[i];
		const char *path;
		struct stat st;

		if (key->type != CONFIG_PATH)
			continue;
		path = *(char *const *)((const char *)config + key->offset);
		if (*path && (stat(path, &st) < 0 || !S_ISREG(st.st_mode)))
			return false;
	}
	return true;
}

int cli_dry_run_mistaken(
        const struct config *config, const struct err *why, bool simulated, bool as_json, struct err *err)
{
	auto_free struct launch_findings *found = calloc(2, sizeof(*found));

	if (!found)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for the dry run");
	if (can_be_read_again(config))
		launch_check(config, &found[0], &found[1]);
	if (!found[0].count)
		found[0].list[found[0].count++] = *why;
	return show(
	        config, &(struct outcome){simulated, json_array(), NULL, &found[0], &found[1]}, as_json, err);
}
