/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query: answers what follows from the program and the configuration alone. Main thread.
 */
#include "control.h"

/* QEMU's version of whose protocol this is: clients decide by it what they may ask. */
#define QEMU_MAJOR 10
#define QEMU_MINOR 0
#define QEMU_MICRO 0

json_t *control_query_version(struct control_call *call, struct err *err)
{
	return json_pack("{s:{s:i,s:i,s:i},s:s}", "qemu", "micro", QEMU_MICRO, "minor", QEMU_MINOR, "major",
	        QEMU_MAJOR, "package", VMM_PROGRAM " " VMM_VERSION);
}

bool control_command_exists(const struct control *control, const struct control_command *command)
{
	return control->place.platform || !(command->flags & CONTROL_SIM_ONLY);
}

json_t *control_query_commands(struct control_call *call, struct err *err)
{
	json_t *list = json_array();

	for (size_t i = 0; i < control_commands_count; i++) {
		if (control_command_exists(call->control, &control_commands[i]))
			json_doc_append(&list, json_pack("{s:s}", "name", control_commands[i].name));
	}
	return list;
}

json_t *control_query_name(struct control_call *call, struct err *err)
{
	return json_pack("{s:s}", "name", call->control->place.config->name);
}

json_t *control_query_uuid(struct control_call *call, struct err *err)
{
	const char *uuid = call->control->place.config->machine.uuid;

	return json_pack("{s:s}", "UUID", *uuid ? uuid : CONTROL_NO_UUID);
}

json_t *control_query_kvm(struct control_call *call, struct err *err)
{
	bool kvm = !call->control->place.platform;

	return json_pack("{s:b,s:b}", "enabled", kvm, "present", kvm);
}

json_t *control_query_target(struct control_call *call, struct err *err)
{
	return json_pack("{s:s}", "arch", "x86_64");
}
