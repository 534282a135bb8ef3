/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time of a SEV-ES guest on the software platform. Its every access to a device takes a handler of #VC
 * and a VMGEXIT, and the platform must still notice that it only waits for a device's timer.
 */
#include "ghcb_guest.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_vc_time_passes_for_a_guest_that_polls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
