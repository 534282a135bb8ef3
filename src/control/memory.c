/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory: the guest's memory, and how more of it is added, in QEMU's words: a backend is made (object-add),
 * and a DIMM is plugged that uses it (device_add). Main thread.
 */
#include <ctype.h>
#include <string.h>

#include "control.h"
#include "vmm/device/dimms.h"

#define BACKEND "memory-backend-ram"
#define DIMM    "pc-dimm"
#define ID_MAX  127

static struct control_memory *memory_of(const struct control_call *call)
{
	return &call->control->memory;
}

static const char *text_of(const struct control_call *call, const char *name)
{
	return json_string_value(json_object_get(call->arguments, name));
}

static unsigned dimms_of(const struct control_call *call, struct device_dimm list[static PAGE_PLUGS_MAX])
{
	return device_dimms_list(device_dimms_of(machine_board(run_machine(call->control->place.run))), list);
}

static int check_id(const char *id, struct err *err)
{
	static const char taken[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
	size_t length = strlen(id);

	if (!isalpha((unsigned char)*id) || length > ID_MAX || strspn(id, taken) != length)
		return err_set(err, ERR_USAGE, "Parameter 'id' expects an identifier");
	return 0;
}

static struct control_ram *find_backend(struct control_memory *memory, const char *id)
{
	for (unsigned i = 0; i < memory->count; i++) {
		if (strcmp(memory->rams[i].id, id) == 0)
			return &memory->rams[i];
	}
	return NULL;
}

/* ---- backends ---- */

json_t *control_object_add(struct control_call *call, struct err *err)
{
	struct control_memory *memory = memory_of(call);
	uint64_t size_bytes = (uint64_t)json_integer_value(json_object_get(call->arguments, "size"));
	const char *id = text_of(call, "id");
	char *copy;

	if (check_id(id, err) < 0)
		return NULL;
	if (find_backend(memory, id)) {
		err_set(err, ERR_USAGE, "attempt to add duplicate property '%s' to object (type 'container')",
		        id);
		return NULL;
	}
	if (!size_bytes) {
		err_set(err, ERR_USAGE, "property 'size' of " BACKEND " doesn't take value '0'");
		return NULL;
	}
	if (memory->count == PAGE_PLUGS_MAX) {
		err_set(err, ERR_USAGE,
		        "there can be %u backends; remove one that no device uses (object-del)",
		        PAGE_PLUGS_MAX);
		return NULL;
	}
	copy = strdup(id);
	if (!copy)
		return NULL;
	memory->rams[memory->count++] = (struct control_ram){.id = copy, .size_bytes = size_bytes};
	return json_object();
}

static void remove_backend(struct control_memory *memory, struct control_ram *ram)
{
	free(ram->id);
	free(ram->device);
	*ram = memory->rams[--memory->count];
}

json_t *control_object_del(struct control_call *call, struct err *err)
{
	const char *id = text_of(call, "id");
	struct control_ram *ram = find_backend(memory_of(call), id);

	if (!ram) {
		err_set(err, ERR_USAGE, "object '%s' not found", TEXT_VALUE(id));
		return NULL;
	}
	if (ram->plugged) {
		err_set(err, ERR_USAGE, "object '%s' is in use, can not be deleted", id);
		return NULL;
	}
	remove_backend(memory_of(call), ram);
	return json_object();
}

void control_memory_finish(struct control *control)
{
	while (control->memory.count)
		remove_backend(&control->memory, &control->memory.rams[0]);
}

/* ---- DIMMs ---- */

bool control_is_dimm(const struct control_call *call, const char *id)
{
	const struct control_memory *memory = memory_of(call);

	for (unsigned i = 0; i < memory->count; i++) {
		if (memory->rams[i].plugged && strcmp(memory->rams[i].device, id) == 0)
			return true;
	}
	return false;
}

/* Everything that other properties of QEMU's device would say is fixed here. */
static int check_properties(const struct control_call *call, struct err *err)
{
	const char *name;
	json_t *value;

	json_object_foreach(call->arguments, name, value)
	{
		if (strcmp(name, "driver") != 0 && strcmp(name, "id") != 0 && strcmp(name, "memdev") != 0)
			return err_set(err, ERR_USAGE, "Property '" DIMM ".%s' not found", TEXT_VALUE(name));
	}
	return 0;
}

static int check_device_id(const struct control_call *call, const char *id, struct err *err)
{
	const struct config *config = call->control->place.config;
	bool taken = control_is_dimm(call, id);

	for (size_t i = 0; i < config->devices_count; i++)
		taken = taken || strcmp(config->devices[i].id, id) == 0;
	if (taken)
		return err_set(err, ERR_USAGE, "Duplicate device ID '%s'", TEXT_VALUE(id));
	return *id ? check_id(id, err) : 0;
}

static struct control_ram *choose_backend(struct control_call *call, struct err *err)
{
	const char *id = text_of(call, "memdev");
	struct control_ram *ram = id ? find_backend(memory_of(call), id) : NULL;

	if (!id)
		err_set(err, ERR_USAGE, "'memdev' property is not set");
	else if (!ram)
		control_call_refuse(
		        call, CONTROL_DEVICE_NOT_FOUND, err, "Device '%s' not found", TEXT_VALUE(id));
	else if (ram->plugged)
		err_set(err, ERR_USAGE, "can't use already busy memdev: %s", id);
	return ram && !ram->plugged ? ram : NULL;
}

json_t *control_dimm_add(struct control_call *call, struct err *err)
{
	const char *id = text_of(call, "id") ?: "";
	struct device_dimm list[PAGE_PLUGS_MAX];
	struct control_ram *ram;
	auto_free char *device = NULL;

	if (check_properties(call, err) < 0 || (*id && check_device_id(call, id, err) < 0))
		return NULL;
	ram = choose_backend(call, err);
	if (!ram)
		return NULL;
	device = strdup(id);
	if (!device || run_plug(call->control->place.run, ram->size_bytes, err) < 0)
		return NULL;
	ram->plugged = true;
	ram->slot = dimms_of(call, list) - 1;
	ram->device = take_ptr(&device);
	return json_object();
}

/* ---- what there is ---- */

json_t *control_query_memory(struct control_call *call, struct err *err)
{
	const struct run_memory_facts facts = run_memory_facts(call->control->place.run);

	return json_pack("{s:I,s:I}", "base-memory", (json_int_t)(facts.ram_bytes - facts.plugged_bytes),
	        "plugged-memory", (json_int_t)facts.plugged_bytes);
}

static const struct control_ram *ram_in(const struct control_memory *memory, unsigned slot)
{
	for (unsigned i = 0; i < memory->count; i++) {
		if (memory->rams[i].plugged && memory->rams[i].slot == slot)
			return &memory->rams[i];
	}
	return NULL;
}

/* The id of a device without one is left out. */
static void put_id(json_t **object, const char *key, const struct control_ram *ram)
{
	if (*ram->device)
		json_doc_set(object, key, json_string(ram->device));
}

json_t *control_query_memory_devices(struct control_call *call, struct err *err)
{
	struct device_dimm list[PAGE_PLUGS_MAX];
	unsigned count = dimms_of(call, list);
	json_t *devices = json_array();

	for (unsigned i = 0; i < count; i++) {
		const struct control_ram *ram = ram_in(memory_of(call), i);
		json_t *data;

		if (!ram)
			continue;
		data = json_pack("{s:I,s:I,s:i,s:i,s:o,s:b,s:b}", "addr", (json_int_t)list[i].gpa.raw, "size",
		        (json_int_t)list[i].size_bytes, "slot", (int)i, "node", 0, "memdev",
		        json_sprintf("/objects/%s", ram->id), "hotplugged", 1, "hotpluggable", 1);
		put_id(&data, "id", ram);
		json_doc_append(&devices, json_pack("{s:s,s:o}", "type", "dimm", "data", data));
	}
	return devices;
}

json_t *control_memory_ost(
        const struct control_memory *memory, unsigned slot, uint32_t source, uint32_t status)
{
	const struct control_ram *ram = ram_in(memory, slot);
	json_t *info = json_pack("{s:o,s:s,s:I,s:I}", "slot", json_sprintf("%u", slot), "slot-type", "DIMM",
	        "source", (json_int_t)source, "status", (json_int_t)status);

	if (ram)
		put_id(&info, "device", ram);
	return info;
}

json_t *control_query_ospm(struct control_call *call, struct err *err)
{
	struct device_dimm list[PAGE_PLUGS_MAX];
	unsigned count = dimms_of(call, list);
	json_t *slots = json_array();

	for (unsigned i = 0; i < count; i++) {
		json_doc_append(
		        &slots, control_memory_ost(memory_of(call), i, list[i].source, list[i].status));
	}
	return slots;
}
