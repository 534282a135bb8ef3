/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lend: pages of memory that go into a socket without a copy (vmsplice(2), splice(2)): the socket holds the
 * pages themselves, and who receives copies out of them. So a page that is written before that arrives as it
 * is then. One thread, of a process that ignores SIGPIPE.
 */
#ifndef MIGRATE_LEND_H
#define MIGRATE_LEND_H

#include <sys/types.h>
#include <sys/uio.h>

#include "vmm/base.h"

/* A pipe, through which the pages go; zeroed: not tried yet. */
struct migrate_lender {
	bool begun, works;
	int out, in;    /* to read from, to write to */
	size_t in_pipe; /* bytes in it */
};

/*
 * Returns whether pages can be lent to fd, a stream socket, of which no read and write waits from then on.
 * The first call finds it out.
 */
bool migrate_lend_works(struct migrate_lender *lender, int fd);
/*
 * Puts the memory at *iov, and so on, into fd without waiting. Returns how many bytes fd took (*iov and
 * *count are what was not put into the pipe yet; lender->in_pipe is in it); -1 with errno, EAGAIN as of
 * send(2).
 */
ssize_t migrate_lend(struct migrate_lender *lender, int fd, struct iovec **iov, unsigned *count);
void migrate_lend_end(struct migrate_lender *lender); /* a zeroed one is allowed */

#endif
