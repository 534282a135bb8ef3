/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks of raw images. Requests go through __wrap_loop_io_start(), which can make the kernel's answer fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "disk_run.h"

#define IMAGE_BYTES MIB(8)

static char path[] = "/tmp/vmm-disk-XXXXXX", id[] = "blk0", no_file[] = "/no/such/file", null[] = "/dev/null",
            folder[] = "/tmp";
static struct config_device config;
static uint8_t *out, *in; /* IMAGE_BYTES each, aligned, with one block more */

/* ---- the kernel's failures ---- */

static int fail_kind = -1, fail_with;
static unsigned fail_short; /* bytes that a read or a write moves at most; 0: all */
static unsigned starts;

void __real_loop_io_start(struct loop *on, struct loop_io *io);
void __wrap_loop_io_start(struct loop *on, struct loop_io *io);

void __wrap_loop_io_start(struct loop *on, struct loop_io *io)
{
	static struct iovec piece;

	starts++;
	if ((int)io->kind == fail_kind) {
		io->on_done(io, fail_with);
		return;
	}
	if (fail_short && (io->kind == LOOP_IO_READ || io->kind == LOOP_IO_WRITE)) {
		piece = io->iov[0];
		if (piece.iov_len > fail_short)
			piece.iov_len = fail_short;
		io->iov = &piece;
		io->iov_count = 1;
	}
	__real_loop_io_start(on, io);
}

/* ---- the disk ---- */

static int setup(void **state)
{
	int fd = mkstemp(path);

	fail_kind = -1;
	fail_short = starts = 0;
	config = (struct config_device){.id = id, .file = path};
	out = aligned_alloc(4096, IMAGE_BYTES + 4096);
	in = aligned_alloc(4096, IMAGE_BYTES + 4096);
	for (size_t i = 0; i < IMAGE_BYTES + 4096; i++)
		out[i] = (uint8_t)(i * 2654435761u >> 13);
	memset(in, 0, IMAGE_BYTES + 4096);
	return fd < 0 || ftruncate(fd, IMAGE_BYTES) < 0 || close(fd) < 0 || loop_create(&loop, &err) < 0;
}

static int teardown(void **state)
{
	back_disk_destroy(take_ptr(&disk));
	loop_destroy(take_ptr(&loop));
	unlink(path);
	memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
	free(out);
	free(in);
	return 0;
}

/* Reads or writes, in pieces of memory of these sizes, which are repeated. */
static int transfer(enum back_disk_kind kind, uint64_t offset, uint8_t *data, uint64_t bytes, size_t piece)
{
	struct iovec iov[1024];
	unsigned count = 0;

	for (uint64_t at = 0; at < bytes; at += piece)
		iov[count++] = (struct iovec){data + at, bytes - at < piece ? bytes - at : piece};
	return run((struct back_disk_request){
	        .kind = kind, .offset = offset, .bytes = bytes, .iov = iov, .iov_count = count});
}

static int range(enum back_disk_kind kind, uint64_t offset, uint64_t bytes)
{
	return run((struct back_disk_request){.kind = kind, .offset = offset, .bytes = bytes});
}

static void open_disk(void)
{
	assert_ok(back_disk_open(&config, loop, &disk, &err));
}

static void test_disk_reads_what_it_wrote(void **state)
{
	static const enum config_cache caches[] = {CONFIG_CACHE_AUTO, CONFIG_CACHE_PAGE};
	static const size_t pieces[] = {IMAGE_BYTES, 65536, 20480};

	for (size_t i = 0; i < ARRAY_LEN(caches); i++) {
		config.cache = caches[i];
		open_disk();
		assert_int_equal(back_disk_facts(disk)->size_bytes, IMAGE_BYTES);
		assert_int_equal(back_disk_facts(disk)->block_bytes, 512);
		for (size_t j = 0; j < ARRAY_LEN(pieces); j++) {
			memset(in, 0, IMAGE_BYTES);
			assert_int_equal(transfer(BACK_DISK_WRITE, 0, out, IMAGE_BYTES, pieces[j]), 0);
			assert_int_equal(transfer(BACK_DISK_READ, 0, in, IMAGE_BYTES, pieces[j]), 0);
			assert_memory_equal(in, out, IMAGE_BYTES);
		}
		back_disk_destroy(take_ptr(&disk));
	}
}

/* Memory that the storage cannot reach, at odd addresses and in odd pieces. */
static void test_disk_bounces_what_is_not_aligned(void **state)
{
	static const size_t pieces[] = {1, 3, 511, 4097, MIB(3)};

	open_disk();
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		uint64_t bytes = pieces[i] < 1000 ? 512 : IMAGE_BYTES / 2 + 512, at = 512 * (i + 1);

		memset(in, 0, IMAGE_BYTES);
		assert_int_equal(transfer(BACK_DISK_WRITE, at, out + i, bytes, pieces[i]), 0);
		assert_int_equal(transfer(BACK_DISK_READ, at, in + 7, bytes, pieces[i] + 1), 0);
		assert_memory_equal(in + 7, out + i, bytes);
	}
}

static void on_done_count(struct back_disk_request *request, int result)
{
	assert_int_equal(result, 0);
	if (--answer == 0)
		loop_stop(loop);
}

static void test_disk_bounces_many_at_once(void **state)
{
	enum { MANY = 64 };
	struct back_disk_request requests[MANY];
	struct iovec iov[MANY];

	open_disk();
	answer = MANY;
	for (unsigned i = 0; i < MANY; i++) {
		iov[i] = (struct iovec){out + 512 * i + 1, 512};
		requests[i] = (struct back_disk_request){.kind = BACK_DISK_WRITE,
		        .offset = 512 * i,
		        .bytes = 512,
		        .iov = &iov[i],
		        .iov_count = 1,
		        .on_done = on_done_count};
		back_disk_start(disk, &requests[i]);
	}
	assert_ok(loop_run(loop, &err));
	assert_int_equal(transfer(BACK_DISK_READ, 0, in, MANY * 512, MANY * 512), 0);
	assert_memory_equal(in, out + 1, MANY * 512);
}

static void test_disk_continues_short_transfers(void **state)
{
	open_disk();
	fail_short = 4096;
	assert_int_equal(transfer(BACK_DISK_WRITE, 0, out, 65536, 20480), 0);
	assert_int_equal(transfer(BACK_DISK_READ, 0, in, 65536, 20480), 0);
	assert_memory_equal(in, out, 65536);
	assert_true(starts >= 32);
}

static void test_disk_refuses_ranges_outside(void **state)
{
	static const uint64_t ranges[][2] = {{IMAGE_BYTES, 512}, {IMAGE_BYTES - 512, 1024}, {100, 512},
	        {0, 100}, {UINT64_MAX - 511, 512}, {UINT64_MAX - 511, 1024}, {0, 0}};

	open_disk();
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
		for (int kind = BACK_DISK_READ; kind <= BACK_DISK_ZERO; kind++) {
			if (kind != BACK_DISK_FLUSH)
				assert_int_equal(range((enum back_disk_kind)kind, ranges[i][0], ranges[i][1]),
				        -EINVAL);
		}
	}
	assert_int_equal(starts, 0);
}

static void test_disk_zeroes_and_discards(void **state)
{
	static const int answers[] = {0, -EOPNOTSUPP};
	static const uint8_t zeros[MIB(3)];

	open_disk();
	for (size_t i = 0; i < ARRAY_LEN(answers) * 2; i++) {
		fail_kind = answers[i / 2] ? (i % 2 ? LOOP_IO_ZERO : LOOP_IO_DISCARD) : -1;
		fail_with = answers[i / 2];
		assert_int_equal(transfer(BACK_DISK_WRITE, 0, out, IMAGE_BYTES, IMAGE_BYTES), 0);
		assert_int_equal(run((struct back_disk_request){.kind = BACK_DISK_ZERO,
		                         .offset = 512,
		                         .bytes = sizeof(zeros),
		                         .keep = i % 2}),
		        0);
		assert_int_equal(range(BACK_DISK_DISCARD, MIB(4), MIB(1)), 0);
		assert_int_equal(transfer(BACK_DISK_READ, 0, in, IMAGE_BYTES, IMAGE_BYTES), 0);
		assert_memory_equal(in, out, 512);
		assert_memory_equal(in + 512, zeros, sizeof(zeros));
		assert_memory_equal(in + 512 + sizeof(zeros), out + 512 + sizeof(zeros), MIB(1) - 512);
		assert_memory_equal(in + MIB(5), out + MIB(5), MIB(3));
	}
}

static void test_disk_that_is_read_only_is_never_written(void **state)
{
	config.read_only = true;
	open_disk();
	assert_true(back_disk_facts(disk)->read_only);
	assert_false(back_disk_facts(disk)->can_discard);
	assert_int_equal(transfer(BACK_DISK_READ, 0, in, 512, 512), 0);
	assert_int_equal(transfer(BACK_DISK_WRITE, 0, out, 512, 512), -EROFS);
	assert_int_equal(range(BACK_DISK_DISCARD, 0, 512), -EROFS);
	assert_int_equal(range(BACK_DISK_ZERO, 0, 512), -EROFS);
	assert_int_equal(range(BACK_DISK_FLUSH, 0, 0), 0);
}

/* ---- failures ---- */

static void test_disk_tells_the_guest_what_failed(void **state)
{
	static const int reasons[] = {EIO, ENOSPC, EFBIG, EDQUOT};

	open_disk();
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		fail_with = -reasons[i];
		fail_kind = LOOP_IO_WRITE;
		assert_int_equal(transfer(BACK_DISK_WRITE, 0, out, 512, 512), -reasons[i]);
		assert_int_equal(transfer(BACK_DISK_WRITE, 0, out + 1, 512, 512), -reasons[i]);
		fail_kind = LOOP_IO_READ;
		assert_int_equal(transfer(BACK_DISK_READ, 0, in, 512, 512), -reasons[i]);
	}
	fail_kind = -1;
	assert_int_equal(transfer(BACK_DISK_WRITE, 0, out, 512, 512), 0);
}

static void test_disk_flushes_no_more_after_a_failed_flush(void **state)
{
	open_disk();
	fail_kind = LOOP_IO_SYNC;
	fail_with = -EIO;
	assert_int_equal(range(BACK_DISK_FLUSH, 0, 0), -EIO);
	fail_kind = -1;
	assert_int_equal(range(BACK_DISK_FLUSH, 0, 0), -EIO);
	assert_int_equal(transfer(BACK_DISK_WRITE, 0, out, 512, 512), 0);
}

static void test_disk_notices_that_it_was_cut(void **state)
{
	open_disk();
	assert_int_equal(transfer(BACK_DISK_WRITE, 0, out, IMAGE_BYTES, IMAGE_BYTES), 0);
	assert_int_equal(truncate(path, IMAGE_BYTES / 2), 0);
	assert_int_equal(transfer(BACK_DISK_READ, IMAGE_BYTES - 4096, in, 4096, 4096), -EIO);
	/* From then on nothing behind the cut is written, as if what lay there were only zeros. */
	assert_int_equal(transfer(BACK_DISK_WRITE, IMAGE_BYTES - 4096, out, 4096, 4096), -EIO);
	assert_int_equal(transfer(BACK_DISK_READ, 0, in, 4096, 4096), 0);
	assert_memory_equal(in, out, 4096);
	assert_int_equal(range(BACK_DISK_FLUSH, 0, 0), 0);
}

static void test_disk_that_was_cut_fails_the_flush(void **state)
{
	open_disk();
	assert_int_equal(truncate(path, IMAGE_BYTES / 2), 0);
	assert_int_equal(range(BACK_DISK_FLUSH, 0, 0), -EIO);
}

static void test_disk_has_room_to_the_limit_of_file_sizes(void **state)
{
	const struct rlimit old = {RLIM_INFINITY, RLIM_INFINITY}, limit = {MIB(1), RLIM_INFINITY};
	int result;

	open_disk();
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	result = transfer(BACK_DISK_WRITE, MIB(2), out, 512, 512);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(result, -EFBIG);
}

/* ---- opening ---- */

static void test_open_refuses_what_is_no_image(void **state)
{
	char other[300];

	config.file = no_file;
	assert_fails(back_disk_open(&config, loop, &disk, &err), ERR_USAGE, "ENOENT");
	config.file = null;
	assert_fails(
	        back_disk_open(&config, loop, &disk, &err), ERR_USAGE, "neither a file nor a block device");
	config.file = folder;
	config.read_only = true;
	assert_fails(
	        back_disk_open(&config, loop, &disk, &err), ERR_USAGE, "neither a file nor a block device");
	config.file = path;
	assert_int_equal(truncate(path, 511), 0);
	assert_fails(back_disk_open(&config, loop, &disk, &err), ERR_USAGE, "no whole block of 512 bytes");
	snprintf(other, sizeof(other), "%s.fifo", path);
	assert_int_equal(mkfifo(other, 0600), 0);
	config.file = other;
	config.read_only = false;
	assert_fails(
	        back_disk_open(&config, loop, &disk, &err), ERR_USAGE, "neither a file nor a block device");
	unlink(other);
}

static void test_open_refuses_the_formats_of_others(void **state)
{
	static const char *const starts_of[] = {"QFI\xfb", "vhdxfile", "KDMV", "conectix"};

	for (size_t i = 0; i < ARRAY_LEN(starts_of); i++) {
		auto_close int fd = open(path, O_RDWR | O_CLOEXEC);

		assert_int_equal(pwrite(fd, starts_of[i], strlen(starts_of[i]), 0), strlen(starts_of[i]));
		assert_fails(
		        back_disk_open(&config, loop, &disk, &err), ERR_USAGE, "qemu-img convert -O raw");
	}
}

static void test_open_refuses_a_second_writer(void **state)
{
	struct back_disk *second;

	open_disk();
	assert_fails(back_disk_open(&config, loop, &second, &err), ERR_USAGE, "another program writes it");
}

static void test_open_leaves_out_what_is_no_whole_block(void **state)
{
	assert_int_equal(truncate(path, 4096 + 100), 0);
	open_disk();
	assert_int_equal(back_disk_facts(disk)->size_bytes, 4096);
	assert_int_equal(transfer(BACK_DISK_READ, 4096, in, 512, 512), -EINVAL);
}

/* ---- an image that changes hands ---- */

/* Who looks neither writes nor locks, and is refused nothing by whoever has the image. */
static void test_look_takes_nothing(void **state)
{
	struct back_disk *other = NULL;

	assert_ok(back_disk_look(&config, loop, &other, &err));
	open_disk();
	assert_true(back_disk_is_released(other));
	assert_int_equal(back_disk_facts(other)->size_bytes, IMAGE_BYTES);
	assert_false(back_disk_facts(other)->read_only);
	assert_fails(back_disk_take(other, IMAGE_BYTES, &err), ERR_USAGE, "another program");
	back_disk_release(disk);
	assert_ok(back_disk_take(other, IMAGE_BYTES, &err));
	assert_false(back_disk_is_released(other));
	assert_fails(back_disk_take(disk, IMAGE_BYTES, &err), ERR_USAGE, "another program");
	back_disk_destroy(other);
	assert_ok(back_disk_take(disk, IMAGE_BYTES, &err));
}

static void test_released_disk_does_nothing(void **state)
{
	open_disk();
	assert_int_equal(transfer(BACK_DISK_WRITE, 0, out, 8192, 4096), 0);
	back_disk_release(disk);
	assert_int_equal(transfer(BACK_DISK_READ, 0, in, 4096, 4096), -EIO);
	assert_int_equal(transfer(BACK_DISK_WRITE, 0, out, 4096, 4096), -EIO);
	assert_int_equal(run((struct back_disk_request){.kind = BACK_DISK_FLUSH}), -EIO);
	assert_fails(back_disk_resize(disk, 2 * IMAGE_BYTES, &err), ERR_USAGE, "while the guest moves");
	assert_ok(back_disk_take(disk, IMAGE_BYTES, &err));
	assert_int_equal(transfer(BACK_DISK_READ, 0, in, 8192, 4096), 0);
	assert_memory_equal(in, out, 8192);
}

static void test_take_refuses_another_image(void **state)
{
	assert_ok(back_disk_look(&config, loop, &disk, &err));
	assert_fails(back_disk_take(disk, IMAGE_BYTES + 512, &err), ERR_USAGE, "it is not the image");
	assert_int_equal(truncate(path, 512), 0);
	assert_fails(back_disk_take(disk, IMAGE_BYTES, &err), ERR_USAGE, "it has 512 bytes");
	assert_int_equal(unlink(path), 0);
	assert_fails(back_disk_take(disk, IMAGE_BYTES, &err), ERR_USAGE, path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(back_disk_take(disk, IMAGE_BYTES, &err), -1);
	assert_int_equal(rmdir(path), 0);
	close(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	/* The guest's disk may have grown since it was looked at. */
	assert_int_equal(truncate(path, 2 * IMAGE_BYTES), 0);
	assert_ok(back_disk_take(disk, 2 * IMAGE_BYTES, &err));
	assert_int_equal(back_disk_facts(disk)->size_bytes, 2 * IMAGE_BYTES);
	assert_int_equal(transfer(BACK_DISK_WRITE, 2 * IMAGE_BYTES - 4096, out, 4096, 4096), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        T(test_disk_reads_what_it_wrote),
	        T(test_disk_bounces_what_is_not_aligned),
	        T(test_disk_bounces_many_at_once),
	        T(test_disk_continues_short_transfers),
	        T(test_disk_refuses_ranges_outside),
	        T(test_disk_zeroes_and_discards),
	        T(test_disk_that_is_read_only_is_never_written),
	        T(test_disk_tells_the_guest_what_failed),
	        T(test_disk_flushes_no_more_after_a_failed_flush),
	        T(test_disk_notices_that_it_was_cut),
	        T(test_disk_that_was_cut_fails_the_flush),
	        T(test_disk_has_room_to_the_limit_of_file_sizes),
	        T(test_open_refuses_what_is_no_image),
	        T(test_open_refuses_the_formats_of_others),
	        T(test_open_refuses_a_second_writer),
	        T(test_open_leaves_out_what_is_no_whole_block),
	        T(test_look_takes_nothing),
	        T(test_released_disk_does_nothing),
	        T(test_take_refuses_another_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
