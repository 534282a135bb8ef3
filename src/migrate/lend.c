/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lend: see lend.h. Linux gives no page to a socket but from a pipe.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lend.h"

#define PIPE_BYTES (int)MIB(1) /* a place for each of 256 pages; what a user without privileges may have */

bool migrate_lend_works(struct migrate_lender *lender, int fd)
{
	int flags, ends[2];

	if (lender->begun)
		return lender->works;
	lender->begun = true;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return false;
	(void)!fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES); /* a smaller one is only slower */
	lender->out = ends[0];
	lender->in = ends[1];
	lender->works = true;
	return true;
}

static void forward(struct iovec **iov, unsigned *count, size_t bytes)
{
	while (*count && bytes >= (*iov)->iov_len) {
		bytes -= (*iov)->iov_len;
		(*iov)++;
		(*count)--;
	}
	if (bytes) {
		(*iov)->iov_base = (uint8_t *)(*iov)->iov_base + bytes;
		(*iov)->iov_len -= bytes;
	}
}

ssize_t migrate_lend(struct migrate_lender *lender, int fd, struct iovec **iov, unsigned *count)
{
	ssize_t n = *count ? vmsplice(lender->in, *iov, *count, SPLICE_F_NONBLOCK) : 0;

	if (n > 0) {
		forward(iov, count, (size_t)n);
		lender->in_pipe += (size_t)n;
	}
	/* A pipe that is full takes nothing; the socket empties it. */
	if (n < 0 && (errno != EAGAIN || !lender->in_pipe))
		return -1;
	n = splice(lender->out, NULL, fd, NULL, lender->in_pipe, SPLICE_F_NONBLOCK);
	if (n > 0) {
		lender->in_pipe -= (size_t)n;
		return n;
	}
	if (n == 0) /* never of a pipe with bytes in it */
		errno = EIO;
	return -1;
}

void migrate_lend_end(struct migrate_lender *lender)
{
	if (lender->works) {
		close(lender->out);
		close(lender->in);
	}
	*lender = (struct migrate_lender){0};
}
