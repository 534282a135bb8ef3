/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_measure_compare: says what made one measurement differ from an earlier one. The earlier one is a file
 * that may hold anything; every access to it is checked. Main thread only.
 */
#include <errno.h>
#include <string.h>

#include "measure.h"

#define SENTENCES_MAX 100

struct comparison {
	const json_t *then, *now;
	json_t *differences;
};

const char *cli_measure_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key)) ?: "";
}

static void PRINTF(2, 3) say(struct comparison *c, const char *fmt, ...)
{
	size_t count = json_array_size(c->differences);
	char text[400];
	va_list args;

	if (count >= SENTENCES_MAX) {
		if (count == SENTENCES_MAX)
			json_array_append_new(c->differences, json_string("and more"));
		return;
	}
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	/* The text quotes the file, whose control characters must not reach the terminal. */
	for (char *at = text; *at; at++) {
		if (*at < ' ' || *at > '~')
			*at = '?';
	}
	json_array_append_new(c->differences, json_string(text));
}

static bool is_vmsa(const json_t *row)
{
	return strcmp(cli_measure_text(row, "type"), "vmsa") == 0;
}

/* Of the vCPU on which the migration helper runs, which is none of the guest's. It is the last row. */
static bool is_helpers(const json_t *row)
{
	return is_vmsa(row) && json_is_null(json_object_get(row, "vcpu"));
}

/* Counts the rows before the VMSAs, which come last. */
static size_t count_data(const json_t *rows)
{
	size_t count = 0;

	while (count < json_array_size(rows) && !is_vmsa(json_array_get(rows, count)))
		count++;
	return count;
}

static void describe(const json_t *row, char *text, size_t size)
{
	long long pages = json_integer_value(json_object_get(row, "pages"));

	if (!row)
		snprintf(text, size, "nothing");
	else
		snprintf(text, size, "%.40s at %.20s, %lld page%s, %.20s", cli_measure_text(row, "name"),
		        cli_measure_text(row, "gpa"), pages, pages == 1 ? "" : "s",
		        cli_measure_text(row, "type"));
}

static bool same_place(const json_t *a, const json_t *b)
{
	static const char *const keys[] = {"name", "gpa", "type", "pages", "bytes"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (!json_equal(json_object_get(a, keys[i]), json_object_get(b, keys[i])))
			return false;
	}
	return true;
}

/* ---- kinds of rows ---- */

static void compare_hashes(struct comparison *c)
{
	static const struct {
		const char *key, *name;
	} hashes[] = {{"kernel", "the kernel"}, {"initrd", "the initial RAM disk"},
	        {"cmdline", "the command line"}};
	const json_t *then = json_object_get(c->then, "kernel-hashes");
	const json_t *now = json_object_get(c->now, "kernel-hashes");
	bool was = json_is_object(then), is = json_is_object(now);

	if (was != is) {
		say(c, "boot.hashes %s -> %s", was ? "true" : "false", is ? "true" : "false");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
		const char *a = cli_measure_text(then, hashes[i].key),
		           *b = cli_measure_text(now, hashes[i].key);

		if (strcmp(a, b) != 0)
			say(c, "%s differs: SHA-256 %.64s -> %s", hashes[i].name, a, b);
	}
}

static void compare_pages(struct comparison *c, const json_t *then, const json_t *now)
{
	const json_t *a = json_object_get(then, "contents"), *b = json_object_get(now, "contents");
	uint64_t start = strtoull(cli_measure_text(now, "gpa"), NULL, 0), first = 0;
	size_t count = 0;

	for (size_t i = 0; i < json_array_size(b); i++) {
		if (json_equal(json_array_get(a, i), json_array_get(b, i)))
			continue;
		if (count++ == 0)
			first = start + i * PAGE_SIZE_BYTES;
	}
	if (count)
		say(c, "%s page 0x%llx differs%s", cli_measure_text(now, "name"), (unsigned long long)first,
		        count == 1 ? "" : ", and others");
	if (count > 1)
		say(c, "%zu of the %zu pages of %s differ", count, json_array_size(b),
		        cli_measure_text(now, "name"));
}

/* Returns what a register stands for, if people know it by another name. */
static const char *meaning(const char *name)
{
	static const struct {
		const char *name, *meaning;
	} meanings[] = {
	        {"rdx", " (the CPU signature: machine.cpu)"},
	        {"sev_features", " (sev.vmsa-features)"},
	        {"mxcsr", " (sev.init: KVM_SEV_ES_INIT leaves the FPU fields zero)"},
	        {"cs.base", " (where the processor starts)"},
	        {"rip", " (where the processor starts)"},
	};

	for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
		if (strcmp(meanings[i].name, name) == 0)
			return meanings[i].meaning;
	}
	return "";
}

static void compare_registers(struct comparison *c, const json_t *then, const json_t *now)
{
	json_t *b = json_object_get(now, "registers"), *value;
	const json_t *a = json_object_get(then, "registers");
	const char *name;
	char whose[32] = "the helper";

	if (!is_helpers(now))
		snprintf(whose, sizeof(whose), "vCPU %lld",
		        (long long)json_integer_value(json_object_get(now, "vcpu")));
	json_object_foreach(b, name, value)
	{
		const char *was = cli_measure_text(a, name), *is = json_string_value(value);

		if (strcmp(was, is) != 0)
			say(c, "VMSA of %s: %s %.20s -> %s%s", whose, name, was, is, meaning(name));
	}
}

static void compare_row(struct comparison *c, const json_t *then, const json_t *now)
{
	char was[160], is[160];

	if (!same_place(then, now)) {
		describe(then, was, sizeof(was));
		describe(now, is, sizeof(is));
		say(c, "%s -> %s", was, is);
	}
	if (strcmp(cli_measure_text(now, "name"), "kernel hashes") == 0 &&
	        json_object_get(c->then, "kernel-hashes")) /* a trace does not know them */
		compare_hashes(c);
	else if (same_place(then, now))
		compare_pages(c, then, now);
}

/* ---- whole measurements ---- */

static void compare_rows(struct comparison *c, const json_t *then, const json_t *now)
{
	size_t a = count_data(then), b = count_data(now);
	const json_t *then_last = json_array_get(then, json_array_size(then) - 1);
	const json_t *now_last = json_array_get(now, json_array_size(now) - 1);
	bool then_helped = is_helpers(then_last), now_helped = is_helpers(now_last);
	size_t then_vcpus = json_array_size(then) - a - then_helped;
	size_t now_vcpus = json_array_size(now) - b - now_helped;

	for (size_t i = 0; i < a || i < b; i++)
		compare_row(c, i < a ? json_array_get(then, i) : NULL, i < b ? json_array_get(now, i) : NULL);
	/* All application processors start alike, so the second vCPU shows what differs in any of them. */
	for (size_t i = 0; i < 2 && i < then_vcpus && i < now_vcpus; i++)
		compare_registers(c, json_array_get(then, a + i), json_array_get(now, b + i));
	if (then_vcpus != now_vcpus)
		say(c, "vCPU count %zu -> %zu", then_vcpus, now_vcpus);
	if (then_helped && now_helped)
		compare_registers(c, then_last, now_last);
}

/* The rows may hold less than the digest covers, so two digests that differ are always a difference. */
static void compare_digests(struct comparison *c)
{
	const char *then = cli_measure_text(c->then, "digest"), *now = cli_measure_text(c->now, "digest");

	if (strcmp(then, now) != 0 && json_array_size(c->differences) == 0)
		say(c, "the digest differs (%.96s -> %s), but no row tells why: was the file changed?", then,
		        now);
}

int cli_measure_compare(
        const json_t *then, const char *path, const json_t *now, json_t **ret_differences, struct err *err)
{
	struct comparison c = {.then = then, .now = now};
	const json_t *rows = json_object_get(then, "rows");
	const char *type = cli_measure_text(then, "type");

	if (!*cli_measure_text(then, "digest") || !json_is_array(rows))
		return err_set(err, ERR_USAGE,
		        "%s: is not a measurement with rows; make one with vmm measure --json --rows", path);
	c.differences = json_array();
	if (!c.differences)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for the comparison");
	if (strcmp(type, cli_measure_text(now, "type")) != 0)
		say(&c, "sev.type %.20s -> %s", type, cli_measure_text(now, "type"));
	else
		compare_rows(&c, rows, json_object_get(now, "rows"));
	compare_digests(&c);
	*ret_differences = c.differences;
	return 0;
}
