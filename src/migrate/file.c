/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file: the file in which a guest is: its header, its places, its life. Numbers are little-endian.
 *
 *     0 "VMM saved guest\n"   16 version u32   20 state u32   24 id[16]   40 bytes of the plan u64   48 pages
 * u64 56 bytes of the frames u64   64 CRC-32C of the plan u32   68 of the sums u32   72 of the header u32,
 * taken as 0   76 the program's name and version, text   128 what the images were like, text (disks.c)
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "file.h"
#include "vmm/config.h"

static const char magic[] = "VMM saved guest\n";
static const unsigned version_ours = 1;

#define SCHEME    "file:"
#define AT_BUILD  76
#define BUILD     "vmm " VMM_VERSION
#define PAGES_MAX (UINT64_C(1) << 40) /* more than any guest has, so that sums of places do not overflow */
#define AT_STATE  20
#define AT_DISKS  (MIGRATE_FILE_HEAD_BYTES - MIGRATE_FILE_DISKS_BYTES)
#define AT_ID     24
#define AT_CRC    72

const char *migrate_file_path(const char *address)
{
	return strncmp(address, SCHEME, strlen(SCHEME)) == 0 ? address + strlen(SCHEME) : NULL;
}

int migrate_file_check(const struct config *config, const char *path, bool again, struct err *err)
{
	if (again)
		return err_set(err, ERR_USAGE,
		        "a file cannot be asked: remove it, and resolve the doubt (__vmm_migrate-resolve)");
	if (!*path)
		return err_set(err, ERR_USAGE, "file: without a path");
	if (config->sev.type == CONFIG_SEV_NONE)
		return 0;
	return err_set(err, ERR_USAGE, "this guest can be in no file: %s",
	        config->sev.helper
	                ? "the keys by which its helper seals its memory end with this process, so nothing "
	                  "could open the file"
	                : "its memory is encrypted, and nothing could open a file of what the secure "
	                  "processor packs");
}

/* ---- bytes ---- */

int migrate_file_write(struct migrate_file *file, const void *data, size_t size, uint64_t at, struct err *err)
{
	struct iovec iov = {(void *)(uintptr_t)data, size};

	while (iov.iov_len) {
		ssize_t n = pwritev2(file->fd, &iov, 1, (off_t)at, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(
			        err, ERR_FAILED, n < 0 ? errno : EIO, "%s cannot be written", file->path);
		iov = (struct iovec){(uint8_t *)iov.iov_base + n, iov.iov_len - (size_t)n};
		at += (size_t)n;
	}
	return 0;
}

int migrate_file_read(struct migrate_file *file, void *data, size_t size, uint64_t at, struct err *err)
{
	struct iovec iov = {data, size};

	while (iov.iov_len) {
		ssize_t n = preadv2(file->fd, &iov, 1, (off_t)at, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, ERR_USAGE, errno, "%s cannot be read", file->path);
		if (n == 0)
			return err_set(
			        err, ERR_USAGE, "%s ends too early: part of it is missing", file->path);
		iov = (struct iovec){(uint8_t *)iov.iov_base + n, iov.iov_len - (size_t)n};
		at += (size_t)n;
	}
	return 0;
}

int migrate_file_sync(struct migrate_file *file, struct err *err)
{
	file->unsynced = 0;
	return fdatasync(file->fd) < 0 ? err_sys(err, ERR_FAILED, errno, "%s cannot be written", file->path)
	                               : 0;
}

/* ---- places ---- */

uint64_t migrate_file_sums_at(const struct migrate_file *file)
{
	uint64_t end = MIGRATE_FILE_HEAD_BYTES + file->plan_bytes;

	return (end + PAGE_SIZE_BYTES - 1) / PAGE_SIZE_BYTES * PAGE_SIZE_BYTES;
}

uint64_t migrate_file_pages_at(const struct migrate_file *file)
{
	uint64_t bytes = file->pages * sizeof(*file->sums);

	return migrate_file_sums_at(file) + (bytes + PAGE_SIZE_BYTES - 1) / PAGE_SIZE_BYTES * PAGE_SIZE_BYTES;
}

uint64_t migrate_file_frames_at(const struct migrate_file *file)
{
	return migrate_file_pages_at(file) + file->pages * PAGE_SIZE_BYTES;
}

/* Is all that the header promises there? */
static int check_size(const struct migrate_file *file, uint64_t pages, struct err *err)
{
	uint64_t end = migrate_file_frames_at(file) + file->frames_bytes;
	struct stat now;

	if (pages != file->pages)
		return err_set(err, ERR_USAGE, "%s is damaged: it has %llu pages, and its guest %llu",
		        file->path, (unsigned long long)file->pages, (unsigned long long)pages);
	if (fstat(file->fd, &now) < 0 || (uint64_t)now.st_size < end)
		return err_set(err, ERR_USAGE, "%s ends too early: part of it is missing", file->path);
	return 0;
}

/* Regions ascend, so what follows in the guest's memory follows in the file. */
int migrate_file_place(struct migrate_file *file, const struct page_memory *memory, struct err *err)
{
	const struct page_layout *layout = page_memory_layout(memory);
	uint64_t place = 0;

	for (unsigned i = 0; i < layout->count; i++) {
		const struct page_region *region = &layout->regions[i];
		uint64_t bytes = page_memory_bytes_in(memory, region->gpa, region->size_bytes);

		file->regions[i].first = region->gpa.raw / PAGE_SIZE_BYTES;
		file->regions[i].pages = bytes / PAGE_SIZE_BYTES;
		file->regions[i].place = place;
		place += bytes / PAGE_SIZE_BYTES;
	}
	file->regions_count = layout->count;
	if (file->saves)
		file->pages = place;
	else if (check_size(file, place, err) < 0)
		return -1;
	free(file->sums);
	file->sums = calloc(place ?: 1, sizeof(*file->sums));
	return file->sums ? 0 : err_sys(err, ERR_FAILED, ENOMEM, "the sums of the guest's pages");
}

/* ---- the header ---- */

static void make_head(
        const struct migrate_file *file, enum migrate_file_state state, uint8_t head[MIGRATE_FILE_HEAD_BYTES])
{
	memset(head, 0, MIGRATE_FILE_HEAD_BYTES);
	memcpy(head, magic, sizeof(magic) - 1);
	store_le(head + 16, 4, version_ours);
	store_le(head + AT_STATE, 4, state);
	memcpy(head + AT_ID, file->id, MIGRATE_ID_BYTES);
	store_le(head + 40, 8, file->plan_bytes);
	store_le(head + 48, 8, file->pages);
	store_le(head + 56, 8, file->frames_bytes);
	store_le(head + 64, 4, file->plan_crc);
	store_le(head + 68, 4, file->sums_crc);
	memcpy(head + AT_BUILD, BUILD, sizeof(BUILD) - 1);
	memcpy(head + AT_DISKS, file->disks, sizeof(file->disks));
	store_le(head + AT_CRC, 4, migrate_crc32c(head, MIGRATE_FILE_HEAD_BYTES));
}

int migrate_file_write_head(struct migrate_file *file, enum migrate_file_state state, struct err *err)
{
	uint8_t head[MIGRATE_FILE_HEAD_BYTES];

	make_head(file, state, head);
	if (migrate_file_write(file, head, sizeof(head), 0, err) < 0 || migrate_file_sync(file, err) < 0)
		return -1;
	file->state = state;
	return 0;
}

static int check_state(const struct migrate_file *file, struct err *err)
{
	switch (file->state) {
	case MIGRATE_FILE_COMPLETE: return 0;
	case MIGRATE_FILE_UNFINISHED:
		return err_set(err, ERR_USAGE,
		        "%s is unfinished: the guest that was being saved is not in it", file->path);
	case MIGRATE_FILE_TAKEN:
		return file->again ? 0
		                   : err_set(err, ERR_USAGE,
		                             "the guest in %s was loaded before, and has gone on since then; "
		                             "loaded "
		                             "once more it meets disks that are newer than its memory "
		                             "(--load-again)",
		                             file->path);
	}
	return err_set(err, ERR_USAGE, "%s is damaged: its state", file->path);
}

static int read_head(struct migrate_file *file, struct err *err)
{
	uint8_t head[MIGRATE_FILE_HEAD_BYTES];
	uint32_t crc;

	if (migrate_file_read(file, head, sizeof(head), 0, err) < 0)
		return -1;
	if (memcmp(head, magic, sizeof(magic) - 1) != 0)
		return err_set(err, ERR_USAGE, "%s has no guest that vmm saved", file->path);
	if (load_le(head + 16, 4) != version_ours)
		return err_set(err, ERR_USAGE, "%s is of version %u of the format, and this vmm reads %u",
		        file->path, (unsigned)load_le(head + 16, 4), version_ours);
	crc = (uint32_t)load_le(head + AT_CRC, 4);
	store_le(head + AT_CRC, 4, 0);
	if (crc != migrate_crc32c(head, sizeof(head)))
		return err_set(err, ERR_USAGE, "%s is damaged: its header", file->path);
	file->state = (enum migrate_file_state)load_le(head + AT_STATE, 4);
	memcpy(file->id, head + AT_ID, MIGRATE_ID_BYTES);
	file->plan_bytes = load_le(head + 40, 8);
	file->pages = load_le(head + 48, 8);
	file->frames_bytes = load_le(head + 56, 8);
	file->plan_crc = (uint32_t)load_le(head + 64, 4);
	file->sums_crc = (uint32_t)load_le(head + 68, 4);
	memcpy(file->disks, head + AT_DISKS, sizeof(file->disks));
	file->disks[sizeof(file->disks) - 1] = '\0';
	if (check_state(file, err) < 0)
		return -1;
	if (file->plan_bytes > MIGRATE_PLAN_MAX_BYTES || file->pages > PAGES_MAX ||
	        file->frames_bytes > UINT64_C(2) * MIGRATE_PARTS_MAX * MIGRATE_PAYLOAD_MAX_BYTES)
		return err_set(err, ERR_USAGE, "%s is damaged: its sizes", file->path);
	return 0;
}

/* ---- its life ---- */

static int lock(const struct migrate_file *file, bool alone, struct err *err)
{
	struct flock whole = {.l_type = alone ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET};

	if (fcntl(file->fd, F_OFD_SETLK, &whole) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return err_set(err, ERR_USAGE, "%s: another vmm saves or loads it", file->path);
	return err_sys(err, ERR_USAGE, errno, "%s: its file system gives no locks", file->path);
}

static int make(const char *path, struct migrate_file **ret_file, struct err *err)
{
	struct migrate_file *file = calloc(1, sizeof(*file));

	if (file)
		file->path = strdup(path);
	if (!file || !file->path) {
		free(file);
		return err_sys(err, ERR_FAILED, ENOMEM, "%s", path);
	}
	file->fd = -1;
	*ret_file = file;
	return 0;
}

/* A file that was made just now is found again after a power failure only if its folder is on the disk, too.
 */
static int sync_folder(const char *path, struct err *err)
{
	auto_close int folder = file_folder_open(path);

	return folder < 0 || fdatasync(folder) < 0 ? err_sys(err, ERR_FAILED, errno, "the folder of %s", path)
	                                           : 0;
}

static int begin_empty(struct migrate_file *file, struct err *err)
{
	file->fd = open(file->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (file->fd < 0 && errno == EEXIST)
		return err_set(err, ERR_USAGE,
		        "%s: already exists and is not overwritten; move it away or name another file",
		        file->path);
	if (file->fd < 0)
		return err_sys(err, ERR_USAGE, errno, "%s: cannot be made", file->path);
	if (file_made_note(file->path, &file->made, err) < 0 || lock(file, true, err) < 0 ||
	        migrate_file_write_head(file, MIGRATE_FILE_UNFINISHED, err) < 0)
		return -1;
	return sync_folder(file->path, err);
}

int migrate_file_create(const char *path, const uint8_t id[static MIGRATE_ID_BYTES],
        struct migrate_file **ret_file, struct err *err)
{
	struct migrate_file *file;

	if (make(path, &file, err) < 0)
		return -1;
	file->saves = true;
	memcpy(file->id, id, MIGRATE_ID_BYTES);
	if (begin_empty(file, err) < 0) {
		migrate_file_close(file);
		return -1;
	}
	*ret_file = file;
	return 0;
}

/* The lock comes first: a vmm that has it may still change the state. */
static int open_whole(struct migrate_file *file, struct err *err)
{
	struct stat now;

	file->fd = open(file->path, (file->again ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (file->fd < 0)
		return err_sys(err, ERR_USAGE, errno, "%s: cannot be opened%s", file->path,
		        errno == EACCES || errno == EROFS
		                ? " to write in it that its guest was loaded (--load-again does not)"
		                : "");
	if (fstat(file->fd, &now) < 0 || !S_ISREG(now.st_mode))
		return err_set(err, ERR_USAGE, "%s: a regular file is needed", file->path);
	if (lock(file, !file->again, err) < 0)
		return -1;
	/* A vmm that had the lock may have removed the file. */
	if (fstat(file->fd, &now) < 0 || !now.st_nlink)
		return err_set(err, ERR_USAGE, "%s: the file was removed meanwhile", file->path);
	return read_head(file, err);
}

int migrate_file_open(const char *path, bool again, struct migrate_file **ret_file, struct err *err)
{
	struct migrate_file *file;

	if (make(path, &file, err) < 0)
		return -1;
	file->again = again;
	if (open_whole(file, err) < 0) {
		migrate_file_close(file);
		return -1;
	}
	*ret_file = file;
	return 0;
}

int migrate_file_claim(struct migrate_file *file, bool taken, struct err *err)
{
	if (!file || file->again)
		return 0;
	return migrate_file_write_head(file, taken ? MIGRATE_FILE_TAKEN : MIGRATE_FILE_COMPLETE, err);
}

/* Nobody who has the file open by now, or finds it under another name, may take it for a guest. */
static bool undo(struct migrate_file *file)
{
	struct stat now;
	struct err err;
	bool undone = file->fd >= 0 && migrate_file_write_head(file, MIGRATE_FILE_UNFINISHED, &err) == 0;

	file_made_remove(&file->made);
	return undone || file->fd < 0 ||
	       (fstat(file->fd, &now) == 0 && now.st_nlink == 0 && sync_folder(file->path, &err) == 0);
}

bool migrate_file_close(struct migrate_file *file)
{
	bool undone = false;

	if (!file)
		return false;
	if (file->saves && file->state != MIGRATE_FILE_COMPLETE)
		undone = undo(file);
	free(file->made.path);
	if (file->fd >= 0)
		close(file->fd);
	free(file->sums);
	free(file->path);
	free(file);
	return undone;
}
