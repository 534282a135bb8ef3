/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_config: a configuration and its --set words from hostile bytes: the text, a byte 0x1e, then at most
 * three words, each ending with NUL. The accepted values must be those that jansson reads.
 */
#include <jansson.h>
#include <string.h>

#include "fuzz.h"
#include "vmm/config.h"

/* Takes the next NUL-terminated word; NULL: there is none. */
static const char *take_word(const uint8_t **data, size_t *size)
{
	const uint8_t *start = *data, *end = memchr(start, '\0', *size);

	if (!end)
		return NULL;
	*size -= (size_t)(end + 1 - start);
	*data = end + 1;
	return (const char *)start;
}

static void check_mistakes(const struct config_mistakes *mistakes, size_t lines)
{
	fuzz_assert(mistakes->count > 0 && mistakes->count <= CONFIG_MISTAKES_MAX);
	for (size_t i = 0; i < mistakes->count; i++) {
		const struct config_mistake *m = &mistakes->list[i];
		char *text = config_mistake_format(m);

		fuzz_assert(text && *text);
		for (const char *c = text; *c; c++)
			fuzz_assert((unsigned char)*c >= ' ' && *c != 0x7f);
		fuzz_assert(m->line <= lines && (m->line == 0) == (m->column == 0));
		free(text);
	}
}

/* Finds the key at the top or in its section, whichever the text has. */
static const json_t *json_key(const json_t *root, const char *section, const char *key, const char *dotted)
{
	return json_object_get(root, dotted) ?: json_object_get(json_object_get(root, section), key);
}

static void check_config(const struct config *config, const uint8_t *text, size_t size, bool sets)
{
	json_t *root = json_loadb((const char *)text, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	const json_t *name, *vcpus;

	fuzz_assert(json_is_object(root));
	name = json_object_get(root, "name");
	vcpus = json_key(root, "machine", "vcpus", "machine.vcpus");
	fuzz_assert(sets || strcmp(config->name, name ? json_string_value(name) : "guest") == 0);
	fuzz_assert(sets || config->machine.vcpus == (vcpus ? (unsigned)json_integer_value(vcpus) : 1));
	fuzz_assert(config->machine.vcpus >= 1 && config->machine.vcpus <= CONFIG_VCPUS_MAX);
	fuzz_assert(is_aligned(config->machine.memory_bytes, PAGE_SIZE_BYTES));
	fuzz_assert(config->sev.type != CONFIG_SEV_SNP || (config->sev.policy >> 17 & 1));
	fuzz_assert(config->boot.kernel && config->sev.session && config->sev.host_data);
	json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_mistakes mistakes = {0};
	struct config *config = NULL;
	const char *sets[3] = {NULL};
	const uint8_t *words = size ? memchr(data, 0x1e, size) : NULL;
	size_t words_size = words ? size - (size_t)(words - data) - 1 : 0, n = 0, lines = 2;

	if (words) {
		words++;
		size -= words_size + 1;
	}
	while (n < ARRAY_LEN(sets) && words_size && (sets[n] = take_word(&words, &words_size)))
		n++;
	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	if (config_parse("fuzz", data ?: (const uint8_t *)"", size, sets, n, NULL, &config, &mistakes) < 0)
		check_mistakes(&mistakes, lines);
	else
		check_config(config, data, size, n > 0);
	config_destroy(config);
	config_mistakes_finish(&mistakes);
	return 0;
}
