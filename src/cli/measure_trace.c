/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_measure_trace: reads the lines with which the trace of `vmm platform` tells what a launch has measured
 * (src/preload/measured.c). The trace may hold anything; only what is in its place is taken. Main thread
 * only.
 */
#include <errno.h>
#include <string.h>

#include "measure.h"

#define MARK_DIGITS 16
#define WORD_DIGITS 18 /* of an address or a register: 0x and 16 digits */

struct page {
	char type[12], mark[MARK_DIGITS + 1]; /* mark "-": the contents are not measured */
	uint64_t gpa, bytes;
};

/* The launch that was begun last. */
struct launched {
	struct page *pages;
	size_t count, room;
	json_t *vmsas;
	char type[8], digest[2 * SHA384_BYTES + 1];
};

bool cli_measure_is_trace(const char *text, size_t size)
{
	static const char first[] = "open /";

	return size > strlen(first) && memcmp(text, first, strlen(first)) == 0;
}

/* ---- lines ---- */

static void forget(struct launched *l)
{
	l->count = 0;
	*l->type = *l->digest = '\0';
	json_array_clear(l->vmsas);
}

static int add_page(struct launched *l, const struct page *page)
{
	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : 1024;
		struct page *pages = reallocarray(l->pages, room, sizeof(*pages));

		if (!pages)
			return -1;
		l->pages = pages;
		l->room = room;
	}
	l->pages[l->count++] = *page;
	return 0;
}

static void add_register(json_t **registers, const char *word)
{
	for (size_t i = 0; i < launch_vmsa_field_count; i++) {
		const char *name = launch_vmsa_fields[i].name;
		size_t length = strlen(name);

		if (strncmp(word, name, length) == 0 && word[length] == '=')
			json_doc_set(registers, name, json_doc_mask(strtoull(word + length + 1, NULL, 0)));
	}
}

/* words: "NAME=VALUE NAME=VALUE ..." */
static int add_vmsa(struct launched *l, char *words)
{
	json_t *registers = json_object();
	char *save = NULL;

	for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save))
		add_register(&registers, word);
	return json_array_append_new(
	        l->vmsas, json_pack("{s:s, s:s, s:s, s:i, s:i, s:I, s:o}", "name", "VMSA", "type", "vmsa",
	                          "gpa", "-", "pages", 1, "bytes", PAGE_SIZE_BYTES, "vcpu",
	                          (json_int_t)json_array_size(l->vmsas), "registers", registers));
}

static bool is_page_type(const char *word)
{
	for (unsigned type = ABI_PAGE_NORMAL; type <= ABI_PAGE_CPUID; type++) {
		if (strcmp(word, cli_measure_page_types[type]) == 0)
			return true;
	}
	return false;
}

/* Returns -1 if memory runs out. What is no line of ours is passed over. */
static int read_line(struct launched *l, char *line)
{
	static const char measured[] = "measured ", vmsa[] = "vmsa ";
	unsigned long long gpa, bytes;
	struct page page = {0};

	if (strstr(line, "LAUNCH_START") && strstr(line, " -> 0"))
		forget(l);
	if (strncmp(line, measured, strlen(measured)) != 0)
		return 0;
	line += strlen(measured);
	if (strncmp(line, vmsa, strlen(vmsa)) == 0)
		return add_vmsa(l, line + strlen(vmsa));
	if (sscanf(line, "%7[a-z-] guest, digest %96[0-9a-f]", l->type, l->digest) == 2)
		return 0;
	if (sscanf(line, "%11s %18llx %10llu %16[0-9a-f-]", page.type, &gpa, &bytes, page.mark) != 4 ||
	        !is_page_type(page.type) || bytes > PAGE_SIZE_BYTES)
		return 0;
	page.gpa = gpa;
	page.bytes = bytes;
	return add_page(l, &page);
}

static int read_lines(struct launched *l, const char *text, size_t size)
{
	char line[4096];

	while (size) {
		const char *end = memchr(text, '\n', size);
		size_t length = end ? (size_t)(end - text) : size;
		size_t kept = length < sizeof(line) ? length : sizeof(line) - 1;

		memcpy(line, text, kept);
		line[kept] = '\0';
		if (read_line(l, line) < 0)
			return -1;
		length += end != NULL;
		text += length;
		size -= length;
	}
	return 0;
}

/* ---- rows ---- */

static bool is_snp(const struct launched *l)
{
	return strcmp(l->type, cli_measure_sev_types[CONFIG_SEV_SNP]) == 0;
}

/* How many pages from `at` on make one row, of at most so many? */
static size_t run_length(const struct launched *l, size_t at, size_t most)
{
	const struct page *first = &l->pages[at];
	size_t n = 1;

	while (n < most && at + n < l->count && strcmp(first->type, first[n].type) == 0 &&
	        (!is_snp(l) || first[n].gpa == first->gpa + n * PAGE_SIZE_BYTES))
		n++;
	return n;
}

/* like: the row of the other measurement at this place, or NULL. Of SEV and SEV-ES only that has addresses.
 */
static json_t *row_of(const struct launched *l, size_t at, size_t count, const json_t *like)
{
	const struct page *pages = &l->pages[at];
	json_t *marks = json_array(), *row;
	json_int_t bytes = 0;
	const char *name = "memory", *gpa = "-";
	char own[WORD_DIGITS + 1];

	for (size_t i = 0; i < count; i++) {
		bytes += (json_int_t)pages[i].bytes;
		json_doc_append(&marks, json_string(pages[i].mark));
	}
	snprintf(own, sizeof(own), "0x%llx", (unsigned long long)pages->gpa);
	if (is_snp(l))
		gpa = own;
	else if (like)
		gpa = cli_measure_text(like, "gpa");
	if (like && strcmp(gpa, cli_measure_text(like, "gpa")) == 0)
		name = cli_measure_text(like, "name");
	row = json_pack("{s:s, s:s, s:s, s:I, s:I}", "name", name, "type", pages->type, "gpa", gpa, "pages",
	        (json_int_t)count, "bytes", bytes);
	json_doc_set(&row, "contents", marks);
	return row;
}

/* Programs and plans give the same memory in different pieces; what is compared is cut as the plan is. */
static json_t *make_rows(const struct launched *l, const json_t *now)
{
	json_t *rows = json_array();
	size_t at = 0;

	for (size_t i = 0; at < l->count; i++) {
		const json_t *like = json_array_get(now, i);
		json_int_t pages = like ? json_integer_value(json_object_get(like, "pages")) : INT32_MAX;
		size_t count = run_length(l, at, (size_t)pages);

		json_doc_append(&rows, row_of(l, at, count, like));
		at += count;
	}
	if (json_array_extend(rows, l->vmsas) == 0)
		return rows;
	json_decref(rows);
	return NULL;
}

int cli_measure_read_trace(const char *text, size_t size, const char *path, const json_t *now,
        json_t **ret_then, struct err *err)
{
	struct launched l = {.vmsas = json_array()};
	int result = read_lines(&l, text, size);

	if (result < 0)
		err_sys(err, ERR_FAILED, ENOMEM, "no memory for the trace");
	else if (!*l.digest)
		result = err_set(err, ERR_USAGE,
		        "%s: no launch of a confidential guest came to its end in this trace", path);
	if (result == 0) {
		*ret_then = json_pack("{s:s, s:s, s:o}", "digest", l.digest, "type", l.type, "rows",
		        make_rows(&l, json_object_get(now, "rows")));
		if (!*ret_then)
			result = err_sys(err, ERR_FAILED, ENOMEM, "no memory for the comparison");
	}
	free(l.pages);
	json_decref(l.vmsas);
	return result;
}
