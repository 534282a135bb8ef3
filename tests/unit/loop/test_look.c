/* SPDX-License-Identifier: Apache-2.0 */
/* Work that is brought in silence is found before the loop sleeps, and none is missed when it does. */
#include <sys/eventfd.h>

#include "../../../src/loop/uring.h"
#include "both.h"
#include "support/loop_run.h"

#define PIECES 20000

static const struct loop_backend *backend;
static struct loop *loop;
static struct err err;

/* The driver, on another thread, and its device, on the loop, share this. */
static struct {
	_Atomic unsigned brought;
	_Atomic bool ring; /* the device wants to be rung */
	int bell_fd;
	unsigned taken; /* by the device */
	unsigned lasts; /* looks before sleep */
} shared;

static int setup(void **state)
{
	memset(&shared, 0, sizeof(shared));
	shared.bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return shared.bell_fd < 0 || loop_create_with(backend, &loop, &err);
}

static int teardown(void **state)
{
	loop_destroy(take_ptr(&loop));
	close(shared.bell_fd);
	return 0;
}

/* ---- a driver on another thread ---- */

static void *bring(void *ctx)
{
	const uint64_t one = 1;
	unsigned seed = 1;

	for (unsigned i = 0; i < PIECES; i++) {
		atomic_fetch_add(&shared.brought, 1);
		if (atomic_exchange(&shared.ring, false))
			assert_int_equal(write(shared.bell_fd, &one, sizeof(one)), sizeof(one));
		/* Pauses of all lengths: some find the device awake, some asleep, some between the two. */
		for (unsigned pause = (unsigned)rand_r(&seed) % 3000; pause; pause--)
			__builtin_ia32_pause();
	}
	return NULL;
}

static bool take(void)
{
	unsigned brought = atomic_load(&shared.brought);
	bool found = brought != shared.taken;

	shared.taken = brought;
	if (brought == PIECES)
		loop_stop(loop);
	return found;
}

static bool look(void *ctx, bool last)
{
	if (last) {
		shared.lasts++;
		atomic_store(&shared.ring, true);
	}
	return take();
}

static void on_ring(void *ctx)
{
	take();
}

static void test_look_misses_nothing(void **state)
{
	struct loop_op *bell;
	pthread_t driver;

	assert_ok(loop_bell_start(loop, shared.bell_fd, on_ring, NULL, &bell, &err));
	loop_look(loop, look, NULL);
	assert_int_equal(pthread_create(&driver, NULL, bring, NULL), 0);
	assert_ok(loop_run(loop, &err)); /* a lost piece would leave it asleep for ever */
	pthread_join(driver, NULL);
	assert_int_equal(shared.taken, PIECES);
	assert_int_not_equal(shared.lasts, 0);
}

static void test_look_is_asked_once_before_each_sleep(void **state)
{
	loop_look(loop, look, NULL);
	loop_run_for(loop, 50);
	assert_in_range(shared.lasts, 1, 3); /* nothing woke it but the timer */
}

/* ---- a flag that the kernel left set ---- */

static struct io_uring *ring;

static struct io_uring_sqe *catch_ring(struct io_uring *from)
{
	ring = from;
	return io_uring_get_sqe(from);
}

/* The kernel clears the flag after it has done its work. Here it has no work, so the flag stays set. */
static void on_time_set_flag(void *ctx)
{
	__atomic_fetch_or(ring->sq.kflags, IORING_SQ_TASKRUN, __ATOMIC_RELAXED);
}

static void test_look_sleeps_although_the_kernel_hints_at_work(void **state)
{
	struct io_uring_sqe *(*usual)(struct io_uring *) = loop_uring_get_sqe;
	struct loop_op *timer;

	if (backend != &loop_uring) {
		print_message("only io_uring has this flag\n");
		skip();
	}
	loop_uring_get_sqe = catch_ring;
	assert_ok(loop_timer_start(loop, 5000000, on_time_set_flag, NULL, &timer, &err));
	loop_look(loop, look, NULL);
	loop_run_for(loop, 50);
	loop_uring_get_sqe = usual;
	assert_in_range(shared.lasts, 2, 5); /* at the start, after the flag was set, and hardly more */
}

static int run_on(const struct loop_backend *with)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_look_misses_nothing),
	        TEST(test_look_is_asked_once_before_each_sleep),
	        TEST(test_look_sleeps_although_the_kernel_hints_at_work),
	};

	backend = with;
	return cmocka_run_group_tests_name(with->name, tests, NULL, NULL);
}

int main(void)
{
	return both_run(run_on);
}
