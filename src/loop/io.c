/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io: reads and writes of files wait here until the loop's next turn, so that those of one turn go to the
 * kernel together. Each request is a struct of the caller, so they cost no memory.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <linux/fs.h>

#include "backend.h"

void loop_io_start(struct loop *loop, struct loop_io *io)
{
	io->loop = loop;
	io->next = NULL;
	if (loop->last_io)
		loop->last_io->next = io;
	else
		loop->first_io = io;
	loop->last_io = io;
}

struct loop_io *loop_io_take(struct loop *loop)
{
	struct loop_io *io = loop->first_io;

	if (!io)
		return NULL;
	loop->first_io = io->next;
	if (!loop->first_io)
		loop->last_io = NULL;
	return io;
}

int loop_io_mode(const struct loop_io *io)
{
	int how = io->kind == LOOP_IO_DISCARD ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;

	return how | FALLOC_FL_KEEP_SIZE;
}

int loop_io_flags(const struct loop_io *io)
{
	return io->kind == LOOP_IO_WRITE && io->through ? RWF_DSYNC : 0;
}
