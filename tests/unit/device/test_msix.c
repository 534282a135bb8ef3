/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSI-X: the table, masks, pending bits, and eventfds that interrupt by a vector (PCI 3.0, 6.8.2).
 */
#include <sched.h>
#include <sys/eventfd.h>

#include "pci_card.h"

#define SLOT    3
#define BAR_AT  UINT64_C(0xe0000000)
#define VECTORS 70 /* more than one word of pending bits */
#define PBA_AT  (BAR_AT + 16 * VECTORS)
#define ON      0x80000000u
#define MASKED  0x40000000u

struct fixture {
	struct card_board b;
	struct device_msix *msix;
	unsigned capability;
	int fd;
};

static int setup(void **state)
{
	static struct fixture f;
	struct device_pci_setup setup = {
	        .device = SLOT, .interrupt_pin = 1, .msix_vectors = VECTORS, .msix_bar = 1};
	struct device_pci_function *function;
	struct err err;

	f = (struct fixture){0};
	card_board_init(&f.b);
	assert_ok(device_pci_add(f.b.pci, &setup, &function, &err));
	device_bus_freeze(f.b.board.bus);
	f.msix = device_pci_msix(function);
	f.capability = config_find(&f.b, SLOT, 0x11);
	f.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	config_set(&f.b, SLOT, BAR(1), (uint32_t)BAR_AT);
	config_set(&f.b, SLOT, COMMAND, COMMAND_MEMORY);
	config_set(&f.b, SLOT, f.capability, ON);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_false(f->b.wires.wrong);
	device_board_finish(&f->b.board);
	close(f->fd);
	return 0;
}

static void set_vector(struct fixture *f, unsigned vector, uint64_t address, uint32_t data, bool masked)
{
	mmio_set(&f->b, BAR_AT + 16 * vector, 8, address);
	mmio_set(&f->b, BAR_AT + 16 * vector + 8, 4, data);
	mmio_set(&f->b, BAR_AT + 16 * vector + 12, 4, masked);
}

static void signal_fd(int fd)
{
	assert_int_equal(eventfd_write(fd, 1), 0);
}

static void test_msix_capability_says_where_the_table_is(void **state)
{
	struct fixture *f = *state;

	config_set(&f->b, SLOT, f->capability, 0xffffffff);
	assert_int_equal(config_get(&f->b, SLOT, f->capability), 0xc0000011 | (VECTORS - 1) << 16);
	assert_int_equal(config_get(&f->b, SLOT, f->capability + 4), 1);
	assert_int_equal(config_get(&f->b, SLOT, f->capability + 8), (16 * VECTORS) | 1);
}

static void test_msix_table_reads_back_with_reserved_bits_zero(void **state)
{
	struct fixture *f = *state;
	uint64_t at = BAR_AT + 16 * 69;

	assert_int_equal(mmio_get(&f->b, at, 8), 0);
	assert_int_equal(mmio_get(&f->b, at + 8, 8), UINT64_C(1) << 32);
	mmio_set(&f->b, at, 8, UINT64_MAX);
	mmio_set(&f->b, at + 8, 8, UINT64_MAX);
	assert_int_equal(mmio_get(&f->b, at, 8), UINT64_MAX & ~3ull);
	assert_int_equal(mmio_get(&f->b, at + 8, 8), 0x1ffffffff);
	mmio_set(&f->b, at + 2, 1, 0x12);
	assert_int_equal(mmio_get(&f->b, at, 4), 0xff12fffc);
	/* An access may lie across two vectors. */
	mmio_set(&f->b, at - 4, 8, 0xfee00123ull << 32);
	assert_int_equal(mmio_get(&f->b, at - 4, 4), 0);
	assert_int_equal(mmio_get(&f->b, at, 4), 0xfee00120);
	/* Behind the table are the pending bits and nothing: writes there have no effect. */
	mmio_set(&f->b, at + 12, 8, UINT64_MAX);
	mmio_set(&f->b, BAR_AT + 0xff8, 8, UINT64_MAX);
	assert_int_equal(mmio_get(&f->b, PBA_AT, 8), 0);
	assert_int_equal(mmio_get(&f->b, BAR_AT + 0xff8, 8), 0);
}

static void test_msix_vector_sends_its_message(void **state)
{
	struct fixture *f = *state;

	set_vector(f, 2, 0xfee01000, 0x4041, false);
	device_msix_notify(f->msix, 2);
	assert_int_equal(f->b.wires.sent, 1);
	assert_int_equal(f->b.wires.last.address, 0xfee01000);
	assert_int_equal(f->b.wires.last.data, 0x4041);
	device_msix_notify(f->msix, VECTORS);
	device_msix_notify(f->msix, 0xffff);
	assert_int_equal(f->b.wires.sent, 1);
}

/* However often it happened meanwhile, the message is sent once. */
static void test_msix_masked_vector_is_pending(void **state)
{
	struct fixture *f = *state;

	set_vector(f, 65, 0xfee00000, 0x51, true);
	device_msix_notify(f->msix, 65);
	device_msix_notify(f->msix, 65);
	assert_int_equal(f->b.wires.sent, 0);
	assert_int_equal(mmio_get(&f->b, PBA_AT, 8), 0);
	assert_int_equal(mmio_get(&f->b, PBA_AT + 8, 8), 2);
	assert_int_equal(mmio_get(&f->b, PBA_AT + 8, 1), 2);
	mmio_set(&f->b, PBA_AT + 8, 8, 0);
	assert_int_equal(mmio_get(&f->b, PBA_AT + 8, 4), 2);
	set_vector(f, 65, 0xfee00000, 0x52, false);
	assert_int_equal(f->b.wires.sent, 1);
	assert_int_equal(f->b.wires.last.data, 0x52);
	assert_int_equal(mmio_get(&f->b, PBA_AT + 8, 8), 0);
}

static void test_msix_function_mask_covers_all_vectors(void **state)
{
	struct fixture *f = *state;

	set_vector(f, 0, 0xfee00000, 0x60, false);
	set_vector(f, 1, 0xfee00000, 0x61, false);
	config_set(&f->b, SLOT, f->capability, ON | MASKED);
	device_msix_notify(f->msix, 0);
	device_msix_notify(f->msix, 1);
	assert_int_equal(f->b.wires.sent, 0);
	assert_int_equal(mmio_get(&f->b, PBA_AT, 4), 3);
	config_set(&f->b, SLOT, f->capability, ON);
	assert_int_equal(f->b.wires.sent, 2);
}

static void test_msix_off_sends_nothing(void **state)
{
	struct fixture *f = *state;

	set_vector(f, 0, 0xfee00000, 0x60, false);
	config_set(&f->b, SLOT, f->capability, 0);
	assert_false(device_msix_is_on(f->msix));
	device_msix_notify(f->msix, 0);
	config_set(&f->b, SLOT, f->capability, ON);
	assert_int_equal(f->b.wires.sent, 0);
	assert_int_equal(mmio_get(&f->b, PBA_AT, 4), 0);
}

static void test_msix_eventfd_is_bound_while_its_vector_is_not_masked(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(device_msix_connect(f->msix, 3, f->fd), 0);
	assert_int_equal(f->b.wires.bound_count, 0);
	set_vector(f, 3, 0xfee02000, 0x71, false);
	assert_int_equal(f->b.wires.bound_count, 1);
	assert_int_equal(f->b.wires.bound[0].fd, f->fd);
	assert_int_equal(f->b.wires.bound[0].message.address, 0xfee02000);
	assert_int_equal(f->b.wires.bound[0].message.data, 0x71);
	config_set(&f->b, SLOT, f->capability, ON | MASKED);
	assert_int_equal(f->b.wires.bound_count, 0);
	config_set(&f->b, SLOT, f->capability, ON);
	assert_int_equal(f->b.wires.bound_count, 1);
	device_msix_disconnect(f->msix, f->fd);
	device_msix_disconnect(f->msix, f->fd);
	assert_int_equal(f->b.wires.bound_count, 0);
}

/* Nobody reads the eventfd meanwhile. Its message is sent with the unmasking. */
static void test_msix_eventfd_of_a_masked_vector_is_pending(void **state)
{
	struct fixture *f = *state;

	set_vector(f, 3, 0xfee02000, 0x71, true);
	assert_int_equal(device_msix_connect(f->msix, 3, f->fd), 0);
	assert_int_equal(mmio_get(&f->b, PBA_AT, 8), 0);
	signal_fd(f->fd);
	assert_int_equal(mmio_get(&f->b, PBA_AT, 8), 1 << 3);
	set_vector(f, 3, 0xfee02000, 0x71, false);
	assert_int_equal(mmio_get(&f->b, PBA_AT, 8), 0);
	assert_int_equal(f->b.wires.sent, 1);
	set_vector(f, 3, 0xfee02000, 0x71, true);
	assert_int_equal(mmio_get(&f->b, PBA_AT, 8), 0);
}

static void test_msix_eventfd_follows_a_message_that_changes(void **state)
{
	struct fixture *f = *state;

	set_vector(f, 3, 0xfee02000, 0x71, false);
	assert_int_equal(device_msix_connect(f->msix, 3, f->fd), 0);
	mmio_set(&f->b, BAR_AT + 16 * 3 + 8, 4, 0x72);
	assert_int_equal(f->b.wires.bound_count, 1);
	assert_int_equal(f->b.wires.bound[0].message.data, 0x72);
	assert_int_equal(f->b.wires.binds, 2);
	mmio_set(&f->b, BAR_AT + 16 * 3 + 8, 4, 0x72);
	assert_int_equal(f->b.wires.binds, 2);
}

static void test_msix_vector_may_have_several_eventfds(void **state)
{
	struct fixture *f = *state;
	auto_close int second = eventfd(0, EFD_CLOEXEC);

	set_vector(f, 0, 0xfee00000, 0x71, false);
	assert_int_equal(device_msix_connect(f->msix, 0, f->fd), 0);
	assert_int_equal(device_msix_connect(f->msix, 0, second), 0);
	assert_int_equal(f->b.wires.bound_count, 2);
	device_msix_disconnect(f->msix, f->fd);
	assert_int_equal(f->b.wires.bound_count, 1);
	set_vector(f, 0, 0xfee00000, 0x71, true);
	assert_int_equal(f->b.wires.bound_count, 0);
	signal_fd(second);
	assert_int_equal(mmio_get(&f->b, PBA_AT, 1), 1);
	device_msix_disconnect(f->msix, second);
}

static void test_msix_connection_that_cannot_be_is_refused(void **state)
{
	struct fixture *f = *state;

	set_vector(f, 0, 0xfee00000, 0x71, false);
	f->b.wires.refuse = true;
	assert_int_equal(device_msix_connect(f->msix, 0, f->fd), -1);
	f->b.wires.refuse = false;
	assert_int_equal(device_msix_connect(f->msix, VECTORS, f->fd), -1);
	config_set(&f->b, SLOT, f->capability, 0);
	assert_int_equal(device_msix_connect(f->msix, 0, f->fd), -1);
	assert_int_equal(f->b.wires.bound_count, 0);
}

static void test_msix_is_off_after_a_reset(void **state)
{
	struct fixture *f = *state;

	set_vector(f, 0, 0xfee00000, 0x71, false);
	set_vector(f, 1, 0xfee00000, 0x72, true);
	device_msix_notify(f->msix, 1);
	assert_int_equal(device_msix_connect(f->msix, 0, f->fd), 0);
	reset_device(&f->b.board, &device_pci_kind);
	assert_int_equal(f->b.wires.bound_count, 0);
	assert_false(device_msix_is_on(f->msix));
	config_set(&f->b, SLOT, BAR(1), (uint32_t)BAR_AT);
	config_set(&f->b, SLOT, COMMAND, COMMAND_MEMORY);
	assert_int_equal(mmio_get(&f->b, BAR_AT + 8, 8), UINT64_C(1) << 32);
	assert_int_equal(mmio_get(&f->b, PBA_AT, 4), 0);
}

struct sender {
	struct fixture *f;
	_Atomic bool stop;
};

static void *send_all_the_time(void *ctx)
{
	struct sender *sender = ctx;

	while (!sender->stop)
		device_msix_notify(sender->f->msix, 0);
	return NULL;
}

/* A device notifies while a vCPU masks and unmasks: after the mask was written, nothing is sent. */
static void test_msix_nothing_is_sent_after_the_mask(void **state)
{
	struct fixture *f = *state;
	struct sender sender = {.f = f};
	pthread_t thread;

	set_vector(f, 0, 0xfee00000, 0x71, false);
	assert_int_equal(pthread_create(&thread, NULL, send_all_the_time, &sender), 0);
	for (unsigned i = 0; i < 500; i++) {
		unsigned sent;

		mmio_set(&f->b, BAR_AT + 12, 4, 1);
		pthread_mutex_lock(&f->b.wires.lock);
		sent = f->b.wires.sent;
		pthread_mutex_unlock(&f->b.wires.lock);
		mmio_get(&f->b, PBA_AT, 8);
		pthread_mutex_lock(&f->b.wires.lock);
		assert_int_equal(f->b.wires.sent, sent);
		pthread_mutex_unlock(&f->b.wires.lock);
		mmio_set(&f->b, BAR_AT + 12, 4, 0);
	}
	/* The vector is not masked now, so the thread sends something as soon as it runs. */
	for (unsigned sent = 0; !sent; sched_yield()) {
		pthread_mutex_lock(&f->b.wires.lock);
		sent = f->b.wires.sent;
		pthread_mutex_unlock(&f->b.wires.lock);
	}
	sender.stop = true;
	pthread_join(thread, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_msix_capability_says_where_the_table_is),
	        TEST(test_msix_table_reads_back_with_reserved_bits_zero),
	        TEST(test_msix_vector_sends_its_message),
	        TEST(test_msix_masked_vector_is_pending),
	        TEST(test_msix_function_mask_covers_all_vectors),
	        TEST(test_msix_off_sends_nothing),
	        TEST(test_msix_eventfd_is_bound_while_its_vector_is_not_masked),
	        TEST(test_msix_eventfd_of_a_masked_vector_is_pending),
	        TEST(test_msix_eventfd_follows_a_message_that_changes),
	        TEST(test_msix_vector_may_have_several_eventfds),
	        TEST(test_msix_connection_that_cannot_be_is_refused),
	        TEST(test_msix_is_off_after_a_reset),
	        TEST(test_msix_nothing_is_sent_after_the_mask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
