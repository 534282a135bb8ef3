/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load: makes the frames of a source out of a file, which may be anybody's. What a frame says of the guest
 * the target judges; here it is bytes that are as they were written. The thread of the move.
 */
#include <string.h>

#include "file.h"

#define RECORDS_MAX  256 /* of a frame, as in pages.c */
#define RECORD_BYTES 16
#define HEAD_BYTES   8
#define FRAME_PAGES  64
#define SCAN_PAGES   1024

enum { KIND_DATA = 1, KIND_ZERO = 2 };

static int damaged(const struct migrate_file *file, const char *what, struct err *err)
{
	return err_set(err, ERR_USAGE, "%s is damaged: %s", file->path, what);
}

/* ---- pages ---- */

static int read_sums(struct migrate_file *file, struct err *err)
{
	size_t size = file->pages * sizeof(*file->sums);

	if (migrate_file_read(file, file->sums, size, migrate_file_sums_at(file), err) < 0)
		return -1;
	if (migrate_crc32c(file->sums, size) != file->sums_crc)
		return damaged(file, "the sums of its pages", err);
	return 0;
}

/* The place of a page leads to its frame, and to how many pages of its region follow, itself included. */
static uint64_t frame_of(const struct migrate_file *file, uint64_t place, uint64_t *ret_more)
{
	unsigned i = 0;

	while (i + 1 < file->regions_count && place >= file->regions[i + 1].place)
		i++;
	*ret_more = file->regions[i].place + file->regions[i].pages - place;
	return file->regions[i].first + (place - file->regions[i].place);
}

/* Reads pages that follow each other, and compares their sums. */
static int read_pages(struct migrate_file *file, uint64_t place, uint64_t pages, uint8_t *to, struct err *err)
{
	uint64_t more;

	if (migrate_file_read(file, to, pages * PAGE_SIZE_BYTES,
	            migrate_file_pages_at(file) + place * PAGE_SIZE_BYTES, err) < 0)
		return -1;
	for (uint64_t i = 0; i < pages; i++) {
		if ((migrate_crc32c(to + i * PAGE_SIZE_BYTES, PAGE_SIZE_BYTES) ?: 1) == file->sums[place + i])
			continue;
		return err_set(err, ERR_USAGE, "%s is damaged: the page of the guest at 0x%llx", file->path,
		        (unsigned long long)frame_of(file, place + i, &more) * PAGE_SIZE_BYTES);
	}
	return 0;
}

/* The next pages that are all zeros or all not, in one record. Returns how many, at most max. */
static uint64_t add_record(const struct migrate_file *file, uint64_t place, uint64_t max, uint8_t *record)
{
	bool zero = !file->sums[place];
	uint64_t more, frame = frame_of(file, place, &more), pages = 1;

	max = max < more ? max : more;
	while (pages < max && !file->sums[place + pages] == zero)
		pages++;
	store_le(record, 8, frame * PAGE_SIZE_BYTES);
	store_le(record + 8, 4, pages * PAGE_SIZE_BYTES);
	store_le(record + 12, 4, zero ? KIND_ZERO : KIND_DATA);
	return pages;
}

static size_t plan_pages(const struct migrate_file *file, uint8_t *payload)
{
	uint64_t place = file->at, data = 0, all = 0;
	unsigned count = 0;

	while (place < file->pages && count < RECORDS_MAX && data < FRAME_PAGES && all < SCAN_PAGES) {
		bool zero = !file->sums[place];
		uint64_t max = SCAN_PAGES - all;
		uint64_t pages;

		if (!zero && max > FRAME_PAGES - data)
			max = FRAME_PAGES - data;
		pages = add_record(file, place, max, payload + HEAD_BYTES + (size_t)count * RECORD_BYTES);
		data += zero ? 0 : pages;
		all += pages;
		place += pages;
		count++;
	}
	store_le(payload, 4, count);
	store_le(payload + 4, 4, 0);
	return count;
}

static int next_pages(
        struct migrate_file *file, uint8_t *payload, struct migrate_frame *ret_frame, struct err *err)
{
	size_t count = plan_pages(file, payload), end = HEAD_BYTES + count * RECORD_BYTES;

	for (size_t i = 0; i < count; i++) {
		const uint8_t *record = payload + HEAD_BYTES + i * RECORD_BYTES;
		uint64_t pages = load_le(record + 8, 4) / PAGE_SIZE_BYTES;

		if (load_le(record + 12, 4) == KIND_DATA) {
			if (read_pages(file, file->at, pages, payload + end, err) < 0)
				return -1;
			end += pages * PAGE_SIZE_BYTES;
		}
		file->at += pages;
	}
	*ret_frame = (struct migrate_frame){MIGRATE_PAGES, payload, end};
	return 0;
}

/* Each page is there once, so there is one pass. */
static void end_pages(struct migrate_file *file, uint8_t *payload, struct migrate_frame *ret_frame)
{
	store_le(payload, 4, 1);
	store_le(payload + 4, 4, 1);
	store_le(payload + 8, 8, file->pages);
	*ret_frame = (struct migrate_frame){MIGRATE_PASS, payload, 16};
	file->next = MIGRATE_FILE_FRAMES;
	file->at = 0;
}

/* ---- frames ---- */

static int next_frame(
        struct migrate_file *file, uint8_t *payload, struct migrate_frame *ret_frame, struct err *err)
{
	uint64_t left = file->frames_bytes - file->at, at = migrate_file_frames_at(file) + file->at;
	uint8_t head[MIGRATE_FILE_FRAME_BYTES];
	uint64_t type, size;

	if (left < sizeof(head))
		return damaged(file, "it lacks parts of the guest", err);
	if (migrate_file_read(file, head, sizeof(head), at, err) < 0)
		return -1;
	type = load_le(head, 4);
	size = load_le(head + 4, 4);
	if (load_le(head + 12, 4) != migrate_crc32c(head, 12) || type < MIGRATE_TIME ||
	        type > MIGRATE_STATE || size > left - sizeof(head) || size > MIGRATE_PAYLOAD_MAX_BYTES)
		return damaged(file, "the head of a part", err);
	if (migrate_file_read(file, payload, size, at + sizeof(head), err) < 0)
		return -1;
	if (migrate_crc32c(payload, size) != load_le(head + 8, 4))
		return damaged(file, migrate_type_name((unsigned)type), err);
	file->at += sizeof(head) + size;
	if (type == MIGRATE_STATE && file->at != file->frames_bytes)
		return damaged(file, "it goes on behind the guest's last part", err);
	*ret_frame = (struct migrate_frame){(unsigned)type, payload, size};
	return 0;
}

/* ---- in their order ---- */

static int first(
        struct migrate_file *file, uint8_t *payload, struct migrate_frame *ret_frame, struct err *err)
{
	if (migrate_file_read(file, payload, file->plan_bytes, MIGRATE_FILE_HEAD_BYTES, err) < 0)
		return -1;
	if (migrate_crc32c(payload, file->plan_bytes) != file->plan_crc)
		return damaged(file, "the plan of the guest", err);
	*ret_frame = (struct migrate_frame){MIGRATE_PLAN, payload, file->plan_bytes};
	file->next = MIGRATE_FILE_PAGES;
	file->at = 0;
	return 0;
}

int migrate_file_next(
        struct migrate_file *file, uint8_t *payload, struct migrate_frame *ret_frame, struct err *err)
{
	if (file->next == MIGRATE_FILE_PLAN)
		return first(file, payload, ret_frame, err);
	if (file->next == MIGRATE_FILE_FRAMES)
		return next_frame(file, payload, ret_frame, err);
	if (file->at == 0 && read_sums(file, err) < 0)
		return -1;
	if (file->at < file->pages)
		return next_pages(file, payload, ret_frame, err);
	end_pages(file, payload, ret_frame);
	return 0;
}
