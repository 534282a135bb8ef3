/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uring: the seam through which a test takes the submission queue's entries away.
 */
#ifndef VMM_LOOP_URING_H
#define VMM_LOOP_URING_H

#include <liburing.h>

/* io_uring_get_sqe(): NULL when the queue is full. */
extern struct io_uring_sqe *(*loop_uring_get_sqe)(struct io_uring *ring);

#endif
