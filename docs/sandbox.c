/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox: what docs/sandbox.md says of each system call, from the lists that the program itself uses. Prints
 * Markdown.
 */
#include <string.h>

#include "vmm/sandbox.h"

static const char *const thread_words[] = {
        [SANDBOX_MAIN] = "main",
        [SANDBOX_VCPU] = "vCPU",
        [SANDBOX_DEVICE] = "device",
        [SANDBOX_WRITER] = "writer",
        [SANDBOX_MIGRATE] = "migrate",
};

/* The lists in the page: each row of the table belongs to one of them. */
enum part { EVERYWHERE, CERTIFICATES, SIMULATED, REFUSED, PARTS };

static enum part part_of(const struct sandbox_row *row)
{
	if (row->refuse)
		return REFUSED;
	if (row->certificates)
		return CERTIFICATES;
	return row->simulated ? SIMULATED : EVERYWHERE;
}

static void put_threads(unsigned threads)
{
	const char *comma = "";

	if (threads == (1u << SANDBOX_THREADS) - 1) {
		printf("all");
		return;
	}
	for (unsigned kind = 0; kind < SANDBOX_THREADS; kind++) {
		if (!(threads & 1u << kind))
			continue;
		printf("%s%s", comma, thread_words[kind]);
		comma = ", ";
	}
}

/* Arguments are counted from 1, as people do. */
static void put_condition(const struct sandbox_row *row)
{
	if (row->own_process)
		printf("argument 1 is this process");
	else if (row->mask == UINT32_MAX)
		printf("argument %u is %#llx", row->argument + 1, (unsigned long long)row->value);
	else if (row->mask)
		printf("argument %u & %#llx is %#llx", row->argument + 1, (unsigned long long)row->mask,
		        (unsigned long long)row->value);
}

static void put_row(const struct sandbox_row *row)
{
	printf("| `%s` | ", row->call);
	put_threads(row->threads);
	printf(" | ");
	if (row->refuse)
		printf("`%s`", err_sys_name(row->refuse));
	else
		put_condition(row);
	printf(" | %s |\n", row->why);
}

static void put_part(enum part part, const char *head)
{
	printf("%s\n", head);
	for (size_t i = 0; i < sandbox_row_count; i++)
		if (part_of(&sandbox_rows[i]) == part)
			put_row(&sandbox_rows[i]);
}

/* Is it the first row that allows this call? */
static bool is_first(size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (!sandbox_rows[k].refuse && strcmp(sandbox_rows[k].call, sandbox_rows[i].call) == 0)
			return false;
	return !sandbox_rows[i].refuse;
}

static unsigned count_calls(bool simulated)
{
	unsigned calls = 0;

	for (size_t i = 0; i < sandbox_row_count; i++)
		calls += is_first(i) && (simulated || !sandbox_rows[i].simulated);
	return calls;
}

int main(void)
{
	printf("## The calls\n\nThere are %u, of which the software platform alone needs %u. Several rows of "
	       "a call "
	       "are alternatives.\n\n",
	        count_calls(true), count_calls(true) - count_calls(false));
	put_part(EVERYWHERE, "| call | threads | only if | for |\n|---|---|---|---|");
	put_part(CERTIFICATES,
	        "\nOnly with `sev.certificates`:\n\n| call | threads | only if | for |\n|---|---|---|---|");
	put_part(SIMULATED,
	        "\nOnly with `--host sim`:\n\n| call | threads | only if | for |\n|---|---|---|---|");
	put_part(REFUSED, "\nThese fail, and the thread goes on:\n\n| call | threads | fails with | because "
	                  "|\n|---|---|---|---|");
	return 0;
}
