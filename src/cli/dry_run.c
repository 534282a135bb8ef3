/*
 * dry_run: what `vmm run` would do, and why it would be refused, without doing it. Main thread.
 */
#include <errno.h>
#include <string.h>

#include "dry_run.h"
#include "measure.h"

static json_t *steps_json(const struct launch *launch)
{
	json_t *steps = json_array();
	const char *name, *call;

	for (unsigned i = 0; launch_step_words(launch, i, &name, &call); i++)
		json_array_append_new(steps, json_pack("{s:s, s:s}", "name", name, "call", call));
	return steps;
}

static json_t *refusals_json(const struct launch_findings *findings)
{
	json_t *refusals = json_array();

	for (unsigned i = 0; i < findings->count; i++)
		json_array_append_new(refusals, json_pack("{s:s, s:i}", "reason", findings->list[i].text,
		                                        "exit-status", (int)findings->list[i].kind));
	return refusals;
}

/* NULL for a plain guest, of which nothing is measured. */
static int measure(const struct launch *launch, json_t **ret_measurement, struct err *err)
{
	const struct launch_plan *plan = launch_plan_of(launch);

	return plan ? measure_make(plan, true, ret_measurement, err) : 0;
}

static void print_words(const json_t *dry)
{
	const json_t *measurement = json_object_get(dry, "measurement"), *entry;
	size_t i;

	printf("dry run of \"%s\", sev.type %s: nothing was launched\n", measure_text(dry, "name"),
	        measure_text(dry, "type"));
	json_array_foreach(json_object_get(dry, "steps"), i, entry)
	        printf("  %2zu %-16s %s\n", i + 1, measure_text(entry, "name"), measure_text(entry, "call"));
	if (json_is_object(measurement)) {
		printf("measured:\n");
		json_array_foreach(json_object_get(measurement, "rows"), i, entry)
		        printf("  %-18s %7lld pages  %-10s %s\n", measure_text(entry, "gpa"),
		                (long long)json_integer_value(json_object_get(entry, "pages")),
		                measure_text(entry, "type"), measure_text(entry, "name"));
		printf("digest: %s\n", measure_text(measurement, "digest"));
	}
	json_array_foreach(json_object_get(dry, "refusals"), i, entry)
	        printf("would be refused: %s\n", measure_text(entry, "reason"));
	if (!json_array_size(json_object_get(dry, "refusals")))
		printf("nothing that can be foreseen would refuse it\n");
}

static json_t *dry_json(const struct config *config, const struct launch *launch, bool simulated,
        json_t *measurement, const struct launch_findings *findings)
{
	return json_pack("{s:b, s:s, s:s, s:o, s:o, s:o}", "simulated", simulated, "name", config->name,
	        "type", measure_sev_types[config->sev.type], "steps", steps_json(launch), "measurement",
	        measurement ?: json_null(), "refusals", refusals_json(findings));
}

/* What the launch stands on: it judges its own part only. */
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
	auto_json json_t *dry = NULL;
	json_t *measurement = NULL;

	if (!findings)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for the dry run");
	launch_findings(launch, findings);
	add_machine(config, launch, findings);
	if (measure(launch, &measurement, err) < 0)
		return -1;
	dry = dry_json(config, launch, simulated, measurement, findings);
	if (!dry)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for the dry run");
	if (!as_json)
		print_words(dry);
	else if (json_dumpf(dry, stdout, JSON_INDENT(1)) < 0)
		return err_sys(err, ERR_FAILED, errno, "standard output cannot be written");
	else
		putchar('\n');
	return findings->count ? (int)findings->list[0].kind : 0;
}
