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

static void test_text_shown_cannot_command_a_terminal(void **state)
{
	auto_free char *shown = NULL;
	size_t size;
	FILE *out = open_memstream(&shown, &size);

	assert_non_null(out);
	text_put_safe(out, "caf\xc3\xa9 \033[2J\x7f\n");
	fclose(out);
	assert_string_equal(shown, "caf\xc3\xa9 \\x1b[2J\\x7f\\x0a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_text_shown_cannot_command_a_terminal),
	        cmocka_unit_test(test_hex_there_and_back),
	        cmocka_unit_test(test_hex_wrong_length_or_digit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
