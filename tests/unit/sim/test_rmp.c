/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose the pages of a SEV-SNP guest are: what each access comes to, and what PVALIDATE, RMPADJUST and
 * RMPQUERY answer. test_rmp_hands.c has how a page changes hands.
 */
#include "snp_guest.h"

/* ---- accesses ---- */

static void test_a_validated_page_is_used(void **state)
{
	struct machine m;
	struct guest g;

	snp_start(&g, &m, 0);
	snp_can(&g, DO_WRITE, GUEST_DATA, 0, 0x42);
	assert_int_equal(snp_can(&g, DO_READ, GUEST_DATA, 0, 0), 0x42);
	snp_can(&g, DO_WRITE, GUEST_DATA, 0, 0xc3); /* ret */
	snp_can(&g, DO_FETCH, GUEST_DATA, 0, 0);
	assert_int_equal(g.memory[GUEST_DATA], 0); /* the VMM's own page is another one */
	snp_ends(&g);
}

/* The first access assigns the page, which helps nobody until it is validated. */
static void test_a_page_that_is_not_validated_raises_vc(void **state)
{
	static const enum snp_do accesses[] = {DO_READ, DO_WRITE, DO_FETCH};
	struct machine m;
	struct guest g;

	snp_start(&g, &m, 0);
	for (size_t i = 0; i < ARRAY_LEN(accesses); i++) {
		snp_gets(&g, accesses[i], FREE, 29, VC_NOT);
		snp_gets(&g, accesses[i], TABLE, 29, VC_NOT);
	}
	assert_true(snp_validates(&g, FREE, true));
	assert_int_equal(snp_can(&g, DO_READ, FREE, 0, 0), 0);
	snp_ends(&g);
}

/* Each of these is the VMM's to answer. */
static void test_the_c_bit_must_be_that_of_the_attribute(void **state)
{
	static const struct {
		enum snp_do what;
		uint64_t at, gpa;
		bool private;
	} rows[] = {
	        {DO_READ, SHARED + FREE, FREE, false}, {DO_WRITE, SHARED + FREE, FREE, false},
	        {DO_PVALIDATE, SHARED + FREE, FREE, false}, {DO_RMPADJUST, SHARED + FREE, FREE, false},
	        {DO_READ, GHCB, GHCB, true}, {DO_WRITE, GHCB, GHCB, true}, {DO_PVALIDATE, GHCB, GHCB, true},
	        {DO_RMPADJUST, GHCB, GHCB, true},
	        {DO_FETCH, SHARED + GHCB, GHCB, true}, /* code is private in any case */
	};
	struct machine m;
	struct guest g;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snp_start(&g, &m, 0);
		snp_asks(&g, rows[i].what, rows[i].at, 0, 1);
		snp_leaves_fault(&g, rows[i].gpa, rows[i].private);
		snp_ends(&g);
	}
}

static void test_a_private_access_without_memory_is_the_vmms(void **state)
{
	struct machine m;
	struct guest g;

	for (int private = 0; private < 2; private ++) {
		snp_start(&g, &m, 0);
		assert_int_equal(set_private(&g, 0x100000, 0x1000, private), 0);
		snp_asks(&g, DO_READ, 0x100000, 0, 0);
		snp_leaves_fault(&g, 0x100000, true);
		snp_asks(&g, DO_PVALIDATE, 0x100000, 0, 1);
		snp_leaves_fault(&g, 0x100000, true);
		snp_ends(&g);
	}
}

/* ---- instructions ---- */

static void test_pvalidate_tells_whether_it_changed_anything(void **state)
{
	struct machine m;
	struct guest g;

	snp_start(&g, &m, 0);
	assert_false(snp_validates(&g, GUEST_DATA, true)); /* the launch validated it */
	assert_true(snp_validates(&g, FREE, true));
	assert_false(snp_validates(&g, FREE, true));
	snp_can(&g, DO_WRITE, FREE, 0, 0x42);
	assert_true(snp_validates(&g, FREE, false));
	assert_false(snp_validates(&g, FREE, false));
	snp_gets(&g, DO_READ, FREE, 29, VC_NOT);
	assert_true(snp_validates(&g, FREE, true));
	assert_int_equal(snp_can(&g, DO_READ, FREE, 0, 0), 0x42);
	snp_ends(&g);
}

#define ON_VMPL(n)   ((uint64_t)(n))
#define GIVING(bits) ((uint64_t)(bits) << 8)
#define AS_VMSA      (UINT64_C(1) << 16)

static void test_the_instructions_refuse_operands(void **state)
{
	static const struct {
		enum snp_do what;
		uint64_t at, size, rdx;
		uint32_t code;
	} rows[] = {
	        {DO_PVALIDATE, 0, 1, 1, 6}, /* 2 MiB, of pages that are assigned as 4 KiB */
	        {DO_PVALIDATE, 0, 1, 0, 6},
	        {DO_PVALIDATE, GUEST_DATA, 1, 1, 1},
	        {DO_RMPADJUST, GUEST_DATA, 0, ON_VMPL(1), 0},
	        {DO_RMPADJUST, GUEST_DATA, 0, ON_VMPL(3) | GIVING(0xf), 0},
	        {DO_RMPADJUST, GUEST_DATA, 0, ON_VMPL(1) | AS_VMSA, 0},
	        {DO_RMPADJUST, GUEST_DATA, 0, ON_VMPL(0), 2}, /* the level must be below the caller's */
	        {DO_RMPADJUST, GUEST_DATA, 0, ON_VMPL(0) | AS_VMSA, 2},
	        {DO_RMPADJUST, GUEST_DATA, 0, ON_VMPL(4), 1},
	        {DO_RMPADJUST, GUEST_DATA, 0, ON_VMPL(1) | GIVING(0x10), 1},
	        {DO_RMPADJUST, GUEST_DATA, 0, ON_VMPL(1) | AS_VMSA << 1, 1},
	        {DO_RMPADJUST, 0, 1, ON_VMPL(1), 6},
	        {DO_RMPADJUST, GUEST_DATA, 1, ON_VMPL(1), 1},
	};
	struct machine m;
	struct guest g;

	snp_start(&g, &m, 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t rax = snp_can(&g, rows[i].what, rows[i].at, rows[i].size, rows[i].rdx);

		if (rax != rows[i].code || !(snp_note_of(&g)->flags & FLAG_ZF) != !!rax)
			fail_msg("row %zu: EAX %llx", i, (unsigned long long)rax);
	}
	snp_ends(&g);
}

static void test_rmpadjust_needs_a_validated_page(void **state)
{
	struct machine m;
	struct guest g;

	snp_start(&g, &m, 0);
	snp_gets(&g, DO_RMPADJUST, FREE, 29, VC_NOT);
	assert_true(snp_validates(&g, FREE, true));
	assert_int_equal(snp_can(&g, DO_RMPADJUST, FREE, 0, 1), 0);
	snp_ends(&g);
}

/* A VMPL below the caller's has the rights that RMPADJUST gave it; the VMSA bit is the page's. */
static void test_rmpquery_tells_what_rmpadjust_gave(void **state)
{
	static const struct {
		uint64_t vmpl, rdx;
		uint32_t code;
	} rows[] = {
	        {1, ON_VMPL(1) | GIVING(0x7) | AS_VMSA, 0},
	        {2, ON_VMPL(2) | AS_VMSA, 0},
	        {3, ON_VMPL(3) | GIVING(0x9) | AS_VMSA, 0},
	        {0, 0, 2},
	        {4, 4, 2},
	        {0xff, 0xff, 2},
	};
	struct machine m;
	struct guest g;

	snp_start_on(&g, &m, "Genoa", 0);
	assert_int_equal(snp_can(&g, DO_RMPQUERY, GUEST_DATA, 0, 3), 0);
	assert_int_equal(snp_note_of(&g)->rdx_after, ON_VMPL(3)); /* the launch gave rights to VMPL 0 alone */
	assert_int_equal(snp_can(&g, DO_RMPADJUST, GUEST_DATA, 0, ON_VMPL(1) | GIVING(0x7)), 0);
	assert_int_equal(snp_can(&g, DO_RMPADJUST, GUEST_DATA, 0, ON_VMPL(3) | GIVING(0x9) | AS_VMSA), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct snp_note *note = snp_note_of(&g);
		uint64_t rax = snp_can(&g, DO_RMPQUERY, GUEST_DATA + 8, 0x5555, rows[i].vmpl);

		if (rax != rows[i].code || !(note->flags & FLAG_ZF) != !!rax ||
		        note->rdx_after != rows[i].rdx)
			fail_msg("row %zu: EAX %llx, RDX %llx", i, (unsigned long long)rax,
			        (unsigned long long)note->rdx_after);
		assert_int_equal(note->rcx_after, rax ? 0x5555 : 0);
	}
	snp_gets(&g, DO_RMPQUERY, FREE, 29, VC_NOT);
	snp_asks(&g, DO_RMPQUERY, GHCB, 0, 1);
	snp_leaves_fault(&g, GHCB, true);
	snp_ends(&g);
}

/* CPUID 8000001F, EAX, bit 6: Milan lacks it. */
static void test_rmpquery_is_there_where_the_product_has_it(void **state)
{
	static const struct {
		const char *product;
		unsigned cpl;
		uint8_t vector;
	} rows[] = {{"Milan", 0, 6}, {"Milan", 3, 6}, {"Genoa", 3, 13}, {"Turin", 3, 13}, {"Turin", 0, 0}};
	struct machine m;
	struct guest g;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snp_start_on(&g, &m, rows[i].product, rows[i].cpl);
		snp_gets(&g, DO_RMPQUERY, GUEST_DATA, rows[i].vector, 0);
		snp_ends(&g);
	}
}

static void test_the_instructions_are_the_kernels(void **state)
{
	static const enum snp_do whats[] = {DO_PVALIDATE, DO_RMPADJUST};
	struct machine m;
	struct guest g;

	for (size_t i = 0; i < ARRAY_LEN(whats); i++) {
		snp_start(&g, &m, 3);
		snp_gets(&g, whats[i], GUEST_DATA, 13, 0);
		snp_ends(&g);
	}
}

static void test_only_snp_guests_have_the_instructions(void **state)
{
	static const struct sim_options genoa = {.product = "Genoa", .seed = 1};
	struct machine m;
	struct guest g;

	machine_open(&m, &genoa);
	ghcb_make(&g, &m, 2);
	guest_add_vcpu(&g);
	snp_prepare(&g, 0);
	guest_launch(&g, ABI_SEV_POLICY_ES);
	snp_gets(&g, DO_PVALIDATE, GUEST_DATA, 6, 0);
	snp_gets(&g, DO_RMPADJUST, GUEST_DATA, 6, 0);
	snp_gets(&g, DO_RMPQUERY, GUEST_DATA, 6, 0);
	snp_ends(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_a_validated_page_is_used),
	        cmocka_unit_test(test_a_page_that_is_not_validated_raises_vc),
	        cmocka_unit_test(test_the_c_bit_must_be_that_of_the_attribute),
	        cmocka_unit_test(test_a_private_access_without_memory_is_the_vmms),
	        cmocka_unit_test(test_pvalidate_tells_whether_it_changed_anything),
	        cmocka_unit_test(test_the_instructions_refuse_operands),
	        cmocka_unit_test(test_rmpadjust_needs_a_validated_page),
	        cmocka_unit_test(test_rmpquery_tells_what_rmpadjust_gave),
	        cmocka_unit_test(test_rmpquery_is_there_where_the_product_has_it),
	        cmocka_unit_test(test_the_instructions_are_the_kernels),
	        cmocka_unit_test(test_only_snp_guests_have_the_instructions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
