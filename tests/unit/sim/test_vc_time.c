/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time of SEV-ES and SEV-SNP guests on the software platform. Every access to a device takes a handler of
 * #VC and a VMGEXIT, and the platform must still notice that the guest only waits for a device's timer. With
 * Secure TSC the guest learns the rate of its TSC without KVM.
 */
#include "snp_guest.h"
#include "vmm/abi/vmsa.h"

#define MSR_GUEST_TSC_FREQ 0xc0010134u
#define VC_MSR             0x7cu
#define TSC_FACTOR         200 /* the TSC is that much slower, in 1 / 100,000 */

/* Works for 600 instructions, as a handler does, and reads a port by the GHCB that the test prepared. */
GHCB_CODE(vc_polls, "movl $0xc0010130, %ecx\n"
                    "movl $0x6000, %eax\n"
                    "xorl %edx, %edx\n"
                    "wrmsr\n"
                    "1: movl $300, %ebx\n"
                    "2: decl %ebx\n"
                    "jnz 2b\n"
                    "movl $0x207000, %esi\n"
                    "movl $0x206000, %edi\n"
                    "movl $512, %ecx\n"
                    "rep; movsq\n"
                    "rep; vmmcall\n"
                    "jmp 1b");

static void test_vc_time_passes_for_a_guest_that_polls(void **state)
{
	unsigned reads = 0;
	struct machine m;
	struct guest g;

	machine_open(&m, &(const struct sim_options){.product = "Milan", .seed = 1});
	ghcb_make(&g, &m, 2);
	guest_add_vcpu(&g);
	ghcb_prepare(&g);
	put_code(&g, GUEST_CODE, vc_polls, vc_polls_end);
	guest_launch(&g, ABI_SEV_POLICY_ES);
	ask(&g, ABI_GHCB_IOIO, PORT << 16 | ABI_GHCB_IO_IN | 0x10 | 0x200, 0);
	memcpy(g.memory + OUTSIDE, ghcb_of(&g), PAGE_SIZE_BYTES);
	while (sim_now_ns(m.host) < 1000000000u && reads++ < 50000)
		runs_to(&g, KVM_EXIT_IO);
	assert_in_range(reads, 1000, 50000);
	ghcb_end(&g);
}

/* A guest of the simulated Genoa, which has Secure TSC. */
static void genoa_start(struct guest *g, struct machine *m, uint64_t features)
{
	const struct uapi_sev_init init = {.vmsa_features = features};

	machine_open(m, &(const struct sim_options){.product = "Genoa", .seed = 1});
	guest_make(g, m, UAPI_VM_SNP);
	assert_int_equal(command(g, UAPI_SEV_INIT2, &init), 0);
	guest_add_vcpu(g);
	snp_prepare(g, 0);
	snp_launch(g);
}

static void assert_vc(struct guest *g, enum snp_do what)
{
	snp_does_it(g, what, 0, MSR_GUEST_TSC_FREQ, 0);
	assert_int_equal(snp_note_of(g)->vector, 29);
	assert_int_equal(snp_note_of(g)->error, VC_MSR);
}

static void test_secure_tsc_tells_its_rate(void **state)
{
	struct machine m;
	struct guest g;
	uint64_t mhz, khz;

	genoa_start(&g, &m, ABI_FEATURE_SECURE_TSC);
	mhz = snp_can(&g, DO_RDMSR, 0, MSR_GUEST_TSC_FREQ, 0);
	khz = mhz * 1000 - mhz * 1000 * TSC_FACTOR / 100000;
	assert_in_range(khz, 999990, 1000010);
	assert_int_equal(number_of(&m, g.vcpu, KVM_GET_TSC_KHZ, 0), 1000000);
	assert_vc(&g, DO_VMGEXIT); /* it begins with WRMSR */
	ghcb_end(&g);
}

static void test_rate_is_kvms_without_secure_tsc(void **state)
{
	struct machine m;
	struct guest g;

	genoa_start(&g, &m, 0);
	assert_vc(&g, DO_RDMSR);
	assert_vc(&g, DO_VMGEXIT);
	ghcb_end(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_vc_time_passes_for_a_guest_that_polls),
	        cmocka_unit_test(test_secure_tsc_tells_its_rate),
	        cmocka_unit_test(test_rate_is_kvms_without_secure_tsc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
