/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of other vmms: which there are, and connections over them. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

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
	char address[40], *path;
	bool listens;

	assert_ok(back_address_listen("tcp:127.0.0.1:0", &listener, &listens, &path, &err));
	assert_true(listens);
	assert_null(path);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &size), 0);
	snprintf(address, sizeof(address), "tcp:127.0.0.1:%u", ntohs(at.sin_port));
	assert_ok(back_address_connect(address, &fd, &err));
	one = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(one >= 0);
	close(one);
	close(fd);
	close(listener);
	assert_fails(
	        back_address_connect(address, &fd, &err), ERR_FAILED, "Failed to connect to 'tcp:127.0.0.1:");
	assert_int_equal(err.sys, ECONNREFUSED);
}

static void test_address_fd(void **state)
{
	char address[20], *path;
	bool listens;
	int fds[2], fd;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	snprintf(address, sizeof(address), "fd:%d", fds[0]);
	assert_ok(back_address_listen(address, &fd, &listens, &path, &err));
	assert_false(listens);
	assert_int_equal(fd, fds[0]);
	close(fds[0]);
	close(fds[1]);
	assert_fails(back_address_listen("fd:987", &fd, &listens, &path, &err), ERR_USAGE,
	        "fd:987: a stream socket is needed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_address_words),
	        cmocka_unit_test(test_address_that_is_too_long),
	        cmocka_unit_test(test_address_tcp),
	        cmocka_unit_test(test_address_fd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
