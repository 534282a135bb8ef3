/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the transport interrupts a driver: by vectors, by the pin, and for queues that are served outside vmm.
 */
#include "transport.h"

/* ---- interrupts ---- */

static void test_transport_queue_interrupts_by_its_vector(void **state)
{
	make_ready(true, 3);
	call_driver(1);
	assert_int_equal(wires.sent, 1);
	assert_int_equal(wires.last.data, 2);
	assert_int_equal(isr(), 0);
	virtio_function_set(&function, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	virtio_function_set(&function, VIRTIO_PCI_COMMON_Q_MSIX, 2, VIRTIO_MSI_NO_VECTOR);
	call_driver(1);
	assert_int_equal(wires.sent, 1);
	assert_false(line());
}

/* Without MSI-X: the pin is high until the driver has read the status, which is then 0. */
static void test_transport_queue_interrupts_by_the_pin(void **state)
{
	make_ready(false, 3);
	assert_false(line());
	call_driver(0);
	call_driver(1);
	assert_true(line());
	virtio_device_config_changed(fake.device);
	assert_int_equal(isr(), 3);
	assert_false(line());
	assert_int_equal(isr(), 0);
	assert_int_equal(wires.sent, 0);
	call_driver(0);
	virtio_function_reset(&function);
	assert_false(line());
}

/* VIRTIO 2.4.1: the generation differs, so that a driver that read half of it reads again. */
static void test_transport_tells_that_the_configuration_changed(void **state)
{
	uint64_t before;

	virtio_device_config_changed(fake.device);
	make_ready(true, 3);
	assert_int_equal(wires.sent, 0); /* no driver was there to be told */
	before = virtio_function_get(&function, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	virtio_device_config_changed(fake.device);
	assert_int_equal(wires.sent, 1);
	assert_int_equal(wires.last.data, 0);
	assert_int_not_equal(virtio_function_get(&function, VIRTIO_PCI_COMMON_CFGGENERATION, 1), before);
}

/* ---- queues that are served outside ---- */

static void test_transport_outside_queue_interrupts_through_the_kernel(void **state)
{
	struct virtio_queue_place place;

	make_ready(true, 1 | 1 << OUTSIDE);
	place = virtio_queue_place(fake.queues[OUTSIDE]);
	assert_int_equal(wires.bound_count, 1);
	assert_int_equal(wires.bound[0].fd, place.call_fd);
	assert_int_equal(wires.bound[0].message.data, OUTSIDE + 1);
	assert_int_equal(place.kick_fd, fake_wires_bell(&wires, BELL(function.bars[0], OUTSIDE)));
	/* The driver moves the queue to another vector, and to none. */
	virtio_function_set(&function, VIRTIO_PCI_COMMON_Q_SELECT, 2, OUTSIDE);
	virtio_function_set(&function, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	assert_int_equal(wires.bound_count, 1);
	assert_int_equal(wires.bound[0].message.data, 1);
	virtio_function_set(&function, VIRTIO_PCI_COMMON_Q_MSIX, 2, VIRTIO_MSI_NO_VECTOR);
	assert_int_equal(wires.bound_count, 0);
	/* Kicks are the back end's alone. */
	virtio_function_kick(&function, OUTSIDE);
	virtio_guest_turn(&guest, 4);
	assert_int_equal(fake.kicks[OUTSIDE], 0);
}

/* The loop forwards the interrupts if the kernel does not: it has no message for a pin. */
static void test_transport_outside_queue_interrupts_through_the_loop(void **state)
{
	for (unsigned refused = 0; refused < 2; refused++) {
		wires.refuse = refused;
		guest.next_bar = VIRTIO_GUEST_BARS;
		make_ready(refused, 1 << OUTSIDE);
		assert_int_equal(wires.bound_count, 0);
		assert_int_equal(eventfd_write(virtio_queue_place(fake.queues[OUTSIDE]).call_fd, 1), 0);
		VIRTIO_GUEST_UNTIL(&guest, line() || wires.sent);
		assert_int_equal(line(), !refused);
		assert_int_equal(wires.sent, refused);
		assert_int_equal(isr(), !refused);
	}
	wires.refuse = false;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_transport_queue_interrupts_by_its_vector),
	        TEST(test_transport_queue_interrupts_by_the_pin),
	        TEST(test_transport_tells_that_the_configuration_changed),
	        TEST(test_transport_outside_queue_interrupts_through_the_kernel),
	        TEST(test_transport_outside_queue_interrupts_through_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
