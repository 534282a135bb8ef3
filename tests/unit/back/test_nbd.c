/* SPDX-License-Identifier: Apache-2.0 */
/* Disks of NBD servers: qemu-nbd and nbdkit, on sockets in a folder of the test's own. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "disk_run.h"
#include "support/folder.h"

#define IMAGE_BYTES MIB(8)

static char folder[] = "/tmp/vmm-nbd-XXXXXX", image[64], sock[64], uri[100], id[] = "blk0";
static struct config_device config;
static pid_t server;
static uint8_t *out, *in;

static int setup(void **state)
{
	int fd;

	assert_non_null(mkdtemp(folder));
	snprintf(image, sizeof(image), "%s/image", folder);
	snprintf(sock, sizeof(sock), "%s/socket", folder);
	snprintf(uri, sizeof(uri), "nbd+unix:///?socket=%s", sock);
	config = (struct config_device){.id = id, .file = uri};
	fd = open(image, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	out = malloc(IMAGE_BYTES);
	in = calloc(1, IMAGE_BYTES);
	for (size_t i = 0; i < IMAGE_BYTES; i++)
		out[i] = (uint8_t)(i * 2654435761u >> 13);
	return fd < 0 || ftruncate(fd, IMAGE_BYTES) < 0 || close(fd) < 0 || loop_create(&loop, &err) < 0;
}

static void end_server(void)
{
	if (!server)
		return;
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	server = 0;
}

static int teardown(void **state)
{
	back_disk_destroy(take_ptr(&disk));
	loop_destroy(take_ptr(&loop));
	end_server();
	folder_remove(folder);
	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
	free(out);
	free(in);
	return 0;
}

/* A socket has its place in the folder before it listens. */
static bool is_listening(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), result;

	assert_true(fd >= 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", sock);
	result = connect(fd, (const struct sockaddr *)&address, sizeof(address));
	close(fd);
	return result == 0;
}

/* Skips the test where the program is not installed. */
static void start_server(char *const *argv)
{
	server = fork();
	if (!server) {
		execvp(argv[0], argv);
		_exit(127);
	}
	for (unsigned i = 0; i < 6000; i++) {
		int status;

		if (is_listening())
			return;
		if (waitpid(server, &status, WNOHANG) == server) {
			server = 0;
			if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
				print_message("no %s here\n", argv[0]);
				skip();
			}
			fail_msg("%s ended with status %d", argv[0], status);
		}
		usleep(10000);
	}
	fail_msg("%s does not listen", argv[0]);
}

static void start_qemu_nbd(char *option)
{
	char *argv[] = {(char[]){"qemu-nbd"}, (char[]){"-f"}, (char[]){"raw"}, (char[]){"-t"}, (char[]){"-k"},
	        sock, image, option, NULL};

	start_server(argv);
}

static int transfer(
        enum back_disk_kind kind, uint64_t offset, uint8_t *data, uint64_t bytes, size_t piece, bool through)
{
	struct iovec iov[1024];
	unsigned count = 0;

	for (uint64_t at = 0; at < bytes; at += piece)
		iov[count++] = (struct iovec){data + at, bytes - at < piece ? bytes - at : piece};
	return run((struct back_disk_request){.kind = kind,
	        .through = through,
	        .offset = offset,
	        .bytes = bytes,
	        .iov = iov,
	        .iov_count = count});
}

static int range(enum back_disk_kind kind, uint64_t offset, uint64_t bytes, bool keep)
{
	return run((struct back_disk_request){.kind = kind, .offset = offset, .bytes = bytes, .keep = keep});
}

static void use_disk(void)
{
	static const uint8_t zeros[MIB(3)];
	static const size_t pieces[] = {IMAGE_BYTES, 65536, 9000};

	assert_ok(back_disk_open(&config, loop, &disk, &err));
	assert_int_equal(back_disk_facts(disk)->size_bytes, IMAGE_BYTES);
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		assert_int_equal(transfer(BACK_DISK_WRITE, 0, out, IMAGE_BYTES, pieces[i], i & 1), 0);
		assert_int_equal(range(BACK_DISK_FLUSH, 0, 0, false), 0);
		memset(in, 0, IMAGE_BYTES);
		assert_int_equal(transfer(BACK_DISK_READ, 0, in, IMAGE_BYTES, pieces[i], false), 0);
		assert_memory_equal(in, out, IMAGE_BYTES);
	}
	for (int keep = 0; keep < 2; keep++) {
		assert_int_equal(transfer(BACK_DISK_WRITE, 0, out, IMAGE_BYTES, IMAGE_BYTES, false), 0);
		assert_int_equal(range(BACK_DISK_ZERO, 4096, sizeof(zeros), keep), 0);
		assert_int_equal(range(BACK_DISK_DISCARD, MIB(4), MIB(1), false), 0);
		assert_int_equal(transfer(BACK_DISK_READ, 0, in, IMAGE_BYTES, IMAGE_BYTES, false), 0);
		assert_memory_equal(in, out, 4096);
		assert_memory_equal(in + 4096, zeros, sizeof(zeros));
		assert_memory_equal(in + MIB(5), out + MIB(5), MIB(3));
	}
}

static void test_nbd_on_qemu_nbd(void **state)
{
	start_qemu_nbd(NULL);
	use_disk();
}

static void test_nbd_on_nbdkit(void **state)
{
	char file[100];
	char *argv[] = {
	        (char[]){"nbdkit"}, (char[]){"-f"}, (char[]){"-U"}, sock, (char[]){"file"}, file, NULL};

	snprintf(file, sizeof(file), "file=%s", image);
	start_server(argv);
	use_disk();
}

/* A server that can neither flush, trim nor zero, and takes only blocks of 4096 bytes. */
static void test_nbd_on_a_server_of_few_talents(void **state)
{
	char file[100];
	char *argv[] = {(char[]){"nbdkit"}, (char[]){"-f"}, (char[]){"-U"}, sock, (char[]){"--filter=nozero"},
	        (char[]){"--filter=blocksize-policy"}, (char[]){"file"}, file, (char[]){"zeromode=none"},
	        (char[]){"blocksize-minimum=4096"}, (char[]){"blocksize-error-policy=error"}, NULL};

	snprintf(file, sizeof(file), "file=%s", image);
	start_server(argv);
	use_disk();
	assert_int_equal(back_disk_facts(disk)->block_bytes, 4096);
}

static void test_nbd_that_is_read_only_needs_the_key(void **state)
{
	char option[] = "-r";

	start_qemu_nbd(option);
	assert_fails(back_disk_open(&config, loop, &disk, &err), ERR_USAGE, "set read-only");
	config.read_only = true;
	assert_ok(back_disk_open(&config, loop, &disk, &err));
	assert_int_equal(transfer(BACK_DISK_READ, 0, in, 4096, 4096, false), 0);
	assert_int_equal(transfer(BACK_DISK_WRITE, 0, out, 4096, 4096, false), -EROFS);
}

static void test_nbd_leaves_out_what_is_no_whole_block(void **state)
{
	char file[100];
	char *argv[] = {
	        (char[]){"nbdkit"}, (char[]){"-f"}, (char[]){"-U"}, sock, (char[]){"file"}, file, NULL};

	assert_int_equal(truncate(image, 1000), 0);
	snprintf(file, sizeof(file), "file=%s", image);
	start_server(argv);
	assert_ok(back_disk_open(&config, loop, &disk, &err));
	assert_int_equal(back_disk_facts(disk)->size_bytes, 512);
}

/* A server that dies: every request, under way and new, ends in an error. */
static void test_nbd_server_that_dies_is_an_error(void **state)
{
	start_qemu_nbd(NULL);
	assert_ok(back_disk_open(&config, loop, &disk, &err));
	assert_int_equal(transfer(BACK_DISK_WRITE, 0, out, 4096, 4096, false), 0);
	end_server();
	assert_true(transfer(BACK_DISK_WRITE, 0, out, IMAGE_BYTES, 65536, false) < 0);
	assert_true(transfer(BACK_DISK_READ, 0, in, 512, 512, false) < 0);
	assert_true(range(BACK_DISK_FLUSH, 0, 0, false) < 0);
}

static void hurry(void *unused)
{
	back_disk_hurry(disk, true);
}

/* A guest that ends does not wait for a server that answers nothing. */
static void test_nbd_server_that_sleeps_is_given_up_when_the_guest_ends(void **state)
{
	char *argv[] = {(char[]){"nbdkit"}, (char[]){"-f"}, (char[]){"-U"}, sock, (char[]){"--filter=delay"},
	        (char[]){"memory"}, (char[]){"size=1M"}, (char[]){"delay-read=1000"}, NULL};
	struct loop_task task = {.fn = hurry};

	start_server(argv);
	assert_ok(back_disk_open(&config, loop, &disk, &err));
	loop_post(loop, &task);
	assert_int_equal(transfer(BACK_DISK_READ, 0, in, 4096, 4096, false), -EIO);
	assert_int_equal(transfer(BACK_DISK_READ, 0, in, 4096, 4096, false), -EIO);
}

static void test_nbd_server_that_is_not_there_is_refused(void **state)
{
	assert_fails(back_disk_open(&config, loop, &disk, &err), ERR_HOST, "the NBD server");
}

/* qemu-nbd greets its second client when the first has gone. */
static void test_nbd_server_that_does_not_answer_is_given_up(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", sock);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_fails(back_disk_open(&config, loop, &disk, &err), ERR_HOST, "has not answered for 10 s");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        T(test_nbd_on_qemu_nbd),
	        T(test_nbd_on_nbdkit),
	        T(test_nbd_on_a_server_of_few_talents),
	        T(test_nbd_that_is_read_only_needs_the_key),
	        T(test_nbd_leaves_out_what_is_no_whole_block),
	        T(test_nbd_server_that_dies_is_an_error),
	        T(test_nbd_server_that_sleeps_is_given_up_when_the_guest_ends),
	        T(test_nbd_server_that_is_not_there_is_refused),
	        T(test_nbd_server_that_does_not_answer_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
