/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that has as many ranges of shared pages as sev.shared-ranges-max allows is refused more. One that
 * converts many pages is told of.
 */
#include "sev_exits.h"

static _Atomic bool told_full;
static unsigned told;

static void on_full(void *ctx)
{
	told++;
	loop_stop(vcpu.loop);
}

static struct loop_task full_task = {.fn = on_full};

/* Three hypercalls: two that fill the record, and one that it has no room for, twice. */
static void fill(const char *type)
{
	static const char *const sev[] = {"sev.page-status=true", "sev.shared-ranges-max=2", NULL};
	bool is_snp = strcmp(type, "sev-snp") == 0;
	struct err err;

	start_with(type, is_snp ? sev + 1 : sev);
	told_full = false;
	told = 0;
	vcpu.told_full = &told_full;
	vcpu.full = &full_task;
	assert_ok(loop_create(&vcpu.loop, &err));
	assert_int_equal(hypercall(12, 0x10000, 1, 0), RUN_VCPU_RESUME);
	assert_int_equal(hypercall(12, 0x20000, 1, 0), RUN_VCPU_RESUME);
	assert_int_equal(vcpu.kvm->run->hypercall.ret, 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(hypercall(12, 0x30000, 1, 0), RUN_VCPU_RESUME);
		assert_int_equal(vcpu.kvm->run->hypercall.ret, is_snp ? EAGAIN : -(uint64_t)EAGAIN);
	}
	assert_converted(0, 0, 2, 2);
}

static void empty(void)
{
	struct err err;

	assert_ok(loop_run(vcpu.loop, &err));
	assert_int_equal(told, 1);
	loop_destroy(vcpu.loop);
}

static void test_map_gpa_range_past_the_bound_is_refused_and_told_once(void **state)
{
	static const char *const types[] = {"sev", "sev-es", "sev-snp"};
	struct page_record record;

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		fill(types[i]);
		page_record_count(machine_vm_memory(bench.vm), &record);
		assert_int_equal(record.refused, 2);
		assert_int_equal(record.complete, i == 2);
		/* A page that is shared flips as before. */
		assert_int_equal(hypercall(12, 0x20000, 1, 0x10), RUN_VCPU_RESUME);
		assert_int_equal(vcpu.kvm->run->hypercall.ret, 0);
		empty();
		bench_end(&bench);
	}
}

static void test_memory_fault_past_the_bound_ends_the_guest_with_the_key(void **state)
{
	fill("sev-snp");
	assert_int_equal(fault(0x40000, 0x1000, 0), RUN_VCPU_FAIL);
	assert_error(ERR_FAILED,
	        "0x40000 cannot become shared: the guest has more ranges of shared pages than "
	        "sev.shared-ranges-max allows (2)");
	empty();
}

/* With a limit of 1 the second conversion within a second is a storm. It comes, however slow the machine is.
 */
static void test_storm_of_conversions_is_told(void **state)
{
	static const char *const sets[] = {"sev.page-status=true", "sev.conversion-storm=1", NULL};
	static _Atomic bool warned;
	struct page_flip_totals totals;
	struct page_flip top;
	struct err err;

	start_with("sev", sets);
	told = 0;
	vcpu.told_storm = &warned;
	vcpu.storm = &full_task;
	assert_ok(loop_create(&vcpu.loop, &err));
	while (!warned)
		assert_int_equal(hypercall(12, 0x10000, 1, 0), RUN_VCPU_RESUME);
	assert_int_equal(hypercall(12, 0x10000, 3, 0), RUN_VCPU_RESUME);
	totals = page_flips_count(page_memory_flips(machine_vm_memory(bench.vm)), clock_ns(CLOCK_MONOTONIC));
	assert_int_equal(totals.conversions, vcpu.counters.conversions[RUN_TO_SHARED]);
	assert_int_equal(totals.flips, totals.conversions - 1);
	assert_true(totals.storms > 0);
	assert_true(page_flips_top(page_memory_flips(machine_vm_memory(bench.vm)), &top));
	assert_int_equal(top.first, 0x10);
	assert_int_equal(top.pages, 3);
	assert_int_equal(top.count, totals.conversions);
	empty();
}

/* A fault of a SEV-SNP guest that asks for a page to change is one, too; what is refused is none. */
static void test_conversions_by_faults_are_noted(void **state)
{
	struct page_flip top;

	fill("sev-snp");
	assert_int_equal(fault(0x20000, 0x1000, UAPI_MEMORY_EXIT_PRIVATE), RUN_VCPU_RESUME);
	assert_int_equal(page_flips_count(page_memory_flips(machine_vm_memory(bench.vm)), 0).conversions, 3);
	assert_true(page_flips_top(page_memory_flips(machine_vm_memory(bench.vm)), &top));
	assert_int_equal(top.first, 0x20);
	assert_int_equal(top.count, 2);
	empty();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_map_gpa_range_past_the_bound_is_refused_and_told_once),
	        TEST(test_memory_fault_past_the_bound_ends_the_guest_with_the_key),
	        TEST(test_storm_of_conversions_is_told),
	        TEST(test_conversions_by_faults_are_noted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
