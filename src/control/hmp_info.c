/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hmp_info: the subcommands of `info`. Main thread.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "hmp.h"

/* ---- text ---- */

void control_text_add(struct control_text *text, const char *fmt, ...)
{
	auto_free char *part = NULL;
	va_list args;
	int length;
	char *data;

	va_start(args, fmt);
	length = vasprintf(&part, fmt, args);
	va_end(args);
	data = length < 0 ? NULL : realloc(text->data, text->used + (size_t)length + 1);
	if (!data) {
		part = length < 0 ? NULL : part;
		text->bad = true;
		return;
	}
	memcpy(data + text->used, part, (size_t)length + 1);
	text->data = data;
	text->used += (size_t)length;
}

json_t *control_text_take(struct control_text *text)
{
	json_t *string = text->bad ? NULL : json_string(text->data ?: "");

	free(take_ptr(&text->data));
	return string;
}

/* ---- the guest ---- */

static json_t *status(struct control_call *call, const char *rest, struct err *err)
{
	struct run_status now = run_status_of(call->control->place.run);

	return now.running ? json_string("VM status: running\r\n")
	                   : json_sprintf("VM status: paused (%s)\r\n", now.name);
}

static json_t *version(struct control_call *call, const char *rest, struct err *err)
{
	return json_string(VMM_PROGRAM " " VMM_VERSION "\r\n");
}

static json_t *name(struct control_call *call, const char *rest, struct err *err)
{
	return json_sprintf("%s\r\n", call->control->place.config->name);
}

static json_t *uuid(struct control_call *call, const char *rest, struct err *err)
{
	const char *text = call->control->place.config->machine.uuid;

	return json_sprintf("%s\r\n", *text ? text : CONTROL_NO_UUID);
}

static json_t *kvm(struct control_call *call, const char *rest, struct err *err)
{
	return json_sprintf(
	        "kvm support: %s\r\n", call->control->place.platform ? "not compiled" : "enabled");
}

static json_t *cpus(struct control_call *call, const char *rest, struct err *err)
{
	struct run *run = call->control->place.run;
	struct control_text text = {0};

	for (unsigned i = 0; i < run_vcpus(run); i++)
		control_text_add(&text, "%c CPU #%u: thread_id=%d\r\n", i ? ' ' : '*', i,
		        run_vcpu_facts(run, i).thread);
	return control_text_take(&text);
}

/* ---- registers: the vCPU leaves the guest for a moment and answers ---- */

/* In a list of the server, which frees those that are never answered. */
struct control_look {
	struct run_look look; /* first: on_looked() finds the rest */
	struct control_call *call;
	struct control_look *next;
};

static void unlink_look(struct control *control, const struct control_look *look)
{
	struct control_look **at = &control->looks;

	while (*at != look)
		at = &(*at)->next;
	*at = look->next;
}

/* The lines of the report end in LF. */
static json_t *with_cr(const char *text)
{
	struct control_text lines = {0};

	while (*text) {
		int length = (int)strcspn(text, "\n");

		control_text_add(&lines, "%.*s\r\n", length, text);
		text += length + (text[length] == '\n');
	}
	return control_text_take(&lines);
}

static void on_looked(struct run_look *done)
{
	struct control_look *look = (struct control_look *)done;
	struct control_call *call = look->call;
	const struct err err = {.text = "no memory is left"};
	json_t *answer = *done->text ? with_cr(done->text) : json_string("The CPU does not run.\r\n");

	unlink_look(call->control, look);
	free(look);
	control_call_answer(call, answer, &err);
}

void control_looks_finish(struct control *control)
{
	const struct err err = {.kind = ERR_FAILED, .text = "the guest has ended"};

	while (control->looks) {
		struct control_look *look = control->looks;
		struct control_call *call = look->call;

		control->looks = look->next;
		loop_cancel(control->loop, &look->look.task);
		free(look);
		control_call_answer(call, NULL, &err);
	}
}

static json_t *registers(struct control_call *call, const char *rest, struct err *err)
{
	json_int_t cpu = json_integer_value(json_object_get(call->arguments, "cpu-index"));
	struct control_look *look = calloc(1, sizeof(*look));

	if (!look)
		return NULL;
	look->look.on_done = on_looked;
	look->call = call;
	look->next = call->control->looks;
	call->control->looks = look;
	control_call_defer(call);
	run_look_start(call->control->place.run, (unsigned)cpu, &look->look);
	return NULL;
}

/* ---- memory ---- */

static json_t *memory_size(struct control_call *call, const char *rest, struct err *err)
{
	const struct run_memory_facts facts = run_memory_facts(call->control->place.run);

	return json_sprintf("base memory: %" PRIu64 "\r\nplugged memory: %" PRIu64 "\r\n",
	        facts.ram_bytes - facts.plugged_bytes, facts.plugged_bytes);
}

static void add_range(struct control_text *text, uint64_t start, uint64_t bytes, const char *what)
{
	control_text_add(
	        text, "  %016" PRIx64 "-%016" PRIx64 " (prio 0, %s\r\n", start, start + bytes - 1, what);
}

static void add_region(
        struct control_text *text, const struct page_memory *memory, const struct page_region *region)
{
	bool plugged = region->kind == PAGE_PLUGGED;
	uint64_t bytes = plugged ? page_memory_plugged(memory) : region->size_bytes;

	if (bytes && region->kind != PAGE_HELPER)
		add_range(text, region->gpa.raw, bytes,
		        plugged || region->kind == PAGE_RAM ? "ram): RAM" : "rom): firmware");
}

static json_t *mtree(struct control_call *call, const char *rest, struct err *err)
{
	const struct machine_vm *vm = run_vm(call->control->place.run);
	const struct page_layout *layout = vm ? page_memory_layout(machine_vm_memory(vm)) : NULL;
	struct control_text text = {0};

	control_text_add(&text, "address-space: memory\r\n");
	for (unsigned i = 0; layout && i < layout->count; i++)
		add_region(&text, machine_vm_memory(vm), &layout->regions[i]);
	add_range(&text, MACHINE_PCI_WINDOW, MACHINE_PCI_LIMIT - MACHINE_PCI_WINDOW, "i/o): PCI");
	add_range(&text, MACHINE_IOAPIC_GPA, PAGE_SIZE_BYTES, "i/o): IOAPIC");
	add_range(&text, MACHINE_LAPIC_GPA, PAGE_SIZE_BYTES, "i/o): local APIC");
	return control_text_take(&text);
}

/* ---- devices ---- */

static json_t *chardevs(struct control_call *call, const char *rest, struct err *err)
{
	auto_json json_t *list = control_query_chardev(call, err);
	struct control_text text = {0};

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);

		control_text_add(&text, "%s: filename=%s\r\n",
		        json_string_value(json_object_get(one, "label")),
		        json_string_value(json_object_get(one, "filename")));
	}
	return control_text_take(&text);
}

/* ---- SEV ---- */

static json_t *sev(struct control_call *call, const char *rest, struct err *err)
{
	auto_json json_t *now = control_query_sev(call, err);
	struct control_text text = {0};
	const json_t *snp = json_object_get(now, "snp-policy");

	if (!json_is_true(json_object_get(now, "enabled")))
		return json_string("SEV is not enabled\r\n");
	control_text_add(&text, "state: %s\r\nbuild: %lld\r\napi version: %lld.%lld\r\n",
	        json_string_value(json_object_get(now, "state")),
	        json_integer_value(json_object_get(now, "build-id")),
	        json_integer_value(json_object_get(now, "api-major")),
	        json_integer_value(json_object_get(now, "api-minor")));
	if (snp)
		control_text_add(&text, "snp policy: 0x%llx\r\n", json_integer_value(snp));
	else
		control_text_add(&text, "handle: %lld\r\npolicy: 0x%llx\r\n",
		        json_integer_value(json_object_get(now, "handle")),
		        json_integer_value(json_object_get(now, "policy")));
	return control_text_take(&text);
}

const struct control_hmp control_hmp_info[] = {
        {"block", "", "show info of one block device or all block devices", control_info_block},
        {"chardev", "", "show the character devices", chardevs},
        {"cpus", "", "show infos for each CPU", cpus},
        {"kvm", "", "show KVM information", kvm},
        {"memory_size_summary", "", "show the amount of initially allocated and present memory", memory_size},
        {"migrate", "", "show migration status", control_hmp_info_migrate},
        {"mtree", "", "show memory tree", mtree},
        {"name", "", "show the current VM name", name},
        {"network", "", "show the network state", control_info_network},
        {"registers", "", "show the cpu registers", registers},
        {"sev", "", "show SEV information", sev},
        {"status", "", "show the current VM status (running|paused)", status},
        {"uuid", "", "show the current VM UUID", uuid},
        {"version", "", "show the version of vmm", version},
        {0},
};
