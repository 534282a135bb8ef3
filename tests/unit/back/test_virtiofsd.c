/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real virtiofsd takes what vhost_user.c says, a second time after a stop, too, and ends when it is asked
 * to. Skipped where there is none. One that takes no connection is not waited for.
 */
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "support/test.h"
#include "vmm/back/child.h"
#include "vmm/back/vhost.h"
#include "vmm/back/virtiofsd.h"

static char folder[40];
static struct host *host;
static struct page_memory *memory;
static struct loop *loop;
static struct back_vhost *vhost;
static pid_t child;
static int kick_fd, call_fd;
static struct err err;

static void on_broken(void *ctx, const char *why)
{
	fail_msg("%s", why);
}

static int setup(void **state)
{
	struct page_layout layout;

	strcpy(folder, "/tmp/test-virtiofsd.XXXXXX");
	assert_non_null(mkdtemp(folder));
	assert_ok(host_kernel_create(&host, &err));
	assert_ok(page_layout_make(MIB(64), MIB(1), &layout, &err));
	assert_ok(page_memory_create(host, &layout, PAGE_SHARED, &memory, &err));
	assert_ok(loop_create(&loop, &err));
	kick_fd = eventfd(0, EFD_CLOEXEC);
	call_fd = eventfd(0, EFD_CLOEXEC);
	return 0;
}

static int teardown(void **state)
{
	back_child_end(child);
	back_vhost_destroy(vhost);
	close(kick_fd);
	close(call_fd);
	loop_destroy(loop);
	page_memory_destroy(memory);
	host_destroy(host);
	return rmdir(folder);
}

static int start(void)
{
	struct back_vhost_queue queues[2];

	for (unsigned i = 0; i < 2; i++) {
		uint64_t at = MIB(1) + i * KIB(64);

		queues[i] = (struct back_vhost_queue){.index = i,
		        .size = 64,
		        .desc_gpa = at,
		        .avail_gpa = at + KIB(16),
		        .used_gpa = at + KIB(32),
		        .kick_fd = kick_fd,
		        .call_fd = call_fd};
	}
	return back_vhost_start(vhost, back_vhost_features(vhost), memory, queues, 2, &err);
}

static void test_virtiofsd_serves_is_stopped_and_serves_again(void **state)
{
	int socket;

	if (back_virtiofsd_start(folder, &socket, &child, &err) < 0) {
		assert_int_equal(err.kind, ERR_HOST);
		print_message("%s\n", err.text);
		skip();
	}
	if (back_vhost_user_create(socket, "virtiofsd", loop, &(struct back_vhost_events){on_broken, NULL},
	            &vhost, &err) < 0) {
		if (geteuid() == 0)
			fail_msg("%s", err.text);
		skip(); /* Debian 12's needs root for its sandbox */
	}
	assert_int_equal(back_vhost_features(vhost) >> 28 & 0x13, 0x13);
	for (unsigned i = 0; i < 2; i++) {
		assert_ok(start());
		assert_true(back_vhost_stop(vhost));
	}
	assert_int_equal(kill(child, 0), 0);
	back_child_end(child);
	assert_int_equal(kill(child, 0), -1);
	child = 0;
}

/* It listens, and others wait already for it to take their connections. */
static void test_virtiofsd_that_takes_no_connection_is_not_waited_for(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), waiting[8], socket;
	unsigned count = 0;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
	assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 0), 0);
	while (count < ARRAY_LEN(waiting) &&
	        back_virtiofsd_connect(address.sun_path, &waiting[count], &err) == 0)
		count++;
	assert_in_range(count, 1, ARRAY_LEN(waiting) - 1);
	assert_fails(back_virtiofsd_connect(address.sun_path, &socket, &err), ERR_HOST,
	        "connecting to virtiofsd: Resource temporarily unavailable");
	while (count)
		close(waiting[--count]);
	close(listener);
	unlink(address.sun_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(
	                test_virtiofsd_that_takes_no_connection_is_not_waited_for, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                test_virtiofsd_serves_is_stopped_and_serves_again, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
