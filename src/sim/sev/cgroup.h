/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup: the misc cgroup that guests are charged to. Law: cgroup-v2.rst (misc). sev_platform.lock is held.
 */
#ifndef SEV_CGROUP_H
#define SEV_CGROUP_H

#include "vmm/base.h"

/* The misc cgroup's resources; SNP guests are charged to sev_es. */
enum sev_misc { SEV_MISC_SEV, SEV_MISC_SEV_ES, SEV_MISC_COUNT };

struct sev_cgroup {
	int dir; /* -1: no files */
	uint32_t capacity[SEV_MISC_COUNT], usage[SEV_MISC_COUNT], peak[SEV_MISC_COUNT];
	uint64_t refused[SEV_MISC_COUNT];
};

/* Makes the files in the folder path, which is made if it is missing. NULL or "": no files, and success. */
int sev_cgroup_open(struct sev_cgroup *cgroup, const char *path, struct err *err) MUST_CHECK;
void sev_cgroup_close(struct sev_cgroup *cgroup);
/* Charges one ASID. Returns 0, or -EBUSY: the limit or the capacity is reached. */
int sev_cgroup_charge(struct sev_cgroup *cgroup, enum sev_misc resource);
void sev_cgroup_uncharge(struct sev_cgroup *cgroup, enum sev_misc resource);

#endif
