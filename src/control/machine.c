/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine: what the machine is made of, in QEMU's words. Main thread.
 */
#include <string.h>

#include "control.h"
#include "vmm/virtio.h"

#define MACHINE_NAME "pc" /* the board resembles it (docs/platform.md) */

static json_t *cpu_path(unsigned i)
{
	return json_sprintf("/machine/unattached/device[%u]", i);
}

json_t *control_query_cpus(struct control_call *call, struct err *err)
{
	struct run *run = call->control->place.run;
	json_t *list = json_array();

	for (unsigned i = 0; i < run_vcpus(run); i++)
		json_doc_append(
		        &list, json_pack("{s:i,s:o,s:I,s:{s:i},s:s}", "cpu-index", (int)i, "qom-path",
		                       cpu_path(i), "thread-id", (json_int_t)run_vcpu_facts(run, i).thread,
		                       "props", "core-id", (int)i, "target", "x86_64"));
	return list;
}

json_t *control_query_hotpluggable(struct control_call *call, struct err *err)
{
	const struct config *config = call->control->place.config;
	json_t *list = json_array();

	for (unsigned i = 0; i < config->machine.vcpus; i++)
		json_doc_append(
		        &list, json_pack("{s:o,s:i,s:{s:i},s:o}", "type",
		                       json_sprintf("%s-x86_64-cpu", config->machine.cpu), "vcpus-count", 1,
		                       "props", "core-id", (int)i, "qom-path", cpu_path(i)));
	return list;
}

json_t *control_query_current_machine(struct control_call *call, struct err *err)
{
	return json_pack("{s:b}", "wakeup-suspend-support", 0);
}

json_t *control_query_machines(struct control_call *call, struct err *err)
{
	return json_pack("[{s:s,s:b,s:i,s:b,s:b,s:b,s:o,s:b}]", "name", MACHINE_NAME, "is-default", 1,
	        "cpu-max", MACHINE_VCPUS_MAX, "hotpluggable-cpus", 0, "numa-mem-supported", 0, "deprecated",
	        0, "default-cpu-type", json_sprintf("%s-x86_64-cpu", "EPYC-v4"), "acpi", 1);
}

/* QEMU's 0 for poll-grow and poll-shrink says what the room loop does (src/loop/spin.c). */
json_t *control_query_iothreads(struct control_call *call, struct err *err)
{
	const struct device_board *board = machine_board(run_machine(call->control->place.run));
	const struct config *config = call->control->place.config;
	json_t *list = json_array();

	for (size_t i = 0; i < config->devices_count; i++) {
		pid_t thread = virtio_device_thread(board, config->devices[i].id);

		if (thread)
			json_doc_append(&list, json_pack("{s:s,s:I,s:I,s:i,s:i,s:i}", "id",
			                               config->devices[i].id, "thread-id", (json_int_t)thread,
			                               "poll-max-ns", (json_int_t)LOOP_LOOK_MAX_NS,
			                               "poll-grow", 0, "poll-shrink", 0, "aio-max-batch", 0));
	}
	return list;
}

static json_t *chardev(const char *label, json_t *filename)
{
	return json_pack("{s:s,s:o,s:b}", "label", label, "filename", filename, "frontend-open", 1);
}

/* The first serial port, the debug console, the virtio consoles and this socket. */
json_t *control_query_chardev(struct control_call *call, struct err *err)
{
	const struct config *config = call->control->place.config;
	const char *path = call->control->listener.file.path;
	json_t *list = json_pack("[o,o]", chardev("serial0", json_string("stdio")),
	        chardev("control", path ? json_sprintf("unix:%s,server=on", path) : json_string("unix")));

	if (*config->machine.debugcon)
		json_doc_append(
		        &list, chardev("debugcon", json_sprintf("file:%s", config->machine.debugcon)));
	for (size_t i = 0; i < config->devices_count; i++) {
		if (config->devices[i].driver == CONFIG_CONSOLE)
			json_doc_append(&list, chardev(config->devices[i].id,
			                               json_sprintf("file:%s", config->devices[i].file)));
	}
	return list;
}

/* ---- what this machine cannot do ---- */

json_t *control_device_add(struct control_call *call, struct err *err)
{
	if (strcmp(json_string_value(json_object_get(call->arguments, "driver")), "pc-dimm") == 0)
		return control_dimm_add(call, err);
	err_set(err, ERR_USAGE,
	        "Bus 'pci.0' does not support hotplugging; add the device to the configuration (devices[])");
	return NULL;
}

json_t *control_device_del(struct control_call *call, struct err *err)
{
	const struct config *config = call->control->place.config;
	const char *id = json_string_value(json_object_get(call->arguments, "id"));

	for (size_t i = 0; i < config->devices_count; i++) {
		if (strcmp(config->devices[i].id, id) == 0) {
			err_set(err, ERR_USAGE, "Bus 'pci.0' does not support hotplugging");
			return NULL;
		}
	}
	if (control_is_dimm(call, id)) {
		err_set(err, ERR_USAGE, "Device '%s' stays: memory that was added is not taken back", id);
		return NULL;
	}
	return control_call_refuse(
	        call, CONTROL_DEVICE_NOT_FOUND, err, "Device '%s' not found", TEXT_VALUE(id));
}

json_t *control_dump_memory(struct control_call *call, struct err *err)
{
	if (call->control->place.config->sev.type == CONFIG_SEV_NONE)
		err_set(err, ERR_USAGE, "vmm writes no dumps of guest memory");
	else
		err_set(err, ERR_USAGE,
		        "the guest is confidential: the host sees only ciphertext of its private memory, so "
		        "a "
		        "dump would be worthless");
	return NULL;
}
