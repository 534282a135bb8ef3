/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vmm that is killed in the middle of its work loses nothing that it called flushed. A process that has the
 * device and its driver writes numbered blocks, flushes, and tells the number; it is killed 50 times.
 */
#include <signal.h>
#include <sys/wait.h>

#include "blk_bench.h"

#define KILLS       50
#define BLOCK       4096u
#define PLACES      (DISK_BYTES / BLOCK)
#define FLUSH_EVERY 4

static void fill_block(uint64_t *block, uint64_t n)
{
	for (unsigned i = 0; i < BLOCK / 8; i++)
		block[i] = n;
}

/* Goes on from the number after `n` until it is killed. */
static void write_log(uint64_t n, int to)
{
	uint64_t block[BLOCK / 8];

	open_device(ALL_BITS);
	for (;;) {
		fill_block(block, ++n);
		memcpy(at(DATA), block, BLOCK);
		if (request(VIRTIO_BLK_T_OUT, n % PLACES * 8, BLOCK, false) != VIRTIO_BLK_S_OK)
			_exit(1);
		if (n % FLUSH_EVERY)
			continue;
		if (request(VIRTIO_BLK_T_FLUSH, 0, 0, false) != VIRTIO_BLK_S_OK ||
		        write(to, &n, sizeof(n)) != sizeof(n))
			_exit(1);
	}
}

/*
 * Waits until the kernel has taken the killed process's io_uring apart, which holds its locks. The device
 * waits, too, but only for seconds.
 */
static void wait_for_locks(void)
{
	struct flock lock;

	do {
		usleep(1000);
		lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
		assert_int_equal(fcntl(file, F_OFD_GETLK, &lock), 0);
	} while (lock.l_type != F_UNLCK);
}

/* Returns the last number that was flushed before the kill. */
static uint64_t run_and_kill(uint64_t last, unsigned round)
{
	int ends[2], status;
	pid_t child;
	uint64_t n = last;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child)
		write_log(last, ends[1]);
	close(ends[1]);
	/* After a different number of flushes each time, and somewhere in the next writes. */
	for (unsigned i = 0; i <= round % 7; i++)
		assert_int_equal(read(ends[0], &n, sizeof(n)), sizeof(n));
	usleep(round * 37 % 500);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	assert_true(WIFSIGNALED(status));
	while (read(ends[0], &n, sizeof(n)) == sizeof(n))
		;
	close(ends[0]);
	wait_for_locks();
	return n;
}

/*
 * Each place must have its last flushed block. A later block may have come half way, because it was not
 * flushed: each of its words is then that of one of the two.
 */
static void check(uint64_t last)
{
	for (uint64_t n = last > PLACES ? last - PLACES + 1 : 1; n <= last; n++) {
		uint64_t found[BLOCK / 8];

		assert_int_equal(pread(file, found, BLOCK, (off_t)(n % PLACES * BLOCK)), BLOCK);
		for (unsigned i = 0; i < BLOCK / 8; i++) {
			if (found[i] != n && found[i] != n + PLACES)
				fail_msg("block %llu has %llu after %llu was flushed", (unsigned long long)n,
				        (unsigned long long)found[i], (unsigned long long)last);
		}
	}
}

static void test_blk_killed_loses_nothing_that_was_flushed(void **state)
{
	uint64_t last = 0;

	for (unsigned round = 0; round < KILLS; round++) {
		last = run_and_kill(last, round);
		check(last);
	}
	print_message("# %llu blocks were written\n", (unsigned long long)last);
	assert_true(last >= KILLS * FLUSH_EVERY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(
	                test_blk_killed_loses_nothing_that_was_flushed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
