/* SPDX-License-Identifier: Apache-2.0 */
/* What the VMM still reaches of a vCPU whose registers are the guest's, and what it does not. */
#include "sev_guest.h"

static const struct sim_options milan = {.product = "Milan", .seed = 1};

/* mov al, [GUEST_DATA]; tell al; inc al; mov [GUEST_DATA + 1], al; hlt */
static void write_es_guest(struct guest *g)
{
	CODE(g, 0xa0, 0x00, 0x20, TELL, 0xfe, 0xc0, 0xa2, 0x01, 0x20, 0xf4);
	g->memory[GUEST_DATA] = 0x42;
}

/* ---- the VM types of SEV and SEV-ES ---- */

/* A host can lead a SEV guest astray by its registers. It cannot do so with SEV-ES. */
static void test_registers_are_the_vmms_with_sev_alone(void **state)
{
	static const struct {
		unsigned type;
		uint32_t policy;
		int result;
	} rows[] = {{UAPI_VM_SEV, 0, 0}, {UAPI_VM_SEV_ES, ABI_SEV_POLICY_ES, -EINVAL}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct kvm_regs regs = {.rip = GUEST_CODE + 0x100, .rflags = 2};
		struct kvm_sregs sregs;
		struct machine m;
		struct guest g;

		machine_open(&m, &milan);
		guest_make(&g, &m, rows[i].type);
		assert_int_equal(guest_init2(&g), 0);
		guest_add_vcpu(&g);
		g.memory[GUEST_CODE] = 0xeb; /* jmp . */
		g.memory[GUEST_CODE + 1] = 0xfe;
		g.memory[GUEST_CODE + 0x100] = 0xf4; /* hlt */
		guest_launch(&g, rows[i].policy);
		assert_int_equal(call_of(&m, g.vcpu, KVM_SET_REGS, &regs), rows[i].result);
		assert_int_equal(call_of(&m, g.vcpu, KVM_GET_REGS, &regs), rows[i].result);
		assert_int_equal(call_of(&m, g.vcpu, KVM_GET_SREGS, &sregs), rows[i].result);
		if (rows[i].result == 0) {
			assert_int_equal(guest_run(&g), 0);
			assert_int_equal(g.run->exit_reason, KVM_EXIT_HLT);
		}
		guest_close(&g);
		machine_close(&m);
	}
}

static int read_msr(struct guest *g, uint32_t index)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = {.head.nmsrs = 1, .entry = {.index = index}};

	return call_of(g->m, g->vcpu, KVM_GET_MSRS, &msrs);
}

static void set_vendor(struct guest *g, uint32_t ebx)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entry;
	} cpuid = {.head.nent = 1,
	        .entry = {.function = 0, .eax = 1, .ebx = ebx, .ecx = 0x444d4163, .edx = 0x69746e65}};

	assert_int_equal(call_of(g->m, g->vcpu, KVM_SET_CPUID2, &cpuid), 0);
}

/* KVM intercepts SYSENTER_EIP for guests that take their processor for Intel's alone. */
static void test_es_msrs_that_the_processor_keeps_are_hidden(void **state)
{
	struct machine m;
	struct guest g;

	guest_ready(&g, &m, &milan, UAPI_VM_SEV_ES);
	assert_int_equal(read_msr(&g, 0x176), 1);
	guest_launch(&g, ABI_SEV_POLICY_ES);
	assert_int_equal(read_msr(&g, 0x176), 1); /* no CPUID: not AMD's */
	set_vendor(&g, 0x68747541);
	assert_int_equal(read_msr(&g, 0x176), 0);
	assert_int_equal(read_msr(&g, 0xc0000080), 0);
	set_vendor(&g, 0x756e6547);
	assert_int_equal(read_msr(&g, 0x176), 1);
	assert_int_equal(read_msr(&g, 0xc0000080), 0);
	assert_int_equal(read_msr(&g, 0x10), 1);
	guest_close(&g);
	machine_close(&m);
}

/* Page tables of a guest are as closed to KVM as the rest of its memory. */
static void test_es_addresses_are_not_translated(void **state)
{
	struct kvm_translation t = {.linear_address = GUEST_CODE};
	struct machine m;
	struct guest g;

	guest_ready(&g, &m, &milan, UAPI_VM_SEV_ES);
	enter_long_mode(&g);
	guest_launch(&g, ABI_SEV_POLICY_ES);
	assert_int_equal(call_of(&m, g.vcpu, KVM_TRANSLATE, &t), 0);
	assert_false(t.valid);
	guest_close(&g);
	machine_close(&m);
}

/* ---- SEV-ES in a VM of the type 0: nothing is refused ---- */

static void test_es_legacy_registers_are_stale(void **state)
{
	struct kvm_regs regs = {0}, other = {.rax = 0x1234};
	struct machine m;
	struct guest g;

	machine_open(&m, &milan);
	guest_make(&g, &m, UAPI_VM_DEFAULT);
	assert_int_equal(command(&g, KVM_SEV_ES_INIT, NULL), 0);
	guest_add_vcpu(&g);
	write_es_guest(&g);
	guest_launch(&g, ABI_SEV_POLICY_ES);
	assert_int_equal(run_to_port(&g), 0x42);
	assert_int_equal(call_of(&m, g.vcpu, KVM_GET_REGS, &regs), 0);
	assert_int_equal(regs.rip, GUEST_CODE);
	assert_int_equal(call_of(&m, g.vcpu, KVM_SET_REGS, &other), 0);
	assert_int_equal(call_of(&m, g.vcpu, KVM_GET_REGS, &regs), 0);
	assert_int_equal(regs.rax, 0x1234);
	assert_int_equal(guest_run(&g), 0); /* it goes on where it was */
	assert_int_equal(g.run->exit_reason, KVM_EXIT_HLT);
	guest_close(&g);
	machine_close(&m);
}

/* KVM checks what the VMM sets, although only the APIC's base has an effect. */
static void test_es_legacy_system_registers_are_checked(void **state)
{
	struct kvm_sregs s, read;
	struct kvm_sregs2 s2 = {.flags = 0};
	struct machine m;
	struct guest g;

	machine_open(&m, &milan);
	guest_make(&g, &m, UAPI_VM_DEFAULT);
	assert_int_equal(command(&g, KVM_SEV_ES_INIT, NULL), 0);
	guest_add_vcpu(&g);
	guest_launch(&g, ABI_SEV_POLICY_ES);
	assert_int_equal(call_of(&m, g.vcpu, KVM_GET_SREGS, &s), 0);
	assert_int_equal(s.cs.limit, 0); /* KVM does not know it */
	s.apic_base ^= 0x100000;
	s.cr2 = 0x1234;
	assert_int_equal(call_of(&m, g.vcpu, KVM_SET_SREGS, &s), 0);
	assert_int_equal(call_of(&m, g.vcpu, KVM_GET_SREGS, &read), 0);
	assert_int_equal(read.apic_base, s.apic_base);
	assert_int_equal(read.cr2, 0);
	s.efer = 0x400; /* LMA without paging */
	s.cr0 = 0x80000011;
	assert_int_equal(call_of(&m, g.vcpu, KVM_SET_SREGS, &s), -EINVAL);
	assert_int_equal(call_of(&m, g.vcpu, KVM_GET_SREGS2, &s2), 0);
	assert_int_equal(call_of(&m, g.vcpu, KVM_SET_SREGS2, &s2), 0);
	s2.flags = 1;
	assert_int_equal(call_of(&m, g.vcpu, KVM_SET_SREGS2, &s2), -EINVAL);
	guest_close(&g);
	machine_close(&m);
}

/*
 * The VM type 0 refuses nothing: the VMM writes its own copy of the debug registers, and the guest keeps its
 * registers.
 */
static void test_es_legacy_debug_registers_are_the_vmms(void **state)
{
	struct kvm_debugregs theirs = {.db = {0x1234}, .dr6 = 0xffff0ff0, .dr7 = 0x400}, read;
	struct machine m;
	struct guest g;

	machine_open(&m, &milan);
	guest_make(&g, &m, UAPI_VM_DEFAULT);
	assert_int_equal(command(&g, KVM_SEV_ES_INIT, NULL), 0);
	guest_add_vcpu(&g);
	/* mov eax, dr0; tell al; hlt */
	CODE(&g, 0x0f, 0x21, 0xc0, TELL, 0xf4);
	guest_launch(&g, ABI_SEV_POLICY_ES);
	assert_int_equal(call_of(&m, g.vcpu, KVM_SET_DEBUGREGS, &theirs), 0);
	assert_int_equal(run_to_port(&g), 0);
	assert_int_equal(call_of(&m, g.vcpu, KVM_GET_DEBUGREGS, &read), 0);
	assert_int_equal(read.db[0], 0x1234);
	guest_close(&g);
	machine_close(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_registers_are_the_vmms_with_sev_alone),
	        cmocka_unit_test(test_es_msrs_that_the_processor_keeps_are_hidden),
	        cmocka_unit_test(test_es_addresses_are_not_translated),
	        cmocka_unit_test(test_es_legacy_registers_are_stale),
	        cmocka_unit_test(test_es_legacy_system_registers_are_checked),
	        cmocka_unit_test(test_es_legacy_debug_registers_are_the_vmms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
