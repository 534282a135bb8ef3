/* SPDX-License-Identifier: Apache-2.0 */
/* SEV and SEV-ES guests on the software platform: from the context to the first instruction. */
#include "sev_guest.h"
#include "vmm/abi/vmsa.h"

static const struct sim_options milan = {.product = "Milan", .seed = 1};

/* mov al, [GUEST_DATA]; tell al; inc al; mov [GUEST_DATA + 1], al; hlt */
#define READ_AND_WRITE(...) 0xa0, 0x00, 0x20, __VA_ARGS__, 0xfe, 0xc0, 0xa2, 0x01, 0x20, 0xf4

static void write_guest(struct guest *g)
{
	CODE(g, READ_AND_WRITE(0xe6, PORT));
	g->memory[GUEST_DATA] = 0x42;
}

static void write_es_guest(struct guest *g)
{
	CODE(g, READ_AND_WRITE(TELL));
	g->memory[GUEST_DATA] = 0x42;
}

/* ---- plain SEV ---- */

static void debug_read(struct guest *g, uint32_t at, void *data, uint32_t size)
{
	const struct kvm_sev_dbg read = {(uintptr_t)g->memory + at, (uintptr_t)data, size};

	assert_int_equal(command(g, KVM_SEV_DBG_DECRYPT, &read), 0);
}

static void test_sev_guest_runs_from_encrypted_memory(void **state)
{
	uint8_t plain[GUEST_BYTES], before[PAGE_SIZE_BYTES];
	struct abi_sev_measure measure;
	struct machine m;
	struct guest g;

	guest_ready(&g, &m, &milan, UAPI_VM_SEV);
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

/* A page of ciphertext that the VMM takes away, and a write to one that the VMM may only read. */
static void test_sev_memory_that_is_missing_is_efault(void **state)
{
	struct machine m;
	struct guest g;
	uint8_t byte[2];

	guest_ready(&g, &m, &milan, UAPI_VM_SEV);
	write_guest(&g);
	guest_launch(&g, 0);
	mprotect(g.memory + GUEST_DATA, PAGE_SIZE_BYTES, PROT_NONE);
	assert_int_equal(guest_run(&g), -EFAULT);
	assert_int_equal(g.run->exit_reason, KVM_EXIT_UNKNOWN);
	mprotect(g.memory + GUEST_DATA, PAGE_SIZE_BYTES, PROT_READ);
	assert_int_equal(run_to_port(&g), 0x42);
	assert_int_equal(guest_run(&g), -EFAULT);
	mprotect(g.memory + GUEST_DATA, PAGE_SIZE_BYTES, PROT_READ | PROT_WRITE);
	assert_int_equal(guest_run(&g), 0);
	assert_int_equal(g.run->exit_reason, KVM_EXIT_HLT);
	debug_read(&g, GUEST_DATA, byte, 2);
	assert_memory_equal(byte, "\x42\x43", 2);
	guest_close(&g);
	machine_close(&m);
}

/* ---- the C-bit ---- */

static void test_sev_c_bit_tells_shared_from_private(void **state)
{
	struct machine m;
	struct guest g;
	uint8_t byte;

	guest_ready(&g, &m, &milan, UAPI_VM_SEV);
	/* mov al, [SHARED + 0x3000]; out PORT, al; mov byte [0x4000], 0x77; mov byte [SHARED + 0x3001], 0x66;
	 * mov al, [0x3010]; out PORT, al; hlt */
	CODE(&g, 0x8a, 0x04, 0x25, 0x00, 0x30, 0x20, 0x00, 0xe6, PORT, 0xc6, 0x04, 0x25, 0x00, 0x40, 0x00,
	        0x00, 0x77, 0xc6, 0x04, 0x25, 0x01, 0x30, 0x20, 0x00, 0x66, 0x8a, 0x04, 0x25, 0x10, 0x30,
	        0x00, 0x00, 0xe6, PORT, 0xf4);
	g.memory[0x3010] = 0x99;
	enter_long_mode(&g);
	guest_launch(&g, 0);
	g.memory[0x3000] = 0x55; /* the VMM writes plain bytes into a page that is shared in part */
	assert_int_equal(run_to_port(&g), 0x55);
	assert_int_equal(run_to_port(&g), 0x99);
	assert_int_equal(g.memory[0x3001], 0x66);
	debug_read(&g, 0x4000, &byte, 1);
	assert_int_equal(byte, 0x77);
	guest_close(&g);
	machine_close(&m);
}

/* A page that the guest shares after it was private holds what it writes then, not what it wrote before. */
static void test_sev_page_that_becomes_shared_keeps_what_was_written_last(void **state)
{
	struct machine m;
	struct guest g;

	guest_ready(&g, &m, &milan, UAPI_VM_SEV);
	/* mov byte [0x4000], 1; mov rax, cr3; mov cr3, rax; mov byte [SHARED + 0x4000], 2; hlt */
	CODE(&g, 0xc6, 0x04, 0x25, 0x00, 0x40, 0x00, 0x00, 0x01, 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8, 0xc6,
	        0x04, 0x25, 0x00, 0x40, 0x20, 0x00, 0x02, 0xf4);
	enter_long_mode(&g);
	guest_launch(&g, 0);
	assert_int_equal(guest_run(&g), 0);
	assert_int_equal(g.run->exit_reason, KVM_EXIT_HLT);
	assert_int_equal(g.memory[0x4000], 2);
	guest_close(&g);
	machine_close(&m);
}

/* ---- SEV-ES ---- */

static void test_es_vcpu_runs_once_its_vmsa_is_encrypted(void **state)
{
	struct kvm_regs regs;
	struct machine m;
	struct guest g;

	guest_ready(&g, &m, &milan, UAPI_VM_SEV_ES);
	write_es_guest(&g);
	assert_int_equal(guest_run(&g), 0);
	assert_int_equal(g.run->exit_reason, KVM_EXIT_FAIL_ENTRY);
	guest_launch(&g, ABI_SEV_POLICY_ES);
	assert_int_equal(run_to_port(&g), 0x42);
	assert_int_equal(call_of(&m, g.vcpu, KVM_GET_REGS, &regs), -EINVAL);
	guest_close(&g);
	machine_close(&m);
}

/* KVM reads page tables as they lie in the VMM's memory, where those of a guest are encrypted. */
static void test_sev_addresses_are_translated_by_what_the_vmm_can_read(void **state)
{
	struct kvm_translation t = {.linear_address = SHARED | GUEST_CODE};
	struct kvm_sregs s;
	struct machine m;
	struct guest g;

	guest_ready(&g, &m, &milan, UAPI_VM_SEV);
	enter_long_mode(&g);
	assert_int_equal(call_of(&m, g.vcpu, KVM_TRANSLATE, &t), 0);
	assert_false(t.valid); /* the C-bit of CR3 is a bit of an address to KVM */
	assert_int_equal(call_of(&m, g.vcpu, KVM_GET_SREGS, &s), 0);
	s.cr3 = TABLES;
	assert_int_equal(call_of(&m, g.vcpu, KVM_SET_SREGS, &s), 0);
	for (uint32_t at = TABLES; at <= TABLES + 0x1000; at += 0x1000)
		store_le(g.memory + at, 8, (at + 0x1000) | 7);
	assert_int_equal(call_of(&m, g.vcpu, KVM_TRANSLATE, &t), 0);
	assert_true(t.valid);
	assert_int_equal(t.physical_address, GUEST_CODE);
	guest_launch(&g, 0);
	assert_int_equal(call_of(&m, g.vcpu, KVM_TRANSLATE, &t), 0);
	assert_false(t.valid);
	guest_close(&g);
	machine_close(&m);
}

/* Both pages of a debugger's access are pinned, and so is a page that is sent. */
static void test_memlock_bounds_what_debugger_and_sender_pin(void **state)
{
	const struct sim_options options = {.product = "Milan", .memlock_bytes = PAGE_SIZE_BYTES};
	struct kvm_sev_send_update_data send = {.hdr_len = 52, .trans_len = 16, .guest_len = 16};
	struct kvm_enc_region region = {.size = PAGE_SIZE_BYTES};
	struct kvm_sev_dbg read = {.len = 16};
	uint8_t data[64];
	struct machine m;
	struct guest g;

	machine_open(&m, &options);
	guest_make(&g, &m, UAPI_VM_SEV);
	assert_int_equal(guest_init2(&g), 0);
	assert_int_equal(launch_start(&g, 0), 0);
	region.addr = read.src_uaddr = send.guest_uaddr = (uintptr_t)g.memory;
	read.dst_uaddr = send.hdr_uaddr = send.trans_uaddr = (uintptr_t)data;
	assert_int_equal(command(&g, KVM_SEV_DBG_DECRYPT, &read), -ENOMEM);
	assert_int_equal(command(&g, KVM_SEV_SEND_UPDATE_DATA, &send), -EIO); /* nothing was left pinned */
	assert_int_equal(call_of(&m, g.vm, KVM_MEMORY_ENCRYPT_REG_REGION, &region), 0);
	assert_int_equal(command(&g, KVM_SEV_SEND_UPDATE_DATA, &send), -ENOMEM);
	guest_close(&g);
	machine_close(&m);
}

/* ---- VMSAs that KVM makes from QEMU's reset state, and from its own ---- */

static struct abi_segment segment_of(uint16_t selector, uint16_t attrib, uint64_t base)
{
	return (struct abi_segment){.selector = selector, .attrib = attrib, .limit = 0xffff, .base = base};
}

/* Makes the VMSA of a vCPU whose registers were written back as KVM_GET_SREGS gave them, or never (raw). */
static void expect_vmsa(struct abi_vmsa *v, bool raw, bool fpu)
{
	*v = (struct abi_vmsa){.cs = segment_of(0xf000, raw ? 0x9a : 0x9b, 0xffff0000),
	        .gdtr = segment_of(0, 0, 0),
	        .idtr = segment_of(0, 0, 0),
	        .ldtr = segment_of(0, 0x82, 0),
	        .tr = segment_of(0, raw ? 0x83 : 0x8b, 0),
	        .efer = 0x1000,
	        .cr4 = 0x40,
	        .cr0 = 0x10,
	        .dr7 = 0x400,
	        .dr6 = 0xffff0ff0,
	        .rflags = 2,
	        .rip = 0xfff0,
	        .g_pat = 0x0007040600070406,
	        .rdx = 0x600,
	        .xcr0 = 1};
	v->es = v->ss = v->ds = v->fs = v->gs = segment_of(0, raw ? 0x92 : 0x93, 0);
	if (fpu) {
		v->mxcsr = 0x1f80;
		v->x87_fcw = 0x37f;
	}
}

/* The launch digest of VMSAs alone, with no data before them. */
static void check_vmsa(unsigned type, bool set)
{
	struct sim_guest_view view;
	uint8_t digest[SHA256_BYTES];
	struct kvm_sregs sregs;
	struct abi_vmsa vmsa;
	struct machine m;
	struct guest g;
	int vcpu;

	machine_open(&m, &milan);
	guest_make(&g, &m, type);
	assert_int_equal(type ? guest_init2(&g) : command(&g, KVM_SEV_ES_INIT, NULL), 0);
	vcpu = number_of(&m, g.vm, KVM_CREATE_VCPU, 0);
	if (set) {
		assert_int_equal(call_of(&m, vcpu, KVM_GET_SREGS, &sregs), 0);
		assert_int_equal(call_of(&m, vcpu, KVM_SET_SREGS, &sregs), 0);
	}
	assert_int_equal(launch_start(&g, ABI_SEV_POLICY_ES), 0);
	assert_int_equal(command(&g, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL), 0);
	assert_true(sim_guest_view(m.host, 0, &view));
	assert_string_equal(view.state, "LUPDATE");
	expect_vmsa(&vmsa, !set, type);
	hash_sha256(&vmsa, sizeof(vmsa), digest);
	assert_int_equal(view.digest_bytes, SHA256_BYTES);
	assert_memory_equal(view.digest, digest, SHA256_BYTES);
	host_close(m.host, vcpu);
	guest_close(&g);
	machine_close(&m);
}

static void test_vmsa_is_what_kvm_makes(void **state)
{
	check_vmsa(UAPI_VM_SEV_ES, true);
	check_vmsa(UAPI_VM_SEV_ES, false);
	check_vmsa(UAPI_VM_DEFAULT, true);
	check_vmsa(UAPI_VM_DEFAULT, false);
}

/* ---- hooks ---- */

static void test_firmware_fails_on_request(void **state)
{
	struct abi_sev_measure measure;
	struct sim_guest_view view;
	struct machine m;
	struct guest g;
	uint64_t calls;

	machine_open(&m, &milan);
	assert_int_equal(sim_fail_firmware(m.host, "LAUNCH", 1, 5), -1);
	guest_make(&g, &m, UAPI_VM_SEV);
	assert_false(sim_guest_view(m.host, 0, &view));
	assert_int_equal(guest_init2(&g), 0);
	assert_int_equal(launch_start(&g, ABI_SEV_POLICY_NODBG), 0);
	assert_int_equal(sim_fail_firmware(m.host, "LAUNCH_MEASURE", 1, 0x17), 0);
	calls = sim_firmware_calls(m.host, "LAUNCH_MEASURE");
	assert_int_equal(launch_measure(&g, &measure), -EIO);
	assert_int_equal(g.error, 0x17);
	assert_int_equal(launch_measure(&g, &measure), 0);
	assert_int_equal(sim_firmware_calls(m.host, "LAUNCH_MEASURE"), calls + 2);
	assert_true(sim_guest_view(m.host, 0, &view));
	assert_string_equal(view.state, "LSECRET");
	assert_int_equal(view.policy, ABI_SEV_POLICY_NODBG);
	guest_close(&g);
	assert_false(sim_guest_view(m.host, 0, &view));
	machine_close(&m);
}

/* A failed ACTIVATE leaves no guest behind, and the launch can begin again. */
static void test_start_that_fails_half_way_leaves_nothing(void **state)
{
	struct sim_guest_view view;
	struct machine m;
	struct guest g;

	machine_open(&m, &milan);
	guest_make(&g, &m, UAPI_VM_SEV);
	assert_int_equal(guest_init2(&g), 0);
	assert_int_equal(sim_fail_firmware(m.host, "ACTIVATE", 1, 0xe), 0);
	assert_int_equal(launch_start(&g, 0), -EIO);
	assert_int_equal(g.error, 0xe);
	assert_false(sim_guest_view(m.host, 0, &view));
	assert_int_equal(launch_start(&g, 0), 0);
	guest_close(&g);
	machine_close(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_sev_guest_runs_from_encrypted_memory),
	        cmocka_unit_test(test_sev_memory_that_is_missing_is_efault),
	        cmocka_unit_test(test_sev_c_bit_tells_shared_from_private),
	        cmocka_unit_test(test_sev_page_that_becomes_shared_keeps_what_was_written_last),
	        cmocka_unit_test(test_es_vcpu_runs_once_its_vmsa_is_encrypted),
	        cmocka_unit_test(test_sev_addresses_are_translated_by_what_the_vmm_can_read),
	        cmocka_unit_test(test_memlock_bounds_what_debugger_and_sender_pin),
	        cmocka_unit_test(test_vmsa_is_what_kvm_makes),
	        cmocka_unit_test(test_firmware_fails_on_request),
	        cmocka_unit_test(test_start_that_fails_half_way_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
