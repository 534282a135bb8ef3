/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migrate: begins a move, hears how it goes, and says what has become of the guest. Main thread.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "late.h"
#include "migrate.h"
#include "vmm/device.h"
#include "vmm/launch.h"

#define STOP_MS 300 /* QEMU's downtime-limit */

void migrate_set_status(struct migrate *migrate, enum migrate_status status)
{
	if (migrate->status == status)
		return;
	migrate->status = status;
	log_debug("the move is %s", migrate_status_name(status));
	if (migrate->observer)
		migrate->observer->on_status(migrate->observer->ctx, status);
}

/* ---- how it goes ---- */

static void on_progress(void *ctx)
{
	static const enum migrate_status statuses[] = {
	        [MIGRATE_AGREE] = MIGRATE_STATUS_SETUP,
	        [MIGRATE_LIVE] = MIGRATE_STATUS_ACTIVE,
	        [MIGRATE_STOPPED] = MIGRATE_STATUS_DEVICE,
	        [MIGRATE_DECIDED] = MIGRATE_STATUS_DEVICE,
	        [MIGRATE_LATE] = MIGRATE_STATUS_POSTCOPY_ACTIVE,
	        [MIGRATE_CUT] = MIGRATE_STATUS_POSTCOPY_PAUSED,
	        [MIGRATE_MENDED] = MIGRATE_STATUS_POSTCOPY_RECOVER,
	        [MIGRATE_OVER] = MIGRATE_STATUS_DEVICE,
	};
	struct migrate *migrate = ctx;
	uint64_t pass = atomic_load_explicit(&migrate->progress.pass, memory_order_relaxed);
	unsigned phase = atomic_load_explicit(&migrate->progress.phase, memory_order_acquire);

	bool late = phase >= MIGRATE_LATE && phase < MIGRATE_OVER;

	if (late && !migrate->went_ns)
		migrate->went_ns = clock_ns(CLOCK_MONOTONIC);
	/* One who asks, or answers, about an older move is where that move has ended. */
	if ((!migrate->again || late) && migrate->status != MIGRATE_STATUS_CANCELLING) {
		/* The thread may have gone further than one step since it was seen last. */
		while (migrate->status < statuses[phase] && migrate->status < MIGRATE_STATUS_POSTCOPY_ACTIVE)
			migrate_set_status(migrate, migrate->status + 1);
		migrate_set_status(migrate, statuses[phase]);
	}
	while (!migrate->incoming && migrate->observer && migrate->told_pass < pass)
		migrate->observer->on_pass(migrate->observer->ctx, ++migrate->told_pass);
}

static int listen_again(struct migrate *migrate, struct err *err);

static void disconnect(struct migrate *migrate)
{
	migrate_worker_end(migrate);
	if (migrate->fd >= 0)
		close(take_fd(&migrate->fd));
	/* What cannot be loaded has nobody got. */
	if (migrate_file_close(take_ptr(&migrate->file)) && migrate->result == MIGRATE_DOUBT)
		migrate->result = MIGRATE_STAYS;
}

/* What the thread's last words make of the move. Who wanted the guest to stay has got that. */
static void set_result(struct migrate *migrate)
{
	static const enum migrate_status statuses[] = {
	        [MIGRATE_STAYS] = MIGRATE_STATUS_FAILED,
	        [MIGRATE_GONE] = MIGRATE_STATUS_COMPLETED,
	        [MIGRATE_DOUBT] = MIGRATE_STATUS_DOUBT,
	        [MIGRATE_SPLIT] = MIGRATE_STATUS_POSTCOPY_PAUSED,
	};
	bool cancelled = migrate->status == MIGRATE_STATUS_CANCELLING && migrate->result == MIGRATE_STAYS;

	if (migrate->result == MIGRATE_GONE || migrate->result == MIGRATE_STAYS)
		atomic_store(&migrate->progress.phase, MIGRATE_OVER);
	migrate->ended_ns = clock_ns(CLOCK_MONOTONIC);
	migrate_set_status(migrate, cancelled ? MIGRATE_STATUS_CANCELLED : statuses[migrate->result]);
}

static void keep_doubt(struct migrate *migrate)
{
	struct err err;

	if (migrate->saves) {
		log_error("the guest is in doubt: %s. It does not run here, and may be in the file. See "
		          "whether a "
		          "vmm has loaded it (a line `took` in its migrate.record). If none has, remove the "
		          "file, and "
		          "then send __vmm_migrate-resolve runs=true; if one has, runs=false",
		        migrate->err.text);
		return;
	}
	log_error("the guest is in doubt: %s. It does not run here, and the other side may have it. %s If it "
	          "cannot "
	          "be asked, read the files migrate.record of both sides, as docs/migration.md says, before "
	          "__vmm_migrate-resolve",
	        migrate->err.text,
	        migrate->incoming ? "Let the source ask this side (migrate with resume)."
	                          : "Ask it (migrate with resume).");
	if (migrate->incoming && listen_again(migrate, &err) < 0)
		log_error("%s", err.text);
}

/* The target has said that it will not run the guest. */
static void take_back(struct migrate *migrate)
{
	struct err err;

	migrate->given = false;
	if (migrate_record_write(migrate->record_fd, "kept", migrate->side.id, &err) < 0)
		log_warn("%s", err.text);
}

static void stay(struct migrate *migrate)
{
	struct err err;

	if (migrate->given)
		take_back(migrate);
	if (migrate->stopped_ns && (migrate_lease_own(migrate, &err) < 0 || run_stay(migrate->run, &err) < 0))
		err_append(&migrate->err,
		        "; and the guest is paused here: %s; mend that, and let it run (cont)", err.text);
}

static void on_source_result(struct migrate *migrate)
{
	if (migrate->result == MIGRATE_STAYS)
		stay(migrate);
	set_result(migrate);
	switch (migrate->status) {
	case MIGRATE_STATUS_COMPLETED:
		log_info("the guest %s; it was stopped for %llu ms",
		        migrate->saves ? "is in the file" : "runs on the other side",
		        (unsigned long long)migrate_facts_of(migrate).stopped_ms);
		break;
	case MIGRATE_STATUS_DOUBT: keep_doubt(migrate); break;
	case MIGRATE_STATUS_POSTCOPY_PAUSED:
		log_error(
		        "the guest runs on the other side, and memory that it lacks there is here alone: %s. "
		        "Do not end this vmm; connect again (migrate with resume)",
		        migrate->err.text);
		break;
	case MIGRATE_STATUS_FAILED:
		log_warn("the guest was not %s and stays here: %s", migrate->saves ? "saved" : "moved",
		        migrate->err.text);
		break;
	default: break;
	}
}

/* Who connects and never sends anything of a guest is turned away; one whose guest broke off is the end. */
static void on_target_result(struct migrate *migrate)
{
	bool began = atomic_load(&migrate->progress.phase) != MIGRATE_AGREE;
	struct err err = migrate->err;

	set_result(migrate);
	switch (migrate->result) {
	case MIGRATE_GONE:
		if (migrate->listen_fd >= 0 && listen_again(migrate, &err) < 0)
			log_warn("%s", err.text);
		break;
	case MIGRATE_DOUBT: keep_doubt(migrate); break;
	case MIGRATE_SPLIT:
		log_error("the guest lacks memory that is nowhere else, and nobody can bring it any more: %s",
		        migrate->err.text);
		break;
	case MIGRATE_STAYS:
		log_guest(LOG_WARN, "no guest came: %s", migrate->err.text);
		if (began || migrate->side.touched || migrate->listen_fd < 0 ||
		        listen_again(migrate, &err) < 0)
			run_miss(migrate->run, &err);
	}
}

static void on_ended(void *ctx)
{
	struct migrate *migrate = ctx;

	on_progress(migrate);
	migrate->err = migrate->thread_err;
	disconnect(migrate);
	if (migrate->incoming)
		on_target_result(migrate);
	else
		on_source_result(migrate);
}

/* ---- the guest's own life ---- */

/*
 * The incarnation that moves is about to be no more. The thread may have come to its end before it heard of
 * that.
 */
static void give_up(struct migrate *migrate, const char *why)
{
	struct err ignored;

	if (!migrate->threaded)
		return;
	/* Devices go on until the guest has ended, so a target must not begin with the state that it has. */
	if (!migrate->incoming && migrate->stopped_ns && !migrate->given &&
	        migrate_lease_own(migrate, &ignored) < 0)
		log_debug("%s", ignored.text);
	disconnect(migrate);
	err_set(&migrate->err, ERR_FAILED, "%s", why);
	set_result(migrate);
}

/* A guest that is reset needs nothing of what was in its memory, but what its devices had begun does. */
static void end_split(struct migrate *migrate)
{
	if (migrate_is_split(migrate))
		migrate_split_quieten(migrate);
	disconnect(migrate);
	migrate_late_end(&migrate->side);
	atomic_store(&migrate->ending, false);
	migrate->result = MIGRATE_GONE;
	on_target_result(migrate);
}

static void on_run(void *ctx, const struct run_event *event)
{
	struct migrate *migrate = ctx;
	struct err err;

	switch (event->kind) {
	case RUN_EVENT_RESET:
		/* A thread that answers about a guest that has come needs no incarnation. */
		if (!migrate->owned)
			give_up(migrate, "the guest was reset");
		else if (migrate_is_split(migrate) ||
		         (migrate->threaded && !migrate->again && migrate->side.may_split))
			end_split(migrate);
		break;
	case RUN_EVENT_SHUTDOWN:
		if (migrate_is_split(migrate))
			migrate_split_on_shutdown(migrate);
		else
			give_up(migrate, "the guest ended");
		break;
	case RUN_EVENT_RELEASED: migrate_ask_on_released(migrate); break;
	case RUN_EVENT_SETTLED:
		if (migrate->incoming && !migrate->threaded && run_is_awaiting(migrate->run) &&
		        migrate->status == MIGRATE_STATUS_NONE) {
			if (listen_again(migrate, &err) < 0)
				run_miss(migrate->run, &err);
		} else {
			migrate_ask_on_settled(migrate);
		}
		break;
	default: break;
	}
}

/* ---- the target ---- */

static int begin(struct migrate *migrate, struct err *err)
{
	bool split = migrate_is_split(migrate);

	migrate->again = split || migrate->status == MIGRATE_STATUS_DOUBT || migrate->owned;
	migrate->started_ns = migrate->again ? migrate->started_ns : clock_ns(CLOCK_MONOTONIC);
	if (!migrate->again) {
		memset(&migrate->progress, 0, sizeof(migrate->progress));
		migrate->told_pass = 0;
		migrate->stopped_ns = migrate->ended_ns = migrate->went_ns = 0;
		if (migrate_worker_prepare(migrate, err) < 0)
			return -1;
	}
	if (migrate_worker_start(migrate, err) < 0)
		return -1;
	/* What is asked about an older move leaves a target as it is. */
	if (!migrate->again || !migrate->incoming)
		migrate_set_status(migrate, split ? MIGRATE_STATUS_POSTCOPY_RECOVER : MIGRATE_STATUS_SETUP);
	return 0;
}

static void on_connection(void *ctx, int events)
{
	struct migrate *migrate = ctx;
	int fd = accept4(migrate->listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	loop_op_stop(take_ptr(&migrate->listening));
	migrate->fd = fd;
	if (begin(migrate, &migrate->err) == 0)
		return;
	disconnect(migrate);
	migrate->result = !migrate->again ? MIGRATE_STAYS : migrate->owned ? MIGRATE_GONE : MIGRATE_DOUBT;
	on_target_result(migrate);
}

/* Waits for a connection, or begins over the one that vmm was given. */
static int listen_again(struct migrate *migrate, struct err *err)
{
	if (migrate->listen_fd >= 0)
		return loop_watch_start(migrate->loop, migrate->listen_fd, POLLIN, on_connection, migrate,
		        &migrate->listening, err);
	if (migrate->fd >= 0 || migrate->file)
		return begin(migrate, err);
	return err_set(err, ERR_FAILED, "the only connection to the other vmm is over");
}

void migrate_receive(struct migrate *migrate, int fd, bool listens, int missing_fd)
{
	migrate->incoming = true;
	migrate->side.missing_fd = missing_fd;
	if (listens)
		migrate->listen_fd = fd;
	else
		migrate->fd = fd;
}

int migrate_load(struct migrate *migrate, struct migrate_file *file, struct err *err)
{
	migrate->file = file;
	migrate->incoming = true;
	memcpy(migrate->side.id, file->id, MIGRATE_ID_BYTES);
	return migrate_file_check(run_config(migrate->run), file->path, false, err);
}

/* ---- the source ---- */

/* path: of the file to which the guest is saved; NULL: there is none. */
static int start(struct migrate *migrate, const char *path, bool again, struct err *err)
{
	struct run_status status = run_status_of(migrate->run);
	uint8_t id[MIGRATE_ID_BYTES];

	if (!again && strcmp(status.name, "running") != 0 && strcmp(status.name, "paused") != 0)
		return err_set(err, ERR_USAGE, "the guest is %s: it can be moved when it runs or is paused",
		        status.phase);
	if (!again && getentropy(id, sizeof(id)) < 0)
		return err_sys(err, ERR_FAILED, errno, "a name for the move");
	if (path && migrate_file_create(path, id, &migrate->file, err) < 0)
		return -1;
	/* A guest that came from another vmm goes on to a third one. */
	if (migrate->incoming) {
		loop_op_stop(take_ptr(&migrate->listening));
		if (migrate->listen_fd >= 0)
			close(take_fd(&migrate->listen_fd));
		migrate->incoming = migrate->owned = false;
		migrate->status = MIGRATE_STATUS_NONE;
	}
	if (!again) {
		atomic_store(&migrate->limits.late, false);
		migrate->side.may_split = migrate->late;
		migrate->side.split = false;
	}
	migrate->side.hands = again ? migrate->side.hands : migrate->hands;
	if (!again)
		memcpy(migrate->side.id, id, sizeof(id));
	return begin(migrate, err);
}

int migrate_send(struct migrate *migrate, const char *address, int fd, bool again, struct err *err)
{
	const char *path = address ? migrate_file_path(address) : NULL;
	auto_close int owned = fd;

	if (path && migrate->hands)
		return err_set(err, ERR_USAGE,
		        "a file takes no handover: set the mode normal (migrate-set-parameters mode=normal)");
	if (path && migrate->late)
		return err_set(err, ERR_USAGE,
		        "a file brings no memory late: switch the capability postcopy-ram off "
		        "(migrate-set-capabilities)");
	if (migrate_may_send(migrate, again, err) < 0 ||
	        (path ? migrate_file_check(run_config(migrate->run), path, again, err)
	              : migrate_may_connect(migrate, address, err)) < 0 ||
	        (!again && migrate_lease_check_way(migrate, address, fd, err) < 0))
		return -1;
	migrate->saves = path;
	migrate->fd = take_fd(&owned);
	snprintf(migrate->address, sizeof(migrate->address), "%s", address && !path ? address : "");
	if (start(migrate, path, again, err) < 0) {
		disconnect(migrate);
		return -1;
	}
	return 0;
}

/* ---- life ---- */

void migrate_observe(struct migrate *migrate, const struct migrate_observer *observer)
{
	migrate->observer = observer;
}

/* The thread that judges certificates may open no library. Without one it says so, when it needs one. */
static void load_crypto(struct migrate *migrate)
{
	struct err err;

	if (migrate_firmware_serves(run_config(migrate->run)) && crypto_load(&err) < 0)
		log_debug("%s", err.text);
}

int migrate_create(const struct migrate_place *place, struct migrate **ret_migrate, struct err *err)
{
	struct migrate *migrate = calloc(1, sizeof(*migrate));

	if (!migrate)
		return err_sys(err, ERR_FAILED, ENOMEM, "moves");
	migrate->run = place->run;
	migrate->loop = run_loop(place->run);
	migrate->tls_name = place->tls.name;
	migrate->fd = migrate->listen_fd = migrate->record_fd = -1;
	migrate->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	migrate->progress_task = (struct loop_task){.fn = on_progress, .ctx = migrate};
	migrate->ended_task = (struct loop_task){.fn = on_ended, .ctx = migrate};
	migrate_set_limits(migrate, &(struct migrate_limits_ask){.stop_ms = STOP_MS});
	migrate_ask_init(migrate);
	migrate->run_observer = (struct run_observer){.on_event = on_run, .ctx = migrate};
	if (migrate->cancel_fd < 0)
		err_sys(err, ERR_FAILED, errno, "moves");
	load_crypto(migrate);
	if (migrate->cancel_fd < 0 || migrate_chain_read(place->certificates, &migrate->known, err) < 0 ||
	        migrate_chain_read_root(place->root, &migrate->root, err) < 0 ||
	        migrate_record_open(place->record, &migrate->record_fd, err) < 0 ||
	        migrate_tls_create(&place->tls, &migrate->tls, err) < 0) {
		migrate_destroy(migrate);
		return -1;
	}
	run_observe(place->run, &migrate->run_observer);
	*ret_migrate = migrate;
	return 0;
}

void migrate_destroy(struct migrate *migrate)
{
	if (!migrate)
		return;
	if (migrate->incoming && migrate->owned && migrate_is_split(migrate))
		migrate_split_quieten(migrate);
	disconnect(migrate);
	migrate_late_end(&migrate->side);
	migrate_ask_refuse(migrate, true);
	loop_op_stop(migrate->listening);
	if (migrate->listen_fd >= 0)
		close(migrate->listen_fd);
	if (migrate->record_fd >= 0)
		close(migrate->record_fd);
	if (migrate->cancel_fd >= 0)
		close(migrate->cancel_fd);
	migrate_tls_destroy(migrate->tls);
	migrate_ask_finish(migrate);
	free(migrate->plan);
	free(migrate);
}
