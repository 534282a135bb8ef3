/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and writes of files by the loop, and bells. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "both.h"

#define FILE_BYTES 65536
#define MANY       1000

static const struct loop_backend *backend;
static struct loop *loop;
static struct loop_op *op;
static struct err err;
static int file;
static unsigned count;
static int last;

static int setup(void **state)
{
	char path[] = "/tmp/vmm-io-XXXXXX";

	count = 0;
	op = NULL;
	file = mkstemp(path);
	unlink(path);
	return file < 0 || ftruncate(file, FILE_BYTES) < 0 || loop_create_with(backend, &loop, &err) < 0;
}

static int teardown(void **state)
{
	loop_destroy(take_ptr(&loop));
	close(file);
	return 0;
}

static void on_done_stop(struct loop_io *io, int result)
{
	last = result;
	count++;
	loop_stop(loop);
}

/* Does one request and returns its result. */
static int run_io(struct loop_io io)
{
	io.on_done = on_done_stop;
	loop_io_start(loop, &io);
	assert_ok(loop_run(loop, &err));
	return last;
}

static int run_file(enum loop_io_kind kind, uint64_t offset, void *data, size_t size)
{
	const struct iovec iov[] = {{data, size / 2}, {(char *)data + size / 2, size - size / 2}};

	return run_io((struct loop_io){.kind = kind,
	        .fd = file,
	        .offset = offset,
	        .iov = iov,
	        .iov_count = 2,
	        .through = offset & 1});
}

static void test_io_reads_what_it_wrote(void **state)
{
	char out[] = "hello, world", in[sizeof(out)] = {0};

	assert_int_equal(run_file(LOOP_IO_WRITE, 1000, out, sizeof(out)), sizeof(out));
	assert_int_equal(run_file(LOOP_IO_WRITE, 2001, out, sizeof(out)), sizeof(out));
	assert_int_equal(run_file(LOOP_IO_READ, 1000, in, sizeof(in)), sizeof(in));
	assert_string_equal(in, out);
	assert_int_equal(pread(file, in, sizeof(in), 2001), sizeof(in));
	assert_string_equal(in, out);
	assert_int_equal(run_io((struct loop_io){.kind = LOOP_IO_SYNC, .fd = file}), 0);
}

static void test_io_at_the_end_of_the_file_is_short(void **state)
{
	char data[512];

	assert_int_equal(run_file(LOOP_IO_READ, FILE_BYTES - 100, data, sizeof(data)), 100);
	assert_int_equal(run_file(LOOP_IO_READ, FILE_BYTES, data, sizeof(data)), 0);
}

static void test_io_changes_the_allocation(void **state)
{
	char data[8192], zeros[8192] = {0};
	struct stat st;

	for (int kind = LOOP_IO_DISCARD; kind <= LOOP_IO_ZERO; kind++) {
		struct loop_io io = {
		        .kind = (enum loop_io_kind)kind, .fd = file, .offset = 4096, .bytes = 4096};
		int result;

		memset(data, 'x', sizeof(data));
		assert_int_equal(run_file(LOOP_IO_WRITE, 0, data, sizeof(data)), sizeof(data));
		result = run_io(io);
		if (result == -EOPNOTSUPP)
			continue; /* tmpfs zeroes no range */
		assert_int_equal(result, 0);
		assert_int_equal(run_file(LOOP_IO_READ, 0, data, sizeof(data)), sizeof(data));
		assert_int_equal(data[4095], 'x');
		assert_memory_equal(data + 4096, zeros, 4096);
		assert_int_equal(fstat(file, &st), 0);
		assert_int_equal(st.st_size, FILE_BYTES);
	}
}

static void test_io_fails_with_the_reason(void **state)
{
	char byte;
	const struct iovec iov = {&byte, 1}, nowhere = {NULL, 1};

	assert_int_equal(
	        run_io((struct loop_io){.kind = LOOP_IO_READ, .fd = -1, .iov = &iov, .iov_count = 1}),
	        -EBADF);
	assert_int_equal(
	        run_io((struct loop_io){.kind = LOOP_IO_WRITE, .fd = file, .iov = &nowhere, .iov_count = 1}),
	        -EFAULT);
	assert_int_equal(run_io((struct loop_io){.kind = LOOP_IO_DISCARD, .fd = file}), -EINVAL);
}

static void on_done_count(struct loop_io *io, int result)
{
	assert_int_equal(result, 1);
	if (++count == MANY)
		loop_stop(loop);
}

static void test_io_that_exceeds_the_ring_is_all_done(void **state)
{
	static struct loop_io ios[MANY];
	static char bytes[MANY], found[MANY];
	static struct iovec iov[MANY];

	for (unsigned i = 0; i < MANY; i++) {
		bytes[i] = (char)('a' + i % 26);
		iov[i] = (struct iovec){&bytes[i], 1};
		ios[i] = (struct loop_io){.kind = LOOP_IO_WRITE,
		        .fd = file,
		        .offset = i,
		        .iov = &iov[i],
		        .iov_count = 1,
		        .on_done = on_done_count};
		loop_io_start(loop, &ios[i]);
	}
	assert_ok(loop_run(loop, &err));
	assert_int_equal(count, MANY);
	assert_int_equal(pread(file, found, MANY, 0), MANY);
	assert_memory_equal(found, bytes, MANY);
}

static void on_done_again(struct loop_io *io, int result)
{
	if (++count == MANY)
		loop_stop(loop);
	else
		loop_io_start(loop, io);
}

static void test_io_starts_from_the_end_of_another(void **state)
{
	struct loop_io io = {.kind = LOOP_IO_SYNC, .fd = file, .on_done = on_done_again};

	loop_io_start(loop, &io);
	assert_ok(loop_run(loop, &err));
	assert_int_equal(count, MANY);
}

static void on_done_never(struct loop_io *io, int result)
{
	fail();
}

static void on_done_stop_first(struct loop_io *io, int result)
{
	loop_stop(loop);
}

/* When the loop has been destroyed nobody writes to the memory of its requests. */
static void test_io_under_way_ends_with_the_loop(void **state)
{
	static char data[16][4096];
	struct loop_io ios[16], first = {.kind = LOOP_IO_SYNC, .fd = file, .on_done = on_done_stop_first};
	struct iovec iov[16];

	loop_io_start(loop, &first);
	assert_ok(loop_run(loop, &err));
	for (unsigned i = 0; i < 16; i++) {
		iov[i] = (struct iovec){data[i], sizeof(data[i])};
		ios[i] = (struct loop_io){.kind = LOOP_IO_READ,
		        .fd = file,
		        .iov = &iov[i],
		        .iov_count = 1,
		        .on_done = on_done_never};
		loop_io_start(loop, &ios[i]);
	}
	loop_destroy(take_ptr(&loop));
	memset(data, 1, sizeof(data));
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(data[i][4095], 1);
}

/* ---- bells ---- */

static void on_ring(void *ctx)
{
	count++;
	loop_stop(loop);
}

static void ring(int fd)
{
	const uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static void test_bell_rings_again_and_again(void **state)
{
	auto_close int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_ok(loop_bell_start(loop, fd, on_ring, NULL, &op, &err));
	for (unsigned i = 1; i <= 100; i++) {
		ring(fd);
		assert_ok(loop_run(loop, &err));
		assert_int_equal(count, i);
	}
	loop_op_stop(op);
}

static void test_bell_that_rang_before_is_heard(void **state)
{
	auto_close int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ring(fd);
	ring(fd);
	assert_ok(loop_bell_start(loop, fd, on_ring, NULL, &op, &err));
	assert_ok(loop_run(loop, &err));
	assert_int_equal(count, 1);
	loop_op_stop(op);
}

/* The eventfd blocks, as another process can make it that has it, too. */
static void test_bell_that_blocks_is_taken_without_a_wait(void **state)
{
	auto_close int fd = eventfd(0, EFD_CLOEXEC);

	assert_false(loop_bell_take(fd));
	ring(fd);
	ring(fd);
	assert_true(loop_bell_take(fd));
	assert_false(loop_bell_take(fd));
	assert_false(loop_bell_take(-1));
}

static void on_ring_stop_it(void *ctx)
{
	count++;
	loop_op_stop(op);
}

static void on_time_stop(void *ctx)
{
	loop_stop(loop);
}

static void test_bell_stopped_by_its_callback_is_silent(void **state)
{
	auto_close int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct loop_op *timer;

	assert_ok(loop_bell_start(loop, fd, on_ring_stop_it, NULL, &op, &err));
	for (unsigned i = 0; i < 2; i++) {
		ring(fd);
		assert_ok(loop_timer_start(loop, 20000000, on_time_stop, NULL, &timer, &err));
		assert_ok(loop_run(loop, &err));
	}
	assert_int_equal(count, 1);
}

static _Atomic unsigned sent, answered;

static void on_ring_answer(void *ctx)
{
	answered = sent;
	if (answered == MANY)
		loop_stop(loop);
}

/* Rings, and rings again only when the loop has answered: a lost ring would end this test in a timeout. */
static void *ring_one_by_one(void *ctx)
{
	for (unsigned i = 1; i <= MANY; i++) {
		sent = i;
		ring(*(int *)ctx);
		while (answered < i)
			;
	}
	return NULL;
}

static void test_bell_loses_no_ring_of_another_thread(void **state)
{
	auto_close int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_t thread;

	sent = answered = 0;
	assert_ok(loop_bell_start(loop, fd, on_ring_answer, NULL, &op, &err));
	assert_int_equal(pthread_create(&thread, NULL, ring_one_by_one, &fd), 0);
	assert_ok(loop_run(loop, &err));
	pthread_join(thread, NULL);
	loop_op_stop(op);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int run_on(const struct loop_backend *with)
{
	const struct CMUnitTest tests[] = {
	        T(test_io_reads_what_it_wrote),
	        T(test_io_at_the_end_of_the_file_is_short),
	        T(test_io_changes_the_allocation),
	        T(test_io_fails_with_the_reason),
	        T(test_io_that_exceeds_the_ring_is_all_done),
	        T(test_io_starts_from_the_end_of_another),
	        T(test_io_under_way_ends_with_the_loop),
	        T(test_bell_rings_again_and_again),
	        T(test_bell_that_rang_before_is_heard),
	        T(test_bell_that_blocks_is_taken_without_a_wait),
	        T(test_bell_stopped_by_its_callback_is_silent),
	        T(test_bell_loses_no_ring_of_another_thread),
	};

	backend = with;
	print_message("# on %s\n", with->name);
	return cmocka_run_group_tests_name(with->name, tests, NULL, NULL);
}

int main(void)
{
	return both_run(run_on);
}
