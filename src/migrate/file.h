/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file: a guest in a file, in place of a target or of a source. docs/migration.md has the format. The frames
 * of a move go through it: save.c puts those of a source in their places, load.c makes the same ones of them
 * for a target. Whoever has the file open to write it holds a lock on all of it. A file that is read may be
 * anybody's: each number is checked before it is used.
 */
#ifndef MIGRATE_FILE_H
#define MIGRATE_FILE_H

#include "guest.h"
#include "plan.h"
#include "vmm/migrate.h"
#include "wire.h"

#define MIGRATE_FILE_HEAD_BYTES  4096
#define MIGRATE_FILE_DISKS_BYTES 3968
#define MIGRATE_FILE_FRAME_BYTES 16 /* in front of each frame behind the pages */

/* What a file is; its header says so. */
enum migrate_file_state {
	MIGRATE_FILE_UNFINISHED = 1, /* it is being written, or that was not brought to an end */
	MIGRATE_FILE_COMPLETE,       /* the guest is in it, and nowhere else */
	MIGRATE_FILE_TAKEN,          /* a vmm has loaded the guest */
};

struct migrate_file {
	int fd;
	struct file_made made; /* to save: what is removed unless the guest is in it */
	char *path;            /* for messages */
	bool again;            /* to load: the file stays as it is */
	bool saves;
	/* The header. */
	enum migrate_file_state state;
	uint8_t id[MIGRATE_ID_BYTES];
	uint64_t plan_bytes, pages, frames_bytes;
	uint32_t plan_crc, sums_crc;
	char disks[MIGRATE_FILE_DISKS_BYTES]; /* text: what the images were like */
	/* The rest is for the thread of the move. */
	struct {
		uint64_t first, pages, place; /* frames of the guest's memory, and the place of the first */
	} regions[PAGE_REGIONS_MAX];
	unsigned regions_count;
	uint32_t *sums;    /* of each page: its CRC-32C, 1 in place of 0; 0: it is zeros */
	uint64_t unsynced; /* bytes */
	uint64_t at;       /* to load: the next page, or the next byte of the frames */
	enum { MIGRATE_FILE_PLAN, MIGRATE_FILE_PAGES, MIGRATE_FILE_FRAMES } next; /* to load */
};

/* ---- file.c ---- */

/* Makes the file, which nobody else may have under this name, and says in it that it is unfinished. Main
 * thread.
 */
int migrate_file_create(const char *path, const uint8_t id[static MIGRATE_ID_BYTES],
        struct migrate_file **ret_file, struct err *err) MUST_CHECK;
/* Can a guest of this configuration be in a file of this name? again: is that asked to end a doubt?
 * ERR_USAGE. */
int migrate_file_check(const struct config *config, const char *path, bool again, struct err *err) MUST_CHECK;
/* Gives each page of memory its place. ERR_USAGE, to load: the file has another number of them, or ends too
 * early. */
int migrate_file_place(
        struct migrate_file *file, const struct page_memory *memory, struct err *err) MUST_CHECK;
/* Where the sums, the pages and the frames begin. */
uint64_t migrate_file_sums_at(const struct migrate_file *file);
uint64_t migrate_file_pages_at(const struct migrate_file *file);
uint64_t migrate_file_frames_at(const struct migrate_file *file);
/* Writes the header with this state, and returns when it is on the disk. Any thread. */
int migrate_file_write_head(
        struct migrate_file *file, enum migrate_file_state state, struct err *err) MUST_CHECK;
/* Writes or reads all of these bytes. */
int migrate_file_write(
        struct migrate_file *file, const void *data, size_t size, uint64_t at, struct err *err) MUST_CHECK;
int migrate_file_read(
        struct migrate_file *file, void *data, size_t size, uint64_t at, struct err *err) MUST_CHECK;
/* Returns when all that was written is on the disk. */
int migrate_file_sync(struct migrate_file *file, struct err *err) MUST_CHECK;
/*
 * To load: says in the file that its guest was taken, or that it was not, after all. NULL, and a file that
 * stays as it is, are allowed. Main thread.
 */
int migrate_file_claim(struct migrate_file *file, bool taken, struct err *err) MUST_CHECK;

/* ---- disks.c, main thread ---- */

/* To save: notes what the images are like by now; migrate_file_write_head() writes that. */
void migrate_file_note_disks(struct migrate_file *file, const struct config *config);
/* To load: tells the log of images that are not as they were. NULL is allowed. */
void migrate_file_compare_disks(const struct migrate_file *file, const struct config *config);

/* ---- save.c: to save, on the thread of the move ---- */

int migrate_file_begin(
        struct migrate_file *file, const struct migrate_guest *guest, struct err *err) MUST_CHECK;
/* In place of sending it: the payload of a frame, which is one of this side's own. */
int migrate_file_put(struct migrate_file *file, enum migrate_type type, const uint8_t *payload, size_t size,
        struct err *err) MUST_CHECK;
/* Writes what belongs to all pages. Afterwards the file lacks nothing but its state. */
int migrate_file_end(struct migrate_file *file, struct err *err) MUST_CHECK;

/* ---- load.c: to load, on the thread of the move ---- */

/*
 * In place of receiving it: the next frame. payload has MIGRATE_PAYLOAD_MAX_BYTES. The first one is the plan;
 * before the next one the caller calls migrate_file_place(). ERR_USAGE: the file is damaged.
 */
int migrate_file_next(struct migrate_file *file, uint8_t *payload, struct migrate_frame *ret_frame,
        struct err *err) MUST_CHECK;

#endif
