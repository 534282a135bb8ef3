/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk: what a disk of the guest is on the host: a raw image, a block device, or a server of the NBD
 * protocol. A back end knows neither queues nor buses. Each belongs to one loop: it is opened on the main
 * thread, and then used on the loop's thread alone.
 */
#ifndef VMM_BACK_DISK_H
#define VMM_BACK_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/base.h"
#include "vmm/config.h"
#include "vmm/loop.h"

/*
 * Locks an image until it is unlocked or its open file description is closed: for writing, or so that nobody
 * writes it. Returns ERR_USAGE if somebody else uses it, ERR_HOST if the file system has no locks; the text
 * follows the file's name.
 */
int back_lock(int fd, bool writable, struct err *err) MUST_CHECK;
void back_unlock(int fd); /* one that is not locked is allowed */
/* ---- disks: a raw image, a block device, or a server of the NBD protocol ---- */

struct back_disk;

struct back_disk_facts {
	uint64_t size_bytes;  /* whole blocks; what remains of a file is not shown, and vmm says so */
	uint32_t block_bytes; /* a power of two from 512 on: requests are whole blocks */
	uint32_t
	        physical_bytes; /* a write of less than this makes the storage read first; at least a block */
	uint32_t optimal_bytes; /* the size that the storage likes best; 0: it does not say */
	bool read_only;
	bool can_discard, can_zero;
	uint32_t discard_bytes; /* a discard of less than this does nothing */
};

enum back_disk_kind {
	BACK_DISK_READ,
	BACK_DISK_WRITE,
	BACK_DISK_FLUSH,   /* what was written and answered before survives the end of vmm and of the host */
	BACK_DISK_DISCARD, /* the contents of the range become undefined */
	BACK_DISK_ZERO,
};
#define BACK_DISK_KINDS (BACK_DISK_ZERO + 1)

/*
 * A request. The caller owns the struct and what iov points at, and keeps both until on_done has been called
 * on the loop's thread, with 0 or a negated errno. on_done may come before back_disk_start() returns.
 */
struct back_disk_request {
	enum back_disk_kind kind;
	bool through;           /* WRITE: flushed when it is done */
	bool keep;              /* ZERO: the storage stays allocated */
	uint64_t offset, bytes; /* whole blocks in the disk; not of FLUSH */
	struct iovec *iov;      /* of READ and WRITE: bytes in all. The disk changes it */
	unsigned iov_count;
	void (*on_done)(struct back_disk_request *request, int result);

	/* The fields below are the disk's. */
	struct back_disk *disk;
	struct back_disk_request *next;
	struct loop_io io;
	uint64_t done_bytes;
	unsigned pieces; /* requests to an NBD server that are under way */
	int failed;
};

/*
 * Opens and locks the image that config->file names. ERR_USAGE, ERR_HOST: why it cannot. config is borrowed
 * for the call only.
 */
int back_disk_open(const struct config_device *config, struct loop *loop, struct back_disk **ret_disk,
        struct err *err) MUST_CHECK;
/*
 * Looks what it is as long as it belongs to another program, and keeps no file open. The disk is as released.
 * An NBD server is connected to already.
 */
int back_disk_look(const struct config_device *config, struct loop *loop, struct back_disk **ret_disk,
        struct err *err) MUST_CHECK;
/*
 * Closes the image, by which its lock ends. Requests are answered with -EIO until it is taken. Nothing is in
 * flight, and what was written has been flushed. On the loop's thread.
 */
void back_disk_release(struct back_disk *disk);
bool back_disk_is_released(const struct back_disk *disk);
/*
 * Opens and locks an image that was looked at or released. It waits 200 milliseconds at most for a lock. The
 * image must have at least so many bytes, which the disk has from then on. ERR_USAGE, ERR_HOST: why it
 * cannot; the disk is as before. On the main thread, while the device does nothing.
 */
int back_disk_take(struct back_disk *disk, uint64_t bytes, struct err *err) MUST_CHECK;
/* Nothing may be in flight. On the main thread. NULL is allowed. */
void back_disk_destroy(struct back_disk *disk);
/*
 * Says that somebody waits for all requests to end, and that he does not any more. While he waits, a server
 * that answers none of them for BACK_DISK_HURRY_MS counts as gone, and they fail. The kernel always ends
 * requests to a file. On the loop's thread.
 */
#define BACK_DISK_HURRY_MS 5000
void back_disk_hurry(struct back_disk *disk, bool hurry);
const struct back_disk_facts *back_disk_facts(const struct back_disk *disk);
/*
 * Gives the disk another size, in whole blocks, on the loop's thread. An image that is a file grows if it
 * must; a block device must have that many bytes already. ERR_USAGE: the disk would lose data, or cannot be
 * resized.
 */
int back_disk_resize(struct back_disk *disk, uint64_t bytes, struct err *err) MUST_CHECK;
/*
 * Starts a request. A range that is not whole blocks of the disk, or a write to a disk that is read only, is
 * answered with -EINVAL or -EROFS. The disk says the first failure of each kind in the log.
 */
void back_disk_start(struct back_disk *disk, struct back_disk_request *request);

#endif
