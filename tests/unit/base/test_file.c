#include <sys/stat.h>

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
	assert_int_equal(mkfifo("pipe", 0600), 0);
	assert_fails(file_read_all("none", 9, &data, &size, &err), ERR_USAGE,
	        "none: cannot be opened: No such file");
	assert_fails(file_read_all("three", 2, &data, &size, &err), ERR_USAGE, "has 3 bytes, at most 2");
	assert_fails(file_read_all("/", 9, &data, &size, &err), ERR_USAGE, "is a directory");
	assert_fails(file_read_all("pipe", 9, &data, &size, &err), ERR_USAGE, "not a file of bytes");
	assert_null(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_file_is_read_whole),
	        cmocka_unit_test(test_file_empty_gives_a_buffer),
	        cmocka_unit_test(test_file_refusals_name_the_reason),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
