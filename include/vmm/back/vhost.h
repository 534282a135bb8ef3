/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost: back ends that serve a device's queues by themselves: the kernel's vhost (/dev/vhost-net,
 * /dev/vhost-vsock) and processes that speak vhost-user over a socket (virtiofsd). Doorbells and interrupts
 * go directly between such a back end and KVM. Law: linux/vhost.h; vhost-user protocol.
 *
 *     guest ── doorbell (ioeventfd) ──▶ back end ── interrupt (irqfd) ──▶ guest
 *
 * A back end is not trusted: each function below waits for it at most BACK_VHOST_WAIT_MS, and a process that
 * failed once is not called again. It does have all of the guest's shared memory. All functions run on one
 * thread, that of the loop that they got.
 */
#ifndef VMM_BACK_VHOST_H
#define VMM_BACK_VHOST_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base.h"
#include "vmm/loop.h"
#include "vmm/page.h"

#define BACK_VHOST_WAIT_MS 5000

struct back_vhost;

/* Who hears that a back end failed while it served queues, at most once until the next start. */
struct back_vhost_events {
	/* Called on the loop's thread. why is a phrase such as "virtiofsd has hung up". */
	void (*on_broken)(void *ctx, const char *why);
	void *ctx;
};

/*
 * Opens one of the kernel's: name is the path without "/dev/" ("vhost-net"). ERR_HOST with the remedy if the
 * kernel has none. The kernel makes its thread at the first start, in the caller's process.
 */
int back_vhost_open(const char *name, struct loop *loop, const struct back_vhost_events *events,
        struct back_vhost **ret_vhost, struct err *err) MUST_CHECK;
/*
 * Takes a connected UNIX stream socket, which belongs to the result, also after an error, and asks the
 * process behind it what it can do. name is for messages.
 */
int back_vhost_user_create(int socket, const char *name, struct loop *loop,
        const struct back_vhost_events *events, struct back_vhost **ret_vhost, struct err *err) MUST_CHECK;
/* Stops the queues first, if they are started. NULL is allowed. */
void back_vhost_destroy(struct back_vhost *vhost);

/*
 * The features that the back end can serve (VIRTIO 6 and those of the device). ACCESS_PLATFORM is never among
 * them: to a back end it would mean that addresses need a translation, which vmm's guests do not have. A
 * device offers it to its driver all the same.
 */
uint64_t back_vhost_features(const struct back_vhost *vhost);
/* An ioctl of one kind of the kernel's back ends, such as VHOST_NET_SET_BACKEND; arg as there. */
int back_vhost_ioctl(struct back_vhost *vhost, unsigned long request, const void *arg, const char *name,
        struct err *err) MUST_CHECK;

/* A queue as the driver has set it up (virtio_queue_place()). The descriptors are borrowed until the stop. */
struct back_vhost_queue {
	unsigned index; /* the back end's own number of it */
	uint16_t size;
	uint64_t desc_gpa, avail_gpa, used_gpa;
	void *desc, *avail, *used; /* the same in vmm's memory */
	int kick_fd, call_fd;      /* eventfds */
};

/*
 * Gives the back end memory, features (those that the driver took; the ones that are not the back end's are
 * left out) and queues, which it serves from then on. The kernel's back ends may need another call to begin
 * (VHOST_VSOCK_SET_RUNNING). After an error nothing is started.
 */
int back_vhost_start(struct back_vhost *vhost, uint64_t features, const struct page_memory *memory,
        const struct back_vhost_queue *queues, unsigned count, struct err *err) MUST_CHECK;
/*
 * When it returns the back end no longer touches the queues, unless it is a process that does not answer.
 * false: it is one. Stopping what is not started is allowed.
 */
bool back_vhost_stop(struct back_vhost *vhost);

#endif
