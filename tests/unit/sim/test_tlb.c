/* SPDX-License-Identifier: Apache-2.0 */
/* INVLPG: which translations of the software processor it drops, and which it keeps. */
#include "cpu_bench.h"

#define PD        (PML4 + 0x2000)
#define PT        (PML4 + 0x3000)
#define OTHER_PT  0x10000u
#define OTHER_PD  0x12000u
#define OLD       0x50000u /* what pages show first: their own data */
#define NEW       0x60000u /* what they show once their entries are changed */
#define GIB_PAGE  0x40000000u
#define LARGE     0x200000u
#define ENTRY(at) (PT + ((at) >> 12) * 8)

/* Reads two places, stops for its tables to be changed, drops what rbx points to and reads again. */
GUEST(read_guest, 64,
        "mov (%rsi), %eax; mov (%rdi), %edx; hlt; invlpg (%rbx); mov (%rsi), %eax; mov (%rdi), %edx; hlt");

static void start_reader(struct bench *b, uint64_t first, uint64_t second, uint64_t dropped)
{
	struct kvm_regs regs;

	bench_long(b, read_guest, read_guest_end, 0);
	for (uint32_t page = 0x13000; page < RAM_BYTES; page += 4096)
		bench_put(b, page, page);
	regs = bench_regs(b);
	regs.rsi = first;
	regs.rdi = second;
	regs.rbx = dropped;
	cpu_set_regs(b->cpu, &regs);
}

static void assert_reads(struct bench *b, uint64_t first, uint64_t second)
{
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_int_equal(bench_regs(b).rax, first);
	assert_int_equal(bench_regs(b).rdx, second);
}

static void test_tlb_invlpg_drops_its_page_and_keeps_others(void **state)
{
	static const uint64_t global[] = {0, 0x100};

	for (unsigned i = 0; i < ARRAY_LEN(global); i++) {
		struct bench *b = *state;

		/* The second page lies in another slot of the TLB. */
		start_reader(b, OLD, OLD + 0x1000, OLD + 0x123);
		bench_put(b, ENTRY(OLD), OLD | 7 | global[i]);
		bench_put(b, ENTRY(OLD + 0x1000), (OLD + 0x1000) | 7);
		assert_reads(b, OLD, OLD + 0x1000);
		bench_put(b, ENTRY(OLD), NEW | 7);
		bench_put(b, ENTRY(OLD + 0x1000), NEW | 7);
		assert_reads(b, NEW, OLD + 0x1000);
	}
}

/* A page of 2 MiB or 1 GiB at linear, whose entry is at `entry`, becomes pages of 4 KiB. */
static void check_large(struct bench *b, uint64_t linear, uint32_t entry, uint32_t table)
{
	start_reader(b, linear + OLD, linear + OLD + 0x23000, linear + 0x98765);
	bench_put(b, entry, 0x87);
	for (uint32_t i = 0; i < 512; i++) {
		bench_put(b, OTHER_PT + i * 8, NEW | 7);
		bench_put(b, OTHER_PD + i * 8, OTHER_PT | 7);
	}
	assert_reads(b, OLD, OLD + 0x23000);
	bench_put(b, entry, table | 7);
	assert_reads(b, NEW, NEW);
}

static void test_tlb_invlpg_drops_all_pieces_of_a_large_page(void **state)
{
	check_large(*state, LARGE, PD + 8, OTHER_PT);
	check_large(*state, GIB_PAGE, PML4 + 0x1000 + 8, OTHER_PD);
}

static void test_tlb_invlpg_beside_a_large_page_keeps_its_pieces(void **state)
{
	struct bench *b = *state;

	start_reader(b, LARGE + OLD + 0x1000, OLD, OLD);
	bench_put(b, PD + 8, 0x87);
	assert_reads(b, OLD + 0x1000, OLD);
	bench_put(b, PD + 8, 0);
	bench_put(b, ENTRY(OLD), NEW | 7);
	assert_reads(b, OLD + 0x1000, NEW);
}

GUEST(call_guest, 64,
        "mov $0x50000, %esi; mov $0x51000, %edi; call *%rsi; call *%rdi; hlt; invlpg (%rsi); call *%rsi; "
        "call *%rdi; hlt");

static void put_function(struct bench *b, uint32_t at, uint32_t number)
{
	bench_put(b, at, 0xc300000000c081 | (uint64_t)number << 16); /* add $number, %eax; ret */
}

static void test_tlb_invlpg_drops_code(void **state)
{
	struct bench *b = *state;

	bench_long(b, call_guest, call_guest_end, 0);
	put_function(b, OLD, 1);
	put_function(b, OLD + 0x1000, 0x10);
	put_function(b, NEW, 2);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_int_equal(bench_regs(b).rax, 0x11);
	bench_put(b, ENTRY(OLD), NEW | 7);
	bench_put(b, ENTRY(OLD + 0x1000), NEW | 7);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_int_equal(bench_regs(b).rax, 0x11 + 0x12);
}

/* Linear addresses have 32 bits there: the offset wraps. */
GUEST(narrow_guest, 32,
        "mov 0x50000, %eax; hlt; mov $0xfffff000, %ebx; invlpg 0x51000(%ebx); mov 0x50000, %eax; hlt");

static void test_tlb_invlpg_wraps_outside_64_bit_mode(void **state)
{
	struct bench *b = *state;
	struct kvm_sregs sregs;

	bench_long(b, narrow_guest, narrow_guest_end, 0);
	bench_put(b, GDT + 0x08, 0x00cf9b000000ffff);
	cpu_get_sregs(b->cpu, &sregs);
	sregs.cs = bench_segment(0x08, 11, false);
	assert_int_equal(cpu_set_sregs(b->cpu, &sregs), 0);
	bench_put(b, OLD, OLD);
	bench_put(b, NEW, NEW);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_int_equal(bench_regs(b).rax, OLD);
	bench_put(b, ENTRY(OLD), NEW | 7);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_int_equal(bench_regs(b).rax, NEW);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_tlb_invlpg_drops_its_page_and_keeps_others),
	        TEST(test_tlb_invlpg_drops_all_pieces_of_a_large_page),
	        TEST(test_tlb_invlpg_beside_a_large_page_keeps_its_pieces),
	        TEST(test_tlb_invlpg_drops_code),
	        TEST(test_tlb_invlpg_wraps_outside_64_bit_mode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
