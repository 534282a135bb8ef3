/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost: what the devices share whose queues a vhost back end serves.
 */
#ifndef VMM_VIRTIO_VHOST_H
#define VMM_VIRTIO_VHOST_H

#include "vmm/back/vhost.h"
#include "vmm/virtio.h"

/* VIRTIO 6, INDIRECT_DESC and EVENT_IDX: such a device offers them itself, since its back end walks the
 * rings. */
#define VIRTIO_VHOST_RINGS (UINT64_C(1) << 28 | UINT64_C(1) << 29)

/*
 * Starts the device's queues first..first + count - 1 as the back end's 0..count - 1, those that the driver
 * enabled. The thread of the device's loop.
 */
int virtio_vhost_start(struct back_vhost *vhost, const struct virtio_start *start, unsigned first,
        unsigned count, struct err *err) MUST_CHECK;
/* ERR_HOST unless the back end can do that, and knows VIRTIO 1. */
int virtio_vhost_check(const struct back_vhost *vhost, const char *name, struct err *err) MUST_CHECK;

#endif
