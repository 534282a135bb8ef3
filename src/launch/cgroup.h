/*
 * cgroup: what the misc controller tells of ASIDs.
 */
#ifndef VMM_LAUNCH_CGROUP_H
#define VMM_LAUNCH_CGROUP_H

#include "vmm/launch.h"

/*
 * Fills used and free of a kind whose limit is known; resource is the controller's name for it ("sev",
 * "sev_es"). folder may be anything; at most CGROUP_LEVELS_MAX folders are looked at.
 */
#define CGROUP_LEVELS_MAX 32
void launch_cgroup_asids(const char *folder, const char *resource, struct launch_asids *asids);

#endif
