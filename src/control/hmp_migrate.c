/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hmp_migrate: a guest's move to another vmm, as people ask for it and read of it. Main thread.
 */
#include <string.h>

#include "hmp.h"

static const char *const switches[] = {"events", "return-path", "postcopy-ram"};

/* `migrate [-d] uri`. Without -d, too, the answer does not wait for the move. */
json_t *control_hmp_migrate(struct control_call *call, const char *rest, struct err *err)
{
	json_t *before = call->arguments, *result;
	struct err why = {.text = "no memory is left"};

	if (strncmp(rest, "-d", 2) == 0 && (rest[2] == ' ' || !rest[2]))
		rest += 2 + strspn(rest + 2, " ");
	if (!*rest)
		return json_string(
		        "migrate: string expected\r\nTry \"help migrate\" for more information\r\n");
	call->arguments = json_pack("{s:s}", "uri", rest);
	result = call->arguments ? control_migrate(call, &why) : NULL;
	json_decref(call->arguments);
	call->arguments = before;
	json_decref(result);
	return result ? json_string("") : json_sprintf("Error: %s\r\n", why.text);
}

/* `migrate_set_capability capability state`. */
json_t *control_hmp_migrate_capability(struct control_call *call, const char *rest, struct err *err)
{
	json_t *before = call->arguments, *result;
	const char *state = strchr(rest, ' ');
	struct err why = {.text = "no memory is left"};
	bool known = false, on = state && strcmp(state, " on") == 0;

	for (size_t i = 0; i < ARRAY_LEN(switches) && state; i++)
		known |= strlen(switches[i]) == (size_t)(state - rest) &&
		         strncmp(switches[i], rest, (size_t)(state - rest)) == 0;
	if (!known || (!on && strcmp(state, " off") != 0))
		return json_string(
		        "Error: migrate_set_capability wants events, return-path or postcopy-ram, and on "
		        "or off\r\n");
	call->arguments = json_pack(
	        "{s:[{s:s%,s:b}]}", "capabilities", "capability", rest, (size_t)(state - rest), "state", on);
	result = call->arguments ? control_migrate_capabilities(call, &why) : NULL;
	json_decref(call->arguments);
	call->arguments = before;
	json_decref(result);
	return result ? json_string("") : json_sprintf("Error: %s\r\n", why.text);
}

static void add_number(struct control_text *text, const char *name, const json_t *object, const char *key,
        json_int_t divisor, const char *unit)
{
	const json_t *number = json_object_get(object, key);

	if (number)
		control_text_add(text, "%s: %lld%s\r\n", name,
		        (long long)(json_integer_value(number) / divisor), unit);
}

static void add_memory(struct control_text *text, const json_t *ram)
{
	add_number(text, "transferred ram", ram, "transferred", 1024, " kbytes");
	control_text_add(text, "throughput: %.2f mbps\r\n", json_number_value(json_object_get(ram, "mbps")));
	add_number(text, "remaining ram", ram, "remaining", 1024, " kbytes");
	add_number(text, "total ram", ram, "total", 1024, " kbytes");
	add_number(text, "duplicate", ram, "duplicate", 1, " pages");
	add_number(text, "normal", ram, "normal", 1, " pages");
	add_number(text, "normal bytes", ram, "normal-bytes", 1024, " kbytes");
	add_number(text, "dirty sync count", ram, "dirty-sync-count", 1, "");
	add_number(text, "page size", ram, "page-size", 1024, " kbytes");
	add_number(text, "postcopy request count", ram, "postcopy-requests", 1, "");
	add_number(text, "dirty pages rate", ram, "dirty-pages-rate", 1, " pages");
}

json_t *control_hmp_info_migrate(struct control_call *call, const char *rest, struct err *err)
{
	auto_json json_t *info = control_query_migrate(call, err);
	const char *status = json_string_value(json_object_get(info, "status"));
	const char *why = json_string_value(json_object_get(info, "error-desc"));
	const json_t *ram = json_object_get(info, "ram");
	struct control_text text = {0};
	const json_t *reason;
	size_t i;

	if (json_object_get(info, "blocked-reasons"))
		control_text_add(&text, "Outgoing migration blocked:\r\n");
	json_array_foreach(json_object_get(info, "blocked-reasons"), i, reason)
	        control_text_add(&text, "  %s\r\n", json_string_value(reason));
	if (status)
		control_text_add(&text, "Migration status: %s%s%s%s\r\n", status, why ? " (" : "", why ?: "",
		        why ? ")" : "");
	add_number(&text, "total time", info, "total-time", 1, " ms");
	add_number(&text, "expected downtime", info, "expected-downtime", 1, " ms");
	add_number(&text, "downtime", info, "downtime", 1, " ms");
	add_number(&text, "setup", info, "setup-time", 1, " ms");
	if (ram)
		add_memory(&text, ram);
	return control_text_take(&text);
}
