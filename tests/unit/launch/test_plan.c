/* SPDX-License-Identifier: Apache-2.0 */
#include "image.h"

#include "vmm/launch.h"

static struct image image;
static struct config config;
static struct launch_files files;
static struct launch_plan *plan;

static char empty[] = "", milan[] = "EPYC-Milan", cmdline[] = "console=ttyS0";

static const uint32_t sections[] = {
        0x800000, 0x9000, 1,    /* memory */
        0x80d000, 0x1000, 2,    /* secrets */
        0x80e000, 0x1000, 3,    /* CPUID */
        0x810000, 0x1000, 0x10, /* kernel hashes */
};
#define SECTIONS ((uint32_t)(ARRAY_LEN(sections) / 3))

static void make_image(const uint32_t *words, uint32_t count, uint32_t hash_base)
{
	const uint32_t eip = 0x0080b004, hashes[] = {hash_base, 0x400};

	image_start(&image);
	image_entry(&image, reset_guid, &eip, 4);
	image_entry(&image, hashes_guid, hashes, 8);
	if (words)
		image_metadata(&image, words, count);
	image_end(&image);
}

static int start(void **state)
{
	make_image(sections, SECTIONS, 0x810c00);
	config = (struct config){.firmware = empty};
	config.machine.vcpus = 2;
	config.machine.memory_bytes = MIB(64);
	config.machine.cpu = milan;
	config.boot.kernel = config.boot.initrd = config.boot.cmdline = empty;
	config.sev.type = CONFIG_SEV_SNP;
	config.sev.policy = 0x30000;
	config.sev.vmsa_features = 1;
	files = (struct launch_files){.firmware = {image.bytes, IMAGE_BYTES}};
	return 0;
}

static int stop(void **state)
{
	launch_plan_destroy(plan);
	plan = NULL;
	return 0;
}

static void assert_item(unsigned i, const char *name, enum abi_page_type type, uint64_t at, uint64_t size)
{
	assert_true(i < plan->count);
	assert_string_equal(plan->items[i].name, name);
	assert_int_equal(plan->items[i].type, type);
	assert_int_equal(plan->items[i].gpa.raw, at);
	assert_int_equal(plan->items[i].size_bytes, size);
}

static void test_plan_snp_is_image_sections_and_vmsas(void **state)
{
	struct err err;

	assert_ok(launch_plan_make(&config, &files, &plan, &err));
	assert_int_equal(plan->count, 7);
	assert_item(0, "firmware", ABI_PAGE_NORMAL, GIB(4) - IMAGE_BYTES, IMAGE_BYTES);
	assert_ptr_equal(plan->items[0].data, image.bytes);
	assert_item(1, "memory", ABI_PAGE_ZERO, 0x800000, 0x9000);
	assert_item(2, "secrets page", ABI_PAGE_SECRETS, 0x80d000, 0x1000);
	assert_item(3, "CPUID page", ABI_PAGE_CPUID, 0x80e000, 0x1000);
	assert_item(4, "kernel hashes", ABI_PAGE_ZERO, 0x810000, 0x1000);
	assert_null(plan->items[4].data);
	assert_item(5, "VMSA", ABI_PAGE_VMSA, 0xfffffffff000, 0x1000);
	assert_item(6, "VMSA", ABI_PAGE_VMSA, 0xfffffffff000, 0x1000);
	assert_int_equal(plan->items[6].vcpu, 1);
	assert_int_equal(load_le((const uint8_t *)plan->items[5].data + 0x178, 8), 0xfff0);
	assert_int_equal(load_le((const uint8_t *)plan->items[6].data + 0x178, 8), 0xb004);
	assert_int_equal(load_le((const uint8_t *)plan->items[6].data + 0x310, 8), 0xa00f11);
	assert_int_equal(load_le((const uint8_t *)plan->items[6].data + 0x3b0, 8), 1);
}

static void give_kernel(void)
{
	static char kernel[] = "kernel";

	config.boot.hashes = true;
	config.boot.cmdline = cmdline;
	files.kernel = (struct launch_file){kernel, 6};
}

static void test_plan_snp_hashes_lie_in_their_page_where_the_image_says(void **state)
{
	const uint8_t *page;
	struct err err;

	give_kernel();
	assert_ok(launch_plan_make(&config, &files, &plan, &err));
	assert_item(4, "kernel hashes", ABI_PAGE_NORMAL, 0x810000, 0x1000);
	page = plan->items[4].data;
	assert_int_equal(page[0xbff], 0);
	assert_int_equal(load_le(page + 0xc00, 4), 0x9438d606);
	assert_int_equal(load_le(page + 0xc10, 2), 168);
	assert_int_equal(page[0xcb0], 0);
}

static void test_plan_sev_is_the_image_alone(void **state)
{
	struct err err;

	config.sev.type = CONFIG_SEV;
	config.sev.policy = 1;
	config.sev.vmsa_features = 0;
	assert_ok(launch_plan_make(&config, &files, &plan, &err));
	assert_int_equal(plan->count, 1);
	assert_item(0, "firmware", ABI_PAGE_NORMAL, GIB(4) - IMAGE_BYTES, IMAGE_BYTES);
}

static void test_plan_sev_es_has_the_bare_hash_table_before_the_vmsas(void **state)
{
	struct err err;

	config.sev.type = CONFIG_SEV_ES;
	config.sev.policy = 5;
	config.sev.vmsa_features = 0;
	config.sev.init = CONFIG_SEV_INIT_LEGACY;
	give_kernel();
	assert_ok(launch_plan_make(&config, &files, &plan, &err));
	assert_int_equal(plan->count, 4);
	assert_item(1, "kernel hashes", ABI_PAGE_NORMAL, 0x810c00, 0xb0);
	assert_item(2, "VMSA", ABI_PAGE_VMSA, 0xfffffffff000, 0x1000);
	assert_int_equal(load_le((const uint8_t *)plan->items[2].data + 0x408, 4), 0); /* mxcsr */
}

/* ---- refusals ---- */

static void assert_refused(const char *text)
{
	struct err err;

	assert_fails(launch_plan_make(&config, &files, &plan, &err), ERR_USAGE, text);
	assert_null(plan);
}

static void test_plan_without_sev_or_firmware_is_refused(void **state)
{
	config.sev.type = CONFIG_SEV_NONE;
	assert_refused("nothing of such a guest is measured");
	start(state);
	files.firmware = (struct launch_file){0};
	assert_refused("no firmware");
}

static void test_plan_features_with_legacy_init_are_refused(void **state)
{
	config.sev.init = CONFIG_SEV_INIT_LEGACY;
	config.sev.type = CONFIG_SEV_ES;
	config.sev.policy = 5;
	config.sev.vmsa_features = 0x20;
	assert_refused("set sev.init to init2");
}

static void test_plan_unknown_or_unfixed_cpu_is_refused(void **state)
{
	static char typo[] = "EPYC-Milano", host[] = "host";

	config.machine.cpu = typo;
	assert_refused("there is no CPU model \"EPYC-Milano\"");
	config.machine.cpu = host;
	assert_refused("depends on the host's processor");
}

static void test_plan_vcpus_out_of_range_are_refused(void **state)
{
	config.machine.vcpus = 0;
	assert_refused("0 processors");
	config.machine.vcpus = CONFIG_VCPUS_MAX + 1;
	assert_refused("1 to 512");
}

static void test_plan_image_without_tables_is_refused_with_a_package(void **state)
{
	memset(image.bytes, 0, IMAGE_BYTES);
	assert_refused("those of ovmf in Debian 13");
	config.sev.type = CONFIG_SEV_ES;
	config.sev.policy = 5;
	config.sev.vmsa_features = 0;
	assert_refused("no SEV-ES reset block");
}

static void test_plan_image_of_partial_pages_is_refused(void **state)
{
	files.firmware.size_bytes = IMAGE_BYTES - 1;
	assert_refused("whole pages");
}

static void test_plan_hashes_without_kernel_or_place_are_refused(void **state)
{
	config.boot.hashes = true;
	assert_refused("no kernel to hash");
	give_kernel();
	make_image(sections, SECTIONS - 1, 0x810c00); /* no section */
	assert_refused("ovmf-amdsev");
	config.sev.type = CONFIG_SEV;
	config.sev.policy = 1;
	config.sev.vmsa_features = 0;
	make_image(sections, SECTIONS, 0); /* 0: nowhere */
	assert_refused("ovmf-amdsev");
	make_image(sections, SECTIONS, 0x7fffff0);
	assert_refused("raise machine.memory");
	make_image(sections, SECTIONS, 0x90000000);
	assert_refused("where no guest has memory");
	make_image(sections, SECTIONS, 0x810c08);
	assert_refused("multiple of 16");
}

/* A hostile image: where its hashes would be written must lie in its own page. */
static void test_plan_snp_hashes_outside_their_page_are_refused(void **state)
{
	static const uint32_t bases[] = {0, 0x80fff0, 0x810f60, 0x811000, 0xfffffff0};

	give_kernel();
	for (size_t i = 0; i < ARRAY_LEN(bases); i++) {
		make_image(sections, SECTIONS, bases[i]);
		assert_refused("not inside one page");
	}
}

static void test_plan_sections_that_cannot_be_launched_are_refused(void **state)
{
	static const struct {
		uint32_t words[6];
		const char *text;
	} cases[] = {
	        {{0x800000, 0x9000, 1, 0x808000, 0x1000, 2}, "overlaps memory at 0x800000"},
	        {{0x800000, 0x9000, 1, 0x80d000, 0x1000, 5}, "type 5"},
	        {{0x800000, 0x9000, 1, 0x80d000, 0x2000, 2}, "which has one page"},
	        {{0x800000, 0x9000, 1, 0x80d800, 0x1000, 2}, "whole pages"},
	        {{0x800000, 0x9000, 1, 0x80d000, 0x800, 2}, "whole pages"},
	        {{0x800000, 0x9000, 1, 0x4000000, 0x1000, 2}, "raise machine.memory"},
	        {{0x800000, 0x9000, 1, 0xfffff000, 0x1000, 2}, "where no guest has memory"},
	        {{0x800000, 0xfffff000, 1, 0x80d000, 0x1000, 2}, "where no guest has memory"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		make_image(cases[i].words, 2, 0x810c00);
		assert_refused(cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_plan_snp_is_image_sections_and_vmsas, start, stop),
	        cmocka_unit_test_setup_teardown(
	                test_plan_snp_hashes_lie_in_their_page_where_the_image_says, start, stop),
	        cmocka_unit_test_setup_teardown(test_plan_sev_is_the_image_alone, start, stop),
	        cmocka_unit_test_setup_teardown(
	                test_plan_sev_es_has_the_bare_hash_table_before_the_vmsas, start, stop),
	        cmocka_unit_test_setup(test_plan_without_sev_or_firmware_is_refused, start),
	        cmocka_unit_test_setup(test_plan_features_with_legacy_init_are_refused, start),
	        cmocka_unit_test_setup(test_plan_unknown_or_unfixed_cpu_is_refused, start),
	        cmocka_unit_test_setup(test_plan_vcpus_out_of_range_are_refused, start),
	        cmocka_unit_test_setup(test_plan_image_without_tables_is_refused_with_a_package, start),
	        cmocka_unit_test_setup(test_plan_image_of_partial_pages_is_refused, start),
	        cmocka_unit_test_setup(test_plan_hashes_without_kernel_or_place_are_refused, start),
	        cmocka_unit_test_setup(test_plan_snp_hashes_outside_their_page_are_refused, start),
	        cmocka_unit_test_setup(test_plan_sections_that_cannot_be_launched_are_refused, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
