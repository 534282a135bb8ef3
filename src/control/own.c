/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own: vmm's own commands: what QEMU's do not ask about confidential guests, and what only the software
 * platform can do. Answers are made as docs/json.md says. Main thread.
 */
#include <string.h>

#include "control.h"
#include "vmm/facts.h"

static struct launch *launch_of(const struct control_call *call)
{
	return run_launch(call->control->place.run);
}

static json_t *known(bool is_known, uint64_t value)
{
	return is_known ? json_integer((json_int_t)value) : json_null();
}

/* ---- memory and launch ---- */

static json_t *doubt_of(const struct page_record *record)
{
	uint64_t bytes = (record->doubt.end - record->doubt.first) * PAGE_SIZE_BYTES;

	if (record->complete)
		return json_null();
	return json_pack("{s:o,s:I}", "gpa", json_doc_mask(record->doubt.first * PAGE_SIZE_BYTES),
	        "size-bytes", (json_int_t)bytes);
}

json_t *control_record_facts(const struct page_record *record)
{
	const struct page_flip_totals *flips = &record->flips;

	return json_pack("{s:I,s:I,s:I,s:b,s:o,s:I,s:I,s:I,s:I}", "ranges", (json_int_t)record->ranges,
	        "ranges-max", (json_int_t)record->ranges_max, "refused", (json_int_t)record->refused,
	        "complete", record->complete, "doubt", doubt_of(record), "conversions",
	        (json_int_t)flips->conversions, "conversions-per-second",
	        (json_int_t)(flips->per_second + 0.5), "flips", (json_int_t)flips->flips, "storms",
	        (json_int_t)flips->storms);
}

static json_t *held_twice(const struct control_call *call)
{
	const struct machine_vm *vm = run_vm(call->control->place.run);
	struct page_twice twice = {0};

	if (vm)
		page_memory_twice(machine_vm_memory(vm), &twice);
	return known(twice.known, twice.pages * PAGE_SIZE_BYTES);
}

json_t *control_own_pages(struct control_call *call, struct err *err)
{
	struct run_memory_facts facts = run_memory_facts(call->control->place.run);
	bool asked = call->control->place.config->sev.page_status;

	return json_pack("{s:I,s:o,s:o,s:o,s:o,s:o}", "ram-bytes", (json_int_t)facts.ram_bytes,
	        "private-bytes", known(facts.known, facts.private_bytes), "shared-bytes",
	        known(facts.known, facts.shared_bytes), "held-twice-bytes", held_twice(call),
	        "migration-allowed", asked && facts.known ? json_boolean(facts.may_migrate) : json_null(),
	        "record", facts.known ? control_record_facts(&facts.record) : json_null());
}

const char *control_row_state_name(enum launch_row_state state)
{
	static const char *const names[] = {
	        [LAUNCH_ROW_WAITS] = "waits",
	        [LAUNCH_ROW_RUNS] = "runs",
	        [LAUNCH_ROW_DONE] = "done",
	        [LAUNCH_ROW_FAILED] = "failed",
	};

	return names[state];
}

json_t *control_own_launch(struct control_call *call, struct err *err)
{
	struct run_status status = run_status_of(call->control->place.run);
	const struct launch *launch = launch_of(call);
	struct launch_row_facts row;
	json_t *rows = json_array();

	for (unsigned i = 0; launch_row_facts(launch, i, &row); i++)
		json_doc_append(&rows,
		        json_pack("{s:s,s:s,s:s,s:I,s:I,s:I}", "name", row.name, "call", row.call, "state",
		                control_row_state_name(row.state), "done", (json_int_t)row.done, "total",
		                (json_int_t)row.total, "ns", (json_int_t)row.ns));
	return json_pack("{s:s,s:s,s:I,s:I,s:o}", "phase", status.phase, "state",
	        launch_state_word(launch_state_of(launch)), "secrets", (json_int_t)launch_secrets_of(launch),
	        "resets", (json_int_t)status.resets, "rows", rows);
}

static json_t *items_of(const struct launch_plan *plan)
{
	json_t *items = json_array();

	for (unsigned i = 0; plan && i < plan->count; i++) {
		const struct launch_item *item = &plan->items[i];
		bool is_vcpu = item->type == ABI_PAGE_VMSA && !item->mirror;

		json_doc_append(&items,
		        json_pack("{s:s,s:o,s:I,s:o}", "name", item->name, "gpa",
		                json_doc_mask(item->gpa.raw), "size-bytes", (json_int_t)item->size_bytes,
		                "vcpu", is_vcpu ? json_integer(item->vcpu) : json_null()));
	}
	return items;
}

/* The firmware tells what it has measured, and signs it together with a nonce, which nobody here checks. */
static json_t *actual_digest(struct control_call *call)
{
	static const uint8_t nonce[16];
	struct abi_sev_report report;
	struct err err;

	if (launch_report(launch_of(call), nonce, &report, &err) < 0)
		return json_null();
	return json_doc_bytes(report.digest, sizeof(report.digest));
}

json_t *control_own_digest(struct control_call *call, struct err *err)
{
	const struct launch_plan *plan = launch_plan_of(launch_of(call));
	const struct launch_digest *digest = launch_digest_of(launch_of(call));

	return json_pack("{s:o,s:o,s:o}", "expected",
	        plan ? json_doc_bytes(digest->bytes, digest->size_bytes) : json_null(), "actual",
	        actual_digest(call), "rows", items_of(plan));
}

/* ---- vCPUs ---- */

static json_t *exits_of(const uint64_t exits[static RUN_EXITS])
{
	json_t *all = json_object();

	for (unsigned kind = 0; kind < RUN_EXITS; kind++)
		json_doc_set(&all, run_exit_name(kind), json_integer((json_int_t)exits[kind]));
	return all;
}

static json_t *conversions_of(const uint64_t counts[static RUN_CONVERSIONS])
{
	json_t *all = json_object();

	for (unsigned kind = 0; kind < RUN_CONVERSIONS; kind++)
		json_doc_set(&all, run_conversion_name(kind), json_integer((json_int_t)counts[kind]));
	return all;
}

static json_t *vcpu_of(unsigned index, const struct run_vcpu_facts *facts)
{
	return json_pack("{s:i,s:I,s:b,s:I,s:o,s:o,s:o}", "index", (int)index, "thread-id",
	        (json_int_t)facts->thread, "waits", facts->waits, "processor-ns",
	        (json_int_t)facts->processor_ns, "exits", exits_of(facts->counts.exits), "conversions",
	        conversions_of(facts->counts.conversions), "converted-pages",
	        conversions_of(facts->counts.converted_pages));
}

static void add(uint64_t *sum, const uint64_t *counts, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		sum[i] += counts[i];
}

json_t *control_own_exits(struct control_call *call, struct err *err)
{
	struct run *run = call->control->place.run;
	struct run_vcpu_counts sum = {0};
	json_t *vcpus = json_array();

	for (unsigned i = 0; i < run_vcpus(run); i++) {
		struct run_vcpu_facts facts = run_vcpu_facts(run, i);

		add(sum.exits, facts.counts.exits, RUN_EXITS);
		add(sum.conversions, facts.counts.conversions, RUN_CONVERSIONS);
		add(sum.converted_pages, facts.counts.converted_pages, RUN_CONVERSIONS);
		json_doc_append(&vcpus, vcpu_of(i, &facts));
	}
	return json_pack("{s:o,s:o,s:o,s:o}", "vcpus", vcpus, "exits", exits_of(sum.exits), "conversions",
	        conversions_of(sum.conversions), "converted-pages", conversions_of(sum.converted_pages));
}

/* ---- the host ---- */

json_t *control_own_asids(struct control_call *call, struct err *err)
{
	static const enum config_sev_type types[] = {CONFIG_SEV, CONFIG_SEV_ES, CONFIG_SEV_SNP};
	static const char *const names[] = {"sev", "sev-es", "sev-snp"};
	struct facts facts;
	json_t *list = json_array();

	launch_ask_facts(launch_of(call), &facts);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		const struct facts_asids *asids = &facts.asids[facts_asid_kind(types[i])];

		json_doc_append(&list,
		        json_pack("{s:s,s:I,s:o,s:o}", "kind", names[i], "limit", (json_int_t)asids->limit,
		                "used", known(asids->used_known, asids->used), "free",
		                known(asids->free_known, asids->free)));
	}
	return list;
}

json_t *control_own_host(struct control_call *call, struct err *err)
{
	const struct control_place *place = &call->control->place;

	return place->host_report(place->host_ctx, err);
}

json_t *control_own_log_level(struct control_call *call, struct err *err)
{
	static const char *const words[] = {"error", "warn", "info", "debug"};
	const char *level = json_string_value(json_object_get(call->arguments, "level"));

	for (unsigned i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(words[i], level) == 0)
			log_set_level((enum log_level)i);
	}
	return json_object();
}

/* ---- the software platform ---- */

json_t *control_own_clock(struct control_call *call, struct err *err)
{
	const struct control_platform *platform = call->control->place.platform;

	return json_pack("{s:b,s:I}", "own-time", platform->own_time, "ns",
	        (json_int_t)platform->now_ns(platform->ctx));
}

/* Reads an optional number, which must be in this range. */
static int number_of(const struct control_call *call, const char *name, uint64_t absent, uint64_t max,
        uint64_t *ret_number, struct err *err)
{
	const json_t *value = json_object_get(call->arguments, name);
	json_int_t number = json_integer_value(value);

	if (value && (number < 0 || (uint64_t)number > max))
		return err_set(err, ERR_USAGE, "Parameter '%s' must be from 0 to %llu", name,
		        (unsigned long long)max);
	*ret_number = value ? (uint64_t)number : absent;
	return 0;
}

#define ERRNO_MAX    4095           /* MAX_ERRNO of Linux */
#define DELAY_MAX_NS 10000000000ull /* the vCPU or the loop that makes the call waits so long */

json_t *control_own_fault(struct control_call *call, struct err *err)
{
	const struct control_platform *platform = call->control->place.platform;
	const char *name = json_string_value(json_object_get(call->arguments, "call"));
	uint64_t nth, sys, delay_ns;

	if (number_of(call, "nth", 1, INT64_MAX, &nth, err) < 0 ||
	        number_of(call, "errno", 0, ERRNO_MAX, &sys, err) < 0 ||
	        number_of(call, "delay-ns", 0, DELAY_MAX_NS, &delay_ns, err) < 0 ||
	        platform->fail_call(platform->ctx, name, nth, (int)sys, delay_ns, err) < 0)
		return NULL;
	return json_object();
}

json_t *control_own_firmware_fault(struct control_call *call, struct err *err)
{
	const struct control_platform *platform = call->control->place.platform;
	const char *name = json_string_value(json_object_get(call->arguments, "command"));
	uint64_t nth, code;

	if (number_of(call, "nth", 1, UINT32_MAX, &nth, err) < 0 ||
	        number_of(call, "status", 0, UINT32_MAX, &code, err) < 0 ||
	        platform->fail_firmware(platform->ctx, name, (unsigned)nth, (uint32_t)code, err) < 0)
		return NULL;
	return json_object();
}
