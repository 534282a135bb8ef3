/* SPDX-License-Identifier: Apache-2.0 */
/* Memory is lent to back ends as a whole, and memory that the guest does not use goes back to this machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

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
	assert_ok(page_memory_create(host, &layout, *(enum page_backing *)*state, &memory, &err));
	count = page_memory_lend(memory, lent);
	return 0;
}

static int teardown(void **state)
{
	page_memory_destroy(memory);
	host_destroy(host);
	return 0;
}

/* How many bytes of the first MiB behind a loan are there. */
static uint64_t taken(const uint8_t *loan)
{
	unsigned char there[MIB(1) / PAGE_SIZE_BYTES];
	uint64_t pages = 0;

	assert_int_equal(mincore((void *)(uintptr_t)loan, MIB(1), there), 0);
	for (unsigned i = 0; i < sizeof(there); i++)
		pages += there[i] & 1;
	return pages * PAGE_SIZE_BYTES;
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
	if (access("/sys/kernel/mm/transparent_hugepage", F_OK) < 0) {
		print_message("this kernel has no transparent huge pages\n");
		skip();
	}
	for (unsigned i = 0; i < count; i++) {
		auto_free char *flags = flags_of(lent[i].at);

		assert_non_null(strstr(flags, " hg"));
	}
}

/* Firmware, too: an owner's may have secrets. */
static void test_core_files_have_no_guest_memory(void **state)
{
	for (unsigned i = 0; i < 3; i++) {
		auto_free char *flags = flags_of(page_memory_slot_address(memory, i));

		assert_non_null(strstr(flags, " dd"));
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

	fill(MIB(16), MIB(1));
	assert_int_equal(taken(loan), MIB(1));
	assert_int_equal(page_give_back(memory, loan + 1, MIB(1) - 2), 0);
	assert_int_equal(taken(loan), 2 * PAGE_SIZE_BYTES);
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

/* A huge page of the host reaches the guest as one only if both see it begin at whole 2 MiB. */
static void test_memory_begins_where_a_huge_page_does(void **state)
{
	for (unsigned i = 0; i < count; i++)
		assert_true(is_aligned((uintptr_t)lent[i].at, MIB(2)));
}

static void test_lend_own_memory_has_no_file(void **state)
{
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(lent[i].fd, -1);
}

int main(void)
{
	enum page_backing own = PAGE_OWN, shared = PAGE_SHARED;
#define TEST(name, backing) cmocka_unit_test_prestate_setup_teardown(name, setup, teardown, &backing)
#define TEST_BOTH(name)     TEST(name, own), TEST(name, shared)
	const struct CMUnitTest tests[] = {
	        TEST_BOTH(test_memory_asks_for_huge_pages),
	        TEST_BOTH(test_memory_begins_where_a_huge_page_does),
	        TEST_BOTH(test_core_files_have_no_guest_memory),
	        TEST_BOTH(test_lend_all_ram_and_no_firmware),
	        TEST(test_lend_nobody_can_cut_the_memory_off, shared),
	        TEST(test_lend_own_memory_has_no_file, own),
	        TEST_BOTH(test_give_back_returns_whole_pages_and_leaves_the_rest),
	        TEST_BOTH(test_give_back_of_less_than_a_page_does_nothing),
	        TEST_BOTH(test_give_back_refuses_what_is_no_ram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
