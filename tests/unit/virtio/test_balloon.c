/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-balloon: pages that the driver sends or reports go back to this machine, and nothing else does. */
#include <semaphore.h>
#include <sys/stat.h>

#include "fake_transport.h"

#define INFLATE   0
#define DEFLATE   1
#define REPORTING 2 /* where Linux has it */
#define QUEUES    5
#define NUMBERS   (DRIVER_BUFFERS + MIB(1)) /* where the driver puts page numbers */

static struct err err;
static struct device_board board;
static struct virtio_queue *queues[QUEUES];

void __wrap_virtio_device_config_changed(struct virtio_device *device);
static unsigned config_changes;

void __wrap_virtio_device_config_changed(struct virtio_device *device)
{
	config_changes++;
}

static int setup(void **state)
{
	const struct config_device config = {
	        .driver = CONFIG_BALLOON, .id = (char *)(uintptr_t) "balloon0", .inflate_bytes = MIB(2)};
	const struct virtio_place place = {.board = &board, .vcpus = 1};

	memset(queues, 0, sizeof(queues));
	return bench_setup(state) || virtio_balloon_add(&place, &config, &err);
}

static int teardown(void **state)
{
	fake.setup.kind->finish(fake.setup.ctx);
	return bench_teardown(state);
}

/* The bench has one queue, which the device gets as its queue of this number. */
static void start(struct bench *bench, unsigned index)
{
	struct virtio_queue_setup setup = bench_queue(bench, 64, VIRTIO_F_EVENT_IDX);

	setup.index = index;
	bench->calls = bench->breaks = 0;
	assert_ok(virtio_queue_start(&bench->queue, &setup, &err));
	queues[index] = &bench->queue;
	fake_start(bench, queues, QUEUES);
	memset(bench->driver.ram + DRIVER_BUFFERS, 0xa5, MIB(2));
}

static uint32_t config_field(unsigned i)
{
	uint32_t value;

	fake.setup.kind->config_read(fake.setup.ctx, i * 4, &value, sizeof(value));
	return value;
}

static void send_numbers(struct bench *bench, const uint32_t *numbers, unsigned bytes)
{
	memcpy(bench->driver.ram + NUMBERS, numbers, bytes);
	driver_desc(&bench->driver, 0, NUMBERS, bytes, 0, 0);
	driver_offer(&bench->driver, 0);
	fake_kick(&bench->queue);
}

static bool is_zero(const struct bench *bench, uint32_t page)
{
	return !bench->driver.ram[(uint64_t)page * 4096] && !bench->driver.ram[(uint64_t)page * 4096 + 4095];
}

static void test_balloon_takes_the_pages_that_it_is_sent_and_no_others(void **state)
{
	static const uint32_t numbers[] = {0x107, 0x106, 0x105, 0x110, 0x111, 0x120};
	struct bench *bench = *state;
	struct vring_used_elem elem;

	start(bench, INFLATE);
	send_numbers(bench, numbers, sizeof(numbers));
	assert_true(driver_take(&bench->driver, &elem));
	assert_int_equal(elem.len, 0);
	for (unsigned i = 0; i < ARRAY_LEN(numbers); i++)
		assert_true(is_zero(bench, numbers[i]));
	assert_false(is_zero(bench, 0x104));
	assert_false(is_zero(bench, 0x108));
	assert_false(is_zero(bench, 0x112));
	assert_int_equal(bench->calls, 1);
	assert_true(driver_offer(&bench->driver, 0)); /* the device wants to be kicked for the next one */
	assert_int_equal(fake.breaks, 0);
	fake_stop();
	assert_int_equal(fake.stops, 1);
}

static void test_balloon_returns_memory_to_this_machine(void **state)
{
	struct bench *bench = *state;
	struct page_lent lent[PAGE_REGIONS_MAX];
	uint32_t numbers[128];
	struct stat before, after;

	for (unsigned i = 0; i < ARRAY_LEN(numbers); i++)
		numbers[i] = 0x100 + i;
	start(bench, INFLATE);
	page_memory_lend(bench->memory, lent);
	fstat(lent[0].fd, &before);
	send_numbers(bench, numbers, sizeof(numbers));
	fstat(lent[0].fd, &after);
	assert_int_equal((before.st_blocks - after.st_blocks) * 512, sizeof(numbers) / 4 * 4096);
}

static void test_balloon_breaks_at_pages_that_are_no_ram(void **state)
{
	static const uint32_t wrong[] = {
	        DRIVER_MEMORY >> 12 /* behind RAM */, 0xfffff /* firmware */, UINT32_MAX};
	struct bench *bench = *state;

	for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
		const uint32_t numbers[] = {0x105, wrong[i]};

		start(bench, INFLATE);
		fake.breaks = 0;
		send_numbers(bench, numbers, sizeof(numbers));
		assert_int_equal(fake.breaks, 1);
		assert_non_null(strstr(fake.broken, "that are no RAM"));
	}
}

static void test_balloon_breaks_at_a_count_that_no_driver_sends(void **state)
{
	static const uint32_t numbers[KIB(33) / 4];
	struct bench *bench = *state;

	start(bench, INFLATE);
	send_numbers(bench, numbers, 7);
	assert_int_equal(fake.breaks, 1);
	start(bench, INFLATE);
	send_numbers(bench, numbers, sizeof(numbers));
	assert_int_equal(fake.breaks, 2);
	assert_non_null(strstr(fake.broken, "page numbers of 33792 bytes"));
}

static void report(struct bench *bench)
{
	driver_desc(&bench->driver, 0, DRIVER_BUFFERS, KIB(64), VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1);
	driver_desc(&bench->driver, 1, DRIVER_BUFFERS + KIB(128) + 1, KIB(64), VRING_DESC_F_WRITE, 0);
	driver_offer(&bench->driver, 0);
	fake_kick(&bench->queue);
}

static void test_balloon_takes_free_pages_that_are_reported(void **state)
{
	struct bench *bench = *state;
	struct vring_used_elem elem;

	for (unsigned index = REPORTING; index < QUEUES; index++) {
		memset(queues, 0, sizeof(queues));
		start(bench, index);
		report(bench);
		assert_true(driver_take(&bench->driver, &elem));
		assert_true(is_zero(bench, 0x100));
		assert_true(is_zero(bench, 0x10f));
		assert_false(is_zero(bench, 0x110));
		/* Whole pages only. */
		assert_int_equal(bench->driver.ram[0x120001], 0xa5);
		assert_true(is_zero(bench, 0x121));
		assert_int_equal(bench->driver.ram[0x130000], 0xa5);
	}
}

static void test_balloon_leaves_poisoned_pages_alone(void **state)
{
	static const uint32_t poison = 0xaaaaaaaa;
	struct bench *bench = *state;
	struct vring_used_elem elem;

	fake.setup.kind->config_write(fake.setup.ctx, 12, &poison, sizeof(poison));
	start(bench, REPORTING);
	report(bench);
	assert_true(driver_take(&bench->driver, &elem));
	assert_false(is_zero(bench, 0x100));
}

static void test_balloon_deflation_needs_no_page_numbers(void **state)
{
	static const uint32_t numbers[] = {UINT32_MAX};
	struct bench *bench = *state;
	struct vring_used_elem elem;

	start(bench, DEFLATE);
	send_numbers(bench, numbers, sizeof(numbers));
	assert_true(driver_take(&bench->driver, &elem));
	assert_int_equal(fake.breaks, 0);
}

/* Keeps the device's thread busy until the test lets it go. */
static sem_t gate;

static void wait_at_gate(void *ctx)
{
	sem_wait(&gate);
}

/* Called on the device's thread after all that it was asked before. */
static void nothing(void *ctx)
{
}

static void test_balloon_goes_on_by_itself_after_a_pause(void **state)
{
	struct bench *bench = *state;
	struct vring_used_elem elem;
	struct loop_task busy = {.fn = wait_at_gate};
	unsigned taken = 0;

	sem_init(&gate, 0, 0);
	start(bench, DEFLATE);
	loop_post(fake.setup.loop, &busy);
	for (unsigned i = 0; i < 40; i++) {
		driver_desc(&bench->driver, i, NUMBERS, 4, 0, 0);
		driver_offer(&bench->driver, (uint16_t)i);
	}
	fake_kick(&bench->queue);
	while (driver_take(&bench->driver, &elem))
		taken++;
	assert_int_equal(taken, 16);
	sem_post(&gate);
	while (taken < 40) {
		loop_call(fake.setup.loop, nothing, NULL);
		while (driver_take(&bench->driver, &elem))
			taken++;
	}
	fake_stop();
}

static void test_balloon_driver_writes_only_its_own_fields(void **state)
{
	static const uint32_t all[4] = {1, 2, 3, 4};

	fake.setup.kind->config_write(fake.setup.ctx, 0, all, sizeof(all));
	assert_int_equal(config_field(0), MIB(2) / 4096);
	assert_int_equal(config_field(1), 2);
	assert_int_equal(config_field(2), 0);
	assert_int_equal(config_field(3), 4);
	assert_int_equal(virtio_balloon_given(virtio_balloon_of(&board)), 2 * 4096);
}

static void test_balloon_size_can_be_asked_for(void **state)
{
	config_changes = 0;
	virtio_balloon_ask(virtio_balloon_of(&board), MIB(3) + 5);
	assert_int_equal(config_field(0), MIB(3) / 4096);
	assert_int_equal(config_changes, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_balloon_takes_the_pages_that_it_is_sent_and_no_others),
	        TEST(test_balloon_returns_memory_to_this_machine),
	        TEST(test_balloon_breaks_at_pages_that_are_no_ram),
	        TEST(test_balloon_breaks_at_a_count_that_no_driver_sends),
	        TEST(test_balloon_takes_free_pages_that_are_reported),
	        TEST(test_balloon_leaves_poisoned_pages_alone),
	        TEST(test_balloon_deflation_needs_no_page_numbers),
	        TEST(test_balloon_goes_on_by_itself_after_a_pause),
	        TEST(test_balloon_driver_writes_only_its_own_fields),
	        TEST(test_balloon_size_can_be_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
