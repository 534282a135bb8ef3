/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calls: the functions that take the place of libc's. Each decides whom a call is for, and passes it on. Any
 * thread. Law: the manual pages of the calls; Linux's kvm_main.c and Linux's guest_memfd.c for descriptors of
 * KVM.
 */
#undef _FILE_OFFSET_BITS /* libc's headers rename open() and others by it */
#undef _FORTIFY_SOURCE   /* or define them themselves */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "preload.h"
#include "raw.h"
#include "vmm/uapi.h"

#define PUBLIC __attribute__((visibility("default")))
/* libc has two names for many calls, which are the same on x86-64. */
#define ALSO(name, other) \
	__asm__(".globl " #other "\n\t.type " #other ", @function\n\t.set " #other ", " #name)

static int fail(int sys)
{
	errno = sys;
	return -1;
}

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

static int open_any(int folder, const char *path, int flags, unsigned mode)
{
	int file = preload_file(path), saved = errno, fd;
	char other[PATH_MAX];

	if (file < 0)
		return fresh(raw_next(openat)(folder, preload_path(path, other, sizeof(other)), flags, mode));
	fd = preload_file_open(file, flags);
	if (fd >= 0)
		errno = saved;
	return fd;
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
	int file = preload_file(path), fd;
	char other[PATH_MAX];
	FILE *stream;

	if (file < 0)
		return __wrap_fopen(preload_path(path, other, sizeof(other)), mode);
	fd = preload_file_open(
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
	int file = preload_file(path);
	char other[PATH_MAX];

	return file < 0 ? raw_next(faccessat)(folder, preload_path(path, other, sizeof(other)), mode, flags)
	                : preload_file_access(file, mode);
}

PUBLIC int access(const char *path, int mode)
{
	return faccessat(AT_FDCWD, path, mode, 0);
}

PUBLIC int fstatat(int folder, const char *path, struct stat *ret_stat, int flags)
{
	int file = preload_file(path);
	char other[PATH_MAX];

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
	int file = preload_file(path);
	char other[PATH_MAX];
	struct stat known;

	if (file < 0)
		return (int)syscall(
		        SYS_statx, folder, preload_path(path, other, sizeof(other)), flags, mask, ret);
	if (preload_file_stat(file, &known) < 0)
		return -1;
	to_statx(&known, ret);
	return 0;
}

/* ---- descriptors ---- */

/* What a fork(2) has left of the parent's platform is closed like a file. */
PUBLIC int close(int fd)
{
	enum preload_kind kind = preload_kind_of(fd);

	if (kind == PRELOAD_NOT_OURS || !preload_is_owner())
		return raw_next(close)(fd);
	preload_forget(fd);
	return kind >= PRELOAD_LEFT_KVM ? __wrap_close(fd) : host_close(preload_platform(), fd);
}

static void close_ours(int fd)
{
	close(fd);
}

PUBLIC int close_range(unsigned first, unsigned last, int flags)
{
	/* With any other flag nothing is closed, or what other threads do not share. */
	if (!flags && first <= last)
		preload_each(first, last, close_ours);
	return (int)syscall(SYS_close_range, first, last, flags);
}

PUBLIC void closefrom(int first)
{
	preload_each(first < 0 ? 0 : (unsigned)first, UINT_MAX, close_ours);
	raw_next(closefrom)(first);
}

/* `to` is a duplicate of `from` now, in the place of whatever it was. */
static int copied(int from, int to)
{
	enum preload_kind kind = preload_kind_of(from), old = preload_kind_of(to);

	if (to < 0 || from == to || (kind == PRELOAD_NOT_OURS && old == PRELOAD_NOT_OURS) ||
	        !preload_is_owner())
		return to;
	if (to >= PRELOAD_NUMBERS) {
		__wrap_close(to);
		return fail(EMFILE);
	}
	preload_platform();
	preload_alias(from, to);
	preload_note_vm_type(to, preload_vm_type(from));
	return preload_note(to, kind);
}

PUBLIC int dup(int fd)
{
	return copied(fd, __wrap_dup(fd));
}

PUBLIC int dup2(int from, int to)
{
	return copied(from, (int)syscall(SYS_dup2, from, to));
}

PUBLIC int dup3(int from, int to, int flags)
{
	return copied(from, (int)syscall(SYS_dup3, from, to, flags));
}

PUBLIC int fcntl(int fd, int command, ...)
{
	va_list ap;
	void *arg;
	int result;

	va_start(ap, command);
	arg = va_arg(ap, void *);
	va_end(ap);
	result = raw_next(fcntl)(fd, command, arg);
	return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? copied(fd, result) : result;
}
ALSO(fcntl, fcntl64);

/* ---- calls to KVM and the secure processor ---- */

/* In a child process /dev/kvm and /dev/sev go on, with the child's own platform; VMs of the parent do not. */
static enum preload_kind revive(int fd, enum preload_kind kind)
{
	bool kvm = kind == PRELOAD_LEFT_KVM;
	int own;

	if (kind == PRELOAD_LEFT)
		return kind;
	own = host_open(preload_platform(), kvm ? "/dev/kvm" : "/dev/sev", O_RDWR | O_CLOEXEC);
	if (own < 0)
		return PRELOAD_LEFT;
	preload_alias(own, fd);
	host_close(preload_platform(), own);
	preload_note(fd, kvm ? PRELOAD_KVM : PRELOAD_SEV);
	return preload_kind_of(fd);
}

static int call_platform(int fd, unsigned long request, void *arg)
{
	struct preload_command command;
	bool explained = preload_explains() && preload_explain_begin(request, arg, &command);
	int result = host_ioctl(preload_platform(), fd, request, arg), sys = errno;

	if (explained)
		preload_explain_end(fd, request, arg, &command, result, sys);
	errno = sys;
	return result;
}

static void note_new(unsigned long request, int fd, const void *arg)
{
	if (request == KVM_CREATE_VM)
		preload_note_vm_type(fd, (uintptr_t)arg);
	if (request == KVM_CREATE_VM || request == KVM_CREATE_VCPU)
		preload_note(fd, PRELOAD_OBJECT);
	else if (request == UAPI_CREATE_GUEST_MEMFD && __wrap_fcntl(fd, F_SETFD, NULL) == 0)
		preload_note(fd, PRELOAD_GMEM); /* unlike the others it is kept over execve(2) */
}

/* These the kernel answers for every file (ioctl_fio(2)). */
static bool is_of_files(unsigned long request)
{
	return request == FIOCLEX || request == FIONCLEX || request == FIONBIO || request == FIOASYNC;
}

PUBLIC int ioctl(int fd, unsigned long request, ...)
{
	enum preload_kind kind = preload_kind_of(fd);
	int saved = errno, result;
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (kind == PRELOAD_NOT_OURS || is_of_files(request))
		return __wrap_ioctl(fd, request, arg);
	if (kind >= PRELOAD_LEFT_KVM)
		kind = revive(fd, kind);
	if (kind == PRELOAD_LEFT)
		return fail(EIO);
	request &= UINT32_MAX;
	result = call_platform(fd, request, arg);
	if (result >= 0) {
		note_new(request, result, arg);
		errno = saved;
	}
	return result;
}

PUBLIC void *mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	enum preload_kind kind = flags & MAP_ANONYMOUS ? PRELOAD_NOT_OURS : preload_kind_of(fd);

	if (kind == PRELOAD_NOT_OURS || kind >= PRELOAD_LEFT_KVM)
		return __wrap_mmap(at, size, prot, flags, fd, offset);
	return host_mmap(preload_platform(), at, size, prot, flags, fd, offset);
}
ALSO(mmap, mmap64);

PUBLIC int fallocate(int fd, int mode, off_t offset, off_t length)
{
	enum preload_kind kind = preload_kind_of(fd);

	if (kind == PRELOAD_NOT_OURS || kind >= PRELOAD_LEFT_KVM)
		return raw_next(fallocate)(fd, mode, offset, length);
	return host_fallocate(preload_platform(), fd, mode, offset, length);
}
ALSO(fallocate, fallocate64);

/* Behind the platform's descriptors are files of its own, which the program must not see. */
static bool is_ours(int fd)
{
	return preload_kind_of(fd) != PRELOAD_NOT_OURS;
}

PUBLIC ssize_t read(int fd, void *data, size_t size)
{
	return is_ours(fd) ? fail(EINVAL) : raw_next(read)(fd, data, size);
}

PUBLIC ssize_t write(int fd, const void *data, size_t size)
{
	return is_ours(fd) ? fail(EINVAL) : raw_next(write)(fd, data, size);
}

PUBLIC ssize_t pread(int fd, void *data, size_t size, off_t offset)
{
	return is_ours(fd) ? fail(ESPIPE) : raw_next(pread)(fd, data, size, offset);
}
ALSO(pread, pread64);

PUBLIC ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
	return is_ours(fd) ? fail(ESPIPE) : raw_next(pwrite)(fd, data, size, offset);
}
ALSO(pwrite, pwrite64);

PUBLIC ssize_t readv(int fd, const struct iovec *pieces, int count)
{
	return is_ours(fd) ? fail(EINVAL) : raw_next(readv)(fd, pieces, count);
}

PUBLIC ssize_t writev(int fd, const struct iovec *pieces, int count)
{
	return is_ours(fd) ? fail(EINVAL) : raw_next(writev)(fd, pieces, count);
}

PUBLIC off_t lseek(int fd, off_t offset, int whence)
{
	return is_ours(fd) ? fail(ESPIPE) : raw_next(lseek)(fd, offset, whence);
}
ALSO(lseek, lseek64);

PUBLIC ssize_t __read_chk(int fd, void *data, size_t size, size_t room);
PUBLIC ssize_t __read_chk(int fd, void *data, size_t size, size_t room)
{
	return is_ours(fd) ? fail(EINVAL) : raw_next(__read_chk)(fd, data, size, room);
}

PUBLIC ssize_t __pread_chk(int fd, void *data, size_t size, off_t offset, size_t room);
PUBLIC ssize_t __pread_chk(int fd, void *data, size_t size, off_t offset, size_t room)
{
	return is_ours(fd) ? fail(ESPIPE) : raw_next(__pread_chk)(fd, data, size, offset, room);
}
ALSO(__pread_chk, __pread64_chk);

PUBLIC int ftruncate(int fd, off_t size)
{
	return is_ours(fd) ? fail(EINVAL) : __wrap_ftruncate(fd, size);
}
ALSO(ftruncate, ftruncate64);

/* ---- signals: SIGILL may be the library's ---- */

PUBLIC int sigaction(int number, const struct sigaction *action, struct sigaction *ret_old)
{
	struct sigaction copy;

	if (number == SIGILL && preload_cpuid_taken())
		return preload_cpuid_sigaction(action, ret_old);
	if (action && preload_cpuid_taken()) {
		copy = *action;
		sigdelset(&copy.sa_mask, SIGILL);
		action = &copy;
	}
	return __wrap_sigaction(number, action, ret_old);
}

PUBLIC sighandler_t signal(int number, sighandler_t handler)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, old;

	if (number != SIGILL || !preload_cpuid_taken())
		return raw_next(signal)(number, handler);
	preload_cpuid_sigaction(&action, &old);
	return old.sa_handler;
}

static const sigset_t *without_ours(const sigset_t *set, sigset_t *copy)
{
	if (!set || !preload_cpuid_taken())
		return set;
	*copy = *set;
	sigdelset(copy, SIGILL);
	return copy;
}

PUBLIC int pthread_sigmask(int how, const sigset_t *set, sigset_t *ret_old)
{
	sigset_t copy;

	return __wrap_pthread_sigmask(how, how == SIG_UNBLOCK ? set : without_ours(set, &copy), ret_old);
}

PUBLIC int sigprocmask(int how, const sigset_t *set, sigset_t *ret_old)
{
	sigset_t copy;

	return raw_next(sigprocmask)(how, how == SIG_UNBLOCK ? set : without_ours(set, &copy), ret_old);
}
