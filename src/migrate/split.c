/* SPDX-License-Identifier: Apache-2.0 */
/*
 * split: a guest that runs on the target while memory that it lacks is with the source (post-copy). Main
 * thread, but for migrate_split_reconnect(). The main thread of a target may itself wait for a page, so
 * nothing here waits for the main thread.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "late.h"
#include "migrate.h"

void migrate_set_late(struct migrate *migrate, bool late)
{
	migrate->late = late;
}

bool migrate_may_be_late(const struct migrate *migrate)
{
	return migrate->late;
}

const char *migrate_split_refusal(struct migrate *migrate)
{
	if (migrate->hands)
		return "a handover brings all memory at once (postcopy-ram, or mode cpr-transfer, but not "
		       "both)";
	if (run_config(migrate->run)->sev.type != CONFIG_SEV_NONE)
		return "memory of a SEV guest cannot come late (postcopy-ram): vmm cannot place its private "
		       "pages";
	return NULL;
}

static unsigned phase_of(const struct migrate *migrate)
{
	return atomic_load_explicit(&migrate->progress.phase, memory_order_acquire);
}

bool migrate_is_split(const struct migrate *migrate)
{
	unsigned phase = phase_of(migrate);
	bool over = migrate->status == MIGRATE_STATUS_COMPLETED || migrate->status == MIGRATE_STATUS_NONE;

	return !over && phase >= MIGRATE_LATE && phase < MIGRATE_OVER;
}

int migrate_start_late(struct migrate *migrate, struct err *err)
{
	if (!migrate->threaded || migrate->incoming)
		return err_set(err, ERR_USAGE, "Postcopy must be started after migration has been started");
	if (!migrate->side.may_split)
		return err_set(err, ERR_USAGE,
		        "Enable postcopy with migrate_set_capability before the start of migration");
	atomic_store_explicit(&migrate->limits.late, true, memory_order_release);
	return 0;
}

/* vCPUs and disks may wait for pages for ever, and must not go on without them. */
static void end_at_once(void)
{
	log_error("the guest ends while memory that it may wait for is missing, so vmm ends at once");
	raise(SIGKILL);
}

/* ---- a new connection ---- */

static int wait_for_source(struct migrate *migrate, struct err *err)
{
	struct pollfd fds[2] = {
	        {.fd = migrate->listen_fd, .events = POLLIN}, {.fd = migrate->cancel_fd, .events = POLLIN}};
	const struct timespec nap = {.tv_nsec = 50000000};
	int fd;

	do {
		if (atomic_load(&migrate->ending) && !atomic_load(&migrate->cancelled))
			end_at_once();
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return err_sys(err, ERR_FAILED, errno, "waiting for the source");
		if (atomic_load(&migrate->cancelled))
			return err_sys(err, ERR_FAILED, ECANCELED, "the move");
		fd = fds[0].revents ? accept4(migrate->listen_fd, NULL, NULL, SOCK_CLOEXEC) : -1;
		if (fd < 0) /* for want of descriptors, say */
			nanosleep(&nap, NULL);
	} while (fd < 0);
	return fd;
}

/* The main thread uses the connection only when this thread has ended. */
int migrate_split_reconnect(void *ctx, struct err *err)
{
	struct migrate *migrate = ctx;
	struct err why;

	if (migrate->fd >= 0)
		close(take_fd(&migrate->fd));
	migrate->side.wire.fd = -1;
	while (migrate->listen_fd >= 0) {
		int fd = wait_for_source(migrate, err);

		if (fd < 0)
			return -1;
		migrate_wire_finish(&migrate->side.wire);
		migrate->fd = fd;
		if (migrate_wire_init(&migrate->side.wire, fd, &migrate->cancelled, err) < 0)
			return -1;
		if (migrate_worker_secure(migrate, &why) == 0)
			return 0;
		log_guest(LOG_WARN, "who connected is not the source: %s", why.text);
		close(take_fd(&migrate->fd));
	}
	return -1;
}

/* ---- the end of one side ---- */

void migrate_split_on_shutdown(struct migrate *migrate)
{
	if (!migrate->incoming) {
		log_error("this vmm ends, and with it memory that its guest lacks on the other side: that "
		          "guest "
		          "is lost");
		return;
	}
	atomic_store(&migrate->ending, true);
	if (phase_of(migrate) != MIGRATE_LATE)
		end_at_once();
}

void migrate_split_quieten(struct migrate *migrate)
{
	atomic_store(&migrate->ending, true);
	if (phase_of(migrate) != MIGRATE_LATE)
		end_at_once();
	if (run_vm(migrate->run))
		machine_vm_quieten(run_vm(migrate->run));
}
