/* SPDX-License-Identifier: Apache-2.0 */
/* The record of moves: what is in it is on the disk, and so is the way to it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../../src/migrate/migrate.h"
#include "support/folder.h"
#include "support/test.h"

static const uint8_t id[MIGRATE_ID_BYTES] = {0xab, 0xcd};

static char folder[] = "/tmp/record.XXXXXX", path[100];
static ino_t synced; /* the last file, or folder, that was brought to the disk */
static int sync_errno;
static struct err err;

static int note_sync(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	synced = st.st_ino;
	errno = sync_errno;
	return sync_errno ? -1 : 0;
}

int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	return note_sync(fd);
}

int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
	return note_sync(fd);
}

static int setup(void **state)
{
	strcpy(folder, "/tmp/record.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/record", folder);
	sync_errno = 0;
	synced = 0;
	return 0;
}

static int teardown(void **state)
{
	folder_remove(folder);
	return 0;
}

static ino_t inode_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(name, &st), 0);
	return st.st_ino;
}

static void assert_holds(const char *const *events, size_t count)
{
	FILE *file = fopen(path, "re");
	char line[200], start[100];

	assert_non_null(file);
	for (size_t i = 0; i < count; i++) {
		snprintf(start, sizeof(start),
		        "{\"id\": \"abcd0000000000000000000000000000\", \"event\": \"%s\", \"time\": ",
		        events[i]);
		assert_non_null(fgets(line, sizeof(line), file));
		assert_memory_equal(line, start, strlen(start));
	}
	assert_null(fgets(line, sizeof(line), file));
	fclose(file);
}

static void test_record_and_its_folder_are_on_the_disk(void **state)
{
	static const char *const events[] = {"gave", "kept"};
	int fd;

	assert_ok(migrate_record_open(path, &fd, &err));
	assert_int_equal(synced, inode_of(folder));
	assert_ok(migrate_record_write(fd, "gave", id, &err));
	assert_int_equal(synced, inode_of(path));
	assert_ok(migrate_record_write(fd, "kept", id, &err));
	assert_holds(events, ARRAY_LEN(events));
	close(fd);
}

static void test_record_whose_folder_is_not_on_the_disk(void **state)
{
	int fd;

	sync_errno = EIO;
	assert_fails(migrate_record_open(path, &fd, &err), ERR_USAGE, "migrate.record: the folder of");
	assert_int_equal(fd, -1);
}

/* What was not written for certain is taken back. */
static void test_record_that_cannot_be_written(void **state)
{
	static const char *const events[] = {"took"};
	int fd;

	assert_ok(migrate_record_open(path, &fd, &err));
	assert_ok(migrate_record_write(fd, "took", id, &err));
	sync_errno = EIO;
	assert_fails(migrate_record_write(fd, "gave", id, &err), ERR_FAILED, "migrate.record");
	assert_holds(events, ARRAY_LEN(events));
	close(fd);
}

static void test_record_that_is_not_wanted(void **state)
{
	int fd;

	assert_ok(migrate_record_open("", &fd, &err));
	assert_int_equal(fd, -1);
	assert_ok(migrate_record_write(fd, "gave", id, &err));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_record_and_its_folder_are_on_the_disk),
	        TEST(test_record_whose_folder_is_not_on_the_disk),
	        TEST(test_record_that_cannot_be_written),
	        TEST(test_record_that_is_not_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
