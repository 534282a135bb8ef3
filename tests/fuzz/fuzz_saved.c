/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_saved: a file from which a hostile user has a guest loaded. It begins as a whole one, of two pages
 * that are no zeros. The input is what is changed in it: a part of the file, where in that (two bytes), how
 * many bytes, and these; a part with bit 7 ends the changes and cuts the file there. Then the checksums are
 * made right again, unless bit 6 of the first byte says otherwise. Nothing is ever taken that is not whole.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../src/migrate/file.h"
#include "../../src/migrate/side.h"
#include "fuzz.h"
#include "support/fake_kernel.h"

#define RAM         MIB(1)
#define FIRMWARE    KIB(16)
#define PLAN        "a = 1\n"
#define PARTS       2
#define CHANGES_MAX 32
#define SUMS_AT     8192

static struct fake_kernel kernel;
static struct page_memory *memory;
static uint8_t *whole, *file;
static size_t whole_bytes, frames_at;
static int fd;
static char name[40];
static bool took;
static unsigned loaded;
static struct migrate_progress progress;
static struct migrate_limits limits = {.stop_ms = 300};

static int on_save(void *ctx, enum migrate_part part, unsigned i, struct vmstate *ret_state, struct err *err)
{
	uint8_t value = 7;

	*ret_state = vmstate_save("part");
	vmstate_u8(ret_state, "value", &value, 0x0f);
	return vmstate_end(ret_state, err);
}

static int on_load(
        void *ctx, enum migrate_part part, unsigned i, const void *data, size_t size, struct err *err)
{
	struct vmstate s = vmstate_load("part", data, size);
	uint8_t value;

	vmstate_u8(&s, "value", &value, 0x0f);
	loaded += !s.bad;
	return vmstate_end(&s, err);
}

static int on_log(void *ctx, bool on, struct err *err)
{
	return 0;
}

static int on_collect(void *ctx, struct page_dirty *into, struct err *err)
{
	return 0;
}

static int on_stop(void *ctx, struct err *err)
{
	return 0;
}

static int on_hand(void *ctx, const uint8_t id[static MIGRATE_ID_BYTES], struct err *err)
{
	took = true;
	return 0;
}

static void on_progress(void *ctx)
{
}

static enum migrate_result move(struct migrate_file *at, bool saves)
{
	const struct migrate_guest guest = {.memory = memory,
	        .plan = PLAN,
	        .counts = {1, 1, 1, PARTS},
	        .save = on_save,
	        .load = on_load,
	        .log = on_log,
	        .collect = on_collect,
	        .stop = on_stop,
	        .give = on_hand,
	        .take = on_hand};
	struct migrate_side side = {
	        .guest = &guest, .progress = &progress, .limits = &limits, .on_progress = on_progress};
	_Atomic bool cancelled = false;
	enum migrate_result result;
	struct err err = {0};

	fuzz_assert(migrate_wire_init(&side.wire, -1, &cancelled, &err) == 0);
	side.wire.file = at;
	result = saves ? migrate_source(&side, &err) : migrate_target(&side, &err);
	fuzz_assert(result == MIGRATE_GONE || *err.text);
	migrate_wire_finish(&side.wire);
	return result;
}

/* A guest that was saved, as bytes. */
static void make_whole(void)
{
	static const uint8_t id[MIGRATE_ID_BYTES] = {1};
	char path[] = "/tmp/fuzz_saved.XXXXXX/saved", *slash = strrchr(path, '/');
	struct migrate_file *made;
	struct err err;

	*slash = '\0';
	fuzz_assert(mkdtemp(path) != NULL);
	*slash = '/';
	fuzz_assert(page_write(memory, gpa(0), "begin", 5) == 0);
	fuzz_assert(page_write(memory, gpa(RAM - PAGE_SIZE_BYTES), "end", 3) == 0);
	fuzz_assert(migrate_file_create(path, id, &made, &err) == 0);
	fuzz_assert(move(made, true) == MIGRATE_GONE);
	frames_at = migrate_file_frames_at(made);
	migrate_file_close(made);
	fuzz_assert(file_read_all(path, MIB(4), (void **)&whole, &whole_bytes, &err) == 0);
	unlink(path);
	*slash = '\0';
	rmdir(path);
	fd = memfd_create("saved", MFD_CLOEXEC);
	fuzz_assert(fd >= 0 && ftruncate(fd, (off_t)whole_bytes) == 0);
	file = mmap(NULL, whole_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	fuzz_assert(file != MAP_FAILED);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
}

/* Returns how long the file is. */
static size_t change(struct cursor in)
{
	const size_t starts[] = {0, 4096, SUMS_AT, SUMS_AT + 4096, frames_at - PAGE_SIZE_BYTES, frames_at};

	for (unsigned i = 0; i < CHANGES_MAX && in.left; i++) {
		unsigned part = cursor_u8(&in);
		size_t at = starts[part % ARRAY_LEN(starts)] + cursor_u16(&in), size;
		const uint8_t *bytes;

		if (part & 0x80)
			return at < whole_bytes ? at : whole_bytes;
		size = cursor_u8(&in);
		size = size < in.left ? size : in.left;
		bytes = cursor_take(&in, size);
		if (bytes && range_fits(at, size, whole_bytes))
			memcpy(file + at, bytes, size);
	}
	return whole_bytes;
}

static void sum(uint8_t *at, size_t from, size_t size)
{
	if (range_fits(from, size, whole_bytes))
		store_le(at, 4, migrate_crc32c(file + from, size));
}

static void sum_frames(void)
{
	size_t at = frames_at;

	while (range_fits(at, MIGRATE_FILE_FRAME_BYTES, whole_bytes)) {
		size_t size = load_le(file + at + 4, 4);

		sum(file + at + 8, at + MIGRATE_FILE_FRAME_BYTES, size);
		sum(file + at + 12, at, 12);
		at += MIGRATE_FILE_FRAME_BYTES + size;
	}
}

static void sum_all(void)
{
	size_t pages = (RAM + FIRMWARE) / PAGE_SIZE_BYTES;

	sum_frames();
	for (size_t i = 0; i < pages; i++)
		if (load_le(file + SUMS_AT + 4 * i, 4))
			sum(file + SUMS_AT + 4 * i, SUMS_AT + 4096 + i * PAGE_SIZE_BYTES, PAGE_SIZE_BYTES);
	sum(file + 64, 4096, load_le(file + 40, 8));
	sum(file + 68, SUMS_AT, 4 * pages);
	store_le(file + 72, 4, 0);
	sum(file + 72, 0, 4096);
}

static void start(void)
{
	struct page_layout layout;
	struct err err;

	fake_start(&kernel);
	log_set_level(LOG_ERROR);
	fuzz_assert(page_layout_make(RAM, FIRMWARE, &layout, &err) == 0);
	fuzz_assert(page_memory_create(&kernel.host, &layout, PAGE_OWN, &memory, &err) == 0);
	make_whole();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor in = cursor_over(data, size);
	bool sums = !(cursor_u8(&in) & 0x40);
	struct migrate_file *at;
	struct err err = {0};
	size_t end;

	if (!memory)
		start();
	fuzz_assert(ftruncate(fd, (off_t)whole_bytes) == 0);
	memcpy(file, whole, whole_bytes);
	end = change(in);
	if (sums)
		sum_all();
	fuzz_assert(ftruncate(fd, (off_t)end) == 0);
	took = false;
	loaded = 0;
	if (migrate_file_open(name, size % 2, &at, &err) < 0) {
		fuzz_assert(*err.text);
		return 0;
	}
	fuzz_assert((move(at, false) == MIGRATE_GONE) == took);
	fuzz_assert(!took || loaded == 3 + PARTS);
	migrate_file_close(at);
	return 0;
}
