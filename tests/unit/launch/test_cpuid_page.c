/* SPDX-License-Identifier: Apache-2.0 */
/* The CPUID page as the firmware gets it, and what vmm does with the firmware's answer. */
#include "support/test.h"

#include "../../../src/launch/launch.h"

static struct machine_cpuid cpuid;
static struct abi_cpuid_page page, answer;
static struct err err;

static void add(uint32_t function, uint32_t index, bool indexed, uint32_t eax, uint32_t ebx)
{
	cpuid.entries[cpuid.nent++] = (struct kvm_cpuid_entry2){
	        .function = function,
	        .index = index,
	        .flags = indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
	        .eax = eax,
	        .ebx = ebx,
	        .ecx = 3,
	        .edx = 4,
	};
}

static int setup(void **state)
{
	memset(&cpuid, 0, sizeof(cpuid));
	memset(&page, 0, sizeof(page));
	return 0;
}

static void test_cpuid_page_holds_leaves_and_subleaves(void **state)
{
	add(1, 0, false, 0xa00f11, 0x800);
	add(4, 2, true, 1, 2);
	assert_ok(launch_cpuid_page_fill(&cpuid, &page, &err));
	assert_int_equal(page.count, 2);
	assert_int_equal(page.entries[0].eax_in, 1);
	assert_int_equal(page.entries[0].eax, 0xa00f11);
	assert_int_equal(page.entries[0].edx, 4);
	assert_int_equal(page.entries[1].ecx_in, 2);
	assert_int_equal(page.entries[1].xcr0_in, 0);
}

/* The firmware computes sizes for the XCR0 that is asked with: that of a vCPU at reset. */
static void test_cpuid_page_asks_for_the_state_at_reset(void **state)
{
	add(0xd, 0, true, 7, 0x340);
	add(0xd, 1, true, 7, 0x340);
	add(0xd, 2, true, 0x100, 0x240);
	assert_ok(launch_cpuid_page_fill(&cpuid, &page, &err));
	assert_int_equal(page.entries[0].xcr0_in, 1);
	assert_int_equal(page.entries[0].ebx, 0x240);
	assert_int_equal(page.entries[1].xcr0_in, 1);
	assert_int_equal(page.entries[1].ebx, 0x240);
	assert_int_equal(page.entries[2].xcr0_in, 0);
	assert_int_equal(page.entries[2].eax, 0x100);
}

static void test_cpuid_page_has_no_room_for_zeros(void **state)
{
	for (uint32_t i = 0; i < 64; i++)
		add(4, i, true, 1, 1);
	cpuid.entries[cpuid.nent++] = (struct kvm_cpuid_entry2){.function = 5};
	assert_ok(launch_cpuid_page_fill(&cpuid, &page, &err));
	assert_int_equal(page.count, 64);
	add(6, 0, false, 1, 1);
	assert_fails(launch_cpuid_page_fill(&cpuid, &page, &err), ERR_FAILED, "more than 64 leaves");
}

static void fill_three(void)
{
	for (uint32_t i = 0; i < 3; i++)
		add(i, 0, false, 0x10 + i, 0x20);
	assert_ok(launch_cpuid_page_fill(&cpuid, &page, &err));
	answer = page;
}

static void test_cpuid_answer_changes_are_counted_by_register(void **state)
{
	fill_three();
	assert_int_equal(launch_cpuid_page_tell(&page, &answer, LOG_DEBUG), 0);
	answer.entries[0].eax ^= 0x80000001;
	answer.entries[2].ebx = 0;
	answer.entries[2].ecx = UINT32_MAX;
	answer.entries[2].edx = 0;
	assert_int_equal(launch_cpuid_page_tell(&page, &answer, LOG_DEBUG), 4);
}

static void test_cpuid_answer_to_other_questions_is_none(void **state)
{
	fill_three();
	answer.count = 2;
	assert_int_equal(launch_cpuid_page_tell(&page, &answer, LOG_DEBUG), -1);
	answer = page;
	answer.entries[1].eax_in = 7;
	assert_int_equal(launch_cpuid_page_tell(&page, &answer, LOG_DEBUG), -1);
	answer = page;
	answer.entries[2].xcr0_in = 7;
	assert_int_equal(launch_cpuid_page_tell(&page, &answer, LOG_DEBUG), -1);
	answer = page;
	page.count = answer.count = 65;
	assert_int_equal(launch_cpuid_page_tell(&page, &answer, LOG_DEBUG), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup(test_cpuid_page_holds_leaves_and_subleaves, setup),
	        cmocka_unit_test_setup(test_cpuid_page_asks_for_the_state_at_reset, setup),
	        cmocka_unit_test_setup(test_cpuid_page_has_no_room_for_zeros, setup),
	        cmocka_unit_test_setup(test_cpuid_answer_changes_are_counted_by_register, setup),
	        cmocka_unit_test_setup(test_cpuid_answer_to_other_questions_is_none, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
