/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open: the functions that take a path, or tell what is behind a descriptor. Any thread.
 * Law: the manual pages of the calls; Linux's anon_inodes.c.
 */
#include "calls.h"

#include <limits.h>
#include <stdarg.h>
#include <sys/syscall.h>

/*
 * A number that the kernel gives to a new file is nothing of the platform's any more, although it may have
 * been closed past close(): by fclose(), or by a system call.
 */
static int fresh(int fd)
{
	if (preload_kind_of(fd) != PRELOAD_NOT_OURS && preload_is_owner())
		preload_forget(fd);
	return fd;
}

/* ---- opening ---- */

static int open_file(int file, int flags)
{
	int saved = errno, fd;
	HOLD;

	fd = preload_file_open(file, flags);
	if (fd >= 0)
		errno = saved;
	return fd;
}

static int open_any(int folder, const char *path, int flags, unsigned mode)
{
	int file = preload_file_at(folder, path), saved = errno, fd;
	char other[PATH_MAX];

	if (file >= 0)
		return open_file(file, flags);
	fd = fresh(raw_next(openat)(folder, preload_path(path, other, sizeof(other)), flags, mode));
	file = flags & (O_PATH | O_NOFOLLOW) ? -1 : preload_file_behind(folder, path, fd);
	if (file < 0)
		return fd;
	if (fd >= 0)
		__wrap_close(fd);
	errno = saved;
	return open_file(file, flags);
}

#define MODE(flags) \
	({ \
		unsigned mode_ = 0; \
		if ((flags) & (O_CREAT | __O_TMPFILE)) { \
			va_list ap_; \
			va_start(ap_, flags); \
			mode_ = va_arg(ap_, unsigned); \
			va_end(ap_); \
		} \
		mode_; \
	})

PUBLIC int open(const char *path, int flags, ...)
{
	return open_any(AT_FDCWD, path, flags, MODE(flags));
}
ALSO(open, open64);

PUBLIC int openat(int folder, const char *path, int flags, ...)
{
	return open_any(folder, path, flags, MODE(flags));
}
ALSO(openat, openat64);

PUBLIC int __open_2(const char *path, int flags);
PUBLIC int __open_2(const char *path, int flags)
{
	return open_any(AT_FDCWD, path, flags, 0);
}
ALSO(__open_2, __open64_2);

PUBLIC int __openat_2(int folder, const char *path, int flags);
PUBLIC int __openat_2(int folder, const char *path, int flags)
{
	return open_any(folder, path, flags, 0);
}
ALSO(__openat_2, __openat64_2);

PUBLIC FILE *fopen(const char *path, const char *mode)
{
	int file = preload_file_at(AT_FDCWD, path), fd;
	char other[PATH_MAX];
	FILE *stream;

	if (file < 0)
		return __wrap_fopen(preload_path(path, other, sizeof(other)), mode);
	fd = open_file(
	        file, (strpbrk(mode, "wa+") ? O_RDWR : O_RDONLY) | (strchr(mode, 'e') ? O_CLOEXEC : 0));
	stream = fd < 0 ? NULL : fdopen(fd, mode);
	if (fd >= 0 && !stream)
		close(fd);
	return stream;
}
ALSO(fopen, fopen64);

/* ---- looking at files ---- */

PUBLIC int faccessat(int folder, const char *path, int mode, int flags)
{
	int file = preload_file_at(folder, path);
	char other[PATH_MAX];

	return file < 0 ? raw_next(faccessat)(folder, preload_path(path, other, sizeof(other)), mode, flags)
	                : preload_file_access(file, mode);
}

PUBLIC int access(const char *path, int mode)
{
	return faccessat(AT_FDCWD, path, mode, 0);
}

/* The kernel has nothing behind an object of KVM's: an anonymous inode without a type. */
PUBLIC int fstat(int fd, struct stat *ret_stat)
{
	enum preload_kind kind = preload_kind_of(fd);
	int file = preload_file_of(kind), result;

	if (file >= 0)
		return preload_file_stat(file, ret_stat);
	result = kind == PRELOAD_PRIVATE ? fail(EBADF) : __wrap_fstat(fd, ret_stat);
	if (result == 0 && kind == PRELOAD_NOT_OURS)
		preload_file_size(fd, ret_stat);
	if (result == 0 && (kind == PRELOAD_OBJECT || kind == PRELOAD_LEFT)) {
		ret_stat->st_mode = S_IRUSR | S_IWUSR;
		ret_stat->st_size = ret_stat->st_blocks = 0;
	}
	return result;
}
ALSO(fstat, fstat64);

/* What programs call that were built with a libc before 2.33. */
PUBLIC int __fxstat(int version, int fd, struct stat *ret_stat);
PUBLIC int __fxstat(int version, int fd, struct stat *ret_stat)
{
	return fstat(fd, ret_stat);
}
ALSO(__fxstat, __fxstat64);

PUBLIC int fstatat(int folder, const char *path, struct stat *ret_stat, int flags)
{
	int file = preload_file_at(folder, path);
	char other[PATH_MAX];

	if (flags & AT_EMPTY_PATH && !*path && folder >= 0)
		return fstat(folder, ret_stat);
	return file < 0 ? (int)syscall(SYS_newfstatat, folder, preload_path(path, other, sizeof(other)),
	                          ret_stat, flags)
	                : preload_file_stat(file, ret_stat);
}
ALSO(fstatat, fstatat64);

PUBLIC int stat(const char *path, struct stat *ret_stat)
{
	return fstatat(AT_FDCWD, path, ret_stat, 0);
}
ALSO(stat, stat64);

PUBLIC int lstat(const char *path, struct stat *ret_stat)
{
	return fstatat(AT_FDCWD, path, ret_stat, AT_SYMLINK_NOFOLLOW);
}
ALSO(lstat, lstat64);

static void to_statx(const struct stat *from, struct statx *ret)
{
	*ret = (struct statx){
	        .stx_mask = STATX_BASIC_STATS,
	        .stx_mode = (uint16_t)from->st_mode,
	        .stx_nlink = (uint32_t)from->st_nlink,
	        .stx_size = (uint64_t)from->st_size,
	        .stx_blksize = (uint32_t)from->st_blksize,
	        .stx_rdev_major = (uint32_t)(from->st_rdev >> 8 & 0xfff),
	        .stx_rdev_minor = (uint32_t)(from->st_rdev & 0xff),
	};
}

PUBLIC int statx(int folder, const char *path, int flags, unsigned mask, struct statx *ret)
{
	bool is_empty = flags & AT_EMPTY_PATH && !*path;
	int file = preload_file_at(folder, path);
	char other[PATH_MAX];
	struct stat known;

	if (file < 0 && !(is_empty && preload_kind_of(folder) != PRELOAD_NOT_OURS))
		return (int)syscall(
		        SYS_statx, folder, preload_path(path, other, sizeof(other)), flags, mask, ret);
	if ((file < 0 ? fstat(folder, &known) : preload_file_stat(file, &known)) < 0)
		return -1;
	to_statx(&known, ret);
	return 0;
}
