/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output: writes files by one rule: only a regular file is ever replaced or removed. If an output's name
 * belongs to a device, a pipe or a link, vmm writes through it or refuses it. Any thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>

#include "vmm/base.h"

#define DESCRIPTORS_MAX 256 /* more than a shell passes to a program */
#define PART_TRIES      100
#define PATH_BYTES      4200

/* ---- judging a name ---- */

/* The kind of file at a path, if it is neither a regular file nor a directory. */
static const char *kind_text(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFLNK: return "it is a symbolic link; a regular file or a new name is needed";
	case S_IFIFO: return "it is a pipe; a regular file or a new name is needed";
	case S_IFSOCK: return "it is a socket; a regular file or a new name is needed";
	default: return "it is a device; a regular file or a new name is needed";
	}
}

/* Says why no file can be made in the folder of path, or NULL. */
static const char *why_no_folder(const char *path)
{
	auto_free char *folder = strdup(path);
	char *slash;

	if (!folder)
		return "no memory";
	slash = strrchr(folder, '/');
	if (slash && !slash[1])
		return "it is the name of a folder, a file is needed";
	if (slash)
		slash[1] = '\0';
	return access(slash ? folder : ".", W_OK | X_OK) < 0 ? "its folder is missing or cannot be written"
	                                                     : NULL;
}

/* Says why the existing file at path cannot be written through, or NULL. */
static const char *why_not_through(const char *path, const struct stat *st)
{
	if (S_ISBLK(st->st_mode) || S_ISSOCK(st->st_mode))
		return kind_text(st->st_mode);
	return access(path, W_OK) < 0 ? strerrordesc_np(errno) : NULL;
}

const char *file_why_unwritable(enum file_output how, const char *path)
{
	struct stat st;

	if ((how == FILE_STREAM ? stat(path, &st) : lstat(path, &st)) < 0)
		return errno == ENOENT ? why_no_folder(path) : strerrordesc_np(errno);
	if (S_ISDIR(st.st_mode))
		return "it is a directory, a file is needed";
	if (how == FILE_STREAM)
		return why_not_through(path, &st);
	return S_ISREG(st.st_mode) ? why_no_folder(path) : kind_text(st.st_mode);
}

/* ---- streams ---- */

/*
 * Returns a writable descriptor of this very file that this process already has, such as standard error; -1
 * if there is none.
 */
static int given_descriptor(const struct stat *st)
{
	for (int fd = 0; fd < DESCRIPTORS_MAX; fd++) {
		struct stat own;

		if (fstat(fd, &own) == 0 && own.st_dev == st->st_dev && own.st_ino == st->st_ino &&
		        (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY)
			return fd;
	}
	return -1;
}

int file_stream_open(const char *path, int *ret_fd, struct err *err)
{
	const char *why = file_why_unwritable(FILE_STREAM, path);
	int fd, given, flags = O_WRONLY | O_CLOEXEC | O_NOCTTY;
	struct stat st;

	if (why)
		return err_set(err, ERR_USAGE, "%s cannot be written: %s", path, why);
	if (stat(path, &st) < 0)
		st = (struct stat){.st_mode = S_IFREG};
	/*
	 * A copy of a file's descriptor shares its offset, so that neither overwrites what the other wrote.
	 * Pipes and devices have no offset and are opened anew: a flag such as O_NONBLOCK on a copy would be
	 * set for every process that shares it, the user's shell among them.
	 */
	given = S_ISREG(st.st_mode) && st.st_ino ? given_descriptor(&st) : -1;
	if (given >= 0)
		fd = fcntl(given, F_DUPFD_CLOEXEC, 0);
	else
		fd = open(path, S_ISREG(st.st_mode) ? flags | O_CREAT | O_TRUNC : flags, 0600);
	if (fd < 0)
		return err_sys(err, ERR_USAGE, errno, "%s cannot be written", path);
	*ret_fd = fd;
	return 0;
}

/* ---- whole files ---- */

static int write_all(int fd, const void *data, size_t size)
{
	const uint8_t *at = data;

	while (size > 0) {
		ssize_t n = write(fd, at, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n < 0 ? errno : EIO;
			return -1;
		}
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

/*
 * Makes a new file in the folder of path, under a name that no other file has. Returns -1 with errno on
 * failure.
 */
static int make_part(const char *path, char part[static PATH_BYTES])
{
	const char *slash = strrchr(path, '/');
	int folder = slash ? (int)(slash + 1 - path) : 0, fd = -1;

	for (int i = 0; i < PART_TRIES && fd < 0; i++) {
		if (snprintf(part, PATH_BYTES, "%.*s.vmm-%d-%d.part", folder, path, getpid(), i) >=
		        PATH_BYTES) {
			errno = ENAMETOOLONG;
			return -1;
		}
		fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd < 0 && errno != EEXIST)
			return -1;
	}
	return fd;
}

int file_replace(const char *path, const void *data, size_t size, struct err *err)
{
	const char *why = file_why_unwritable(FILE_WHOLE, path);
	char part[PATH_BYTES];
	int sys;

	if (why)
		return err_set(err, ERR_USAGE, "%s cannot be written: %s", path, why);
	auto_close int fd = make_part(path, part);
	if (fd < 0)
		return err_sys(err, ERR_USAGE, errno, "%s cannot be written", path);
	if (write_all(fd, data, size) == 0 && rename(part, path) == 0)
		return 0;
	sys = errno;
	unlink(part);
	return err_sys(err, ERR_FAILED, sys, "%s cannot be written", path);
}

int file_make(const char *path, const void *data, size_t size, unsigned mode, struct err *err)
{
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, (mode_t)mode);
	int sys;

	if (fd < 0 && errno == EEXIST)
		return err_set(err, ERR_USAGE,
		        "%s: already exists and is not overwritten; move it away or name another file", path);
	if (fd < 0)
		return err_sys(err, ERR_USAGE, errno, "%s: cannot be made", path);
	if (write_all(fd, data, size) == 0 && fsync(fd) == 0)
		return 0;
	sys = errno;
	unlink(path);
	return err_sys(err, ERR_FAILED, sys, "%s: cannot be written", path);
}

int file_folder_open(const char *path)
{
	auto_free char *copy = strdup(path);

	return copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
}

/* ---- files that are removed at the end ---- */

int file_made_note(const char *path, struct file_made *ret_made, struct err *err)
{
	auto_free char *copy = strdup(path);
	struct stat st;
	int sys = copy ? 0 : ENOMEM;

	*ret_made = (struct file_made){0};
	if (!sys && lstat(path, &st) < 0)
		sys = errno;
	if (sys) {
		unlink(path);
		return err_sys(err, ERR_FAILED, sys, "%s: what was made there cannot be noted", path);
	}
	*ret_made = (struct file_made){take_ptr(&copy), st.st_dev, st.st_ino};
	return 0;
}

void file_made_remove(struct file_made *made)
{
	struct stat now;

	if (made->path && lstat(made->path, &now) == 0 && now.st_dev == made->device &&
	        now.st_ino == made->inode)
		unlink(made->path);
	free(made->path);
	*made = (struct file_made){0};
}
