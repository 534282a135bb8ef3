/* SPDX-License-Identifier: Apache-2.0 */
/* The software processor's exits, interrupts and memory, by tiny guests. Instructions are judged in
 * tests/diff. */
#include <pthread.h>

#include "cpu_bench.h"

/* ---- exits ---- */

GUEST(port_guest, 16, "mov $0x3f8, %dx; in %dx, %al; inc %al; out %al, $0x80; hlt");

static void test_cpu_port_read_takes_data_and_goes_on(void **state)
{
	struct bench *b = *state;

	bench_real(b, port_guest, port_guest_end);
	assert_int_equal(bench_run(b), CPU_EXIT_IO);
	assert_false(b->cpu->exit_info.io.write);
	assert_int_equal(b->cpu->exit_info.io.port, 0x3f8);
	assert_int_equal(b->cpu->exit_info.io.size, 1);
	b->cpu->exit_info.io.data[0] = 0x41;
	assert_int_equal(bench_run(b), CPU_EXIT_IO);
	assert_true(b->cpu->exit_info.io.write);
	assert_int_equal(b->cpu->exit_info.io.port, 0x80);
	assert_int_equal(b->cpu->exit_info.io.data[0], 0x42);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_int_equal(bench_regs(b).rip, CODE + (uint64_t)(port_guest_end - port_guest));
}

GUEST(string_port_guest, 64,
        "mov $0x511, %edx; mov $0x7000, %edi; mov $5000, %ecx; rep insb;"
        "mov $0x3f8, %edx; mov $0x7000, %esi; mov $3, %ecx; rep outsb; hlt");

static void test_cpu_rep_ins_comes_in_batches_within_a_page(void **state)
{
	struct bench *b = *state;
	uint32_t got = 0;
	enum cpu_exit exit;

	bench_long(b, string_port_guest, string_port_guest_end, 0);
	while ((exit = bench_run(b)) == CPU_EXIT_IO && !b->cpu->exit_info.io.write) {
		assert_in_range(b->cpu->exit_info.io.count, 1, 1024);
		for (uint32_t i = 0; i < b->cpu->exit_info.io.count; i++)
			b->cpu->exit_info.io.data[i] = (uint8_t)((got + i) * 7);
		got += b->cpu->exit_info.io.count;
	}
	assert_int_equal(got, 5000);
	for (uint32_t i = 0; i < 5000; i++)
		assert_int_equal(b->ram[0x7000 + i], (uint8_t)(i * 7));
	/* OUTS leaves once an element. */
	for (unsigned i = 0; i < 3; i++, exit = bench_run(b)) {
		assert_int_equal(exit, CPU_EXIT_IO);
		assert_int_equal(b->cpu->exit_info.io.count, 1);
		assert_int_equal(b->cpu->exit_info.io.data[0], i * 7);
	}
	assert_int_equal(exit, CPU_EXIT_HLT);
	assert_int_equal(bench_regs(b).rsi, 0x7003);
}

GUEST(mmio_guest, 64, "mov $0xd0000ffc, %ebx; add %rax, (%rbx); hlt");

static void test_cpu_mmio_add_across_pages_comes_in_parts(void **state)
{
	struct bench *b = *state;
	struct kvm_regs regs;

	bench_long(b, mmio_guest, mmio_guest_end, 0);
	regs = bench_regs(b);
	regs.rax = 0x0000000100000002;
	cpu_set_regs(b->cpu, &regs);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(bench_run(b), CPU_EXIT_MMIO);
		assert_int_equal(b->cpu->exit_info.mmio.write, i >= 2);
		assert_int_equal(b->cpu->exit_info.mmio.gpa, DEVICE + (i % 2 ? 0x1000 : 0xffc));
		assert_int_equal(b->cpu->exit_info.mmio.size, 4);
		if (i < 2)
			store_le(b->cpu->exit_info.mmio.data, 4, i ? 0x10 : 0xffffffff);
		else
			assert_int_equal(load_le(b->cpu->exit_info.mmio.data, 4), i == 2 ? 1 : 0x12);
	}
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
}

GUEST(rom_guest, 64, "mov $0x100010, %ebx; mov (%rbx), %eax; mov %ecx, (%rbx); hlt");

static void test_cpu_write_to_read_only_memory_is_mmio(void **state)
{
	struct bench *b = *state;

	store_le(b->rom + 0x10, 4, 0x12345678);
	bench_long(b, rom_guest, rom_guest_end, 0);
	assert_int_equal(bench_run(b), CPU_EXIT_MMIO);
	assert_true(b->cpu->exit_info.mmio.write);
	assert_int_equal(b->cpu->exit_info.mmio.gpa, 0x100010);
	assert_int_equal(bench_regs(b).rax, 0x12345678);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_int_equal(load_le(b->rom + 0x10, 4), 0x12345678);
}

GUEST(nowhere_guest, 64, "mov $0xd0000000, %eax; jmp *%rax");

static void test_cpu_code_outside_memory_fails_with_the_address(void **state)
{
	struct bench *b = *state;

	bench_long(b, nowhere_guest, nowhere_guest_end, 0);
	assert_int_equal(bench_run(b), CPU_EXIT_FAILED);
	assert_int_equal(b->cpu->exit_info.failed.gpa, DEVICE);
}

/* ---- interrupts ---- */

GUEST(shadow_guest, 64, "sti; nop; nop; hlt");

static void test_cpu_sti_holds_interrupts_for_one_instruction(void **state)
{
	struct bench *b = *state;

	bench_long(b, shadow_guest, shadow_guest_end, 0);
	bench_gate(b, 0x30, HANDLERS + 0x30, 0x8e, 1);
	b->vector = 0x30;
	cpu_post(b->cpu, CPU_PENDING_INTR);
	assert_int_equal(bench_vector(b), 0x30);
	/* The frame on the interrupt stack: behind the first NOP. */
	assert_int_equal(bench_get(b, IST - 40), CODE + 2);
	assert_int_equal(bench_get(b, IST - 24) & 0x200, 0x200);
	assert_int_equal(bench_regs(b).rflags & 0x200, 0);
}

GUEST(halt_guest, 64, "sti; hlt; nop; nop");

static void test_cpu_interrupt_wakes_behind_hlt(void **state)
{
	struct bench *b = *state;

	bench_long(b, halt_guest, halt_guest_end, 0);
	bench_gate(b, 0x31, HANDLERS + 0x31, 0x8e, 1);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_true(cpu_interruptible(b->cpu));
	b->vector = 0x31;
	cpu_post(b->cpu, CPU_PENDING_INTR);
	assert_int_equal(bench_vector(b), 0x31);
	assert_int_equal(bench_get(b, IST - 40), CODE + 2);
}

GUEST(nmi_guest, 64, "1: jmp 1b");

static void test_cpu_nmi_is_taken_without_if_and_once_until_iret(void **state)
{
	struct bench *b = *state;

	bench_long(b, nmi_guest, nmi_guest_end, 0);
	cpu_post_nmi(b->cpu);
	assert_int_equal(bench_vector(b), 2);
	cpu_post_nmi(b->cpu);
	/* After HLT comes another HLT, of vector 3: no second NMI comes in between. */
	assert_int_equal(bench_vector(b), 3);
	assert_int_equal(cpu_nmis(b->cpu), 1);
}

GUEST(spin_guest, 64, "1: jmp 1b");

static void *post_stop(void *cpu)
{
	usleep(20000);
	cpu_post(cpu, CPU_PENDING_STOP);
	return NULL;
}

static void test_cpu_loop_without_interrupts_is_stopped_by_another_thread(void **state)
{
	struct bench *b = *state;
	pthread_t thread;

	bench_long(b, spin_guest, spin_guest_end, 0);
	assert_int_equal(pthread_create(&thread, NULL, post_stop, b->cpu), 0);
	assert_int_equal(cpu_run(b->cpu, UINT64_MAX), CPU_EXIT_STOPPED);
	pthread_join(thread, NULL);
}

GUEST(faulting_guest, 64, "inc %ecx; ud2");

/* The handler is the instruction itself, so after INC no instruction is ever completed. */
static void test_cpu_that_only_faults_leaves_often(void **state)
{
	struct bench *b = *state;
	uint64_t rounds = 0, before;

	bench_long(b, faulting_guest, faulting_guest_end, 0);
	bench_gate(b, 6, CODE, 0x8e, 1);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(cpu_run(b->cpu, UINT64_MAX), CPU_EXIT_DEADLINE);
		assert_in_range(bench_regs(b).rcx - rounds, 50, 1000);
		rounds = bench_regs(b).rcx;
	}
	bench_gate(b, 6, CODE + 2, 0x8e, 1);
	assert_int_equal(cpu_run(b->cpu, UINT64_MAX), CPU_EXIT_DEADLINE);
	before = cpu_icount(b->cpu);
	assert_int_equal(cpu_run(b->cpu, UINT64_MAX), CPU_EXIT_DEADLINE);
	assert_int_equal(cpu_icount(b->cpu), before);
}

static void test_cpu_deadline_is_met_within_a_block(void **state)
{
	struct bench *b = *state;

	bench_long(b, spin_guest, spin_guest_end, 0);
	assert_int_equal(cpu_run(b->cpu, 5000), CPU_EXIT_DEADLINE);
	assert_in_range(cpu_icount(b->cpu), 5000, 5032);
}

/* ---- exceptions ---- */

GUEST(triple_guest, 64, "lidt 1f(%rip); ud2; 1: .word 0; .quad 0");

static void test_cpu_without_an_idt_shuts_down(void **state)
{
	struct bench *b = *state;

	bench_long(b, triple_guest, triple_guest_end, 0);
	assert_int_equal(bench_run(b), CPU_EXIT_SHUTDOWN);
}

GUEST(double_guest, 64, "mov $0x7fffff0000000000, %rax; mov (%rax), %eax");

static void test_cpu_fault_in_delivery_is_a_double_fault(void **state)
{
	struct bench *b = *state;

	bench_long(b, double_guest, double_guest_end, 0);
	bench_gate(b, 13, HANDLERS + 13, 0x0e, 0); /* not present: #NP while #GP is delivered */
	assert_int_equal(bench_vector(b), 8);
	assert_int_equal(bench_get(b, (uint32_t)bench_regs(b).rsp), 0);
}

GUEST(step_guest, 64, "pushfq; orl $0x100, (%rsp); popfq; nop; nop");

static void test_cpu_trap_flag_stops_behind_the_next_instruction(void **state)
{
	struct bench *b = *state;

	bench_long(b, step_guest, step_guest_end, 0);
	assert_int_equal(bench_vector(b), 1);
	assert_int_equal(bench_get(b, (uint32_t)bench_regs(b).rsp),
	        CODE + (uint64_t)(step_guest_end - step_guest) - 1);
	assert_int_equal(b->cpu->dr[6] & 0x4000, 0x4000);
}

/* Page faults: the entry of page 0x50000 is set to `entry`; the guest accesses it. */
GUEST(read_guest, 64, "mov 0x50123, %eax; hlt");
GUEST(write_guest, 64, "mov %eax, 0x50123; hlt");
GUEST(jump_guest, 64, "mov $0x50123, %eax; jmp *%rax");

static void test_cpu_page_faults_tell_why(void **state)
{
	static const struct {
		const uint8_t *code, *end;
		unsigned cpl;
		uint64_t entry;
		uint32_t error;
	} cases[] = {
	        {read_guest, read_guest_end, 0, 0, 0}, {write_guest, write_guest_end, 0, 0, 2},
	        {jump_guest, jump_guest_end, 0, 0, 0x10}, {read_guest, read_guest_end, 3, 0x50003, 5},
	        {write_guest, write_guest_end, 3, 0x50005, 7},
	        {write_guest, write_guest_end, 0, 0x50001, 3}, /* CR0.WP */
	        {jump_guest, jump_guest_end, 3, 0x8000000000050007, 0x15},
	        {read_guest, read_guest_end, 0, 0x50003 | (uint64_t)1 << 51, 9},
	        /* beyond the address bits */
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench *b = *state;
		struct kvm_sregs sregs;

		bench_long(b, cases[i].code, cases[i].end, cases[i].cpl);
		bench_put(b, PML4 + 0x3000 + 0x50 * 8, cases[i].entry);
		assert_int_equal(bench_vector(b), 14);
		cpu_get_sregs(b->cpu, &sregs);
		assert_int_equal(sregs.cr2, 0x50123);
		assert_int_equal((uint32_t)bench_get(b, (uint32_t)bench_regs(b).rsp), cases[i].error);
	}
}

static void test_cpu_accessed_and_dirty_bits_are_set(void **state)
{
	struct bench *b = *state;
	uint32_t entry = PML4 + 0x3000 + 0x50 * 8;

	bench_long(b, read_guest, read_guest_end, 0);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_int_equal(bench_get(b, entry), 0x50027);
	assert_int_equal(bench_get(b, PML4) & 0x20, 0x20);
	bench_long(b, write_guest, write_guest_end, 0);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_int_equal(bench_get(b, entry), 0x50067);
}

/* ---- privilege ---- */

GUEST(user_guest, 64,
        "mov $0x1100, %ecx; pushq $0x23; pushq $0x1e000; pushq $0x202; pushq $0x2b; push %rcx; iretq;"
        ".org user_guest + 0x100; mov %cs, %eax; syscall; nop");

static void test_cpu_iret_to_user_and_syscall_back(void **state)
{
	struct bench *b = *state;

	bench_long(b, user_guest, user_guest_end, 0);
	assert_true(cpu_msr_write(b->cpu, 0xc0000081, (uint64_t)0x08 << 32, true));
	assert_true(cpu_msr_write(b->cpu, 0xc0000082, HANDLERS + 0x40, true));
	assert_true(cpu_msr_write(b->cpu, 0xc0000084, 0x200, true));
	assert_int_equal(bench_vector(b), 0x40);
	assert_int_equal(bench_regs(b).rax, 0x2b);
	assert_int_equal(bench_regs(b).rcx, CODE + 0x104);
	assert_int_equal(bench_regs(b).r11 & 0x200, 0x200);
	assert_int_equal(bench_regs(b).rflags & 0x200, 0);
	assert_int_equal(b->cpu->cpl, 0);
}

GUEST(int_guest, 64, "int $0x50");

static void test_cpu_int_from_user_takes_the_stack_of_the_task_state(void **state)
{
	struct bench *b = *state;

	bench_long(b, int_guest, int_guest_end, 3);
	bench_gate(b, 0x50, HANDLERS + 0x50, 0xee, 0);
	assert_int_equal(bench_vector(b), 0x50);
	assert_int_equal(bench_regs(b).rsp, STACK - 40);
	assert_int_equal(bench_get(b, STACK - 40), CODE + 2);
	assert_int_equal(bench_get(b, STACK - 32), 0x2b);
	assert_int_equal(bench_get(b, STACK - 16), STACK - 0x2000);
	assert_int_equal(bench_get(b, STACK - 8), 0x23);
	/* A gate that user mode may not call. */
	bench_long(b, int_guest, int_guest_end, 3);
	bench_gate(b, 0x50, HANDLERS + 0x50, 0x8e, 0);
	assert_int_equal(bench_vector(b), 13);
	assert_int_equal((uint32_t)bench_get(b, (uint32_t)bench_regs(b).rsp), 0x50 * 8 + 2);
	assert_int_equal(bench_get(b, (uint32_t)bench_regs(b).rsp + 8), CODE);
}

/* Real mode keeps the limit that protected mode gave a segment. */
GUEST(unreal_guest, 16,
        "lgdtl %cs:0x1080; mov %cr0, %eax; or $1, %al; mov %eax, %cr0; mov $8, %bx; mov %bx, %ds;"
        "and $0xfe, %al; mov %eax, %cr0; xor %bx, %bx; mov %bx, %ds; mov $0x80000, %esi;"
        "addr32 movl $0x600df00d, (%esi); hlt; .org unreal_guest + 0x80; .word 15; .long 0x1090;"
        ".org unreal_guest + 0x90; .quad 0, 0x00cf93000000ffff");

static void test_cpu_unreal_mode_reaches_beyond_64_kib(void **state)
{
	struct bench *b = *state;

	bench_real(b, unreal_guest, unreal_guest_end);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_int_equal((uint32_t)bench_get(b, 0x80000), 0x600df00d);
}

/* ---- code that changes ---- */

GUEST(modify_guest, 64,
        "mov $5, %ecx; 1: movb $0x41, 2f+1(%rip); 2: mov $0x40, %al; add %eax, %ebx; loop 1b; hlt");

static void test_cpu_own_writes_to_code_are_seen_at_once(void **state)
{
	struct bench *b = *state;

	bench_long(b, modify_guest, modify_guest_end, 0);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_int_equal(bench_regs(b).rbx, 5 * 0x41);
}

GUEST(again_guest, 64, "1: mov $1, %eax; hlt; jmp 1b");

static void test_cpu_code_written_from_outside_is_seen_after_an_exit(void **state)
{
	struct bench *b = *state;

	bench_long(b, again_guest, again_guest_end, 0);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_int_equal(bench_regs(b).rax, 1);
	b->ram[CODE + 1] = 77;
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_int_equal(bench_regs(b).rax, 77);
}

/* ---- several processors ---- */

GUEST(count_guest, 64, "mov $100000, %ecx; 1: lock incl 0x60000; lock xaddl %eax, 0x60007; loop 1b; hlt");

static void *run_counter(void *cpu)
{
	assert_int_equal(cpu_run(cpu, UINT64_MAX), CPU_EXIT_HLT);
	return NULL;
}

static void test_cpu_locked_operations_of_two_processors_are_atomic(void **state)
{
	struct bench *b = *state;
	struct cpu *first = b->cpu;
	pthread_t thread;

	bench_long(b, count_guest, count_guest_end, 0);
	b->cpu = bench_cpu(b);
	bench_long(b, count_guest, count_guest_end, 0);
	assert_int_equal(pthread_create(&thread, NULL, run_counter, first), 0);
	run_counter(b->cpu);
	pthread_join(thread, NULL);
	cpu_destroy(b->cpu);
	b->cpu = first;
	assert_int_equal((uint32_t)bench_get(b, 0x60000), 200000);
}

/* ---- what is not implemented ---- */

GUEST(unknown_guest, 64, ".byte 0x62, 0xf1, 0x7c, 0x48, 0x10, 0xc0");

static void test_cpu_unknown_opcode_is_counted_and_named(void **state)
{
	struct bench *b = *state;
	char text[32];

	bench_long(b, unknown_guest, unknown_guest_end, 0);
	assert_int_equal(bench_vector(b), 6);
	assert_int_equal(b->cpu->unknown_count, 1);
	assert_non_null(strstr(cpu_unknown_name(b->cpu->unknown[0].key, text), "62"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_cpu_port_read_takes_data_and_goes_on),
	        TEST(test_cpu_rep_ins_comes_in_batches_within_a_page),
	        TEST(test_cpu_mmio_add_across_pages_comes_in_parts),
	        TEST(test_cpu_write_to_read_only_memory_is_mmio),
	        TEST(test_cpu_code_outside_memory_fails_with_the_address),
	        TEST(test_cpu_sti_holds_interrupts_for_one_instruction),
	        TEST(test_cpu_interrupt_wakes_behind_hlt),
	        TEST(test_cpu_nmi_is_taken_without_if_and_once_until_iret),
	        TEST(test_cpu_loop_without_interrupts_is_stopped_by_another_thread),
	        TEST(test_cpu_that_only_faults_leaves_often),
	        TEST(test_cpu_deadline_is_met_within_a_block),
	        TEST(test_cpu_without_an_idt_shuts_down),
	        TEST(test_cpu_fault_in_delivery_is_a_double_fault),
	        TEST(test_cpu_trap_flag_stops_behind_the_next_instruction),
	        TEST(test_cpu_page_faults_tell_why),
	        TEST(test_cpu_accessed_and_dirty_bits_are_set),
	        TEST(test_cpu_iret_to_user_and_syscall_back),
	        TEST(test_cpu_int_from_user_takes_the_stack_of_the_task_state),
	        TEST(test_cpu_unreal_mode_reaches_beyond_64_kib),
	        TEST(test_cpu_own_writes_to_code_are_seen_at_once),
	        TEST(test_cpu_code_written_from_outside_is_seen_after_an_exit),
	        TEST(test_cpu_locked_operations_of_two_processors_are_atomic),
	        TEST(test_cpu_unknown_opcode_is_counted_and_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
