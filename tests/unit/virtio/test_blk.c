/* SPDX-License-Identifier: Apache-2.0 */
/* The block device: what a driver may ask, what it may not, many requests at once. */
#include <errno.h>
#include <sys/stat.h>

#include "blk_bench.h"

/* ---- what it does ---- */

static void test_blk_writes_flushes_and_reads(void **state)
{
	static uint8_t copy[65536];

	open_device(ALL_BITS);
	fill(DATA, sizeof(copy), 1);
	memcpy(copy, at(DATA), sizeof(copy));
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 8, sizeof(copy), false), VIRTIO_BLK_S_OK);
	assert_int_equal(used_bytes, 1);
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0, false), VIRTIO_BLK_S_OK);
	memset(at(DATA), 0, sizeof(copy));
	assert_int_equal(request(VIRTIO_BLK_T_IN, 8, sizeof(copy), true), VIRTIO_BLK_S_OK);
	assert_int_equal(used_bytes, sizeof(copy) + 1);
	assert_memory_equal(at(DATA), copy, sizeof(copy));
	assert_int_equal(pread(file, at(DATA), sizeof(copy), 8 * 512), sizeof(copy));
	assert_memory_equal(at(DATA), copy, sizeof(copy));
}

/* VIRTIO 2.7.4: a device may not rely on how the driver cuts a request into descriptors. */
static void test_blk_takes_any_layout(void **state)
{
	const struct part write[] = {{HEADER, 3, false}, {HEADER + 3, 13 + 100, false}, {DATA, 900, false},
	        {DATA + 900, 24, false}, {STATUS, 1, true}};
	const struct part read[] = {{HEADER, 10, false}, {HEADER + 10, 6, false}, {DATA + 4096, 1000, true},
	        {DATA + 8192, 25, true}};

	open_device(ALL_BITS);
	fill(HEADER, 256, 3);
	fill(DATA, 1024, 4);
	put_header(HEADER, VIRTIO_BLK_T_OUT, 100);
	offer(0, write, ARRAY_LEN(write));
	kick();
	take();
	assert_int_equal(*at(STATUS), VIRTIO_BLK_S_OK);
	put_header(HEADER, VIRTIO_BLK_T_IN, 100);
	at(DATA + 8192)[24] = NONE;
	offer(0, read, ARRAY_LEN(read));
	kick();
	assert_int_equal(take().len, 1025);
	assert_int_equal(at(DATA + 8192)[24], VIRTIO_BLK_S_OK);
	assert_memory_equal(at(DATA + 4096), at(HEADER + 16), 100);
	assert_memory_equal(at(DATA + 4096 + 100), at(DATA), 900);
	assert_memory_equal(at(DATA + 8192), at(DATA + 900), 24);
}

static void test_blk_tells_its_configuration(void **state)
{
	struct virtio_blk_config found = {0};

	open_device(ALL_BITS);
	assert_int_equal(fake.setup.kind->id, 2);
	assert_int_equal(fake.setup.config_bytes, 60);
	fake.setup.kind->config_read(fake.setup.ctx, 0, &found, 60);
	assert_int_equal(found.capacity, DISK_BYTES / 512);
	assert_int_equal(found.seg_max, 254);
	assert_int_equal(found.blk_size, 512);
	assert_int_equal(found.num_queues, 1);
	assert_true(found.max_discard_sectors && found.max_discard_seg == 1);
	/* SEG_MAX, BLK_SIZE, FLUSH, TOPOLOGY, MQ, DISCARD, WRITE_ZEROES */
	assert_int_equal(
	        fake.setup.features, 1u << 2 | 1 << 6 | 1 << 9 | 1 << 10 | 1 << 12 | 1 << 13 | 1 << 14);
}

static void test_blk_has_a_queue_for_each_vcpu(void **state)
{
	const struct virtio_place place = {.board = &board, .vcpus = 4};

	config.queues = 0;
	assert_ok(virtio_blk_add(&place, &config, &err));
	assert_int_equal(fake.setup.queues, 4);
	fake.setup.kind->finish(fake.setup.ctx);
	fake = (struct virtio_device){0};
}

static void test_blk_tells_its_serial(void **state)
{
	open_device(ALL_BITS);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 20, true), VIRTIO_BLK_S_OK);
	assert_memory_equal(at(DATA), serial, 20);
	memset(at(DATA), 'x', 20);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 7, true), VIRTIO_BLK_S_OK);
	assert_memory_equal(at(DATA), "0123456xxx", 10);
}

static void put_range(uint64_t sector, uint32_t sectors, uint32_t flags)
{
	const struct virtio_blk_discard_write_zeroes range = {
	        .sector = sector, .num_sectors = sectors, .flags = flags};

	memcpy(at(DATA), &range, sizeof(range));
}

static void test_blk_discards_and_writes_zeroes(void **state)
{
	static const uint8_t zeros[4096];
	uint8_t found[4096];

	open_device(ALL_BITS);
	for (uint32_t unmap = 0; unmap < 2; unmap++) {
		fill(DATA, 16384, 1);
		assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, 16384, false), VIRTIO_BLK_S_OK);
		put_range(8, 8, unmap);
		assert_int_equal(request(VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, false), VIRTIO_BLK_S_OK);
		assert_int_equal(pread(file, found, 4096, 4096), 4096);
		assert_memory_equal(found, zeros, 4096);
		assert_int_equal(pread(file, found, 4096, 8192), 4096);
		assert_memory_not_equal(found, zeros, 4096);
	}
	put_range(16, 8, 0);
	assert_int_equal(request(VIRTIO_BLK_T_DISCARD, 0, 16, false), VIRTIO_BLK_S_OK);
}

static void test_blk_refuses_what_no_driver_may_ask(void **state)
{
	open_device(ALL_BITS);
	assert_int_equal(request(99, 0, 512, true), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(request(VIRTIO_BLK_T_IN, DISK_BYTES / 512, 512, true), VIRTIO_BLK_S_IOERR);
	assert_int_equal(used_bytes, 0);
	assert_int_equal(request(VIRTIO_BLK_T_IN, UINT64_MAX, 512, true), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, UINT64_MAX / 512, 512, false), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 100, true), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, 0, false), VIRTIO_BLK_S_IOERR);
	put_range(0, 8, 1);
	assert_int_equal(request(VIRTIO_BLK_T_DISCARD, 0, 16, false), VIRTIO_BLK_S_UNSUPP);
	put_range(0, 8, 2);
	assert_int_equal(request(VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, false), VIRTIO_BLK_S_UNSUPP);
	put_range(0, UINT32_MAX, 0);
	assert_int_equal(request(VIRTIO_BLK_T_DISCARD, 0, 16, false), VIRTIO_BLK_S_IOERR);
	put_range(UINT64_MAX, 8, 0);
	assert_int_equal(request(VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, false), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_DISCARD, 0, 15, false), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_DISCARD, 0, 32, false), VIRTIO_BLK_S_IOERR);
	assert_int_equal(fake.breaks, 0);
}

static void test_blk_knows_no_command_that_was_not_agreed(void **state)
{
	open_device(0);
	put_range(0, 8, 0);
	assert_int_equal(request(VIRTIO_BLK_T_DISCARD, 0, 16, false), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(request(VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, false), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, 512, false), VIRTIO_BLK_S_OK);
}

static void test_blk_read_only_is_not_written(void **state)
{
	config.read_only = true;
	open_device(ALL_BITS);
	assert_int_equal(fake.setup.features, 1u << 2 | 1 << 5 | 1 << 6 | 1 << 9 | 1 << 10 | 1 << 12);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, 512, false), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
}

/* Nobody can answer a request without a status, or read one without a header. */
static void test_blk_breaks_on_what_is_no_request(void **state)
{
	const struct part no_status[] = {{HEADER, 16, false}}, no_header[] = {{STATUS, 1, true}},
	                  short_header[] = {{HEADER, 15, false}, {STATUS, 1, true}};
	const struct part *const chains[] = {no_status, no_header, short_header};

	for (unsigned i = 0; i < ARRAY_LEN(chains); i++) {
		open_device(ALL_BITS);
		offer(0, chains[i], i == 2 ? 2 : 1);
		kick();
		assert_int_equal(fake.breaks, 1);
		assert_non_null(strstr(fake.broken, "a request of"));
		stop_device();
		fake.setup.kind->finish(fake.setup.ctx);
		fake = (struct virtio_device){0};
	}
}

static void test_blk_tells_the_guest_that_the_file_was_cut(void **state)
{
	open_device(ALL_BITS);
	assert_int_equal(ftruncate(file, DISK_BYTES / 2), 0);
	assert_int_equal(request(VIRTIO_BLK_T_IN, DISK_BYTES / 512 - 1, 512, true), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, DISK_BYTES / 512 - 1, 512, false), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
}

/* ---- many at once ---- */

#define PARTS   3
#define AT_ONCE (QUEUE_SIZE / PARTS)

static void offer_writes(unsigned round)
{
	for (unsigned i = 0; i < AT_ONCE; i++) {
		uint64_t data = DATA + i * 4096, header = HEADER + i * 16, sector = (round * AT_ONCE + i) * 8;
		const struct part parts[] = {{header, 16, false}, {data, 4096, false}, {STATUS + i, 1, true}};

		fill(data, 4096, round * 100 + i);
		put_header(header, VIRTIO_BLK_T_OUT, sector);
		*at(STATUS + i) = NONE;
		offer(i * PARTS, parts, PARTS);
	}
}

static void test_blk_does_many_requests_at_once(void **state)
{
	uint8_t found[4096];

	open_device(ALL_BITS);
	for (unsigned round = 0; round < 10; round++) {
		offer_writes(round);
		kick();
		for (unsigned i = 0; i < AT_ONCE; i++)
			assert_int_equal(take().len, 1);
		for (unsigned i = 0; i < AT_ONCE; i++) {
			assert_int_equal(*at(STATUS + i), VIRTIO_BLK_S_OK);
			assert_int_equal(pread(file, found, 4096, (round * AT_ONCE + i) * 4096), 4096);
			assert_memory_equal(found, at(DATA + i * 4096), 4096);
		}
	}
}

/* A driver that resets the device in the middle of requests gets its memory back, untouched from then on. */
static void test_blk_stops_in_the_middle_of_requests(void **state)
{
	for (unsigned round = 0; round < 50; round++) {
		open_device(ALL_BITS);
		offer_writes(round % 10);
		kick();
		stop_device();
		memset(b->driver.ram, 0, DRIVER_MEMORY);
		fake.setup.kind->finish(fake.setup.ctx);
		fake = (struct virtio_device){0};
		for (size_t i = 0; i < DRIVER_MEMORY; i += 512)
			assert_int_equal(b->driver.ram[i], 0);
	}
}

/* ---- quiet ---- */

static void become_quiet(void)
{
	unsigned before = quiets;

	assert_true(virtio_blk_quieten(&board, id));
	for (unsigned i = 0; i < 600000 && !virtio_blk_is_quiet(&board, id); i++)
		usleep(100);
	assert_true(virtio_blk_is_quiet(&board, id));
	/* The disk says so just after that. */
	for (unsigned i = 0; i < 600000 && quiets == before; i++)
		usleep(100);
	assert_int_equal(quiets, before + 1);
}

/* The requests lie in the ring, and nobody has rung for them. */
static void test_blk_is_quiet_when_all_requests_are_done(void **state)
{
	struct vring_used_elem elem;

	open_device(ALL_BITS);
	become_quiet();
	for (unsigned round = 0; round < 10; round++) {
		offer_writes(round);
		become_quiet();
		for (unsigned i = 0; i < AT_ONCE; i++) {
			assert_true(driver_take(&b->driver, &elem));
			assert_int_equal(*at(STATUS + i), VIRTIO_BLK_S_OK);
		}
	}
}

static void test_blk_is_quiet_when_its_driver_is_gone(void **state)
{
	open_device(ALL_BITS);
	offer_writes(0);
	kick();
	stop_device();
	become_quiet();
	fake.setup.kind->finish(fake.setup.ctx);
	fake = (struct virtio_device){0};
}

/* ---- what controllers know and change ---- */

static void test_blk_counts_what_it_does(void **state)
{
	struct virtio_blk_facts facts;
	unsigned before = disk_errors;

	open_device(ALL_BITS);
	request(VIRTIO_BLK_T_OUT, 8, 4096, false);
	request(VIRTIO_BLK_T_OUT, 16, 512, false);
	request(VIRTIO_BLK_T_IN, 8, 1024, true);
	request(VIRTIO_BLK_T_FLUSH, 0, 0, false);
	assert_true(virtio_blk_facts(&board, id, &facts));
	assert_int_equal(facts.size_bytes, DISK_BYTES);
	assert_int_equal(facts.requests[BACK_DISK_WRITE], 2);
	assert_int_equal(facts.bytes[BACK_DISK_WRITE], 4096 + 512);
	assert_int_equal(facts.requests[BACK_DISK_READ], 1);
	assert_int_equal(facts.bytes[BACK_DISK_READ], 1024);
	assert_int_equal(facts.requests[BACK_DISK_FLUSH], 1);
	assert_int_equal(facts.failed, 0);
	assert_int_equal(disk_errors, before);
	request(VIRTIO_BLK_T_OUT, DISK_BYTES / 512, 512, false);
	assert_true(virtio_blk_facts(&board, id, &facts));
	assert_int_equal(facts.failed, 1);
	assert_int_equal(facts.failed_kind, BACK_DISK_WRITE);
	assert_int_equal(facts.failed_sys, EINVAL);
	assert_int_equal(facts.requests[BACK_DISK_WRITE], 2);
	assert_int_equal(disk_errors, before + 1);
}

static uint64_t capacity(void)
{
	uint64_t sectors = 0;

	fake.setup.kind->config_read(fake.setup.ctx, 0, &sectors, sizeof(sectors));
	return sectors;
}

static void test_blk_grows_and_tells_the_driver(void **state)
{
	struct stat st;
	unsigned before = changes;

	open_device(ALL_BITS);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, DISK_BYTES / 512, 512, false), VIRTIO_BLK_S_IOERR);
	assert_ok(virtio_blk_resize(&board, id, 2 * DISK_BYTES, &err));
	assert_int_equal(changes, before + 1);
	assert_int_equal(capacity(), 2 * DISK_BYTES / 512);
	assert_int_equal(fstat(file, &st), 0);
	assert_int_equal(st.st_size, 2 * DISK_BYTES);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, DISK_BYTES / 512, 512, false), VIRTIO_BLK_S_OK);
}

static void test_blk_loses_nothing_by_another_size(void **state)
{
	struct stat st;
	unsigned before = changes;

	open_device(ALL_BITS);
	assert_fails(virtio_blk_resize(&board, id, DISK_BYTES / 2, &err), ERR_USAGE, "would lose");
	assert_fails(virtio_blk_resize(&board, id, DISK_BYTES + 1, &err), ERR_USAGE, "whole blocks");
	assert_fails(virtio_blk_resize(&board, id, 0, &err), ERR_USAGE, "whole blocks");
	assert_int_equal(changes, before);
	assert_int_equal(fstat(file, &st), 0);
	assert_int_equal(st.st_size, DISK_BYTES);
	assert_int_equal(capacity(), DISK_BYTES / 512);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        T(test_blk_writes_flushes_and_reads),
	        T(test_blk_takes_any_layout),
	        T(test_blk_tells_its_configuration),
	        T(test_blk_has_a_queue_for_each_vcpu),
	        T(test_blk_tells_its_serial),
	        T(test_blk_discards_and_writes_zeroes),
	        T(test_blk_refuses_what_no_driver_may_ask),
	        T(test_blk_knows_no_command_that_was_not_agreed),
	        T(test_blk_read_only_is_not_written),
	        T(test_blk_breaks_on_what_is_no_request),
	        T(test_blk_tells_the_guest_that_the_file_was_cut),
	        T(test_blk_does_many_requests_at_once),
	        T(test_blk_stops_in_the_middle_of_requests),
	        T(test_blk_is_quiet_when_all_requests_are_done),
	        T(test_blk_is_quiet_when_its_driver_is_gone),
	        T(test_blk_counts_what_it_does),
	        T(test_blk_grows_and_tells_the_driver),
	        T(test_blk_loses_nothing_by_another_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
