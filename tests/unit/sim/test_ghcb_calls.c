/* SPDX-License-Identifier: Apache-2.0 */
/* MSRs and hypercalls by the GHCB, which KVM answers, or the VMM. */
#include <linux/kvm_para.h>

#include "ghcb_guest.h"

/* ---- MSRs ---- */

static void ask_msr(struct guest *g, bool write, uint32_t index, uint64_t value)
{
	ask(g, ABI_GHCB_MSR, write, 0);
	GIVE(g, rcx, UINT64_C(0xffffffff00000000) | index);
	GIVE(g, rax, UINT64_C(0x1111111100000000) | (uint32_t)value);
	GIVE(g, rdx, UINT64_C(0x2222222200000000) | value >> 32);
}

static void test_msr_is_read_and_written(void **state)
{
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	ask_msr(&g, true, 0xc0010117, 0x123456000);
	answers(&g, 0, 0);
	ask_msr(&g, false, 0xc0010117, 0);
	answers(&g, 0, 0);
	assert_int_equal(ghcb_of(&g)->rax, 0x23456000);
	assert_int_equal(ghcb_of(&g)->rdx, 1);
	/* Refused values, and MSRs that do not exist, or that only the processor has. */
	ask_msr(&g, true, 0xc0010117, 0x1001);
	answers(&g, ABI_GHCB_EXCEPTION, 0x8000030d);
	ask_msr(&g, false, 0x4711, 0);
	answers(&g, ABI_GHCB_EXCEPTION, 0x8000030d);
	ask_msr(&g, false, 0xc0010131, 0);
	answers(&g, ABI_GHCB_EXCEPTION, 0x8000030d);
	assert_int_equal(note_of(&g)->vector, 0); /* the guest's handler raises it */
	ghcb_end(&g);
}

/* EFER is in the VMSA: KVM does not know it. A write is an error of KVM_RUN itself. */
static void test_msr_in_the_vmsa_cannot_be_reached(void **state)
{
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	ask_msr(&g, false, 0xc0000080, 0);
	answers(&g, ABI_GHCB_EXCEPTION, 0x8000030d);
	ask_msr(&g, true, 0xc0000080, 0x500);
	assert_int_equal(guest_run(&g), -EINVAL);
	assert_int_equal(g.run->exit_reason, KVM_EXIT_UNKNOWN);
	answers(&g, 0, 0);
	ghcb_end(&g);
	ghcb_start(&g, &m, 0);
	ask_msr(&g, false, 0xc0000080, 7);
	answers(&g, 0, 0);
	assert_int_equal(ghcb_of(&g)->rax, 0);
	ask_msr(&g, true, 0xc0000080, 0x4711);
	answers(&g, 0, 0);
	ghcb_end(&g);
}

static void test_msr_that_is_refused_leaves_to_the_vmm(void **state)
{
	const struct kvm_enable_cap exits = {.cap = KVM_CAP_X86_USER_SPACE_MSR,
	        .args[0] =
	                KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_FILTER};
	uint8_t none = 0;
	const struct kvm_msr_filter filter = {
	        .ranges[0] = {.flags = KVM_MSR_FILTER_READ, .nmsrs = 1, .base = 0x4b564d08, .bitmap = &none}};
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	assert_int_equal(call_of(&m, g.vm, KVM_ENABLE_CAP, &exits), 0);
	assert_int_equal(call_of(&m, g.vm, KVM_X86_SET_MSR_FILTER, &filter), 0);
	ask_msr(&g, false, 0x4b564d08, 0);
	runs_to(&g, KVM_EXIT_X86_RDMSR);
	assert_int_equal(g.run->msr.reason, KVM_MSR_EXIT_REASON_FILTER);
	assert_int_equal(g.run->msr.index, 0x4b564d08);
	g.run->msr.data = 0x8877665544332211;
	answers(&g, 0, 0);
	assert_int_equal(ghcb_of(&g)->rax, 0x44332211);
	assert_int_equal(ghcb_of(&g)->rdx, 0x88776655);
	ask_msr(&g, true, 0x4b564d08, 0x900000001);
	runs_to(&g, KVM_EXIT_X86_WRMSR);
	assert_int_equal(g.run->msr.reason, KVM_MSR_EXIT_REASON_UNKNOWN);
	assert_int_equal(g.run->msr.data, 0x900000001);
	g.run->msr.error = 1;
	answers(&g, ABI_GHCB_EXCEPTION, 0x8000030d);
	ask_msr(&g, true, 0xc0000080, 0x500);
	runs_to(&g, KVM_EXIT_X86_WRMSR);
	assert_int_equal(g.run->msr.reason, KVM_MSR_EXIT_REASON_INVAL);
	answers(&g, 0, 0);
	ghcb_end(&g);
}

/* ---- hypercalls ---- */

static void ask_call(struct guest *g, uint64_t number, uint64_t rbx, uint64_t rcx, uint64_t rdx)
{
	ask(g, ABI_GHCB_VMMCALL, 0, 0);
	GIVE(g, cpl, 0);
	GIVE(g, rax, number);
	GIVE(g, rbx, rbx);
	GIVE(g, rcx, rcx);
	GIVE(g, rdx, rdx);
}

static void test_hypercall_is_answered(void **state)
{
	const struct kvm_enable_cap exits = {
	        .cap = KVM_CAP_EXIT_HYPERCALL, .args[0] = 1 << KVM_HC_MAP_GPA_RANGE};
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	ask_call(&g, KVM_HC_VAPIC_POLL_IRQ, 0, 0, 0);
	answers(&g, 0, 0);
	assert_int_equal(ghcb_of(&g)->rax, 0);
	ask_call(&g, KVM_HC_VAPIC_POLL_IRQ, 0, 0, 0);
	ghcb_of(&g)->cpl = 3;
	answers(&g, 0, 0);
	assert_int_equal(ghcb_of(&g)->rax, (uint64_t)-KVM_EPERM);
	ask_call(&g, 0x4711, 0, 0, 0);
	answers(&g, 0, 0);
	assert_int_equal(ghcb_of(&g)->rax, (uint64_t)-KVM_ENOSYS);
	ask_call(&g, KVM_HC_MAP_GPA_RANGE, GUEST_DATA, 1, 0x10);
	answers(&g, 0, 0);
	assert_int_equal(ghcb_of(&g)->rax, (uint64_t)-KVM_ENOSYS);
	assert_int_equal(call_of(&m, g.vm, KVM_ENABLE_CAP, &exits), 0);
	ask_call(&g, KVM_HC_MAP_GPA_RANGE, GUEST_DATA + 1, 1, 0x10);
	answers(&g, 0, 0);
	assert_int_equal(ghcb_of(&g)->rax, (uint64_t)-KVM_EINVAL);
	ask_call(&g, KVM_HC_MAP_GPA_RANGE, UINT64_C(0x100002000), 3, 0x10);
	runs_to(&g, KVM_EXIT_HYPERCALL);
	assert_int_equal(g.run->hypercall.nr, KVM_HC_MAP_GPA_RANGE);
	assert_int_equal(g.run->hypercall.args[0], 0x100002000);
	assert_int_equal(g.run->hypercall.args[1], 3);
	assert_int_equal(g.run->hypercall.args[2], 0x10);
	assert_int_equal(g.run->hypercall.longmode, 1);
	assert_int_equal(g.run->hypercall.ret, 0);
	g.run->hypercall.ret = 0x1234567890;
	answers(&g, 0, 0);
	assert_int_equal(ghcb_of(&g)->rax, 0x1234567890);
	ghcb_end(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_msr_is_read_and_written),
	        cmocka_unit_test(test_msr_in_the_vmsa_cannot_be_reached),
	        cmocka_unit_test(test_msr_that_is_refused_leaves_to_the_vmm),
	        cmocka_unit_test(test_hypercall_is_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
