/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check: finds mistakes that only several keys together show, and files that cannot be used. Any thread.
 */
#include <string.h>

#include "internal.h"
#include "vmm/abi/policy.h"

#define HELPER_MEMORY_MAX GIB(500)

static const void *field_of(const struct config *config, const struct config_key *key)
{
	return (const char *)config + key->offset;
}

/* Does the key ask for something? A key that holds its default does not. */
static bool is_set(const struct config *config, const struct config_key *key)
{
	switch (key->type) {
	case CONFIG_BOOL: return *(const bool *)field_of(config, key) != (strcmp(key->def, "true") == 0);
	case CONFIG_WORD: return *(const unsigned *)field_of(config, key) != 0;
	case CONFIG_FEATURES: /* an empty set asks for nothing; without a type it was not read */
		if (config->sev.type != CONFIG_SEV_NONE && *(const uint64_t *)field_of(config, key) == 0)
			return false;
		return *(const bool *)((const char *)config + key->given);
	case CONFIG_REGISTER:
	case CONFIG_POLICY: return *(const bool *)((const char *)config + key->given);
	case CONFIG_NUMBER:
	case CONFIG_SIZE: return true;
	default: return **(char *const *)field_of(config, key) != '\0';
	}
}

bool config_is_given(const struct config *config, const char *name)
{
	return config_place_find(config, name)->given;
}

static bool is_bad(const struct config *config, const char *name)
{
	return config->places[config_key_find(name) - config_keys].bad;
}

static void check_use(
        const struct config *config, struct config_mistakes *mistakes, const struct config_key *key)
{
	const char *const *types = config_key_find("sev.type")->words;
	char text[CONFIG_WORDS_TEXT_BYTES];

	if (key->types && is_set(config, key) && !(key->types & CONFIG_FOR(config->sev.type)))
		config_mistake_at(config, mistakes, key->name, "is for sev.type %s; the type is %s",
		        config_words_text(types, key->types, text), types[config->sev.type]);
}

static void check_need(
        const struct config *config, struct config_mistakes *mistakes, const struct config_key *key)
{
	if (key->needs && is_set(config, key) && !is_set(config, config_key_find(key->needs)) &&
	        !is_bad(config, key->needs))
		config_mistake_at(config, mistakes, key->name, "needs %s too", key->needs);
}

/* OVMF does not look for a store in a SEV-SNP guest (edk2, since 202502). */
static void check_vars(const struct config *config, struct config_mistakes *mistakes)
{
	if (*config->firmware_vars && config->sev.type == CONFIG_SEV_SNP)
		config_mistake_at(config, mistakes, "firmware-vars",
		        "is for sev.type none, sev or sev-es; the type is sev-snp, and firmware does not use "
		        "a "
		        "store in such a guest");
}

/* The reason is not the same for both types. */
static void check_page_status(const struct config *config, struct config_mistakes *mistakes)
{
	if (!config->sev.page_status || is_bad(config, "sev.type"))
		return;
	if (config->sev.type == CONFIG_SEV_NONE)
		config_mistake_at(config, mistakes, "sev.page-status",
		        "is for sev.type sev or sev-es; the type is none, and the host sees all pages of "
		        "such a "
		        "guest");
	if (config->sev.type == CONFIG_SEV_SNP)
		config_mistake_at(config, mistakes, "sev.page-status",
		        "is for sev.type sev or sev-es; the type is sev-snp, and KVM reports the pages of "
		        "such a "
		        "guest in any case");
}

/* KVM makes mirrors of SEV and SEV-ES guests only, and the helper reaches 512 GiB of addresses. */
static void check_helper(const struct config *config, struct config_mistakes *mistakes)
{
	static const char *const why[] = {
	        [CONFIG_SEV_NONE] =
	                "is for sev.type sev or sev-es; the type is none, and such a guest has no "
	                "encryption context that a helper could share",
	        [CONFIG_SEV_SNP] =
	                "is for sev.type sev or sev-es; the type is sev-snp, and KVM lets nobody share the "
	                "context of such a guest (KVM_CAP_VM_COPY_ENC_CONTEXT_FROM)",
	};
	uint64_t memory = config->machine.memory_bytes, most = config->machine.memory_max_bytes;

	if (!config->sev.helper || is_bad(config, "sev.type"))
		return;
	if (config->sev.type != CONFIG_SEV && config->sev.type != CONFIG_SEV_ES)
		config_mistake_at(config, mistakes, "sev.helper", "%s", why[config->sev.type]);
	else if ((most > memory ? most : memory) > HELPER_MEMORY_MAX)
		config_mistake_at(config, mistakes, "sev.helper",
		        "a guest with more than 500G of memory cannot have a helper, which reaches 512 GiB "
		        "of "
		        "addresses");
	else if (!is_bad(config, "sev.policy") && !(config->sev.policy & ABI_SEV_POLICY_NODBG))
		config_mistake_at(config, mistakes, "sev.policy",
		        "must have the word nodbg (bit 0) with sev.helper: without it the host could read "
		        "the "
		        "helper's keys by the firmware's DBG_DECRYPT");
}

#define GROWTH_BYTES MIB(128) /* a block of memory of Linux */

static void check_growth(const struct config *config, struct config_mistakes *mistakes)
{
	uint64_t memory = config->machine.memory_bytes, most = config->machine.memory_max_bytes;

	if (!most || is_bad(config, "machine.memory"))
		return;
	if (most < memory)
		config_mistake_at(config, mistakes, "machine.memory-max", "is less than machine.memory");
	else if (!is_aligned(most - memory, GROWTH_BYTES))
		config_mistake_at(config, mistakes, "machine.memory-max",
		        "must be machine.memory and a multiple of 128M, which is how guests take memory");
}

void config_check_between(const struct config *config, struct config_mistakes *mistakes)
{
	for (size_t i = 0; i < config_keys_count; i++) {
		if (!is_bad(config, "sev.type"))
			check_use(config, mistakes, &config_keys[i]);
		check_need(config, mistakes, &config_keys[i]);
	}
	check_vars(config, mistakes);
	check_helper(config, mistakes);
	check_page_status(config, mistakes);
	check_growth(config, mistakes);
	if (config->machine.hugepages && !is_aligned(config->machine.memory_bytes, MIB(2)))
		config_mistake_at(config, mistakes, "machine.memory",
		        "must be a multiple of 2M, because machine.hugepages is on");
}

/* ---- files ---- */

#define FIRMWARE_PACKAGES "/usr/share/"

/* The package that a missing file comes from. Only for firmware images can it be named. */
static const char *remedy(const struct config_key *key, const char *path)
{
	if (key->offset != offsetof(struct config, firmware) || access(path, F_OK) == 0 ||
	        strncmp(path, FIRMWARE_PACKAGES, strlen(FIRMWARE_PACKAGES)) != 0)
		return "";
	return "; install Debian's package ovmf (apt install ovmf), or run scripts/setup --firmware and set "
	       "firmware "
	       "to an image in ~/.cache/vmm/firmware";
}

/* Returns why the file that the key names cannot be used; NULL if it can, or if the key names no file. */
static const char *why_unusable(const struct config_key *key, const char *path)
{
	switch (*path ? key->type : CONFIG_STRING) {
	case CONFIG_PATH: return file_why_unreadable(path);
	case CONFIG_OUTPUT: return file_why_unwritable(FILE_STREAM, path);
	case CONFIG_OUTPUT_WHOLE: return file_why_unwritable(FILE_WHOLE, path);
	default: return NULL;
	}
}

void config_check_files(const struct config *config, struct config_mistakes *mistakes)
{
	for (size_t i = 0; i < config_keys_count; i++) {
		const struct config_key *key = &config_keys[i];
		const char *path, *why;

		if (key->type != CONFIG_PATH && key->type != CONFIG_OUTPUT &&
		        key->type != CONFIG_OUTPUT_WHOLE)
			continue;
		path = *(char *const *)field_of(config, key);
		why = why_unusable(key, path);
		if (why)
			config_mistake_at(config, mistakes, key->name, "%s%s cannot be %s: %s%s", path,
			        config->places[i].given ? "" : ", the default,",
			        key->type == CONFIG_PATH ? "read" : "written", why, remedy(key, path));
	}
}
