/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

static void test_hex_there_and_back(void **state)
{
	const uint8_t bytes[] = {0x00, 0x9f, 0xa0, 0xff};
	uint8_t back[4];
	char text[9];

	hex_encode(bytes, sizeof(bytes), text);
	assert_string_equal(text, "009fa0ff");
	assert_true(hex_decode(text, back, sizeof(back)));
	assert_memory_equal(bytes, back, 4);
	assert_true(hex_decode("009FA0FF", back, sizeof(back)));
}

static void test_hex_wrong_length_or_digit_is_refused(void **state)
{
	uint8_t back[2];

	assert_false(hex_decode("", back, 2));
	assert_false(hex_decode("001", back, 2));
	assert_false(hex_decode("00112", back, 2));
	assert_false(hex_decode("001g", back, 2));
	assert_false(hex_decode(" 011", back, 2));
}

static void assert_shown(const char *text, const char *wanted)
{
	auto_free char *shown = NULL;
	size_t size;
	FILE *out = open_memstream(&shown, &size);

	assert_non_null(out);
	text_put_safe(out, text);
	fclose(out);
	assert_string_equal(shown, wanted);
}

static void test_text_shown_cannot_command_a_terminal(void **state)
{
	assert_shown("caf\xc3\xa9 \033[2J\x7f\n", "caf\xc3\xa9 \\x1b[2J\\x7f\\x0a");
}

/* U+0080 to U+009F as UTF-8 and as bytes: U+009B begins a sequence as ESC [ does. */
static void test_text_shown_has_no_c1_characters(void **state)
{
	assert_shown("a\xc2\x9b"
	             "2J",
	        "a\\xc2\\x9b2J");
	assert_shown("a\xc2\x80\xc2\x9f\xc2\xa0", "a\\xc2\\x80\\xc2\\x9f\xc2\xa0");
	assert_shown("a\x9b"
	             "2J\x80",
	        "a\\x9b2J\\x80");
}

/* The bytes of C1 are those of other characters, too. */
static void test_text_shown_keeps_whole_characters(void **state)
{
	static const char *const whole[] = {"\xc3\x9f", "\xe2\x82\xac", "\xef\xbf\xbd", "\xf0\x9f\x98\x80",
	        "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"};

	for (size_t i = 0; i < ARRAY_LEN(whole); i++)
		assert_shown(whole[i], whole[i]);
	assert_shown("\xc3", "\\xc3");
	assert_shown("\xe2\x82", "\\xe2\\x82");
	assert_shown("\xc0\x9b", "\\xc0\\x9b");          /* not the shortest form */
	assert_shown("\xe0\x82\x9b", "\\xe0\\x82\\x9b"); /* the same, longer */
	assert_shown("\xed\xa0\x80", "\\xed\\xa0\\x80"); /* a surrogate */
	assert_shown("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
	assert_shown("\xff", "\\xff");
}

static void test_text_brief_keeps_both_ends(void **state)
{
	char brief[16];

	assert_string_equal(text_brief("", brief, sizeof(brief)), "");
	assert_string_equal(text_brief("fifteen letters", brief, sizeof(brief)), "fifteen letters");
	assert_string_equal(text_brief("sixteen letters!", brief, sizeof(brief)), "sixtee...tters!");
	/* Each of these has two bytes, and none is cut. */
	assert_string_equal(
	        text_brief("\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc", brief,
	                sizeof(brief)),
	        "\xc3\xa4\xc3\xb6\xc3\xbc...\xc3\xa4\xc3\xb6\xc3\xbc");
	assert_int_equal(
	        strlen(TEXT_VALUE("0123456789012345678901234567890123456789012345678901234567890123456789")),
	        63);
}

static void test_text_amounts_have_one_form(void **state)
{
	static const struct {
		double amount;
		const char *bytes, *count;
	} rows[] = {
	        {0, "0B", "0"},
	        {0.4, "0B", "0"},
	        {999, "999B", "999"},
	        {999.4, "999B", "999"},
	        {999.5, "1000B", "1.0K"},
	        {1000, "1000B", "1K"},
	        {1023, "1023B", "1.0K"},
	        {1024, "1KiB", "1.0K"},
	        {1536, "1.5KiB", "1.5K"},
	        {4096, "4KiB", "4.1K"},
	        {4097, "4.0KiB", "4.1K"},
	        {524288.0 - 1, "512.0KiB", "524.3K"},
	        {1048576.0 - 1, "1.0MiB", "1.0M"},
	        {1048576.0, "1MiB", "1.0M"},
	        {30064771072.0, "28GiB", "30.1G"},
	        {1e18, "888.2PiB", "1E"},
	};
	char text[TEXT_AMOUNT_BYTES];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_string_equal(text_bytes(rows[i].amount, text), rows[i].bytes);
		assert_string_equal(text_count(rows[i].amount, text), rows[i].count);
	}
	/* What a peer may claim is cut. */
	assert_int_equal(strlen(text_bytes(1e300, text)), TEXT_AMOUNT_BYTES - 1);
	assert_int_equal(strlen(text_count(1e300, text)), TEXT_AMOUNT_BYTES - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_text_shown_cannot_command_a_terminal),
	        cmocka_unit_test(test_text_shown_has_no_c1_characters),
	        cmocka_unit_test(test_text_shown_keeps_whole_characters),
	        cmocka_unit_test(test_text_brief_keeps_both_ends),
	        cmocka_unit_test(test_text_amounts_have_one_form),
	        cmocka_unit_test(test_hex_there_and_back),
	        cmocka_unit_test(test_hex_wrong_length_or_digit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
