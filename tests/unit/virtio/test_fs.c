/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-fs: the back end gets the queues, its end is told to the driver, and a new driver gets a new back
 * end. */
#include <sys/eventfd.h>
#include <sys/un.h>

#include "fake_transport.h"
#include "support/vhost_user.h"

#define FEATURES (UINT64_C(1) << 28 | UINT64_C(1) << 29 | UINT64_C(1) << 30 | UINT64_C(1) << 32)

static struct err err;
static struct device_board board;
static struct peer peer;
static int listener, kick_fd, call_fd;
static char folder[40], path[60];

static int setup(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strcpy(folder, "/tmp/test-fs.XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/socket", folder);
	memcpy(address.sun_path, path, strlen(path));
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 4), 0);
	peer = (struct peer){.features = FEATURES, .protocol_features = 8};
	kick_fd = eventfd(0, EFD_CLOEXEC);
	call_fd = eventfd(0, EFD_CLOEXEC);
	return bench_setup(state);
}

static int teardown(void **state)
{
	unlink(path);
	rmdir(folder);
	close(listener);
	close(kick_fd);
	close(call_fd);
	return bench_teardown(state);
}

static int add(void)
{
	static struct config_device config = {.driver = CONFIG_FS,
	        .id = (char *)(uintptr_t) "fs0",
	        .tag = (char *)(uintptr_t) "home",
	        .folder = (char *)(uintptr_t) "",
	        .socket = path};
	const struct virtio_place place = {.board = &board, .vcpus = 1};

	return virtio_fs_add(&place, &config, &err);
}

static void finish(void)
{
	fake.setup.kind->finish(fake.setup.ctx);
	peer_end(&peer);
}

/* On the device's thread, as the transport does it. */
static struct virtio_start given;
static int result;

static void call_start(void *ctx)
{
	result = fake.setup.kind->start(fake.setup.ctx, &given, &err);
}

static void call_stop(void *ctx)
{
	fake_stop();
}

static int start(struct bench *bench)
{
	struct virtio_queue_setup setup = bench_queue(bench, 64, 0);
	struct virtio_queue *queues[2] = {NULL, &bench->queue};

	setup.index = 1;
	setup.kick_fd = kick_fd;
	setup.call_fd = call_fd;
	assert_ok(virtio_queue_start(&bench->queue, &setup, &err));
	given = (struct virtio_start){.features = UINT64_MAX, .queues = queues, .memory = bench->memory};
	loop_call(fake.setup.loop, call_start, NULL);
	return result;
}

static void stop(void)
{
	loop_call(fake.setup.loop, call_stop, NULL);
}

/* Until the device's thread has noticed that the back end hung up. */
static void wait_for_break(void)
{
	while (!fake.breaks)
		usleep(1000);
}

static void test_fs_hands_its_queues_over(void **state)
{
	char tag[36];
	uint32_t request_queues;

	peer_listen(&peer, listener);
	assert_ok(add());
	assert_int_equal(fake.setup.outside[0], 3);
	assert_int_equal(fake.setup.config_bytes, 40);
	fake.setup.kind->config_read(fake.setup.ctx, 0, tag, sizeof(tag));
	fake.setup.kind->config_read(fake.setup.ctx, 36, &request_queues, 4);
	assert_memory_equal(tag, "home\0\0\0\0", 8);
	assert_int_equal(request_queues, 1);
	assert_int_equal(start(*state), 0);
	/* Only the queue that the driver enabled; ACCESS_PLATFORM stays with vmm. */
	assert_int_equal(peer.heard[PEER_SET_VRING_KICK], 1);
	assert_int_equal(peer.set_features, FEATURES);
	stop();
	assert_int_equal(fake.stops, 1);
	assert_int_equal(peer.heard[PEER_GET_VRING_BASE], 1);
	finish();
}

static void test_fs_back_end_that_dies_is_told_and_replaced(void **state)
{
	peer_listen(&peer, listener);
	assert_ok(add());
	assert_int_equal(start(*state), 0);
	shutdown(peer.fd, SHUT_RDWR);
	wait_for_break();
	assert_int_equal(fake.breaks, 1);
	assert_string_equal(fake.broken, "virtiofsd has hung up");
	stop();
	peer_end(&peer);
	peer = (struct peer){.features = FEATURES};
	peer_listen(&peer, listener);
	assert_int_equal(start(*state), 0);
	stop(); /* this peer acknowledges nothing, so it has heard all only when it has answered */
	assert_int_equal(peer.heard[PEER_SET_VRING_KICK], 1);
	finish();
}

static void test_fs_back_end_that_is_gone_fails_the_start(void **state)
{
	peer_listen(&peer, listener);
	assert_ok(add());
	assert_int_equal(start(*state), 0);
	stop();
	shutdown(peer.fd, SHUT_RDWR);
	unlink(path);
	assert_fails(start(*state), ERR_FAILED, "virtiofsd: ");
	stop();
	assert_fails(start(*state), ERR_HOST, "connecting to virtiofsd: No such file");
	finish();
}

static void test_fs_back_end_without_event_index_is_refused(void **state)
{
	peer.features = UINT64_C(1) << 32;
	peer_listen(&peer, listener);
	assert_fails(add(), ERR_HOST,
	        "virtiofsd cannot serve rings as drivers want them: it lacks the feature bits "
	        "0x30000000");
	peer_end(&peer);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_fs_hands_its_queues_over),
	        TEST(test_fs_back_end_that_dies_is_told_and_replaced),
	        TEST(test_fs_back_end_that_is_gone_fails_the_start),
	        TEST(test_fs_back_end_without_event_index_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
