/* SPDX-License-Identifier: Apache-2.0 */
/* The ring walker with a driver that keeps the rules, up to two threads that race. */
#include <pthread.h>
#include <sys/eventfd.h>

#include "driver.h"

static struct virtio_chain chain;

static void test_queue_empty_gives_nothing(void **state)
{
	struct bench *bench = *state;

	bench_start(bench, 16, 0);
	assert_int_equal(virtio_queue_pop(&bench->queue, &chain), 0);
	virtio_queue_flush(&bench->queue);
	assert_int_equal(bench->calls, 0);
	assert_int_equal(virtio_queue_index(&bench->queue), 5);
}

static void test_queue_chain_has_its_buffers_in_order(void **state)
{
	struct bench *bench = *state;
	const struct driver *driver = &bench->driver;
	char text[16] = "";

	bench_start(bench, 16, 0);
	driver_desc(driver, 3, DRIVER_BUFFERS, 2, VRING_DESC_F_NEXT, 15);
	driver_desc(driver, 15, DRIVER_BUFFERS + 64, 4, VRING_DESC_F_NEXT, 0);
	driver_desc(driver, 0, DRIVER_BUFFERS + 128, 3, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 7);
	driver_desc(driver, 7, DRIVER_BUFFERS + 192, 100, VRING_DESC_F_WRITE, 3);
	memcpy(driver->ram + DRIVER_BUFFERS, "he", 2);
	memcpy(driver->ram + DRIVER_BUFFERS + 64, "llo!", 4);
	driver_offer(&bench->driver, 3);

	assert_int_equal(virtio_queue_pop(&bench->queue, &chain), 1);
	assert_int_equal(chain.head, 3);
	assert_int_equal(chain.readable, 2);
	assert_int_equal(chain.readable_bytes, 6);
	assert_int_equal(chain.writable, 2);
	assert_int_equal(chain.writable_bytes, 103);
	assert_int_equal(virtio_chain_read(&chain, 1, text, sizeof(text)), 5);
	assert_string_equal(text, "ello!");
	assert_int_equal(virtio_chain_write(&chain, 1, "abcd", 4), 4);
	assert_memory_equal(driver->ram + DRIVER_BUFFERS + 129, "ab", 2);
	assert_memory_equal(driver->ram + DRIVER_BUFFERS + 192, "cd", 2);
	assert_int_equal(virtio_chain_write(&chain, 103, "abcd", 4), 0);
	assert_int_equal(virtio_queue_pop(&bench->queue, &chain), 0);
}

static void test_queue_driver_sees_chains_after_the_flush(void **state)
{
	struct bench *bench = *state;
	struct vring_used_elem elem;

	bench_start(bench, 4, 0);
	for (uint16_t i = 0; i < 4; i++) {
		driver_desc(&bench->driver, i, DRIVER_BUFFERS, 8, VRING_DESC_F_WRITE, 0);
		driver_offer(&bench->driver, i);
	}
	for (uint16_t i = 0; i < 4; i++)
		assert_int_equal(virtio_queue_pop(&bench->queue, &chain), 1);
	/* In another order than they came. */
	virtio_queue_push_iov(&bench->queue, 2, NULL, 0, 8);
	virtio_queue_push_iov(&bench->queue, 0, NULL, 0, 5);
	assert_false(driver_take(&bench->driver, &elem));
	virtio_queue_flush(&bench->queue);
	assert_int_equal(bench->calls, 1);
	assert_true(driver_take(&bench->driver, &elem));
	assert_int_equal(elem.id, 2);
	assert_int_equal(elem.len, 8);
	assert_true(driver_take(&bench->driver, &elem));
	assert_int_equal(elem.id, 0);
	assert_int_equal(elem.len, 5);
	assert_false(driver_take(&bench->driver, &elem));
	/* Nothing new, no interrupt. A head that is not in flight goes nowhere. */
	virtio_queue_push_iov(&bench->queue, 2, NULL, 0, 8);
	virtio_queue_push_iov(&bench->queue, 40000, NULL, 0, 8);
	virtio_queue_flush(&bench->queue);
	assert_int_equal(bench->calls, 1);
	assert_false(driver_take(&bench->driver, &elem));
}

static void test_queue_unpop_gives_the_chain_again(void **state)
{
	struct bench *bench = *state;

	bench_start(bench, 4, 0);
	for (uint16_t i = 0; i < 2; i++) {
		driver_desc(&bench->driver, i, DRIVER_BUFFERS, 8u + i, VRING_DESC_F_WRITE, 0);
		driver_offer(&bench->driver, i);
	}
	assert_int_equal(virtio_queue_pop(&bench->queue, &chain), 1);
	assert_int_equal(virtio_queue_pop(&bench->queue, &chain), 1);
	virtio_queue_unpop(&bench->queue);
	assert_true(virtio_queue_listen(&bench->queue));
	assert_int_equal(virtio_queue_pop(&bench->queue, &chain), 1);
	assert_int_equal(chain.head, 1);
	assert_int_equal(chain.writable_bytes, 9);
	assert_int_equal(virtio_queue_pop(&bench->queue, &chain), 0);
}

/* ---- indirect tables: 2.7.5.3 ---- */

static void test_queue_indirect_table_is_followed(void **state)
{
	struct bench *bench = *state;
	const struct driver *driver = &bench->driver;
	/* Odd on purpose: no alignment is demanded. */
	const uint64_t at = DRIVER_TABLES + 5;
	struct vring_desc table[3] = {
	        {.addr = DRIVER_BUFFERS + 8, .len = 8, .flags = VRING_DESC_F_NEXT, .next = 2},
	        {.addr = DRIVER_BUFFERS + 99, .len = 1, .flags = VRING_DESC_F_WRITE},
	        {.addr = DRIVER_BUFFERS + 16, .len = 8, .flags = VRING_DESC_F_NEXT, .next = 1},
	};

	bench_start(bench, 4, VIRTIO_F_INDIRECT_DESC);
	memcpy(driver->ram + at, table, sizeof(table));
	/* An ordinary descriptor first; the device ignores the flag WRITE of the one that names the table. */
	driver_desc(driver, 0, DRIVER_BUFFERS, 8, VRING_DESC_F_NEXT, 2);
	driver_desc(driver, 2, at, sizeof(table), VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE, 0);
	driver_offer(&bench->driver, 0);
	assert_int_equal(virtio_queue_pop(&bench->queue, &chain), 1);
	assert_int_equal(chain.readable, 3);
	assert_int_equal(chain.writable, 1);
	assert_ptr_equal(chain.iov[2].iov_base, driver->ram + DRIVER_BUFFERS + 16);
	assert_ptr_equal(chain.iov[3].iov_base, driver->ram + DRIVER_BUFFERS + 99);
}

static void test_queue_chain_may_have_as_many_buffers_as_a_device_takes(void **state)
{
	struct bench *bench = *state;
	const struct driver *driver = &bench->driver;
	struct vring_desc *table;

	bench_start(bench, 2, VIRTIO_F_INDIRECT_DESC);
	table = (struct vring_desc *)(driver->ram + DRIVER_TABLES);
	for (uint16_t i = 0; i < VIRTIO_SEGMENTS_MAX; i++)
		table[i] = (struct vring_desc){.addr = DRIVER_BUFFERS + i,
		        .len = 1,
		        .flags = i + 1 < VIRTIO_SEGMENTS_MAX ? VRING_DESC_F_NEXT : 0,
		        .next = (uint16_t)(i + 1)};
	driver_desc(driver, 1, DRIVER_TABLES, 16 * VIRTIO_SEGMENTS_MAX, VRING_DESC_F_INDIRECT, 0);
	driver_offer(&bench->driver, 1);
	assert_int_equal(virtio_queue_pop(&bench->queue, &chain), 1);
	assert_int_equal(chain.readable, VIRTIO_SEGMENTS_MAX);
	assert_int_equal(chain.readable_bytes, VIRTIO_SEGMENTS_MAX);
}

/* ---- who is woken when ---- */

/* Offers, pops and pushes n chains of one buffer, and flushes once. */
static void serve(struct bench *bench, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		driver_desc(&bench->driver, i, DRIVER_BUFFERS, 8, VRING_DESC_F_WRITE, 0);
		driver_offer(&bench->driver, (uint16_t)i);
		assert_int_equal(virtio_queue_pop(&bench->queue, &chain), 1);
		virtio_queue_push(&bench->queue, &chain, 8);
	}
	virtio_queue_flush(&bench->queue);
}

static void test_queue_flag_keeps_interrupts_away(void **state)
{
	struct bench *bench = *state;

	bench_start(bench, 8, 0);
	bench->driver.ring.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	serve(bench, 2);
	assert_int_equal(bench->calls, 0);
	bench->driver.ring.avail->flags = 0;
	serve(bench, 2);
	assert_int_equal(bench->calls, 1);
}

/* 2.7.7.2: an interrupt when the used index passes used_event; the flag means nothing. */
static void test_queue_interrupts_when_the_event_is_passed(void **state)
{
	struct bench *bench = *state;

	bench_start(bench, 8, VIRTIO_F_EVENT_IDX);
	bench->driver.ring.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	serve(bench, 1); /* entry 0; the event is 0 */
	assert_int_equal(bench->calls, 1);
	serve(bench, 1); /* the event was passed before */
	assert_int_equal(bench->calls, 1);
	vring_used_event(&bench->driver.ring) = 5;
	serve(bench, 3); /* 2..4 */
	assert_int_equal(bench->calls, 1);
	serve(bench, 3); /* 5..7 */
	assert_int_equal(bench->calls, 2);
	vring_used_event(&bench->driver.ring) = 2; /* long ago */
	serve(bench, 8);
	assert_int_equal(bench->calls, 2);
}

static void test_queue_asks_for_kicks(void **state)
{
	struct bench *bench = *state;
	struct driver *driver = &bench->driver;

	bench_start(bench, 8, 0);
	virtio_queue_hush(&bench->queue);
	assert_false(driver_offer(driver, 0));
	assert_true(virtio_queue_listen(&bench->queue));
	assert_true(driver_offer(driver, 1));

	bench_start(bench, 8, VIRTIO_F_EVENT_IDX);
	for (uint16_t i = 0; i < 8; i++)
		driver_desc(driver, i, DRIVER_BUFFERS, 8, VRING_DESC_F_WRITE, 0);
	assert_true(driver_offer(driver, 0));
	virtio_queue_hush(&bench->queue);
	assert_false(driver_offer(driver, 1));
	assert_true(virtio_queue_listen(&bench->queue)); /* both came meanwhile */
	assert_int_equal(virtio_queue_pop(&bench->queue, &chain), 1);
	assert_int_equal(virtio_queue_pop(&bench->queue, &chain), 1);
	assert_false(driver_offer(driver, 2)); /* the event is 0, long passed */
	assert_true(virtio_queue_listen(&bench->queue));
	assert_int_equal(virtio_queue_pop(&bench->queue, &chain), 1);
	assert_false(virtio_queue_listen(&bench->queue));
	assert_true(driver_offer(driver, 3));
	assert_false(driver_offer(driver, 4));
}

/* A device that knows neither hush nor listen is rung whenever it has seen that there is nothing. */
static void test_queue_rings_without_being_asked(void **state)
{
	static const uint64_t features[] = {0, VIRTIO_F_EVENT_IDX};
	struct bench *bench = *state;

	for (size_t i = 0; i < ARRAY_LEN(features); i++) {
		bench_start(bench, 8, features[i]);
		for (uint16_t round = 0; round < 1000; round++) {
			driver_desc(&bench->driver, 0, DRIVER_BUFFERS, 8, VRING_DESC_F_WRITE, 0);
			assert_true(driver_offer(&bench->driver, 0));
			assert_int_equal(virtio_queue_pop(&bench->queue, &chain), 1);
			virtio_queue_push_iov(&bench->queue, 0, NULL, 0, 8);
			virtio_queue_flush(&bench->queue);
			assert_int_equal(virtio_queue_pop(&bench->queue, &chain), 0);
		}
	}
}

/* ---- long runs ---- */

/* Indices count to 65,536 and begin again. Chains stay in flight across the end. */
static void run_past_the_end(struct bench *bench, uint16_t size, uint64_t features)
{
	struct vring_used_elem elem;
	uint16_t before = 0;

	bench_start(bench, size, features);
	for (uint16_t i = 0; i < size; i++)
		driver_desc(&bench->driver, i, DRIVER_BUFFERS, 1u + i, VRING_DESC_F_WRITE, 0);
	driver_offer(&bench->driver, 0);
	assert_int_equal(virtio_queue_pop(&bench->queue, &chain), 1);
	for (unsigned round = 1; round < 140000; round++) {
		uint16_t head = (uint16_t)(round % size);

		driver_listen(&bench->driver);
		bench->calls = 0;
		driver_offer(&bench->driver, head);
		assert_int_equal(virtio_queue_pop(&bench->queue, &chain), 1);
		assert_int_equal(chain.head, head);
		assert_int_equal(chain.writable_bytes, 1u + head);
		virtio_queue_push_iov(&bench->queue, before, NULL, 0, before);
		virtio_queue_flush(&bench->queue);
		assert_int_equal(bench->calls, 1);
		assert_true(driver_take(&bench->driver, &elem));
		assert_int_equal(elem.id, before);
		assert_int_equal(elem.len, before);
		before = head;
	}
}

static void test_queue_indices_wrap(void **state)
{
	run_past_the_end(*state, 8, 0);
	run_past_the_end(*state, 8, VIRTIO_F_EVENT_IDX);
	run_past_the_end(*state, VIRTIO_QUEUE_SIZE_MAX, VIRTIO_F_EVENT_IDX);
}

/* ---- two threads ---- */

#define RACES 100000

struct race {
	struct bench *bench;
	int kick_fd, call_fd;
	bool hush; /* whether the device asks for silence while it works */
	unsigned served;
};

static void wait_for(int fd)
{
	uint64_t count;

	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
}

static void ring_bell(int fd)
{
	const uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static void on_race_call(void *ctx, unsigned index)
{
	ring_bell(((struct race *)ctx)->call_fd);
}

/* A device that sleeps whenever there is nothing to do. */
static void *run_device(void *ctx)
{
	static struct virtio_chain own;
	struct race *race = ctx;
	struct virtio_queue *queue = &race->bench->queue;

	while (race->served < RACES) {
		if (race->hush)
			virtio_queue_hush(queue);
		while (virtio_queue_pop(queue, &own) == 1) {
			virtio_queue_push(queue, &own, (uint32_t)own.writable_bytes);
			race->served++;
		}
		virtio_queue_flush(queue);
		if ((!race->hush || !virtio_queue_listen(queue)) && race->served < RACES)
			wait_for(race->kick_fd);
	}
	return NULL;
}

static unsigned take_all(struct race *race, bool *free_heads)
{
	struct vring_used_elem elem;
	unsigned taken = 0;

	for (; driver_take(&race->bench->driver, &elem); taken++) {
		assert_false(free_heads[elem.id]);
		assert_int_equal(elem.len, race->bench->driver.ring.desc[elem.id].len);
		free_heads[elem.id] = true;
	}
	return taken;
}

/* A driver that sleeps whenever all of its descriptors are in flight. A lost wake-up hangs the test. */
static void run_driver(struct race *race, uint16_t size)
{
	struct driver *driver = &race->bench->driver;
	bool free_heads[64];
	unsigned offered = 0, taken = 0;

	memset(free_heads, true, sizeof(free_heads));
	while (taken < RACES) {
		for (uint16_t head = 0; head < size && offered < RACES; head++) {
			if (!free_heads[head])
				continue;
			free_heads[head] = false;
			driver_desc(
			        driver, head, DRIVER_BUFFERS, 1 + offered++ % 1000, VRING_DESC_F_WRITE, 0);
			if (driver_offer(driver, head))
				ring_bell(race->kick_fd);
		}
		taken += take_all(race, free_heads);
		if ((offered == RACES || offered - taken == size) && taken < RACES && !driver_listen(driver))
			wait_for(race->call_fd);
	}
}

static void race(struct bench *bench, uint16_t size, uint64_t features, bool hush)
{
	struct race race = {
	        .bench = bench, .kick_fd = eventfd(0, EFD_CLOEXEC), .call_fd = eventfd(0, EFD_CLOEXEC)};
	struct virtio_queue_setup setup = bench_queue(bench, size, features);
	struct virtio_queue_owner owner = {.call = on_race_call, .ctx = &race};
	pthread_t device;

	setup.owner = &owner;
	assert_int_equal(virtio_queue_start(&bench->queue, &setup, &bench->err), 0);
	assert_int_equal(pthread_create(&device, NULL, run_device, &race), 0);
	run_driver(&race, size);
	assert_int_equal(pthread_join(device, NULL), 0);
	assert_int_equal(race.served, RACES);
	close(race.kick_fd);
	close(race.call_fd);
}

static void test_queue_two_threads_lose_no_wakeup(void **state)
{
	for (unsigned i = 0; i < 8; i++)
		race(*state, i & 1 ? 64 : 4, i & 2 ? VIRTIO_F_EVENT_IDX : 0, i & 4);
}

/* A queue that settles gives its chains again, in the same order, and what was pushed is shown. */
static void test_queue_settles_and_goes_on_elsewhere(void **state)
{
	struct bench *bench = *state;
	struct virtio_queue_setup setup = bench_queue(bench, 4, VIRTIO_F_EVENT_IDX);
	struct vring_used_elem elem;

	bench_start(bench, 4, VIRTIO_F_EVENT_IDX);
	virtio_queue_go_on(&bench->queue, 65534);
	bench->driver.avail_idx = bench->driver.used_seen = 65534;
	bench->driver.ring.avail->idx = bench->driver.ring.used->idx = 65534;
	for (unsigned i = 0; i < 4; i++) {
		driver_desc(&bench->driver, i, DRIVER_BUFFERS, 8, 0, 0);
		driver_offer(&bench->driver, (uint16_t)(3 - i));
	}
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(virtio_queue_pop(&bench->queue, &chain), 1);
	virtio_queue_push_iov(&bench->queue, 3, NULL, 0, 0);
	assert_false(driver_take(&bench->driver, &elem));
	virtio_queue_settle(&bench->queue);
	assert_true(driver_take(&bench->driver, &elem));
	assert_int_equal(elem.id, 3);
	assert_int_equal(bench->queue.used_next, 65535);
	assert_int_equal(virtio_queue_start(&bench->queue, &setup, &bench->err), 0);
	virtio_queue_go_on(&bench->queue, 65535);
	for (unsigned i = 1; i < 4; i++) {
		assert_int_equal(virtio_queue_pop(&bench->queue, &chain), 1);
		assert_int_equal(chain.head, 3 - i);
		virtio_queue_push(&bench->queue, &chain, 0);
	}
	assert_int_equal(virtio_queue_pop(&bench->queue, &chain), 0);
	virtio_queue_flush(&bench->queue);
	for (unsigned i = 1; i < 4; i++) {
		assert_true(driver_take(&bench->driver, &elem));
		assert_int_equal(elem.id, 3 - i);
	}
	assert_int_equal(bench->breaks, 0);
}

static void test_queue_place_names_what_the_driver_chose(void **state)
{
	struct bench *bench = *state;
	struct virtio_queue_setup setup = bench_queue(bench, 16, 0);
	struct virtio_queue_place place;

	setup.kick_fd = 7;
	setup.call_fd = 8;
	assert_int_equal(virtio_queue_start(&bench->queue, &setup, &bench->err), 0);
	place = virtio_queue_place(&bench->queue);
	assert_int_equal(place.desc_gpa, setup.desc_gpa);
	assert_int_equal(place.avail_gpa, setup.avail_gpa);
	assert_int_equal(place.used_gpa, setup.used_gpa);
	assert_ptr_equal(place.desc, bench->driver.ring.desc);
	assert_ptr_equal(place.avail, bench->driver.ring.avail);
	assert_ptr_equal(place.used, bench->driver.ring.used);
	assert_int_equal(place.size, 16);
	assert_int_equal(place.kick_fd, 7);
	assert_int_equal(place.call_fd, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_queue_empty_gives_nothing),
	        cmocka_unit_test(test_queue_chain_has_its_buffers_in_order),
	        cmocka_unit_test(test_queue_driver_sees_chains_after_the_flush),
	        cmocka_unit_test(test_queue_unpop_gives_the_chain_again),
	        cmocka_unit_test(test_queue_indirect_table_is_followed),
	        cmocka_unit_test(test_queue_chain_may_have_as_many_buffers_as_a_device_takes),
	        cmocka_unit_test(test_queue_flag_keeps_interrupts_away),
	        cmocka_unit_test(test_queue_interrupts_when_the_event_is_passed),
	        cmocka_unit_test(test_queue_asks_for_kicks),
	        cmocka_unit_test(test_queue_rings_without_being_asked),
	        cmocka_unit_test(test_queue_indices_wrap),
	        cmocka_unit_test(test_queue_settles_and_goes_on_elsewhere),
	        cmocka_unit_test(test_queue_two_threads_lose_no_wakeup),
	        cmocka_unit_test(test_queue_place_names_what_the_driver_chose),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
