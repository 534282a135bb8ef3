/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the processors of a SEV-ES guest start and wait on the software platform: INIT, SIPI, AP Reset Hold,
 * and NMIs, whose end KVM cannot see. The guest's second processor does not halt but asks to be ended, so
 * that KVM_RUN returns.
 */
#include "ap_guest.h"

#define ON_NMI   0x1180u
#define NMI_SEEN 0x5100u /* a byte, shared: how many NMIs the guest handled */

/* With interrupt controllers in the platform: vCPU 1 is the test's, and vCPU 0 never runs. */
GHCB_CODE(ghcb_tells, "movabs $0x1122334455667788, %rbx\n"
                      "1: movl $0xc0010130, %ecx\n"
                      "movl 0x205000, %eax\n"
                      "movl 0x205004, %edx\n"
                      "wrmsr\n"
                      "rep; vmmcall\n"
                      "movl $0xc0010130, %ecx\n"
                      "rdmsr\n"
                      "movl %eax, 0x205008\n"
                      "movl %edx, 0x20500c\n"
                      "movq %rbx, 0x205010\n"
                      "movl $0x100, %eax\n"
                      "xorl %edx, %edx\n"
                      "wrmsr\n"
                      "rep; vmmcall\n"
                      "jmp 1b");
GHCB_CODE(ghcb_on_nmi, "incb 0x205100\n iretq");

static void ap_start(struct guest *g, struct machine *m)
{
	static const struct sim_options milan = {.product = "Milan", .seed = 1};
	const struct kvm_regs regs = {.rip = GUEST_CODE, .rsp = 0xf000, .rflags = 2};
	struct kvm_sregs s;
	int ap;

	machine_open(m, &milan);
	ghcb_make(g, m, 2);
	assert_int_equal(number_of(m, g->vm, KVM_CREATE_IRQCHIP, 0), 0);
	guest_add_vcpu(g);
	ap = guest_add_vcpu(g);
	ghcb_prepare(g);
	put_code(g, GUEST_CODE, ghcb_tells, ghcb_tells_end);
	put_code(g, ON_NMI, ghcb_on_nmi, ghcb_on_nmi_end);
	put_gate(g, 2, ON_NMI);
	assert_int_equal(call_of(m, g->vcpu, KVM_GET_SREGS, &s), 0);
	s.apic_base &= ~UINT64_C(0x100);
	ghcb_cpuid(g, ap);
	assert_int_equal(call_of(m, ap, KVM_SET_SREGS, &s), 0);
	assert_int_equal(call_of(m, ap, KVM_SET_REGS, &regs), 0);
	run_unmap(m, g->run);
	host_close(m->host, g->vcpu);
	g->vcpu = ap;
	g->run = run_of(m, ap);
	guest_launch(g, ABI_SEV_POLICY_ES);
	memset(g->memory + NOTE, 0, OUTSIDE + PAGE_SIZE_BYTES - NOTE);
	note_of(g)->msr = ABI_GHCB_MSR_RESET_HOLD_ASK;
}

/* The processor goes on, and says so. */
static void goes_on(struct guest *g)
{
	runs_to(g, KVM_EXIT_SYSTEM_EVENT);
	assert_int_equal(note_of(g)->rbx_after, GUEST_RBX);
}

static void test_first_sipi_starts_from_the_vmsa(void **state)
{
	struct machine m;
	struct guest g;

	ap_start(&g, &m);
	note_of(&g)->msr = ABI_GHCB_MSR_FEATURES_ASK;
	starts(&g);
	goes_on(&g);
	assert_int_equal(note_of(&g)->msr_after & 0xfff, ABI_GHCB_MSR_FEATURES);
	/* INIT stops it, and the next SIPI lets it go on where it was. */
	send(&g, INIT);
	runs_until(&g, KVM_MP_STATE_INIT_RECEIVED);
	send(&g, SIPI | 0x11);
	goes_on(&g);
	ghcb_end(&g);
}

static void test_hold_by_msr_ends_with_a_sipi(void **state)
{
	struct machine m;
	struct guest g;

	ap_start(&g, &m);
	starts(&g);
	runs_until(&g, KVM_MP_STATE_AP_RESET_HOLD);
	send(&g, SIPI); /* without an INIT before it nothing happens */
	runs_until(&g, KVM_MP_STATE_AP_RESET_HOLD);
	send(&g, INIT);
	runs_until(&g, KVM_MP_STATE_INIT_RECEIVED);
	send(&g, SIPI);
	goes_on(&g);
	assert_int_equal(note_of(&g)->msr_after, ABI_GHCB_MSR_OF(1, ABI_GHCB_MSR_RESET_HOLD));
	ghcb_end(&g);
}

static void test_hold_by_page_ends_with_a_sipi(void **state)
{
	struct machine m;
	struct guest g;

	ap_start(&g, &m);
	note_of(&g)->msr = GHCB;
	ask(&g, ABI_GHCB_AP_RESET_HOLD, 0, 0);
	starts(&g);
	runs_until(&g, KVM_MP_STATE_AP_RESET_HOLD);
	send(&g, INIT);
	send(&g, SIPI);
	goes_on(&g);
	assert_answer(&g, 0, 1);
	/* The next SIPI finds no hold, and changes no answer. */
	ask(&g, ABI_GHCB_HV_FEATURES, 0, 0);
	send(&g, INIT);
	send(&g, SIPI);
	goes_on(&g);
	assert_answer(&g, 0, 3);
	ghcb_end(&g);
}

/* Anything that would end a HLT ends a hold, too; the result tells the guest that it was no SIPI. */
static void test_hold_ends_with_an_nmi(void **state)
{
	struct machine m;
	struct guest g;

	ap_start(&g, &m);
	starts(&g);
	runs_until(&g, KVM_MP_STATE_AP_RESET_HOLD);
	assert_int_equal(number_of(&m, g.vcpu, KVM_NMI, 0), 0);
	goes_on(&g);
	assert_int_equal(note_of(&g)->msr_after, ABI_GHCB_MSR_RESET_HOLD);
	assert_int_equal(g.memory[NMI_SEEN], 1);
	ghcb_end(&g);
}

/* KVM cannot see IRET: the next NMI waits for the guest's word. */
static void test_nmi_waits_for_nmi_complete(void **state)
{
	struct machine m;
	struct guest g;

	ap_start(&g, &m);
	note_of(&g)->msr = GHCB;
	ask(&g, ABI_GHCB_HV_FEATURES, 0, 0);
	starts(&g);
	goes_on(&g);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(number_of(&m, g.vcpu, KVM_NMI, 0), 0);
		ask(&g, ABI_GHCB_HV_FEATURES, 0, 0);
		goes_on(&g);
		assert_int_equal(g.memory[NMI_SEEN], 1);
	}
	ask(&g, ABI_GHCB_NMI_COMPLETE, 0, 0);
	goes_on(&g);
	assert_answer(&g, 0, 0);
	ask(&g, ABI_GHCB_HV_FEATURES, 0, 0);
	goes_on(&g);
	assert_int_equal(g.memory[NMI_SEEN], 2);
	ghcb_end(&g);
}

static void test_hold_is_a_state_that_the_vmm_may_set(void **state)
{
	struct kvm_mp_state hold = {.mp_state = KVM_MP_STATE_AP_RESET_HOLD}, wrong = {.mp_state = 8};
	struct machine m;
	struct guest g;

	ap_start(&g, &m);
	assert_int_equal(call_of(&m, g.vcpu, KVM_SET_MP_STATE, &hold), 0);
	assert_int_equal(state_of(&g), KVM_MP_STATE_AP_RESET_HOLD);
	assert_int_equal(call_of(&m, g.vcpu, KVM_SET_MP_STATE, &wrong), -EINVAL);
	ghcb_end(&g);
	ghcb_start(&g, &m, 2);
	assert_int_equal(call_of(&m, g.vcpu, KVM_SET_MP_STATE, &hold), -EINVAL);
	ghcb_end(&g);
}

/* Without interrupt controllers in the platform the VMM decides when the hold ends. */
static void test_hold_without_interrupt_controllers_leaves_to_the_vmm(void **state)
{
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	note_of(&g)->msr = ABI_GHCB_MSR_RESET_HOLD_ASK | 0xabc000;
	runs_to(&g, KVM_EXIT_AP_RESET_HOLD);
	runs_to_halt(&g);
	assert_int_equal(note_of(&g)->msr_after, ABI_GHCB_MSR_RESET_HOLD);
	note_of(&g)->msr = GHCB;
	ask(&g, ABI_GHCB_AP_RESET_HOLD, 0, 0);
	runs_to(&g, KVM_EXIT_AP_RESET_HOLD);
	answers(&g, 0, 0);
	ghcb_end(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_first_sipi_starts_from_the_vmsa),
	        cmocka_unit_test(test_hold_by_msr_ends_with_a_sipi),
	        cmocka_unit_test(test_hold_by_page_ends_with_a_sipi),
	        cmocka_unit_test(test_hold_ends_with_an_nmi),
	        cmocka_unit_test(test_nmi_waits_for_nmi_complete),
	        cmocka_unit_test(test_hold_is_a_state_that_the_vmm_may_set),
	        cmocka_unit_test(test_hold_without_interrupt_controllers_leaves_to_the_vmm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
