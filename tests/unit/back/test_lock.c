/* SPDX-License-Identifier: Apache-2.0 */
/* The lock of an image, against itself and against QEMU's programs. */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "../../../src/back/disk.h"
#include "support/test.h"

static char path[] = "/tmp/vmm-lock-XXXXXX";
static struct err err;

static int setup(void **state)
{
	int fd = mkstemp(path);

	return fd < 0 || ftruncate(fd, 1 << 20) < 0 || close(fd) < 0;
}

static int teardown(void **state)
{
	unlink(path);
	memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
	return 0;
}

static int open_image(bool writable)
{
	int fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void test_lock_lets_one_writer_in(void **state)
{
	auto_close int first = open_image(true), second = open_image(true), reader = open_image(false);

	assert_ok(back_lock(first, true, &err));
	assert_fails(back_lock(second, true, &err), ERR_USAGE, "another program writes it");
	assert_fails(back_lock(reader, false, &err), ERR_USAGE, "another program writes it");
}

static void test_lock_lets_many_readers_in_and_then_no_writer(void **state)
{
	auto_close int first = open_image(false), second = open_image(false), writer = open_image(true);

	assert_ok(back_lock(first, false, &err));
	assert_ok(back_lock(second, false, &err));
	assert_fails(back_lock(writer, true, &err), ERR_USAGE, "set read-only");
}

static void test_lock_ends_with_the_descriptor(void **state)
{
	auto_close int second = open_image(true);
	int first = open_image(true);

	assert_ok(back_lock(first, true, &err));
	close(first);
	assert_ok(back_lock(second, true, &err));
}

static void test_lock_ends_with_a_killed_process(void **state)
{
	auto_close int fd = open_image(true);
	int ready[2];
	pid_t child;
	char byte;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (!child) {
		int mine = open(path, O_RDWR);

		_exit(back_lock(mine, true, &err) < 0 || write(ready[1], "y", 1) != 1 || pause());
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_fails(back_lock(fd, true, &err), ERR_USAGE, "another program writes it");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_ok(back_lock(fd, true, &err));
	close(ready[0]);
	close(ready[1]);
}

/* A file without locks, as far as fcntl(2) goes: O_PATH descriptors refuse them. */
static void test_lock_says_that_there_are_none(void **state)
{
	auto_close int fd = open(path, O_PATH | O_CLOEXEC);

	assert_fails(back_lock(fd, true, &err), ERR_HOST, "gives no locks");
}

/* ---- QEMU's programs as judges ---- */

static bool have(const char *program)
{
	char command[100];

	snprintf(command, sizeof(command), "%s --version >/dev/null 2>&1", program);
	return system(command) == 0;
}

static int qemu_io(const char *options, const char *command)
{
	char line[300];

	snprintf(line, sizeof(line), "qemu-io -f raw %s -c '%s' %s >/dev/null 2>&1", options, command, path);
	return system(line);
}

/* qemu-io shares an image that it only reads. */
static void test_lock_keeps_qemu_out(void **state)
{
	auto_close int fd = open_image(true);

	if (!have("qemu-io")) {
		print_message("no qemu-io (package qemu-utils)\n");
		skip();
	}
	assert_int_equal(qemu_io("", "write 0 512"), 0);
	assert_ok(back_lock(fd, true, &err));
	assert_int_not_equal(qemu_io("", "write 0 512"), 0);
	assert_int_equal(qemu_io("-r", "read 0 512"), 0);
}

static void test_lock_of_a_reader_lets_qemu_read(void **state)
{
	auto_close int fd = open_image(false);

	if (!have("qemu-io")) {
		print_message("no qemu-io (package qemu-utils)\n");
		skip();
	}
	assert_ok(back_lock(fd, false, &err));
	assert_int_equal(qemu_io("-r", "read 0 512"), 0);
	assert_int_not_equal(qemu_io("", "write 0 512"), 0);
}

/* Starts a qemu-io that has the image open for writing, and returns when it has locked the image. */
static pid_t start_qemu(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 2};
	pid_t child = fork();

	if (!child) {
		execlp("qemu-io", "qemu-io", "-f", "raw", "-c", "sleep 600000", path, NULL);
		_exit(1);
	}
	for (int i = 0; i < 6000; i++) {
		struct flock found = lock;

		assert_int_equal(fcntl(fd, F_OFD_GETLK, &found), 0);
		if (found.l_type != F_UNLCK)
			return child;
		usleep(10000);
	}
	fail_msg("qemu-io takes no lock");
	return -1;
}

static void test_lock_heeds_a_qemu_that_writes(void **state)
{
	auto_close int fd = open_image(true), reader = open_image(false);
	pid_t qemu;

	if (!have("qemu-io")) {
		print_message("no qemu-io (package qemu-utils)\n");
		skip();
	}
	qemu = start_qemu(fd);
	assert_fails(back_lock(fd, true, &err), ERR_USAGE, "another program writes it");
	assert_fails(back_lock(reader, false, &err), ERR_USAGE, "another program writes it");
	kill(qemu, SIGKILL);
	waitpid(qemu, NULL, 0);
	close(take_fd(&reader));
	assert_ok(back_lock(fd, true, &err));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        T(test_lock_lets_one_writer_in),
	        T(test_lock_lets_many_readers_in_and_then_no_writer),
	        T(test_lock_ends_with_the_descriptor),
	        T(test_lock_ends_with_a_killed_process),
	        T(test_lock_says_that_there_are_none),
	        T(test_lock_keeps_qemu_out),
	        T(test_lock_of_a_reader_lets_qemu_read),
	        T(test_lock_heeds_a_qemu_that_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
