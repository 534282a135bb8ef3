/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation fails once: nothing crashes or leaks, and no failure passes for a success. The linker
 * wraps the allocating functions (meson.build), and jansson has a function of its own to replace them.
 */
#include <jansson.h>

#include "parse.h"

static long countdown = -1; /* how many allocations still succeed; -1: all */

static bool fails(void)
{
	return countdown >= 0 && countdown-- == 0;
}

#define WRAP(type, name, parameters, arguments, failure) \
	type __real_##name parameters; \
	type __wrap_##name parameters; \
	type __wrap_##name parameters \
	{ \
		return fails() ? (failure) : __real_##name arguments; \
	}

WRAP(void *, malloc, (size_t size), (size), NULL)
WRAP(void *, calloc, (size_t n, size_t size), (n, size), NULL)
WRAP(void *, reallocarray, (void *p, size_t n, size_t size), (p, n, size), NULL)
WRAP(char *, strdup, (const char *s), (s), NULL)
WRAP(char *, strndup, (const char *s, size_t n), (s, n), NULL)
WRAP(FILE *, open_memstream, (char **p, size_t *size), (p, size), NULL)
WRAP(int, vasprintf, (char **p, const char *fmt, va_list args), (p, fmt, args), -1)

int __wrap_asprintf(char **p, const char *fmt, ...) PRINTF(2, 3);
int __wrap_asprintf(char **p, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = __wrap_vasprintf(p, fmt, args);
	va_end(args);
	return n;
}

/* Returns whether the n-th allocation was never asked for. */
static bool run_with_failure(long n, const char *text, bool good)
{
	static const char *const sets[] = {
	        "machine.memory=2G", "sev.type=sev-snp", "--net user,mtu=1500", "devices[0].mtu=1400"};
	struct config_mistakes mistakes = {0};
	struct config *config = NULL;
	bool done;
	int result;

	countdown = n;
	result = config_parse(
	        "t", text, strlen(text), sets, ARRAY_LEN(sets), config_check_files, &config, &mistakes);
	done = countdown >= 0;
	countdown = -1;
	if (done)
		assert_int_equal(result, good ? 0 : -1);
	assert_true((result == 0) == (config != NULL));
	if (result == 0) {
		assert_int_equal(mistakes.count, 0);
		assert_string_equal(config->name, "x");
		assert_int_equal(config->sev.type, CONFIG_SEV_SNP);
	}
	config_destroy(config);
	config_mistakes_finish(&mistakes);
	return done;
}

static void test_config_survives_every_failing_allocation(void **state)
{
	const char *good = "{\"name\": \"x\", \"firmware\": \"/proc/self/exe\", \"machine\": {\"vcpus\": 2},"
	                   " \"sev\": {\"policy\": [\"smt\"]}, \"devices\": [{\"driver\": \"net\"},"
	                   " {\"driver\": \"blk\", \"file\": \"/proc/self/exe\"}]}";
	const char *bad = "{\"name\": 3, \"firmware\": \"/nonexistent\", \"machine\": 3, \"nmae\": 1,"
	                  " \"sev\": {\"policy\": [\"smt\"], \"policy\": 0, \"id-block\": \"x\"},"
	                  " \"devices\": [{\"driver\": \"blk\", \"path\": 1}, 3, {\"tag\": \"a\"}]}";
	long n = 0;

	while (!run_with_failure(n, good, true))
		n++;
	assert_true(n > 50); /* the wrapping works */
	for (n = 0; !run_with_failure(n, bad, false);)
		n++;
	assert_true(n > 50);
	for (n = 0; !run_with_failure(n, "{\"name\": tru", false);)
		n++;
}

static void test_mistake_format_without_memory_is_null(void **state)
{
	struct config_mistake m = {(char[]){"f"}, 1, 2, (char[]){"k"}, (char[]){"text"}};
	char *text;

	countdown = 0;
	text = config_mistake_format(&m);
	countdown = -1;
	assert_null(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_config_survives_every_failing_allocation),
	        cmocka_unit_test(test_mistake_format_without_memory_is_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
