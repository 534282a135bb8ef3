/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wires: struct device_wires that only remember. A test looks at what was sent, bound and hung up, and may
 * let the kernel refuse.
 */
#ifndef TEST_SUPPORT_WIRES_H
#define TEST_SUPPORT_WIRES_H

#include <pthread.h>

#include "vmm/device.h"

#define WIRES_MAX 128

struct fake_wires {
	pthread_mutex_t lock;
	_Atomic unsigned sent;  /* messages; may be read while a device runs, ... */
	struct device_msi last; /* ... and then the last one, which is written before */
	struct {
		int fd;
		struct device_msi message;
	} bound[WIRES_MAX];
	unsigned bound_count, binds; /* now; ever */
	struct {
		int fd;
		uint64_t address;
	} bells[WIRES_MAX];
	unsigned bell_count;
	bool refuse; /* binds and doorbells */
	bool wrong;  /* something was undone that had not been done */
};

static inline void fake_wires_send(void *ctx, const struct device_msi *msi)
{
	struct fake_wires *fake = ctx;

	pthread_mutex_lock(&fake->lock);
	fake->last = *msi;
	fake->sent++;
	pthread_mutex_unlock(&fake->lock);
}

/* The place of a bound eventfd; bound_count: it is not bound. */
static inline unsigned fake_wires_find(const struct fake_wires *fake, int fd)
{
	unsigned at = 0;

	while (at < fake->bound_count && fake->bound[at].fd != fd)
		at++;
	return at;
}

static inline int fake_wires_bind(void *ctx, int fd, const struct device_msi *msi)
{
	struct fake_wires *fake = ctx;
	int result = -1;

	pthread_mutex_lock(&fake->lock);
	fake->wrong |= fake_wires_find(fake, fd) < fake->bound_count;
	if (!fake->refuse && fake->bound_count < WIRES_MAX) {
		fake->bound[fake->bound_count].fd = fd;
		fake->bound[fake->bound_count++].message = *msi;
		fake->binds++;
		result = 0;
	}
	pthread_mutex_unlock(&fake->lock);
	return result;
}

static inline void fake_wires_unbind(void *ctx, int fd)
{
	struct fake_wires *fake = ctx;
	unsigned at;

	pthread_mutex_lock(&fake->lock);
	at = fake_wires_find(fake, fd);
	if (at < fake->bound_count)
		fake->bound[at] = fake->bound[--fake->bound_count];
	else
		fake->wrong = true;
	pthread_mutex_unlock(&fake->lock);
}

static inline int fake_wires_doorbell(void *ctx, int fd, uint64_t address, bool on)
{
	struct fake_wires *fake = ctx;
	unsigned at = 0;
	int result = 0;

	pthread_mutex_lock(&fake->lock);
	while (at < fake->bell_count && (fake->bells[at].fd != fd || fake->bells[at].address != address))
		at++;
	fake->wrong |= on == (at < fake->bell_count);
	if (on && (fake->refuse || fake->bell_count == WIRES_MAX)) {
		result = -1;
	} else if (on) {
		fake->bells[fake->bell_count].fd = fd;
		fake->bells[fake->bell_count++].address = address;
	} else if (at < fake->bell_count) {
		fake->bells[at] = fake->bells[--fake->bell_count];
	}
	pthread_mutex_unlock(&fake->lock);
	return result;
}

/* The eventfd that rings when the guest writes there; -1: none. */
static inline int fake_wires_bell(const struct fake_wires *fake, uint64_t address)
{
	for (unsigned i = 0; i < fake->bell_count; i++)
		if (fake->bells[i].address == address)
			return fake->bells[i].fd;
	return -1;
}

static inline struct device_wires fake_wires(struct fake_wires *fake)
{
	*fake = (struct fake_wires){.lock = PTHREAD_MUTEX_INITIALIZER};
	return (struct device_wires){
	        fake_wires_send, fake_wires_bind, fake_wires_unbind, fake_wires_doorbell, fake};
}

#endif
