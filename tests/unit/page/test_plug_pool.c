/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RAM of the host's pool of huge pages that is added: the pool promises its pages when it is added and not
 * before, and a pool that has too few changes nothing. The last test is the kernel's own, in the lab, whose
 * pool it sets.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "support/fake_kernel.h"
#include "support/test.h"
#include "vmm/page.h"

#define RAM    MIB(64)
#define GROWTH MIB(384)
#define PLACE  GIB(4)
#define POOL   "/sys/kernel/mm/hugepages/hugepages-2048kB/"

/* A kernel that promises pages of a pool of its own, and takes none of this machine's. */
static struct {
	struct fake_kernel kernel;
	struct host_ops ops;
	uint64_t left_bytes;
	unsigned refused;
} pool;
static struct page_memory *memory;
static struct err err;

static void *promise(struct host *h, void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	bool wants = (flags & MAP_SHARED) && !(flags & MAP_NORESERVE) && length % MIB(2) == 0;

	if (wants && length > pool.left_bytes) {
		pool.refused++;
		errno = ENOMEM;
		return MAP_FAILED;
	}
	if (wants)
		pool.left_bytes -= length;
	return mmap(addr, length, prot, flags | MAP_NORESERVE, fd, offset);
}

static int make(struct host *host)
{
	struct page_layout layout;

	assert_ok(page_layout_make(RAM, PAGE_SIZE_BYTES, &layout, &err));
	assert_ok(page_layout_add_plugged(&layout, GROWTH, &err));
	return page_memory_create(host, &layout, PAGE_POOL, &memory, &err);
}

static int setup(void **state)
{
	fake_start(&pool.kernel);
	pool.ops = *pool.kernel.host.ops;
	pool.ops.mmap = promise;
	pool.kernel.host.ops = &pool.ops;
	pool.refused = 0;
	return 0;
}

static int teardown(void **state)
{
	page_memory_destroy(take_ptr(&memory));
	return 0;
}

static void test_pool_promises_what_is_added_and_no_more(void **state)
{
	struct page_plug plug;

	pool.left_bytes = RAM + MIB(256);
	assert_ok(make(&pool.kernel.host));
	assert_int_equal(pool.left_bytes, MIB(256));
	assert_ok(page_plug_find(memory, MIB(128), &plug, &err));
	page_plug_open(memory, &plug);
	assert_int_equal(pool.left_bytes, MIB(128));
	assert_fails(page_plug_find(memory, MIB(256), &plug, &err), ERR_HOST,
	        "the host's pool has no 128 free pages of 2 MiB for the guest's memory; enlarge it (sysctl "
	        "vm.nr_hugepages), or add less");
	assert_int_equal(pool.refused, 1);
	assert_int_equal(page_memory_plugged(memory), MIB(128));
	assert_ok(page_plug_find(memory, MIB(128), &plug, &err));
	assert_int_equal(plug.gpa.raw, PLACE + MIB(128));
	assert_int_equal(pool.left_bytes, 0);
	/* What is refused for another reason asks the pool for nothing. */
	assert_fails(page_plug_find(memory, GROWTH, &plug, &err), ERR_USAGE, "can get 256 MiB more");
	assert_int_equal(pool.refused, 1);
}

static void test_pool_without_pages_for_the_first_memory_is_told(void **state)
{
	pool.left_bytes = RAM - MIB(2);
	assert_fails(make(&pool.kernel.host), ERR_HOST, "or set machine.hugepages to false");
	assert_null(memory);
}

/* ---- the kernel's pool ---- */

static uint64_t count(const char *name)
{
	char path[128];
	unsigned long long value;
	FILE *file;

	snprintf(path, sizeof(path), POOL "%s", name);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%llu", &value), 1);
	fclose(file);
	return value;
}

static void set_pool(uint64_t pages)
{
	FILE *file = fopen(POOL "nr_hugepages", "w");

	assert_non_null(file);
	fprintf(file, "%llu", (unsigned long long)pages);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(count("nr_hugepages"), pages);
}

static void check_kernel_pool(struct host *host)
{
	struct page_plug plug;
	uint8_t *bytes;

	assert_ok(make(host));
	assert_int_equal(count("resv_hugepages"), RAM / MIB(2));
	assert_ok(page_plug_find(memory, MIB(128), &plug, &err));
	assert_int_equal(count("resv_hugepages"), (RAM + MIB(128)) / MIB(2));
	page_plug_open(memory, &plug);
	/* All that was promised is there, and the promise is used up. */
	bytes = page_loan(memory, gpa(PLACE), MIB(128));
	assert_non_null(bytes);
	memset(bytes, 1, MIB(128));
	assert_int_equal(count("resv_hugepages"), RAM / MIB(2));
	assert_fails(
	        page_plug_find(memory, MIB(128), &plug, &err), ERR_HOST, "the host's pool has no 64 free");
	assert_int_equal(count("resv_hugepages"), RAM / MIB(2));
	assert_int_equal(page_memory_plugged(memory), MIB(128));
	assert_int_equal(page_write(memory, gpa(PLACE + MIB(128) - 1), "a", 1), 0);
	page_memory_destroy(take_ptr(&memory));
	assert_int_equal(count("resv_hugepages"), 0);
	assert_int_equal(count("free_hugepages"), count("nr_hugepages"));
}

static void test_pool_of_the_kernel_keeps_its_promise(void **state)
{
	const char *lab = getenv("LAB");
	struct host *host;

	if (!lab || strcmp(lab, "inside") != 0)
		skip();
	set_pool((RAM + MIB(128) + MIB(64)) / MIB(2));
	assert_ok(host_kernel_create(&host, &err));
	check_kernel_pool(host);
	host_destroy(host);
	set_pool(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(
	                test_pool_promises_what_is_added_and_no_more, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                test_pool_without_pages_for_the_first_memory_is_told, setup, teardown),
	        cmocka_unit_test_teardown(test_pool_of_the_kernel_keeps_its_promise, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
