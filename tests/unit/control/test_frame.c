/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame: where values end in a stream of bytes, however it is cut, and what QEMU's dialect becomes.
 */
#include <string.h>

#include "../../../src/control/frame.h"
#include "support/test.h"
#include "vmm/base.h"

/* Feeds a text in pieces and writes each value, or what is wrong, on a line of its own. */
static void read_all(const char *text, size_t size, size_t piece, char *lines, size_t room)
{
	struct control_frame frame = {0};
	FILE *out = fmemopen(lines, room, "w");

	assert_non_null(out);
	for (size_t at = 0; at < size; at += piece) {
		const uint8_t *data = (const uint8_t *)text + at;
		size_t left = size - at < piece ? size - at : piece;

		while (left) {
			const char *why = NULL;
			enum control_frame_result result = control_frame_feed(&frame, &data, &left, &why);

			if (result == CONTROL_FRAME_BAD) {
				fprintf(out, "%s\n", why);
			} else if (result == CONTROL_FRAME_WHOLE) {
				size_t used;
				auto_free char *value = control_frame_take(&frame, &used);

				assert_int_equal(strlen(value), used);
				fprintf(out, "%s\n", value);
			} else {
				assert_int_equal(result, CONTROL_FRAME_MORE);
			}
		}
	}
	control_frame_finish(&frame);
	fclose(out);
}

/* The values must not depend on how the bytes come. */
static void assert_frames(const char *text, const char *expected)
{
	static const size_t pieces[] = {1, 2, 3, 7, 4096};

	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		char lines[4096] = "";

		read_all(text, strlen(text), pieces[i], lines, sizeof(lines));
		assert_string_equal(lines, expected);
	}
}

#define BAD "JSON parse error, invalid character or token\n"

static void test_objects_need_nothing_between_them(void **state)
{
	assert_frames("{\"a\": 1}{\"b\":[2,{}]}\r\n\n{}\n", "{\"a\": 1}\n{\"b\":[2,{}]}\n{}\n");
	assert_frames("{\"a\":\n1}", "{\"a\": 1}\n");
}

static void test_brackets_in_strings_are_text(void **state)
{
	assert_frames("{\"a\":\"}]{[\\\"}\"}", "{\"a\":\"}]{[\\\"}\"}\n");
}

static void test_single_quotes_become_double(void **state)
{
	assert_frames("{'execute': 'a\"b\\'c\\n'}", "{\"execute\": \"a\\\"b'c\\n\"}\n");
	assert_frames("{\"a\": \"it\\'s\"}", "{\"a\": \"it's\"}\n");
}

static void test_values_outside_objects_are_found(void **state)
{
	assert_frames("12 true 'x' [] null\n", "12\ntrue\n\"x\"\n[]\nnull\n");
}

static void test_integers_of_more_than_64_bits_become_real(void **state)
{
	assert_frames(
	        "[9223372036854775807,-9223372036854775808]", "[9223372036854775807,-9223372036854775808]\n");
	assert_frames("[9223372036854775808, -9223372036854775809, 1e999]",
	        "[9223372036854775808.0, -9223372036854775809.0, 1e999]\n");
	assert_frames("18446744073709551616 ", "18446744073709551616.0\n");
}

static void test_bad_byte_begins_anew(void **state)
{
	assert_frames("{\"a\": @{\"b\":1}", BAD "{\"b\":1}\n");
	assert_frames("{\"a\": \"\x01{}", BAD "{}\n");
	assert_frames("\xff{}", BAD "{}\n");
	assert_frames("{\"a\":\"\xff"
	              "{}",
	        BAD "{}\n");
	assert_frames("@@@ \"x\" 12 \n{}", BAD "{}\n");
}

static void test_stray_token_is_no_value(void **state)
{
	assert_frames("}{}", "JSON parse error, expecting value\n{}\n");
	assert_frames("{]{}", "JSON parse error, expecting value\n{}\n");
	assert_frames(",:{}", "JSON parse error, expecting value\nJSON parse error, expecting value\n{}\n");
	/* The bracket behind a broken string is one, too. */
	assert_frames("{\"a\":\"\xff\"}{}", BAD "JSON parse error, expecting value\n{}\n");
}

static void test_byte_order_mark_is_refused_once(void **state)
{
	assert_frames("\xef\xbb\xbf{}", BAD "{}\n");
}

static void test_too_deep_is_skipped_to_the_end_of_the_line(void **state)
{
	char text[CONTROL_FRAME_MAX_DEPTH * 2 + 20], lines[2 * CONTROL_FRAME_MAX_DEPTH + 100] = "";

	memset(text, '[', CONTROL_FRAME_MAX_DEPTH);
	memset(text + CONTROL_FRAME_MAX_DEPTH, ']', CONTROL_FRAME_MAX_DEPTH);
	read_all(text, CONTROL_FRAME_MAX_DEPTH * 2, 100, lines, sizeof(lines));
	assert_int_equal(strlen(lines), CONTROL_FRAME_MAX_DEPTH * 2 + 1);

	memset(text, '[', CONTROL_FRAME_MAX_DEPTH + 1);
	memset(text + CONTROL_FRAME_MAX_DEPTH + 1, ']', CONTROL_FRAME_MAX_DEPTH - 10);
	strcpy(text + CONTROL_FRAME_MAX_DEPTH * 2 - 9, "\n{}");
	memset(lines, 0, sizeof(lines));
	read_all(text, strlen(text), 100, lines, sizeof(lines));
	assert_string_equal(lines, "JSON nesting depth limit exceeded\n{}\n");
}

static void test_too_long_costs_no_memory(void **state)
{
	struct control_frame frame = {0};
	uint8_t block[4096];
	unsigned mistakes = 0;
	const char *why = NULL;

	memset(block, 'x', sizeof(block));
	block[0] = '"';
	for (unsigned i = 0; i < 1024; i++) { /* 4 MiB of one string */
		const uint8_t *data = block;
		size_t left = sizeof(block);

		while (left) {
			if (control_frame_feed(&frame, &data, &left, &why) == CONTROL_FRAME_BAD)
				mistakes++;
		}
		assert_true(frame.room <= 2 * CONTROL_FRAME_MAX_BYTES);
		block[0] = 'x';
	}
	assert_int_equal(mistakes, 1);
	assert_string_equal(why, "JSON token size limit exceeded");
	control_frame_finish(&frame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_objects_need_nothing_between_them),
	        cmocka_unit_test(test_brackets_in_strings_are_text),
	        cmocka_unit_test(test_single_quotes_become_double),
	        cmocka_unit_test(test_values_outside_objects_are_found),
	        cmocka_unit_test(test_integers_of_more_than_64_bits_become_real),
	        cmocka_unit_test(test_bad_byte_begins_anew),
	        cmocka_unit_test(test_stray_token_is_no_value),
	        cmocka_unit_test(test_byte_order_mark_is_refused_once),
	        cmocka_unit_test(test_too_deep_is_skipped_to_the_end_of_the_line),
	        cmocka_unit_test(test_too_long_costs_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
