/* SPDX-License-Identifier: Apache-2.0 */
/*
 * suggest: finds the known word that was probably meant, for "did you mean": by another spelling, by another
 * program's name, or by the smallest edit distance (optimal string alignment). Any thread.
 */
#include <ctype.h>
#include <string.h>

#include "internal.h"

#define WORD_MAX_BYTES 64 /* a longer word is not compared */

static unsigned char least(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return (unsigned char)(ab < c ? ab : c);
}

/*
 * Returns how many insertions, deletions, replacements and swaps of neighbours turn a into b. Both must fit
 * WORD_MAX_BYTES.
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

static unsigned limit_of(const char *word)
{
	size_t length = strnlen(word, WORD_MAX_BYTES + 1);

	return length > WORD_MAX_BYTES ? 0 : (unsigned)length / 3 + 1;
}

static bool is_better(const char *word, const char *candidate, unsigned *distance)
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

/* ---- spellings ---- */

static const char *skip_marks(const char *text)
{
	return text + strspn(text, "-_ ");
}

/*
 * Are the words equal except for case and the marks between words, as "SEV_SNP", "sevSnp" and "sev-snp" are?
 */
static bool is_same(const char *a, const char *b)
{
	for (a = skip_marks(a), b = skip_marks(b); *a && *b; a = skip_marks(a + 1), b = skip_marks(b + 1)) {
		if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
			return false;
	}
	return !*a && !*b;
}

static const char *last_part(const char *dotted)
{
	const char *dot = strrchr(dotted, '.');

	return dot ? dot + 1 : dotted;
}

/* Returns the candidate that is this word, with or without its section. */
static const char *find_same(const char *word, config_candidate *candidate, const void *ctx)
{
	const char *name, *part = last_part(word), *found = NULL;

	for (size_t i = 0; (name = candidate(ctx, i)); i++) {
		if (is_same(name, word))
			return name;
		if (!found && is_same(last_part(name), part))
			found = name;
	}
	return found;
}

const char *config_same(const char *word, config_candidate *candidate, const void *ctx)
{
	const char *found = find_same(word, candidate, ctx), *name;

	for (const struct config_foreign *f = config_foreign_names; !found && f->theirs; f++) {
		if (!f->ours || !is_same(f->theirs, last_part(word)))
			continue;
		for (size_t i = 0; !found && (name = candidate(ctx, i)); i++)
			found = strcmp(name, f->ours) == 0 ? name : NULL;
	}
	return found;
}

const char *config_nearest(const char *word, config_candidate *candidate, const void *ctx)
{
	unsigned distance = limit_of(word);
	const char *best = config_same(word, candidate, ctx), *name;

	if (best)
		return best;
	for (size_t i = 0; (name = candidate(ctx, i)); i++) {
		if (is_better(word, name, &distance))
			best = name;
	}
	return best;
}

/* ---- keys ---- */

static const char *key_name(const void *unused, size_t i)
{
	return i < config_keys_count ? config_keys[i].name : NULL;
}

static const char *nearest_section(const char *word, char text[static CONFIG_SUGGEST_SECTION_BYTES])
{
	unsigned distance = limit_of(word);
	const char *best = NULL;

	for (size_t i = 0; i < config_keys_count; i++) {
		const char *name = config_keys[i].name;
		char section[CONFIG_SUGGEST_SECTION_BYTES];

		snprintf(section, sizeof(section), "%.*s", (int)strcspn(name, "."), name);
		if (is_better(word, section, &distance))
			best = memcpy(text, section, sizeof(section));
	}
	if (is_better(word, "devices", &distance)) {
		snprintf(text, CONFIG_SUGGEST_SECTION_BYTES, "devices");
		best = text;
	}
	return best;
}

static const char *device_key_name(const void *unused, size_t i)
{
	return i < config_device_keys_count ? config_device_keys[i].name : NULL;
}

const char *config_suggest_device_key(const char *name)
{
	return config_nearest(name, device_key_name, NULL);
}

const char *config_why_none(const char *dotted)
{
	for (const struct config_foreign *f = config_foreign_names; f->theirs; f++) {
		if (f->why && is_same(f->theirs, last_part(dotted)))
			return f->why;
	}
	return NULL;
}

const char *config_suggest_key(const char *dotted, char text[static CONFIG_SUGGEST_SECTION_BYTES])
{
	return config_nearest(dotted, key_name, NULL) ?: nearest_section(dotted, text);
}
