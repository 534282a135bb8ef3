/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migrate: a guest's move to another vmm, in QEMU's words. Main thread.
 */
#include <string.h>

#include "control.h"
#include "vmm/migrate.h"

#define DOWNTIME_MAX_MS 2000000
#define HANDOVER        "cpr-transfer" /* QEMU's MigMode */

static struct migrate *migrate_of(const struct control_call *call)
{
	return call->control->place.migrate;
}

/* ---- events ---- */

static void on_status(void *ctx, enum migrate_status status)
{
	struct control *control = ctx;

	if (control->migration.events)
		control_event_send(
		        control, "MIGRATION", json_pack("{s:s}", "status", migrate_status_name(status)));
}

static void on_pass(void *ctx, uint64_t pass)
{
	struct control *control = ctx;

	if (control->migration.events)
		control_event_send(control, "MIGRATION_PASS", json_pack("{s:I}", "pass", (json_int_t)pass));
}

void control_migration_init(struct control *control)
{
	control->migration.limits = migrate_limits_of(control->place.migrate);
	control->migration.observer =
	        (struct migrate_observer){.on_status = on_status, .on_pass = on_pass, .ctx = control};
	migrate_observe(control->place.migrate, &control->migration.observer);
}

/* ---- commands ---- */

json_t *control_migrate(struct control_call *call, struct err *err)
{
	const char *uri = json_string_value(json_object_get(call->arguments, "uri"));
	bool again = json_is_true(json_object_get(call->arguments, "resume"));
	int fd = -1;

	if (strncmp(uri, "fd:", 3) == 0) {
		fd = control_fds_take(call->client, uri + 3);
		if (fd < 0) {
			err_set(err, ERR_USAGE, "File descriptor named '%s' has not been found",
			        TEXT_VALUE(uri + 3));
			return NULL;
		}
	}
	return migrate_send(migrate_of(call), fd < 0 ? uri : NULL, fd, again, err) < 0 ? NULL : json_object();
}

json_t *control_migrate_start_postcopy(struct control_call *call, struct err *err)
{
	return migrate_start_late(migrate_of(call), err) < 0 ? NULL : json_object();
}

json_t *control_migrate_cancel(struct control_call *call, struct err *err)
{
	return migrate_cancel(migrate_of(call), err) < 0 ? NULL : json_object();
}

static json_t *stats_of(const struct control_call *call, const struct migrate_facts *facts)
{
	const json_int_t page = PAGE_SIZE_BYTES;
	uint64_t ram = run_memory_facts(call->control->place.run).ram_bytes;

	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:I,s:I,s:I,s:I}", "transferred",
	        (json_int_t)facts->sent_bytes, "remaining", (json_int_t)facts->left_pages * page, "total",
	        (json_int_t)ram, "duplicate", (json_int_t)facts->zero_pages, "normal",
	        (json_int_t)facts->data_pages, "normal-bytes", (json_int_t)facts->data_pages * page,
	        "dirty-pages-rate", (json_int_t)facts->written_per_s, "mbps",
	        (double)facts->bytes_per_s * 8 / 1e6, "dirty-sync-count", (json_int_t)facts->pass,
	        "page-size", page, "pages-per-second", (json_int_t)facts->pages_per_s, "postcopy-requests",
	        (json_int_t)facts->wants);
}

static void put_ms(json_t **info, const char *key, uint64_t ms)
{
	json_doc_set(info, key, json_integer((json_int_t)ms));
}

/* Of a target, and of a move that was cancelled, QEMU tells the status alone. */
json_t *control_query_migrate(struct control_call *call, struct err *err)
{
	const struct migrate_facts facts = migrate_facts_of(migrate_of(call));
	const char *refusal = migrate_refusal(migrate_of(call));
	json_t *info = json_object();

	if (refusal)
		json_doc_set(&info, "blocked-reasons", json_pack("[s]", refusal));
	if (facts.status == MIGRATE_STATUS_NONE)
		return info;
	json_doc_set(&info, "status", json_string(migrate_status_name(facts.status)));
	if (*facts.text)
		json_doc_set(&info, "error-desc", json_doc_text(facts.text));
	if (facts.incoming || facts.status == MIGRATE_STATUS_CANCELLED)
		return info;
	json_doc_set(&info, "ram", stats_of(call, &facts));
	put_ms(&info, "total-time", facts.total_ms);
	put_ms(&info, "setup-time", facts.setup_ms);
	if (facts.status == MIGRATE_STATUS_ACTIVE)
		put_ms(&info, "expected-downtime", facts.expected_ms);
	if (facts.status == MIGRATE_STATUS_COMPLETED ||
	        (facts.status >= MIGRATE_STATUS_POSTCOPY_ACTIVE &&
	                facts.status <= MIGRATE_STATUS_POSTCOPY_RECOVER))
		put_ms(&info, "downtime", facts.stopped_ms);
	return info;
}

json_t *control_migrate_parameters(struct control_call *call, struct err *err)
{
	struct migrate_limits_ask limits = call->control->migration.limits;
	const json_t *bandwidth = json_object_get(call->arguments, "max-bandwidth");
	const json_t *downtime = json_object_get(call->arguments, "downtime-limit");
	const json_t *late = json_object_get(call->arguments, "max-postcopy-bandwidth");
	const char *mode = json_string_value(json_object_get(call->arguments, "mode"));

	if (bandwidth)
		limits.bytes_per_s = (uint64_t)json_integer_value(bandwidth);
	if (downtime)
		limits.stop_ms = (uint64_t)json_integer_value(downtime);
	if (late)
		limits.late_bytes_per_s = (uint64_t)json_integer_value(late);
	if (limits.stop_ms > DOWNTIME_MAX_MS) {
		err_set(err, ERR_USAGE,
		        "Parameter 'downtime_limit' expects an integer in the range of 0 to 2000000 seconds");
		return NULL;
	}
	call->control->migration.limits = limits;
	migrate_set_limits(migrate_of(call), &limits);
	if (mode)
		migrate_set_handover(migrate_of(call), strcmp(mode, HANDOVER) == 0);
	return json_object();
}

json_t *control_query_migrate_parameters(struct control_call *call, struct err *err)
{
	const struct migrate_limits_ask *limits = &call->control->migration.limits;

	return json_pack("{s:I,s:I,s:s,s:I}", "max-bandwidth", (json_int_t)limits->bytes_per_s,
	        "downtime-limit", (json_int_t)limits->stop_ms, "mode",
	        migrate_is_handover(migrate_of(call)) ? HANDOVER : "normal", "max-postcopy-bandwidth",
	        (json_int_t)limits->late_bytes_per_s);
}

json_t *control_migrate_capabilities(struct control_call *call, struct err *err)
{
	const json_t *list = json_object_get(call->arguments, "capabilities"), *row;
	bool events = call->control->migration.events, late = migrate_may_be_late(migrate_of(call));
	size_t i;

	json_array_foreach(list, i, row)
	{
		const char *name = json_string_value(json_object_get(row, "capability"));
		bool state = json_is_true(json_object_get(row, "state"));

		if (strcmp(name, "events") == 0) {
			events = state;
		} else if (strcmp(name, "postcopy-ram") == 0) {
			late = state;
		} else if (!state) {
			err_set(err, ERR_USAGE,
			        "the capability '%s' is always on: a source does not trust silence", name);
			return NULL;
		}
	}
	call->control->migration.events = events;
	migrate_set_late(migrate_of(call), late);
	return json_object();
}

json_t *control_query_migrate_capabilities(struct control_call *call, struct err *err)
{
	return json_pack("[{s:s,s:b},{s:s,s:b},{s:s,s:b}]", "capability", "events", "state",
	        call->control->migration.events, "capability", "return-path", "state", 1, "capability",
	        "postcopy-ram", "state", migrate_may_be_late(migrate_of(call)));
}

json_t *control_own_resolve(struct control_call *call, struct err *err)
{
	bool runs = json_is_true(json_object_get(call->arguments, "runs"));

	return migrate_resolve(migrate_of(call), runs, err) < 0 ? NULL : json_object();
}
