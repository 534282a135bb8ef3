/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that serve a device get their descriptor, and are gone when they were ended, whatever they do. */
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "support/test.h"
#include "vmm/back/child.h"
#include "vmm/back/virtiofsd.h"

static int fds[2];
static struct err err;

static int setup(void **state)
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);
}

static int teardown(void **state)
{
	close(fds[0]);
	close(fds[1]);
	return 0;
}

static pid_t start(const char *script)
{
	const char *const argv[] = {"sh", "-c", script, NULL};
	pid_t pid;

	assert_ok(back_child_start(argv, fds[1], -1, &pid, &err));
	return pid;
}

/* Waits until the child says a byte. */
static void hear(char expected)
{
	char byte;

	assert_int_equal(read(fds[0], &byte, 1), 1);
	assert_int_equal(byte, expected);
}

static void test_child_has_its_descriptor_and_no_other(void **state)
{
	pid_t pid = start("[ ! -e /proc/self/fd/4 ] && read x || printf a >&3; sleep 1000");

	hear('a');
	back_child_end(pid);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
}

static void test_child_is_in_a_process_group_of_its_own(void **state)
{
	pid_t pid = start("printf a >&3; sleep 1000");

	hear('a');
	assert_int_equal(getpgid(pid), pid);
	back_child_end(pid);
}

static void test_child_that_does_not_want_to_end_is_killed(void **state)
{
	pid_t pid = start("trap '' TERM; printf a >&3; while :; do sleep 1; done");

	hear('a');
	back_child_end(pid);
	assert_int_equal(kill(pid, 0), -1);
}

/* The descriptor is closed when the last process that has it is gone. */
static void test_child_that_has_children_takes_them_along(void **state)
{
	pid_t pid = start("(trap '' TERM; printf a >&3; sleep 1000; :) & sleep 1000; :");
	char byte;

	hear('a');
	close(fds[1]);
	back_child_end(pid);
	assert_int_equal(read(fds[0], &byte, 1), 0);
	fds[1] = -1;
}

static void test_child_that_has_ended_is_reaped(void **state)
{
	pid_t pid = start("exit 3");

	back_child_end(pid);
	assert_int_equal(kill(pid, 0), -1);
	back_child_end(0);
}

static void test_child_program_that_is_missing_is_told_as_such(void **state)
{
	const char *const argv[] = {"/no/such/program", NULL};
	pid_t pid = 7;

	assert_fails(back_child_start(argv, fds[1], -1, &pid, &err), ERR_HOST,
	        "starting /no/such/program: No such file");
	assert_int_equal(err.sys, ENOENT);
	assert_int_equal(pid, 7);
}

/* A stand-in for the program that says what it was given, and serves nobody. */
static void test_virtiofsd_is_found_in_path_and_gets_the_folder(void **state)
{
	static const char script[] = "#!/bin/sh\necho \"$@\" >\"$0.args\"\nexec /bin/sleep 1000\n";
	char folder[] = "/tmp/virtiofsd.XXXXXX", path[100], line[200] = "";
	int socket;
	pid_t pid;
	FILE *file;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/virtiofsd", folder);
	assert_ok(file_make(path, script, sizeof(script) - 1, 0700, &err));
	setenv("PATH", folder, 1);
	assert_ok(back_virtiofsd_start("/some/folder, as it were", &socket, &pid, &err));
	setenv("PATH", "/usr/bin:/bin", 1);
	snprintf(path, sizeof(path), "%s/virtiofsd.args", folder);
	while (!strchr(line, '\n')) {
		file = fopen(path, "r");
		if (file && !fgets(line, sizeof(line), file))
			*line = '\0';
		if (file)
			fclose(file);
		usleep(10000);
	}
	back_child_end(pid);
	close(socket);
	assert_string_equal(line, "--fd=3 --shared-dir=/some/folder, as it were --log-level=error\n");
	unlink(path);
	snprintf(path, sizeof(path), "%s/virtiofsd", folder);
	unlink(path);
	assert_int_equal(rmdir(folder), 0);
}

static void test_virtiofsd_of_others_that_is_not_there_is_told(void **state)
{
	char path[200];
	int socket;

	assert_fails(back_virtiofsd_connect("/no/such/socket", &socket, &err), ERR_HOST,
	        "/no/such/socket: connecting to virtiofsd: No such file");
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_fails(back_virtiofsd_connect(path, &socket, &err), ERR_USAGE, "at most 107 characters");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_child_has_its_descriptor_and_no_other),
	        TEST(test_child_is_in_a_process_group_of_its_own),
	        TEST(test_child_that_does_not_want_to_end_is_killed),
	        TEST(test_child_that_has_children_takes_them_along),
	        TEST(test_child_that_has_ended_is_reaped),
	        TEST(test_child_program_that_is_missing_is_told_as_such),
	        TEST(test_virtiofsd_is_found_in_path_and_gets_the_folder),
	        TEST(test_virtiofsd_of_others_that_is_not_there_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
