/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options: the options of a platform as text, in which another process gets them: a line NAME=VALUE for each
 * one. Any thread.
 */
#include <errno.h>
#include <string.h>

#include "sim.h"

enum kind { NUMBER_32, NUMBER_64, FLAG, TEXT };

static const struct field {
	const char *name;
	enum kind kind;
	size_t at;
} fields[] = {
        {"seed", NUMBER_64, offsetof(struct sim_options, seed)},
        {"tcb", NUMBER_64, offsetof(struct sim_options, tcb)},
        {"memlock", NUMBER_64, offsetof(struct sim_options, memlock_bytes)},
        {"clock", NUMBER_32, offsetof(struct sim_options, clock)},
        {"mask-chip", NUMBER_32, offsetof(struct sim_options, mask_chip)},
        {"asids", NUMBER_32, offsetof(struct sim_options, asids)},
        {"es-asids", NUMBER_32, offsetof(struct sim_options, es_asids)},
        {"snp-asids", NUMBER_32, offsetof(struct sim_options, snp_asids)},
        {"c-bit", NUMBER_32, offsetof(struct sim_options, c_bit)},
        {"translate", FLAG, offsetof(struct sim_options, translate)},
        {"compare", FLAG, offsetof(struct sim_options, compare)},
        {"smt-off", FLAG, offsetof(struct sim_options, smt_off)},
        {"product", TEXT, offsetof(struct sim_options, product)},
        {"vlek", TEXT, offsetof(struct sim_options, vlek)},
        {"cgroup", TEXT, offsetof(struct sim_options, cgroup)},
        {"paravirtual", FLAG, offsetof(struct sim_options, paravirtual)},
};

_Static_assert(sizeof(((struct sim_options *)0)->clock) == 4, "it is written as a number of 32 bits");

/* ---- to text ---- */

static void print_field(FILE *out, const struct field *f, const struct sim_options *options)
{
	const char *at = (const char *)options + f->at;

	switch (f->kind) {
	case NUMBER_32: fprintf(out, "%s=%lu\n", f->name, (unsigned long)*(const uint32_t *)at); break;
	case NUMBER_64: fprintf(out, "%s=%llu\n", f->name, (unsigned long long)*(const uint64_t *)at); break;
	case FLAG: fprintf(out, "%s=%d\n", f->name, *(const bool *)at); break;
	case TEXT: fprintf(out, "%s=%s\n", f->name, *(const char *const *)at ?: ""); break;
	}
}

char *sim_options_text(const struct sim_options *options)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		print_field(out, &fields[i], options);
	fprintf(out, "firmware=%u.%u.%u\n", options->firmware.major, options->firmware.minor,
	        options->firmware.build);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

/* ---- from text ---- */

static int take_number(const char *value, uint64_t max, uint64_t *ret_number)
{
	char *end;

	errno = 0;
	*ret_number = strtoull(value, &end, 10);
	return errno || end == value || *end || *ret_number > max ? -1 : 0;
}

static int take_field(const struct field *f, char *value, struct sim_options *options)
{
	char *at = (char *)options + f->at;
	uint64_t number = 0;

	if (f->kind == TEXT) {
		*(const char **)at = value;
		return 0;
	}
	if (take_number(value,
	            f->kind == FLAG        ? 1
	            : f->kind == NUMBER_32 ? UINT32_MAX
	                                   : UINT64_MAX,
	            &number) < 0)
		return -1;
	if (f->kind == FLAG)
		*(bool *)at = number;
	else if (f->kind == NUMBER_32)
		*(uint32_t *)at = (uint32_t)number;
	else
		*(uint64_t *)at = number;
	return 0;
}

static int take_firmware(char *value, struct sim_options *options)
{
	uint8_t *const parts[] = {
	        &options->firmware.major, &options->firmware.minor, &options->firmware.build};
	char *save = NULL;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		const char *part = strtok_r(i ? NULL : value, ".", &save);
		uint64_t number;

		if (!part || take_number(part, UINT8_MAX, &number) < 0)
			return -1;
		*parts[i] = (uint8_t)number;
	}
	return 0;
}

static int take_line(char *line, struct sim_options *options)
{
	char *value = strchr(line, '=');

	if (!value)
		return -1;
	*value++ = '\0';
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		if (strcmp(line, fields[i].name) == 0)
			return take_field(&fields[i], value, options);
	}
	return strcmp(line, "firmware") == 0 ? take_firmware(value, options) : -1;
}

int sim_options_read(char *text, struct sim_options *ret_options, struct err *err)
{
	char *save = NULL;

	*ret_options = (struct sim_options){0};
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (take_line(line, ret_options) < 0)
			return err_set(
			        err, ERR_USAGE, "%s is no option of the software platform", TEXT_VALUE(line));
	}
	return 0;
}
