/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual interrupt flag (CR4.VME, CR4.PVI): programs that may not change IF change VIF in its place, and
 * what they may not do is #GP, which ends these guests, because they have no handlers.
 */
#include <errno.h>

#include "guest_bench.h"

#define TSS       0x18000
#define TSS_MAP   136 /* of ports, all of which are allowed; the map of interrupts lies before it */
#define PORT      0x80
#define FLAG_IF   0x200u
#define FLAG_IOPL 0x3000u
#define FLAG_VM   0x20000u
#define FLAG_VIF  0x80000u
#define FLAG_VIP  0x100000u
#define CR4_VME   1u
#define CR4_PVI   2u
#define VECTOR    0x21
#define HANDLER   0x200 /* offset in the code segment */

static struct kvm_segment segment_of(uint64_t base, bool code)
{
	return (struct kvm_segment){.base = base,
	        .limit = 0xffff,
	        .selector = (uint16_t)(base >> 4),
	        .type = code ? 0xb : 3,
	        .present = 1,
	        .dpl = 3,
	        .s = 1};
}

static void set_flags(struct guest *g, uint32_t flags)
{
	struct kvm_regs regs = {0};

	assert_int_equal(ask(g->abi, g->vcpu[0], KVM_GET_REGS, &regs), 0);
	regs.rflags = flags | 2;
	assert_int_equal(ask(g->abi, g->vcpu[0], KVM_SET_REGS, &regs), 0);
}

static uint64_t flags_of(struct guest *g)
{
	struct kvm_regs regs = {0};

	assert_int_equal(ask(g->abi, g->vcpu[0], KVM_GET_REGS, &regs), 0);
	return regs.rflags;
}

static void set_task(struct guest *g, struct kvm_sregs *sregs)
{
	sregs->tr =
	        (struct kvm_segment){.base = TSS, .limit = 0x2fff, .selector = 8, .type = 11, .present = 1};
	sregs->idt.limit = 0;
	store_le(g->memory + TSS + 102, 2, TSS_MAP);
}

/* A program of virtual 8086 mode; its code is at 0x1000, which is the offset 0 of its segment. */
static void open_virtual(struct guest *g, struct abi *abi, uint32_t cr4, uint32_t flags)
{
	struct kvm_segment data = segment_of(0xe000, false), code = segment_of(GUEST_CODE, false);
	struct kvm_sregs sregs = {0};
	struct kvm_regs regs = {0};

	guest_open(g, abi, 32, 1, GUEST_QUIET);
	g->code.bits = 16;
	assert_int_equal(ask(abi, g->vcpu[0], KVM_GET_SREGS, &sregs), 0);
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.cr4 |= cr4;
	set_task(g, &sregs);
	assert_int_equal(ask(abi, g->vcpu[0], KVM_SET_SREGS, &sregs), 0);
	assert_int_equal(ask(abi, g->vcpu[0], KVM_GET_REGS, &regs), 0);
	regs.rip = 0;
	regs.rsp = 0x800;
	assert_int_equal(ask(abi, g->vcpu[0], KVM_SET_REGS, &regs), 0);
	set_flags(g, FLAG_VM | flags);
}

/* pushf; pop ax; out PORT, ax */
static void tell_flags(struct code *c)
{
	emit_bytes(c, 0x9c, 0x58, 0xe7, PORT);
}

static unsigned told(struct guest *g)
{
	assert_int_equal(guest_run_once(g, 0), KVM_EXIT_IO);
	assert_int_equal(g->run[0]->io.port, PORT);
	return (unsigned)load_le((uint8_t *)g->run[0] + g->run[0]->io.data_offset, 2);
}

static void test_vme_program_sees_its_own_flag(void **state)
{
	struct guest g;

	open_virtual(&g, *state, CR4_VME, 0);
	sti(&g.code);
	tell_flags(&g.code);
	emit_bytes(&g.code, 0xfa); /* CLI */
	tell_flags(&g.code);
	emit_bytes(&g.code, 0x68, 0x03, 0x02, 0x9d); /* push 203h; popf */
	tell_flags(&g.code);
	assert_int_equal(told(&g) & (FLAG_IF | FLAG_IOPL), FLAG_IF | FLAG_IOPL);
	assert_int_equal(flags_of(&g) & (FLAG_IF | FLAG_VIF | FLAG_IOPL), FLAG_VIF);
	assert_int_equal(told(&g) & (FLAG_IF | FLAG_IOPL), FLAG_IOPL);
	assert_int_equal(flags_of(&g) & FLAG_VIF, 0);
	assert_int_equal(told(&g), FLAG_IF | FLAG_IOPL | 3);
	assert_int_equal(flags_of(&g) & (FLAG_IF | FLAG_VIF | FLAG_IOPL), FLAG_VIF);
	guest_close(&g);
}

static void test_vme_interrupt_goes_to_the_programs_handler(void **state)
{
	struct code handler;
	struct guest g;

	open_virtual(&g, *state, CR4_VME, FLAG_VIF);
	store_le(g.memory + VECTOR * 4, 4, (GUEST_CODE >> 4) << 16 | HANDLER);
	emit_bytes(&g.code, 0xcd, VECTOR);
	tell_flags(&g.code);
	emit_bytes(&g.code, 0xcd, VECTOR + 1); /* the monitor's, by the map: #GP */
	g.memory[TSS + TSS_MAP - 32 + (VECTOR + 1) / 8] = 1 << (VECTOR + 1) % 8;
	handler = (struct code){.at = g.memory + GUEST_CODE + HANDLER, .bits = 16};
	tell_flags(&handler);
	emit_bytes(&handler, 0xcf); /* IRET */
	assert_int_equal(told(&g) & FLAG_IF, 0);
	assert_int_equal(told(&g) & FLAG_IF, FLAG_IF);
	assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_SHUTDOWN);
	guest_close(&g);
}

/* Without VME, with an interrupt that waits, with TF, or with operands of 32 bits there is nothing to see. */
static void test_vme_what_a_program_may_not_do_is_gp(void **state)
{
	static const struct {
		uint32_t cr4, flags;
		uint8_t code[5];
	} rows[] = {
	        {0, 0, {0xfa}},                                /* CLI */
	        {0, 0, {0x9c}},                                /* PUSHF */
	        {CR4_VME, FLAG_VIP, {0xfb}},                   /* STI */
	        {CR4_VME, FLAG_VIP, {0x68, 0x02, 0x02, 0x9d}}, /* POPF with IF */
	        {CR4_VME, 0, {0x68, 0x02, 0x01, 0x9d}},        /* POPF with TF */
	        {CR4_VME, 0, {0x66, 0x9c}},                    /* PUSHFD */
	        {CR4_VME, 0, {0x6a, 0x00, 0x66, 0xcf}},        /* IRETD */
	        {CR4_PVI, 0, {0xfa}},                          /* CLI: not for this mode */
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		struct guest g;

		open_virtual(&g, *state, rows[i].cr4, rows[i].flags);
		emit(&g.code, rows[i].code, sizeof(rows[i].code));
		out8(&g.code, PORT, 1);
		assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_SHUTDOWN);
		guest_close(&g);
	}
}

static void test_vme_application_of_protected_mode_has_the_flag_too(void **state)
{
	for (unsigned pvi = 0; pvi < 2; pvi++) {
		struct kvm_sregs sregs = {0};
		struct guest g;

		guest_open(&g, *state, 32, 1, GUEST_QUIET);
		assert_int_equal(ask(*state, g.vcpu[0], KVM_GET_SREGS, &sregs), 0);
		sregs.cs.dpl = sregs.ss.dpl = 3;
		sregs.cs.selector |= 3;
		sregs.ss.selector |= 3;
		sregs.cr4 |= pvi ? CR4_PVI : 0;
		set_task(&g, &sregs);
		assert_int_equal(ask(*state, g.vcpu[0], KVM_SET_SREGS, &sregs), 0);
		sti(&g.code);
		out8(&g.code, PORT, 1);
		assert_int_equal(guest_run_once(&g, 0), pvi ? KVM_EXIT_IO : KVM_EXIT_SHUTDOWN);
		if (pvi)
			assert_int_equal(flags_of(&g) & (FLAG_IF | FLAG_VIF), FLAG_VIF);
		guest_close(&g);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, guest_bench_setup, guest_bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_vme_program_sees_its_own_flag),
	        TEST(test_vme_interrupt_goes_to_the_programs_handler),
	        TEST(test_vme_what_a_program_may_not_do_is_gp),
	        TEST(test_vme_application_of_protected_mode_has_the_flag_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
