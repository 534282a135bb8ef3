/* SPDX-License-Identifier: Apache-2.0 */
#include "../../../src/run/script.h"
#include "support/test.h"

static struct err err;

static int parse(const char *text, struct run_script **ret_script)
{
	return run_script_parse("x.expect", text, strlen(text), ret_script, &err);
}

static void assert_text(const struct run_script_text *text, const char *wanted, size_t size)
{
	assert_int_equal(text->size, size);
	assert_memory_equal(text->bytes, wanted, size);
}

static void test_script_every_statement_is_a_step(void **state)
{
	struct run_script *script;

	assert_ok(parse("# to the shell\n"
	                "\n"
	                "expect \"seconds\" or \"Shell>\" timeout 300   # the firmware's\n"
	                "timeout 9\r\n"
	                "\tsend \"a\\r\\n\\t\\e\\\\\\\"\\x00\\xfF #\"#\n"
	                "expect \"b\"\n"
	                "expect end",
	        &script));
	assert_int_equal(script->count, 4);
	assert_int_equal(script->steps[0].kind, RUN_SCRIPT_EXPECT);
	assert_int_equal(script->steps[0].line, 3);
	assert_int_equal(script->steps[0].timeout_s, 300);
	assert_int_equal(script->steps[0].text_count, 2);
	assert_text(&script->steps[0].texts[0], "seconds", 7);
	assert_text(&script->steps[0].texts[1], "Shell>", 6);
	assert_int_equal(script->steps[1].kind, RUN_SCRIPT_SEND);
	assert_text(&script->steps[1].texts[0], "a\r\n\t\x1b\\\"\0\xff #", 11);
	assert_int_equal(script->steps[2].timeout_s, 9);
	assert_int_equal(script->steps[3].kind, RUN_SCRIPT_END);
	assert_int_equal(script->steps[3].timeout_s, 9);
	run_script_destroy(script);
	assert_ok(parse("quit\n", &script));
	assert_int_equal(script->steps[0].kind, RUN_SCRIPT_QUIT);
	run_script_destroy(script);
}

static void test_script_mistake_has_its_place(void **state)
{
	static const struct {
		const char *text, *wanted;
	} cases[] = {
	        {"", "x.expect: has no statement"},
	        {"# nothing\n", "x.expect: has no statement"},
	        {"\n  wait \"a\"", "x.expect:2:3: a statement is wanted: expect, send, timeout or quit"},
	        {"expected \"a\"", "x.expect:1:1: a statement"},
	        {"expect", "x.expect:1:7: a text in quotes is wanted"},
	        {"expect Shell", "x.expect:1:8: a text in quotes"},
	        {"expect \"a\" or", "x.expect:1:14: a text in quotes"},
	        {"expect \"a\" \"b\"", "x.expect:1:12: nothing more is wanted"},
	        {"expect \"a\" timeout", "x.expect:1:19: a number of seconds is wanted, from 1 to 86400"},
	        {"expect \"a\" timeout 0", "x.expect:1:20: a number"},
	        {"timeout 86401", "x.expect:1:9: a number"},
	        {"timeout 99999999999999999999", "x.expect:1:9: a number"},
	        {"timeout 5s", "x.expect:1:10: nothing more"},
	        {"send \"a\nb\"", "x.expect:1:6: the text has no closing quote on its line"},
	        {"send \"a", "x.expect:1:6: the text has no closing quote"},
	        {"send \"a\\\"", "x.expect:1:6: the text has no closing quote"},
	        {"send \"a\\", "x.expect:1:8: no such escape"},
	        {"send \"a\\q\"",
	                "x.expect:1:8: no such escape; there are \\r \\n \\t \\e \\\\ \\\" and \\xNN"},
	        {"send \"\\x1\"", "x.expect:1:9: \\x wants two hexadecimal digits"},
	        {"send \"\\x", "x.expect:1:9: \\x wants two"},
	        {"send \"\x03\"", "x.expect:1:7: a control character; write it as \\x03"},
	        {"send \"\"", "x.expect:1:6: a text has 1 to 1024 bytes"},
	        {"expect \"a\\e\"", "x.expect:1:8: ESC, BEL and NUL are not looked for"},
	        {"expect \"\\x00\"", "x.expect:1:8: ESC, BEL"},
	        {"quit now", "x.expect:1:6: nothing more"},
	        {"quit\nsend \"a\"", "x.expect:2:1: nothing may follow the guest's end, on line 1"},
	        {"expect end\nquit", "x.expect:2:1: nothing may follow"},
	        {"expect \"1\" or \"2\" or \"3\" or \"4\" or \"5\" or \"6\" or \"7\" or \"8\" or \"9\"",
	                "at most 8 texts"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct run_script *script = NULL;

		assert_fails(parse(cases[i].text, &script), ERR_USAGE, cases[i].wanted);
		assert_null(script);
	}
}

static void test_script_statements_are_limited(void **state)
{
	struct run_script *script;
	char text[5 + 9 * (RUN_SCRIPT_STEPS_MAX + 1)] = "";

	for (unsigned i = 0; i < RUN_SCRIPT_STEPS_MAX; i++)
		strcpy(text + 9 * i, "send \"a\"\n");
	assert_ok(parse(text, &script));
	run_script_destroy(script);
	strcpy(text + 9 * RUN_SCRIPT_STEPS_MAX, "quit");
	assert_fails(parse(text, &script), ERR_USAGE, "x.expect:1001:1: at most 1000 statements");
}

/* ---- the screen ---- */

static void show(struct run_script_screen *screen, const char *data, size_t size)
{
	while (size) {
		size_t n = run_script_show(screen, data, size);

		data += n;
		size -= n;
	}
}

static void test_screen_shows_what_a_terminal_would(void **state)
{
	static const char drawn[] = "\x1b[2J\x1b[01;01H\x1b[=3hSh\x1b[40mell\0>\a \x1b]0;a "
	                            "title\aA\x1b]2;x\x1b\\B\x1b(BC\x1b=D\x1b[1\nE\x1b]x\nF";
	static const char wanted[] = "Shell> ABCD\nE\nF";
	struct run_script_screen screen = {0}, split = {0};

	show(&screen, drawn, sizeof(drawn) - 1);
	assert_int_equal(screen.used, sizeof(wanted) - 1);
	assert_memory_equal(screen.text, wanted, sizeof(wanted) - 1);
	/* A sequence may come in pieces. */
	for (size_t i = 0; i < sizeof(drawn) - 1; i++)
		show(&split, drawn + i, 1);
	assert_int_equal(split.used, screen.used);
	assert_memory_equal(split.text, screen.text, screen.used);
}

static void test_screen_finds_the_first_text_behind_the_last_match(void **state)
{
	struct run_script_screen screen = {0};
	struct run_script *script;

	assert_ok(parse("expect \"later\" or \"first\"\nexpect \"later\"\nexpect \"first\"\n", &script));
	show(&screen, "a fir", 5);
	assert_false(run_script_find(&screen, &script->steps[0]));
	show(&screen, "st, and later", 13);
	assert_true(run_script_find(&screen, &script->steps[0]));
	assert_int_equal(screen.seen, 7);
	assert_true(run_script_find(&screen, &script->steps[1]));
	assert_false(run_script_find(&screen, &script->steps[1]));
	assert_false(run_script_find(&screen, &script->steps[2]));
	run_script_destroy(script);
}

/* However much a guest writes, and wherever a text lies in it, it is found. */
static void test_screen_forgets_no_text_that_may_be_found(void **state)
{
	static char noise[3 * sizeof(((struct run_script_screen *)0)->text)];
	struct run_script *script;

	memset(noise, '.', sizeof(noise));
	assert_ok(parse("expect \"needle\"\n", &script));
	for (size_t at = 0; at + 6 < sizeof(noise); at += 7) {
		static struct run_script_screen screen;
		bool found = false;

		screen = (struct run_script_screen){0};
		memcpy(noise + at, "needle", 6);
		for (size_t done = 0; done < sizeof(noise) && !found;) {
			done += run_script_show(&screen, noise + done, sizeof(noise) - done);
			found = run_script_find(&screen, &script->steps[0]);
		}
		assert_true(found);
		memset(noise + at, '.', 6);
	}
	run_script_destroy(script);
}

static void test_screen_tail_is_the_last_lines_safe_to_show(void **state)
{
	struct run_script_screen screen = {0};
	char text[2000] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");

	for (int i = 0; i < 100; i++) {
		char line[32];

		show(&screen, line, (size_t)snprintf(line, sizeof(line), "\r\n  line %d\r\n", i));
	}
	show(&screen, "\x1b[1mShell> \x03\xff", 13);
	assert_non_null(out);
	run_script_tail(&screen, out);
	fclose(out);
	assert_null(strstr(text, "line 85\n"));
	assert_non_null(strstr(text, "    line 86\n    line 87\n"));
	assert_non_null(strstr(text, "    line 99\n    Shell> \\x03"));
	assert_int_equal(text[strlen(text) - 1], '\n');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_script_every_statement_is_a_step),
	        cmocka_unit_test(test_script_mistake_has_its_place),
	        cmocka_unit_test(test_script_statements_are_limited),
	        cmocka_unit_test(test_screen_shows_what_a_terminal_would),
	        cmocka_unit_test(test_screen_finds_the_first_text_behind_the_last_match),
	        cmocka_unit_test(test_screen_forgets_no_text_that_may_be_found),
	        cmocka_unit_test(test_screen_tail_is_the_last_lines_safe_to_show),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
