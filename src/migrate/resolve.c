/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve: what the user says of a move that is under way or in doubt. Main thread.
 */
#include "migrate.h"
#include "vmm/launch.h"

/* ---- while it moves ---- */

int migrate_cancel(struct migrate *migrate, struct err *err)
{
	if (migrate->incoming || !migrate->threaded)
		return 0;
	if (migrate->given)
		return err_set(err, ERR_USAGE, "the guest was given to the other vmm already");
	migrate_set_status(migrate, MIGRATE_STATUS_CANCELLING);
	migrate_worker_cancel(migrate);
	return 0;
}

/* ---- a doubt ---- */

static int resolve_source(struct migrate *migrate, bool runs, struct err *err)
{
	int result = 0;

	if (runs && migrate_lease_own(migrate, err) < 0)
		return -1;
	migrate->given = !runs;
	if (launch_send_end(run_launch(migrate->run), !runs, err) < 0)
		log_warn("%s", err->text);
	if (runs) {
		result = machine_vm_log_writes(run_vm(migrate->run), false, err);
		if (run_stay(migrate->run, err) < 0)
			result = -1;
	}
	migrate_set_status(migrate, runs ? MIGRATE_STATUS_FAILED : MIGRATE_STATUS_COMPLETED);
	return result;
}

static int resolve_target(struct migrate *migrate, bool runs, struct err *err)
{
	struct err dropped;

	if (runs && migrate->side.late)
		return err_set(err, ERR_USAGE,
		        "memory of the guest is with the source alone: let the source ask (migrate with "
		        "resume)");
	if (runs && (run_arrive(migrate->run, err) < 0 || migrate_lease_own(migrate, err) < 0)) {
		migrate_lease_release(migrate);
		return -1;
	}
	/* One that runs the guest goes on answering a source that asks. */
	if (!runs)
		loop_op_stop(take_ptr(&migrate->listening));
	migrate_set_status(migrate, runs ? MIGRATE_STATUS_COMPLETED : MIGRATE_STATUS_FAILED);
	if (runs) {
		migrate->owned = true;
		run_own(migrate->run, migrate->side.paused);
		return 0;
	}
	err_set(&dropped, ERR_FAILED, "the operator says that the guest is not to run here");
	run_miss(migrate->run, &dropped);
	return 0;
}

int migrate_resolve(struct migrate *migrate, bool runs, struct err *err)
{
	if (migrate->status != MIGRATE_STATUS_DOUBT || migrate->threaded)
		return err_set(err, ERR_USAGE, "no move of this guest is in doubt");
	if (runs && migrate_lease_try(migrate, err) < 0)
		return -1;
	if (migrate_record_write(migrate->record_fd, runs ? "resolved: runs here" : "resolved: is not here",
	            migrate->side.id, err) < 0)
		return -1;
	return migrate->incoming ? resolve_target(migrate, runs, err) : resolve_source(migrate, runs, err);
}
