/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_vhost_user: any bytes as the answers of a vhost-user back end, from its first word to its last.
 * Whatever it says, the calls return, and what was opened is closed.
 */
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "fuzz.h"
#include "vmm/back/vhost.h"

#define ANSWERS_MAX 4096 /* fits a socket's buffer */

static struct page_memory *memory;
static struct loop
        *loop; /* a new one for each input, since stopped operations end when a loop runs or ends */
static int eventfd_of_all;

static void on_broken(void *ctx, const char *why)
{
	fuzz_assert(strlen(why) > 10);
}

static void make_world(void)
{
	struct page_layout layout;
	struct host *host;
	struct err err;

	if (memory)
		return;
	fuzz_assert(host_kernel_create(&host, &err) == 0);
	fuzz_assert(page_layout_make(MIB(1), KIB(4), &layout, &err) == 0);
	fuzz_assert(page_memory_create(host, &layout, PAGE_SHARED, &memory, &err) == 0);
	eventfd_of_all = eventfd(0, EFD_CLOEXEC);
}

static void on_stop(void *ctx)
{
	loop_stop(loop);
}

static void serve(struct back_vhost *vhost)
{
	const struct back_vhost_queue queues[2] = {
	        {.index = 0, .size = 64, .kick_fd = eventfd_of_all, .call_fd = eventfd_of_all},
	        {.index = 1, .size = 64, .kick_fd = eventfd_of_all, .call_fd = eventfd_of_all},
	};
	struct loop_task stop = {.fn = on_stop};
	struct err err = {0};

	/* Neither a bit of the protocol's own nor ACCESS_PLATFORM reaches the device. */
	fuzz_assert(!(back_vhost_features(vhost) & (UINT64_C(1) << 30 | UINT64_C(1) << 33)));
	if (back_vhost_start(vhost, UINT64_MAX, memory, queues, 2, &err) < 0)
		fuzz_assert(strncmp(err.text, "peer: ", 6) == 0);
	loop_post(loop, &stop);
	fuzz_assert(loop_run(loop, &err) == 0);
	back_vhost_stop(vhost);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct back_vhost_events events = {on_broken, NULL};
	struct back_vhost *vhost;
	struct err err = {0};
	int fds[2], lowest;

	make_world();
	if (size > ANSWERS_MAX)
		return 0;
	lowest = dup(0);
	close(lowest);
	fuzz_assert(loop_create(&loop, &err) == 0);
	fuzz_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	fuzz_assert(!size || send(fds[0], data, size, 0) == (ssize_t)size);
	shutdown(fds[0], SHUT_WR);
	if (back_vhost_user_create(fds[1], "peer", loop, &events, &vhost, &err) == 0) {
		serve(vhost);
		back_vhost_destroy(vhost);
	} else {
		fuzz_assert(strncmp(err.text, "peer: ", 6) == 0);
	}
	close(fds[0]);
	loop_destroy(loop);
	fds[0] = dup(0);
	fuzz_assert(fds[0] == lowest);
	close(fds[0]);
	return 0;
}
