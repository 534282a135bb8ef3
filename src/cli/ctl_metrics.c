/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_metrics: a guest's figures in the text format that Prometheus scrapes and that node-exporter reads from
 * files. Each sample has the guest's name, because the files of several guests may be read together, where a
 * series may be there only once. Main thread only.
 * Law: prometheus.io, "Exposition formats", the text format 0.0.4.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "vmm/json.h"

#include "ctl.h"

enum unit {
	PLAIN,
	SECONDS, /* the answer has nanoseconds */
	WORD,    /* the answer has a word, which becomes a label of a sample that is 1 */
};

/*
 * A metric: where its value is in the answer of a command, in each element of a list if there is one. A value
 * that is an object gives a sample for each of its members.
 */
struct metric {
	const char *name, *type, *help;
	const char *command;
	const char *list;  /* the member that is the list; "": the answer itself; NULL: there is none */
	const char *label; /* tells the elements of the list apart, and is the member of this name... */
	const char *member;
	const char *value; /* the member with the value */
	const char *kind;  /* the label that tells the members of a value apart */
	enum unit unit;
	const char
	        *part; /* the member of the answer in which all that is; NULL: it is in the answer itself */
};

#define COUNTER          "counter"
#define GAUGE            "gauge"
#define EXITS            "__vmm_query-exits", "vcpus", "vcpu", "index"
#define DISKS            "__vmm_query-disks", "", "disk", "id"
#define NETS             "__vmm_query-networks", "", "network", "id"
#define PAGES            "__vmm_query-pages", NULL, NULL, NULL
#define IN_RECORD(value) value, NULL, PLAIN, "record"
#define LAUNCH           "__vmm_query-launch"
#define ASIDS            "__vmm_query-asids", "", "kind", "kind"
#define STATUS           "query-status", NULL, NULL, NULL

static const struct metric metrics[] = {
        {"vmm_guest_running", GAUGE, "Whether the guest's processors run.", STATUS, "running"},
        {"vmm_guest_status", GAUGE, "The state of the guest's life, as a label.", STATUS, "status", "status",
                WORD},
        {"vmm_guest_resets_total", COUNTER, "Resets of the guest since vmm started.", LAUNCH, NULL, NULL,
                NULL, "resets"},
        {"vmm_launch_state", GAUGE, "The state of the guest's launch context, as a label.", LAUNCH, NULL,
                NULL, NULL, "state", "state", WORD},
        {"vmm_launch_step_seconds", GAUGE, "Time that a step of the last launch has taken.", LAUNCH, "rows",
                "step", "name", "ns", NULL, SECONDS},
        {"vmm_memory_bytes", GAUGE, "Memory of the guest.", PAGES, "ram-bytes"},
        {"vmm_memory_private_bytes", GAUGE, "Memory that is the guest's own.", PAGES, "private-bytes"},
        {"vmm_memory_shared_bytes", GAUGE, "Memory that the guest shares with its host.", PAGES,
                "shared-bytes"},
        {"vmm_memory_held_twice_bytes", GAUGE,
                "Memory of the guest's own that takes memory of its host twice.", PAGES, "held-twice-bytes"},
        {"vmm_shared_ranges", GAUGE, "Ranges in the record of shared pages.", PAGES, IN_RECORD("ranges")},
        {"vmm_shared_ranges_limit", GAUGE, "Ranges that the record may have.", PAGES,
                IN_RECORD("ranges-max")},
        {"vmm_shared_ranges_complete", GAUGE, "Whether the record holds all that the guest shares.", PAGES,
                IN_RECORD("complete")},
        {"vmm_shared_ranges_refused_total", COUNTER, "Changes that the record had no room for.", PAGES,
                IN_RECORD("refused")},
        {"vmm_page_flips_total", COUNTER,
                "Changes of ranges to private or shared that had been changed before, at least.", PAGES,
                IN_RECORD("flips")},
        {"vmm_conversion_storms_total", COUNTER,
                "Seconds with more changes of pages than sev.conversion-storm.", PAGES, IN_RECORD("storms")},
        {"vmm_vcpu_exits_total", COUNTER, "Exits of a virtual processor, by kind.", EXITS, "exits", "kind"},
        {"vmm_vcpu_page_conversions_total", COUNTER,
                "Changes of pages to private or shared that exits of a virtual processor asked for.", EXITS,
                "conversions", "kind"},
        {"vmm_vcpu_converted_pages_total", COUNTER, "Pages of these changes.", EXITS, "converted-pages",
                "kind"},
        {"vmm_vcpu_processor_seconds_total", COUNTER, "Processor time that a virtual processor has used.",
                EXITS, "processor-ns", NULL, SECONDS},
        {"vmm_disk_size_bytes", GAUGE, "Size of a disk.", DISKS, "size-bytes"},
        {"vmm_disk_requests_total", COUNTER, "Requests to a disk that were done, by kind.", DISKS, "requests",
                "kind"},
        {"vmm_disk_transferred_bytes_total", COUNTER, "Bytes that requests to a disk moved, by kind.", DISKS,
                "bytes", "kind"},
        {"vmm_disk_failed_requests_total", COUNTER, "Requests to a disk that failed.", DISKS, "failed"},
        {"vmm_network_link_up", GAUGE, "Whether the cable of a network is in.", NETS, "link-up"},
        {"vmm_network_receive_frames_total", COUNTER, "Frames that the guest received.", NETS, "rx-frames"},
        {"vmm_network_receive_bytes_total", COUNTER, "Bytes that the guest received.", NETS, "rx-bytes"},
        {"vmm_network_receive_lost_total", COUNTER, "Frames that did not reach the guest.", NETS, "rx-lost"},
        {"vmm_network_transmit_frames_total", COUNTER, "Frames that the guest sent.", NETS, "tx-frames"},
        {"vmm_network_transmit_bytes_total", COUNTER, "Bytes that the guest sent.", NETS, "tx-bytes"},
        {"vmm_network_transmit_lost_total", COUNTER, "Frames of the guest that were lost.", NETS, "tx-lost"},
        {"vmm_host_asids", GAUGE, "Confidential guests that this host can have, by kind.", ASIDS, "limit"},
        {"vmm_host_asids_free", GAUGE, "Confidential guests that this host can have in addition, by kind.",
                ASIDS, "free"},
};

static const char *const commands[] = {"query-name", "query-status", "__vmm_query-launch",
        "__vmm_query-pages", "__vmm_query-exits", "__vmm_query-disks", "__vmm_query-networks",
        "__vmm_query-asids", NULL};

struct page {
	FILE *out;
	const json_t *facts;
	const char *guest;
	const struct metric *header; /* whose HELP and TYPE lines were written last */
};

/* ---- samples ---- */

static void put_label(FILE *out, const char *name, const char *value)
{
	fprintf(out, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			fprintf(out, "\\%c", *value);
		else if (*value == '\n')
			fputs("\\n", out);
		else
			fputc(*value, out);
	}
	fputc('"', out);
}

static void put_number(FILE *out, const struct metric *metric, const json_t *value)
{
	json_int_t integer = json_integer_value(value);
	bool is_time = metric->unit == SECONDS;

	if (metric->unit == WORD || json_is_true(value))
		fputc('1', out);
	else if (json_is_real(value))
		fprintf(out, "%.17g", is_time ? json_real_value(value) / 1e9 : json_real_value(value));
	else if (is_time && integer >= 0)
		fprintf(out, "%" JSON_INTEGER_FORMAT ".%09" JSON_INTEGER_FORMAT, integer / 1000000000,
		        integer % 1000000000);
	else
		fprintf(out, "%" JSON_INTEGER_FORMAT, is_time ? 0 : integer);
}

/* What is not known has no sample, and a metric without samples no lines at all. */
static void put_sample(struct page *page, const struct metric *metric, const char *element, const char *kind,
        const json_t *value)
{
	FILE *out = page->out;

	if (metric->unit == WORD ? !json_is_string(value) : !json_is_number(value) && !json_is_boolean(value))
		return;
	if (page->header != metric)
		fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
		        metric->type);
	page->header = metric;
	fprintf(out, "%s{", metric->name);
	put_label(out, "guest", page->guest);
	if (element) {
		fputc(',', out);
		put_label(out, metric->label, element);
	}
	if (kind) {
		fputc(',', out);
		put_label(out, metric->kind, kind);
	}
	fputs("} ", out);
	put_number(out, metric, value);
	fputc('\n', out);
}

static void put_value(struct page *page, const struct metric *metric, const char *element, json_t *value)
{
	const char *kind;
	json_t *part;

	if (metric->unit == WORD)
		put_sample(page, metric, element, json_string_value(value), value);
	else if (!metric->kind)
		put_sample(page, metric, element, NULL, value);
	else
		json_object_foreach(value, kind, part) put_sample(page, metric, element, kind, part);
}

/* ---- metrics ---- */

/*
 * What tells an element apart. The text lies in room or in the element. NULL: nothing does, or an element
 * before has the same, which would be the same series.
 */
static const char *element_name(const struct metric *metric, json_t *list, size_t i, char *room, size_t size)
{
	const json_t *name = json_object_get(json_array_get(list, i), metric->member);

	for (size_t k = 0; k < i; k++) {
		if (json_equal(json_object_get(json_array_get(list, k), metric->member), name))
			return NULL;
	}
	if (!json_is_integer(name))
		return json_string_value(name);
	snprintf(room, size, "%" JSON_INTEGER_FORMAT, json_integer_value(name));
	return room;
}

#define ELEMENTS_MAX 10000 /* a guest has fewer of everything; each is compared with those before it */

static void put_list(struct page *page, const struct metric *metric, json_t *list)
{
	char room[24];

	for (size_t i = 0; i < json_array_size(list) && i < ELEMENTS_MAX; i++) {
		const char *element = element_name(metric, list, i, room, sizeof(room));

		if (element)
			put_value(page, metric, element,
			        json_object_get(json_array_get(list, i), metric->value));
	}
}

static void put_metric(struct page *page, const struct metric *metric)
{
	json_t *answer = json_object_get(page->facts, metric->command);

	if (metric->part)
		answer = json_object_get(answer, metric->part);
	if (!metric->list)
		put_value(page, metric, NULL, json_object_get(answer, metric->value));
	else
		put_list(page, metric, *metric->list ? json_object_get(answer, metric->list) : answer);
}

int cli_ctl_metrics(struct cli_ctl_link *link, struct err *err)
{
	auto_json json_t *facts = cli_ctl_facts(link, commands, err);
	struct page page = {.out = stdout, .facts = facts};

	if (!facts)
		return -1;
	page.guest = json_string_value(json_object_get(json_object_get(facts, "query-name"), "name")) ?: "";
	for (size_t i = 0; i < ARRAY_LEN(metrics); i++)
		put_metric(&page, &metrics[i]);
	return 0;
}
