/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost: hands queues over to a vhost back end. The thread of the device's loop.
 */
#include "vhost.h"

#define VERSION_1 (UINT64_C(1) << 32)

int virtio_vhost_check(const struct back_vhost *vhost, const char *name, struct err *err)
{
	uint64_t missing = (VIRTIO_VHOST_RINGS | VERSION_1) & ~back_vhost_features(vhost);

	if (!missing)
		return 0;
	return err_set(err, ERR_HOST,
	        "%s cannot serve rings as drivers want them: it lacks the feature bits %#llx", name,
	        (unsigned long long)missing);
}

int virtio_vhost_start(struct back_vhost *vhost, const struct virtio_start *start, unsigned first,
        unsigned count, struct err *err)
{
	struct back_vhost_queue queues[VIRTIO_QUEUES_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < count; i++) {
		struct virtio_queue_place place;

		if (!start->queues[first + i])
			continue;
		place = virtio_queue_place(start->queues[first + i]);
		queues[n++] = (struct back_vhost_queue){
		        .index = i,
		        .size = place.size,
		        .desc_gpa = place.desc_gpa,
		        .avail_gpa = place.avail_gpa,
		        .used_gpa = place.used_gpa,
		        .desc = place.desc,
		        .avail = place.avail,
		        .used = place.used,
		        .kick_fd = place.kick_fd,
		        .call_fd = place.call_fd,
		};
	}
	return back_vhost_start(vhost, start->features, start->memory, queues, n, err);
}
