/* SPDX-License-Identifier: Apache-2.0 */
/* Memory passes from one process to another: the same pages, one who runs, and no descriptor that could do
 * harm. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/test.h"
#include "vmm/page/hand.h"

#define RAM      MIB(4)
#define FIRMWARE MIB(1)
#define AT       gpa(MIB(1))

static struct host *host;
static struct page_memory *here, *there;
static struct page_hand hand;
static struct err err;

static void make(enum page_backing backing, uint64_t bytes, struct page_memory **ret_memory)
{
	struct page_layout layout;

	assert_ok(page_layout_make(bytes, FIRMWARE, &layout, &err));
	assert_ok(page_memory_create(host, &layout, backing, ret_memory, &err));
}

static int setup(void **state)
{
	assert_ok(host_kernel_create(&host, &err));
	make(PAGE_SHARED, RAM, &here);
	make(PAGE_SHARED, RAM, &there);
	assert_ok(page_hand_offer(here, &hand, &err));
	return 0;
}

static int teardown(void **state)
{
	page_hand_close(&hand);
	page_memory_destroy(take_ptr(&here));
	page_memory_destroy(take_ptr(&there));
	host_destroy(host);
	return 0;
}

static void put(struct page_memory *memory, uint64_t value)
{
	assert_int_equal(page_write(memory, AT, &value, sizeof(value)), 0);
}

static uint64_t get(struct page_memory *memory)
{
	uint64_t value;

	assert_int_equal(page_read(memory, AT, &value, sizeof(value)), 0);
	return value;
}

/* Hands the guest on as a move does. */
static void pass(struct page_memory *from, struct page_memory *to)
{
	page_hand_close(&hand);
	assert_ok(page_hand_offer(from, &hand, &err));
	assert_ok(page_hand_accept(to, &hand, &err));
	page_lease_release(from);
	assert_int_equal(page_lease_try(to), PAGE_LEASE_MINE);
	assert_ok(page_hand_own(to, &err));
}

static void test_both_have_the_same_pages_at_the_same_addresses(void **state)
{
	const void *ram = page_memory_slot_address(there, 0);
	const uint64_t word = 0x1122334455667788;

	put(here, 1);
	assert_int_equal(page_load(here, gpa(PAGE_HOLE_END - FIRMWARE), &word, sizeof(word)), 0);
	assert_ok(page_hand_accept(there, &hand, &err));
	assert_ptr_equal(page_memory_slot_address(there, 0), ram);
	assert_int_equal(get(there), 1);
	put(here, 2);
	assert_int_equal(get(there), 2);
	assert_memory_equal(page_memory_slot_address(there, 1), &word, sizeof(word));
}

static void test_nothing_is_written_before_the_guest_is_owned(void **state)
{
	put(here, 1);
	assert_ok(page_hand_accept(there, &hand, &err));
	put(there, 2);
	assert_int_equal(get(here), 1);
	page_lease_release(here);
	assert_int_equal(page_lease_try(there), PAGE_LEASE_MINE);
	assert_ok(page_hand_own(there, &err));
	assert_int_equal(get(there), 1);
	put(there, 3);
	assert_int_equal(get(here), 3);
}

static void test_one_holds_the_lease(void **state)
{
	assert_ok(page_hand_accept(there, &hand, &err));
	assert_int_equal(page_lease_try(there), PAGE_LEASE_HELD);
	assert_int_equal(page_lease_try(here), PAGE_LEASE_MINE);
	page_lease_release(here);
	assert_int_equal(page_lease_try(there), PAGE_LEASE_MINE);
	assert_int_equal(page_lease_try(here), PAGE_LEASE_HELD);
	assert_ok(page_hand_own(there, &err));
	assert_int_equal(page_lease_try(here), PAGE_LEASE_PAST);
	assert_fails(page_hand_offer(here, &hand, &err), ERR_FAILED, "another process runs the guest");
}

/* Also when the other one holds nothing any more: the memory is of a later time. */
static void test_an_earlier_turn_never_runs(void **state)
{
	assert_ok(page_hand_accept(there, &hand, &err));
	assert_ok(page_hand_own(here, &err));
	page_lease_release(here);
	assert_int_equal(page_lease_try(there), PAGE_LEASE_PAST);
	assert_int_equal(page_lease_try(here), PAGE_LEASE_MINE);
}

/* As of a reset, or of quit. */
static void test_a_guest_that_ended_is_not_continued(void **state)
{
	assert_ok(page_hand_accept(there, &hand, &err));
	page_memory_destroy(take_ptr(&here));
	assert_int_equal(page_lease_try(there), PAGE_LEASE_PAST);
}

static void test_a_process_that_died_has_lost_the_lease(void **state)
{
	int ready[2], status;
	char byte;
	pid_t pid;

	page_lease_release(here);
	assert_ok(page_hand_accept(there, &hand, &err));
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct page_memory *third = NULL;

		make(PAGE_SHARED, RAM, &third);
		if (page_hand_accept(third, &hand, &err) == 0 && page_lease_try(third) == PAGE_LEASE_MINE)
			(void)!write(ready[1], "", 1);
		for (;;)
			pause();
	}
	/* Copies here would keep the child's lock. */
	page_memory_destroy(take_ptr(&there));
	page_hand_close(&hand);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(page_lease_try(here), PAGE_LEASE_HELD);
	assert_ok(kill(pid, SIGKILL));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(ready[0]);
	assert_int_equal(page_lease_try(here), PAGE_LEASE_MINE);
}

static void test_on_and_on_and_back(void **state)
{
	struct page_memory *third;

	make(PAGE_SHARED, RAM, &third);
	put(here, 1);
	pass(here, there);
	put(there, get(there) + 1);
	pass(there, third);
	put(third, get(third) + 1);
	page_memory_destroy(take_ptr(&here));
	make(PAGE_SHARED, RAM, &here);
	pass(third, here);
	page_memory_destroy(third);
	page_memory_destroy(take_ptr(&there));
	make(PAGE_SHARED, RAM, &there);
	assert_int_equal(get(here), 3);
	assert_int_equal(page_lease_try(here), PAGE_LEASE_MINE);
}

static void test_pages_that_are_given_back_are_gone_for_both(void **state)
{
	put(here, 1);
	pass(here, there);
	assert_int_equal(page_give_back(there, page_loan(there, AT, PAGE_SIZE_BYTES), PAGE_SIZE_BYTES), 0);
	assert_int_equal(get(there), 0);
	assert_int_equal(get(here), 0);
}

/* ---- a hostile peer ---- */

enum harm {
	LONGER,
	SHORTER,
	UNSEALED,
	HALF_SEALED,
	MAY_SEAL,
	UNWRITABLE,
	FUTURE_SEALED,
	READ_ONLY,
	A_FILE,
	A_PIPE,
	HARMS
};

static int make_bad(enum harm harm, uint64_t bytes)
{
	static const int seals[HARMS] = {[HALF_SEALED] = F_SEAL_SHRINK,
	        [MAY_SEAL] = F_SEAL_SHRINK | F_SEAL_GROW,
	        [UNWRITABLE] = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | F_SEAL_WRITE,
	        [FUTURE_SEALED] = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | F_SEAL_FUTURE_WRITE};
	int fd = memfd_create("bad", MFD_CLOEXEC | MFD_ALLOW_SEALING), ends[2], other;
	char path[40];

	assert_int_equal(ftruncate(fd, (off_t)(harm == LONGER    ? bytes + 4096
	                                       : harm == SHORTER ? bytes - 4096
	                                                         : bytes)),
	        0);
	if (harm != UNSEALED)
		assert_int_equal(
		        fcntl(fd, F_ADD_SEALS, seals[harm] ?: F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	if (harm == READ_ONLY) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		other = open(path, O_RDONLY | O_CLOEXEC);
	} else if (harm == A_FILE) {
		other = open("/dev/zero", O_RDWR | O_CLOEXEC);
	} else if (harm == A_PIPE) {
		assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
		close(ends[1]);
		other = ends[0];
	} else {
		return fd;
	}
	close(fd);
	return other;
}

static void test_descriptors_that_would_do_harm_are_refused(void **state)
{
	static const char *const words[HARMS] = {[LONGER] = "length is another",
	        [SHORTER] = "length is another",
	        [UNSEALED] = "not sealed",
	        [HALF_SEALED] = "not sealed",
	        [MAY_SEAL] = "may still change",
	        [UNWRITABLE] = "cannot be written",
	        [FUTURE_SEALED] = "cannot be written",
	        [READ_ONLY] = "cannot be written",
	        [A_FILE] = "no memfd",
	        [A_PIPE] = "no memfd"};

	put(there, 7);
	for (unsigned harm = 0; harm < HARMS; harm++) {
		for (unsigned i = 0; i < hand.count; i++) {
			const uint64_t bytes[] = {RAM, FIRMWARE, PAGE_SIZE_BYTES};
			struct page_hand bad = hand;

			bad.fds[i] = make_bad((enum harm)harm, bytes[i]);
			assert_fails(page_hand_accept(there, &bad, &err), ERR_FAILED, words[harm]);
			close(bad.fds[i]);
		}
	}
	assert_int_equal(get(there), 7);
	assert_ok(page_hand_accept(there, &hand, &err));
}

static void test_another_number_of_descriptors_is_refused(void **state)
{
	for (unsigned count = 0; count <= PAGE_HAND_FDS_MAX; count++) {
		struct page_hand bad = hand;

		bad.count = count;
		if (count != hand.count)
			assert_fails(page_hand_accept(there, &bad, &err), ERR_FAILED, "descriptors came for");
	}
}

static void test_memory_that_is_no_file_stays(void **state)
{
	struct page_memory *own, *other;

	assert_null(page_hand_refusal(PAGE_SHARED));
	assert_null(page_hand_refusal(PAGE_POOL));
	make(PAGE_OWN, RAM, &own);
	assert_fails(page_hand_offer(own, &hand, &err), ERR_USAGE, "machine.memory-shared");
	assert_fails(page_hand_accept(own, &hand, &err), ERR_FAILED, "machine.memory-shared");
	page_memory_destroy(own);
	hand.backing = PAGE_POOL;
	assert_fails(page_hand_accept(there, &hand, &err), ERR_FAILED,
	        "machine.hugepages is false here and true there");
	hand.backing = PAGE_SHARED;
	make(PAGE_SHARED, RAM + MIB(1), &other);
	assert_fails(page_hand_accept(other, &hand, &err), ERR_FAILED, "length is another");
	page_memory_destroy(other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_both_have_the_same_pages_at_the_same_addresses),
	        TEST(test_nothing_is_written_before_the_guest_is_owned),
	        TEST(test_one_holds_the_lease),
	        TEST(test_an_earlier_turn_never_runs),
	        TEST(test_a_guest_that_ended_is_not_continued),
	        TEST(test_a_process_that_died_has_lost_the_lease),
	        TEST(test_on_and_on_and_back),
	        TEST(test_pages_that_are_given_back_are_gone_for_both),
	        TEST(test_descriptors_that_would_do_harm_are_refused),
	        TEST(test_another_number_of_descriptors_is_refused),
	        TEST(test_memory_that_is_no_file_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
