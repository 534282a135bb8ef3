/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost: what vhost.c asks of vhost_kernel.c and vhost_user.c.
 */
#ifndef VMM_BACK_VHOST_PRIVATE_H
#define VMM_BACK_VHOST_PRIVATE_H

#include "vmm/back/vhost.h"

#define BACK_VHOST_QUEUES_MAX 66

/* The two ways to say the same to a back end. Each function returns 0 or -1 with err. */
struct back_vhost_ops {
	int (*set_features)(struct back_vhost *vhost, uint64_t features, struct err *err);
	int (*set_memory)(
	        struct back_vhost *vhost, const struct page_lent *lent, unsigned count, struct err *err);
	/* The back end tells error_fd, an eventfd, that it cannot go on with the queue. */
	int (*start_queue)(struct back_vhost *vhost, const struct back_vhost_queue *queue, int error_fd,
	        struct err *err);
	int (*stop_queue)(struct back_vhost *vhost, unsigned index, struct err *err);
};

struct back_vhost {
	const struct back_vhost_ops *ops;
	char *name;
	int fd; /* a device of the kernel's, or a socket */
	uint64_t features;
	struct loop *loop;
	struct back_vhost_events events;

	/* While queues are started. */
	int error_fd;
	struct loop_op *error_watch, *hang_up_watch;
	unsigned started[BACK_VHOST_QUEUES_MAX], started_count; /* the back end's numbers */

	bool broken; /* it failed once, and is not called again */
	bool owned;  /* SET_OWNER has been said */

	/* vhost-user */
	bool is_process;
	bool has_protocol; /* VHOST_USER_F_PROTOCOL_FEATURES */
	bool acknowledges; /* VHOST_USER_PROTOCOL_F_REPLY_ACK */
	int64_t deadline_ms;
};

/* A back end without features yet. fd becomes its own, also after an error (NULL). */
struct back_vhost *back_vhost_allocate(const struct back_vhost_ops *ops, int fd, const char *name,
        struct loop *loop, const struct back_vhost_events *events, struct err *err);

/* From now on a process has BACK_VHOST_WAIT_MS for all that it is asked. */
void back_vhost_set_deadline(struct back_vhost *vhost);

#endif
