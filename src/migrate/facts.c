/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts: what is told of a move, and the limits that may be changed meanwhile. Main thread.
 */
#include <string.h>
#include <time.h>

#include "migrate.h"

const char *migrate_status_name(enum migrate_status status)
{
	static const char *const names[MIGRATE_STATUSES] = {
	        [MIGRATE_STATUS_NONE] = "none",
	        [MIGRATE_STATUS_SETUP] = "setup",
	        [MIGRATE_STATUS_ACTIVE] = "active",
	        [MIGRATE_STATUS_DEVICE] = "device",
	        [MIGRATE_STATUS_POSTCOPY_ACTIVE] = "postcopy-active",
	        [MIGRATE_STATUS_POSTCOPY_PAUSED] = "postcopy-paused",
	        [MIGRATE_STATUS_POSTCOPY_RECOVER] = "postcopy-recover",
	        [MIGRATE_STATUS_CANCELLING] = "cancelling",
	        [MIGRATE_STATUS_CANCELLED] = "cancelled",
	        [MIGRATE_STATUS_COMPLETED] = "completed",
	        [MIGRATE_STATUS_FAILED] = "failed",
	        [MIGRATE_STATUS_DOUBT] = "in-doubt",
	};

	return names[status];
}

void migrate_set_limits(struct migrate *migrate, const struct migrate_limits_ask *ask)
{
	atomic_store_explicit(&migrate->limits.bytes_per_s, ask->bytes_per_s, memory_order_relaxed);
	atomic_store_explicit(&migrate->limits.stop_ms, ask->stop_ms, memory_order_relaxed);
	atomic_store_explicit(&migrate->limits.late_bytes_per_s, ask->late_bytes_per_s, memory_order_relaxed);
}

struct migrate_limits_ask migrate_limits_of(struct migrate *migrate)
{
	return (struct migrate_limits_ask){
	        .bytes_per_s = atomic_load_explicit(&migrate->limits.bytes_per_s, memory_order_relaxed),
	        .stop_ms = atomic_load_explicit(&migrate->limits.stop_ms, memory_order_relaxed),
	        .late_bytes_per_s =
	                atomic_load_explicit(&migrate->limits.late_bytes_per_s, memory_order_relaxed),
	};
}

static uint64_t load_count(const _Atomic uint64_t *number)
{
	return atomic_load_explicit(number, memory_order_relaxed);
}

struct migrate_facts migrate_facts_of(struct migrate *migrate)
{
	const struct migrate_progress *progress = &migrate->progress;
	uint64_t now = migrate->ended_ns ? migrate->ended_ns : clock_ns(CLOCK_MONOTONIC);
	uint64_t ran = migrate->went_ns ? migrate->went_ns : now;
	struct migrate_facts facts = {
	        .status = migrate->status,
	        .incoming = migrate->incoming,
	        .pass = load_count(&progress->pass),
	        .data_pages = load_count(&progress->data_pages),
	        .zero_pages = load_count(&progress->zero_pages),
	        .left_pages = load_count(&progress->left_pages),
	        .sent_bytes = load_count(&migrate->side.wire.sent_bytes),
	        .written_per_s = load_count(&progress->written_per_s),
	        .pages_per_s = load_count(&progress->pages_per_s),
	        .bytes_per_s = load_count(&progress->bytes_per_s),
	        .setup_ms = load_count(&progress->setup_ms),
	        .expected_ms = load_count(&progress->expected_ms),
	        .total_ms = migrate->started_ns ? (now - migrate->started_ns) / 1000000 : 0,
	        .stopped_ms = migrate->stopped_ns ? (ran - migrate->stopped_ns) / 1000000 : 0,
	        .wants = load_count(&progress->wants),
	};

	if (migrate->status == MIGRATE_STATUS_FAILED || migrate->status == MIGRATE_STATUS_DOUBT ||
	        migrate->status == MIGRATE_STATUS_POSTCOPY_PAUSED)
		memcpy(facts.text, migrate->err.text, sizeof(facts.text));
	return facts;
}
