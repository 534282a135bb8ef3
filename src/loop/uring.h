/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uring: lets a test pretend that the submission queue has no free entries.
 */
#ifndef VMM_LOOP_URING_H
#define VMM_LOOP_URING_H

#include <liburing.h>

/* io_uring_get_sqe(), or a test's function. Returns NULL when the queue is full. */
extern struct io_uring_sqe *(*loop_uring_get_sqe)(struct io_uring *ring);

#endif
