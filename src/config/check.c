/*
 * check: what only several keys together show, and the files that keys name. Any thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "internal.h"

static const void *field_of(const struct config *config, const struct config_key *key)
{
	return (const char *)config + key->offset;
}

/* Does the key ask for something? What holds its default does not. */
static bool is_set(const struct config *config, const struct config_key *key)
{
	switch (key->type) {
	case CONFIG_BOOL: return *(const bool *)field_of(config, key) != (strcmp(key->def, "true") == 0);
	case CONFIG_WORD: return *(const unsigned *)field_of(config, key) != 0;
	case CONFIG_FEATURES: /* none are no wish, except where they were not even read: without a type */
		if (config->sev.type != CONFIG_SEV_NONE && *(const uint64_t *)field_of(config, key) == 0)
			return false;
		return *(const bool *)((const char *)config + key->given);
	case CONFIG_POLICY: return *(const bool *)((const char *)config + key->given);
	case CONFIG_NUMBER:
	case CONFIG_SIZE: return true;
	default: return **(char *const *)field_of(config, key) != '\0';
	}
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

void check_between(const struct config *config, struct config_mistakes *mistakes)
{
	for (size_t i = 0; i < config_keys_count; i++) {
		if (!is_bad(config, "sev.type"))
			check_use(config, mistakes, &config_keys[i]);
		check_need(config, mistakes, &config_keys[i]);
	}
	if (config->machine.hugepages && !is_aligned(config->machine.memory_bytes, MIB(2)))
		config_mistake_at(config, mistakes, "machine.memory",
		        "must be a multiple of 2M, because machine.hugepages is on");
}

/* ---- files ---- */

/* NULL: the file can be read; otherwise what is wrong with it. */
static const char *why_unreadable(const char *path)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return strerrordesc_np(errno);
	if (S_ISDIR(st.st_mode))
		return "it is a directory, a file is needed";
	if (!S_ISREG(st.st_mode))
		return "it is not a regular file";
	return st.st_size == 0 ? "it is empty" : NULL;
}

/* NULL: the file could be written; otherwise what is wrong. */
static const char *why_unwritable(const char *path)
{
	auto_free char *folder = strdup(path);
	struct stat st;
	char *slash;

	if (!folder)
		return "no memory";
	if (stat(path, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			return "it is a directory, a file is needed";
		return access(path, W_OK) < 0 ? strerrordesc_np(errno) : NULL;
	}
	if (errno != ENOENT)
		return strerrordesc_np(errno);
	slash = strrchr(folder, '/');
	if (slash && !slash[1])
		return "it is the name of a folder, a file is needed";
	if (slash)
		slash[1] = '\0';
	return access(slash ? folder : ".", W_OK | X_OK) < 0 ? "its folder is missing or cannot be written"
	                                                     : NULL;
}

static bool is_default(const struct config_key *key, const char *path)
{
	size_t length = strlen(path);

	return strlen(key->def) == length + 2 && strncmp(key->def + 1, path, length) == 0;
}

void config_check_files(const struct config *config, struct config_mistakes *mistakes)
{
	for (size_t i = 0; i < config_keys_count; i++) {
		const struct config_key *key = &config_keys[i];
		bool output = key->type == CONFIG_OUTPUT;
		const char *path, *why;

		if (key->type != CONFIG_PATH && !output)
			continue;
		path = *(char *const *)field_of(config, key);
		why = !*path ? NULL : output ? why_unwritable(path) : why_unreadable(path);
		if (why)
			config_mistake_at(config, mistakes, key->name, "%s%s cannot be %s: %s", path,
			        is_default(key, path) ? ", the default," : "", output ? "written" : "read",
			        why);
	}
}
