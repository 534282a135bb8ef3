/* SPDX-License-Identifier: Apache-2.0 */
/* Exits that only confidential guests cause, made by hand; and registers that vmm may not read. */
#include "sev_exits.h"

static enum run_vcpu_verdict terminate(uint64_t msr)
{
	struct kvm_run *run = vcpu.kvm->run;

	run->exit_reason = KVM_EXIT_SYSTEM_EVENT;
	run->system_event.type = UAPI_SYSTEM_EVENT_SEV_TERM;
	run->system_event.ndata = 1;
	run->system_event.data[0] = msr;
	return run_vcpu_on_exit(&vcpu);
}

static void test_memory_fault_converts_the_page_and_goes_on(void **state)
{
	start("sev-snp");
	assert_int_equal(fault(0x3000, 0x1000, 0), RUN_VCPU_RESUME);
	assert_string_equal(bench.kernel.lines[0], "SHARED 0x3000");
	assert_true(page_is_memory(machine_vm_memory(bench.vm), gpa(0x3000), 0x1000, true));
	assert_int_equal(fault(0x3000, 0x1000, UAPI_MEMORY_EXIT_PRIVATE), RUN_VCPU_RESUME);
	assert_string_equal(bench.kernel.lines[1], "PRIVATE 0x3000");
	assert_false(page_is_memory(machine_vm_memory(bench.vm), gpa(0x3000), 1, true));
	assert_converted(1, 1, 1, 1);
}

static void test_memory_fault_outside_memory_is_the_guests_crash(void **state)
{
	static const uint64_t places[] = {0x400000, 0xc0000000, 0xfffffffffffff000};

	start("sev-snp");
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		assert_int_equal(fault(places[i], 0x1000, 8), RUN_VCPU_CRASH);
		assert_error(ERR_GUEST, "as private memory, where it has none: it took a device");
	}
	assert_int_equal(fault(0xc0000000, 0x1000, 0), RUN_VCPU_CRASH);
	assert_error(ERR_GUEST, "0xc0000000 as shared memory, where it has none");
	assert_null(strstr(vcpu.err.text, "encrypted"));
	assert_int_equal(bench.kernel.count, 0);
}

static void test_memory_fault_at_the_local_apic_names_a_firmware_without_it(void **state)
{
	start("sev-snp");
	assert_int_equal(fault(0xfee00000, 0x1000, UAPI_MEMORY_EXIT_PRIVATE), RUN_VCPU_CRASH);
	assert_error(
	        ERR_GUEST, "0xfee00000 as private memory, where it has none: it took its local APIC for");
	assert_error(ERR_GUEST, "use OVMF.fd of Debian 13's package ovmf");
	assert_error(ERR_GUEST, "OVMF.amdsev.fd of ovmf-amdsev");
}

static void test_memory_fault_that_makes_no_sense_is_kvms(void **state)
{
	start("sev-snp");
	assert_int_equal(fault(0x3000, 0x1000, 1), RUN_VCPU_FAIL);
	assert_int_equal(fault(0x3008, 0x1000, 0), RUN_VCPU_FAIL);
	assert_int_equal(fault(0x3000, 0, 0), RUN_VCPU_FAIL);
	assert_error(ERR_FAILED, "a memory fault that vmm does not understand");
}

static void test_memory_fault_for_what_is_so_already_ends_after_a_while(void **state)
{
	start("sev-snp");
	for (unsigned i = 0; i < 999; i++)
		assert_int_equal(fault(0x3000, 0x1000, UAPI_MEMORY_EXIT_PRIVATE), RUN_VCPU_RESUME);
	/* Another exit shows that the vCPU goes on. */
	assert_int_equal(hypercall(12, 0x10000, 16, 0), RUN_VCPU_RESUME);
	bench.kernel.count = 0;
	for (unsigned i = 0; i < 999; i++)
		assert_int_equal(fault(0x3000, 0x1000, UAPI_MEMORY_EXIT_PRIVATE), RUN_VCPU_RESUME);
	assert_int_equal(fault(0x3000, 0x1000, UAPI_MEMORY_EXIT_PRIVATE), RUN_VCPU_FAIL);
	assert_error(ERR_FAILED, "the guest's page at 0x3000 to be private, which it is already");
	assert_int_equal(bench.kernel.count, 0);
}

/* ---- KVM_RUN itself fails ---- */

static int run_errno;
static unsigned runs;

/* Answers the same for ever, until the test has seen enough. */
static int fail_run(struct fake_kernel *k)
{
	const struct uapi_memory_fault fault = {
	        .flags = UAPI_MEMORY_EXIT_PRIVATE, .gpa = 0x5000, .size = 0x1000};

	k->run.exit_reason = KVM_EXIT_SHUTDOWN;
	if (++runs > 2000)
		return 0;
	k->run.exit_reason = UAPI_EXIT_MEMORY_FAULT;
	memcpy(&k->run.hw, &fault, sizeof(fault));
	return fake_fail(run_errno);
}

static void run_with(int sys)
{
	struct err err;

	run_errno = sys;
	runs = 0;
	bench.kernel.on_run = fail_run;
	if (loop_create(&vcpu.loop, &err) < 0 || run_vcpu_start(&vcpu, &err) < 0)
		fail_msg("%s", err.text);
	run_vcpu_join(&vcpu);
	loop_destroy(vcpu.loop);
	assert_int_equal(vcpu.outcome, RUN_VCPU_FAILED);
}

static void test_run_of_a_poisoned_page_ends_the_guest(void **state)
{
	start("sev-snp");
	run_with(EHWPOISON);
	assert_error(ERR_FAILED, "at guest address 0x5000: a page of the guest's memory is damaged");
	assert_int_equal(runs, 1);
	assert_int_equal(bench.kernel.count, 0); /* nothing was converted */
}

static void test_run_without_memory_ends_the_guest(void **state)
{
	start("sev-snp");
	run_with(ENOMEM);
	assert_error(ERR_FAILED, "the host has no memory left for the guest; lower machine.memory");
	assert_int_equal(runs, 1);
}

static void test_run_that_asks_for_a_private_page_for_ever_ends_the_guest(void **state)
{
	start("sev-snp");
	run_with(EFAULT);
	assert_error(ERR_FAILED, "which it is already");
	assert_int_equal(runs, 1000);
}

static void test_map_gpa_range_converts_by_bit_4_alone(void **state)
{
	start("sev-snp");
	assert_int_equal(hypercall(12, 0x10000, 16, 0x3), RUN_VCPU_RESUME); /* a hint of the page size */
	assert_int_equal(vcpu.kvm->run->hypercall.ret, 0);
	assert_string_equal(bench.kernel.lines[0], "SHARED 0x10000");
	assert_int_equal(hypercall(12, 0x10000, 16, 0x10), RUN_VCPU_RESUME);
	assert_string_equal(bench.kernel.lines[1], "PRIVATE 0x10000");
	assert_converted(1, 16, 1, 16);
}

/* The guest may be in the middle of a reset, so pages that it left undone are no failure. */
static void test_map_gpa_range_of_a_guest_that_is_ended_stops(void **state)
{
	start("sev-snp");
	page_memory_stop(machine_vm_memory(bench.vm));
	assert_int_equal(hypercall(12, 0x10000, 16, 0), RUN_VCPU_STOP);
	assert_int_equal(bench.kernel.count, 0);
}

static const struct {
	uint64_t gpa, pages;
} nonsense[] = {
        {0x10000, 0},
        {0x10008, 1},
        {0x10000, UINT64_MAX},
        {0x10000, UINT64_C(1) << 52},
        {UINT64_MAX - 4095, 1},
        {0, 1025}, /* 4 MiB and a page */
        {0xc0000000, 1},
};

static void test_map_gpa_range_of_nonsense_is_refused(void **state)
{
	start("sev-snp");
	for (size_t i = 0; i < ARRAY_LEN(nonsense); i++) {
		assert_int_equal(hypercall(12, nonsense[i].gpa, nonsense[i].pages, 0), RUN_VCPU_RESUME);
		assert_int_equal(vcpu.kvm->run->hypercall.ret, EINVAL);
	}
	assert_int_equal(bench.kernel.count, 0);
	assert_converted(0, 0, 0, 0);
}

static const char *const page_status[] = {"sev.page-status=true", NULL};

static void test_map_gpa_range_of_a_sev_guest_is_recorded_and_converts_nothing(void **state)
{
	const struct page_memory *memory;

	for (size_t i = 0; i < 2; i++) {
		start_with(i ? "sev-es" : "sev", page_status);
		memory = machine_vm_memory(bench.vm);
		assert_int_equal(hypercall(12, 0x10000, 16, 0), RUN_VCPU_RESUME);
		assert_int_equal(vcpu.kvm->run->hypercall.ret, 0);
		assert_int_equal(hypercall(12, 0x11000, 1, 0x12), RUN_VCPU_RESUME);
		assert_true(page_is_already(machine_vm_memory(bench.vm), gpa(0x10000), 0x1000, false));
		assert_true(page_is_already(machine_vm_memory(bench.vm), gpa(0x11000), 0x1000, true));
		assert_true(page_is_already(machine_vm_memory(bench.vm), gpa(0x12000), 0xe000, false));
		assert_true(page_is_memory(memory, gpa(0x11000), 0x1000, true));
		assert_int_equal(bench.kernel.count, 0);
		bench_end(&bench);
	}
}

/* Where a guest has no memory, a SEV-SNP guest asks for pages that cannot change hands. A SEV guest reports.
 */
#define NOWHERE 2

static void test_map_gpa_range_of_nonsense_is_refused_to_a_sev_guest_as_kvm_would(void **state)
{
	start_with("sev", page_status);
	for (size_t i = 0; i < ARRAY_LEN(nonsense) - NOWHERE; i++) {
		assert_int_equal(hypercall(12, nonsense[i].gpa, nonsense[i].pages, 0), RUN_VCPU_RESUME);
		assert_int_equal(vcpu.kvm->run->hypercall.ret, -(uint64_t)EINVAL);
	}
	assert_true(page_is_already(machine_vm_memory(bench.vm), gpa(0), MIB(4), true));
	assert_converted(0, 0, 0, 0);
}

/* The bench's processor has 48 bits of physical addresses. */
static void test_map_gpa_range_of_a_sev_guest_ends_with_its_addresses(void **state)
{
	const uint64_t end = UINT64_C(1) << 48;

	start_with("sev", page_status);
	assert_int_equal(hypercall(12, end - 0x1000, 1, 0), RUN_VCPU_RESUME);
	assert_int_equal(vcpu.kvm->run->hypercall.ret, 0);
	assert_int_equal(hypercall(12, end - 0x1000, 2, 0), RUN_VCPU_RESUME);
	assert_int_equal(vcpu.kvm->run->hypercall.ret, -(uint64_t)EINVAL);
	assert_int_equal(hypercall(12, end, 1, 0), RUN_VCPU_RESUME);
	assert_int_equal(vcpu.kvm->run->hypercall.ret, -(uint64_t)EINVAL);
}

static void test_map_gpa_range_beyond_memory_is_kept_apart(void **state)
{
	struct page_range found[PAGE_DEVICES_SHOWN];
	uint64_t private, shared;
	struct page_memory *memory;
	bool complete;

	start_with("sev", page_status);
	memory = machine_vm_memory(bench.vm);
	assert_int_equal(hypercall(12, MIB(4) - 0x1000, 3, 0), RUN_VCPU_RESUME);
	assert_int_equal(vcpu.kvm->run->hypercall.ret, 0);
	assert_int_equal(hypercall(12, 0xc0000000, 16, 0), RUN_VCPU_RESUME);
	assert_int_equal(hypercall(12, 0xc0002000, 1, 0x10), RUN_VCPU_RESUME);
	assert_converted(1, 0, 2, 1);
	page_memory_count(memory, &private, &shared);
	assert_int_equal(shared, 0x1000);
	assert_int_equal(private, MIB(4) - 0x1000);
	assert_false(page_is_memory(memory, gpa(MIB(4)), 1, false));
	assert_int_equal(page_devices_get(memory, found, &complete), 3);
	assert_true(complete);
	assert_int_equal(found[0].first, 0x400);
	assert_int_equal(found[0].end, 0x402);
	assert_int_equal(found[1].first, 0xc0000);
	assert_int_equal(found[1].end, 0xc0002);
	assert_int_equal(found[2].first, 0xc0003);
	assert_int_equal(found[2].end, 0xc0010);
}

static void test_map_gpa_range_that_was_not_asked_for_ends_the_guest(void **state)
{
	start("sev");
	assert_int_equal(hypercall(12, 0x10000, 16, 0), RUN_VCPU_FAIL);
	assert_error(ERR_FAILED, "hypercall 12, which vmm did not ask for");
}

static enum run_vcpu_verdict msr(bool write, uint32_t index, uint64_t data)
{
	struct kvm_run *run = vcpu.kvm->run;

	run->exit_reason = write ? KVM_EXIT_X86_WRMSR : KVM_EXIT_X86_RDMSR;
	run->msr.index = index;
	run->msr.data = data;
	run->msr.error = 77;
	return run_vcpu_on_exit(&vcpu);
}

/* KVM's local APICs decide on these for every guest of vmm, so an exit is none of the guest's doing. */
static void test_exit_that_only_a_user_space_apic_has_is_kvms_fault(void **state)
{
	static const struct {
		uint32_t reason;
		const char *name;
	} rows[] = {
	        {KVM_EXIT_HLT, "KVM_EXIT_HLT"},
	        {KVM_EXIT_SET_TPR, "KVM_EXIT_SET_TPR"},
	        {KVM_EXIT_AP_RESET_HOLD, "KVM_EXIT_AP_RESET_HOLD"},
	};

	start("sev-es");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char part[80];

		snprintf(part, sizeof(part), "what the local APIC decides (%s)", rows[i].name);
		vcpu.kvm->run->exit_reason = rows[i].reason;
		assert_int_equal(run_vcpu_on_exit(&vcpu), RUN_VCPU_FAIL);
		assert_error(ERR_FAILED, part);
		assert_int_equal(run_vcpu_exit_kind(rows[i].reason), RUN_EXIT_OTHER);
	}
	vcpu.kvm->run->exit_reason = KVM_EXIT_TPR_ACCESS; /* only KVM_TPR_ACCESS_REPORTING asks for it */
	assert_int_equal(run_vcpu_on_exit(&vcpu), RUN_VCPU_FAIL);
	assert_error(ERR_FAILED, "a reason that vmm does not know: 12 (KVM_EXIT_TPR_ACCESS)");
}

#define MIGRATION_CONTROL 0x4b564d08

static void test_migration_control_keeps_bit_0_and_knows_no_other(void **state)
{
	struct kvm_run *run;

	start_with("sev-es", page_status);
	run = vcpu.kvm->run;
	assert_int_equal(msr(false, MIGRATION_CONTROL, 55), RUN_VCPU_RESUME);
	assert_int_equal(run->msr.error, 0);
	assert_int_equal(run->msr.data, 0);
	for (unsigned bit = 1; bit < 64; bit++) {
		assert_int_equal(msr(true, MIGRATION_CONTROL, UINT64_C(1) << bit | 1), RUN_VCPU_RESUME);
		assert_int_equal(run->msr.error, 1);
		assert_false(machine_vm_may_migrate(bench.vm));
	}
	assert_int_equal(msr(true, MIGRATION_CONTROL, 1), RUN_VCPU_RESUME);
	assert_int_equal(run->msr.error, 0);
	assert_int_equal(msr(false, MIGRATION_CONTROL, 55), RUN_VCPU_RESUME);
	assert_int_equal(run->msr.data, 1);
	assert_int_equal(msr(true, MIGRATION_CONTROL, 0), RUN_VCPU_RESUME);
	assert_false(machine_vm_may_migrate(bench.vm));
}

static void test_msr_that_was_not_asked_for_ends_the_guest(void **state)
{
	start_with("sev", page_status);
	assert_int_equal(msr(true, 0x10, 1), RUN_VCPU_FAIL);
	assert_error(ERR_FAILED, "MSR 0x10, which vmm did not ask for");
	bench_end(&bench);
	start("sev");
	assert_int_equal(msr(false, MIGRATION_CONTROL, 0), RUN_VCPU_FAIL);
}

static void test_hypercall_that_was_not_asked_for_ends_the_guest(void **state)
{
	start("sev-snp");
	assert_int_equal(hypercall(5, 0, 0, 0), RUN_VCPU_FAIL);
	assert_error(ERR_FAILED, "hypercall 5");
}

static void test_termination_is_told_by_name(void **state)
{
	static const struct {
		uint64_t msr;
		const char *text;
	} rows[] = {
	        {0x100, "general (reason set 0, code 0)"},
	        {0x20100, "SEV-SNP features that it needs are not supported (reason set 0, code 2)"},
	        {0x11100, "a #VC came too early (OVMF) (reason set 1, code 1)"},
	        {0x21100, "PVALIDATE failed (Linux), or the host gave a wrong answer (OVMF) (reason set 1, "
	                  "code 2)"},
	        {0x41100, "the CPUID page is wrong (reason set 1, code 4)"},
	        {0xff1100, "a reason that vmm does not know (reason set 1, code 255)"},
	        {0x80b000, "GHCB MSR 0x80b000"},
	        {0xf000f100, "a reason that vmm does not know (reason set 15, code 0)"},
	};

	start("sev-es");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(terminate(rows[i].msr), RUN_VCPU_CRASH);
		assert_error(ERR_GUEST, rows[i].text);
	}
}

/* A request through the page leaves the page's address in the MSR. */
static void test_termination_by_the_page_is_told_by_name(void **state)
{
	static const struct {
		uint64_t at, exit_code, info;
		const char *text;
	} rows[] = {
	        {0xb000, 0x8000fffe, 0x20,
	                "SEV-SNP features that it needs are not supported (reason set 0, code 2)"},
	        {0xb000, 0x8000fffe, 0xfffffffffffff0a1, "secure TSC failed (reason set 1, code 10)"},
	        {0xb000, 0x72, 0x20, "GHCB MSR 0xb000): it gave no reason"},
	        {0xb800, 0x8000fffe, 0x20, "GHCB MSR 0xb800): it gave no reason"},
	        {0x40000000, 0x8000fffe, 0x20, "GHCB MSR 0x40000000): it gave no reason"},
	        {UINT64_MAX - 4095, 0x8000fffe, 0x20, "it gave no reason"},
	};

	start("sev-es");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const uint64_t words[] = {rows[i].exit_code, rows[i].info};
		struct page_memory *memory = machine_vm_memory(bench.vm);

		assert_int_equal(
		        page_write(memory, gpa((rows[i].at & 0xffff) + 0x390), words, sizeof(words)), 0);
		assert_int_equal(terminate(rows[i].at), RUN_VCPU_CRASH);
		assert_error(ERR_GUEST, rows[i].text);
	}
}

static void test_report_asks_for_no_register_of_a_protected_vcpu(void **state)
{
	start("sev-es");
	bench.kernel.refusal = (struct fake_refusal){.request = KVM_GET_REGS, .sys = EINVAL};
	assert_int_equal(terminate(0x100), RUN_VCPU_CRASH);
	assert_non_null(
	        strstr(vcpu.report, "the host cannot read the registers of a SEV-ES or SEV-SNP guest"));
	assert_null(strstr(vcpu.report, "EINVAL"));
	assert_null(strstr(vcpu.report, "rip"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_memory_fault_converts_the_page_and_goes_on),
	        TEST(test_memory_fault_outside_memory_is_the_guests_crash),
	        TEST(test_memory_fault_at_the_local_apic_names_a_firmware_without_it),
	        TEST(test_memory_fault_that_makes_no_sense_is_kvms),
	        TEST(test_memory_fault_for_what_is_so_already_ends_after_a_while),
	        TEST(test_run_of_a_poisoned_page_ends_the_guest),
	        TEST(test_run_without_memory_ends_the_guest),
	        TEST(test_run_that_asks_for_a_private_page_for_ever_ends_the_guest),
	        TEST(test_map_gpa_range_converts_by_bit_4_alone),
	        TEST(test_map_gpa_range_of_a_guest_that_is_ended_stops),
	        TEST(test_map_gpa_range_of_nonsense_is_refused),
	        TEST(test_map_gpa_range_of_a_sev_guest_is_recorded_and_converts_nothing),
	        TEST(test_map_gpa_range_of_nonsense_is_refused_to_a_sev_guest_as_kvm_would),
	        TEST(test_map_gpa_range_of_a_sev_guest_ends_with_its_addresses),
	        TEST(test_map_gpa_range_beyond_memory_is_kept_apart),
	        TEST(test_map_gpa_range_that_was_not_asked_for_ends_the_guest),
	        TEST(test_migration_control_keeps_bit_0_and_knows_no_other),
	        TEST(test_exit_that_only_a_user_space_apic_has_is_kvms_fault),
	        TEST(test_msr_that_was_not_asked_for_ends_the_guest),
	        TEST(test_hypercall_that_was_not_asked_for_ends_the_guest),
	        TEST(test_termination_is_told_by_name),
	        TEST(test_termination_by_the_page_is_told_by_name),
	        TEST(test_report_asks_for_no_register_of_a_protected_vcpu),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
