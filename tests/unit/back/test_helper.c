/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The helper does what its configuration says and nothing else, and ends what it has started, however vmm
 * ends.
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "support/folder.h"
#include "support/full_listener.h"
#include "support/test.h"
#include "vmm/back/address.h"
#include "vmm/back/helper.h"

static char empty[] = "", shared[] = "/some/folder", missing[] = "/no/such/socket";
static char folder[] = "/tmp/helper.XXXXXX";
static struct err err;

static struct config_device devices[] = {
        {.driver = CONFIG_FS, .folder = shared, .socket = empty},
        {.driver = CONFIG_BLK, .folder = empty, .socket = empty},
        {.driver = CONFIG_FS, .folder = empty, .socket = missing},
        {.driver = CONFIG_NET, .tap = empty, .tap_fd = -1, .forward_tcp = empty, .forward_udp = empty},
};
static const struct config config = {.devices = devices, .devices_count = ARRAY_LEN(devices)};

/* Each program is a script that lives until it is ended; passt says a word first. */
static int setup(void **state)
{
	static const char serves[] = "#!/bin/sh\nexec /bin/sleep 1000\n",
	                  speaks[] = "#!/bin/sh\necho words >&2\nexec /bin/sleep 1000\n";
	char path[100];

	strcpy(folder, "/tmp/helper.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/virtiofsd", folder);
	assert_ok(file_make(path, serves, sizeof(serves) - 1, 0700, &err));
	snprintf(path, sizeof(path), "%s/passt", folder);
	assert_ok(file_make(path, speaks, sizeof(speaks) - 1, 0700, &err));
	setenv("PATH", folder, 1);
	assert_ok(back_helper_start(&config, false, &err));
	return 0;
}

static int teardown(void **state)
{
	back_helper_stop();
	setenv("PATH", "/usr/bin:/bin", 1);
	folder_remove(folder);
	return 0;
}

static bool is_gone(pid_t pid)
{
	return kill(pid, 0) < 0 && errno == ESRCH;
}

static void test_helper_starts_and_ends_what_serves_a_device(void **state)
{
	struct back_server server;

	assert_ok(back_server_start(&devices[0], &server, &err));
	assert_true(server.fd >= 0 && server.log_fd < 0);
	assert_int_equal(kill(server.pid, 0), 0);
	assert_int_equal(waitpid(server.pid, NULL, WNOHANG), -1); /* it is the helper's child, not ours */
	back_server_end(server.pid);
	assert_true(is_gone(server.pid));
	close(server.fd);
}

static void test_helper_hands_over_the_messages_of_passt(void **state)
{
	struct back_server server;
	struct pollfd ready;
	char words[16];

	assert_ok(back_server_start(&devices[3], &server, &err));
	ready = (struct pollfd){.fd = server.log_fd, .events = POLLIN};
	assert_int_equal(poll(&ready, 1, 60000), 1);
	assert_int_equal(read(server.log_fd, words, sizeof(words)), 6);
	assert_memory_equal(words, "words\n", 6);
	back_server_end(server.pid);
	close(server.fd);
	close(server.log_fd);
}

static void test_helper_serves_only_devices_of_its_configuration(void **state)
{
	struct back_server server;

	assert_fails(back_server_start(&devices[1], &server, &err), ERR_FAILED, "serves no such device");
	assert_fails(back_server_start(&devices[ARRAY_LEN(devices)], &server, &err), ERR_FAILED,
	        "serves no such device");
}

static void test_helper_passes_errors_on(void **state)
{
	struct back_server server;

	assert_fails(back_server_start(&devices[2], &server, &err), ERR_HOST, "connecting to virtiofsd");
	assert_int_equal(err.sys, ENOENT);
}

static void test_helper_ends_nothing_that_it_did_not_start(void **state)
{
	pid_t pid = fork();

	if (!pid) {
		pause();
		_Exit(0);
	}
	back_server_end(pid);
	assert_int_equal(kill(pid, 0), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	back_server_end(0);
}

static void test_helper_connects(void **state)
{
	struct file_made file;
	char address[100];
	int listener, fd;
	bool listens;

	snprintf(address, sizeof(address), "unix:%s/socket", folder);
	assert_fails(back_address_connect(address, -1, &fd, &err), ERR_FAILED, "Failed to connect to 'unix:");
	assert_int_equal(err.sys, ENOENT);
	assert_ok(back_address_listen(address, &listener, &listens, &file, &err));
	assert_true(listens);
	assert_ok(back_address_connect(address, -1, &fd, &err));
	assert_int_equal(send(fd, "x", 1, 0), 1);
	close(fd);
	close(listener);
	/* Nobody listens there any more; the file is taken over. */
	assert_fails(back_address_connect(address, -1, &fd, &err), ERR_FAILED, "Failed to connect");
	free(file.path);
	assert_ok(back_address_listen(address, &listener, &listens, &file, &err));
	close(listener);
	file_made_remove(&file);
	assert_fails(back_address_connect("fd:3", -1, &fd, &err), ERR_USAGE, "nothing can be connected to");
}

/* A resolver that never answers for some names. */
int __real_getaddrinfo(
        const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **ret_list);
int __wrap_getaddrinfo(
        const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **ret_list);
int __wrap_getaddrinfo(
        const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **ret_list)
{
	if (name && strcmp(name, "silent") == 0)
		pause();
	return __real_getaddrinfo(name, service, hints, ret_list);
}

/* Neither who asks nor the helper waits on, and the helper's end does not either. */
static void assert_cancelled(const char *address)
{
	struct back_server server;
	int cancel[2], fd;

	assert_int_equal(pipe(cancel), 0);
	assert_int_equal(write(cancel[1], "x", 1), 1);
	for (unsigned i = 0; i < 2; i++) {
		assert_fails(back_address_connect(address, cancel[0], &fd, &err), ERR_FAILED,
		        "Failed to connect to");
		assert_int_equal(err.sys, ECANCELED);
		assert_int_equal(fd, -1);
		assert_ok(back_server_start(&devices[0], &server, &err));
		back_server_end(server.pid);
		close(server.fd);
	}
	close(cancel[0]);
	close(cancel[1]);
}

static void test_helper_connects_until_it_is_cancelled(void **state)
{
	struct full_listener full;

	listener_fill(&full);
	assert_cancelled(full.address);
	listener_close(&full);
	assert_cancelled("tcp:silent:4444");
}

static void test_helper_stop_ends_all(void **state)
{
	struct back_server first, second;

	assert_ok(back_server_start(&devices[0], &first, &err));
	assert_ok(back_server_start(&devices[0], &second, &err));
	back_helper_stop();
	assert_true(is_gone(first.pid) && is_gone(second.pid));
	close(first.fd);
	close(second.fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_helper_starts_and_ends_what_serves_a_device),
	        TEST(test_helper_hands_over_the_messages_of_passt),
	        TEST(test_helper_serves_only_devices_of_its_configuration),
	        TEST(test_helper_passes_errors_on),
	        TEST(test_helper_ends_nothing_that_it_did_not_start),
	        TEST(test_helper_connects),
	        TEST(test_helper_connects_until_it_is_cancelled),
	        TEST(test_helper_stop_ends_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
