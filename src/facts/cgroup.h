/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup: the ASIDs that the misc controller counts.
 */
#ifndef VMM_FACTS_CGROUP_H
#define VMM_FACTS_CGROUP_H

#include "vmm/facts.h"

/*
 * Fills used and free of a kind whose limit is known; resource is the controller's name for it ("sev",
 * "sev_es"). folder may be anything; at most CGROUP_LEVELS_MAX folders are looked at.
 */
#define CGROUP_LEVELS_MAX 32
void facts_cgroup_asids(const char *folder, const char *resource, struct facts_asids *asids);

#endif
