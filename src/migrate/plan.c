/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan: made once for each side of a move, and compared line by line. What a device is like beyond its kind,
 * its own state says (struct device_kind, visit).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"
#include "vmm/device/dimms.h"

#define LINE_SHOWN 120 /* bytes of a peer's line that are told */

/* ---- making one ---- */

static void write_sev(FILE *out, const struct config *config)
{
	fprintf(out, "sev.policy = 0x%" PRIx64 "\n", config->sev.policy);
	fprintf(out, "sev.helper = %s\n", config->sev.helper ? "true" : "false");
	fprintf(out, "sev.page-status = %s\n", config->sev.page_status ? "true" : "false");
	fprintf(out, "sev.shared-ranges-max = %" PRIu64 "\n", config->sev.shared_ranges_max);
}

static void write_config(FILE *out, const struct config *config)
{
	static const char *const types[] = {
	        [CONFIG_SEV_NONE] = "none",
	        [CONFIG_SEV] = "sev",
	        [CONFIG_SEV_ES] = "sev-es",
	        [CONFIG_SEV_SNP] = "sev-snp",
	};

	fprintf(out, "machine.cpu = %s\n", config->machine.cpu);
	fprintf(out, "machine.vcpus = %u\n", config->machine.vcpus);
	fprintf(out, "machine.memory = %" PRIu64 "\n", config->machine.memory_bytes);
	fprintf(out, "machine.memory-max = %" PRIu64 "\n", config->machine.memory_max_bytes);
	fprintf(out, "machine.uuid = %s\n", config->machine.uuid);
	fprintf(out, "sev.type = %s\n", types[config->sev.type]);
	if (config->sev.type != CONFIG_SEV_NONE)
		write_sev(out, config);
}

static void write_memory(FILE *out, const struct page_layout *layout)
{
	static const char *const kinds[] = {
	        [PAGE_RAM] = "RAM",
	        [PAGE_FIRMWARE] = "firmware",
	        [PAGE_STORE] = "variables",
	        [PAGE_PLUGGED] = "room for more",
	        [PAGE_HELPER] = "helper",
	};

	for (unsigned i = 0; i < layout->count; i++) {
		const struct page_region *region = &layout->regions[i];

		fprintf(out, "memory[%u] = %s at 0x%" PRIx64 ", 0x%" PRIx64 " bytes\n", i,
		        kinds[region->kind], region->gpa.raw, region->size_bytes);
	}
}

#define LEAF  "cpuid["
#define ADDED "added = "

static void write_added(FILE *out, const struct device_board *board)
{
	struct device_dimm dimms[PAGE_PLUGS_MAX];
	unsigned count = device_dimms_list(device_dimms_of(board), dimms);

	for (unsigned i = 0; i < count; i++)
		fprintf(out, ADDED "%" PRIu64 "\n", dimms[i].size_bytes);
}

static void write_cpuid(FILE *out, const struct machine_cpuid *cpuid)
{
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		const struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

		fprintf(out, LEAF "0x%08x, %u] = eax 0x%08x, ebx 0x%08x, ecx 0x%08x, edx 0x%08x\n",
		        entry->function, entry->index, entry->eax, entry->ebx, entry->ecx, entry->edx);
	}
}

static void write_devices(FILE *out, const struct config *config, const struct device_board *board)
{
	for (size_t i = 0; i < config->devices_count; i++) {
		const struct config_device *device = &config->devices[i];

		fprintf(out, "devices[%zu] = %s %s\n", i, config_driver_words[device->driver], device->id);
	}
	for (unsigned i = 0; i < board->count; i++)
		fprintf(out, "board[%u] = %s\n", i, board->devices[i]->kind->name);
}

int migrate_plan_make(struct machine *machine, struct machine_vm *vm, char **ret_plan, struct err *err)
{
	size_t size;
	FILE *out = open_memstream(ret_plan, &size);

	if (!out)
		return err_sys(err, ERR_FAILED, errno, "the plan of the guest");
	write_config(out, machine_config(machine));
	write_memory(out, page_memory_layout(machine_vm_memory(vm)));
	write_added(out, machine_board(machine));
	write_cpuid(out, machine_vm_cpuid(vm));
	write_devices(out, machine_config(machine), machine_board(machine));
	if (fclose(out) == 0)
		return 0;
	free(take_ptr(ret_plan));
	return err_sys(err, ERR_FAILED, ENOMEM, "the plan of the guest");
}

/* ---- comparing two ---- */

struct line {
	const char *at;
	size_t size; /* without its end */
};

static bool next_line(struct line *rest, struct line *ret_line)
{
	const char *end;

	if (!rest->size)
		return false;
	end = memchr(rest->at, '\n', rest->size);
	ret_line->at = rest->at;
	ret_line->size = end ? (size_t)(end - rest->at) : rest->size;
	rest->size -= ret_line->size + (end ? 1 : 0);
	rest->at += ret_line->size + (end ? 1 : 0);
	return true;
}

static bool is_same(const struct line *a, const struct line *b)
{
	return a->size == b->size && memcmp(a->at, b->at, a->size) == 0;
}

/* Returns the length of "NAME = ", or 0. */
static size_t name_size(const struct line *line)
{
	const char *sign = memmem(line->at, line->size, " = ", 3);

	return sign ? (size_t)(sign - line->at) + 3 : 0;
}

/* Do both lines tell of the same thing? */
static bool is_of_same(const struct line *a, const struct line *b)
{
	size_t size = name_size(a);

	return size && size == name_size(b) && memcmp(a->at, b->at, size) == 0;
}

static bool find_of_same(struct line rest, const struct line *of, struct line *ret_line)
{
	while (next_line(&rest, ret_line))
		if (is_of_same(ret_line, of))
			return true;
	return false;
}

static int shown(const struct line *line, size_t from)
{
	size_t size = line->size - from;

	return (int)(size < LINE_SHOWN ? size : LINE_SHOWN);
}

struct differences {
	char text[1200];
	unsigned count;
	bool explained; /* one of them is no leaf of CPUID */
};

/* The leaves of CPUID follow from the rest, such as the number of processors, which people can set. */
static bool is_leaf(const struct line *line)
{
	return line->size > strlen(LEAF) && memcmp(line->at, LEAF, strlen(LEAF)) == 0;
}

static void tell(struct differences *found, const struct line *ours, const struct line *theirs)
{
	size_t used = strlen(found->text), cut = ours ? name_size(ours) : 0;
	char *to = found->text + used;
	const char *comma = found->count ? "; " : "";
	bool leaf = is_leaf(ours ?: theirs);

	if (leaf && found->explained)
		return;
	found->explained |= !leaf;
	found->count++;
	if (found->count > MIGRATE_DIFFERENCES)
		return;
	if (ours && theirs)
		snprintf(to, sizeof(found->text) - used, "%s%.*s is %.*s here and %.*s there", comma,
		        (int)(cut > 3 ? cut - 3 : 0), ours->at, shown(ours, cut), ours->at + cut,
		        shown(theirs, cut), theirs->at + cut);
	else
		snprintf(to, sizeof(found->text) - used, "%s%.*s only %s", comma, shown(ours ?: theirs, 0),
		        (ours ?: theirs)->at, ours ? "here" : "there");
}

/* Tells the lines of a that b has not; values that differ only once, from our side. */
static void compare(const struct line *a, const struct line *b, bool a_is_ours, struct differences *found)
{
	struct line rest = *a, other = *b, line, twin;

	while (next_line(&rest, &line)) {
		/* Most lines are where they are in the other plan. */
		if (next_line(&other, &twin) && is_same(&line, &twin))
			continue;
		if (!find_of_same(*b, &line, &twin))
			tell(found, a_is_ours ? &line : NULL, a_is_ours ? NULL : &line);
		else if (a_is_ours && !is_same(&line, &twin))
			tell(found, &line, &twin);
		if (found->count > MIGRATE_DIFFERENCES)
			return;
	}
}

/* Reads the number of a line; 0: it has none. */
static uint64_t number_of(const struct line *line, size_t from)
{
	uint64_t number = 0;

	for (size_t i = from; i < line->size; i++) {
		unsigned digit = (unsigned)(line->at[i] - '0');

		if (digit > 9 || number > PAGE_RAM_MAX_BYTES)
			return 0;
		number = number * 10 + digit;
	}
	return number;
}

static bool tells_of_added(const struct line *line)
{
	return line->size > strlen(ADDED) && memcmp(line->at, ADDED, strlen(ADDED)) == 0;
}

unsigned migrate_plan_added(const void *plan, size_t size, uint64_t ret_bytes[static PAGE_PLUGS_MAX])
{
	struct line rest = {plan, size}, line;
	unsigned count = 0;

	while (count < PAGE_PLUGS_MAX && next_line(&rest, &line))
		if (tells_of_added(&line))
			ret_bytes[count++] = number_of(&line, strlen(ADDED));
	return count;
}

/* Copies the lines that do not tell of added memory. Returns NULL if there is no memory for them. */
static char *copy_without_added(struct line rest, struct line *ret_copy)
{
	char *copy = malloc(rest.size + 2);
	struct line line;
	size_t size = 0;

	while (copy && next_line(&rest, &line)) {
		if (tells_of_added(&line))
			continue;
		memcpy(copy + size, line.at, line.size);
		size += line.size;
		copy[size++] = '\n';
	}
	*ret_copy = (struct line){copy, size};
	return copy;
}

static int compare_plans(const struct line *a, const struct line *b, struct err *err)
{
	struct differences found = {0};

	if (a->size == b->size && memcmp(a->at, b->at, b->size) == 0)
		return 0;
	compare(a, b, true, &found);
	compare(b, a, false, &found);
	return err_set(err, ERR_FAILED, "the two sides have different guests: %s%s",
	        found.count ? found.text : "the order of their parts",
	        found.count > MIGRATE_DIFFERENCES ? "; and more" : "");
}

int migrate_plan_compare(const char *ours, const void *theirs, size_t size, bool with_added, struct err *err)
{
	struct line a = {ours, strlen(ours)}, b = {theirs, size};
	auto_free char *ours_copy = with_added ? NULL : copy_without_added(a, &a);
	auto_free char *theirs_copy = with_added ? NULL : copy_without_added(b, &b);

	if (!with_added && (!ours_copy || !theirs_copy))
		return err_sys(err, ERR_FAILED, ENOMEM, "the plan of the guest");
	return compare_plans(&a, &b, err);
}
