/* SPDX-License-Identifier: Apache-2.0 */
/*
 * #VC and VMGEXIT of the software processor, as a SEV-ES guest meets them.
 */
#include "cpu_bench.h"

GUEST(f3_guest, 64, "rep; vmmcall; hlt");
GUEST(f2_guest, 64, "repne; vmmcall; hlt");
GUEST(vmmcall_guest, 64, "nop; vmmcall; hlt");

static void vmgexits(struct bench *b, const uint8_t *code, const uint8_t *end, unsigned cpl)
{
	bench_long(b, code, end, cpl);
	assert_int_equal(bench_run(b), CPU_EXIT_VMGEXIT);
	assert_int_equal(bench_regs(b).rip, CODE + 4);
}

static void test_vc_vmgexit_leaves_at_every_privilege(void **state)
{
	struct bench *b = *state;

	cpu_set_vc(b->cpu, CPU_VC_ON);
	for (unsigned cpl = 0; cpl <= 3; cpl += 3) {
		vmgexits(b, f3_guest, f3_guest_end, cpl);
		vmgexits(b, f2_guest, f2_guest_end, cpl);
	}
	cpu_init(b->cpu);
	vmgexits(b, f3_guest, f3_guest_end, 0);
}

static void test_vc_vmgexit_is_vmmcall_without_vc(void **state)
{
	struct bench *b = *state;

	bench_long(b, f3_guest, f3_guest_end, 0);
	assert_int_equal(bench_run(b), CPU_EXIT_HYPERCALL);
	assert_int_equal(bench_regs(b).rip, CODE + 4);
	bench_long(b, f2_guest, f2_guest_end, 0);
	assert_int_equal(bench_run(b), CPU_EXIT_HYPERCALL);
}

/* ---- which instructions raise it, and what comes first ---- */

#define VC 29

/* Each instruction is at CODE + 1. */
GUEST(cpuid_guest, 64, "nop; cpuid; hlt");
GUEST(rdmsr_guest, 64, "nop; rdmsr; hlt");
GUEST(wrmsr_guest, 64, "nop; wrmsr; hlt");
GUEST(in_guest, 64, "nop; in (%dx), %al; hlt");
GUEST(in_imm_guest, 64, "nop; in $0x80, %eax; hlt");
GUEST(out_guest, 64, "nop; out %eax, (%dx); hlt");
GUEST(insb_guest, 64, "nop; insb; hlt");
GUEST(rep_insl_guest, 64, "nop; rep insl; hlt");
GUEST(outsw_guest, 64, "nop; outsw; hlt");
GUEST(rep_outsb_guest, 64, "nop; rep outsb; hlt");
GUEST(wbinvd_guest, 64, "nop; wbinvd; hlt");
GUEST(wbnoinvd_guest, 64, "nop; .byte 0xf3, 0x0f, 0x09; hlt");
GUEST(invd_guest, 64, "nop; invd; hlt");
GUEST(monitor_guest, 64, "nop; monitor; hlt");
GUEST(mwait_guest, 64, "nop; mwait; hlt");
GUEST(rdpmc_guest, 64, "nop; rdpmc; hlt");
GUEST(from_dr7_guest, 64, "nop; mov %dr7, %rbx; hlt");
GUEST(to_dr7_guest, 64, "nop; mov %rbx, %dr7; hlt");
GUEST(icebp_guest, 64, "nop; .byte 0xf1; hlt");

GUEST(vmrun_guest, 64, "nop; vmrun; hlt");
GUEST(vmrun32_guest, 64, "nop; .byte 0x67; vmrun; hlt");
GUEST(vmload_guest, 64, "nop; vmload; hlt");
GUEST(vmsave_guest, 64, "nop; vmsave; hlt");
GUEST(stgi_guest, 64, "nop; stgi; hlt");
GUEST(clgi_guest, 64, "nop; clgi; hlt");
GUEST(skinit_guest, 64, "nop; skinit; hlt");
GUEST(invlpga_guest, 64, "nop; invlpga; hlt");

/* What comes of an instruction: an exception with its error code. */
struct outcome {
	int vector;
	unsigned error;
};

#define GP \
	{ \
		13, 0 \
	}
#define UD \
	{ \
		6, 0 \
	}
#define INTERCEPTED(code) \
	{ \
		VC, code \
	}
#define INSTRUCTION(name) name##_guest, name##_guest_end

static const struct {
	const uint8_t *code, *end;
	struct outcome kernel, user;
} rows[] = {
        {INSTRUCTION(cpuid), INTERCEPTED(0x72), INTERCEPTED(0x72)},
        {INSTRUCTION(rdmsr), INTERCEPTED(0x7c), GP},
        {INSTRUCTION(wrmsr), INTERCEPTED(0x7c), GP},
        {INSTRUCTION(in), INTERCEPTED(0x7b), GP},
        {INSTRUCTION(in_imm), INTERCEPTED(0x7b), GP},
        {INSTRUCTION(out), INTERCEPTED(0x7b), GP},
        {INSTRUCTION(insb), INTERCEPTED(0x7b), GP},
        {INSTRUCTION(rep_insl), INTERCEPTED(0x7b), GP},
        {INSTRUCTION(outsw), INTERCEPTED(0x7b), GP},
        {INSTRUCTION(rep_outsb), INTERCEPTED(0x7b), GP},
        {INSTRUCTION(wbinvd), INTERCEPTED(0x89), GP},
        {INSTRUCTION(wbnoinvd), INTERCEPTED(0x89), GP},
        {INSTRUCTION(invd), INTERCEPTED(0x76), GP},
        {INSTRUCTION(monitor), INTERCEPTED(0x8a), UD},
        {INSTRUCTION(mwait), INTERCEPTED(0x8b), UD},
        {INSTRUCTION(rdpmc), INTERCEPTED(0x6f), GP},
        {INSTRUCTION(from_dr7), INTERCEPTED(0x27), GP},
        {INSTRUCTION(to_dr7), INTERCEPTED(0x37), GP},
        {INSTRUCTION(icebp), INTERCEPTED(0x88), INTERCEPTED(0x88)},
        {INSTRUCTION(vmmcall), INTERCEPTED(0x81), INTERCEPTED(0x81)},
        {INSTRUCTION(vmrun), INTERCEPTED(0x80), GP},
        {INSTRUCTION(vmload), INTERCEPTED(0x82), GP},
        {INSTRUCTION(vmsave), INTERCEPTED(0x83), GP},
        {INSTRUCTION(stgi), INTERCEPTED(0x84), GP},
        {INSTRUCTION(clgi), INTERCEPTED(0x85), GP},
        {INSTRUCTION(skinit), INTERCEPTED(0x86), GP},
        {INSTRUCTION(invlpga), INTERCEPTED(0x7a), GP},
};

static void turn_on(struct bench *b)
{
	cpu_set_vc(b->cpu, CPU_VC_ON | CPU_VC_DR7);
}

/* RDX is a port that is free, RCX no extension of MONITOR and an MSR that the platform answers. */
static void start(struct bench *b, const uint8_t *code, const uint8_t *end, unsigned cpl)
{
	struct kvm_regs regs;

	bench_long(b, code, end, cpl);
	bench_put(b, TSS + 0x66, 0xffff); /* no bitmap of ports */
	regs = bench_regs(b);
	regs.rcx = 0;
	regs.rdx = 0x80;
	regs.rbx = 0x400;
	regs.rsi = regs.rdi = GDT;
	cpu_set_regs(b->cpu, &regs);
}

/* The exception is a fault: its frame has the address of the instruction, and registers are as they were. */
static void expect(struct bench *b, const struct outcome *outcome)
{
	struct kvm_regs before = bench_regs(b), after;
	unsigned frame = outcome->vector == VC || outcome->vector == 13 ? 8 : 0;

	assert_int_equal(bench_vector(b), outcome->vector);
	after = bench_regs(b);
	assert_int_equal(bench_get(b, (uint32_t)after.rsp + frame), CODE + 1);
	if (frame)
		assert_int_equal(bench_get(b, (uint32_t)after.rsp), outcome->error);
	before.rip = after.rip;
	before.rsp = after.rsp;
	before.rflags = after.rflags;
	assert_memory_equal(&before, &after, sizeof(after));
}

static void test_vc_comes_behind_the_checks_of_privilege(void **state)
{
	struct bench *b = *state;

	turn_on(b);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		start(b, rows[i].code, rows[i].end, 0);
		if (rows[i].code == rep_insl_guest || rows[i].code == rep_outsb_guest) {
			struct kvm_regs regs = bench_regs(b);

			regs.rcx = 5;
			cpu_set_regs(b->cpu, &regs);
		}
		expect(b, &rows[i].kernel);
		start(b, rows[i].code, rows[i].end, 3);
		expect(b, &rows[i].user);
	}
}

/* IOPL, and then the bitmap in the TSS, decide before the intercept (APM 2, 15.10.2). */
static void test_vc_ports_that_a_program_may_use(void **state)
{
	const struct outcome intercepted = INTERCEPTED(0x7b), refused = GP;
	struct bench *b = *state;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	turn_on(b);
	start(b, in_guest, in_guest_end, 3);
	regs = bench_regs(b);
	regs.rflags |= 0x3000;
	cpu_set_regs(b->cpu, &regs);
	expect(b, &intercepted);
	for (int bit = 0; bit < 2; bit++) {
		start(b, in_guest, in_guest_end, 3);
		cpu_get_sregs(b->cpu, &sregs);
		sregs.tr.limit = 0x68 + 0x2000;
		assert_int_equal(cpu_set_sregs(b->cpu, &sregs), 0);
		bench_put(b, TSS + 0x66, 0x68);
		memset(b->ram + TSS + 0x68, bit ? 0xff : 0, 0x20);
		expect(b, bit ? &refused : &intercepted);
	}
}

/* The intercept of a string instruction comes before its access to memory, and not without an iteration. */
static void test_vc_string_io_asks_before_it_accesses_memory(void **state)
{
	const struct outcome intercepted = INTERCEPTED(0x7b);
	struct bench *b = *state;
	struct kvm_regs regs;

	turn_on(b);
	start(b, insb_guest, insb_guest_end, 0);
	regs = bench_regs(b);
	regs.rdi = 0x40000000; /* not mapped */
	cpu_set_regs(b->cpu, &regs);
	expect(b, &intercepted);
	start(b, rep_insl_guest, rep_insl_guest_end, 0);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_int_equal(bench_regs(b).rip, CODE + 1 + 2 + 1);
}

static void test_vc_monitor_and_mwait_refuse_extensions(void **state)
{
	const struct outcome refused = GP, mwait = INTERCEPTED(0x8b);
	struct bench *b = *state;
	struct kvm_regs regs;

	turn_on(b);
	for (unsigned rcx = 1; rcx < 3; rcx++) {
		start(b, monitor_guest, monitor_guest_end, 0);
		regs = bench_regs(b);
		regs.rcx = rcx;
		cpu_set_regs(b->cpu, &regs);
		expect(b, &refused);
		start(b, mwait_guest, mwait_guest_end, 0);
		regs = bench_regs(b);
		regs.rcx = rcx;
		cpu_set_regs(b->cpu, &regs);
		expect(b, rcx == 1 ? &mwait : &refused);
	}
}

static void with_rax(struct bench *b, const uint8_t *code, const uint8_t *end, uint64_t rax)
{
	struct kvm_regs regs;

	start(b, code, end, 0);
	regs = bench_regs(b);
	regs.rax = rax;
	cpu_set_regs(b->cpu, &regs);
}

/* The address in RAX is checked before the intercept, with the width of the instruction's addresses. */
static void test_vc_svm_instructions_look_at_the_address(void **state)
{
	static const struct {
		const uint8_t *code, *end;
		unsigned exit;
	} with_vmcb[] = {
	        {vmrun_guest, vmrun_guest_end, 0x80},
	        {vmload_guest, vmload_guest_end, 0x82},
	        {vmsave_guest, vmsave_guest_end, 0x83},
	};
	const struct outcome refused = GP, invlpga = INTERCEPTED(0x7a), short_address = INTERCEPTED(0x80);
	const uint64_t beyond = UINT64_C(1) << 52;
	struct bench *b = *state;

	turn_on(b);
	for (size_t i = 0; i < ARRAY_LEN(with_vmcb); i++) {
		const struct outcome intercepted = INTERCEPTED(with_vmcb[i].exit);

		with_rax(b, with_vmcb[i].code, with_vmcb[i].end, 0x12345000);
		expect(b, &intercepted);
		with_rax(b, with_vmcb[i].code, with_vmcb[i].end, 0x12345008);
		expect(b, &refused);
		with_rax(b, with_vmcb[i].code, with_vmcb[i].end, beyond);
		expect(b, &refused);
	}
	with_rax(b, vmrun32_guest, vmrun32_guest_end, beyond | 0x1000);
	expect(b, &short_address);
	with_rax(b, invlpga_guest, invlpga_guest_end, beyond | 1);
	expect(b, &invlpga);
}

/* A guest whose EFER the hypervisor shows has no SVME. */
static void test_vc_svm_instructions_without_vc_are_invalid(void **state)
{
	const struct outcome invalid = UD;
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].code[1] != 0x0f || rows[i].code[2] != 0x01 || rows[i].code[3] < 0xd8 ||
		        rows[i].code == vmmcall_guest)
			continue;
		for (unsigned cpl = 0; cpl <= 3; cpl += 3) {
			start(b, rows[i].code, rows[i].end, cpl);
			expect(b, &invalid);
		}
	}
}

GUEST(svm_in_real_mode, 16, "nop; vmrun; hlt");

static void test_vc_svm_instructions_need_protected_mode(void **state)
{
	struct bench *b = *state;

	turn_on(b);
	bench_real(b, svm_in_real_mode, svm_in_real_mode_end);
	bench_put(b, 6 * 4, HANDLERS + 6);
	memset(b->ram + HANDLERS, 0xf4, 256);
	assert_int_equal(bench_vector(b), 6);
}

static void test_vc_rdpmc_of_a_program_needs_cr4(void **state)
{
	const struct outcome intercepted = INTERCEPTED(0x6f);
	struct bench *b = *state;
	struct kvm_sregs sregs;

	turn_on(b);
	start(b, rdpmc_guest, rdpmc_guest_end, 3);
	cpu_get_sregs(b->cpu, &sregs);
	sregs.cr4 |= 0x100;
	assert_int_equal(cpu_set_sregs(b->cpu, &sregs), 0);
	expect(b, &intercepted);
}

GUEST(step_guest, 64, "nop; nop; nop; hlt");
GUEST(misaligned_guest, 64, "nop; mov 1(%rsi), %eax; hlt");

/* KVM intercepts #DB and DR7, unless the processor switches the debug registers. */
static void test_vc_debug_registers_with_and_without_debug_swap(void **state)
{
	const struct outcome step = INTERCEPTED(0x41);
	struct kvm_debugregs debug;
	struct bench *b = *state;
	struct kvm_regs regs;

	for (unsigned swap = 0; swap < 2; swap++) {
		cpu_set_vc(b->cpu, CPU_VC_ON | (swap ? 0 : CPU_VC_DR7));
		start(b, step_guest, step_guest_end, 0);
		regs = bench_regs(b);
		regs.rflags |= 0x100;
		cpu_set_regs(b->cpu, &regs);
		if (swap)
			assert_int_equal(bench_vector(b), 1);
		else
			expect(b, &step);
		cpu_get_debugregs(b->cpu, &debug);
		assert_int_equal(debug.dr6 & 0x4000, 0x4000);
	}
	start(b, from_dr7_guest, from_dr7_guest_end, 0);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	start(b, to_dr7_guest, to_dr7_guest_end, 0);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
}

static void test_vc_alignment_check_is_intercepted(void **state)
{
	const struct outcome intercepted = INTERCEPTED(0x51);
	struct bench *b = *state;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	turn_on(b);
	start(b, misaligned_guest, misaligned_guest_end, 3);
	regs = bench_regs(b);
	regs.rflags |= 0x40000;
	cpu_set_regs(b->cpu, &regs);
	cpu_get_sregs(b->cpu, &sregs);
	sregs.cr0 |= 0x40000;
	assert_int_equal(cpu_set_sregs(b->cpu, &sregs), 0);
	expect(b, &intercepted);
}

/* ---- MSRs ---- */

static bool msr_answer(void *ctx, bool write, uint32_t index, uint64_t *value)
{
	*value = 0x1234;
	return true;
}

static bool msr_intercepted(void *ctx, bool write, uint32_t index)
{
	return index != 0x277 && (index != 0x10 || write);
}

static bool reads_msr(struct bench *b, uint32_t index, uint64_t *ret_value)
{
	struct kvm_regs regs;
	enum cpu_exit exit;

	start(b, rdmsr_guest, rdmsr_guest_end, 0);
	regs = bench_regs(b);
	regs.rcx = index;
	cpu_set_regs(b->cpu, &regs);
	exit = bench_run(b);
	regs = bench_regs(b);
	*ret_value = regs.rdx << 32 | (uint32_t)regs.rax;
	return exit == CPU_EXIT_HLT && regs.rip == CODE + 4;
}

static void test_vc_msrs_that_the_hypervisor_does_not_intercept(void **state)
{
	const struct outcome intercepted = INTERCEPTED(0x7c);
	struct bench *b = *state;
	struct kvm_regs regs;
	uint64_t value;

	turn_on(b);
	b->bus.msr = msr_answer;
	assert_true(reads_msr(b, 0xc0000082, &value)); /* the processor's own, with no one to ask */
	assert_false(reads_msr(b, 0x10, &value));
	b->bus.msr_intercepted = msr_intercepted;
	assert_false(reads_msr(b, 0xc0000082, &value));
	assert_true(reads_msr(b, 0x277, &value));
	assert_true(reads_msr(b, 0x10, &value));
	assert_int_equal(value, 0x1234);
	assert_true(reads_msr(b, 0xc0010130, &value)); /* the GHCB and SEV_STATUS, always */
	assert_true(reads_msr(b, 0xc0010131, &value));
	start(b, wrmsr_guest, wrmsr_guest_end, 0);
	regs = bench_regs(b);
	regs.rcx = 0x10;
	cpu_set_regs(b->cpu, &regs);
	expect(b, &intercepted);
}

GUEST(efer_guest, 64, "mov $0xc0000080, %ecx; rdmsr; mov %eax, %ebx; btc $12, %eax; wrmsr; rdmsr; hlt");

/* The processor runs such a guest with EFER.SVME, which the guest sees and cannot change. */
static void test_vc_efer_shows_svme(void **state)
{
	struct bench *b = *state;
	struct kvm_regs regs;

	bench_long(b, efer_guest, efer_guest_end, 0);
	turn_on(b);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	regs = bench_regs(b);
	assert_int_equal(regs.rbx, 0x1d01);
	assert_int_equal(regs.rax, 0x1d01);
}

GUEST(iret_guest, 64, "1: jmp 1b");
GUEST(nmi_handler, 64, "iretq");

/* KVM cannot see the IRET of a SEV-ES guest, so NMIs stay blocked until the guest says that it is done. */
static void test_vc_nmi_waits_until_the_caller_lets_it_in(void **state)
{
	struct bench *b = *state;

	cpu_set_vc(b->cpu, CPU_VC_ON);
	bench_long(b, iret_guest, iret_guest_end, 0);
	bench_gate(b, 2, HANDLERS + 0x80, 0x8e, 0);
	memcpy(b->ram + HANDLERS + 0x80, nmi_handler, (size_t)(nmi_handler_end - nmi_handler));
	cpu_post_nmi(b->cpu);
	assert_int_equal(bench_run(b), CPU_EXIT_DEADLINE);
	assert_int_equal(bench_regs(b).rip, CODE);
	assert_int_equal(cpu_nmis(b->cpu), 0);
	cpu_post_nmi(b->cpu);
	assert_int_equal(bench_run(b), CPU_EXIT_DEADLINE);
	assert_int_equal(cpu_nmis(b->cpu), 1);
	cpu_end_nmi_blocking(b->cpu);
	assert_int_equal(bench_run(b), CPU_EXIT_DEADLINE);
	assert_int_equal(cpu_nmis(b->cpu), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_vc_vmgexit_leaves_at_every_privilege),
	        TEST(test_vc_vmgexit_is_vmmcall_without_vc),
	        TEST(test_vc_comes_behind_the_checks_of_privilege),
	        TEST(test_vc_ports_that_a_program_may_use),
	        TEST(test_vc_string_io_asks_before_it_accesses_memory),
	        TEST(test_vc_monitor_and_mwait_refuse_extensions),
	        TEST(test_vc_svm_instructions_look_at_the_address),
	        TEST(test_vc_svm_instructions_without_vc_are_invalid),
	        TEST(test_vc_svm_instructions_need_protected_mode),
	        TEST(test_vc_rdpmc_of_a_program_needs_cr4),
	        TEST(test_vc_debug_registers_with_and_without_debug_swap),
	        TEST(test_vc_alignment_check_is_intercepted),
	        TEST(test_vc_msrs_that_the_hypervisor_does_not_intercept),
	        TEST(test_vc_efer_shows_svme),
	        TEST(test_vc_nmi_waits_until_the_caller_lets_it_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
