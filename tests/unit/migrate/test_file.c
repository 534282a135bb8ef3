/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest goes to a file and from there to another side: what is loaded is what was saved, whatever fails in
 * between, and whatever is in the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "../../../src/migrate/file.h"
#include "guest.h"
#include "support/folder.h"

static char folder[] = "/tmp/file.XXXXXX", path[100], copy[100];
static struct err err;

/* ---- a disk that fails ---- */

static unsigned calls, fails_at; /* writes and flushes, from 1; 0: none fails */
static bool fails_on;            /* and all later ones fail, too */

static bool fails(void)
{
	if (!fails_at)
		return false;
	calls++;
	errno = EIO;
	return fails_on ? calls >= fails_at : calls == fails_at;
}

ssize_t __real_pwritev2(int fd, const struct iovec *iov, int count, off_t at, int flags);
ssize_t __wrap_pwritev2(int fd, const struct iovec *iov, int count, off_t at, int flags);
ssize_t __wrap_pwritev2(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
	struct iovec some = *iov;

	if (fails())
		return -1;
	/* A disk may take less than it is given. */
	some.iov_len = some.iov_len > 100000 ? 100000 : some.iov_len;
	return __real_pwritev2(fd, &some, 1, at, flags);
}

int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
	return fails() ? -1 : 0;
}

/* ---- both ways ---- */

static int setup(void **state)
{
	fake_start(&kernel);
	strcpy(folder, "/tmp/file.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/saved", folder);
	snprintf(copy, sizeof(copy), "%s/copy", folder);
	return 0;
}

static int teardown(void **state)
{
	folder_remove(folder);
	return 0;
}

static void start_wire(struct guest *guest, struct migrate_file *file)
{
	assert_ok(migrate_wire_init(&guest->side.wire, -1, &guest->cancelled, &err));
	guest->side.wire.file = file;
}

/* Saves the source. The caller closes the file. */
static struct migrate_file *save(void)
{
	struct migrate_file *file;

	if (migrate_file_create(path, source.side.id, &file, &source.err) < 0) {
		source.result = MIGRATE_STAYS;
		return NULL;
	}
	start_wire(&source, file);
	source.result = migrate_source(&source.side, &source.err);
	migrate_wire_finish(&source.side.wire);
	return file;
}

/* Loads the file into the target. */
static void load(const char *from)
{
	struct migrate_file *file;

	target.result = MIGRATE_STAYS;
	if (migrate_file_open(from, false, &file, &target.err) < 0)
		return;
	memcpy(target.side.id, file->id, MIGRATE_ID_BYTES);
	start_wire(&target, file);
	target.result = migrate_target(&target.side, &target.err);
	migrate_wire_finish(&target.side.wire);
	assert_false(migrate_file_close(file));
	assert_int_equal(target.took, target.result == MIGRATE_GONE);
}

static void assert_refused(const char *from, const char *words)
{
	load(from);
	assert_int_equal(target.result, MIGRATE_STAYS);
	if (!strstr(target.err.text, words))
		fail_msg("%s, expected: %s", target.err.text, words);
}

static void renew_target(void)
{
	page_memory_destroy(target.memory);
	memset(&target, 0, sizeof(target));
	make_guest(&target, "memory = 4\nvcpus = 2\n");
}

static bool filled;

/* The first pass writes a page to the file that the guest empties then. */
static int fill_and_collect(void *ctx, struct page_dirty *into, struct err *ret_err)
{
	int result = guest_collect(ctx, into, ret_err);

	if (!filled)
		assert_int_equal(page_write(source.memory, gpa(MIB(2)), "full", 4), 0);
	filled = true;
	return result;
}

static void test_file_brings_a_guest(void **state)
{
	struct migrate_file *file;
	struct stat now;

	make_guests();
	source.rounds = 3;
	source.writes_last = true;
	source.seam.collect = fill_and_collect;
	filled = false;
	file = save();
	assert_int_equal(source.result, MIGRATE_GONE);
	assert_true(source.gave && !source.runs);
	assert_int_equal(source.progress.pass, 2);
	assert_false(migrate_file_close(file));
	assert_int_equal(stat(path, &now), 0);
	assert_true(now.st_size > (off_t)(PAGES * PAGE_SIZE_BYTES));
	assert_true(now.st_blocks * 512 < now.st_size * 3 / 4);
	load(path);
	assert_int_equal(target.result, MIGRATE_GONE);
	assert_memory_equal(target.side.id, source.side.id, MIGRATE_ID_BYTES);
	assert_true(target.took && are_equal());
	assert_int_equal(target.progress.pass, 1);
	free_guests();
}

/* So slow that two pages take longer than it may be stopped. */
static void test_file_waits_for_no_guest_that_writes_too_fast(void **state)
{
	make_guests();
	source.rounds = 100;
	source.limits.stop_ms = 0;
	source.limits.bytes_per_s = MIB(4);
	migrate_file_close(save());
	assert_int_equal(source.result, MIGRATE_GONE);
	assert_int_equal(source.progress.pass, 5);
	load(path);
	assert_true(target.took && are_equal());
	free_guests();
}

static void test_file_knows_whether_its_guest_was_taken(void **state)
{
	struct migrate_file *file, *other;

	make_guests();
	migrate_file_close(save());
	assert_ok(migrate_file_open(path, false, &file, &err));
	assert_fails(migrate_file_open(path, false, &other, &err), ERR_USAGE, "another vmm");
	assert_fails(migrate_file_open(path, true, &other, &err), ERR_USAGE, "another vmm");
	assert_ok(migrate_file_claim(file, true, &err));
	assert_ok(migrate_file_claim(file, false, &err));
	migrate_file_close(file);
	assert_ok(migrate_file_open(path, true, &file, &err));
	assert_ok(migrate_file_open(path, true, &other, &err));
	assert_ok(migrate_file_claim(file, true, &err));
	migrate_file_close(file);
	migrate_file_close(other);
	assert_ok(migrate_file_open(path, false, &file, &err));
	assert_ok(migrate_file_claim(file, true, &err));
	migrate_file_close(file);
	assert_fails(migrate_file_open(path, false, &file, &err), ERR_USAGE, "loaded before");
	assert_ok(migrate_file_claim(NULL, true, &err));
	assert_false(migrate_file_close(NULL));
	free_guests();
}

static void test_file_ends_a_save_that_is_cancelled(void **state)
{
	make_guests();
	source.cancelled = true;
	assert_true(migrate_file_close(save()));
	assert_int_equal(source.result, MIGRATE_STAYS);
	assert_int_equal(source.err.sys, ECANCELED);
	assert_int_equal(access(path, F_OK), -1);
	free_guests();
}

/* ---- failures of the disk ---- */

static void write_file(const char *to, const void *data, size_t size)
{
	FILE *file = fopen(to, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static void copy_file(const char *from, const char *to)
{
	void *data;
	size_t size;

	assert_ok(file_read_all(from, MIB(64), &data, &size, &err));
	write_file(to, data, size);
	free(data);
}

/*
 * Whichever write or flush fails, alone or with all later ones: a guest that stays is in no file that can be
 * loaded, and the file of one that went is whole.
 */
static void try_failure(unsigned at, bool on, bool *ret_over)
{
	struct migrate_file *file;

	make_guests();
	source.rounds = 2;
	calls = 0;
	fails_at = at;
	fails_on = on;
	file = save();
	*ret_over = calls < at;
	fails_at = 0;
	assert_int_equal(source.result == MIGRATE_GONE, *ret_over);
	if (source.result == MIGRATE_STAYS && file) {
		assert_false(source.gave);
		copy_file(path, copy);
		assert_refused(copy, "");
	}
	assert_true(source.result != MIGRATE_STAYS || strstr(source.err.text, "saved"));
	assert_int_equal(migrate_file_close(file), file && source.result != MIGRATE_GONE);
	assert_int_equal(access(path, F_OK) == 0, source.result == MIGRATE_GONE);
	unlink(path);
	free_guests();
}

static void test_file_leaves_the_guest_where_the_disk_fails(void **state)
{
	bool over;

	for (unsigned on = 0; on < 2; on++) {
		over = false;
		for (unsigned at = 1; !over; at++)
			try_failure(at, on, &over);
	}
}

static void test_file_is_in_doubt_where_it_cannot_be_removed(void **state)
{
	struct migrate_file *file;

	make_guests();
	assert_ok(migrate_file_create(path, source.side.id, &file, &err));
	fails_on = true;
	assert_ok(migrate_file_begin(file, &source.seam, &err));
	assert_ok(rename(path, copy));
	calls = 0;
	fails_at = 1;
	assert_true(migrate_file_write_head(file, MIGRATE_FILE_COMPLETE, &err) < 0);
	assert_false(migrate_file_close(file));
	fails_at = 0;
	free_guests();
}

/* ---- files of others ---- */

static uint8_t *image, *harmed;
static size_t image_bytes;

static void make_image(void)
{
	make_guests();
	migrate_file_close(save());
	assert_ok(file_read_all(path, MIB(64), (void **)&image, &image_bytes, &err));
	harmed = malloc(image_bytes);
	assert_non_null(harmed);
	memcpy(harmed, image, image_bytes);
}

static void free_image(void)
{
	free(image);
	free(harmed);
	free_guests();
}

static void write_harmed(size_t size)
{
	write_file(copy, harmed, size);
}

static size_t sums_at(void)
{
	return (4096 + load_le(harmed + 40, 8) + 4095) / 4096 * 4096;
}

static size_t frames_at(void)
{
	return sums_at() + (4 * PAGES + 4095) / 4096 * 4096 + PAGES * PAGE_SIZE_BYTES;
}

/* Whoever made the file knows how to sum. */
static void sum_head(void)
{
	store_le(harmed + 72, 4, 0);
	store_le(harmed + 72, 4, migrate_crc32c(harmed, 4096));
}

static void sum_frame(size_t at)
{
	store_le(harmed + at + 8, 4, migrate_crc32c(harmed + at + 16, load_le(harmed + at + 4, 4)));
	store_le(harmed + at + 12, 4, migrate_crc32c(harmed + at, 12));
}

static void assert_harmed_refused(size_t size, const char *words)
{
	write_harmed(size);
	renew_target();
	assert_refused(copy, words);
	memcpy(harmed, image, image_bytes);
}

static void test_file_refuses_headers_that_promise_too_much(void **state)
{
	static const struct {
		unsigned at, bytes;
		uint64_t value;
		const char *words;
	} rows[] = {
	        {16, 4, 0, "version 0"},
	        {16, 4, 2, "version 2"},
	        {20, 4, 0, "its state"},
	        {20, 4, 1, "unfinished"},
	        {20, 4, 3, "loaded before"},
	        {20, 4, 4, "its state"},
	        {20, 4, UINT32_MAX, "its state"},
	        {40, 8, 0, "different guests"},
	        {40, 8, MIGRATE_PLAN_MAX_BYTES, ""},
	        {40, 8, MIGRATE_PLAN_MAX_BYTES + 1, "its sizes"},
	        {40, 8, UINT64_MAX, "its sizes"},
	        {48, 8, 0, "0 pages"},
	        {48, 8, PAGES - 1, "pages"},
	        {48, 8, PAGES + 1, "pages"},
	        {48, 8, UINT64_C(1) << 40, "pages"},
	        {48, 8, UINT64_MAX, "its sizes"},
	        {56, 8, 0, "lacks parts"},
	        {56, 8, 16, "the head of a part"},
	        {56, 8, UINT64_C(1) << 28, "ends too early"},
	        {56, 8, UINT64_MAX, "its sizes"},
	};

	make_image();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		store_le(harmed + rows[i].at, rows[i].bytes, rows[i].value);
		if (rows[i].at == 40 && rows[i].value == 0)
			store_le(harmed + 64, 4, migrate_crc32c(harmed, 0));
		sum_head();
		assert_harmed_refused(image_bytes, rows[i].words);
	}
	free_image();
}

static void test_file_refuses_parts_in_another_order(void **state)
{
	size_t first, second;
	unsigned type;

	make_image();
	first = frames_at();
	second = first + 16 + load_le(harmed + first + 4, 4);
	for (type = 0; type < 2 * MIGRATE_TYPES; type++) {
		if (type == MIGRATE_TIME)
			continue;
		store_le(harmed + first, 4, type);
		sum_frame(first);
		assert_harmed_refused(image_bytes, "");
	}
	/* A part of another length, of another number, and with a value that cannot be. */
	store_le(harmed + first + 4, 4, UINT32_MAX);
	store_le(harmed + first + 12, 4, migrate_crc32c(harmed + first, 12));
	assert_harmed_refused(image_bytes, "the head of a part");
	store_le(harmed + first + 4, 4, load_le(harmed + first + 4, 4) - 1);
	sum_frame(first);
	assert_harmed_refused(image_bytes, "");
	store_le(harmed + second + 16, 4, 1);
	sum_frame(second);
	assert_harmed_refused(image_bytes, "out of turn");
	memset(harmed + first + 24, 0xff, second - first - 24);
	sum_frame(first);
	assert_harmed_refused(image_bytes, "");
	/* The end of the parts is not the end of the file's. */
	store_le(harmed + 56, 8, load_le(harmed + 56, 8) - 20);
	sum_head();
	assert_harmed_refused(image_bytes, "lacks parts");
	free_image();
}

static void test_file_tells_pages_from_zeros(void **state)
{
	uint32_t sum;

	make_image();
	/* Sums that never came to the disk. */
	memset(harmed + sums_at(), 0, 4 * PAGES);
	assert_harmed_refused(image_bytes, "the sums of its pages");
	/* Frame 2 is empty, frame 0 is not. */
	assert_int_equal(load_le(harmed + sums_at() + 8, 4), 0);
	store_le(harmed + sums_at() + 8, 4, 5);
	store_le(harmed + 68, 4, migrate_crc32c(harmed + sums_at(), 4 * PAGES));
	sum_head();
	assert_harmed_refused(image_bytes, "the page of the guest at 0x2000");
	store_le(harmed + sums_at(), 4, 0);
	sum = migrate_crc32c(harmed + sums_at(), 4 * PAGES);
	store_le(harmed + 68, 4, sum);
	sum_head();
	/* Whoever says that the page is zeros gets zeros: it is his guest. */
	write_harmed(image_bytes);
	renew_target();
	load(copy);
	assert_int_equal(target.result, MIGRATE_GONE);
	assert_false(are_equal());
	free_image();
}

/* Any bit of the file, and any length. */
static void test_file_notices_accidents(void **state)
{
	size_t step;

	make_image();
	step = image_bytes / 250 | 1;
	for (size_t at = 0; at < image_bytes; at += at < 8192 || at >= frames_at() ? 41 : step) {
		harmed[at] ^= (uint8_t)(1u << at % 8);
		write_harmed(image_bytes);
		memcpy(harmed, image, image_bytes);
		renew_target();
		load(copy);
		/* A place of zeros, and what is between the parts, mean nothing. */
		assert_true(!target.took || are_equal());
	}
	for (size_t size = 0; size < image_bytes; size += size < 8192 ? 512 : step * 10)
		assert_harmed_refused(size, "");
	assert_harmed_refused(image_bytes - 1, "ends too early");
	free_image();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_file_brings_a_guest),
	        TEST(test_file_waits_for_no_guest_that_writes_too_fast),
	        TEST(test_file_knows_whether_its_guest_was_taken),
	        TEST(test_file_ends_a_save_that_is_cancelled),
	        TEST(test_file_leaves_the_guest_where_the_disk_fails),
	        TEST(test_file_is_in_doubt_where_it_cannot_be_removed),
	        TEST(test_file_refuses_headers_that_promise_too_much),
	        TEST(test_file_refuses_parts_in_another_order),
	        TEST(test_file_tells_pages_from_zeros),
	        TEST(test_file_notices_accidents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
