/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer: threads that call write(2) for the loop's thread, which must not block. They are used where
 * io_uring is refused.
 */
#ifndef VMM_LOOP_WRITER_H
#define VMM_LOOP_WRITER_H

#include "backend.h"

struct loop_writer;

int loop_writer_create(struct loop_writer **ret_writer, struct err *err) MUST_CHECK;
/* Lets a thread write op's data. The thread then calls loop_op_post(). */
int loop_writer_add(struct loop_writer *writer, struct loop_op *op, struct err *err) MUST_CHECK;
/* Interrupts the writes under way and waits until their threads have ended. NULL is allowed. */
void loop_writer_destroy(struct loop_writer *writer);

#endif
