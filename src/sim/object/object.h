/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object: the descriptors that the software platform hands out, and the objects behind them. A descriptor is
 * a real one of the kernel's (a memfd), so its number, mmap() and the limits are the kernel's; the table
 * leads from its number to what answers for it. This room knows no KVM and no SEV: each kind of object brings
 * its functions. Any thread.
 */
#ifndef OBJECT_OBJECT_H
#define OBJECT_OBJECT_H

#include <pthread.h>
#include <sys/types.h>

#include "vmm/base.h"

#define OBJECT_FDS_MAX 4096

struct object;

/*
 * The functions of a kind of object for calls on its descriptor. Each call returns 0 or more, or a negated
 * errno. The object is held during a call. NULL in place of map, fallocate or closed: the kind knows no such
 * call.
 */
struct object_ops {
	int (*ioctl)(struct object *object, unsigned long request, uintptr_t user);
	/*
	 * Returns the descriptor that is mapped in place of fd, the object's, and in *offset from where on.
	 */
	int (*map)(struct object *object, int fd, size_t length, int prot, int flags, off_t *offset);
	/*
	 * Called once the object's descriptor was mapped, from offset on, to put something else over a part
	 * of it. NULL: nothing is.
	 */
	int (*mapped)(struct object *object, uint8_t *at, size_t length, int prot, int flags, off_t offset);
	int (*fallocate)(struct object *object, int mode, off_t offset, off_t length);
	/* Called when the last descriptor was closed. Other calls on the object may still be under way. */
	void (*closed)(struct object *object);
	/*
	 * Frees the object, or the hold it has, once its descriptors are closed and no call is under way any
	 * more.
	 */
	void (*end)(struct object *object);
};

/* The first member of every struct that lies behind a descriptor. */
struct object {
	const struct object_ops *ops;
	unsigned fds;  /* descriptors that lead here; object_table.lock, as the next */
	unsigned refs; /* one for all descriptors, one for each call under way */
};

struct object_table {
	pthread_mutex_t lock; /* the innermost lock: nothing is called while it is held */
	struct object *objects[OBJECT_FDS_MAX];
};

void object_table_init(struct object_table *table);
/* Ends the table. The caller has closed every descriptor (object_close()). */
void object_table_finish(struct object_table *table);

/* Makes a descriptor for an object: a file of size bytes. Returns it, or a negated errno. */
int object_fd(const char *name, size_t size);
/*
 * Makes calls on the descriptor fd reach the object, whose ops are set. Returns fd. A negative fd is returned
 * unchanged, and nothing else is done. The caller holds no lock, because an object that had the same number
 * before, and whose descriptor was not closed through the platform, ends here.
 */
int object_open(struct object_table *table, struct object *object, int fd);
/*
 * Makes calls on the descriptor `to`, a duplicate of `from`, reach the object of `from`, or none if there is
 * none. The caller holds no lock.
 */
void object_alias(struct object_table *table, int from, int to);
/*
 * Takes fd out of the table, so that no call reaches its object any more. Does nothing if there is no object.
 * The caller holds no lock.
 */
void object_close(struct object_table *table, int fd);

/*
 * Returns the object behind fd, held for the caller until object_leave(); NULL: there is none, or ops is not
 * NULL and the object is of another kind.
 */
struct object *object_hold(struct object_table *table, int fd, const struct object_ops *ops);
/*
 * Gives back a hold. Giving back the last one ends the object, so the caller holds none of the locks that
 * this takes.
 */
void object_leave(struct object_table *table, struct object *object);
/* Is an object of this kind behind fd now? */
bool object_is(struct object_table *table, int fd, const struct object_ops *ops);

/*
 * Copy size bytes from the caller's memory, or to it, at an address that may be wrong. Return 0 or -EFAULT,
 * as the kernel does.
 */
int object_copy_in(void *to, uintptr_t user, size_t size);
int object_copy_out(uintptr_t user, const void *from, size_t size);

#endif
