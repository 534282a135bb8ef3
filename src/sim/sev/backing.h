/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backing: what lies behind an address of the VMM. A file that is mapped shared may be mapped at several
 * addresses, and they all show the same frames of the machine. Any thread.
 */
#ifndef SEV_BACKING_H
#define SEV_BACKING_H

#include <stdbool.h>
#include <stdint.h>

struct sev_backing {
	uint64_t device, inode; /* of the file; 0: the VMM's own memory */
	uint64_t at;            /* the offset in the file; of own memory: the address */
};

static inline bool sev_backing_is_same(const struct sev_backing *a, const struct sev_backing *b)
{
	return a->device == b->device && a->inode == b->inode;
}

/*
 * Returns what is behind host. *size is the number of bytes that the caller asks for, at least 1, and becomes
 * the number of them that follow each other there. maps_fd is /proc/self/maps. If it is -1, or the kernel is
 * older than Linux 6.11, all memory counts as the VMM's own.
 */
struct sev_backing sev_backing_of(int maps_fd, uintptr_t host, uint64_t *size);

#endif
