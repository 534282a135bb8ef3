/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that write guest memory while one collects what was written and copies it elsewhere, as a migration
 * does. After a few writes a writer waits for two whole collections, and then looks whether the copy has what
 * it wrote. If the bit of a write was lost, the copy would not have it.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "written.h"

#define WRITERS 2u
#define FRAMES  64u /* in one word of the bitmap, so that all threads meet; a writer has every second one */
#define ROUNDS  20000u
#define WRITES  4u /* before a writer waits */

static _Atomic uint64_t *loan;
static _Atomic uint64_t copy[FRAMES];
static _Atomic uint64_t collections;
static _Atomic unsigned writing, lost;

static _Atomic uint64_t *word_of(uint64_t frame)
{
	return loan + frame * PAGE_SIZE_BYTES / sizeof(*loan);
}

static void write_frame(uint64_t frame, uint64_t value)
{
	_Atomic uint64_t *word = word_of(frame);

	atomic_store_explicit(word, value, memory_order_relaxed);
	page_wrote(memory, (const void *)(uintptr_t)word, sizeof(*word));
}

static void *write_frames(void *arg)
{
	unsigned number = *(unsigned *)arg;

	for (uint64_t round = 1; round <= ROUNDS; round++) {
		uint64_t until;

		for (uint64_t i = 0; i < WRITES; i++)
			write_frame((round + i) * WRITERS % FRAMES + number, round * WRITES + i);
		until = atomic_load(&collections) + 2;
		while (atomic_load(&collections) < until)
			sched_yield();
		for (uint64_t i = 0; i < WRITES; i++)
			lost += copy[(round + i) * WRITERS % FRAMES + number] != round * WRITES + i;
	}
	atomic_fetch_sub(&writing, 1);
	return NULL;
}

static void copy_written(void)
{
	struct page_range range = {0, 0};

	page_memory_collect_written(memory, dirty);
	while (page_dirty_take(dirty, range.end, FRAMES, &range)) {
		for (uint64_t frame = range.first; frame < range.end; frame++)
			copy[frame] = atomic_load_explicit(word_of(frame), memory_order_relaxed);
	}
	atomic_fetch_add(&collections, 1);
}

static void test_no_write_is_lost(void **state)
{
	unsigned numbers[WRITERS];
	pthread_t threads[WRITERS];

	atomic_store(&writing, WRITERS);
	for (unsigned i = 0; i < WRITERS; i++) {
		numbers[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, write_frames, &numbers[i]), 0);
	}
	while (atomic_load(&writing))
		copy_written();
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(lost, 0);
}

static int setup(void **state)
{
	struct page_layout layout;

	assert_ok(page_layout_make(MIB(1), KIB(64), &layout, &err));
	written_make(&layout);
	assert_ok(page_memory_track(memory, true, &err));
	loan = page_loan(memory, gpa(0), MIB(1));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_no_write_is_lost, setup, written_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
