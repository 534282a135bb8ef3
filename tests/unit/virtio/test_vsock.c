/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-vsock on the kernel's vhost-vsock, where there is one: addresses, start and stop; and what is said
 * where there is none. */
#include <linux/vhost.h>
#include <sys/eventfd.h>

#include "fake_transport.h"
#include "vmm/back/vhost.h"

#define CID 4243

static struct err err;
static struct device_board board;
static struct loop *loop;

static int setup(void **state)
{
	assert_ok(loop_create(&loop, &err));
	return bench_setup(state);
}

static int teardown(void **state)
{
	loop_destroy(loop);
	return bench_teardown(state);
}

static int add(unsigned cid)
{
	const struct config_device config = {
	        .driver = CONFIG_VSOCK, .id = (char *)(uintptr_t) "vsock0", .cid = cid};
	const struct virtio_place place = {.board = &board, .main_loop = loop, .vcpus = 1};

	return virtio_vsock_add(&place, &config, &err);
}

static void need_vhost(void)
{
	if (access("/dev/vhost-vsock", R_OK | W_OK) < 0) {
		print_message("this kernel has no /dev/vhost-vsock\n");
		skip();
	}
}

static void finish(const struct virtio_setup *device)
{
	device->kind->finish(device->ctx);
}

static void on_broken(void *ctx, const char *why)
{
	fail_msg("%s", why);
}

static void test_vsock_names_the_module_that_is_missing(void **state)
{
	struct back_vhost *vhost;

	assert_fails(back_vhost_open("vhost-no-such", loop, &(struct back_vhost_events){on_broken, NULL},
	                     &vhost, &err),
	        ERR_HOST,
	        "/dev/vhost-no-such: load the kernel's module (modprobe vhost_no_such): No such file");
}

static void test_vsock_address_belongs_to_one_guest(void **state)
{
	struct virtio_setup first;
	uint64_t cid = 0;

	need_vhost();
	assert_ok(add(CID));
	first = fake.setup;
	assert_int_equal(first.outside[0], 3); /* the queue of events stays with vmm */
	first.kind->config_read(first.ctx, 0, &cid, sizeof(cid));
	assert_int_equal(cid, CID);
	assert_fails(add(CID), ERR_HOST, "cid 4243: another guest of this machine has it");
	finish(&first);
	assert_ok(add(CID));
	finish(&fake.setup);
}

static void test_vsock_starts_again_after_a_stop(void **state)
{
	struct bench *bench = *state;
	struct virtio_queue rx, *queues[3] = {&rx, &bench->queue, NULL};
	struct virtio_queue_setup place = bench_queue(bench, 64, 0);
	struct virtio_start start = {
	        .features = UINT64_C(1) << 32 | UINT64_C(1) << 33, .queues = queues, .memory = bench->memory};

	need_vhost();
	place.kick_fd = eventfd(0, EFD_CLOEXEC);
	place.call_fd = eventfd(0, EFD_CLOEXEC);
	place.index = 1;
	assert_ok(virtio_queue_start(&bench->queue, &place, &err));
	place.index = 0;
	assert_ok(virtio_queue_start(&rx, &place, &err));
	assert_ok(add(CID));
	for (unsigned i = 0; i < 2; i++) {
		assert_ok(fake.setup.kind->start(fake.setup.ctx, &start, &err));
		fake_stop();
	}
	assert_int_equal(fake.stops, 2);
	assert_non_null(strstr(fake.setup.kind->unmovable, "vsock"));
	queues[0] = NULL;
	assert_fails(fake.setup.kind->start(fake.setup.ctx, &start, &err), ERR_GUEST,
	        "enabled only one of the queues");
	finish(&fake.setup);
	close(place.kick_fd);
	close(place.call_fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_vsock_names_the_module_that_is_missing),
	        TEST(test_vsock_address_belongs_to_one_guest),
	        TEST(test_vsock_starts_again_after_a_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
