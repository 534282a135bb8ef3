/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost: the life of a back end that serves queues by itself, whether it is the kernel's (vhost_kernel.c) or
 * a process (vhost_user.c). Runs on the thread of the back end's loop.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "vhost.h"

struct back_vhost *back_vhost_allocate(const struct back_vhost_ops *ops, int fd, const char *name,
        struct loop *loop, const struct back_vhost_events *events, struct err *err)
{
	auto_close int own = fd;
	struct back_vhost *vhost = calloc(1, sizeof(*vhost));
	char *copy = strdup(name);

	if (!vhost || !copy) {
		free(vhost);
		free(copy);
		err_sys(err, ERR_FAILED, ENOMEM, "%s", name);
		return NULL;
	}
	vhost->ops = ops;
	vhost->name = copy;
	vhost->fd = take_fd(&own);
	vhost->loop = loop;
	vhost->events = *events;
	vhost->error_fd = -1;
	return vhost;
}

void back_vhost_destroy(struct back_vhost *vhost)
{
	if (!vhost)
		return;
	back_vhost_stop(vhost);
	close(vhost->fd);
	free(vhost->name);
	free(vhost);
}

uint64_t back_vhost_features(const struct back_vhost *vhost)
{
	return vhost->features;
}

/* ---- what a back end says while it serves queues ---- */

/* Tells the owner once: nothing more is watched until the next start. */
static void tell_broken(struct back_vhost *vhost, const char *what)
{
	char why[200];

	loop_op_stop(take_ptr(&vhost->error_watch));
	loop_op_stop(take_ptr(&vhost->hang_up_watch));
	snprintf(why, sizeof(why), "%s %s", vhost->name, what);
	vhost->events.on_broken(vhost->events.ctx, why);
}

static void on_error(void *ctx, int events)
{
	struct back_vhost *vhost = ctx;

	if (loop_bell_take(vhost->error_fd))
		tell_broken(vhost, "cannot go on with a queue");
}

/* The answer that a call waited for may have made the socket readable, too; it has been taken then. */
static void on_hang_up(void *ctx, int events)
{
	struct back_vhost *vhost = ctx;
	char byte;
	ssize_t n = recv(vhost->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	vhost->broken = true;
	tell_broken(vhost, n > 0 ? "said something that it was not asked" : "has hung up");
}

static int watch(struct back_vhost *vhost, struct err *err)
{
	vhost->error_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vhost->error_fd < 0)
		return err_sys(err, ERR_HOST, errno, "eventfd");
	if (loop_watch_start(
	            vhost->loop, vhost->error_fd, POLLIN, on_error, vhost, &vhost->error_watch, err) < 0)
		return -1;
	if (!vhost->is_process)
		return 0;
	return loop_watch_start(
	        vhost->loop, vhost->fd, POLLIN | POLLRDHUP, on_hang_up, vhost, &vhost->hang_up_watch, err);
}

static void unwatch(struct back_vhost *vhost)
{
	loop_op_stop(take_ptr(&vhost->error_watch));
	loop_op_stop(take_ptr(&vhost->hang_up_watch));
	if (vhost->error_fd >= 0)
		close(vhost->error_fd);
	vhost->error_fd = -1;
}

/* ---- start and stop ---- */

static int start_all(struct back_vhost *vhost, uint64_t features, const struct page_memory *memory,
        const struct back_vhost_queue *queues, unsigned count, struct err *err)
{
	struct page_lent lent[PAGE_REGIONS_MAX];
	unsigned lent_count = page_memory_lend(memory, lent);

	if (vhost->broken)
		return err_set(err, ERR_HOST, "it failed before");
	if (count > BACK_VHOST_QUEUES_MAX)
		return err_set(err, ERR_FAILED, "%u queues", count);
	if (vhost->ops->set_features(vhost, features & vhost->features, err) < 0 ||
	        vhost->ops->set_memory(vhost, lent, lent_count, err) < 0 || watch(vhost, err) < 0)
		return -1;
	for (unsigned i = 0; i < count; i++) {
		vhost->started[vhost->started_count++] = queues[i].index;
		if (vhost->ops->start_queue(vhost, &queues[i], vhost->error_fd, err) < 0)
			return -1;
	}
	return 0;
}

int back_vhost_start(struct back_vhost *vhost, uint64_t features, const struct page_memory *memory,
        const struct back_vhost_queue *queues, unsigned count, struct err *err)
{
	back_vhost_set_deadline(vhost);
	if (start_all(vhost, features, memory, queues, count, err) == 0)
		return 0;
	back_vhost_stop(vhost);
	return err_wrap(err, "%s", vhost->name);
}

bool back_vhost_stop(struct back_vhost *vhost)
{
	bool stopped = true;
	struct err err;

	back_vhost_set_deadline(vhost);
	while (vhost->started_count) {
		if (vhost->ops->stop_queue(vhost, vhost->started[--vhost->started_count], &err) < 0) {
			/* A process that has hung up has let go of the memory. */
			stopped = false;
			log_debug("%s: %s", vhost->name, err.text);
		}
	}
	unwatch(vhost);
	return stopped;
}
