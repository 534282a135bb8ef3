/*
 * suggest: the nearest known word by edit distance (optimal string alignment), for "did you mean". Any
 * thread.
 */
#include <string.h>

#include "internal.h"

#define WORD_MAX_BYTES 64 /* nobody mistypes one that long */

static unsigned char least(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return (unsigned char)(ab < c ? ab : c);
}

/* How many insertions, deletions, replacements and swaps of neighbours make b of a; both fit WORD_MAX_BYTES.
 */
static unsigned distance_between(const char *a, const char *b)
{
	unsigned char d[WORD_MAX_BYTES + 1][WORD_MAX_BYTES + 1];
	size_t rows = strlen(a), columns = strlen(b);

	for (size_t i = 0; i <= rows; i++) {
		for (size_t j = 0; j <= columns; j++) {
			if (i == 0 || j == 0) {
				d[i][j] = (unsigned char)(i + j);
				continue;
			}
			d[i][j] = least(
			        d[i - 1][j] + 1u, d[i][j - 1] + 1u, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1u, d[i][j]);
		}
	}
	return d[rows][columns];
}

unsigned suggest_limit(const char *word)
{
	size_t length = strnlen(word, WORD_MAX_BYTES + 1);

	return length > WORD_MAX_BYTES ? 0 : (unsigned)length / 3 + 1;
}

bool suggest_better(const char *word, const char *candidate, unsigned *distance)
{
	unsigned d;

	if (*distance == 0 || strlen(candidate) > WORD_MAX_BYTES)
		return false;
	d = distance_between(word, candidate);
	if (d >= *distance)
		return false;
	*distance = d;
	return true;
}

const char *config_nearest(const char *word, const char *(*candidate)(size_t i))
{
	unsigned distance = suggest_limit(word);
	const char *best = NULL, *name;

	for (size_t i = 0; (name = candidate(i)); i++) {
		if (suggest_better(word, name, &distance))
			best = name;
	}
	return best;
}

static const char *key_name(size_t i)
{
	return i < config_keys_count ? config_keys[i].name : NULL;
}

static const char *last_part(const char *dotted)
{
	const char *dot = strrchr(dotted, '.');

	return dot ? dot + 1 : dotted;
}

static const char *nearest_section(const char *word, char text[static SUGGEST_SECTION_BYTES])
{
	unsigned distance = suggest_limit(word);
	const char *best = NULL;

	for (size_t i = 0; i < config_keys_count; i++) {
		const char *name = config_keys[i].name;
		char section[SUGGEST_SECTION_BYTES];

		snprintf(section, sizeof(section), "%.*s", (int)strcspn(name, "."), name);
		if (suggest_better(word, section, &distance))
			best = memcpy(text, section, sizeof(section));
	}
	return best;
}

const char *suggest_key(const char *dotted, char text[static SUGGEST_SECTION_BYTES])
{
	/* The right key in the wrong section comes before what merely looks alike. */
	for (size_t i = 0; i < config_keys_count; i++) {
		if (strcmp(last_part(config_keys[i].name), last_part(dotted)) == 0)
			return config_keys[i].name;
	}
	return config_nearest(dotted, key_name) ?: nearest_section(dotted, text);
}
