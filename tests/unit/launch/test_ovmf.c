/* SPDX-License-Identifier: Apache-2.0 */
#include "../../../src/launch/plan.h"
#include "image.h"

#include "vmm/launch.h"

static struct image image;

static const uint32_t sections[] = {
        0x800000, 0x9000, 1, /* memory */
        0x80d000, 0x1000, 2, /* secrets */
        0x80f000, 0, 4,      /* empty */
        0x80e000, 0x1000, 3, /* CPUID */
};

static int start(void **state)
{
	const uint32_t eip = 0x0080b004, hashes[] = {0x810c00, 0x400};

	image_start(&image);
	image_entry(&image, reset_guid, &eip, 4);
	image_entry(&image, hashes_guid, hashes, 8);
	image_metadata(&image, sections, 4);
	image_end(&image);
	return 0;
}

static void test_ovmf_tables_are_read_and_empty_sections_skipped(void **state)
{
	struct launch_ovmf ovmf;
	struct err err;

	assert_ok(launch_ovmf_parse(image.bytes, IMAGE_BYTES, &ovmf, &err));
	assert_true(ovmf.has_table);
	assert_true(ovmf.reset.present);
	assert_int_equal(ovmf.reset.value[0], 0x0080b004);
	assert_true(ovmf.hashes.present);
	assert_int_equal(ovmf.hashes.value[0], 0x810c00);
	assert_int_equal(ovmf.hashes.value[1], 0x400);
	assert_false(ovmf.secret.present);
	assert_int_equal(ovmf.section_count, 3);
	assert_int_equal(ovmf.sections[0].gpa, 0x800000);
	assert_int_equal(ovmf.sections[0].size, 0x9000);
	assert_int_equal(ovmf.sections[1].type, ABI_OVMF_SECRETS);
	assert_int_equal(ovmf.sections[2].type, ABI_OVMF_CPUID);
}

static void test_ovmf_image_without_table_is_no_error(void **state)
{
	static const size_t sizes[] = {0, 1, 31, 49, 50, 51, 4096};
	struct launch_ovmf ovmf;
	struct err err;

	memset(image.bytes, 0, sizeof(image.bytes));
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		assert_ok(launch_ovmf_parse(image.bytes, sizes[i], &ovmf, &err));
		assert_false(ovmf.has_table);
		assert_false(ovmf.reset.present);
	}
}

static void test_ovmf_footer_longer_than_the_image_is_refused(void **state)
{
	struct launch_ovmf ovmf;
	struct err err;

	/* The image is cut to its last 60 bytes: the footer fits, but not the table that it describes. */
	assert_fails(launch_ovmf_parse(image.bytes + IMAGE_BYTES - 60, 60, &ovmf, &err), ERR_USAGE,
	        "the image is damaged");
	store_le(image.bytes + IMAGE_FOOTER_AT, 2, 17);
	assert_fails(launch_ovmf_parse(image.bytes, IMAGE_BYTES, &ovmf, &err), ERR_USAGE, "17 bytes");
}

static void test_ovmf_entry_with_a_bad_length_is_refused(void **state)
{
	static const uint16_t lengths[] = {0, 17, 0xffff};
	struct launch_ovmf ovmf;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		store_le(image.bytes + IMAGE_FOOTER_AT - 18, 2, lengths[i]);
		assert_fails(launch_ovmf_parse(image.bytes, IMAGE_BYTES, &ovmf, &err), ERR_USAGE,
		        "the image is damaged");
	}
}

static void test_ovmf_entry_without_room_for_its_numbers_is_refused(void **state)
{
	struct launch_ovmf ovmf;
	struct err err;

	image_start(&image);
	image_entry(&image, reset_guid, "abc", 3);
	image_end(&image);
	assert_fails(launch_ovmf_parse(image.bytes, IMAGE_BYTES, &ovmf, &err), ERR_USAGE, "only 3 bytes");
}

static void test_ovmf_entry_given_twice_is_refused(void **state)
{
	struct launch_ovmf ovmf;
	struct err err;

	image_entry(&image, reset_guid, "abcd", 4);
	image_end(&image);
	assert_fails(launch_ovmf_parse(image.bytes, IMAGE_BYTES, &ovmf, &err), ERR_USAGE,
	        "two entries \"SEV-ES reset block\"");
}

static void test_ovmf_metadata_that_contradicts_itself_is_refused(void **state)
{
	static const struct {
		unsigned offset;
		uint32_t value;
		const char *text;
	} cases[] = {
	        {0, 0, "does not begin with \"ASEV\""},
	        {4, 15, "4 sections in 15 bytes"},
	        {4, 16 + 4 * 12 - 1, "4 sections in 63 bytes"},
	        {8, 2, "version 2"},
	        {12, 0xffffffff, "4294967295 sections"},
	};
	struct launch_ovmf ovmf;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		start(state);
		store_le(image.bytes + IMAGE_METADATA_AT + cases[i].offset, 4, cases[i].value);
		assert_fails(
		        launch_ovmf_parse(image.bytes, IMAGE_BYTES, &ovmf, &err), ERR_USAGE, cases[i].text);
	}
}

static void test_ovmf_metadata_outside_the_image_is_refused(void **state)
{
	static const struct {
		uint32_t from_end;
		const char *text;
	} cases[] = {
	        {IMAGE_BYTES + 1, "before the end"},
	        {0xffffffff, "before the end"},
	        {15, "does not begin"},
	};
	struct launch_ovmf ovmf;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		image_start(&image);
		image_entry(&image, metadata_guid, &cases[i].from_end, 4);
		image_end(&image);
		assert_fails(
		        launch_ovmf_parse(image.bytes, IMAGE_BYTES, &ovmf, &err), ERR_USAGE, cases[i].text);
	}
}

/*
 * Lengths that agree with their own counts, at the very end of the image. Walking the last one would take
 * long.
 */
static void test_ovmf_metadata_past_the_end_is_refused(void **state)
{
	static const uint32_t from_end = 16, headers[][3] = {{16 + 12 * 2, 1, 2}, {16 + 1, 1, 0},
	                                             {0xffffffff, 1, 0x15555553}};
	struct launch_ovmf ovmf;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
		image_start(&image);
		image_entry(&image, metadata_guid, &from_end, 4);
		image_end(&image);
		memcpy(image.bytes + IMAGE_BYTES - 16, "ASEV", 4);
		memcpy(image.bytes + IMAGE_BYTES - 12, headers[i], 12);
		assert_fails(
		        launch_ovmf_parse(image.bytes, IMAGE_BYTES, &ovmf, &err), ERR_USAGE, "past the end");
	}
}

static void test_ovmf_more_sections_than_fit_are_refused(void **state)
{
	uint32_t words[3 * (LAUNCH_SECTIONS_MAX + 1)];
	struct launch_ovmf ovmf;
	struct err err;

	for (unsigned i = 0; i <= LAUNCH_SECTIONS_MAX; i++)
		memcpy(words + 3 * i, (uint32_t[]){i << 12, 0x1000, 1}, 12);
	for (unsigned count = LAUNCH_SECTIONS_MAX; count <= LAUNCH_SECTIONS_MAX + 1; count++) {
		image_start(&image);
		image_metadata(&image, words, count);
		image_end(&image);
		if (count == LAUNCH_SECTIONS_MAX)
			assert_ok(launch_ovmf_parse(image.bytes, IMAGE_BYTES, &ovmf, &err));
		else
			assert_fails(launch_ovmf_parse(image.bytes, IMAGE_BYTES, &ovmf, &err), ERR_USAGE,
			        "more than 32 sections");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup(test_ovmf_tables_are_read_and_empty_sections_skipped, start),
	        cmocka_unit_test(test_ovmf_image_without_table_is_no_error),
	        cmocka_unit_test_setup(test_ovmf_footer_longer_than_the_image_is_refused, start),
	        cmocka_unit_test_setup(test_ovmf_entry_with_a_bad_length_is_refused, start),
	        cmocka_unit_test(test_ovmf_entry_without_room_for_its_numbers_is_refused),
	        cmocka_unit_test_setup(test_ovmf_entry_given_twice_is_refused, start),
	        cmocka_unit_test_setup(test_ovmf_metadata_that_contradicts_itself_is_refused, start),
	        cmocka_unit_test(test_ovmf_metadata_outside_the_image_is_refused),
	        cmocka_unit_test(test_ovmf_metadata_past_the_end_is_refused),
	        cmocka_unit_test(test_ovmf_more_sections_than_fit_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
