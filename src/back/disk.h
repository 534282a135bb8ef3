/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk: what the kinds of disks share. A kind embeds struct back_disk as its first member.
 */
#ifndef VMM_BACK_DISK_PRIVATE_H
#define VMM_BACK_DISK_PRIVATE_H

#include "vmm/back/disk.h"

struct back_disk_ops {
	/*
	 * Does a request, which was checked, and calls back_disk_done(). A request that it cannot do as it is
	 * goes to back_disk_bounce(), but never one of the disk's own buffer.
	 */
	void (*start)(struct back_disk *disk, struct back_disk_request *request);
	void (*hurry)(struct back_disk *disk, bool hurry); /* NULL: requests always end by themselves */
	/* Makes at least so many bytes there, which are more than facts has. NULL: it cannot. */
	int (*grow)(struct back_disk *disk, uint64_t bytes, struct err *err);
	/* As back_disk_release() and back_disk_take(). NULL: the server is still connected to. */
	void (*release)(struct back_disk *disk);
	int (*take)(struct back_disk *disk, uint64_t bytes, struct err *err);
	void (*destroy)(struct back_disk *disk); /* frees disk */
};

struct back_disk {
	const struct back_disk_ops *ops;
	struct back_disk_facts facts;
	struct loop *loop;
	char *id, *file;                   /* for messages */
	uint64_t said[BACK_DISK_KINDS][3]; /* which errnos the log had: a bit for each */
	bool unflushed;                    /* a flush failed */
	bool released;                     /* another program may have the image */
	/* The bounce buffer, and the requests that wait for it; the first has it. */
	void *buffer;
	struct back_disk_request *first, *last;
	struct back_disk_request own; /* the piece of the first request that is under way */
	struct iovec own_iov;
};

/* Sets the members that all kinds have. On an error the caller frees disk. */
int back_disk_init(struct back_disk *disk, const struct back_disk_ops *ops,
        const struct config_device *config, struct loop *loop, struct err *err) MUST_CHECK;
/* Frees the members, not disk. */
void back_disk_finish(struct back_disk *disk);
/* Ends a request. */
void back_disk_done(struct back_disk_request *request, int result);
/*
 * Does a request through the disk's own aligned buffer, a piece at a time: a read or a write whose memory the
 * storage cannot take, or a ZERO, which it makes a write of zeros.
 */
void back_disk_bounce(struct back_disk_request *request);
/* The failure was explained in the log already. */
void back_disk_hush(struct back_disk *disk, int sys);

/* Each opens what config->file names. */
int back_raw_open(const struct config_device *config, bool look, struct loop *loop,
        struct back_disk **ret_disk, struct err *err) MUST_CHECK;
int back_nbd_open(const struct config_device *config, struct loop *loop, struct back_disk **ret_disk,
        struct err *err) MUST_CHECK;

/* Takes n bytes off the start of an iov. */
void back_iov_advance(struct iovec **iov, unsigned *count, uint64_t n);

#endif
