/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request: from the text of a request to its answer: the members of the request, then the command, then its
 * arguments are checked, in this order, before anything is done (QEMU's qapi/qmp-dispatch.c). Main thread.
 */
#include <stdarg.h>
#include <string.h>

#include "control.h"

#define CAPABILITIES "qmp_capabilities"

static const char *const class_names[] = {
        [CONTROL_GENERIC] = "GenericError",
        [CONTROL_COMMAND_NOT_FOUND] = "CommandNotFound",
        [CONTROL_DEVICE_NOT_ACTIVE] = "DeviceNotActive",
        [CONTROL_DEVICE_NOT_FOUND] = "DeviceNotFound",
        [CONTROL_KVM_MISSING_CAP] = "KVMMissingCap",
};

/* ---- answers ---- */

/* Adds the id of the request, if it has one. Clients hang up at an answer without it. */
static json_t *with_id(json_t *answer, const json_t *request)
{
	json_t *id = json_object_get(request, "id");

	if (id)
		json_doc_set(&answer, "id", json_incref(id));
	return answer;
}

/* jansson's texts may have half a character of what the client sent; then it is told escaped. */
static json_t *error_of(enum control_class error_class, const char *text)
{
	return json_pack("{s:{s:s,s:o}}", "error", "class", class_names[error_class], "desc",
	        json_string(text) ?: json_doc_text(text));
}

static void send_error(struct control_client *client, const json_t *request, enum control_class error_class,
        const char *text)
{
	control_client_send(client, with_id(error_of(error_class, text), request));
}

static void send_answer(struct control_call *call, json_t *result, const struct err *err)
{
	if (result)
		control_client_send(
		        call->client, with_id(json_pack("{s:o}", "return", result), call->request));
	else
		send_error(call->client, call->request, call->error_class, err->text);
}

/* ---- the members of a request ---- */

static int check_member(const char *name, const json_t *value, struct err *err)
{
	if (strcmp(name, "execute") == 0)
		return json_is_string(value)
		               ? 0
		               : err_set(err, ERR_USAGE, "QMP input member 'execute' must be a string");
	if (strcmp(name, "arguments") == 0)
		return json_is_object(value)
		               ? 0
		               : err_set(err, ERR_USAGE, "QMP input member 'arguments' must be an object");
	if (strcmp(name, "id") == 0)
		return 0;
	return err_set(err, ERR_USAGE, "QMP input member '%s' is unexpected", TEXT_VALUE(name));
}

static int check_members(json_t *request, struct err *err)
{
	const char *name;
	json_t *value;

	if (!json_is_object(request))
		return err_set(err, ERR_USAGE, "QMP input must be a JSON object");
	json_object_foreach(request, name, value)
	{
		if (check_member(name, value, err) < 0)
			return -1;
	}
	if (!json_object_get(request, "execute"))
		return err_set(err, ERR_USAGE, "QMP input lacks member 'execute'");
	return 0;
}

/* ---- the session ---- */

static const struct control_command *find(const struct control_client *client, const char *name)
{
	const struct control_command *command = control_command_find(name);

	return command && control_command_exists(client->control, command) ? command : NULL;
}

/* Before the negotiation there is one command, and afterwards it is the one that means nothing any more. */
static const struct control_command *look_up(
        const struct control_client *client, const char *name, struct err *err)
{
	const struct control_command *command = find(client, name);

	if (!client->negotiated && strcmp(name, CAPABILITIES) != 0) {
		err_set(err, ERR_USAGE, "Expecting capabilities negotiation with 'qmp_capabilities'");
		return NULL;
	}
	if (!command)
		err_set(err, ERR_USAGE, "The command %s has not been found", TEXT_VALUE(name));
	return command;
}

json_t *control_capabilities(struct control_call *call, struct err *err)
{
	if (call->client->negotiated)
		return control_call_refuse(call, CONTROL_COMMAND_NOT_FOUND, err,
		        "Capabilities negotiation is already complete, command ignored");
	if (json_array_size(json_object_get(call->arguments, "enable"))) {
		err_set(err, ERR_USAGE, "Capability oob not available");
		return NULL;
	}
	return json_object();
}

/* ---- calls ---- */

static struct control_call *call_create(
        struct control_client *client, const struct control_command *command, json_t *request)
{
	struct control_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->control = client->control;
	call->client = client;
	call->command = command;
	call->request = json_incref(request);
	call->no_arguments = json_object();
	call->arguments = json_object_get(request, "arguments") ?: call->no_arguments;
	return call;
}

static void call_free(struct control_call *call)
{
	json_decref(call->request);
	json_decref(call->no_arguments);
	free(call);
}

json_t *control_call_refuse(
        struct control_call *call, enum control_class error_class, struct err *err, const char *fmt, ...)
{
	char text[sizeof(err->text)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	call->error_class = error_class;
	err_set(err, ERR_FAILED, "%s", text);
	return NULL;
}

void control_call_defer(struct control_call *call)
{
	call->deferred = true;
	if (call->client->gone)
		call->client = NULL;
	else
		call->client->call = call;
}

void control_call_answer(struct control_call *call, json_t *result, const struct err *err)
{
	struct control_client *client = call->client;

	if (!client) {
		json_decref(result);
		call_free(call);
		return;
	}
	control_client_enter(client);
	client->call = NULL;
	send_answer(call, result, err);
	call_free(call);
	control_client_pump(client);
	control_client_leave(client);
}

/* What was done to a guest that another vmm has, or is about to get, would be lost. */
static int check_guest(const struct control_call *call, struct err *err)
{
	return call->command->flags & CONTROL_GUEST ? run_refuse_moved(call->control->place.run, err) : 0;
}

/* No event may come before the answer that ends the negotiation. */
static void serve_call(struct control_call *call)
{
	struct control_client *client = call->client;
	struct err err = {.text = "no memory is left for the answer"};
	json_t *result = NULL;

	if (control_check_arguments(call->command->arguments, call->arguments, &err) == 0 &&
	        check_guest(call, &err) == 0)
		result = call->command->handler(call, &err);
	if (call->deferred)
		return;
	send_answer(call, result, &err);
	if (result && call->command->handler == control_capabilities)
		client->negotiated = true;
	call_free(call);
}

/* ---- from the text ---- */

static void serve_object(struct control_client *client, json_t *request)
{
	const struct control_command *command;
	struct control_call *call;
	struct err err;

	if (check_members(request, &err) < 0) {
		send_error(client, request, CONTROL_GENERIC, err.text);
		return;
	}
	command = look_up(client, json_string_value(json_object_get(request, "execute")), &err);
	if (!command) {
		send_error(client, request, CONTROL_COMMAND_NOT_FOUND, err.text);
		return;
	}
	call = call_create(client, command, request);
	if (call)
		serve_call(call);
	else
		control_client_drop(client, "no memory is left for its request");
}

static void send_parse_error(struct control_client *client, const json_error_t *error)
{
	char text[sizeof(error->text) + 40];

	if (json_error_code(error) == json_error_duplicate_key)
		snprintf(text, sizeof(text), "JSON parse error, duplicate key");
	else
		snprintf(text, sizeof(text), "JSON parse error, %s", error->text);
	send_error(client, NULL, CONTROL_GENERIC, text);
}

void control_request_serve(struct control_client *client, const struct control_request *request)
{
	json_error_t error;
	json_t *value;

	if (request->why) {
		send_error(client, NULL, CONTROL_GENERIC, request->why);
		return;
	}
	value = json_loadb(request->text, request->size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (value)
		serve_object(client, value);
	else
		send_parse_error(client, &error);
	json_decref(value);
}
