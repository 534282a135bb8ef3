/* SPDX-License-Identifier: Apache-2.0 */
/*
 * #VC of a SEV-ES guest for accesses to addresses without memory: nothing of the instruction is done, so that
 * the guest can do it in another way, or run it again.
 */
#include "cpu_bench.h"

#define VC       29
#define VC_MMIO  0x400u
#define EDGE     0x1ff000u /* the last page of the mapping of 2 MiB; page EDGE - 0x1000 is RAM in some tests */
#define UNMAPPED 0x200000u /* not mapped: #PF */

static int setup(void **state)
{
	int result = bench_setup(state);
	struct bench *b = *state;

	cpu_set_vc(b->cpu, CPU_VC_ON | CPU_VC_DR7);
	return result;
}

static void start(struct bench *b, const uint8_t *code, const uint8_t *end, uint64_t rdi)
{
	struct kvm_regs regs;

	bench_long(b, code, end, 0);
	regs = bench_regs(b);
	regs.rax = 0x1111;
	regs.rbx = 0x2222;
	regs.rcx = 4;
	regs.rsi = GDT;
	regs.rdi = rdi;
	cpu_set_regs(b->cpu, &regs);
}

/* Maps the page at linear to gpa. */
static void map(struct bench *b, uint32_t linear, uint64_t gpa)
{
	bench_put(b, PML4 + 0x3000 + linear / 4096 * 8, gpa | 7);
}

/* The guest gets the exception with this error code at CODE, and its registers and memory are as before. */
static void gets(struct bench *b, int vector, unsigned error)
{
	struct kvm_regs before = bench_regs(b), after;
	uint8_t *memory = malloc(STACK - 0x3000);

	memcpy(memory, b->ram, STACK - 0x3000);
	assert_int_equal(bench_vector(b), vector);
	after = bench_regs(b);
	assert_int_equal(bench_get(b, (uint32_t)after.rsp), error);
	assert_int_equal(bench_get(b, (uint32_t)after.rsp + 8), CODE);
	before.rip = after.rip;
	before.rsp = after.rsp;
	before.rflags = after.rflags;
	assert_memory_equal(&before, &after, sizeof(after));
	for (uint32_t table = PML4; table < PML4 + 0x5000;
	        table += 8) /* accessed and dirty bits do not count */
		bench_put(b, table, bench_get(b, table) & ~UINT64_C(0x60));
	assert_memory_equal(memory, b->ram, STACK - 0x3000);
	free(memory);
}

GUEST(load_guest, 64, "mov (%rdi), %eax; hlt");
GUEST(store_guest, 64, "mov %eax, (%rdi); hlt");
GUEST(add_guest, 64, "add %eax, (%rdi); hlt");
GUEST(locked_guest, 64, "lock xadd %eax, (%rdi); hlt");
GUEST(xchg_guest, 64, "xchg %rax, (%rdi); hlt");
GUEST(cmpxchg_guest, 64, "lock cmpxchg %ebx, (%rdi); hlt");
GUEST(movs_guest, 64, "movsq; hlt");
GUEST(movs_from_guest, 64, "xchg %rsi, %rdi; movsb; hlt");
GUEST(rep_stos_guest, 64, "rep stosb; hlt");
GUEST(movups_guest, 64, "movups (%rdi), %xmm0; hlt");
GUEST(fxsave_guest, 64, "fxsave (%rdi); hlt");
GUEST(push_guest, 64, "mov %rdi, %rsp; push %rax; hlt");
GUEST(pop_guest, 64, "pop (%rdi); hlt");
GUEST(jump_guest, 64, "jmp *%rdi; hlt");
GUEST(clflush_guest, 64, "clflush (%rdi); hlt");
GUEST(test_guest, 64, "test %al, (%rdi); hlt");

#define ROW(name) \
	{ \
		name##_guest, name##_guest_end \
	}

static const struct {
	const uint8_t *code, *end;
} rows[] = {
        ROW(load),
        ROW(store),
        ROW(add),
        ROW(locked),
        ROW(xchg),
        ROW(cmpxchg),
        ROW(movs),
        ROW(rep_stos),
        ROW(movups),
        ROW(fxsave),
        ROW(pop),
        ROW(clflush),
        ROW(test),
};

static void test_vc_memory_every_kind_of_access(void **state)
{
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		start(b, rows[i].code, rows[i].end, DEVICE);
		gets(b, VC, VC_MMIO);
	}
}

/* The access begins in memory and ends outside of it. The part in memory must not be written. */
static void test_vc_memory_access_that_crosses_into_a_hole(void **state)
{
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned before = rows[i].code == fxsave_guest ? 16 : rows[i].code == movups_guest ? 8 : 2;

		if (rows[i].code == movs_guest || rows[i].code == rep_stos_guest ||
		        rows[i].code == clflush_guest || rows[i].code == test_guest)
			continue;
		start(b, rows[i].code, rows[i].end, EDGE - before);
		map(b, EDGE - 0x1000, 0xa000);
		map(b, EDGE, DEVICE);
		gets(b, VC, VC_MMIO);
	}
}

/* A page fault comes first where both parts cannot be accessed, and the first part decides. */
static void test_vc_memory_page_fault_or_vc(void **state)
{
	struct bench *b = *state;

	start(b, add_guest, add_guest_end, UNMAPPED - 2);
	gets(b, VC, VC_MMIO); /* the last mapped page is beyond memory */
	start(b, add_guest, add_guest_end, UNMAPPED - 2);
	map(b, EDGE, 0xa000);
	gets(b, 14, 2);
	start(b, load_guest, load_guest_end, UNMAPPED);
	gets(b, 14, 0);
}

/* REP keeps the iterations that it has made. */
static void test_vc_memory_rep_keeps_what_it_did(void **state)
{
	struct bench *b = *state;
	struct kvm_regs regs;

	start(b, rep_stos_guest, rep_stos_guest_end, EDGE - 3);
	map(b, EDGE - 0x1000, 0xa000);
	map(b, EDGE, DEVICE);
	assert_int_equal(bench_vector(b), VC);
	regs = bench_regs(b);
	assert_int_equal(regs.rcx, 1);
	assert_int_equal(regs.rdi, EDGE);
	assert_memory_equal(b->ram + 0xaffd, "\x11\x11\x11", 3);
	assert_int_equal(bench_get(b, (uint32_t)regs.rsp + 8), CODE);
	/* The guest's handler did the last one. */
	regs.rcx = 0;
	regs.rdi++;
	regs.rip = CODE;
	cpu_set_regs(b->cpu, &regs);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_int_equal(bench_regs(b).rip, CODE + 3);
}

static void test_vc_memory_source_of_a_copy(void **state)
{
	struct bench *b = *state;
	struct kvm_regs regs;

	start(b, movs_from_guest, movs_from_guest_end, DEVICE);
	assert_int_equal(bench_vector(b), VC);
	regs = bench_regs(b);
	assert_int_equal(regs.rsi, DEVICE);
	assert_int_equal(regs.rdi, GDT);
}

static void test_vc_memory_stack_and_code(void **state)
{
	struct bench *b = *state;
	struct kvm_regs regs;

	/* The stack has no memory, so the #VC cannot be delivered on it: with an IST it can. */
	start(b, push_guest, push_guest_end, DEVICE + 64);
	bench_gate(b, VC, HANDLERS + VC, 0x8e, 1);
	assert_int_equal(bench_vector(b), VC);
	regs = bench_regs(b);
	assert_int_equal(regs.rsp, IST - 48);
	assert_int_equal(bench_get(b, (uint32_t)regs.rsp + 32), DEVICE + 64);
	start(b, jump_guest, jump_guest_end, DEVICE + 8);
	assert_int_equal(bench_vector(b), VC);
	regs = bench_regs(b);
	assert_int_equal(bench_get(b, (uint32_t)regs.rsp), VC_MMIO);
	assert_int_equal(bench_get(b, (uint32_t)regs.rsp + 8), DEVICE + 8);
}

/* A page table without memory is the hypervisor's fault, too, and does not read as zeros. */
static void test_vc_memory_page_table(void **state)
{
	struct bench *b = *state;

	start(b, load_guest, load_guest_end, DEVICE);
	bench_put(b, PML4 + 0x1000 + 3 * 8, DEVICE | 7);
	gets(b, VC, VC_MMIO);
	cpu_set_vc(b->cpu, 0);
	start(b, load_guest, load_guest_end, DEVICE);
	bench_put(b, PML4 + 0x1000 + 3 * 8, DEVICE | 7);
	gets(b, 14, 0);
}

/* ---- #VC on the way to a handler (APM 2, 8.2.9) ---- */

static void test_vc_memory_nested_in_its_own_handler(void **state)
{
	struct bench *b = *state;
	struct kvm_regs regs;

	start(b, load_guest, load_guest_end, DEVICE);
	bench_gate(b, VC, HANDLERS + 0x80, 0x8e, 0);
	memcpy(b->ram + HANDLERS + 0x80, "\x0f\xa2", 2); /* CPUID in the handler */
	assert_int_equal(cpu_run(b->cpu, cpu_icount(b->cpu) + 1), CPU_EXIT_DEADLINE);
	regs = bench_regs(b);
	assert_int_equal(regs.rip, HANDLERS + 0x80);
	assert_int_equal(bench_get(b, (uint32_t)regs.rsp + 8), HANDLERS + 0x80);
	assert_true(bench_get(b, (uint32_t)regs.rsp) == 0x72);
}

/* The stack of #VC has no memory: #VC while #VC is delivered is a double fault. */
static void test_vc_memory_double_fault(void **state)
{
	struct bench *b = *state;

	start(b, load_guest, load_guest_end, DEVICE);
	bench_put(b, TSS + 36, DEVICE + 0x1000);
	bench_gate(b, VC, HANDLERS + VC, 0x8e, 1);
	assert_int_equal(bench_vector(b), 8);
	/* Nor can #DF: shutdown. */
	start(b, load_guest, load_guest_end, DEVICE);
	bench_put(b, TSS + 36, DEVICE + 0x1000);
	bench_gate(b, VC, HANDLERS + VC, 0x8e, 1);
	bench_gate(b, 8, HANDLERS + 8, 0x8e, 1);
	assert_int_equal(bench_run(b), CPU_EXIT_SHUTDOWN);
}

/* #VC after #PF is a double fault; #PF after #VC is a page fault. */
static void test_vc_memory_with_a_page_fault(void **state)
{
	struct bench *b = *state;
	struct kvm_regs regs;

	start(b, load_guest, load_guest_end, UNMAPPED);
	bench_put(b, TSS + 36, DEVICE + 0x1000);
	bench_gate(b, 14, HANDLERS + 14, 0x8e, 1);
	assert_int_equal(bench_vector(b), 8);
	start(b, load_guest, load_guest_end, DEVICE);
	bench_put(b, TSS + 36, UNMAPPED + 0x1000);
	bench_gate(b, VC, HANDLERS + VC, 0x8e, 1);
	assert_int_equal(bench_vector(b), 14);
	regs = bench_regs(b);
	assert_int_equal(bench_get(b, (uint32_t)regs.rsp + 8), CODE);
}

/* KVM cannot decode the write, so the instruction is tried for ever, and the vCPU can be stopped. */
static void test_vc_memory_write_to_read_only_memory_never_ends(void **state)
{
	struct bench *b = *state;

	b->rom[8] = 0x5a;
	start(b, store_guest, store_guest_end, RAM_BYTES + 8);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(bench_run(b), CPU_EXIT_STOPPED);
		assert_int_equal(bench_regs(b).rip, CODE);
	}
	assert_int_equal(b->rom[8], 0x5a);
	start(b, load_guest, load_guest_end, RAM_BYTES + 8);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_int_equal(bench_regs(b).rax, 0x5a);
}

/* Translations to devices from before are gone when #VC is switched on, and come back when it is off. */
static void test_vc_memory_switch(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < 2; i++) {
		cpu_set_vc(b->cpu, 0);
		start(b, load_guest, load_guest_end, DEVICE);
		assert_int_equal(bench_run(b), CPU_EXIT_MMIO);
		cpu_set_vc(b->cpu, CPU_VC_ON);
		start(b, load_guest, load_guest_end, DEVICE);
		gets(b, VC, VC_MMIO);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_vc_memory_every_kind_of_access),
	        TEST(test_vc_memory_access_that_crosses_into_a_hole),
	        TEST(test_vc_memory_page_fault_or_vc),
	        TEST(test_vc_memory_rep_keeps_what_it_did),
	        TEST(test_vc_memory_source_of_a_copy),
	        TEST(test_vc_memory_stack_and_code),
	        TEST(test_vc_memory_page_table),
	        TEST(test_vc_memory_nested_in_its_own_handler),
	        TEST(test_vc_memory_double_fault),
	        TEST(test_vc_memory_with_a_page_fault),
	        TEST(test_vc_memory_write_to_read_only_memory_never_ends),
	        TEST(test_vc_memory_switch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
