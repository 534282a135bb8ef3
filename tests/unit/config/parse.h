/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse: configurations from texts, for the tests of this room.
 */
#ifndef VMM_TEST_CONFIG_PARSE_H
#define VMM_TEST_CONFIG_PARSE_H

#include "support/test.h"
#include "vmm/config.h"

/* Makes the configuration from a text and --set words (ending with NULL). Mistakes fail the test. */
static inline struct config *parsed(const char *text, const char *const *sets)
{
	struct config_mistakes mistakes = {0};
	struct config *config = NULL;
	size_t n = 0;

	while (sets && sets[n])
		n++;
	if (config_parse("t", text, strlen(text), sets, n, NULL, &config, &mistakes) < 0)
		fail_msg("%s: %s: %s", text, mistakes.list[0].key, mistakes.list[0].text);
	assert_int_equal(mistakes.count, 0);
	config_mistakes_finish(&mistakes);
	return config;
}

/*
 * Returns every mistake of a text and one --set word (or NULL), a line each, as vmm check prints them. The
 * caller frees the text.
 */
static inline char *mistakes_of(const void *text, size_t size, const char *set)
{
	struct config_mistakes mistakes = {0};
	struct config *config = (struct config *)&mistakes; /* to see that it stays untouched */
	char *all = NULL;
	size_t all_size;
	FILE *out = open_memstream(&all, &all_size);

	assert_non_null(out);
	assert_int_equal(config_parse("t", text, size, &set, set ? 1 : 0, NULL, &config, &mistakes), -1);
	assert_ptr_equal(config, &mistakes);
	assert_true(mistakes.count > 0);
	for (size_t i = 0; i < mistakes.count; i++) {
		auto_free char *line = config_mistake_format(&mistakes.list[i]);

		fprintf(out, "%s\n", line);
	}
	fclose(out);
	config_mistakes_finish(&mistakes);
	assert_null(mistakes.list);
	return all;
}

#define assert_mistakes(text, set, expected) \
	do { \
		auto_free char *found_ = mistakes_of((text), strlen(text), (set)); \
		assert_string_equal(found_, (expected)); \
	} while (0)

#endif
