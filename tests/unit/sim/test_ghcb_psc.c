/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only SEV-SNP guests ask of their hypervisor by the GHCB and by its MSR: page state changes.
 */
#include "snp_guest.h"

#define ENCRYPTED 0x10u /* of the hypercall's third argument */
#define LARGE     0x1u

static void listen(struct guest *g)
{
	const struct kvm_enable_cap cap = {
	        .cap = KVM_CAP_EXIT_HYPERCALL, .args[0] = 1u << 12 /* KVM_HC_MAP_GPA_RANGE */};

	assert_int_equal(call_of(g->m, g->vm, KVM_ENABLE_CAP, &cap), 0);
}

static void ends(struct guest *g)
{
	struct machine *m = g->m;

	guest_close(g);
	machine_close(m);
}

/* The guest writes this to the MSR, and executes VMGEXIT. */
static void vmgexit(struct guest *g, uint64_t msr)
{
	snp_asks(g, DO_VMGEXIT, (uint32_t)msr, 0xc0010130, msr >> 32);
}

/* The guest goes on. Returns the MSR. */
static uint64_t goes_on(struct guest *g)
{
	runs_to(g, KVM_EXIT_HLT);
	assert_int_equal(snp_note_of(g)->vector, 0);
	return snp_note_of(g)->rax_after;
}

/* KVM asks the VMM for a change, which gives this answer when the guest runs again. */
static void asks(struct guest *g, uint64_t gfn, uint64_t pages, uint64_t flags, uint64_t ret)
{
	runs_to(g, KVM_EXIT_HYPERCALL);
	assert_int_equal(g->run->hypercall.nr, 12);
	assert_int_equal(g->run->hypercall.args[0], gfn << 12);
	assert_int_equal(g->run->hypercall.args[1], pages);
	assert_int_equal(g->run->hypercall.args[2], flags);
	assert_int_equal(g->run->hypercall.ret, 0);
	g->run->hypercall.ret = ret;
}

static void starts(struct guest *g, struct machine *m)
{
	snp_start(g, m, 0);
	listen(g);
	vmgexit(g, ABI_GHCB_MSR_OF(GHCB >> 12, ABI_GHCB_MSR_REGISTER_ASK));
	assert_int_equal(goes_on(g), ABI_GHCB_MSR_OF(GHCB >> 12, ABI_GHCB_MSR_REGISTER));
}

/* ---- by the MSR ---- */

static uint64_t msr_psc(uint64_t gfn, uint64_t operation)
{
	return operation << 52 | gfn << 12 | ABI_GHCB_MSR_PSC_ASK;
}

static void test_msr_changes_one_page(void **state)
{
	struct machine m;
	struct guest g;

	snp_start(&g, &m, 0);
	vmgexit(&g, msr_psc(3, 1)); /* the VMM does not take the call */
	assert_int_equal(goes_on(&g), ABI_GHCB_MSR_PSC_FAILED);
	listen(&g);
	vmgexit(&g, msr_psc(3, 1));
	asks(&g, 3, 1, ENCRYPTED, 0);
	assert_int_equal(goes_on(&g), ABI_GHCB_MSR_PSC);
	vmgexit(&g, msr_psc(0xff12345678, 2));
	asks(&g, 0xff12345678, 1, 0, EINVAL);
	assert_int_equal(goes_on(&g), ABI_GHCB_MSR_PSC_FAILED);
	vmgexit(&g, msr_psc(3, 1));
	asks(&g, 3, 1, ENCRYPTED, EAGAIN);
	assert_int_equal(goes_on(&g), ABI_GHCB_MSR_PSC_FAILED);
	for (unsigned operation = 0; operation < 16; operation++) {
		if (operation == 1 || operation == 2)
			continue;
		vmgexit(&g, msr_psc(3, operation));
		assert_int_equal(goes_on(&g), ABI_GHCB_MSR_PSC_FAILED);
	}
	ends(&g);
}

static void test_the_vmms_answer_must_be_one_of_three(void **state)
{
	static const uint64_t answers[] = {1, EPERM + 1, (uint64_t)-EINVAL};
	struct machine m;
	struct guest g;

	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		starts(&g, &m);
		vmgexit(&g, msr_psc(3, 1));
		asks(&g, 3, 1, ENCRYPTED, answers[i]);
		assert_int_equal(guest_run(&g), -EINVAL);
		ends(&g);
	}
}

/* ---- by a list ---- */

#define ENTRY(gfn, operation, done) ((uint64_t)(done) | (uint64_t)(gfn) << 12 | (uint64_t)(operation) << 52)
#define BIG                         (UINT64_C(1) << 56)

static struct abi_ghcb_psc *list_of(struct guest *g)
{
	return (struct abi_ghcb_psc *)(void *)ghcb_of(g)->shared_buffer;
}

static void give_list(struct guest *g, const uint64_t *entries, unsigned current, unsigned end)
{
	ask(g, ABI_GHCB_PSC, 0, 0);
	GIVE(g, sw_scratch, GHCB + ABI_GHCB_SHARED_AT);
	list_of(g)->current = (uint16_t)current;
	list_of(g)->end = (uint16_t)end;
	for (unsigned i = 0; i <= end && i < 253; i++)
		list_of(g)->entries[i] = entries[i];
	vmgexit(g, GHCB);
}

static void is_answered(struct guest *g, uint64_t info_1, uint64_t info_2)
{
	assert_int_equal(goes_on(g), GHCB);
	assert_answer(g, info_1, info_2);
}

static void test_list_leaves_once_for_each_run(void **state)
{
	static const uint64_t entries[] = {
	        ENTRY(0x10, 1, 1), /* done before */
	        ENTRY(0x11, 1, 0),
	        ENTRY(0x12, 1, 0),
	        ENTRY(0x13, 2, 0), /* another operation */
	        ENTRY(0x15, 2, 0), /* another place */
	        ENTRY(0x16, 2, 1), /* done before */
	        ENTRY(0x200, 1, 0) | BIG,
	        ENTRY(0x400, 1, 0) | BIG,
	        ENTRY(0x600, 1, 0), /* another size */
	        ENTRY(0x601, 3, 0), /* KVM does not know it, and takes it for done */
	        ENTRY(0x800, 2, 500) | BIG,
	};
	struct machine m;
	struct guest g;

	starts(&g, &m);
	give_list(&g, entries, 0, ARRAY_LEN(entries) - 1);
	asks(&g, 0x11, 2, ENCRYPTED, 0);
	asks(&g, 0x13, 1, 0, 0);
	asks(&g, 0x15, 1, 0, 0);
	asks(&g, 0x200, 1024, ENCRYPTED | LARGE, 0);
	asks(&g, 0x600, 1, ENCRYPTED, 0);
	asks(&g, 0x800 + 500, 12, LARGE, 0);
	is_answered(&g, 0, 0);
	assert_int_equal(list_of(&g)->current, ARRAY_LEN(entries));
	for (size_t i = 0; i < ARRAY_LEN(entries); i++)
		assert_int_equal(list_of(&g)->entries[i],
		        (entries[i] & ~UINT64_C(0xfff)) | (entries[i] & BIG ? 512 : 1));
	/* There is nothing left to do. */
	ghcb_of(&g)->sw_exit_code = ABI_GHCB_PSC;
	ghcb_mark(&g, ABI_GHCB_BIT(sw_exit_code));
	ghcb_mark(&g, ABI_GHCB_BIT(sw_scratch));
	vmgexit(&g, GHCB);
	is_answered(&g, 0, 0);
	ends(&g);
}

static void test_list_ends_where_the_vmm_refuses(void **state)
{
	static const uint64_t entries[] = {ENTRY(0x10, 1, 0), ENTRY(0x20, 1, 0), ENTRY(0x30, 1, 0)};
	static const uint64_t answers[] = {EINVAL, EAGAIN};
	struct machine m;
	struct guest g;

	starts(&g, &m);
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		give_list(&g, entries, 0, 2);
		asks(&g, 0x10, 1, ENCRYPTED, 0);
		asks(&g, 0x20, 1, ENCRYPTED, answers[i]);
		is_answered(&g, 0, ABI_GHCB_PSC_FAILED);
		assert_int_equal(list_of(&g)->current, 1);
		assert_int_equal(list_of(&g)->entries[0], entries[0] | 1);
		assert_int_equal(list_of(&g)->entries[1], entries[1]);
	}
	give_list(&g, entries, 0, 2);
	asks(&g, 0x10, 1, ENCRYPTED, 7);
	assert_int_equal(guest_run(&g), -EINVAL);
	ends(&g);
}

static void test_list_with_faults(void **state)
{
	static const struct {
		uint64_t entry, code;
		unsigned current, end, at;
	} rows[] = {
	        {ENTRY(0x10, 1, 2), ABI_GHCB_PSC_BAD_ENTRY, 0, 0, 0}, /* more is done than there is */
	        {ENTRY(0x200, 1, 513) | BIG, ABI_GHCB_PSC_BAD_ENTRY, 0, 0, 0},
	        {ENTRY(0x201, 1, 0) | BIG, ABI_GHCB_PSC_BAD_ENTRY, 0, 0, 0}, /* no place for 2 MiB */
	        {ENTRY(0x10, 1, 0), ABI_GHCB_PSC_BAD_HEADER, 0, 253, 0},
	        {ENTRY(0x10, 1, 0), ABI_GHCB_PSC_BAD_HEADER, 0, 0xffff, 0},
	        {ENTRY(0x10, 1, 0), 0, 1, 0, 1}, /* begins behind its end */
	};
	struct machine m;
	struct guest g;

	starts(&g, &m);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t entries[253] = {rows[i].entry};

		give_list(&g, entries, rows[i].current, rows[i].end);
		is_answered(&g, 0, rows[i].code);
		assert_int_equal(list_of(&g)->current, rows[i].at);
	}
	/* A list that begins later in the buffer has less room. */
	give_list(&g, (uint64_t[253]){0}, 0, 252);
	ghcb_of(&g)->sw_scratch += 8;
	memset(ghcb_of(&g)->shared_buffer, 0, ABI_GHCB_SHARED_BYTES);
	ghcb_of(&g)->shared_buffer[8 + 2] = 252;
	is_answered(&g, 0, ABI_GHCB_PSC_BAD_HEADER);
	ends(&g);
}

static void test_list_must_be_in_the_page(void **state)
{
	static const uint64_t places[] = {OUTSIDE, GHCB, GHCB + ABI_GHCB_SHARED_AT - 8,
	        GHCB + ABI_GHCB_SHARED_AT + ABI_GHCB_SHARED_BYTES - 4};
	struct machine m;
	struct guest g;

	starts(&g, &m);
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		give_list(&g, (uint64_t[1]){ENTRY(0x10, 1, 0)}, 0, 0);
		ghcb_of(&g)->sw_scratch = places[i];
		is_answered(&g, ABI_GHCB_MALFORMED, ABI_GHCB_BAD_SCRATCH);
	}
	ask(&g, ABI_GHCB_PSC, 0, 0);
	vmgexit(&g, GHCB);
	is_answered(&g, ABI_GHCB_MALFORMED, ABI_GHCB_MISSING_INPUT);
	ends(&g);
}

static void test_list_needs_a_vmm_that_listens_and_a_registered_page(void **state)
{
	struct machine m;
	struct guest g;

	snp_start(&g, &m, 0);
	give_list(&g, (uint64_t[1]){ENTRY(0x10, 1, 0)}, 0, 0);
	is_answered(&g, ABI_GHCB_MALFORMED, ABI_GHCB_NOT_REGISTERED);
	vmgexit(&g, ABI_GHCB_MSR_OF(GHCB >> 12, ABI_GHCB_MSR_REGISTER_ASK));
	goes_on(&g);
	give_list(&g, (uint64_t[1]){ENTRY(0x10, 1, 0)}, 0, 0);
	is_answered(&g, 0, ABI_GHCB_PSC_FAILED);
	ends(&g);
}

/* ---- the whole way ---- */

/* The guest gives a page away, the VMM reads it, and the guest gets it back, empty. */
static void test_a_page_goes_to_the_vmm_and_back(void **state)
{
	const uint64_t gfn = GUEST_DATA >> 12;
	struct machine m;
	struct guest g;

	starts(&g, &m);
	assert_int_equal(snp_can(&g, DO_PVALIDATE, GUEST_DATA, 0, 0), 0);
	give_list(&g, (uint64_t[1]){ENTRY(gfn, 2, 0)}, 0, 0);
	asks(&g, gfn, 1, 0, 0);
	assert_int_equal(set_private(&g, GUEST_DATA, 0x1000, false), 0);
	snp_punch(&g, GUEST_DATA, 0x1000);
	is_answered(&g, 0, 0);
	snp_can(&g, DO_WRITE, SHARED + GUEST_DATA, 0, 0x42);
	assert_int_equal(g.memory[GUEST_DATA], 0x42);
	give_list(&g, (uint64_t[1]){ENTRY(gfn, 1, 0)}, 0, 0);
	asks(&g, gfn, 1, ENCRYPTED, 0);
	assert_int_equal(set_private(&g, GUEST_DATA, 0x1000, true), 0);
	is_answered(&g, 0, 0);
	snp_gets(&g, DO_READ, GUEST_DATA, 29, VC_NOT);
	assert_int_equal(snp_can(&g, DO_PVALIDATE, GUEST_DATA, 0, 1), 0);
	assert_int_equal(snp_can(&g, DO_READ, GUEST_DATA, 0, 0), 0);
	ends(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_msr_changes_one_page),
	        cmocka_unit_test(test_the_vmms_answer_must_be_one_of_three),
	        cmocka_unit_test(test_list_leaves_once_for_each_run),
	        cmocka_unit_test(test_list_ends_where_the_vmm_refuses),
	        cmocka_unit_test(test_list_with_faults),
	        cmocka_unit_test(test_list_must_be_in_the_page),
	        cmocka_unit_test(test_list_needs_a_vmm_that_listens_and_a_registered_page),
	        cmocka_unit_test(test_a_page_goes_to_the_vmm_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
