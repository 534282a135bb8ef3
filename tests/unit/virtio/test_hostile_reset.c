/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile drivers: resets while requests are in flight, and what many rounds cost. */
#include <malloc.h>
#include <pthread.h>

#include "hostile.h"

/* ---- resets in flight ---- */

static void start_slow(void)
{
	virtio_function_negotiate(&victim, EVENT_IDX);
	virtio_function_queue(&victim, 0, &driver, RINGS, 8, true);
	virtio_function_add_status(&victim, VIRTIO_CONFIG_S_DRIVER_OK);
	assert_int_equal(virtio_function_status(&victim), RUNNING);
	for (uint16_t i = 0; i < 8; i++) {
		driver_desc(&driver, i, BUFFERS, 8, VRING_DESC_F_WRITE, 0);
		driver_offer(&driver, i);
	}
	virtio_function_kick(&victim, 0);
	while (slow.in_flight < 8)
		usleep(100);
}

static void test_hostile_reset_in_flight_waits(void **state)
{
	struct vring_used_elem elem;

	assert_true(virtio_function_find(&victim, &guest, SLOW, true));
	for (unsigned round = 1; round <= 5; round++) {
		unsigned taken = 0;

		start_slow();
		virtio_function_reset(&victim);
		assert_int_equal(slow.in_flight, 0);
		assert_int_equal(slow.stops, round);
		assert_null(slow.queue);
		while (driver_take(&driver, &elem))
			taken++;
		assert_int_equal(taken, 8);
		/* The memory is the driver's again: nothing is written to it any more. */
		memset(guest.ram + RINGS, 0xaa, 4096);
		virtio_function_kick(&victim, 0);
		usleep(1000);
		for (unsigned i = 0; i < 4096; i++)
			assert_int_equal(guest.ram[RINGS + i], 0xaa);
	}
	assert_int_equal(slow.starts, 5);
}

static _Atomic bool hammering;

static void *hammer(void *ctx)
{
	while (hammering) {
		virtio_function_kick(&victim, 0);
		virtio_function_get(&victim, VIRTIO_PCI_COMMON_STATUS, 1);
		device_bus_read(guest.board.bus, DEVICE_MMIO, victim.config, 4);
		device_bus_read(guest.board.bus, DEVICE_MMIO, victim.isr, 1);
		virtio_function_set(&victim, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	}
	return NULL;
}

/* Another processor of the guest rings, reads and writes while this one resets and starts again. */
static void test_hostile_reset_under_fire(void **state)
{
	pthread_t thread;

	assert_true(virtio_function_find(&victim, &guest, SLOW, true));
	hammering = true;
	assert_int_equal(pthread_create(&thread, NULL, hammer, NULL), 0);
	for (unsigned round = 0; round < 20; round++) {
		start_slow();
		if (round % 4 == 3) {
			jumping_index();
			virtio_function_kick(&victim, 0);
		}
		virtio_function_reset(&victim);
		assert_int_equal(slow.in_flight, 0);
	}
	hammering = false;
	pthread_join(thread, NULL);
	assert_int_equal(slow.starts, slow.stops);
}

/* The guest ends while requests are in flight. */
static void test_hostile_end_in_flight(void **state)
{
	assert_true(virtio_function_find(&victim, &guest, SLOW, true));
	start_slow();
	device_board_attach(&guest.board, NULL);
	assert_int_equal(slow.in_flight, 0);
	assert_int_equal(slow.stops, 1);
	device_board_reset(&guest.board);
	device_board_attach(&guest.board, guest.memory);
	assert_true(virtio_function_find(&other, &guest, OTHER_RNG, true));
	assert_true(start_rng(&other, &other_driver, OTHER));
}

/* ---- memory ---- */

static void test_hostile_rounds_cost_no_memory(void **state)
{
	size_t before = 0;

	assert_true(virtio_function_find(&victim, &guest, RNG, true));
	for (unsigned round = 0; round < 100; round++) {
		assert_true(start_rng(&victim, &driver, RINGS));
		(round % 2 ? jumping_index : loop_of_descriptors)();
		virtio_function_kick(&victim, 0);
		virtio_guest_turn(&guest, TURNS);
		sweep(&victim);
		virtio_function_reset(&victim);
		if (round == 20)
			before = mallinfo2().uordblks;
	}
	/* Sanitizers keep their own books: there this is 0 both times. */
	assert_true(mallinfo2().uordblks <= before + 16384);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        T(test_hostile_reset_in_flight_waits),
	        T(test_hostile_reset_under_fire),
	        T(test_hostile_end_in_flight),
	        T(test_hostile_rounds_cost_no_memory),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
