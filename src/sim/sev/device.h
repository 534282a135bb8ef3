/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device: /dev/sev (device.c).
 */
#ifndef SEV_DEVICE_H
#define SEV_DEVICE_H

#include "object/object.h"
#include "platform.h"

/* The kind of object that is behind a descriptor of /dev/sev. */
extern const struct object_ops sev_device_ops;

/*
 * Opens /dev/sev with the flags of open(). Returns the descriptor, or a negated errno: -ENOENT if secure is
 * NULL.
 */
int sev_device_open(struct object_table *objects, struct sev_platform *secure, int flags);

#endif
