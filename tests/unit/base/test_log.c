#include "support/test.h"

/* Runs emit() with standard error sent to a pipe and returns what came out. */
static char *captured(void (*emit)(void))
{
	static char text[8192];
	int ends[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	emit();
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(ends[1]);
	n = read(ends[0], text, sizeof(text) - 1);
	text[n < 0 ? 0 : n] = '\0';
	close(ends[0]);
	return text;
}

static void emit_escape(void)
{
	log_error("guest says \033[2J\n");
}

static void emit_long(void)
{
	char text[5000];

	memset(text, '\001', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_error("%s", text);
}

static void emit_debug(void)
{
	log_debug("hidden");
}

static void emit_storm(void)
{
	for (int i = 0; i < 1000; i++)
		log_guest(LOG_ERROR, "storm");
}

static void test_log_control_characters_are_escaped(void **state)
{
	assert_string_equal(captured(emit_escape), "vmm: error: guest says \\x1b[2J\\x0a\n");
}

static void test_log_long_line_is_cut(void **state)
{
	char *text = captured(emit_long);

	assert_in_range(strlen(text), 900, 1100);
	assert_int_equal(text[strlen(text) - 1], '\n');
}

static void test_log_below_level_is_silent(void **state)
{
	assert_string_equal(captured(emit_debug), "");
}

static void test_log_guest_storm_is_limited(void **state)
{
	unsigned count = 0;

	for (char *c = captured(emit_storm); *c; c++)
		count += *c == '\n';
	/* A second may end while it runs: a few lines more, and the line that counts. */
	assert_in_range(count, LOG_LIMIT_BURST, 3 * LOG_LIMIT_BURST + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_log_control_characters_are_escaped),
	        cmocka_unit_test(test_log_long_line_is_cut),
	        cmocka_unit_test(test_log_below_level_is_silent),
	        cmocka_unit_test(test_log_guest_storm_is_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
