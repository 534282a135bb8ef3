/* SPDX-License-Identifier: Apache-2.0 */
/*
 * save: puts what a source sends into its places in a file. The thread of the move.
 */
#include <fcntl.h>
#include <string.h>

#include "file.h"

/* So many bytes are written before the disk has them: a thread that waits for the disk cannot be cancelled.
 */
#define SYNC_BYTES MIB(64)

enum { KIND_DATA = 1, KIND_ZERO = 2 }; /* as in pages.c */

int migrate_file_begin(struct migrate_file *file, const struct migrate_guest *guest, struct err *err)
{
	size_t size = strlen(guest->plan);

	if (size > MIGRATE_PLAN_MAX_BYTES)
		return err_set(err, ERR_FAILED, "the guest has so many parts that its plan is too long");
	file->plan_bytes = size;
	file->plan_crc = migrate_crc32c(guest->plan, size);
	file->frames_bytes = 0;
	if (migrate_file_place(file, guest->memory, err) < 0)
		return -1;
	return migrate_file_write(file, guest->plan, size, MIGRATE_FILE_HEAD_BYTES, err);
}

/* ---- pages ---- */

/* Every page that a source has is in one of the regions. */
static uint64_t place_of(const struct migrate_file *file, uint64_t frame)
{
	unsigned i = 0;

	while (i + 1 < file->regions_count && frame >= file->regions[i + 1].first)
		i++;
	return file->regions[i].place + (frame - file->regions[i].first);
}

/* Memory that is zeros by now takes no room on the disk, if the file system can make holes. */
static void put_zeros(struct migrate_file *file, uint64_t place, uint64_t pages)
{
	for (uint64_t end = place + pages, from; place < end; place++) {
		for (from = place; place < end && file->sums[place]; place++)
			file->sums[place] = 0;
		if (place > from)
			(void)fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			        (off_t)(migrate_file_pages_at(file) + from * PAGE_SIZE_BYTES),
			        (off_t)((place - from) * PAGE_SIZE_BYTES));
	}
}

static int put_data(
        struct migrate_file *file, uint64_t place, uint64_t pages, const uint8_t *data, struct err *err)
{
	for (uint64_t i = 0; i < pages; i++)
		file->sums[place + i] = migrate_crc32c(data + i * PAGE_SIZE_BYTES, PAGE_SIZE_BYTES) ?: 1;
	if (migrate_file_write(file, data, pages * PAGE_SIZE_BYTES,
	            migrate_file_pages_at(file) + place * PAGE_SIZE_BYTES, err) < 0)
		return -1;
	file->unsynced += pages * PAGE_SIZE_BYTES;
	return file->unsynced < SYNC_BYTES ? 0 : migrate_file_sync(file, err);
}

static int put_pages(struct migrate_file *file, const uint8_t *payload, size_t size, struct err *err)
{
	struct cursor contents = cursor_over(payload, size), records;
	uint32_t count = cursor_u32(&contents);

	(void)cursor_u32(&contents);
	records = contents;
	(void)cursor_take(&contents, (size_t)count * 16);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t place = place_of(file, cursor_u64(&records) / PAGE_SIZE_BYTES);
		uint32_t bytes = cursor_u32(&records), kind = cursor_u32(&records);

		if (kind == KIND_ZERO)
			put_zeros(file, place, bytes / PAGE_SIZE_BYTES);
		else if (put_data(file, place, bytes / PAGE_SIZE_BYTES, cursor_take(&contents, bytes), err) <
		         0)
			return -1;
	}
	return 0;
}

/* ---- frames ---- */

static int put_frame(struct migrate_file *file, enum migrate_type type, const uint8_t *payload, size_t size,
        struct err *err)
{
	uint64_t at = migrate_file_frames_at(file) + file->frames_bytes;
	uint8_t head[MIGRATE_FILE_FRAME_BYTES] = {0};

	store_le(head, 4, type);
	store_le(head + 4, 4, size);
	store_le(head + 8, 4, migrate_crc32c(payload, size));
	store_le(head + 12, 4, migrate_crc32c(head, 12));
	if (migrate_file_write(file, head, sizeof(head), at, err) < 0 ||
	        migrate_file_write(file, payload, size, at + sizeof(head), err) < 0)
		return -1;
	file->frames_bytes += sizeof(head) + size;
	return 0;
}

int migrate_file_put(struct migrate_file *file, enum migrate_type type, const uint8_t *payload, size_t size,
        struct err *err)
{
	switch (type) {
	case MIGRATE_PAGES: return put_pages(file, payload, size, err);
	/* What was written while the guest ran is on the disk when the guest is stopped. */
	case MIGRATE_PASS: return migrate_file_sync(file, err);
	default: return put_frame(file, type, payload, size, err);
	}
}

int migrate_file_end(struct migrate_file *file, struct err *err)
{
	size_t size = file->pages * sizeof(*file->sums);

	file->sums_crc = migrate_crc32c(file->sums, size);
	if (migrate_file_write(file, file->sums, size, migrate_file_sums_at(file), err) < 0)
		return -1;
	return migrate_file_write_head(file, MIGRATE_FILE_UNFINISHED, err);
}
