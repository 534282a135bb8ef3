/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_status: shows a guest in words, once or every second with what happened in between. Main thread only.
 */
#include <math.h>
#include <string.h>
#include <time.h>

#include "vmm/json.h"

#include "ctl.h"
#include "terminal.h"

#define INTERVAL_MS 1000

static const char *const commands[] = {"query-name", "query-status", "query-sev", "__vmm_query-launch",
        "__vmm_query-pages", "__vmm_query-exits", "__vmm_query-disks", "__vmm_query-networks", NULL};

struct view {
	FILE *out;
	const json_t *now, *before; /* answers by command; before: NULL at first */
	double seconds;             /* from before to now */
};

/* ---- pieces of lines ---- */

/* Puts text of the server, after blank: what comes before it. Nothing if there is none. */
static void put_text(struct view *view, const char *blank, const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (!text)
		return;
	fputs(blank, view->out);
	text_put_safe(view->out, text);
}

/* Of things, which have the step 1000, or of bytes, which have the step 1024. */
static void put_amount(struct view *view, double amount, double step)
{
	char text[TEXT_AMOUNT_BYTES];

	fputs(step == 1024 ? text_bytes(amount, text) : text_count(amount, text), view->out);
}

/* How much a number has grown: a second, if there is a view before this one; otherwise at all. */
static double growth(const struct view *view, const json_t *now, const json_t *before, const char *key)
{
	double grown = cli_ctl_number(now, key) - cli_ctl_number(before, key);

	if (!view->before || view->seconds <= 0)
		return cli_ctl_number(now, key);
	return grown > 0 ? grown / view->seconds : 0;
}

static void put_growth(
        struct view *view, const json_t *now, const json_t *before, const char *key, double step)
{
	put_amount(view, growth(view, now, before, key), step);
}

static const char *per_second(const struct view *view)
{
	return view->before ? "/s" : "";
}

/* ---- lines ---- */

static void put_guest(struct view *view)
{
	const json_t *sev = json_object_get(view->now, "query-sev");
	const json_t *launch = json_object_get(view->now, "__vmm_query-launch");

	fputs("guest  ", view->out);
	put_text(view, " ", json_object_get(view->now, "query-name"), "name");
	put_text(view, ": ", json_object_get(view->now, "query-status"), "status");
	if (json_is_true(json_object_get(sev, "enabled"))) {
		put_text(view, ", ", sev, "sev-type");
		put_text(view, " ", sev, "state");
	}
	if (cli_ctl_number(launch, "resets") > 0)
		fprintf(view->out, ", %.0f resets", cli_ctl_number(launch, "resets"));
	fputc('\n', view->out);
}

/* Which step of the launch is under way, or how long all took. */
static void put_launch(struct view *view)
{
	json_t *launch = json_object_get(view->now, "__vmm_query-launch"), *row;
	double ns = 0;
	size_t i;

	if (!launch)
		return;
	fputs("launch ", view->out);
	put_text(view, " ", launch, "phase");
	json_array_foreach(json_object_get(launch, "rows"), i, row)
	{
		const char *state = json_string_value(json_object_get(row, "state")) ?: "";

		ns += cli_ctl_number(row, "ns");
		if (strcmp(state, "done") == 0 || strcmp(state, "waits") == 0)
			continue;
		put_text(view, ", ", row, "name");
		put_text(view, " ", row, "state");
		fprintf(view->out, " (%.0f of %.0f)", cli_ctl_number(row, "done"),
		        cli_ctl_number(row, "total"));
	}
	fprintf(view->out, ", %.3f s\n", ns / 1e9);
}

/* ", converted 40.0KiB to private": each way that there was. */
static void put_conversions(struct view *view)
{
	const json_t *exits = json_object_get(view->now, "__vmm_query-exits");
	const char *kind;
	json_t *pages;

	json_object_foreach(json_object_get(exits, "converted-pages"), kind, pages)
	{
		if (json_number_value(pages) <= 0)
			continue;
		fputs(", converted ", view->out);
		put_amount(view, json_number_value(pages) * PAGE_SIZE_BYTES, 1024);
		fputs(" to ", view->out);
		text_put_safe(view->out, kind);
	}
}

static void put_record(struct view *view, const json_t *record)
{
	double ranges = cli_ctl_number(record, "ranges");

	if (!json_is_object(record))
		return;
	fprintf(view->out, " in %.0f range%s", ranges, ranges == 1 ? "" : "s");
	if (json_is_false(json_object_get(record, "complete")))
		fputs(" and perhaps more (sev.shared-ranges-max was reached)", view->out);
}

/* What costs the guest its speed, or the host memory. */
static void put_waste(struct view *view, const json_t *pages)
{
	const json_t *record = json_object_get(pages, "record");
	double rate = cli_ctl_number(record, "conversions-per-second"),
	       storms = cli_ctl_number(record, "storms");

	if (cli_ctl_number(pages, "held-twice-bytes") > 0) {
		fputs(", held twice ", view->out);
		put_amount(view, cli_ctl_number(pages, "held-twice-bytes"), 1024);
	}
	if (rate > 0) {
		fputs(", ", view->out);
		put_amount(view, rate, 1000);
		fputs(" conversions/s", view->out);
	}
	if (storms > 0)
		fprintf(view->out, ", %.0f conversion storm%s", storms, storms == 1 ? "" : "s");
}

static void put_memory(struct view *view)
{
	const json_t *pages = json_object_get(view->now, "__vmm_query-pages");

	if (!pages)
		return;
	fputs("memory  ", view->out);
	put_amount(view, cli_ctl_number(pages, "ram-bytes"), 1024);
	if (json_is_integer(json_object_get(pages, "private-bytes"))) {
		fputs(", private ", view->out);
		put_amount(view, cli_ctl_number(pages, "private-bytes"), 1024);
		fputs(", shared ", view->out);
		put_amount(view, cli_ctl_number(pages, "shared-bytes"), 1024);
		put_record(view, json_object_get(pages, "record"));
	}
	put_conversions(view);
	put_waste(view, pages);
	if (json_is_true(json_object_get(pages, "migration-allowed")))
		fputs(", may be migrated", view->out);
	fputc('\n', view->out);
}

/* ": io 12, mmio 3": the kinds that there were. */
static void put_kinds(struct view *view, json_t *now, json_t *before)
{
	const char *kind, *comma = ": ";
	double sum = 0;
	json_t *value;

	json_object_foreach(now, kind, value) sum += growth(view, now, before, kind);
	put_amount(view, sum, 1000);
	fprintf(view->out, " exits%s", per_second(view));
	json_object_foreach(now, kind, value)
	{
		if (growth(view, now, before, kind) <= 0)
			continue;
		fputs(comma, view->out);
		text_put_safe(view->out, kind);
		fputc(' ', view->out);
		put_growth(view, now, before, kind, 1000);
		comma = ", ";
	}
	fputc('\n', view->out);
}

static void put_busy(struct view *view, double seconds)
{
	if (view->before)
		fprintf(view->out, "busy %.0f %%, ", seconds * 100);
	else
		fprintf(view->out, "%.1f s of processor time, ", seconds);
}

static void put_vcpu(struct view *view, json_t *vcpu, json_t *before)
{
	fprintf(view->out, "vCPU    %.0f %s, ", cli_ctl_number(vcpu, "index"),
	        json_is_true(json_object_get(vcpu, "waits")) ? "waits" : "runs");
	put_busy(view, growth(view, vcpu, before, "processor-ns") / 1e9);
	put_kinds(view, json_object_get(vcpu, "exits"), json_object_get(before, "exits"));
}

/* What several vCPUs do together. */
static void put_all_vcpus(struct view *view)
{
	const json_t *now = json_object_get(view->now, "__vmm_query-exits"),
	             *before = json_object_get(view->before, "__vmm_query-exits");
	json_t *list = json_object_get(now, "vcpus"), *list_before = json_object_get(before, "vcpus"), *row;
	size_t i, waiting = 0;
	double seconds = 0;

	json_array_foreach(list, i, row)
	{
		waiting += json_is_true(json_object_get(row, "waits"));
		seconds += growth(view, row, json_array_get(list_before, i), "processor-ns") / 1e9;
	}
	if (json_array_size(list) < 2)
		return;
	fprintf(view->out, "vCPUs   %zu run, %zu wait, ", json_array_size(list) - waiting, waiting);
	put_busy(view, seconds);
	put_kinds(view, json_object_get(now, "exits"), json_object_get(before, "exits"));
}

static void put_disk(struct view *view, json_t *disk, json_t *before)
{
	json_t *bytes = json_object_get(disk, "bytes"), *bytes_before = json_object_get(before, "bytes");

	put_text(view, "disk    ", disk, "id");
	fputs(": read ", view->out);
	put_growth(view, bytes, bytes_before, "read", 1024);
	fprintf(view->out, "%s, written ", per_second(view));
	put_growth(view, bytes, bytes_before, "write", 1024);
	fprintf(view->out, "%s, %.0f failed, size ", per_second(view), cli_ctl_number(disk, "failed"));
	put_amount(view, cli_ctl_number(disk, "size-bytes"), 1024);
	fputc('\n', view->out);
}

static void put_direction(struct view *view, const char *word, const json_t *now, const json_t *before,
        const char *bytes, const char *frames, const char *lost)
{
	fputs(word, view->out);
	put_growth(view, now, before, bytes, 1024);
	fprintf(view->out, "%s (", per_second(view));
	put_growth(view, now, before, frames, 1000);
	fprintf(view->out, " frames, %.0f lost)", cli_ctl_number(now, lost));
}

static void put_network(struct view *view, json_t *network, json_t *before)
{
	put_text(view, "network ", network, "id");
	put_text(view, " (", network, "back");
	fprintf(view->out, ", link %s): ", json_is_true(json_object_get(network, "link-up")) ? "up" : "down");
	if (json_is_true(json_object_get(network, "outside"))) {
		fputs("the kernel moves the frames\n", view->out);
		return;
	}
	put_direction(view, "received ", network, before, "rx-bytes", "rx-frames", "rx-lost");
	put_direction(view, ", sent ", network, before, "tx-bytes", "tx-frames", "tx-lost");
	fputc('\n', view->out);
}

/* ---- the view ---- */

/* An element of a list and the one in the same place a view before. */
static void put_each(struct view *view, const char *command, const char *list,
        void (*put)(struct view *, json_t *, json_t *))
{
	json_t *now = json_object_get(view->now, command), *before = json_object_get(view->before, command),
	       *row;
	size_t i;

	if (list) {
		now = json_object_get(now, list);
		before = json_object_get(before, list);
	}
	json_array_foreach(now, i, row) put(view, row, json_array_get(before, i));
}

static void put_view(struct view *view)
{
	put_guest(view);
	put_launch(view);
	put_memory(view);
	put_each(view, "__vmm_query-disks", NULL, put_disk);
	put_each(view, "__vmm_query-networks", NULL, put_network);
	put_all_vcpus(view);
	put_each(view, "__vmm_query-exits", "vcpus", put_vcpu);
}

/*
 * Writes over the view before instead of below it: each line ends by clearing its rest (ECMA-48, EL and ED),
 * and one that is too long is cut off (DECAWM of DEC's terminals). So a view may not have more lines than the
 * terminal.
 */
static void print_over(const char *text, bool is_first)
{
	unsigned lines = 0, fit = cli_terminal_rows(STDOUT_FILENO) - 1; /* the cursor has one */

	for (const char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	printf("%s\033[H\033[?7l", is_first ? "\033[2J" : "");
	for (unsigned i = 0; *text && (lines <= fit || i + 1 < fit); i++) {
		size_t length = strcspn(text, "\n");

		printf("%.*s\033[K\n", (int)length, text);
		text += length + 1;
	}
	if (lines > fit)
		printf("(%u more lines)\033[K\n", lines - fit + 1);
	fputs("\033[?7h\033[J", stdout);
}

static int print_view(struct view *view, bool watch, struct err *err)
{
	auto_free char *text = NULL;
	size_t size;

	view->out = open_memstream(&text, &size);
	if (!view->out)
		return err_set(err, ERR_FAILED, "no memory for a view");
	put_view(view);
	fclose(view->out);
	if (watch && isatty(STDOUT_FILENO))
		print_over(text, !view->before);
	else
		printf("%s%s", view->before ? "\n" : "", text);
	fflush(stdout);
	return 0;
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Waits until a second after start, or until the server has gone. */
static int wait_for_next(struct cli_ctl_link *link, double start, struct err *err)
{
	bool ended = false;
	int left_ms = INTERVAL_MS;

	while (left_ms > 0 && !ended) {
		if (cli_ctl_link_events(link, left_ms, &ended, err) < 0)
			return -1;
		left_ms = INTERVAL_MS - (int)((seconds_now() - start) * 1000);
	}
	return 0;
}

static int show(const struct view *view, bool watch, enum cli_ctl_form form, struct err *err)
{
	struct view copy = *view;

	if (form == CLI_CTL_PRETTY)
		return print_view(&copy, watch, err);
	cli_ctl_show_value(view->now, form);
	return 0;
}

int cli_ctl_status(struct cli_ctl_link *link, bool watch, enum cli_ctl_form form, struct err *err)
{
	auto_json json_t *now = cli_ctl_facts(link, commands, err), *before = NULL;
	double at = seconds_now(), last = at;

	while (now) {
		struct view view = {NULL, now, before, at - last};

		if (show(&view, watch, form, err) < 0)
			return -1;
		if (!watch)
			return 0;
		if (wait_for_next(link, at, err) < 0)
			return -1;
		json_decref(before);
		before = now;
		now = cli_ctl_facts(link, commands, err);
		last = at;
		at = seconds_now();
	}
	if (!before || !cli_ctl_link_ended(link))
		return -1;
	/* A guest that has been shown and ends is no failure. */
	if (isatty(STDOUT_FILENO))
		puts(CLI_CTL_ENDED);
	return 0;
}
