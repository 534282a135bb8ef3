/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask: the thread of a move asks the main thread to stop the guest, to give it away, or to run it, and waits
 * for the answer. The main thread never waits for the thread without refusing what it asks for first.
 */
#include <errno.h>

#include "migrate.h"
#include "vmm/device/dimms.h"
#include "vmm/launch.h"

static void answer(struct migrate *migrate, int result, const struct err *err)
{
	pthread_mutex_lock(&migrate->lock);
	migrate->wish = MIGRATE_NOTHING;
	migrate->answer = result;
	if (result < 0)
		migrate->answer_err = *err;
	pthread_cond_broadcast(&migrate->answered);
	pthread_mutex_unlock(&migrate->lock);
}

static enum migrate_wish wish_of(struct migrate *migrate)
{
	enum migrate_wish wish;

	pthread_mutex_lock(&migrate->lock);
	wish = migrate->wish;
	pthread_mutex_unlock(&migrate->lock);
	return wish;
}

/* Pieces that an earlier connection has brought stay. A guest that is other than they say is refused later.
 */
static void add(struct migrate *migrate)
{
	struct device_dimm dimms[PAGE_PLUGS_MAX];
	unsigned count = device_dimms_list(device_dimms_of(machine_board(run_machine(migrate->run))), dimms);
	struct err err;

	for (; count < migrate->added_count; count++) {
		if (launch_plug(run_launch(migrate->run), migrate->added[count], &err) < 0) {
			answer(migrate, -1, &err);
			return;
		}
	}
	if (migrate_worker_prepare(migrate, &err) < 0)
		answer(migrate, -1, &err);
	else
		answer(migrate, 0, NULL);
}

static const struct device_board *board_of(const struct migrate *migrate)
{
	return machine_board(run_machine(migrate->run));
}

static void save(struct migrate *migrate)
{
	struct migrate_device *device = &migrate->device;
	struct err err;
	int result = device_board_save(board_of(migrate), device->i, &device->state, &err);

	if (result < 0)
		vmstate_finish(&device->state);
	answer(migrate, result, &err);
}

static void load(struct migrate *migrate)
{
	const struct migrate_device *device = &migrate->device;
	struct err err;

	answer(migrate, device_board_load(board_of(migrate), device->i, device->data, device->size, &err),
	        &err);
}

/* A guest that is on its way to another state gets there first. */
static void stop(struct migrate *migrate)
{
	struct err err;

	if (!run_is_settled(migrate->run))
		return;
	migrate->stopped_ns = clock_ns(CLOCK_MONOTONIC);
	if (run_leave(migrate->run, &err) < 0)
		answer(migrate, -1, &err);
	else if (run_has_left(migrate->run))
		answer(migrate, 0, NULL);
	/* Otherwise it has when it has settled. */
}

static void give_released(struct migrate *migrate, int released, struct err *err)
{
	if (released > 0 && atomic_load(&migrate->cancelled))
		released = err_sys(err, ERR_FAILED, ECANCELED, "the move");
	if (released < 0 || migrate_record_write(migrate->record_fd, "gave", migrate->side.id, err) < 0) {
		answer(migrate, -1, err);
		return;
	}
	migrate->given = true;
	if (migrate->file)
		migrate_file_note_disks(migrate->file, run_config(migrate->run));
	run_give(migrate->run);
	migrate_lease_release(migrate);
	answer(migrate, 0, NULL);
}

/* The disks are released, or cannot be, or not yet. */
void migrate_ask_on_released(struct migrate *migrate)
{
	enum migrate_wish wish = wish_of(migrate);
	struct err err;
	int released;

	if (wish != MIGRATE_GIVE && wish != MIGRATE_TAKE)
		return;
	released = run_has_released(migrate->run, &err);
	if (released && wish == MIGRATE_GIVE)
		give_released(migrate, released, &err);
	if (!released || wish == MIGRATE_GIVE)
		return;
	migrate_lease_release(migrate);
	answer(migrate, -1, &migrate->take_err);
}

static void give(struct migrate *migrate)
{
	run_release(migrate->run);
	migrate_ask_on_released(migrate);
}

/* Says of the guest that it is here, where others may look. */
static int claim(struct migrate *migrate, struct err *err)
{
	struct err undone;

	if (migrate_file_claim(migrate->file, true, err) == 0 &&
	        migrate_record_write(migrate->record_fd, "took", migrate->side.id, err) == 0)
		return 0;
	if (migrate_file_claim(migrate->file, false, &undone) < 0)
		log_error("%s: the guest was not loaded, but the file says so (--load-again)", undone.text);
	return -1;
}

static int own(struct migrate *migrate, struct err *err)
{
	struct err ignored;

	if (migrate_lease_own(migrate, err) == 0)
		return 0;
	if (migrate_record_write(migrate->record_fd, "kept", migrate->side.id, &ignored) < 0)
		log_warn("%s", ignored.text);
	return -1;
}

/* The other vmm gets the guest back, and with it the disks that were there. */
static void take(struct migrate *migrate)
{
	migrate_file_compare_disks(migrate->file, run_config(migrate->run));
	if (migrate_lease_try(migrate, &migrate->take_err) < 0 ||
	        run_arrive(migrate->run, &migrate->take_err) < 0 || claim(migrate, &migrate->take_err) < 0 ||
	        own(migrate, &migrate->take_err) < 0) {
		run_release(migrate->run);
		migrate_ask_on_released(migrate);
		return;
	}
	migrate->owned = true;
	/* run_own() may touch a page that is missing; only the thread that gets this answer can bring it. */
	answer(migrate, 0, NULL);
	run_own(migrate->run, migrate->side.paused);
}

static void serve_lease(struct migrate *migrate, enum migrate_wish wish)
{
	struct err err;

	answer(migrate, migrate_lease_serve(migrate, wish, &err), &err);
}

static void on_wish(void *ctx)
{
	struct migrate *migrate = ctx;
	enum migrate_wish wish = wish_of(migrate);

	switch (wish) {
	case MIGRATE_NOTHING: break;
	case MIGRATE_ADD: add(migrate); break;
	case MIGRATE_STOP: stop(migrate); break;
	case MIGRATE_SAVE: save(migrate); break;
	case MIGRATE_LOAD: load(migrate); break;
	case MIGRATE_GIVE: give(migrate); break;
	case MIGRATE_TAKE: take(migrate); break;
	case MIGRATE_OFFER:
	case MIGRATE_ACCEPT:
	case MIGRATE_LEASE: serve_lease(migrate, wish); break;
	}
}

void migrate_ask_on_settled(struct migrate *migrate)
{
	struct err err;

	if (wish_of(migrate) != MIGRATE_STOP)
		return;
	if (!migrate->stopped_ns) {
		stop(migrate);
		return;
	}
	if (run_has_left(migrate->run)) {
		answer(migrate, 0, NULL);
	} else {
		err_set(&err, ERR_FAILED, "the guest was reset or ended meanwhile");
		answer(migrate, -1, &err);
	}
}

/* An answer that was given counts, also if there will be no other. */
int migrate_ask(struct migrate *migrate, enum migrate_wish wish, struct err *err)
{
	int result;

	pthread_mutex_lock(&migrate->lock);
	migrate->refused = migrate->over;
	if (!migrate->refused) {
		migrate->wish = wish;
		loop_post(migrate->loop, &migrate->wish_task);
	}
	while (migrate->wish != MIGRATE_NOTHING)
		pthread_cond_wait(&migrate->answered, &migrate->lock);
	if (migrate->refused)
		result = err_sys(err, ERR_FAILED, ECANCELED, "the move");
	else
		result = migrate->answer;
	if (!migrate->refused && result < 0)
		*err = migrate->answer_err;
	pthread_mutex_unlock(&migrate->lock);
	return result;
}

void migrate_ask_refuse(struct migrate *migrate, bool refuse)
{
	pthread_mutex_lock(&migrate->lock);
	migrate->over = refuse;
	if (refuse && migrate->wish != MIGRATE_NOTHING) {
		migrate->refused = true;
		migrate->wish = MIGRATE_NOTHING;
	}
	pthread_cond_broadcast(&migrate->answered);
	pthread_mutex_unlock(&migrate->lock);
	if (refuse)
		loop_cancel(migrate->loop, &migrate->wish_task);
}

void migrate_ask_init(struct migrate *migrate)
{
	pthread_mutex_init(&migrate->lock, NULL);
	pthread_cond_init(&migrate->answered, NULL);
	migrate->wish_task = (struct loop_task){.fn = on_wish, .ctx = migrate};
}

void migrate_ask_finish(struct migrate *migrate)
{
	pthread_cond_destroy(&migrate->answered);
	pthread_mutex_destroy(&migrate->lock);
}
