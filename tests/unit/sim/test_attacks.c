/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks of a VMM and of a malicious kernel (malice.h) on a SEV-SNP guest, and how each of them ends. The
 * table in docs/platform.md names these tests, and those of attacks that are elsewhere.
 */
#include "malice.h"
#include "psp/psp.h"
#include "snp_guest.h"
#include "vmm/abi/vmsa.h"
#include "vmm/owner.h"

#define OTHER  FREE /* private, validated by the guest */
#define POLICY 0x30000u

/* ---- what the kernel changes on the way to the firmware ---- */

static void (*forge)(enum abi_page_type type, void *page); /* NULL: nothing */

uint32_t __real_psp_snp_launch_update(
        struct psp *psp, uint32_t gctx, enum abi_page_type type, uint64_t gpa, void *page);
uint32_t __wrap_psp_snp_launch_update(
        struct psp *psp, uint32_t gctx, enum abi_page_type type, uint64_t gpa, void *page);

uint32_t __wrap_psp_snp_launch_update(
        struct psp *psp, uint32_t gctx, enum abi_page_type type, uint64_t gpa, void *page)
{
	if (forge)
		forge(type, page);
	return __real_psp_snp_launch_update(psp, gctx, type, gpa, page);
}

/* ---- memory ---- */

/* A guest whose pages GUEST_DATA and OTHER are private and hold 0x11 and 0x22. */
static void victim_start(struct guest *g, struct machine *m)
{
	snp_start(g, m, 0);
	assert_true(snp_validates(g, OTHER, true));
	snp_can(g, DO_WRITE, GUEST_DATA, 0, 0x11);
	snp_can(g, DO_WRITE, OTHER, 0, 0x22);
}

static void assert_unharmed(struct guest *g)
{
	assert_int_equal(snp_can(g, DO_READ, GUEST_DATA, 0, 0), 0x11);
	assert_int_equal(snp_can(g, DO_READ, OTHER, 0, 0), 0x22);
}

/* The VMM's own mapping of private pages is other memory, also of code, stack and page tables. */
static void test_vmm_writes_the_shared_alias(void **state)
{
	struct machine m;
	struct guest g;

	victim_start(&g, &m);
	memset(g.memory, 0xee, NOTE);
	memset(g.memory + TABLES, 0xee, GUEST_BYTES - TABLES);
	assert_unharmed(&g);
	assert_int_equal(g.memory[GUEST_DATA], 0xee);
	snp_ends(&g);
}

/* Its data, its code, its page tables, and a page that it gave up but that is still assigned to it. */
static void test_kernel_writes_assigned_pages(void **state)
{
	static const uint64_t pages[] = {GUEST_DATA, OTHER, GUEST_CODE, TABLES, TABLES + 0x2000};
	static const uint8_t junk[PAGE_SIZE_BYTES] = {0xee};
	struct machine m;
	struct guest g;

	victim_start(&g, &m);
	for (size_t i = 0; i < ARRAY_LEN(pages); i++)
		assert_int_equal(
		        sim_malice_write(m.host, g.vm, pages[i], junk, sizeof(junk)), SIM_MALICE_RMP_FAULT);
	assert_unharmed(&g);
	assert_true(snp_validates(&g, OTHER, false));
	assert_int_equal(sim_malice_write(m.host, g.vm, OTHER, junk, 1), SIM_MALICE_RMP_FAULT);
	assert_true(snp_validates(&g, OTHER, true));
	assert_unharmed(&g);
	snp_ends(&g);
}

/* To write, the kernel must make the page its own; given back, the page is not validated. */
static void test_kernel_takes_a_page_to_write_it(void **state)
{
	static const uint8_t junk = 0xee;
	struct machine m;
	struct guest g;

	victim_start(&g, &m);
	sim_malice_rmpupdate(m.host, g.vm, GUEST_DATA, SIM_MALICE_HOST);
	assert_int_equal(sim_malice_write(m.host, g.vm, GUEST_DATA, &junk, 1), 0);
	snp_gets(&g, DO_READ, GUEST_DATA, 29, VC_NOT); /* KVM assigns it, as any page of the host's */
	sim_malice_rmpupdate(m.host, g.vm, OTHER, SIM_MALICE_HOST);
	assert_int_equal(sim_malice_write(m.host, g.vm, OTHER, &junk, 1), 0);
	sim_malice_rmpupdate(m.host, g.vm, OTHER, OTHER);
	snp_gets(&g, DO_READ, OTHER, 29, VC_NOT);
	snp_ends(&g);
}

/* ---- nested page tables ---- */

static void test_kernel_swaps_two_pages(void **state)
{
	struct machine m;
	struct guest g;

	victim_start(&g, &m);
	sim_malice_swap(m.host, g.vm, GUEST_DATA, OTHER);
	snp_asks(&g, DO_READ, GUEST_DATA, 0, 0);
	snp_tries_for_ever(&g); /* #NPF: the RMP has another address */
	sim_malice_swap(m.host, g.vm, GUEST_DATA, OTHER);
	runs_to(&g, KVM_EXIT_HLT);
	assert_int_equal(snp_note_of(&g)->rax_after, 0x11);
	assert_unharmed(&g);
	snp_ends(&g);
}

/* The guest's own code at another place of its code: nothing of it is executed. */
static void test_kernel_swaps_code(void **state)
{
	struct machine m;
	struct guest g;

	victim_start(&g, &m);
	snp_can(&g, DO_WRITE, OTHER, 0, 0xc3); /* ret */
	sim_malice_swap(m.host, g.vm, GUEST_DATA, OTHER);
	snp_asks(&g, DO_FETCH, GUEST_DATA, 0, 0);
	snp_tries_for_ever(&g);
	snp_ends(&g);
}

static void test_kernel_maps_one_page_twice(void **state)
{
	static const enum snp_do accesses[] = {
	        DO_READ, DO_WRITE, DO_FETCH, DO_PVALIDATE, DO_RMPADJUST, DO_RMPQUERY};
	struct machine m;
	struct guest g;

	for (size_t i = 0; i < ARRAY_LEN(accesses); i++) {
		snp_start_on(&g, &m, "Genoa", 0);
		assert_true(snp_validates(&g, OTHER, true));
		snp_can(&g, DO_WRITE, OTHER, 0, 0x22);
		sim_malice_remap(m.host, g.vm, GUEST_DATA, OTHER);
		assert_int_equal(
		        snp_can(&g, DO_READ, OTHER, 0, 0), 0x22); /* at its own address it is right */
		snp_asks(&g, accesses[i], GUEST_DATA, 0, 1);
		snp_tries_for_ever(&g);
		snp_ends(&g);
	}
}

/* RMPUPDATE makes the addresses right, and takes the validation. */
static void test_kernel_swaps_two_pages_and_their_entries(void **state)
{
	struct machine m;
	struct guest g;

	victim_start(&g, &m);
	sim_malice_swap(m.host, g.vm, GUEST_DATA, OTHER);
	sim_malice_rmpupdate(m.host, g.vm, GUEST_DATA, GUEST_DATA);
	sim_malice_rmpupdate(m.host, g.vm, OTHER, OTHER);
	snp_gets(&g, DO_READ, GUEST_DATA, 29, VC_NOT);
	snp_gets(&g, DO_WRITE, OTHER, 29, VC_NOT);
	snp_ends(&g);
}

/* A fresh page in the place of the guest's is assigned by KVM itself, and not validated either. */
static void test_kernel_puts_a_fresh_page_in_place(void **state)
{
	struct machine m;
	struct guest g;

	victim_start(&g, &m);
	sim_malice_remap(m.host, g.vm, GUEST_DATA, FREE + 0x1000);
	snp_gets(&g, DO_READ, GUEST_DATA, 29, VC_NOT);
	snp_ends(&g);
}

/* ---- attributes ---- */

/* A guest that asks to be ended when it gets a #VC. */
GHCB_CODE(ends_on_vc, "movl $0xc0010130, %ecx\n"
                      "movl $0x100, %eax\n"
                      "xorl %edx, %edx\n"
                      "wrmsr\n"
                      "rep; vmmcall\n"
                      "ud2");

static void test_vmm_shares_a_page_behind_the_guest(void **state)
{
	static const struct sim_options milan = {.product = "Milan", .seed = 1};
	struct machine m;
	struct guest g;

	guest_ready(&g, &m, &milan, UAPI_VM_SNP);
	snp_prepare(&g, 0);
	put_code(&g, ON_VC, ends_on_vc, ends_on_vc_end);
	snp_launch(&g);
	snp_can(&g, DO_WRITE, GUEST_DATA, 0, 0x11);
	assert_int_equal(set_private(&g, GUEST_DATA, 0x1000, false), 0);
	g.memory[GUEST_DATA] = 0xee;
	snp_asks(&g, DO_READ, GUEST_DATA, 0, 0);
	snp_leaves_fault(&g, GUEST_DATA, true);
	assert_int_equal(snp_note_of(&g)->flags, 0); /* it has read nothing */
	snp_punch(&g, GUEST_DATA, 0x1000);
	assert_int_equal(set_private(&g, GUEST_DATA, 0x1000, true), 0);
	runs_to(&g, KVM_EXIT_SYSTEM_EVENT);
	assert_int_equal(g.run->system_event.type, UAPI_SYSTEM_EVENT_SEV_TERM);
	assert_int_equal(g.run->system_event.data[0], 0x100);
	assert_int_equal(snp_note_of(&g)->flags, 0);
	snp_ends(&g);
}

/* ---- the launch ---- */

struct signed_launch {
	struct abi_id_block block;
	struct abi_id_auth auth;
};

/* Launches what the owner expects, or what the kernel makes of it. Returns the result of the finish. */
static int finish_launch(struct guest *g, const struct signed_launch *expected)
{
	const struct uapi_sev_snp_launch_start start = {.policy = POLICY};
	const struct uapi_sev_snp_launch_finish finish = {
	        .id_block_en = expected != NULL,
	        .id_block_uaddr = (uintptr_t)(expected ? &expected->block : NULL),
	        .id_auth_uaddr = (uintptr_t)(expected ? &expected->auth : NULL),
	};

	assert_int_equal(command(g, UAPI_SEV_SNP_LAUNCH_START, &start), 0);
	assert_int_equal(set_private(g, 0, NOTE, true), 0);
	assert_int_equal(set_private(g, TABLES, GUEST_BYTES - TABLES, true), 0);
	snp_update(g, 0, FREE);
	snp_update(g, TABLES, GUEST_BYTES - TABLES);
	return command(g, UAPI_SEV_SNP_LAUNCH_FINISH, &finish);
}

static void prepare_launch(struct guest *g, struct machine *m)
{
	guest_make(g, m, UAPI_VM_SNP);
	assert_int_equal(guest_init2(g), 0);
	guest_add_vcpu(g);
	snp_prepare(g, 0);
}

/* The owner knows the digest of this guest from a launch that nobody attacked, and signs it. */
static void sign_launch(struct machine *m, struct signed_launch *expected)
{
	struct sim_guest_view view;
	struct owner_id_key *key;
	struct guest g;
	struct err err;

	prepare_launch(&g, m);
	assert_int_equal(finish_launch(&g, NULL), 0);
	assert_true(sim_guest_view(m->host, 0, &view));
	guest_close(&g);
	*expected = (struct signed_launch){.block = {.version = 1, .policy = POLICY}};
	memcpy(expected->block.ld, view.digest, sizeof(expected->block.ld));
	assert_ok(owner_id_key_generate(&key, &err));
	assert_ok(owner_id_sign(&expected->block, key, NULL, &expected->auth, &err));
	owner_id_key_destroy(key);
}

static void sets_rip(struct guest *g)
{
	struct kvm_regs regs;

	assert_int_equal(call_of(g->m, g->vcpu, KVM_GET_REGS, &regs), 0);
	regs.rip = GUEST_DATA;
	assert_int_equal(call_of(g->m, g->vcpu, KVM_SET_REGS, &regs), 0);
}

static void forge_rip(enum abi_page_type type, void *page)
{
	if (type == ABI_PAGE_VMSA)
		((struct abi_vmsa *)page)->rip = GUEST_DATA;
}

static void forge_features(enum abi_page_type type, void *page)
{
	if (type == ABI_PAGE_VMSA)
		((struct abi_vmsa *)page)->sev_features |= ABI_FEATURE_DEBUG_SWAP;
}

static void forge_code(enum abi_page_type type, void *page)
{
	if (type == ABI_PAGE_NORMAL)
		((uint8_t *)page)[8] ^= 1;
}

/* The VMM gives other registers, or the kernel edits what it gives to the firmware. */
static void test_a_launch_that_the_owner_did_not_sign_is_refused(void **state)
{
	static const struct {
		void (*vmm)(struct guest *g);
		void (*kernel)(enum abi_page_type type, void *page);
		int result;
		uint32_t error;
	} rows[] = {
	        {NULL, NULL, 0, 0},
	        {sets_rip, NULL, -EIO, PSP_BAD_MEASUREMENT},
	        {NULL, forge_rip, -EIO, PSP_BAD_MEASUREMENT},
	        {NULL, forge_features, -EIO, PSP_BAD_MEASUREMENT},
	        {NULL, forge_code, -EIO, PSP_BAD_MEASUREMENT},
	};
	static const struct sim_options milan = {.product = "Milan", .seed = 1};
	struct signed_launch expected;
	struct machine m;

	machine_open(&m, &milan);
	sign_launch(&m, &expected);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct guest g;

		prepare_launch(&g, &m);
		if (rows[i].vmm)
			rows[i].vmm(&g);
		forge = rows[i].kernel;
		assert_int_equal(finish_launch(&g, &expected), rows[i].result);
		forge = NULL;
		assert_int_equal(g.error, rows[i].error);
		guest_close(&g);
	}
	machine_close(&m);
}

/* The page is the guest's from the firmware's word on, before the launch is finished and after. */
static void test_kernel_writes_a_save_area(void **state)
{
	static const struct sim_options milan = {.product = "Milan", .seed = 1};
	const uint64_t rip = GUEST_DATA;
	const size_t at = offsetof(struct abi_vmsa, rip);
	struct machine m;
	struct guest g;

	machine_open(&m, &milan);
	prepare_launch(&g, &m);
	assert_int_equal(sim_fail_firmware(m.host, "SNP_LAUNCH_FINISH", 1, PSP_INVALID_PARAM), 0);
	assert_int_equal(finish_launch(&g, NULL), -EIO);
	assert_int_equal(sim_malice_write_vmsa(m.host, g.vcpu, at, &rip, sizeof(rip)), SIM_MALICE_RMP_FAULT);
	guest_close(&g);
	prepare_launch(&g, &m);
	assert_int_equal(finish_launch(&g, NULL), 0);
	assert_int_equal(sim_malice_write_vmsa(m.host, g.vcpu, at, &rip, sizeof(rip)), SIM_MALICE_RMP_FAULT);
	assert_int_equal(snp_can(&g, DO_READ, GUEST_DATA, 0, 0), g.memory[GUEST_DATA]);
	guest_close(&g);
	machine_close(&m);
}

static void forge_cpuid(enum abi_page_type type, void *page)
{
	if (type == ABI_PAGE_CPUID)
		((struct abi_cpuid_page *)page)->entries[0].ecx = UINT32_MAX;
}

/* The firmware refuses features that the processor lacks, and the page is the host's again. */
static void test_a_forged_cpuid_page_is_refused(void **state)
{
	static const struct sim_options milan = {.product = "Milan", .seed = 1};
	const struct uapi_sev_snp_launch_start start = {.policy = POLICY};
	struct uapi_sev_snp_launch_update update;
	struct abi_cpuid_page *page;
	uint8_t byte = 1;
	struct machine m;
	struct guest g;

	machine_open(&m, &milan);
	prepare_launch(&g, &m);
	page = (struct abi_cpuid_page *)(void *)(g.memory + GUEST_DATA);
	memset(page, 0, sizeof(*page));
	page->count = 1;
	page->entries[0] = (struct abi_cpuid_entry){.eax_in = 1, .eax = 0x00a00f11};
	update = (struct uapi_sev_snp_launch_update){.gfn_start = GUEST_DATA / PAGE_SIZE_BYTES,
	        .uaddr = (uintptr_t)page,
	        .len = PAGE_SIZE_BYTES,
	        .type = ABI_PAGE_CPUID};
	assert_int_equal(command(&g, UAPI_SEV_SNP_LAUNCH_START, &start), 0);
	assert_int_equal(set_private(&g, GUEST_DATA, PAGE_SIZE_BYTES, true), 0);
	forge = forge_cpuid;
	assert_int_equal(command(&g, UAPI_SEV_SNP_LAUNCH_UPDATE, &update), -EIO);
	forge = NULL;
	assert_int_equal(g.error, PSP_INVALID_PARAM);
	assert_int_equal(sim_malice_write(m.host, g.vm, GUEST_DATA, &byte, 1), 0);
	page->entries[0].ecx = 0;
	assert_int_equal(command(&g, UAPI_SEV_SNP_LAUNCH_UPDATE, &update), 0);
	assert_int_equal(sim_malice_write(m.host, g.vm, GUEST_DATA, &byte, 1), SIM_MALICE_RMP_FAULT);
	guest_close(&g);
	machine_close(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_vmm_writes_the_shared_alias),
	        cmocka_unit_test(test_kernel_writes_assigned_pages),
	        cmocka_unit_test(test_kernel_takes_a_page_to_write_it),
	        cmocka_unit_test(test_kernel_swaps_two_pages),
	        cmocka_unit_test(test_kernel_swaps_code),
	        cmocka_unit_test(test_kernel_maps_one_page_twice),
	        cmocka_unit_test(test_kernel_swaps_two_pages_and_their_entries),
	        cmocka_unit_test(test_kernel_puts_a_fresh_page_in_place),
	        cmocka_unit_test(test_vmm_shares_a_page_behind_the_guest),
	        cmocka_unit_test(test_a_launch_that_the_owner_did_not_sign_is_refused),
	        cmocka_unit_test(test_kernel_writes_a_save_area),
	        cmocka_unit_test(test_a_forged_cpuid_page_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
