/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calls: the functions that take the place of libc's, but for those of open.c and signals.c. Each decides
 * whom a call is for, and passes it on. Any thread. Law: the manual pages of the calls; Linux's kvm_main.c
 * and Linux's guest_memfd.c for descriptors of KVM.
 */
#include "calls.h"

#include <limits.h>
#include <linux/close_range.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

/* ---- descriptors ---- */

static int close_held(int fd, enum preload_kind kind)
{
	HOLD;

	preload_forget(fd);
	preload_explain_forget(fd);
	return kind >= PRELOAD_LEFT_KVM ? __wrap_close(fd) : host_close(preload_platform(), fd);
}

/* What a fork(2) has left of the parent's platform is closed like a file. */
PUBLIC int close(int fd)
{
	enum preload_kind kind = preload_kind_of(fd);

	if (kind == PRELOAD_NOT_OURS || !preload_is_owner())
		return raw_next(close)(fd);
	if (kind == PRELOAD_PRIVATE)
		return fail(EBADF);
	return close_held(fd, kind);
}

static void close_ours(int fd)
{
	if (preload_kind_of(fd) != PRELOAD_PRIVATE)
		close(fd);
}

/* Between the library's own, which stay. */
static int close_others(unsigned first, unsigned last)
{
	int result = 0;

	for (unsigned fd = first; fd <= last && fd < PRELOAD_NUMBERS; fd++) {
		if (preload_kind_of((int)fd) != PRELOAD_PRIVATE)
			continue;
		if (fd > first)
			result = (int)syscall(SYS_close_range, first, fd - 1, 0);
		first = fd + 1;
	}
	return result < 0 || first > last ? result : (int)syscall(SYS_close_range, first, last, 0);
}

PUBLIC int close_range(unsigned first, unsigned last, int flags)
{
	/* With any other flag nothing is closed, or what other threads do not share. */
	if (flags || first > last || !preload_is_owner())
		return (int)syscall(SYS_close_range, first, last, flags);
	preload_each(first, last, close_ours);
	return close_others(first, last);
}

PUBLIC void closefrom(int first)
{
	close_range(first < 0 ? 0 : (unsigned)first, UINT_MAX, 0);
}

static void alias_held(int from, int to)
{
	HOLD;

	preload_alias(from, to);
}

static bool is_private(int fd)
{
	return preload_kind_of(fd) == PRELOAD_PRIVATE && preload_is_owner();
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
	alias_held(from, to);
	preload_note_vm_type(to, preload_vm_type(from));
	return preload_note(to, kind);
}

PUBLIC int dup(int fd)
{
	return is_private(fd) ? fail(EBADF) : copied(fd, (int)syscall(SYS_dup, fd));
}

PUBLIC int dup2(int from, int to)
{
	return is_private(from) || is_private(to) ? fail(EBADF)
	                                          : copied(from, (int)syscall(SYS_dup2, from, to));
}

PUBLIC int dup3(int from, int to, int flags)
{
	return is_private(from) || is_private(to) ? fail(EBADF)
	                                          : copied(from, (int)syscall(SYS_dup3, from, to, flags));
}

PUBLIC int fcntl(int fd, int command, ...)
{
	va_list ap;
	void *arg;
	int result;

	va_start(ap, command);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (is_private(fd))
		return fail(EBADF);
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
	HOLD;
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
	HOLD;
	bool explained = preload_explains() && preload_explain_begin(request, arg, &command);
	int result = host_ioctl(preload_platform_for(request, arg), fd, request, arg), sys = errno;

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

/* Gives the program a descriptor that the platform has opened, with a number as small as that of any file. */
static int handed_over(int fd)
{
	int own = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 0);

	__wrap_close(fd);
	return preload_note(own, PRELOAD_NOT_OURS);
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
	if (is_private(fd))
		return fail(EBADF);
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
		if (request == KVM_GET_STATS_FD)
			result = handed_over(result);
	}
	return result;
}

PUBLIC void *mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	enum preload_kind kind = flags & MAP_ANONYMOUS ? PRELOAD_NOT_OURS : preload_kind_of(fd);

	if (kind == PRELOAD_NOT_OURS || kind >= PRELOAD_LEFT_KVM)
		return __wrap_mmap(at, size, prot, flags, fd, offset);
	HOLD;
	return host_mmap(preload_platform(), at, size, prot, flags, fd, offset);
}
ALSO(mmap, mmap64);

PUBLIC int fallocate(int fd, int mode, off_t offset, off_t length)
{
	enum preload_kind kind = preload_kind_of(fd);

	if (kind == PRELOAD_NOT_OURS || kind >= PRELOAD_LEFT_KVM)
		return raw_next(fallocate)(fd, mode, offset, length);
	HOLD;
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

/* ---- children ---- */

PUBLIC pid_t _Fork(void)
{
	pid_t child = raw_next(_Fork)();

	if (child == 0)
		preload_in_child();
	return child;
}
