/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fds: descriptors that travel with the bytes of a UNIX socket (unix(7), SCM_RIGHTS). A peer may send any, so
 * there are never more of them here than MIGRATE_FDS_MAX: the rest is closed. Any thread.
 */
#ifndef MIGRATE_FDS_H
#define MIGRATE_FDS_H

#include <sys/types.h>

#include "vmm/base.h"

#define MIGRATE_FDS_MAX 8

struct migrate_fds {
	int fds[MIGRATE_FDS_MAX];
	unsigned count;
	bool too_many; /* more came */
};

/* As recv(2) without waiting; adds the descriptors that came with the bytes. */
ssize_t migrate_fds_receive(int fd, void *data, size_t size, struct migrate_fds *into);
/* As send(2) without waiting. The descriptors, at most MIGRATE_FDS_MAX, go with the first byte. */
ssize_t migrate_fds_send(int fd, const void *data, size_t size, const struct migrate_fds *with);
void migrate_fds_close(struct migrate_fds *fds); /* leaves none */

#endif
