/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock: keeps a second program from writing an image. The locks are those of QEMU's file driver, so that vmm
 * and QEMU's programs refuse each other's images, too. They belong to the open file description (fcntl(2),
 * F_OFD_SETLK) and end with it, also when vmm is killed.
 *
 *     byte 100 + n is locked for reading by whoever uses permission n
 *     byte 200 + n is locked for reading by whoever refuses permission n to the others
 *
 * Each locks first and looks then, so that of two that come at the same time at most one goes on.
 */
#include <errno.h>
#include <fcntl.h>

#include "vmm/back/disk.h"

enum permission { READ, WRITE, RESIZE = 3 };
#define BIT(permission) (1u << (permission))
#define PERMISSIONS     4

enum { USES = 100, REFUSES = 200 };

static struct flock lock_of(short type, off_t byte)
{
	return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
}

static int set_locks(int fd, off_t first, unsigned permissions)
{
	for (unsigned i = 0; i < PERMISSIONS; i++) {
		struct flock lock = lock_of(F_RDLCK, first + i);

		if ((permissions & 1u << i) && fcntl(fd, F_OFD_SETLK, &lock) < 0)
			return -1;
	}
	return 0;
}

/* Has somebody else a lock on one of these bytes? */
static bool others_have(int fd, off_t first, unsigned permissions)
{
	for (unsigned i = 0; i < PERMISSIONS; i++) {
		struct flock lock = lock_of(F_WRLCK, first + i);

		if ((permissions & 1u << i) && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
			return true;
	}
	return false;
}

int back_lock(int fd, bool writable, struct err *err)
{
	unsigned uses = BIT(READ) | (writable ? BIT(WRITE) : 0), refuses = BIT(WRITE) | BIT(RESIZE);

	if (set_locks(fd, USES, uses) < 0 || set_locks(fd, REFUSES, refuses) < 0) {
		/* A lock of the whole file by a program that does not share (F_WRLCK, flock of NFS). */
		if (errno == EAGAIN || errno == EACCES)
			return err_set(err, ERR_USAGE, "another program has locked it");
		return err_sys(err, ERR_HOST, errno, "its file system gives no locks");
	}
	if (others_have(fd, USES, refuses))
		return err_set(err, ERR_USAGE, "another program writes it; end that program first");
	if (others_have(fd, REFUSES, uses))
		return err_set(err, ERR_USAGE,
		        "another program uses it and lets nobody write it; end that program first%s",
		        writable ? ", or set read-only" : "");
	return 0;
}

void back_unlock(int fd)
{
	struct flock whole = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

	(void)fcntl(fd, F_OFD_SETLK, &whole);
}
