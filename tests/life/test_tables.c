/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose the pages of a SEV-SNP guest are, from four sides at one moment, at which the guest stands still: its
 * own page tables, which probe-efi walks and prints after OVMF has started it and it has converted pages;
 * vmm's record of shared pages; KVM's memory attributes; and the RMP.
 */
#include <jansson.h>

#include "life.h"
#include "support/cache.h"

#define MEMORY_BYTES MIB(256)
#define FRAMES       (MEMORY_BYTES / PAGE_SIZE_BYTES)
/* Firmware takes this for video memory and ROMs, as on a PC: it maps it like devices and accepts nothing. */
#define HOLE         0xa0u
#define HOLE_END     0x100u
#define OUTPUT_BYTES 65536
#define CONVERTED    6u

/* A bit for each frame of RAM: what the sides say. */
enum side { TABLES_SHARED = 1, TABLES_PRIVATE = 2, RECORD_SHARED = 4 };
static uint8_t frames[FRAMES];
static char output[OUTPUT_BYTES];
static const char *printed; /* the probe's line in it; NULL: it has not come so far */
static struct sim_page_view views[FRAMES];
static unsigned shared_frames;

static void mark(uint64_t first, uint64_t end, enum side side)
{
	for (uint64_t i = first; i < end && i < FRAMES; i++)
		frames[i] |= side;
}

static void mark_run(const json_t *run, enum side side)
{
	uint64_t first = strtoull(json_string_value(json_object_get(run, "gpa")), NULL, 16) / PAGE_SIZE_BYTES;

	mark(first,
	        first + (uint64_t)json_integer_value(json_object_get(run, "size-bytes")) / PAGE_SIZE_BYTES,
	        side);
}

static void read_tables(const json_t *facts)
{
	const json_t *tables = json_object_get(facts, "page-tables"), *run;
	size_t i;

	json_array_foreach(json_object_get(tables, "shared"), i, run) mark_run(run, TABLES_SHARED);
	json_array_foreach(json_object_get(tables, "encrypted"), i, run) mark_run(run, TABLES_PRIVATE);
	assert_int_equal(json_integer_value(json_object_get(tables, "moved-bytes")), 0);
	assert_int_equal(json_array_size(json_object_get(facts, "conversions")), CONVERTED);
}

static void read_record(const struct page_memory *memory)
{
	struct page_record_walk walk = {.memory = memory, .end = FRAMES};
	struct page_range range;

	while (page_record_next(&walk, &range))
		mark(range.first, range.end, RECORD_SHARED);
}

static void read_platform(void)
{
	for (uint64_t i = 0; i < FRAMES; i++)
		assert_true(sim_page_view(life.host, i * PAGE_SIZE_BYTES, &views[i]));
	assert_false(sim_page_view(life.host, MEMORY_BYTES, &views[0]));
}

/* What all sides must say of a frame that the record shares, or does not. */
static void compare(uint64_t frame)
{
	const struct sim_page_view *view = &views[frame];
	bool shared = frames[frame] & RECORD_SHARED, in_hole = frame >= HOLE && frame < HOLE_END;
	bool own = !shared && !in_hole; /* and accepted: all that is not shared or left alone */
	unsigned tables = frames[frame] & (TABLES_SHARED | TABLES_PRIVATE);

	if (view->private == shared || view->assigned != own || view->validated != own ||
	        tables != (own ? TABLES_PRIVATE : TABLES_SHARED) || (shared && in_hole))
		fail_msg("page 0x%llx: record %s; attribute %s, RMP %s%s; tables %s%s",
		        (unsigned long long)frame * PAGE_SIZE_BYTES, shared ? "shared" : "private",
		        view->private ? "private" : "shared", view->assigned ? "the guest's" : "the host's",
		        view->validated ? ", validated" : "", tables & TABLES_SHARED ? "shared" : "",
		        tables & TABLES_PRIVATE ? "private" : "");
	shared_frames += shared;
}

/* The guest was launched with firmware's image, and keeps it. */
static void compare_rest(const struct page_memory *memory)
{
	const struct page_layout *layout = page_memory_layout(memory);
	struct sim_page_view view;

	for (unsigned i = 0; i < layout->count; i++) {
		const struct page_region *region = &layout->regions[i];

		if (region->kind == PAGE_RAM)
			continue;
		for (uint64_t at = 0; at < region->size_bytes; at += PAGE_SIZE_BYTES) {
			assert_true(sim_page_view(life.host, region->gpa.raw + at, &view));
			assert_true(view.private && view.assigned && view.validated);
		}
	}
}

/* The guest has settled after the stop. Before, it settled when it began to run. */
static void look(struct life *l)
{
	struct page_memory *memory;
	struct page_record record;
	json_error_t error;
	json_t *facts;

	if (!printed)
		return;
	memory = machine_vm_memory(run_vm(l->run));
	facts = json_loads(printed, JSON_DISABLE_EOF_CHECK, &error);
	if (!facts)
		fail_msg("what the probe printed: %s", error.text);
	page_record_count(memory, &record);
	assert_true(record.complete);
	read_tables(facts);
	read_record(memory);
	read_platform();
	for (uint64_t i = 0; i < FRAMES; i++)
		compare(i);
	compare_rest(memory);
	json_decref(facts);
	run_quit(l->run);
}

/* The probe's line is the last that the guest prints before it waits. */
static void look_for_the_line(void *ctx)
{
	struct life *l = ctx;
	static struct loop_op *timer;
	ssize_t size = pread(l->out, output, sizeof(output) - 1, 0);
	const char *start;

	assert_true(size >= 0);
	output[size] = '\0';
	start = strstr(output, "{\"probe\"");
	if (start && strchr(start, '\n')) {
		printed = start;
		life_stop(l);
		return;
	}
	assert_ok(loop_timer_start(run_loop(l->run), 20000000, look_for_the_line, l, &timer, &err));
}

static void begin(struct life *l)
{
	if (l->step++ == 0)
		look_for_the_line(l);
}

static void test_tables_record_attributes_and_rmp_agree(void **state)
{
	char path[256], firmware[300];
	const char *const sets[] = {firmware, "machine.memory=256M", "machine.vcpus=2", "boot.kernel=" PROBE,
	        "boot.cmdline=wait", NULL};

	cache_path("firmware/trixie/OVMF.fd", path, sizeof(path));
	snprintf(firmware, sizeof(firmware), "firmware=%s", path);
	if (access(path, R_OK) < 0) {
		print_message("there is no firmware; run: scripts/setup --firmware\n");
		skip();
	}
	life.out = memfd_create("output", 0);
	life.on_launch = begin;
	life.on_settled = look;
	assert_ends_well(life_run(&life, "sev-snp", sets));
	close(life.out);
	print_message(
	        "%llu pages of RAM, of which %u are shared\n", (unsigned long long)FRAMES, shared_frames);
	assert_true(shared_frames > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {T(test_tables_record_attributes_and_rmp_agree)};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
