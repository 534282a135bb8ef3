/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes wrong in programs that share a ring with somebody hostile: the host changes a request while the
 * helper works on it, writes indices that are not its own, and asks for ranges whose ends are not those of
 * pages. For the first, a page of the guest is taken away, and the host acts when the helper touches it.
 */
#include <signal.h>
#include <sys/mman.h>

#include "support/helper_forms.h"
#include "support/helper_pair.h"
#include "support/test.h"

#define PAGE_GPA 0x13000u
#define STREAM   HELPER_STREAM_OF(PAGE_GPA)

/* ---- the host acts while a request is answered ---- */

static uint8_t *absent;
static struct end *victim;
static unsigned touches;

/* Everything in the ring becomes another request, with another page. */
static void meddle(struct end *end)
{
	const struct helper_slot other = {.command = HELPER_FORGET,
	        .status = HELPER_NO_ROOT,
	        .stream = 7,
	        .pass = 9,
	        .gpa = 0x17000,
	        .number = 55,
	        .tag = "another tag"};

	for (unsigned i = 0; i < HELPER_SLOTS; i++) {
		end->ring.slots[i] = other;
		memset(end->ring.pages[i], 0xee, HELPER_PAGE_BYTES);
	}
}

static void on_touch(int signal, siginfo_t *info, void *context)
{
	uint8_t *at = info->si_addr;

	if (!absent || at < absent || at >= absent + HELPER_PAGE_BYTES)
		abort();
	if (mprotect(absent, HELPER_PAGE_BYTES, PROT_READ | PROT_WRITE) < 0)
		abort();
	absent = NULL;
	touches++;
	meddle(victim);
}

static void take_away(struct end *end, uint8_t *page)
{
	const struct sigaction action = {.sa_sigaction = on_touch, .sa_flags = SA_SIGINFO};

	assert_int_equal(sigaction(SIGSEGV, &action, NULL), 0);
	touches = 0;
	victim = end;
	absent = page;
	assert_int_equal(mprotect(page, HELPER_PAGE_BYTES, PROT_NONE), 0);
}

static struct helper_slot seal_page(void)
{
	const struct helper_slot ask = {.command = HELPER_SEAL, .stream = STREAM, .pass = 3, .gpa = PAGE_GPA};

	return *end_ask(&source, ask, NULL);
}

static void assert_answer(const struct helper_slot *slot, enum helper_command command)
{
	assert_int_equal(touches, 1);
	assert_int_equal(slot->command, command);
	assert_int_equal(slot->status, HELPER_DONE);
	assert_int_equal(slot->stream, STREAM);
	assert_int_equal(slot->pass, 3);
	assert_true(slot->gpa == PAGE_GPA);
	assert_true(slot->number == 0);
}

static void assert_is_over(void)
{
	assert_memory_equal(target.memory + PAGE_GPA, source.memory + PAGE_GPA, HELPER_PAGE_BYTES);
	for (size_t i = 0; i < PAIR_BYTES; i++)
		assert_true(target.memory[i] == 0 || i / HELPER_PAGE_BYTES == PAGE_GPA / HELPER_PAGE_BYTES);
}

static void test_traps_command_is_read_once_when_a_page_is_sealed(void **state)
{
	FOR_EACH_FORM(form)
	{
		struct helper_slot slot;

		pair_start(form);
		take_away(&source, source.memory + PAGE_GPA);
		slot = seal_page();
		assert_answer(&slot, HELPER_SEAL);
		slot.command = HELPER_OPEN;
		assert_int_equal(end_ask(&target, slot, source.ring.pages[0])->status, HELPER_DONE);
		assert_is_over();
	}
}

/* The first page that is taken away is the guest's: what the helper writes there was checked before. */
static void test_traps_command_is_read_once_when_a_page_is_opened(void **state)
{
	FOR_EACH_FORM(form)
	{
		struct helper_slot slot;

		pair_start(form);
		slot = seal_page();
		slot.command = HELPER_OPEN;
		take_away(&target, target.memory + PAGE_GPA);
		slot = *end_ask(&target, slot, source.ring.pages[0]);
		assert_answer(&slot, HELPER_OPEN);
		assert_is_over();
	}
}

/* The record's page comes after its descriptor, and is another one by then. */
static void test_traps_page_that_changes_before_it_is_copied_is_refused(void **state)
{
	struct helper_slot slot;

	pair_start(GCM_PLAIN);
	slot = seal_page();
	slot.command = HELPER_OPEN;
	target.ring.slots[0] = slot;
	target.ring.produced = 1;
	memcpy(target.ring.pages[0], source.ring.pages[0], HELPER_PAGE_BYTES);
	take_away(&target, target.ring.pages[0]);
	helper_serve(&target.helper);
	assert_int_equal(touches, 1);
	slot = target.ring.slots[0];
	assert_int_equal(slot.command, HELPER_OPEN);
	assert_int_equal(slot.status, HELPER_BAD_TAG);
	assert_true(slot.gpa == PAGE_GPA);
	for (size_t i = 0; i < PAIR_BYTES; i++)
		assert_int_equal(target.memory[i], 0);
	assert_true(target.helper.opened[STREAM] == 0);
}

static bool meddling_random(uint64_t *ret_value)
{
	meddle(&source);
	return key_rdrand(ret_value);
}

static void test_traps_command_is_read_once_when_a_move_begins(void **state)
{
	const struct helper_slot *slot;

	pair_start(GCM_PLAIN);
	source.helper.random = meddling_random;
	slot = end_ask(&source, (struct helper_slot){.command = HELPER_HELLO}, NULL);
	assert_int_equal(slot->command, HELPER_HELLO);
	assert_int_equal(slot->status, HELPER_DONE);
	assert_true(source.helper.greeted);
	assert_memory_equal(source.ring.pages[0], source.helper.nonce, HELPER_NONCE_BYTES);
}

/* ---- indices ---- */

static void ask_many(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct helper_slot slot = seal_page();

		assert_int_equal(slot.status, HELPER_DONE);
		assert_true(slot.number == i);
	}
}

static void test_traps_index_comes_round_at_the_end_of_its_numbers(void **state)
{
	pair_start(GCM_PLAIN);
	source.helper.consumed = source.ring.consumed = source.ring.produced = UINT32_MAX - 2;
	ask_many(6);
	assert_int_equal(source.ring.consumed, 3);
	assert_false(source.helper.broken);
}

static void test_traps_index_that_is_not_the_hosts_does_not_matter(void **state)
{
	static const uint32_t values[] = {0, 1, 77, UINT32_MAX};

	pair_start(GCM_PLAIN);
	ask_many(3);
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		source.ring.consumed = values[i];
		assert_int_equal(helper_serve(&source.helper), 0);
		assert_true(seal_page().number == 3 + i);
		assert_int_equal(source.ring.consumed, 4 + i);
	}
}

static void test_traps_index_that_goes_back_ends_the_keys(void **state)
{
	pair_start(GCM_PLAIN);
	ask_many(3);
	source.ring.produced--;
	assert_int_equal(helper_serve(&source.helper), 0);
	assert_false(source.helper.has_keys);
	source.ring.produced += 2;
	assert_int_equal(helper_serve(&source.helper), 0);
	assert_int_equal(source.ring.consumed, 3);
}

/* ---- ranges ---- */

/* In bytes, with the end of the page, and with all bits of the address. */
static void test_traps_range_ends_in_the_middle_of_a_page(void **state)
{
	static const struct helper_range ranges[] = {{0x10800, 0x13800}};
	static const uint64_t outside[] = {0x10000, 0x10800, 0x13000, 0x13800, 0x14000};

	pair_start(GCM_PLAIN);
	source.helper.ranges = ranges;
	source.helper.range_count = 1;
	for (uint64_t gpa = 0x11000; gpa < 0x13000; gpa += HELPER_PAGE_BYTES) {
		struct helper_slot ask = {
		        .command = HELPER_SEAL, .stream = HELPER_STREAM_OF(gpa), .gpa = gpa};

		assert_int_equal(end_ask(&source, ask, NULL)->status, HELPER_DONE);
		for (unsigned bit = 47; bit < 64; bit++) {
			ask.gpa = gpa | UINT64_C(1) << bit;
			assert_int_equal(end_ask(&source, ask, NULL)->status, HELPER_BAD_ADDRESS);
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(outside); i++) {
		const struct helper_slot ask = {
		        .command = HELPER_SEAL, .stream = HELPER_STREAM_OF(outside[i]), .gpa = outside[i]};

		assert_int_equal(end_ask(&source, ask, NULL)->status, HELPER_BAD_ADDRESS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_traps_command_is_read_once_when_a_page_is_sealed),
	        cmocka_unit_test(test_traps_command_is_read_once_when_a_page_is_opened),
	        cmocka_unit_test(test_traps_page_that_changes_before_it_is_copied_is_refused),
	        cmocka_unit_test(test_traps_command_is_read_once_when_a_move_begins),
	        cmocka_unit_test(test_traps_index_comes_round_at_the_end_of_its_numbers),
	        cmocka_unit_test(test_traps_index_that_is_not_the_hosts_does_not_matter),
	        cmocka_unit_test(test_traps_index_that_goes_back_ends_the_keys),
	        cmocka_unit_test(test_traps_range_ends_in_the_middle_of_a_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
