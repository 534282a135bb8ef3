/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of other vmms: which there are, and connections over them. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/folder.h"
#include "support/full_listener.h"
#include "support/test.h"
#include "vmm/back/address.h"

static struct err err;

static void test_address_words(void **state)
{
	static const struct {
		const char *address, *text; /* NULL: it is right */
	} rows[] = {
	        {"unix:/run/vmm", NULL},
	        {"unix:", "without a path"},
	        {"unix:/"
	         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	         "a"
	         "aaaaaaaaaaaaaaaaaaaa",
	                "at most 107 bytes"},
	        {"tcp:host:4444", NULL},
	        {"tcp::4444", NULL},
	        {"tcp:[::1]:4444", NULL},
	        {"tcp:::1:4444", "needs brackets"},
	        {"tcp:host", "is not tcp:HOST:PORT"},
	        {"tcp:host:", "is not tcp:HOST:PORT"},
	        {"fd:7", NULL},
	        {"fd:-1", "a number of a descriptor"},
	        {"fd:", "a number of a descriptor"},
	        {"fd:7x", "a number of a descriptor"},
	        {"bogus:1", "unknown migration protocol: bogus:1"},
	        {"", "unknown migration protocol"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].text)
			assert_fails(back_address_check(rows[i].address, &err), ERR_USAGE, rows[i].text);
		else
			assert_ok(back_address_check(rows[i].address, &err));
	}
}

static void test_address_that_is_too_long(void **state)
{
	char address[BACK_ADDRESS_MAX_BYTES + 10];

	memset(address, 'a', sizeof(address));
	memcpy(address, "tcp:", 4);
	address[sizeof(address) - 1] = '\0';
	assert_fails(back_address_check(address, &err), ERR_USAGE, "at most 299 bytes");
}

/* The port is any that is free. */
static void test_address_tcp(void **state)
{
	struct sockaddr_in at;
	socklen_t size = sizeof(at);
	int listener, fd, one;
	struct file_made file;
	char address[40];
	bool listens;

	assert_ok(back_address_listen("tcp:127.0.0.1:0", &listener, &listens, &file, &err));
	assert_true(listens);
	assert_null(file.path);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &size), 0);
	snprintf(address, sizeof(address), "tcp:127.0.0.1:%u", ntohs(at.sin_port));
	assert_ok(back_address_connect(address, -1, &fd, &err));
	one = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(one >= 0);
	close(one);
	close(fd);
	close(listener);
	assert_fails(back_address_connect(address, -1, &fd, &err), ERR_FAILED,
	        "Failed to connect to 'tcp:127.0.0.1:");
	assert_int_equal(err.sys, ECONNREFUSED);
}

/* A file that another process has put in the place of ours stays. */
static void test_address_unix_file(void **state)
{
	char folder[] = "/tmp/address.XXXXXX", address[100], moved[100];
	struct file_made first, second;
	int listeners[2];
	bool listens;

	assert_non_null(mkdtemp(folder));
	snprintf(address, sizeof(address), "unix:%s/socket", folder);
	snprintf(moved, sizeof(moved), "%s/moved", folder);
	assert_ok(back_address_listen(address, &listeners[0], &listens, &first, &err));
	assert_string_equal(first.path, address + 5);
	assert_int_equal(rename(first.path, moved), 0);
	assert_ok(back_address_listen(address, &listeners[1], &listens, &second, &err));
	file_made_remove(&first);
	assert_null(first.path);
	assert_int_equal(access(second.path, F_OK), 0);
	file_made_remove(&second);
	assert_int_equal(access(address + 5, F_OK), -1);
	close(listeners[0]);
	close(listeners[1]);
	folder_remove(folder);
}

/* Nobody takes connections there, and the kernel keeps no more of them. */
static void test_address_connect_that_is_cancelled(void **state)
{
	struct full_listener full;
	int cancel[2], fd;

	listener_fill(&full);
	assert_int_equal(pipe(cancel), 0);
	assert_int_equal(write(cancel[1], "x", 1), 1);
	assert_fails(
	        back_address_connect(full.address, cancel[0], &fd, &err), ERR_FAILED, "Failed to connect to");
	assert_int_equal(err.sys, ECANCELED);
	assert_int_equal(fd, -1);
	close(cancel[0]);
	close(cancel[1]);
	listener_close(&full);
}

static void test_address_fd(void **state)
{
	struct file_made file;
	char address[20];
	bool listens;
	int fds[2], fd;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	snprintf(address, sizeof(address), "fd:%d", fds[0]);
	assert_ok(back_address_listen(address, &fd, &listens, &file, &err));
	assert_false(listens);
	assert_int_equal(fd, fds[0]);
	close(fds[0]);
	close(fds[1]);
	assert_fails(back_address_listen("fd:987", &fd, &listens, &file, &err), ERR_USAGE,
	        "fd:987: a stream socket is needed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_address_words),
	        cmocka_unit_test(test_address_that_is_too_long),
	        cmocka_unit_test(test_address_tcp),
	        cmocka_unit_test(test_address_unix_file),
	        cmocka_unit_test(test_address_connect_that_is_cancelled),
	        cmocka_unit_test(test_address_fd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
