/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software processor's refusals and exits that no real KVM in the lab can judge, because its emulation
 * differs.
 */
#include "cpu_bench.h"

GUEST(ltr_guest, 64, "mov $0x30, %eax; ltr %ax; hlt");
GUEST(lldt_guest, 64, "mov $0x30, %eax; lldt %ax; hlt");

/*
 * Makes a system descriptor of the type, whose base is 2^47, or the end of the addresses that the processor
 * can reach.
 */
static void put_system_descriptor(struct bench *b, uint64_t type, uint32_t base_high)
{
	bench_put(b, GDT + 0x30, 0x0000800060000067 | (uint64_t)TSS << 16 | type << 40);
	bench_put(b, GDT + 0x38, base_high);
}

static void refuses_base(struct bench *b, const uint8_t *code, const uint8_t *end, uint64_t type)
{
	bench_long(b, code, end, 0);
	put_system_descriptor(b, type, 0x8000);
	assert_int_equal(bench_vector(b), 13);
	assert_int_equal(bench_get(b, (uint32_t)bench_regs(b).rsp), 0x30);
	bench_long(b, code, end, 0);
	put_system_descriptor(b, type, 0xffff8000);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_int_equal(bench_regs(b).rip, CODE + (uint64_t)(end - code));
}

static void test_traps_ltr_refuses_a_base_that_is_not_canonical(void **state)
{
	refuses_base(*state, ltr_guest, ltr_guest_end, 9);
}

static void test_traps_lldt_refuses_a_base_that_is_not_canonical(void **state)
{
	refuses_base(*state, lldt_guest, lldt_guest_end, 2);
}

GUEST(ud_guest, 64, "ud2; hlt");
GUEST(int_guest, 64, "nop; int $0x30; hlt");

static void move_idt(struct bench *b, uint64_t base)
{
	struct kvm_sregs s;

	cpu_get_sregs(b->cpu, &s);
	s.idt.base = base;
	assert_int_equal(cpu_set_sregs(b->cpu, &s), 0);
}

/* The exception waits as long as its table is a device, and is delivered once it is memory. */
static void test_traps_exception_waits_while_its_table_is_a_device(void **state)
{
	struct bench *b = *state;

	bench_long(b, ud_guest, ud_guest_end, 0);
	move_idt(b, DEVICE);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(bench_run(b), CPU_EXIT_DELIVERY);
		assert_int_equal(b->cpu->exit_info.delivery.gpa, DEVICE + 6 * 16);
		assert_false(b->cpu->exit_info.delivery.write);
		assert_int_equal(bench_regs(b).rip, CODE);
	}
	move_idt(b, IDT);
	assert_int_equal(bench_vector(b), 6);
}

static void test_traps_int_runs_again_when_its_table_is_a_device(void **state)
{
	struct bench *b = *state;

	bench_long(b, int_guest, int_guest_end, 0);
	bench_gate(b, 0x30, HANDLERS + 0x30, 0x8e, 0);
	move_idt(b, DEVICE);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(bench_run(b), CPU_EXIT_DELIVERY);
		assert_int_equal(bench_regs(b).rip, CODE + 1);
		assert_int_equal(b->cpu->event.kind, CPU_EVENT_NONE);
	}
	move_idt(b, IDT);
	assert_int_equal(bench_vector(b), 0x30);
	assert_int_equal(bench_get(b, (uint32_t)bench_regs(b).rsp), CODE + 3);
}

GUEST(vmcall_guest, 64, "nop; vmcall; hlt");

static bool yes(void *ctx)
{
	return true;
}

static void test_traps_vmcall_is_invalid_where_nobody_fixes_it(void **state)
{
	struct bench *b = *state;

	bench_long(b, vmcall_guest, vmcall_guest_end, 0);
	assert_int_equal(bench_vector(b), 6);
	assert_memory_equal(b->ram + CODE, vmcall_guest, 5);
}

static void test_traps_vmcall_becomes_vmmcall_in_memory(void **state)
{
	struct bench *b = *state;

	b->bus.fixes_vmcall = yes;
	bench_long(b, vmcall_guest, vmcall_guest_end, 0);
	assert_int_equal(bench_run(b), CPU_EXIT_STOPPED);
	assert_int_equal(bench_regs(b).rip, CODE + 1);
	assert_memory_equal(b->ram + CODE + 1, "\x0f\x01\xd9", 3);
	assert_int_equal(bench_run(b), CPU_EXIT_HYPERCALL);
	assert_int_equal(bench_regs(b).rip, CODE + 4);
}

/* The write is the guest's own: its page tables refuse it. */
static void test_traps_vmcall_in_a_read_only_page_is_a_page_fault(void **state)
{
	struct bench *b = *state;

	b->bus.fixes_vmcall = yes;
	bench_long(b, vmcall_guest, vmcall_guest_end, 0);
	bench_put(b, PML4 + 0x3000 + (CODE >> 12) * 8, CODE | 5);
	assert_int_equal(bench_vector(b), 14);
	assert_int_equal(b->cpu->cr2, CODE + 1);
	assert_int_equal(bench_get(b, (uint32_t)bench_regs(b).rsp), 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_traps_ltr_refuses_a_base_that_is_not_canonical),
	        TEST(test_traps_lldt_refuses_a_base_that_is_not_canonical),
	        TEST(test_traps_exception_waits_while_its_table_is_a_device),
	        TEST(test_traps_int_runs_again_when_its_table_is_a_device),
	        TEST(test_traps_vmcall_is_invalid_where_nobody_fixes_it),
	        TEST(test_traps_vmcall_becomes_vmmcall_in_memory),
	        TEST(test_traps_vmcall_in_a_read_only_page_is_a_page_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
