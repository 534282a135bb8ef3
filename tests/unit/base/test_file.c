/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "support/test.h"

static char dir[] = "/tmp/vmm-test-XXXXXX";

static int setup(void **state)
{
	return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	unlink("three");
	unlink("pipe");
	return chdir("/") || rmdir(dir);
}

static void make(const char *name, const char *text)
{
	auto_fclose FILE *f = fopen(name, "w");

	assert_non_null(f);
	fputs(text, f);
}

static void test_file_is_read_whole(void **state)
{
	auto_free void *data = NULL;
	struct err err;
	size_t size;

	make("three", "abc");
	assert_ok(file_read_all("three", 3, &data, &size, &err));
	assert_int_equal(size, 3);
	assert_memory_equal(data, "abc", 3);
}

static void test_file_empty_gives_a_buffer(void **state)
{
	auto_free void *data = NULL;
	struct err err;
	size_t size;

	make("three", "");
	assert_ok(file_read_all("three", 3, &data, &size, &err));
	assert_int_equal(size, 0);
	assert_non_null(data);
}

static void test_file_refusals_name_the_reason(void **state)
{
	void *data = NULL;
	struct err err;
	size_t size;

	make("three", "abc");
	assert_fails(file_read_all("none", 9, &data, &size, &err), ERR_USAGE,
	        "none: cannot be opened: No such file");
	assert_fails(file_read_all("three", 2, &data, &size, &err), ERR_USAGE, "has 3 bytes, the limit is 2");
	assert_fails(file_read_all("/", 9, &data, &size, &err), ERR_USAGE, "is a directory");
	assert_fails(file_read_all("/dev/null", 9, &data, &size, &err), ERR_USAGE, "is a device");
	assert_fails(file_read_all("/dev/fd/999", 9, &data, &size, &err), ERR_USAGE, "cannot be opened");
	assert_null(data);
}

/* The bytes go into a pipe by a thread, since they may be more than the pipe holds. */
struct writer {
	pthread_t thread;
	const char *path; /* NULL: fd is written to */
	int fd;
	size_t size;
};

static void *write_all(void *arg)
{
	const struct writer *w = arg;
	int fd = w->path ? open(w->path, O_WRONLY) : w->fd;

	for (size_t i = 0; i < w->size; i++) {
		uint8_t byte = (uint8_t)(i * 7);

		if (write(fd, &byte, 1) != 1)
			break; /* the reader has had enough */
	}
	close(fd);
	return NULL;
}

static void start(struct writer *w)
{
	assert_int_equal(pthread_create(&w->thread, NULL, write_all, w), 0);
}

static void assert_written(const uint8_t *data, size_t size, size_t wanted)
{
	assert_int_equal(size, wanted);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(data[i], (uint8_t)(i * 7));
}

static void test_file_pipe_by_descriptor_is_read_whole(void **state)
{
	static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 20000};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		auto_free void *data = NULL;
		struct writer w = {.size = sizes[i]};
		char path[32];
		size_t size;
		int ends[2];

		assert_int_equal(pipe(ends), 0);
		w.fd = ends[1];
		start(&w);
		snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
		assert_ok(file_read_all(path, 20000, &data, &size, &err));
		assert_non_null(data);
		assert_written(data, size, sizes[i]);
		pthread_join(w.thread, NULL);
		close(ends[0]);
	}
}

static void test_file_standard_input_is_read_whole(void **state)
{
	auto_free void *data = NULL;
	struct writer w = {.size = 5000};
	int ends[2], saved = dup(STDIN_FILENO);
	struct err err;
	size_t size;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
	close(ends[0]);
	w.fd = ends[1];
	start(&w);
	assert_ok(file_read_all("-", 5000, &data, &size, &err));
	assert_written(data, size, 5000);
	pthread_join(w.thread, NULL);
	assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
	close(saved);
}

static void test_file_fifo_waits_for_its_writer(void **state)
{
	auto_free void *data = NULL;
	struct writer w = {.path = "pipe", .size = 100};
	struct err err;
	size_t size;

	assert_int_equal(mkfifo("pipe", 0600), 0);
	start(&w);
	assert_ok(file_read_all("pipe", 100, &data, &size, &err));
	assert_written(data, size, 100);
	pthread_join(w.thread, NULL);
	unlink("pipe");
}

/* A writer that never stops is cut off at the limit. */
static void test_file_pipe_that_has_too_much_is_refused(void **state)
{
	void *data = NULL;
	struct writer w = {.size = SIZE_MAX};
	struct err err;
	char path[32];
	size_t size;
	int ends[2];

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(ends), 0);
	w.fd = ends[1];
	start(&w);
	snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
	assert_fails(file_read_all(path, 10000, &data, &size, &err), ERR_USAGE, "more than 10000 bytes");
	close(ends[0]);
	pthread_join(w.thread, NULL);
	assert_null(data);
}

/* /proc reports a size of 0 for its files, as configfs does for attestation reports. */
static void test_file_without_a_size_is_read_whole(void **state)
{
	auto_free void *data = NULL;
	struct stat st;
	struct err err;
	size_t size;

	assert_int_equal(stat("/proc/self/status", &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_ok(file_read_all("/proc/self/status", 65536, &data, &size, &err));
	assert_true(size > 5);
	assert_memory_equal(data, "Name:", 5);
}

/* Signals that end vmm are blocked during a launch, but must still end a read from a silent pipe. */
static void test_file_wait_for_a_pipe_ends_at_a_signal(void **state)
{
	void *data = NULL;
	sigset_t term;
	struct err err;
	char path[32];
	size_t size;
	int ends[2], taken;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &term, NULL), 0);
	assert_int_equal(pipe(ends), 0);
	snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
	raise(SIGTERM);
	assert_fails(file_read_all(path, 10, &data, &size, &err), ERR_FAILED, "a signal ended the wait");
	assert_int_equal(sigwait(&term, &taken), 0);
	assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &term, NULL), 0);
	close(ends[0]);
	close(ends[1]);
}

static void test_file_is_judged_without_being_opened(void **state)
{
	assert_int_equal(mkfifo("pipe", 0600), 0);
	assert_null(file_why_unreadable("pipe")); /* an open would be seen by the writer */
	make("three", "");
	assert_string_equal(file_why_unreadable("three"), "it is empty");
	assert_non_null(strstr(file_why_unreadable("/dev/null"), "a device"));
	assert_non_null(strstr(file_why_unreadable("/"), "a directory"));
	assert_non_null(strstr(file_why_unreadable("none"), "No such file"));
}

/* A file that is judged readable can be read. The only socket among these is the standard input. */
static void test_file_socket_is_readable_as_standard_input_only(void **state)
{
	const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
	int listening = socket(AF_UNIX, SOCK_STREAM, 0), saved = dup(STDIN_FILENO), ends[2];
	void *data = NULL;
	struct err err;
	char path[32];
	size_t size;

	assert_int_equal(bind(listening, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
	assert_fails(file_read_all("socket", 9, &data, &size, &err), ERR_USAGE, "ENXIO");
	assert_fails(file_read_all(path, 9, &data, &size, &err), ERR_USAGE, "ENXIO");
	assert_non_null(strstr(file_why_unreadable("socket") ?: "", "a socket"));
	assert_non_null(strstr(file_why_unreadable(path) ?: "", "a socket"));

	assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
	close(ends[0]);
	assert_null(file_why_unreadable("-"));
	assert_int_equal(write(ends[1], "abc", 3), 3);
	close(ends[1]);
	assert_ok(file_read_all("-", 3, &data, &size, &err));
	assert_int_equal(size, 3);
	free(data);
	assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
	close(saved);
	close(listening);
	unlink("socket");
}

/* /proc and configfs report a size of 0 for files that have contents. */
static void test_file_without_a_size_is_not_called_empty(void **state)
{
	int status = open("/proc/self/status", O_RDONLY), saved = dup(STDIN_FILENO);

	assert_null(file_why_unreadable("/proc/self/status"));
	assert_int_equal(dup2(status, STDIN_FILENO), STDIN_FILENO);
	assert_null(file_why_unreadable("-"));
	assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
	close(saved);
	close(status);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_file_is_read_whole),
	        cmocka_unit_test(test_file_empty_gives_a_buffer),
	        cmocka_unit_test(test_file_refusals_name_the_reason),
	        cmocka_unit_test(test_file_pipe_by_descriptor_is_read_whole),
	        cmocka_unit_test(test_file_standard_input_is_read_whole),
	        cmocka_unit_test(test_file_fifo_waits_for_its_writer),
	        cmocka_unit_test(test_file_pipe_that_has_too_much_is_refused),
	        cmocka_unit_test(test_file_without_a_size_is_read_whole),
	        cmocka_unit_test(test_file_wait_for_a_pipe_ends_at_a_signal),
	        cmocka_unit_test(test_file_is_judged_without_being_opened),
	        cmocka_unit_test(test_file_socket_is_readable_as_standard_input_only),
	        cmocka_unit_test(test_file_without_a_size_is_not_called_empty),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
