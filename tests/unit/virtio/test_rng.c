/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-rng on a queue of its own and a real loop. */
#include "fake_transport.h"
#include "support/loop_run.h"

static struct err err;
static struct loop *loop;
static struct device_board board;

static int setup(void **state)
{
	const struct config_device config = {.driver = CONFIG_RNG, .id = (char *)(uintptr_t) "rng0"};
	struct virtio_place place = {.board = &board, .vcpus = 1};

	if (bench_setup(state) || loop_create(&loop, &err))
		return -1;
	place.main_loop = loop;
	return virtio_rng_add(&place, &config, &err);
}

static int teardown(void **state)
{
	fake.setup.kind->finish(fake.setup.ctx);
	loop_destroy(loop);
	return bench_teardown(state);
}

static void start(struct bench *bench, uint16_t size)
{
	struct virtio_queue *queue = &bench->queue;

	bench_start(bench, size, VIRTIO_F_EVENT_IDX);
	memset(bench->driver.ram + DRIVER_BUFFERS, 0, MIB(1));
	fake_start(bench, &queue, 1);
}

static unsigned zeros(const uint8_t *data, size_t size)
{
	unsigned count = 0;

	for (size_t i = 0; i < size; i++)
		count += !data[i];
	return count;
}

static void test_rng_fills_what_the_driver_offers(void **state)
{
	struct bench *bench = *state;
	struct vring_used_elem elem;
	const uint8_t *data;

	start(bench, 8);
	data = bench->driver.ram + DRIVER_BUFFERS;
	driver_desc(&bench->driver, 0, DRIVER_BUFFERS, 1000, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1);
	driver_desc(&bench->driver, 1, DRIVER_BUFFERS + 2000, 1000, VRING_DESC_F_WRITE, 0);
	driver_offer(&bench->driver, 0);
	fake_kick(&bench->queue);
	assert_true(driver_take(&bench->driver, &elem));
	assert_int_equal(elem.len, 2000);
	assert_int_equal(bench->calls, 1);
	/* On average 4 of 1,000 random bytes are zero; 100 of them never are. */
	assert_true(zeros(data, 1000) < 100);
	assert_true(zeros(data + 2000, 1000) < 100);
	assert_int_equal(zeros(data + 1000, 1000), 1000);
	assert_int_equal(zeros(data + 3000, 1000), 1000);
	fake_stop();
	assert_int_equal(fake.stops, 1);
}

static void test_rng_gives_a_large_request_a_part(void **state)
{
	struct bench *bench = *state;
	struct vring_used_elem elem;

	start(bench, 8);
	driver_desc(&bench->driver, 0, DRIVER_BUFFERS, MIB(2), VRING_DESC_F_WRITE, 0);
	driver_offer(&bench->driver, 0);
	fake_kick(&bench->queue);
	assert_true(driver_take(&bench->driver, &elem));
	assert_in_range(elem.len, 1, 65536);
	assert_int_equal(zeros(bench->driver.ram + DRIVER_BUFFERS + elem.len, 1000), 1000);
	fake_stop();
}

/* A kick serves a part; the loop goes on with the rest without another kick. */
static void test_rng_leaves_the_loop_its_turn(void **state)
{
	struct bench *bench = *state;
	struct vring_used_elem elem;
	unsigned taken = 0;

	start(bench, 64);
	for (uint16_t i = 0; i < 64; i++) {
		driver_desc(&bench->driver, i, DRIVER_BUFFERS + 4096u * i, 4096, VRING_DESC_F_WRITE, 0);
		driver_offer(&bench->driver, i);
	}
	fake_kick(&bench->queue);
	while (driver_take(&bench->driver, &elem))
		taken++;
	assert_in_range(taken, 1, 32);
	loop_run_for(loop, 50);
	while (driver_take(&bench->driver, &elem))
		taken++;
	assert_int_equal(taken, 64);
	assert_true(zeros(bench->driver.ram + DRIVER_BUFFERS, 64 * 4096) < 2000);
	/* It waits for a kick again. */
	assert_true(driver_offer(&bench->driver, 0));
	fake_stop();
}

/* Stopped between two turns: nothing is touched any more. */
static void test_rng_stopped_touches_nothing(void **state)
{
	struct bench *bench = *state;
	struct vring_used_elem elem;
	unsigned taken = 0;

	start(bench, 64);
	for (uint16_t i = 0; i < 64; i++) {
		driver_desc(&bench->driver, i, DRIVER_BUFFERS, 4096, VRING_DESC_F_WRITE, 0);
		driver_offer(&bench->driver, i);
	}
	fake_kick(&bench->queue);
	fake_stop();
	while (driver_take(&bench->driver, &elem))
		taken++;
	assert_true(taken < 64);
	loop_run_for(loop, 20);
	assert_false(driver_take(&bench->driver, &elem));
	assert_int_equal(fake.stops, 1);
}

static void test_rng_buffer_to_read_breaks_it(void **state)
{
	struct bench *bench = *state;
	struct vring_used_elem elem;

	start(bench, 8);
	driver_desc(&bench->driver, 0, DRIVER_BUFFERS, 8, VRING_DESC_F_NEXT, 1);
	driver_desc(&bench->driver, 1, DRIVER_BUFFERS + 8, 8, VRING_DESC_F_WRITE, 0);
	driver_offer(&bench->driver, 0);
	fake_kick(&bench->queue);
	assert_int_equal(fake.breaks, 1);
	assert_non_null(strstr(fake.broken, "buffer to read"));
	driver_offer(&bench->driver, 1);
	fake_kick(&bench->queue);
	loop_run_for(loop, 20);
	assert_false(driver_take(&bench->driver, &elem));
	assert_int_equal(fake.breaks, 1);
	fake_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_rng_fills_what_the_driver_offers, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_rng_gives_a_large_request_a_part, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_rng_leaves_the_loop_its_turn, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_rng_stopped_touches_nothing, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_rng_buffer_to_read_breaks_it, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
