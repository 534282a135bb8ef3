/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_show: prints what a server sends: as lines of JSON for programs, or for people. Main thread only.
 */
#include <string.h>
#include <time.h>

#include "vmm/json.h"

#include "ctl.h"

/* Prints text whose lines may hold anything, and ends its last line. NULL is allowed. */
static void put_lines(char *text)
{
	char *rest = text;

	for (char *line; (line = strsep(&rest, "\n"));) {
		size_t length = strlen(line);

		if (length && line[length - 1] == '\r')
			line[length - 1] = '\0';
		if (!*line && !rest)
			break;
		text_put_safe(stdout, line);
		putchar('\n');
	}
}

static void put_raw(const json_t *value)
{
	auto_free char *text = json_doc_line(value);

	put_lines(text);
}

static void put_pretty(const json_t *value)
{
	auto_free char *text =
	        json_is_string(value) ? strdup(json_string_value(value)) : json_doc_paragraph(value);

	put_lines(text);
}

void cli_ctl_show_value(const json_t *value, enum cli_ctl_form form)
{
	if (form == CLI_CTL_RAW)
		put_raw(value);
	else if (!json_is_object(value) || json_object_size(value))
		put_pretty(value); /* nothing is to be said of a command without a result */
	fflush(stdout);
}

static void put_time(const json_t *timestamp)
{
	time_t seconds = (time_t)json_integer_value(json_object_get(timestamp, "seconds"));
	json_int_t us = json_integer_value(json_object_get(timestamp, "microseconds"));
	struct tm when;
	char text[20];

	if (!localtime_r(&seconds, &when) || !strftime(text, sizeof(text), "%H:%M:%S", &when))
		return;
	printf("%s.%03d ", text, us >= 0 && us < 1000000 ? (int)us / 1000 : 0);
}

void cli_ctl_show_event(const json_t *event, enum cli_ctl_form form)
{
	const json_t *data = json_object_get(event, "data");
	auto_free char *text = data ? json_doc_line(data) : NULL;

	if (form == CLI_CTL_RAW) {
		put_raw(event);
	} else {
		put_time(json_object_get(event, "timestamp"));
		text_put_safe(stdout, json_string_value(json_object_get(event, "event")));
		putchar(text ? ' ' : '\n');
		put_lines(text);
	}
	fflush(stdout);
}
