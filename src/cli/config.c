/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config: loads and judges the configuration that a verb's command line names. Main thread only.
 */
#include <string.h>

#include "vmm/config.h"
#include "vmm/machine.h"

#include "cli.h"
#include "hosts.h"

/*
 * A single mistake becomes the error's text, unless it goes elsewhere than to standard error or is too long.
 */
static bool is_error(FILE *out, const char *line, const struct err *err)
{
	return out == stderr && strlen(line) < sizeof(err->text);
}

int cli_mistakes_count(const struct config_mistakes *mistakes, struct err *err)
{
	if (!mistakes->count)
		return err_set(err, ERR_FAILED, "no memory for the configuration");
	return err_set(err, ERR_USAGE, "the configuration has %zu mistake%s", mistakes->count,
	        mistakes->count == 1 ? "" : "s");
}

int cli_mistakes_print(FILE *out, const struct config_mistakes *mistakes, struct err *err)
{
	for (size_t i = 0; i < mistakes->count; i++) {
		auto_free char *line = config_mistake_format(&mistakes->list[i]);

		if (!line)
			return err_set(err, ERR_FAILED, "no memory for the configuration's mistakes");
		if (mistakes->count == 1 && is_error(out, line, err))
			return err_set(err, ERR_USAGE, "%s", line);
		fprintf(out, "%s\n", line);
	}
	return cli_mistakes_count(mistakes, err);
}

static const char *model_name(const void *unused, size_t i)
{
	return machine_cpu_model_name(i);
}

/* If machine.cpu and machine.cpu-signature contradict each other, one of them is a mistake. */
static void check_signature(
        const struct config *config, struct config_mistakes *mistakes, const struct machine_cpu_model *model)
{
	if (config->machine.cpu_signature_given && config_is_given(config, "machine.cpu") &&
	        model->signature && model->signature != config->machine.cpu_signature)
		config_mistake_at(config, mistakes, "machine.cpu-signature",
		        "is %#x, but machine.cpu is \"%s\", whose signature is %#x: leave one of them out",
		        config->machine.cpu_signature, config->machine.cpu, model->signature);
}

static void check_cpu(const struct config *config, struct config_mistakes *mistakes)
{
	const char *cpu = config->machine.cpu, *name;
	char list[600] = "";
	size_t used = 0;

	if (machine_cpu_model(cpu)) {
		check_signature(config, mistakes, machine_cpu_model(cpu));
		return;
	}
	name = config_nearest(cpu, model_name, NULL);
	if (name) {
		config_mistake_at(config, mistakes, "machine.cpu",
		        "there is no model \"%s\"; did you mean \"%s\"?", cpu, name);
		return;
	}
	for (size_t i = 0; (name = machine_cpu_model_name(i)) && used < sizeof(list); i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", name);
	config_mistake_at(
	        config, mistakes, "machine.cpu", "there is no model \"%s\"; there are %s", cpu, list);
}

/* A guest that is only measured may have more vCPUs, since other VMMs run larger guests. */
static void check_vcpus(const struct config *config, struct config_mistakes *mistakes)
{
	if (config->machine.vcpus > MACHINE_VCPUS_MAX)
		config_mistake_at(config, mistakes, "machine.vcpus",
		        "is %u, but a guest can run with at most %d; vmm measure and vmm idblock take more",
		        config->machine.vcpus, MACHINE_VCPUS_MAX);
}

static void check_measured(const struct config *config, struct config_mistakes *mistakes)
{
	config_check_files(config, mistakes);
	check_cpu(config, mistakes);
}

static void check_run(const struct config *config, struct config_mistakes *mistakes)
{
	check_measured(config, mistakes);
	check_vcpus(config, mistakes);
	config_check_device_files(config, mistakes);
}

/* ---- everything that files show ---- */

/* Returns the key that an error of launch_check() begins with, and moves *text behind it. */
static const char *key_of(const char **text)
{
	static const char image[] = "firmware image ";

	if (strncmp(*text, image, strlen(image)) == 0) {
		*text += strlen(image);
		return "firmware";
	}
	for (size_t i = 0; i < config_keys_count; i++) {
		size_t length = strlen(config_keys[i].name);

		if (strncmp(*text, config_keys[i].name, length) != 0 || !strchr(": ", (*text)[length]))
			continue;
		*text += length + strspn(*text + length, ": ");
		return config_keys[i].name;
	}
	return "firmware";
}

/* These are static because config_load() passes no context to its checks. */
static struct launch_findings file_mistakes, file_warnings;

static void check_whole(const struct config *config, struct config_mistakes *mistakes)
{
	struct err err = {0};
	bool sound;

	check_run(config, mistakes);
	sound = !mistakes->count;
	launch_check(config, &file_mistakes, &file_warnings);
	if (cli_sim_check(config, &err) < 0)
		file_mistakes.list[file_mistakes.count++] = err;
	for (unsigned i = 0; i < file_mistakes.count; i++) {
		const char *text = file_mistakes.list[i].text, *key = key_of(&text);

		/*
		 * A contradiction between keys may follow from a mistake that is reported already. A file's
		 * contents do not depend on other keys.
		 */
		if (sound || config_key_find(key)->type == CONFIG_PATH)
			config_mistake_at(config, mistakes, key, "%s", text);
	}
}

static bool is_device_option(const char *name)
{
	for (const char *const *option = config_device_options; *option; option++) {
		if (strcmp(*option + strlen("--"), name) == 0)
			return true;
	}
	return false;
}

/* Makes the words that config_load() takes, in their order. The words of --set are borrowed. */
static size_t make_words(const struct cli_args *args, const char **words, char **made)
{
	const char *name, *value;
	size_t n = 0;

	for (size_t i = 0; (name = cli_option_at(args, i, &value)); i++) {
		if (strcmp(name, "set") == 0)
			words[n++] = value;
		else if (is_device_option(name))
			words[n++] =
			        asprintf(&made[i], "--%s %s", name, value) < 0 ? (made[i] = NULL) : made[i];
	}
	return n;
}

static int load(const struct cli_args *args, const char *path, config_check *check,
        struct config **ret_config, struct config_mistakes *mistakes)
{
	const char *value;
	size_t count = 0, n;
	int result = -1;

	while (cli_option_at(args, count, &value))
		count++;
	auto_free const char **words = calloc(count + 1, sizeof(*words));
	auto_free char **made = calloc(count + 1, sizeof(*made));

	if (words && made) {
		n = make_words(args, words, made);
		if (n == 0 || words[n - 1])
			result = config_load(path, words, n, check, ret_config, mistakes);
	}
	for (size_t i = 0; made && i < count; i++)
		free(made[i]);
	return result;
}

static int load_or_print(const struct cli_args *args, const char *path, config_check *check, FILE *out,
        struct config **ret_config, struct err *err)
{
	struct config_mistakes mistakes = {0};
	int result = load(args, path, check, ret_config, &mistakes);

	if (result < 0)
		result = cli_mistakes_print(out, &mistakes, err);
	config_mistakes_finish(&mistakes);
	return result;
}

int cli_config_load(
        const struct cli_args *args, const char *path, FILE *out, struct config **ret_config, struct err *err)
{
	return load_or_print(args, path, check_run, out, ret_config, err);
}

int cli_config_load_whole(const struct cli_args *args, const char *path, struct config **ret_config,
        struct config_mistakes *mistakes, const struct launch_findings **ret_warnings)
{
	*ret_warnings = &file_warnings;
	return load(args, path, check_whole, ret_config, mistakes);
}

int cli_config_load_measured(
        const struct cli_args *args, const char *path, struct config **ret_config, struct err *err)
{
	return load_or_print(args, path, check_measured, stderr, ret_config, err);
}

int cli_config_load_bare(const struct cli_args *args, struct config **ret_config, struct err *err)
{
	return load_or_print(args, NULL, NULL, stderr, ret_config, err);
}
