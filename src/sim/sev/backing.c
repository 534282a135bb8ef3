/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backing: what lies behind an address of the VMM (backing.h). Any thread. Law: Linux's
 * Documentation/filesystems/proc.rst, PROCMAP_QUERY.
 */
#include <sys/ioctl.h>

#include "backing.h"
#include "vmm/uapi.h"

struct sev_backing sev_backing_of(int maps_fd, uintptr_t host, uint64_t *size)
{
	struct uapi_procmap_query query = {.size = sizeof(query), .query_addr = host};
	uint64_t run;

	if (maps_fd < 0 || ioctl(maps_fd, UAPI_PROCMAP_QUERY, &query) < 0)
		return (struct sev_backing){.at = host};
	run = query.vma_end - host;
	*size = run < *size ? run : *size;
	if (!query.inode || !(query.vma_flags & UAPI_PROCMAP_VMA_SHARED))
		return (struct sev_backing){.at = host};
	return (struct sev_backing){.device = (uint64_t)query.dev_major << 32 | query.dev_minor,
	        .inode = query.inode,
	        .at = query.vma_offset + (host - query.vma_start)};
}
