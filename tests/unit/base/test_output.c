/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "support/test.h"

static char dir[] = "/tmp/vmm-test-XXXXXX";
static struct err err;

static int setup(void **state)
{
	return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

/* After each test, so that each begins in an empty folder. */
static int empty(void **state)
{
	return system("rm -rf ./* ./.vmm*");
}

static int teardown(void **state)
{
	return chdir("/") || rmdir(dir);
}

static void put(const char *name, const char *text)
{
	auto_fclose FILE *f = fopen(name, "w");

	assert_non_null(f);
	fputs(text, f);
}

static void assert_text(const char *name, const char *text)
{
	auto_free void *data = NULL;
	size_t size;

	assert_ok(file_read_all(name, 100, &data, &size, &err));
	assert_int_equal(size, strlen(text));
	assert_memory_equal(data, text, size);
}

/*
 * Makes something that is neither a regular file nor a new name. Returns its kind; NULL: this user cannot
 * make it.
 */
static const char *make_other(int i)
{
	switch (i) {
	case 0: return mkfifo("other", 0600) == 0 ? "a pipe" : NULL;
	case 1: return symlink("victim", "other") == 0 ? "a symbolic link" : NULL;
	case 2: return symlink("/proc/self/fd/1", "other") == 0 ? "a symbolic link" : NULL;
	case 3: return mknod("other", S_IFCHR | 0600, makedev(1, 3)) == 0 ? "a device" : NULL;
	case 4: return mknod("other", S_IFSOCK | 0600, 0) == 0 ? "a socket" : NULL;
	default: return mkdir("other", 0700) == 0 ? "a directory" : NULL;
	}
}

static void test_output_other_things_are_never_replaced(void **state)
{
	for (int i = 0; i < 6; i++) {
		struct stat before, after;
		const char *kind;

		put("victim", "mine");
		kind = make_other(i);
		if (!kind)
			continue;
		assert_int_equal(lstat("other", &before), 0);
		assert_non_null(strstr(file_why_unwritable(FILE_WHOLE, "other"), kind));
		assert_fails(file_replace("other", "new", 3, &err), ERR_USAGE, kind);
		assert_fails(file_make("other", "new", 3, 0600, &err), ERR_USAGE, "already exists");
		assert_int_equal(lstat("other", &after), 0);
		assert_true(before.st_ino == after.st_ino && before.st_mode == after.st_mode);
		assert_text("victim", "mine");
		assert_int_equal(empty(NULL), 0);
	}
}

static void test_output_regular_files_and_new_names_are_replaced_whole(void **state)
{
	struct stat st;

	assert_null(file_why_unwritable(FILE_WHOLE, "whole"));
	assert_ok(file_replace("whole", "first", 5, &err));
	assert_text("whole", "first");
	assert_null(file_why_unwritable(FILE_WHOLE, "whole"));
	assert_ok(file_replace("whole", "2", 1, &err));
	assert_text("whole", "2");
	assert_fails(file_make("whole", "3", 1, 0600, &err), ERR_USAGE, "whole: already exists");
	assert_text("whole", "2");
	assert_ok(file_make("made", "3", 1, 0600, &err));
	assert_int_equal(stat("made", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_fails(file_replace("none/whole", "2", 1, &err), ERR_USAGE, "its folder is missing");
}

/* A link under the name of the temporary file is not followed, so it cannot redirect the output. */
static void test_output_part_that_is_there_already_stays(void **state)
{
	char part[64];

	put("victim", "mine");
	snprintf(part, sizeof(part), ".vmm-%d-0.part", getpid());
	assert_int_equal(symlink("victim", part), 0);
	assert_ok(file_replace("whole", "2", 1, &err));
	assert_text("victim", "mine");
	assert_text("whole", "2");
	assert_int_equal(access(part, F_OK), 0);
}

static void write_to(const char *path, const char *text)
{
	int fd;

	assert_ok(file_stream_open(path, &fd, &err));
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void test_output_stream_empties_a_file_of_its_own(void **state)
{
	put("log", "yesterday");
	write_to("log", "today");
	assert_text("log", "today");
	write_to("new", "today");
	assert_text("new", "today");
}

static void test_output_stream_goes_on_in_a_file_that_is_open(void **state)
{
	static const char *const names[] = {"log", "link", "/dev/fd/60", "/proc/self/fd/60"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		int fd;

		put("log", "");
		assert_int_equal(symlink("/proc/self/fd/60", "link"), 0);
		fd = open("log", O_WRONLY); /* not O_APPEND: the place is shared */
		assert_int_equal(dup2(fd, 60), 60);
		close(fd);
		assert_int_equal(write(60, "before ", 7), 7);
		write_to(names[i], "trace ");
		assert_int_equal(write(60, "after", 5), 5);
		close(60);
		assert_text("log", "before trace after");
		assert_int_equal(empty(NULL), 0);
	}
}

static void test_output_stream_is_written_through_pipes_and_devices(void **state)
{
	char text[10] = "";
	struct stat st;
	int keep;

	assert_int_equal(mkfifo("pipe", 0600), 0);
	assert_null(file_why_unwritable(FILE_STREAM, "pipe"));
	keep = open("pipe", O_RDWR);
	write_to("pipe", "line");
	assert_int_equal(read(keep, text, sizeof(text)), 4);
	assert_string_equal(text, "line");
	close(keep);
	if (mknod("null", S_IFCHR | 0600, makedev(1, 3)) == 0) {
		assert_null(file_why_unwritable(FILE_STREAM, "null"));
		write_to("null", "line");
		assert_int_equal(lstat("null", &st), 0);
		assert_true(S_ISCHR(st.st_mode));
	}
}

static void test_output_stream_is_never_a_disk_or_a_folder(void **state)
{
	int fd = -1;

	assert_int_equal(mkdir("folder", 0700), 0);
	assert_fails(file_stream_open("folder", &fd, &err), ERR_USAGE, "it is a directory");
	assert_fails(file_stream_open("folder/", &fd, &err), ERR_USAGE, "it is a directory");
	assert_fails(file_stream_open("none/", &fd, &err), ERR_USAGE, "the name of a folder");
	if (mknod("disk", S_IFBLK | 0600, makedev(7, 250)) == 0)
		assert_fails(file_stream_open("disk", &fd, &err), ERR_USAGE, "it is a device");
	assert_int_equal(fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_teardown(test_output_other_things_are_never_replaced, empty),
	        cmocka_unit_test_teardown(test_output_regular_files_and_new_names_are_replaced_whole, empty),
	        cmocka_unit_test_teardown(test_output_part_that_is_there_already_stays, empty),
	        cmocka_unit_test_teardown(test_output_stream_empties_a_file_of_its_own, empty),
	        cmocka_unit_test_teardown(test_output_stream_goes_on_in_a_file_that_is_open, empty),
	        cmocka_unit_test_teardown(test_output_stream_is_written_through_pipes_and_devices, empty),
	        cmocka_unit_test_teardown(test_output_stream_is_never_a_disk_or_a_folder, empty),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
