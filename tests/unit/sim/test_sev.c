/* SEV and SEV-ES guests on the software platform: from the context to the first instruction. */
#include "sev_guest.h"

static const struct sim_options milan = {.product = "Milan", .seed = 1};

/* mov al, [GUEST_DATA]; out PORT, al; inc al; mov [GUEST_DATA + 1], al; hlt */
#define READ_AND_WRITE 0xa0, 0x00, 0x20, 0xe6, PORT, 0xfe, 0xc0, 0xa2, 0x01, 0x20, 0xf4

static void write_guest(struct guest *g)
{
	CODE(g, READ_AND_WRITE);
	g->memory[GUEST_DATA] = 0x42;
}

/* ---- plain SEV ---- */

static void test_sev_guest_runs_from_encrypted_memory(void **state)
{
	uint8_t plain[GUEST_BYTES], before[PAGE_SIZE_BYTES];
	struct abi_sev_measure measure;
	struct machine m;
	struct guest g;

	machine_open(&m, &milan);
	guest_make(&g, &m, UAPI_VM_SEV);
	assert_int_equal(guest_init2(&g), 0);
	guest_add_vcpu(&g);
	write_guest(&g);
	memcpy(plain, g.memory, sizeof(plain));
	assert_int_equal(launch_start(&g, ABI_SEV_POLICY_NODBG), 0);
	assert_int_equal(launch_update(&g, 0, GUEST_BYTES), 0);
	for (unsigned at = 0; at < GUEST_BYTES; at += 16)
		assert_memory_not_equal(g.memory + at, plain + at, 16);
	assert_int_equal(launch_measure(&g, &measure), 0);
	assert_int_equal(command(&g, KVM_SEV_LAUNCH_FINISH, NULL), 0);

	memcpy(before, g.memory + GUEST_DATA, sizeof(before));
	assert_int_equal(run_to_port(&g), 0x42);
	assert_memory_equal(g.memory + GUEST_DATA, before, sizeof(before));
	assert_int_equal(guest_run(&g), 0);
	assert_int_equal(g.run->exit_reason, KVM_EXIT_HLT);
	/* The block that was written differs, and nothing else. */
	assert_memory_not_equal(g.memory + GUEST_DATA, before, 16);
	assert_memory_equal(g.memory + GUEST_DATA + 16, before + 16, sizeof(before) - 16);
	guest_close(&g);
	machine_close(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_sev_guest_runs_from_encrypted_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
