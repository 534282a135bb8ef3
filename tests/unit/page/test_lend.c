/* SPDX-License-Identifier: Apache-2.0 */
/* Memory is lent to back ends as a whole, and memory that the guest does not use goes back to this machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "support/test.h"
#include "vmm/page.h"

#define RAM (GIB(2) + MIB(4)) /* a part of it lies above 4 GiB */

static struct host *host;
static struct page_memory *memory;
static struct page_lent lent[PAGE_REGIONS_MAX];
static unsigned count;
static struct err err;

static int setup(void **state)
{
	struct page_layout layout;

	assert_ok(host_kernel_create(&host, &err));
	assert_ok(page_layout_make(RAM, MIB(1), &layout, &err));
	assert_ok(page_memory_create(host, &layout, false, &memory, &err));
	count = page_memory_lend(memory, lent);
	return 0;
}

static int teardown(void **state)
{
	page_memory_destroy(memory);
	host_destroy(host);
	return 0;
}

/* How many bytes of memory the backing takes. */
static uint64_t taken(unsigned i)
{
	struct stat stat;

	assert_int_equal(fstat(lent[i].fd, &stat), 0);
	return (uint64_t)stat.st_blocks * 512;
}

static void fill(uint64_t start, uint64_t size_bytes)
{
	uint8_t *loan = page_loan(memory, gpa(start), size_bytes);

	assert_non_null(loan);
	memset(loan, 0xa5, size_bytes);
}

/* The kernel's flags of the mapping that holds an address (proc_pid_smaps(5)). The caller frees them. */
static char *flags_of(const void *at)
{
	uint64_t address = (uint64_t)(uintptr_t)at, start, end;
	char line[500];
	bool inside = false;

	auto_fclose FILE *smaps = fopen("/proc/self/smaps", "re");
	assert_non_null(smaps);
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2)
			inside = start <= address && address < end;
		if (inside && strncmp(line, "VmFlags:", strlen("VmFlags:")) == 0)
			return strdup(line);
	}
	fail_msg("no mapping has %p", at);
	return NULL;
}

static void test_memory_asks_for_huge_pages(void **state)
{
	if (access("/sys/kernel/mm/transparent_hugepage", F_OK) < 0)
		skip();
	for (unsigned i = 0; i < count; i++) {
		auto_free char *flags = flags_of(lent[i].at);

		assert_non_null(strstr(flags, " hg"));
	}
}

static void test_lend_all_ram_and_no_firmware(void **state)
{
	assert_int_equal(count, 2);
	assert_int_equal(lent[0].gpa.raw, 0);
	assert_int_equal(lent[0].size_bytes, GIB(2));
	assert_int_equal(lent[1].gpa.raw, GIB(4));
	assert_int_equal(lent[1].size_bytes, MIB(4));
	fill(GIB(4) + 0x1000, 1);
	assert_int_equal(((uint8_t *)lent[1].at)[0x1000], 0xa5);
}

static void test_lend_nobody_can_cut_the_memory_off(void **state)
{
	assert_int_equal(ftruncate(lent[0].fd, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(lent[0].fd, (off_t)GIB(3)), -1);
	assert_int_equal(fcntl(lent[0].fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
}

static void test_give_back_returns_whole_pages_and_leaves_the_rest(void **state)
{
	uint8_t *loan = page_loan(memory, gpa(MIB(16)), MIB(1));
	uint64_t before;

	fill(MIB(16), MIB(1));
	before = taken(0);
	assert_int_equal(page_give_back(memory, loan + 1, MIB(1) - 2), 0);
	assert_int_equal(before - taken(0), MIB(1) - 2 * PAGE_SIZE_BYTES);
	assert_int_equal(loan[PAGE_SIZE_BYTES - 1], 0xa5);
	assert_int_equal(loan[PAGE_SIZE_BYTES], 0);
	assert_int_equal(loan[MIB(1) - PAGE_SIZE_BYTES - 1], 0);
	assert_int_equal(loan[MIB(1) - PAGE_SIZE_BYTES], 0xa5);
}

static void test_give_back_of_less_than_a_page_does_nothing(void **state)
{
	uint8_t *loan = page_loan(memory, gpa(MIB(16)), 0x2000);

	fill(MIB(16), 0x2000);
	assert_int_equal(page_give_back(memory, loan + 0x800, 0x1000), 0);
	assert_int_equal(page_give_back(memory, loan, 0), 0);
	assert_int_equal(loan[0x800], 0xa5);
	assert_int_equal(loan[0x1000], 0xa5);
}

static void test_give_back_refuses_what_is_no_ram(void **state)
{
	uint8_t *end = (uint8_t *)lent[1].at + lent[1].size_bytes, own[1];

	assert_int_equal(page_give_back(memory, own, 1), -1);
	assert_int_equal(page_give_back(memory, end - 0x1000, 0x1001), -1);
	assert_int_equal(page_give_back(memory, end - 0x1000, UINT64_MAX), -1);
	assert_int_equal(page_give_back(memory, page_memory_slot_address(memory, 1), 0x1000), -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_memory_asks_for_huge_pages),
	        TEST(test_lend_all_ram_and_no_firmware),
	        TEST(test_lend_nobody_can_cut_the_memory_off),
	        TEST(test_give_back_returns_whole_pages_and_leaves_the_rest),
	        TEST(test_give_back_of_less_than_a_page_does_nothing),
	        TEST(test_give_back_refuses_what_is_no_ram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
