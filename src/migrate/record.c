/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record: a file with a line of JSON for each guest that was given away or taken. Whoever has to decide which
 * side of a broken move has the guest reads the files of both. Main thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "migrate.h"

/* A file that was made just now is found again after a power failure only if its folder is on the disk, too.
 */
static int sync_folder(const char *path, struct err *err)
{
	auto_close int folder = file_folder_open(path);

	if (folder < 0 || fsync(folder) < 0)
		return err_sys(err, ERR_USAGE, errno, "migrate.record: the folder of %s", path);
	return 0;
}

int migrate_record_open(const char *path, int *ret_fd, struct err *err)
{
	const char *why = *path ? file_why_unwritable(FILE_WHOLE, path) : NULL;

	*ret_fd = -1;
	if (!*path)
		return 0;
	if (why)
		return err_set(err, ERR_USAGE, "migrate.record: %s cannot be written: %s", path, why);
	/* A pipe that has taken the file's place meanwhile is not waited for. */
	auto_close int fd = open(
	        path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
	if (fd < 0)
		return err_sys(err, ERR_USAGE, errno, "migrate.record: %s cannot be written", path);
	if (sync_folder(path, err) < 0)
		return -1;
	*ret_fd = take_fd(&fd);
	return 0;
}

int migrate_record_write(int fd, const char *what, const uint8_t id[static MIGRATE_ID_BYTES], struct err *err)
{
	char hex[2 * MIGRATE_ID_BYTES + 1], line[200];
	off_t end;
	int size;

	if (fd < 0)
		return 0;
	hex_encode(id, MIGRATE_ID_BYTES, hex);
	size = snprintf(line, sizeof(line), "{\"id\": \"%s\", \"event\": \"%s\", \"time\": %lld}\n", hex,
	        what, (long long)time(NULL));
	end = lseek(fd, 0, SEEK_END);
	if (write(fd, line, size) == size && fdatasync(fd) == 0)
		return 0;
	err_sys(err, ERR_FAILED, errno, "migrate.record: the file");
	/* What was not written for certain must not be read as if it had been. */
	if (end < 0 || ftruncate(fd, end) < 0)
		log_error("the last line of migrate.record is wrong: %s did not happen", what);
	return -1;
}
