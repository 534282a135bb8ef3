/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object: the table of descriptors and objects, and the holds on objects. Any thread may call. The functions
 * take object_table.lock and call nothing else while they hold it.
 */
#include <errno.h>
#include <sys/mman.h>

#include "object.h"

void object_table_init(struct object_table *table)
{
	pthread_mutex_init(&table->lock, NULL);
}

void object_table_finish(struct object_table *table)
{
	pthread_mutex_destroy(&table->lock);
}

static bool is_in_table(int fd)
{
	return fd >= 0 && fd < OBJECT_FDS_MAX;
}

/*
 * Puts the object at fd in the table, and returns the one that was there if no other descriptor leads to it.
 * A descriptor that is closed behind the platform's back leaves its object in the table; the next object with
 * the same number replaces it, and the caller ends the old one.
 */
static struct object *replace(struct object_table *table, int fd, struct object *object)
{
	struct object *old;

	pthread_mutex_lock(&table->lock);
	old = table->objects[fd];
	table->objects[fd] = object;
	if (object)
		object->fds++;
	if (old && --old->fds)
		old = NULL;
	pthread_mutex_unlock(&table->lock);
	return old;
}

/* Gives back the hold of the object's descriptors, which are closed. Calls that are under way go on. */
static void release(struct object_table *table, struct object *object)
{
	if (!object)
		return;
	if (object->ops->closed)
		object->ops->closed(object);
	object_leave(table, object);
}

int object_fd(const char *name, size_t size)
{
	auto_close int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return -errno;
	return fd < OBJECT_FDS_MAX ? take_fd(&fd) : -EMFILE;
}

int object_open(struct object_table *table, struct object *object, int fd)
{
	if (fd < 0)
		return fd;
	object->fds = 0;
	object->refs = 1;
	release(table, replace(table, fd, object));
	return fd;
}

void object_alias(struct object_table *table, int from, int to)
{
	struct object *object = object_hold(table, from, NULL);

	if (is_in_table(to))
		release(table, replace(table, to, object));
	if (object)
		object_leave(table, object);
}

void object_close(struct object_table *table, int fd)
{
	if (is_in_table(fd))
		release(table, replace(table, fd, NULL));
}

static bool is_kind(const struct object *object, const struct object_ops *ops)
{
	return object && (!ops || object->ops == ops);
}

struct object *object_hold(struct object_table *table, int fd, const struct object_ops *ops)
{
	struct object *object = NULL;

	if (!is_in_table(fd))
		return NULL;
	pthread_mutex_lock(&table->lock);
	if (is_kind(table->objects[fd], ops)) {
		object = table->objects[fd];
		object->refs++;
	}
	pthread_mutex_unlock(&table->lock);
	return object;
}

void object_leave(struct object_table *table, struct object *object)
{
	bool last;

	pthread_mutex_lock(&table->lock);
	last = --object->refs == 0;
	pthread_mutex_unlock(&table->lock);
	if (last)
		object->ops->end(object);
}

bool object_is(struct object_table *table, int fd, const struct object_ops *ops)
{
	bool found;

	if (!is_in_table(fd))
		return false;
	pthread_mutex_lock(&table->lock);
	found = is_kind(table->objects[fd], ops);
	pthread_mutex_unlock(&table->lock);
	return found;
}
