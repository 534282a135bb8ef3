/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile drivers of devices whose queues are served outside vmm: what reaches a back end lies in the guest's
 * memory, and the device works after a reset.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "outside.h"

static void test_outside_offers_no_more_than_it_knows(void **state)
{
	uint64_t features = virtio_function_negotiate(&victim, UINT64_MAX) & ~(UINT64_C(1) << 33);

	/* Of vsock: SEQPACKET, too. */
	assert_int_equal(features, OFFERED | (device == &fs_device ? 0 : 2));
	for (unsigned i = 0; i < SERVED; i++)
		put_good(i, 64, RINGS);
	go();
	assert_serves(64, RINGS);
	assert_int_equal(device == &fs_device ? peer.set_features : kernel.features,
	        features | (device == &fs_device ? UINT64_C(1) << 30 : 0));
}

/* ---- rings ---- */

static void test_outside_ring_addresses(void **state)
{
	static const uint64_t places[] = {VIRTIO_GUEST_MEMORY, VIRTIO_GUEST_MEMORY - 16, GIB(4) - 4096,
	        0xfee00000, VIRTIO_GUEST_BARS, UINT64_MAX - 15, UINT64_MAX, UINT64_C(1) << 63, 0x10001,
	        GIB(4) /* RAM that can be added */, GIB(4) + GROWTH - 16, GIB(4) + GROWTH};

	for (unsigned queue = 0; queue < SERVED; queue++) {
		for (unsigned i = 0; i < 3 * ARRAY_LEN(places); i++) {
			uint64_t at[3] = {RINGS, RINGS + 0x1000, RINGS + 0x2000};
			unsigned sent;

			negotiate();
			at[i % 3] = places[i / 3];
			put(queue, 64, at);
			put_good(!queue, 64, RINGS);
			sent = wires.sent;
			go();
			assert_int_equal(virtio_function_status(&victim), BROKEN);
			assert_int_equal(wires.sent, sent + 1);
			assert_int_equal(wires.last.data, 0);
			assert_serves_nothing();
			start_good(RINGS + 0x10000 * (i % 7));
		}
	}
}

static void test_outside_ring_at_the_end_of_memory(void **state)
{
	uint64_t end = VIRTIO_GUEST_MEMORY;

	negotiate();
	put(0, 64, (const uint64_t[]){end - 1024, RINGS, RINGS + 0x1000});
	put(1, 64, (const uint64_t[]){RINGS, end - 134, end - 520});
	go();
	assert_int_equal(virtio_function_status(&victim), RUNNING);
	assert_int_equal(device->told(0).at[0], end - 1024);
	assert_int_equal(device->told(1).at[1], end - 134);
	assert_int_equal(device->told(1).at[2], end - 520);
}

static void test_outside_queue_sizes(void **state)
{
	static const unsigned sizes[] = {0, 1, 2, 3, 5, 64, 127, 128, 129, 255, 256, 0x8000, 0xffff};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		unsigned size = sizes[i];
		bool possible = size && size <= QUEUE_SIZE && !(size & (size - 1));

		negotiate();
		put_good(0, size, RINGS);
		put_good(1, size, RINGS);
		go();
		assert_serves(possible ? size : QUEUE_SIZE, RINGS);
	}
}

/* An enabled queue stays where it is, which is at 0 if the driver has not said where. */
static void test_outside_enabled_before_its_addresses(void **state)
{
	negotiate();
	for (unsigned i = 0; i < SERVED; i++) {
		virtio_function_set(&victim, VIRTIO_PCI_COMMON_Q_SELECT, 2, i);
		virtio_function_set(&victim, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
		put(i, 8, (const uint64_t[]){GIB(4) - 4096, GIB(4) - 4096, GIB(4) - 4096});
	}
	go();
	assert_int_equal(virtio_function_status(&victim), RUNNING);
	for (unsigned i = 0; i < SERVED; i++) {
		struct told told = device->told(i);

		assert_true(told.works);
		assert_int_equal(told.size, QUEUE_SIZE);
		assert_int_equal(told.at[0] | told.at[1] | told.at[2], 0);
	}
	/* A running device's queue stays, too. */
	put_good(0, 8, RINGS);
	assert_int_equal(device->told(0).at[1], 0);
}

static void test_outside_only_one_queue_and_the_other_later(void **state)
{
	for (unsigned queue = 0; queue < SERVED; queue++) {
		negotiate();
		put_good(queue, 64, RINGS);
		go();
		put_good(!queue, 64, RINGS);
		assert_int_equal(virtio_function_status(&victim), device->needs_both ? BROKEN : RUNNING);
		assert_int_equal(device->told(queue).works, !device->needs_both);
		assert_false(device->told(!queue).works);
	}
	start_good(RINGS);
}

/* ---- notifications and vectors ---- */

static void test_outside_bells_of_queues_that_do_not_exist(void **state)
{
	start_good(RINGS);
	for (unsigned i = 0; i < SERVED; i++)
		assert_true(loop_bell_take(device->told(i).kick_fd)); /* the start rings */
	for (unsigned queue = SERVED; queue < 0x400; queue++)
		device_bus_write(guest.board.bus, DEVICE_MMIO,
		        victim.notify + (uint64_t)queue * victim.notify_multiplier, 2, queue);
	for (unsigned i = 0; i < SERVED; i++)
		assert_false(loop_bell_take(device->told(i).kick_fd));
	virtio_function_kick(&victim, 1);
	assert_false(loop_bell_take(device->told(0).kick_fd));
	assert_true(loop_bell_take(device->told(1).kick_fd));
	assert_serves(64, RINGS);
}

static void test_outside_vectors_out_of_range(void **state)
{
	const unsigned vectors[] = {victim.vectors, victim.vectors + 1, 255, 0x7fff, 0xfffe};

	start_good(RINGS);
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		assert_int_equal(wires.bound_count, SERVED);
		virtio_function_set(&victim, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
		virtio_function_set(&victim, VIRTIO_PCI_COMMON_Q_MSIX, 2, vectors[i]);
		assert_int_equal(
		        virtio_function_get(&victim, VIRTIO_PCI_COMMON_Q_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
		assert_int_equal(wires.bound_count, SERVED - 1);
		virtio_function_set(&victim, VIRTIO_PCI_COMMON_Q_MSIX, 2, 2);
	}
	assert_serves(64, RINGS);
}

/* ---- registers ---- */

static void test_outside_config_at_every_width_and_offset(void **state)
{
	uint8_t expected[64 + 8] = {0};

	memcpy(expected, device->config, device->config_bytes);
	assert_int_equal(victim.config_bytes, device->config_bytes);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned size = 1; size <= 8; size++) {
			for (unsigned at = 0; at < 64; at++) {
				assert_int_equal(device_bus_read(guest.board.bus, DEVICE_MMIO,
				                         victim.config + at, size),
				        load_le(expected + at, size));
				device_bus_write(
				        guest.board.bus, DEVICE_MMIO, victim.config + at, size, noise());
			}
		}
		start_good(RINGS);
	}
}

static void test_outside_every_register_at_every_width(void **state)
{
	for (unsigned round = 0; round < 6; round++) {
		negotiate();
		put_good(round % 2, 64, RINGS);
		if (round % 3) {
			put_good(!(round % 2), 64, RINGS);
			go();
		}
		sweep(&victim);
		virtio_guest_turn(&guest, 1);
	}
	start_good(RINGS);
}

/* ---- resets ---- */

static _Atomic bool hammering;

static void *hammer(void *ctx)
{
	while (hammering) {
		virtio_function_kick(&victim, 0);
		device_bus_read(guest.board.bus, DEVICE_MMIO, victim.config, 8);
		device_bus_read(guest.board.bus, DEVICE_MMIO, victim.isr, 1);
		virtio_function_get(&victim, VIRTIO_PCI_COMMON_STATUS, 1);
		virtio_function_set(&victim, VIRTIO_PCI_COMMON_MSIX, 2, noise() % 8);
	}
	return NULL;
}

/* The other processor selects queue 0 again and again, so both processors set up that one. */
static void test_outside_resets_under_fire(void **state)
{
	pthread_t thread;

	hammering = true;
	assert_int_equal(pthread_create(&thread, NULL, hammer, NULL), 0);
	for (unsigned round = 0; round < 30; round++) {
		negotiate();
		put_good(0, 64, RINGS + 0x10000 * (round % 4));
		put_good(1, 64, RINGS + 0x10000 * (round % 4));
		go();
		virtio_function_reset(&victim);
		assert_serves_nothing();
	}
	hammering = false;
	pthread_join(thread, NULL);
	start_good(RINGS);
}

/* The guest ends while the back end works, and another one begins. */
static void test_outside_guest_that_ends(void **state)
{
	start_good(RINGS);
	device_board_attach(&guest.board, NULL);
	assert_serves_nothing();
	assert_int_equal(wires.bound_count, 0);
	device_board_attach(&guest.board, guest.memory);
	start_good(RINGS + 0x10000);
}

/* ---- back ends that fail ---- */

/* The driver hears of it once, whatever it does then, and its device works after a reset. */
static void assert_broken_once(unsigned sent)
{
	VIRTIO_GUEST_UNTIL(&guest, virtio_function_status(&victim) == BROKEN && wires.sent > sent);
	for (unsigned i = 0; i < 1000; i++) {
		virtio_function_kick(&victim, i % SERVED);
		put_good(i % SERVED, 64, RINGS);
		go();
	}
	virtio_guest_turn(&guest, 4);
	assert_int_equal(virtio_function_status(&victim), BROKEN);
	assert_int_equal(wires.sent, sent + 1);
	assert_int_equal(wires.last.data, 0);
}

static void test_outside_error_of_a_queue(void **state)
{
	for (unsigned round = 0; round < 3; round++) {
		unsigned sent = wires.sent;

		start_good(RINGS + 0x10000 * round);
		assert_int_equal(
		        eventfd_write(device == &fs_device ? peer.error_fd : kernel.rings[0].error_fd,
		                UINT64_MAX - 1),
		        0);
		assert_broken_once(sent);
	}
	start_good(RINGS);
}

static void die(void)
{
	shutdown(peer.fd, SHUT_RDWR);
}

static void flood(void)
{
	static const uint8_t words[4096];

	while (send(peer.fd, words, sizeof(words), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		;
}

static void test_outside_process_that_dies_is_replaced(void **state)
{
	static void (*const acts[])(void) = {die, flood};

	for (size_t i = 0; i < ARRAY_LEN(acts); i++) {
		unsigned sent = wires.sent;

		start_good(RINGS);
		acts[i]();
		assert_broken_once(sent);
		virtio_function_reset(&victim);
		assert_int_equal(wires.bound_count, 0);
		peer_end(&peer);
		peer = (struct peer){.features = UINT64_MAX, .protocol_features = UINT64_MAX};
		peer_listen(&peer, listener);
		start_good(RINGS + 0x10000);
	}
}

/* Each call of a start fails once. */
static void test_outside_kernel_that_refuses_a_call(void **state)
{
	unsigned call = 0, failed;

	start_good(RINGS);
	do {
		failed = kernel.failed;
		negotiate();
		put_good(0, 64, RINGS);
		put_good(1, 64, RINGS);
		kernel.fails_after = ++call;
		go();
		kernel.fails_after = 0;
		assert_int_equal(virtio_function_status(&victim), kernel.failed > failed ? BROKEN : RUNNING);
		assert_int_equal(kernel.running, kernel.failed == failed);
		start_good(RINGS + 0x10000);
	} while (kernel.failed > failed);
	assert_int_equal(call, 2 + 6 * SERVED + 1 + 1); /* features, memory, queues, running; and none */
}

/* ---- memory that is added while the device works ---- */

static void test_outside_memory_that_is_added(void **state)
{
	struct page_plug plug;
	struct err err;

	start_good(RINGS);
	assert_ok(page_plug_find(guest.memory, MIB(128), &plug, &err));
	assert_int_equal(plug.gpa.raw, GIB(4));
	page_plug_open(guest.memory, &plug);
	assert_serves(64, RINGS);
	start_good(plug.gpa.raw);
	start_good(plug.gpa.raw + plug.size_bytes - 0x8000);
	negotiate();
	put_good(0, 64, RINGS);
	put_good(1, 64, plug.gpa.raw + plug.size_bytes - 0x4000); /* its rings begin behind it */
	go();
	assert_int_equal(virtio_function_status(&victim), BROKEN);
	assert_serves_nothing();
}

/* ---- a back end that makes the eventfds, which it shares, blocking ---- */

static void make_blocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	assert_true(flags & O_NONBLOCK);
	assert_int_equal(fcntl(fd, F_SETFL, flags & ~O_NONBLOCK), 0);
}

static void test_outside_eventfds_that_block(void **state)
{
	start_good(RINGS);
	for (unsigned i = 0; i < SERVED; i++) {
		struct told told = device->told(i);

		loop_bell_take(told.kick_fd);
		make_blocking(told.kick_fd);
		make_blocking(told.call_fd);
	}
	virtio_function_reset(&victim); /* nothing to take there */
	start_good(RINGS);
	for (unsigned i = 0; i < SERVED; i++) {
		struct told told = device->told(i);

		loop_bell_take(told.kick_fd);
		assert_int_equal(eventfd_write(told.kick_fd, UINT64_MAX - 1), 0);
		virtio_function_kick(&victim, i); /* and no room there */
		assert_true(loop_bell_take(told.kick_fd));
	}
	start_good(RINGS + 0x10000);
}

#define BOTH(name) \
	{#name " (fs)", name, setup_fs, teardown, NULL}, \
	{ \
#name " (vsock)", name, setup_vsock, teardown, NULL \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        BOTH(test_outside_offers_no_more_than_it_knows),
	        BOTH(test_outside_ring_addresses),
	        BOTH(test_outside_ring_at_the_end_of_memory),
	        BOTH(test_outside_queue_sizes),
	        BOTH(test_outside_enabled_before_its_addresses),
	        BOTH(test_outside_only_one_queue_and_the_other_later),
	        BOTH(test_outside_bells_of_queues_that_do_not_exist),
	        BOTH(test_outside_vectors_out_of_range),
	        BOTH(test_outside_config_at_every_width_and_offset),
	        BOTH(test_outside_every_register_at_every_width),
	        BOTH(test_outside_resets_under_fire),
	        BOTH(test_outside_guest_that_ends),
	        BOTH(test_outside_error_of_a_queue),
	        {"test_outside_process_that_dies_is_replaced", test_outside_process_that_dies_is_replaced,
	                setup_fs, teardown, NULL},
	        {"test_outside_kernel_that_refuses_a_call", test_outside_kernel_that_refuses_a_call,
	                setup_vsock, teardown, NULL},
	        BOTH(test_outside_memory_that_is_added),
	        BOTH(test_outside_eventfds_that_block),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
