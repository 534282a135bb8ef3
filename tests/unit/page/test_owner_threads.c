/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that convert pages of a SEV-SNP guest at once. A kernel of this test's own keeps the attributes,
 * slowly, and looks at each change whether the record is on the safe side of it.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "support/fake_kernel.h"
#include "support/test.h"
#include "vmm/page.h"

#define RAM      MIB(192)
#define PAGES    (RAM / PAGE_SIZE_BYTES)
#define THREADS  4u
#define STEPS    4000u
#define HOLD_GPA MIB(4) /* the kernel keeps a conversion of this page until the test lets go of it */

static struct fake_kernel kernel;
static struct page_memory *memory;
static struct err err;
static _Atomic bool is_private[PAGES + 1]; /* by the kernel's attributes; the last one is the firmware's */
static _Atomic unsigned unsafe;
static _Atomic bool hold;
static sem_t held, let_go;

static size_t index_of(uint64_t gpa)
{
	return gpa < RAM ? gpa / PAGE_SIZE_BYTES : PAGES;
}

static bool is_in_map(uint64_t gpa)
{
	return page_is_memory(memory, (struct gpa){gpa}, 1, false);
}

/* A page that is or becomes private must not be in the map. */
static void set_attributes(const struct uapi_memory_attributes *ask)
{
	for (uint64_t at = ask->address; at < ask->address + ask->size; at += PAGE_SIZE_BYTES) {
		bool private = ask->attributes & UAPI_MEMORY_ATTRIBUTE_PRIVATE;

		if ((private || is_private[index_of(at)]) && is_in_map(at))
			unsafe++;
		if (at % (16 * PAGE_SIZE_BYTES) == 0)
			sched_yield();
		is_private[index_of(at)] = private;
	}
	if (hold && ask->address == HOLD_GPA) {
		sem_post(&held);
		sem_wait(&let_go);
	}
}

static int kernel_ioctl(struct host *h, int fd, unsigned long request, void *arg)
{
	if (request != UAPI_SET_MEMORY_ATTRIBUTES)
		return fake_ops.ioctl(h, fd, request, arg);
	set_attributes(arg);
	return 0;
}

static int punch_nothing(struct host *h, int fd, int mode, off_t offset, off_t length)
{
	return 0;
}

static int setup(void **state)
{
	static struct host_ops ops;
	struct page_layout layout;

	fake_start(&kernel);
	ops = fake_ops;
	ops.ioctl = kernel_ioctl;
	ops.fallocate = punch_nothing;
	kernel.host.ops = &ops;
	assert_ok(page_layout_make(RAM, PAGE_SIZE_BYTES, &layout, &err));
	assert_ok(page_memory_create(&kernel.host, &layout, PAGE_SHARED, &memory, &err));
	assert_ok(page_memory_make_private(memory, 77, 65536, &err));
	unsafe = 0;
	assert_ok(page_convert(memory, gpa(0), GIB(4), true, &err));
	return 0;
}

static int teardown(void **state)
{
	page_memory_destroy(take_ptr(&memory));
	return 0;
}

/* Mostly pages that all threads want, now and then ranges that need several locks, and more than a piece. */
static void *convert_at_random(void *seed)
{
	uint32_t random = (uint32_t)(uintptr_t)seed * 7919 + 1;
	struct err ignored;

	for (unsigned i = 0; i < STEPS; i++) {
		uint64_t pages = 1, at;

		random = random * 1664525 + 1013904223;
		if (random >> 28 == 0)
			pages = i % 64 ? 700 : PAGE_CONVERT_BYTES / PAGE_SIZE_BYTES + 100;
		at = (random >> 12 & 7) * 511 * PAGE_SIZE_BYTES;
		if (page_convert(memory, (struct gpa){at}, pages * PAGE_SIZE_BYTES, random >> 20 & 1,
		            &ignored) < 0)
			unsafe++;
		if (page_is_already(memory, (struct gpa){at}, MIB(40), true) &&
		        page_is_already(memory, (struct gpa){at}, MIB(40), false))
			unsafe++;
	}
	return NULL;
}

static void test_owner_conversions_at_once_end_in_agreement(void **state)
{
	pthread_t threads[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, convert_at_random, (void *)i), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(unsafe, 0);
	for (uint64_t page = 0; page < PAGES; page++)
		assert_int_equal(is_in_map(page * PAGE_SIZE_BYTES), !is_private[page]);
}

static void *convert_held(void *unused)
{
	struct err ignored;

	return page_convert(memory, (struct gpa){HOLD_GPA}, PAGE_SIZE_BYTES, false, &ignored) < 0 ? &unsafe
	                                                                                          : NULL;
}

/* If one of them waited, the test would not end: the other conversion ends after it. */
static void test_owner_conversion_waits_for_no_other_page(void **state)
{
	pthread_t thread;
	void *failed;

	sem_init(&held, 0, 0);
	sem_init(&let_go, 0, 0);
	hold = true;
	assert_int_equal(pthread_create(&thread, NULL, convert_held, NULL), 0);
	while (sem_wait(&held) < 0)
		;
	assert_ok(page_convert(memory, gpa(HOLD_GPA - PAGE_SIZE_BYTES), PAGE_SIZE_BYTES, false, &err));
	assert_ok(page_convert(memory, gpa(HOLD_GPA + MIB(2)), MIB(100), false, &err));
	assert_true(page_is_already(memory, gpa(HOLD_GPA + MIB(2)), MIB(100), false));
	assert_ok(page_convert(memory, gpa(HOLD_GPA + MIB(2)), MIB(1), true, &err));
	assert_false(is_in_map(HOLD_GPA));
	hold = false;
	sem_post(&let_go);
	pthread_join(thread, &failed);
	assert_null(failed);
	assert_true(is_in_map(HOLD_GPA));
	assert_int_equal(unsafe, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_owner_conversions_at_once_end_in_agreement),
	        TEST(test_owner_conversion_waits_for_no_other_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
