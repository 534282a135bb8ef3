/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <pty.h>
#include <sys/stat.h>
#include <termios.h>

#include "../../../src/loop/backend.h"
#include "../../../src/loop/uring.h"
#include "support/loop_run.h"

static const struct loop_backend *backend;
static struct loop *loop;
static struct loop_op *op;
static struct err err;
static unsigned count;
static int ends[2];

static int setup(void **state)
{
	count = 0;
	op = NULL;
	return pipe(ends) || loop_create_with(backend, &loop, &err);
}

static int teardown(void **state)
{
	loop_destroy(take_ptr(&loop));
	close(ends[0]);
	close(ends[1]);
	return 0;
}

static void on_ready_read(void *ctx, int events)
{
	char byte;

	assert_true(events & POLLIN);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	if (++count == 3)
		loop_stop(loop);
}

static void test_loop_watch_calls_again_until_drained(void **state)
{
	assert_ok(loop_watch_start(loop, ends[0], POLLIN, on_ready_read, NULL, &op, &err));
	assert_int_equal(write(ends[1], "abc", 3), 3);
	assert_ok(loop_run(loop, &err));
	assert_int_equal(count, 3);
}

static void on_ready_stop_watching(void *ctx, int events)
{
	count++;
	loop_op_stop(op);
}

static void test_loop_watch_stopped_by_its_callback_is_silent(void **state)
{
	assert_ok(loop_watch_start(loop, ends[0], POLLIN, on_ready_stop_watching, NULL, &op, &err));
	assert_int_equal(write(ends[1], "abc", 3), 3);
	loop_run_for(loop, 20);
	assert_int_equal(count, 1);
}

static void test_loop_watch_stopped_before_is_silent(void **state)
{
	assert_ok(loop_watch_start(loop, ends[0], POLLIN, on_ready_stop_watching, NULL, &op, &err));
	loop_op_stop(op);
	assert_int_equal(write(ends[1], "abc", 3), 3);
	loop_run_for(loop, 20);
	assert_int_equal(count, 0);
}

static void on_hangup(void *ctx, int events)
{
	count = (unsigned)events;
	loop_op_stop(op);
	loop_stop(loop);
}

static void test_loop_watch_tells_a_hangup(void **state)
{
	assert_ok(loop_watch_start(loop, ends[0], POLLIN, on_hangup, NULL, &op, &err));
	close(ends[1]);
	ends[1] = -1;
	assert_ok(loop_run(loop, &err));
	assert_true(count & POLLHUP);
}

static void on_time_count(void *ctx)
{
	count++;
}

static void test_loop_timer_fires_once_and_not_when_stopped(void **state)
{
	struct loop_op *stopped;

	assert_ok(loop_timer_start(loop, 1000000, on_time_count, NULL, &op, &err));
	assert_ok(loop_timer_start(loop, 1000000, on_time_count, NULL, &stopped, &err));
	loop_op_stop(stopped);
	loop_run_for(loop, 30);
	assert_int_equal(count, 1);
}

static void on_written(void *ctx, int result)
{
	count = (unsigned)result;
	loop_stop(loop);
}

static void test_loop_write_tells_what_was_written(void **state)
{
	char text[6] = {0};

	assert_ok(loop_write_start(loop, ends[1], "hello", 5, on_written, NULL, &op, &err));
	assert_ok(loop_run(loop, &err));
	assert_int_equal(count, 5);
	assert_int_equal(read(ends[0], text, 5), 5);
	assert_string_equal(text, "hello");
}

/* ---- a file whose position others share ---- */

#define OTHERS_BYTES 20000u

static void *write_beside(void *ctx)
{
	for (unsigned i = 0; i < OTHERS_BYTES; i++)
		assert_int_equal(write(*(int *)ctx, "b", 1), 1);
	return NULL;
}

static void test_loop_write_to_a_file_takes_no_other_writers_place(void **state)
{
	char path[] = "/tmp/vmm-loop-XXXXXX";
	int fd = mkstemp(path);
	pthread_t other;
	struct stat status;
	unsigned written = 0;

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(pthread_create(&other, NULL, write_beside, &fd), 0);
	for (; written < 2000; written += count) {
		assert_ok(loop_write_start(loop, fd, "aaaaa", 5, on_written, NULL, &op, &err));
		assert_ok(loop_run(loop, &err));
	}
	pthread_join(other, NULL);
	assert_int_equal(fstat(fd, &status), 0);
	close(fd);
	assert_int_equal(status.st_size, written + OTHERS_BYTES);
}

static void on_write_failed(void *ctx, int result)
{
	assert_true(result < 0);
	loop_stop(loop);
}

static void test_loop_write_to_a_bad_descriptor_fails(void **state)
{
	assert_ok(loop_write_start(loop, 9999, "hello", 5, on_write_failed, NULL, &op, &err));
	assert_ok(loop_run(loop, &err));
}

static void fill(int fd)
{
	static const char zeros[4096];
	struct pollfd room = {.fd = fd, .events = POLLOUT};

	/* A pipe that says POLLOUT takes that many without blocking: pipe(7), PIPE_BUF. */
	while (poll(&room, 1, 0) == 1)
		assert_int_equal(write(fd, zeros, sizeof(zeros)), sizeof(zeros));
}

static void on_written_to_full(void *ctx, int result)
{
	fail_msg("a write to a full pipe has ended");
}

static void test_loop_blocked_write_does_not_block_the_loop(void **state)
{
	static const char data[1 << 20];

	fill(ends[1]);
	assert_ok(loop_write_start(loop, ends[1], data, sizeof(data), on_written_to_full, NULL, &op, &err));
	loop_run_for(loop, 20);
}

static void test_loop_blocked_write_does_not_block_another(void **state)
{
	struct loop_op *blocked;
	int others[2];

	assert_int_equal(pipe(others), 0);
	fill(ends[1]);
	assert_ok(loop_write_start(loop, ends[1], "x", 1, on_written_to_full, NULL, &blocked, &err));
	for (int i = 0; i < 50; i++) {
		count = 0;
		assert_ok(loop_write_start(loop, others[1], "hello", 5, on_written, NULL, &op, &err));
		assert_ok(loop_run(loop, &err));
		assert_int_equal(count, 5);
	}
	close(others[0]);
	close(others[1]);
}

struct endless {
	int fd;
	char data[1 << 20];
};

/* A write may end when it has written a part. */
static void write_on(void *ctx, int result)
{
	struct endless *endless = ctx;

	assert_true(result >= 0);
	assert_ok(loop_write_start(
	        loop, endless->fd, endless->data, sizeof(endless->data), write_on, endless, &op, &err));
}

/* The caller may reuse its memory, because nothing reads it any more, whatever the reader does. */
static void assert_data_given_back(int in, int out)
{
	static struct endless endless;
	struct pollfd more = {.fd = in, .events = POLLIN};
	char seen[4096];

	endless.fd = out;
	memset(endless.data, 'a', sizeof(endless.data));
	write_on(&endless, 0);
	loop_run_for(loop, 2);
	loop_destroy(take_ptr(&loop));
	memset(endless.data, 'b', sizeof(endless.data));
	while (poll(&more, 1, 5) == 1) {
		ssize_t n = read(in, seen, sizeof(seen));

		assert_true(n > 0);
		assert_null(memchr(seen, 'b', (size_t)n));
	}
	assert_ok(loop_create_with(backend, &loop, &err));
}

static void test_loop_destroy_gives_the_data_of_a_blocked_write_back(void **state)
{
	for (int i = 0; i < 20; i++)
		assert_data_given_back(ends[0], ends[1]);
}

static void test_loop_destroy_gives_the_data_of_a_terminal_back(void **state)
{
	int master = -1, slave = -1;
	struct termios raw;

	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	assert_int_equal(tcgetattr(slave, &raw), 0);
	cfmakeraw(&raw);
	assert_int_equal(tcsetattr(slave, TCSANOW, &raw), 0);
	for (int i = 0; i < 20; i++)
		assert_data_given_back(master, slave);
	close(master);
	close(slave);
}

/* A write that is still under way would keep the pipe's last writer alive. */
static void test_loop_destroy_leaves_no_write_under_way(void **state)
{
	static char data[4096];
	struct pollfd end = {.fd = ends[0]};

	for (int i = 0; i < 20; i++) {
		fill(ends[1]);
		assert_ok(loop_write_start(
		        loop, ends[1], data, sizeof(data), on_written_to_full, NULL, &op, &err));
		loop_run_for(loop, 2);
		loop_destroy(take_ptr(&loop));
		close(ends[1]);
		assert_int_equal(poll(&end, 1, 0), 1);
		assert_true(end.revents & POLLHUP);
		close(ends[0]);
		assert_int_equal(pipe(ends), 0);
		end.fd = ends[0];
		assert_ok(loop_create_with(backend, &loop, &err));
	}
}

static void test_loop_stopped_write_is_silent(void **state)
{
	static char data[4096], byte;

	fill(ends[1]);
	assert_ok(loop_write_start(loop, ends[1], data, sizeof(data), on_written_to_full, NULL, &op, &err));
	loop_run_for(loop, 2);
	loop_op_stop(op);
	loop_run_for(loop, 2);
	for (int i = 0; i < 4096; i++)
		assert_int_equal(read(ends[0], &byte, 1), 1);
	loop_run_for(loop, 20);
}

static void on_ready_count(void *ctx, int events)
{
	count |= (unsigned)events;
	loop_op_stop(op);
	loop_stop(loop);
}

static void test_loop_watch_of_a_file_is_ready_at_once(void **state)
{
	FILE *file = tmpfile();

	assert_non_null(file);
	assert_ok(loop_watch_start(loop, fileno(file), POLLIN, on_ready_count, NULL, &op, &err));
	assert_ok(loop_run(loop, &err));
	assert_true(count & POLLIN);
	fclose(file);
}

static void test_loop_watch_of_a_bad_descriptor_is_an_error(void **state)
{
	assert_ok(loop_watch_start(loop, 9999, POLLIN, on_ready_count, NULL, &op, &err));
	assert_ok(loop_run(loop, &err));
	assert_int_equal(count, POLLERR);
}

static void on_writable(void *ctx, int events)
{
	struct loop_op **watch = ctx;

	loop_op_stop(take_ptr(watch));
	count++;
}

static void test_loop_two_watches_of_one_descriptor(void **state)
{
	struct loop_op *first, *second;

	assert_ok(loop_watch_start(loop, ends[1], POLLOUT, on_writable, &first, &first, &err));
	assert_ok(loop_watch_start(loop, ends[1], POLLOUT, on_writable, &second, &second, &err));
	loop_run_for(loop, 20);
	assert_int_equal(count, 2);
}

static void test_loop_many_operations_exceed_the_ring(void **state)
{
	struct loop_op *ops[200];

	for (int i = 0; i < 200; i++)
		assert_ok(loop_timer_start(loop, 1000000, on_time_count, NULL, &ops[i], &err));
	loop_run_for(loop, 50);
	assert_int_equal(count, 200);
}

/* ---- operations for which the submission queue has no entry ---- */

static unsigned denied;

static struct io_uring_sqe *deny(struct io_uring *ring)
{
	if (!denied)
		return io_uring_get_sqe(ring);
	denied--;
	return NULL;
}

static void on_ready_deny(void *ctx, int events)
{
	on_ready_read(ctx, events);
	denied = 7;
}

static void test_uring_watch_is_armed_again_when_it_can_be(void **state)
{
	struct io_uring_sqe *(*whole)(struct io_uring *) = loop_uring_get_sqe;

	loop_uring_get_sqe = deny;
	assert_ok(loop_watch_start(loop, ends[0], POLLIN, on_ready_deny, NULL, &op, &err));
	assert_int_equal(write(ends[1], "abc", 3), 3);
	assert_ok(loop_run(loop, &err));
	assert_int_equal(count, 3);
	denied = 0;
	loop_uring_get_sqe = whole;
}

static void test_uring_operations_start_and_stop_without_entries(void **state)
{
	struct io_uring_sqe *(*whole)(struct io_uring *) = loop_uring_get_sqe;
	struct loop_op *timer;

	loop_uring_get_sqe = deny;
	denied = 100;
	assert_ok(loop_watch_start(loop, ends[0], POLLIN, on_ready_stop_watching, NULL, &op, &err));
	assert_ok(loop_timer_start(loop, 0, on_time_count, NULL, &timer, &err));
	loop_op_stop(op);
	assert_int_equal(write(ends[1], "abc", 3), 3);
	loop_run_for(loop, 20);
	assert_int_equal(count, 1);
	assert_int_equal(denied, 0);
	loop_uring_get_sqe = whole;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* The contract, which is the same for both. */
static int run_contract(const struct loop_backend *with)
{
	const struct CMUnitTest tests[] = {
	        T(test_loop_watch_calls_again_until_drained),
	        T(test_loop_watch_stopped_by_its_callback_is_silent),
	        T(test_loop_watch_stopped_before_is_silent),
	        T(test_loop_watch_tells_a_hangup),
	        T(test_loop_watch_of_a_file_is_ready_at_once),
	        T(test_loop_watch_of_a_bad_descriptor_is_an_error),
	        T(test_loop_two_watches_of_one_descriptor),
	        T(test_loop_timer_fires_once_and_not_when_stopped),
	        T(test_loop_write_tells_what_was_written),
	        T(test_loop_write_to_a_file_takes_no_other_writers_place),
	        T(test_loop_write_to_a_bad_descriptor_fails),
	        T(test_loop_blocked_write_does_not_block_the_loop),
	        T(test_loop_blocked_write_does_not_block_another),
	        T(test_loop_destroy_gives_the_data_of_a_blocked_write_back),
	        T(test_loop_destroy_gives_the_data_of_a_terminal_back),
	        T(test_loop_destroy_leaves_no_write_under_way),
	        T(test_loop_stopped_write_is_silent),
	        T(test_loop_many_operations_exceed_the_ring),
	};

	backend = with;
	print_message("# on %s\n", with->name);
	return cmocka_run_group_tests_name(with->name, tests, NULL, NULL);
}

static int run_uring(void)
{
	const struct CMUnitTest tests[] = {
	        T(test_uring_watch_is_armed_again_when_it_can_be),
	        T(test_uring_operations_start_and_stop_without_entries),
	};

	backend = &loop_uring;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	int failed = 0;

	if (loop_create_with(&loop_uring, &loop, &err) == 0) {
		loop_destroy(take_ptr(&loop));
		failed = run_contract(&loop_uring) + run_uring();
	} else {
		print_message("# not on io_uring: %s\n", err.text);
	}
	return failed + run_contract(&loop_poll);
}
