/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPUID page of SNP guests against the processor's CPUID: what each rule refuses, and the corrected
 * table.
 */
#include "psp_bench.h"

/* A Milan as far as the rules are tried here. */
static const struct abi_cpuid_entry processor[] = {
        {0x0, 0, 0, 0, 0x10, 0x68747541, 0x444d4163, 0x69746e65, 0},
        {0x1, 0, 0, 0, 0xa00f11, 0x0800, 0x7ef8320b, 0x178bfbff, 0},
        {0x7, 0, 0, 0, 0, 0x219c91a9, 0x0040069c, 0x10, 0},
        {0xd, 0, 0, 0, 0x207, 0x988, 0x988, 0, 0},
        {0xd, 1, 0, 0, 0xf, 0x358, 0x1800, 0, 0},
        {0xd, 2, 0, 0, 0x100, 0x240, 0, 0, 0},
        {0xd, 9, 0, 0, 0x8, 0x980, 0, 0, 0},
        {0xd, 11, 0, 0, 0x10, 0, 1, 0, 0},
        {0x80000000, 0, 0, 0, 0x80000023, 0x68747541, 0x444d4163, 0x69746e65, 0},
        {0x80000001, 0, 0, 0, 0xa00f11, 0x40000000, 0x75c237ff, 0x2fd3fbff, 0},
        {0x80000008, 0, 0, 0, 0x3030, 0x111ef657, 0, 0x10007, 0},
        {0x8000001f, 0, 0, 0, 0x01fd3f, 0x4173, 0x1fd, 0x80, 0},
};

static struct psp *psp;
static uint32_t gctx;

static int setup(void **state)
{
	struct psp_options options = bench_options("Milan");

	options.cpuid = processor;
	options.cpuid_count = ARRAY_LEN(processor);
	if (psp_create(&options, &psp, NULL) < 0)
		return -1;
	return psp_gctx_create(psp, &gctx) || psp_snp_launch_start(psp, gctx, 0x30000, (uint8_t[16]){0}) ||
	                       psp_snp_activate(psp, gctx, 1)
	               ? -1
	               : 0;
}

static int teardown(void **state)
{
	psp_destroy(psp);
	return 0;
}

static uint32_t check(struct abi_cpuid_page *page)
{
	return psp_snp_launch_update(psp, gctx, ABI_PAGE_CPUID, 0x80e000, page);
}

static void test_psp_cpuid_of_the_processor_itself_is_accepted(void **state)
{
	struct abi_cpuid_page page = {.count = ARRAY_LEN(processor)}, before;

	memcpy(page.entries, processor, sizeof(processor));
	page.entries[3].xcr0_in = page.entries[4].xcr0_in = 0x207;
	page.entries[4].xss_in = 0x800;
	page.entries[4].ebx = 0x358; /* header, AVX, protection keys, CET compact */
	before = page;
	assert_code(check(&page), PSP_SUCCESS);
	assert_memory_equal(&page, &before, sizeof(page));
}

/* Entry, what the guest's table says instead, what it is corrected to; equal: accepted. */
static void test_psp_cpuid_rule_refuses_and_corrects(void **state)
{
	static const struct {
		const char *name;
		struct abi_cpuid_entry guest;
		uint32_t eax, ebx, ecx, edx;
	} cases[] = {
	        {"fewer leaves", {0x0, 0, 0, 0, 0xd, 1, 2, 3, 0}, 0xd, 1, 2, 3},
	        {"more leaves", {0x0, 0, 0, 0, 0x20, 1, 2, 3, 0}, 0x10, 1, 2, 3},
	        {"older model", {0x1, 0, 0, 0, 0x800f12, 0x1000800, 0, 0, 0}, 0x800f12, 0x1000800, 0, 0},
	        {"newer model", {0x1, 0, 0, 0, 0xa10f11, 0x800, 0, 0, 0}, 0xa00f11, 0x800, 0, 0},
	        {"CLFLUSH", {0x1, 0, 0, 0, 0xa00f11, 0x7020400, 0, 0, 0}, 0xa00f11, 0x7020800, 0, 0},
	        {"TSC deadline timer", {0x1, 0, 0, 0, 0xa00f11, 0x800, 0x01000001, 0, 0}, 0xa00f11, 0x800, 1,
	                0},
	        {"hypervisor, OSXSAVE", {0x1, 0, 0, 0, 0xa00f11, 0x800, 0x88000000, 0, 0}, 0xa00f11, 0x800,
	                0x88000000, 0},
	        {"TSC_ADJUST", {0x7, 0, 0, 0, 0, 0x3, 0, 0, 0}, 0, 1, 0, 0},
	        {"OSPKE", {0x7, 0, 0, 0, 0, 0, 0x10, 0, 0}, 0, 0, 0x10, 0},
	        {"SPEC_CTRL", {0x7, 0, 0, 0, 0, 0, 0, 0x04000010, 0}, 0, 0, 0, 0x10},
	        {"x87 and SSE", {0xd, 0, 1, 0, 0x204, 0x240, 0, 0, 0}, 0x207, 0x240, 0, 0},
	        {"XSAVE area", {0xd, 0, 7, 0, 7, 0x240, 0, 0, 0}, 7, 0x340, 0, 0},
	        {"XSAVES area", {0xd, 1, 3, 0, 0xf, 0x340, 0, 0, 0}, 0xf, 0x240, 0, 0},
	        {"AVX state", {0xd, 2, 0, 0, 0x80, 0x240, 0, 0, 0}, 0x100, 0x240, 0, 0},
	        {"address bits", {0x80000008, 0, 0, 0, 0x3934, 0, 0, 0, 0}, 0x3030, 0, 0, 0},
	        {"C-bit", {0x8000001f, 0, 0, 0, 0x2, 0x4f2f, 9, 9, 0}, 0x2, 0x4f33, 9, 9},
	        {"VMPLs", {0x8000001f, 0, 0, 0, 0x2, 0x8173, 9, 9, 0}, 0x2, 0x4173, 9, 9},
	        {"unknown leaf", {0x3, 0, 0, 0, 1, 0, 0, 0, 0}, 0, 0, 0, 0},
	        {"unknown leaf of zeros", {0x3, 0, 0, 0, 0, 0, 0, 0, 0}, 0, 0, 0, 0},
	        {"leaf that is not there", {0x8000001b, 0, 0, 0, 1, 0, 0, 0, 0}, 0, 0, 0, 0},
	        {"hypervisor's leaf", {0x40000000, 0, 0, 0, 1, 2, 3, 4, 0}, 1, 2, 3, 4},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct abi_cpuid_page page = {.count = 2, .entries = {[1] = cases[i].guest}};
		struct abi_cpuid_entry *e = &page.entries[1];
		bool right = cases[i].guest.eax == cases[i].eax && cases[i].guest.ebx == cases[i].ebx &&
		             cases[i].guest.ecx == cases[i].ecx && cases[i].guest.edx == cases[i].edx;
		uint32_t code = check(&page);

		if (code != (right ? PSP_SUCCESS : PSP_INVALID_PARAM))
			fail_msg("%s: code %u", cases[i].name, code);
		if (e->eax != cases[i].eax || e->ebx != cases[i].ebx || e->ecx != cases[i].ecx ||
		        e->edx != cases[i].edx)
			fail_msg("%s: corrected to %x %x %x %x", cases[i].name, e->eax, e->ebx, e->ecx,
			        e->edx);
		assert_code(check(&page), PSP_SUCCESS); /* what was corrected is right */
	}
}

static void test_psp_cpuid_page_of_wrong_form_is_refused(void **state)
{
	struct abi_cpuid_page page = {.count = ABI_CPUID_PAGE_MAX + 1};

	assert_code(check(&page), PSP_INVALID_PARAM);
	page = (struct abi_cpuid_page){.reserved_04 = 1};
	assert_code(check(&page), PSP_INVALID_PARAM);
	page = (struct abi_cpuid_page){.reserved_08 = 1};
	assert_code(check(&page), PSP_INVALID_PARAM);
	page = (struct abi_cpuid_page){.count = 1, .entries = {{.reserved = 1}}};
	assert_code(check(&page), PSP_INVALID_PARAM);
	page = (struct abi_cpuid_page){.count = UINT32_MAX};
	assert_code(check(&page), PSP_INVALID_PARAM);
	page = (struct abi_cpuid_page){.count = ABI_CPUID_PAGE_MAX};
	assert_code(check(&page), PSP_SUCCESS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_psp_cpuid_of_the_processor_itself_is_accepted),
	        cmocka_unit_test(test_psp_cpuid_rule_refuses_and_corrects),
	        cmocka_unit_test(test_psp_cpuid_page_of_wrong_form_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
