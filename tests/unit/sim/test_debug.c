/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debug registers of the software processor: breakpoints of every kind, the trap flag, general detection, and
 * a debugger outside the guest. What the guest sees is in DR6 and on the stack of its #DB handler.
 */
#include "cpu_bench.h"

#define BS 0x4000u
#define BD 0x2000u

static void set_breakpoint(struct bench *b, unsigned i, uint64_t address, unsigned kind, unsigned length)
{
	struct kvm_debugregs regs;

	cpu_get_debugregs(b->cpu, &regs);
	regs.db[i] = address;
	regs.dr7 |= 2u << (2 * i) | (uint64_t)(kind | length << 2) << (16 + 4 * i);
	assert_int_equal(cpu_set_debugregs(b->cpu, &regs), 0);
}

/* Runs to the #DB handler. Returns where it would return to, from the start of the code. */
static uint64_t run_to_db(struct bench *b)
{
	assert_int_equal(bench_vector(b), 1);
	return bench_get(b, (uint32_t)bench_regs(b).rsp) - CODE;
}

static uint64_t dr6(struct bench *b)
{
	return b->cpu->dr[6] & 0xe00f;
}

GUEST(nops_guest, 64, "nop; nop; nop; hlt");

static void test_debug_code_breakpoint_is_a_fault_with_rf(void **state)
{
	struct bench *b = *state;

	bench_long(b, nops_guest, nops_guest_end, 0);
	set_breakpoint(b, 1, CODE + 2, 0, 0);
	assert_int_equal(run_to_db(b), 2);
	assert_int_equal(dr6(b), 2);
	assert_int_equal(bench_get(b, (uint32_t)bench_regs(b).rsp + 16) & 0x10000, 0x10000);
}

static void test_debug_rf_passes_one_instruction(void **state)
{
	struct bench *b = *state;
	struct kvm_regs regs;

	bench_long(b, nops_guest, nops_guest_end, 0);
	set_breakpoint(b, 0, CODE, 0, 0);
	regs = bench_regs(b);
	regs.rflags |= 0x10000;
	cpu_set_regs(b->cpu, &regs);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_int_equal(bench_regs(b).rip, CODE + 4);
	assert_int_equal(bench_regs(b).rflags & 0x10000, 0);
}

GUEST(write_guest, 64, "mov %eax, 0x50004; mov 0x50000, %eax; nop; hlt");

static void test_debug_data_breakpoints_are_traps(void **state)
{
	/* Kinds: 1 write, 3 access; lengths: 0 one byte, 1 two, 2 eight, 3 four. */
	static const struct {
		uint64_t address;
		unsigned kind, length;
		uint64_t rip;
	} rows[] = {{0x50004, 1, 0, 7}, {0x50007, 1, 0, 7}, {0x50006, 1, 1, 7}, {0x50000, 1, 2, 7},
	        {0x50000, 3, 3, 14}, {0x50003, 3, 0, 14}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bench *b = *state;

		cpu_init(b->cpu);
		bench_long(b, write_guest, write_guest_end, 0);
		set_breakpoint(b, 2, rows[i].address, rows[i].kind, rows[i].length);
		assert_int_equal(run_to_db(b), rows[i].rip);
		assert_int_equal(dr6(b), 4);
	}
}

static void test_debug_breakpoint_beside_the_access_is_not_met(void **state)
{
	struct bench *b = *state;

	bench_long(b, write_guest, write_guest_end, 0);
	set_breakpoint(b, 0, 0x50000, 1, 3);
	set_breakpoint(b, 1, 0x50008, 3, 3);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_int_equal(bench_regs(b).rip, CODE + (uint64_t)(write_guest_end - write_guest));
}

GUEST(movs_guest, 64, "mov $0x50000, %edi; mov $16, %ecx; xor %eax, %eax; rep stosl; hlt");

static void test_debug_repeated_store_stops_behind_the_iteration(void **state)
{
	struct bench *b = *state;

	bench_long(b, movs_guest, movs_guest_end, 0);
	set_breakpoint(b, 0, 0x50010, 1, 3);
	assert_int_equal(run_to_db(b), 12);
	assert_int_equal(bench_regs(b).rcx, 11);
	assert_int_equal(bench_regs(b).rdi, 0x50014);
}

GUEST(ss_guest, 64, "mov $0x10, %eax; mov %eax, 0x50000; mov 0x50000, %ss; nop; hlt");

static void test_debug_trap_waits_behind_a_load_of_ss(void **state)
{
	struct bench *b = *state;

	bench_long(b, ss_guest, ss_guest_end, 0);
	set_breakpoint(b, 0, 0x50000, 3, 1);
	assert_int_equal(run_to_db(b), 12); /* the write */
	cpu_set_regs(b->cpu, &(struct kvm_regs){.rip = CODE + 12, .rsp = STACK - 0x2000, .rflags = 2});
	assert_int_equal(run_to_db(b), 20); /* the load of SS, behind the NOP */
}

GUEST(ss_int_guest, 64, "mov 0x50000, %ss; int $0x30; hlt");
GUEST(ss_int1_guest, 64, "mov 0x50000, %ss; int $1; hlt");

/* An INT n behind the load of SS goes first; the trap comes at the first instruction of its handler. */
static void test_debug_trap_of_a_load_of_ss_comes_behind_int(void **state)
{
	struct bench *b = *state;
	uint64_t rsp;

	bench_long(b, ss_int_guest, ss_int_guest_end, 0);
	bench_put(b, 0x50000, 0x10);
	bench_gate(b, 0x30, HANDLERS + 0x30, 0x8e, 0);
	set_breakpoint(b, 0, 0x50000, 3, 1);
	assert_int_equal(bench_vector(b), 1);
	assert_int_equal(dr6(b), 1);
	rsp = bench_regs(b).rsp;
	assert_int_equal(bench_get(b, (uint32_t)rsp), HANDLERS + 0x30);
	assert_int_equal(
	        bench_get(b, (uint32_t)rsp + 48), CODE + (uint64_t)(ss_int_guest_end - ss_int_guest) - 1);
}

static void test_debug_trap_of_a_load_of_ss_comes_beside_that_of_int_1(void **state)
{
	struct bench *b = *state;

	bench_long(b, ss_int1_guest, ss_int1_guest_end, 0);
	bench_put(b, 0x50000, 0x10);
	set_breakpoint(b, 0, 0x50000, 3, 1);
	assert_int_equal(bench_vector(b), 1);
	assert_int_equal(bench_get(b, (uint32_t)bench_regs(b).rsp), HANDLERS + 1); /* of the second */
}

GUEST(port_guest, 64, "out %al, $0x80; hlt");

static void test_debug_port_breakpoint_wants_cr4_de(void **state)
{
	for (unsigned de = 0; de < 2; de++) {
		struct bench *b = *state;
		struct kvm_sregs s;

		cpu_init(b->cpu);
		bench_long(b, port_guest, port_guest_end, 0);
		cpu_get_sregs(b->cpu, &s);
		s.cr4 |= de ? 8 : 0;
		assert_int_equal(cpu_set_sregs(b->cpu, &s), 0);
		set_breakpoint(b, 3, 0x80, 2, 0);
		assert_int_equal(bench_run(b), CPU_EXIT_IO);
		assert_int_equal(bench_vector(b), de ? 1 : -1);
		assert_int_equal(dr6(b), de ? 8 : 0);
	}
}

GUEST(dr_guest, 64, "mov %rax, %dr0; hlt");

static void test_debug_general_detection_stops_the_access_and_clears_itself(void **state)
{
	struct bench *b = *state;
	const struct kvm_debugregs regs = {.dr6 = 0xffff0ff0, .dr7 = 0x2400};

	bench_long(b, dr_guest, dr_guest_end, 0);
	assert_int_equal(cpu_set_debugregs(b->cpu, &regs), 0);
	assert_int_equal(run_to_db(b), 0);
	assert_int_equal(dr6(b), BD);
	assert_int_equal(b->cpu->dr[7], 0x400);
}

/* The debugger's general detection takes the place of the guest's, which has no effect meanwhile. */
static void test_debug_debugger_detects_accesses_of_debug_registers(void **state)
{
	struct bench *b = *state;
	const struct kvm_debugregs regs = {.dr6 = 0xffff0ff0, .dr7 = 0x2400};

	bench_long(b, dr_guest, dr_guest_end, 0);
	cpu_set_debugger(b->cpu, &(struct cpu_debugger){.ask = CPU_DEBUG_BREAK, .dr7 = 0x2400});
	assert_int_equal(bench_run(b), CPU_EXIT_DEBUG);
	assert_int_equal(b->cpu->exit_info.debug.linear, CODE);
	assert_int_equal(b->cpu->exit_info.debug.dr6, 0xffff0ff0 | BD);
	assert_int_equal(cpu_set_debugregs(b->cpu, &regs), 0);
	cpu_set_debugger(b->cpu, &(struct cpu_debugger){.ask = CPU_DEBUG_BREAK, .dr7 = 0x400});
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
}

static void test_debug_registers_of_a_user_are_privileged(void **state)
{
	struct bench *b = *state;

	bench_long(b, dr_guest, dr_guest_end, 3);
	assert_int_equal(bench_vector(b), 13);
}

/* ---- the debugger outside ---- */

GUEST(step_guest, 64, "sti; mov $5, %eax; int3; hlt");

static void test_debug_debugger_steps_without_the_guest_noticing(void **state)
{
	static const uint64_t stops[] = {1, 6};
	struct bench *b = *state;

	bench_long(b, step_guest, step_guest_end, 0);
	cpu_set_debugger(b->cpu, &(struct cpu_debugger){.ask = CPU_DEBUG_STEP});
	for (size_t i = 0; i < ARRAY_LEN(stops); i++) {
		assert_int_equal(bench_run(b), CPU_EXIT_DEBUG);
		assert_int_equal(b->cpu->exit_info.debug.vector, 1);
		assert_int_equal(b->cpu->exit_info.debug.linear, CODE + stops[i]);
		assert_int_equal(b->cpu->exit_info.debug.dr6, 0xffff0ff0 | BS);
	}
	assert_int_equal(bench_regs(b).rflags & 0x100, 0);
	assert_int_equal(dr6(b), 0);
}

static void test_debug_debugger_takes_int3_at_the_instruction(void **state)
{
	struct bench *b = *state;

	bench_long(b, step_guest, step_guest_end, 0);
	cpu_set_debugger(b->cpu, &(struct cpu_debugger){.ask = CPU_DEBUG_INT3});
	assert_int_equal(bench_run(b), CPU_EXIT_DEBUG);
	assert_int_equal(b->cpu->exit_info.debug.vector, 3);
	assert_int_equal(bench_regs(b).rip, CODE + 6);
	cpu_set_debugger(b->cpu, &(struct cpu_debugger){0});
	assert_int_equal(bench_vector(b), 3);
}

static void test_debug_debuggers_breakpoints_hide_the_guests(void **state)
{
	struct bench *b = *state;

	bench_long(b, nops_guest, nops_guest_end, 0);
	set_breakpoint(b, 0, CODE + 1, 0, 0);
	cpu_set_debugger(
	        b->cpu, &(struct cpu_debugger){.ask = CPU_DEBUG_BREAK, .dr = {0, CODE + 2}, .dr7 = 0x404});
	/* The guest stays there until the debugger takes the breakpoint away. */
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(bench_run(b), CPU_EXIT_DEBUG);
		assert_int_equal(b->cpu->exit_info.debug.linear, CODE + 2);
		assert_int_equal(b->cpu->exit_info.debug.dr6 & 15, 2);
		assert_int_equal(bench_regs(b).rflags & 0x10000, 0);
	}
	cpu_set_debugger(b->cpu, &(struct cpu_debugger){.ask = CPU_DEBUG_BREAK});
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_debug_code_breakpoint_is_a_fault_with_rf),
	        TEST(test_debug_rf_passes_one_instruction),
	        TEST(test_debug_data_breakpoints_are_traps),
	        TEST(test_debug_breakpoint_beside_the_access_is_not_met),
	        TEST(test_debug_repeated_store_stops_behind_the_iteration),
	        TEST(test_debug_trap_waits_behind_a_load_of_ss),
	        TEST(test_debug_trap_of_a_load_of_ss_comes_behind_int),
	        TEST(test_debug_trap_of_a_load_of_ss_comes_beside_that_of_int_1),
	        TEST(test_debug_port_breakpoint_wants_cr4_de),
	        TEST(test_debug_general_detection_stops_the_access_and_clears_itself),
	        TEST(test_debug_debugger_detects_accesses_of_debug_registers),
	        TEST(test_debug_registers_of_a_user_are_privileged),
	        TEST(test_debug_debugger_steps_without_the_guest_noticing),
	        TEST(test_debug_debugger_takes_int3_at_the_instruction),
	        TEST(test_debug_debuggers_breakpoints_hide_the_guests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
