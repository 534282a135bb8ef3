/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asid: the pools of ASIDs, one for each kind of guest. Any thread; takes sev_platform.lock.
 */
#ifndef SEV_ASID_H
#define SEV_ASID_H

#include "platform.h"

/*
 * Takes an ASID that the caller gives back with sev_asid_give(), and charges the cgroup. Returns 0, -ENOTTY
 * (there are none of the kind), -EBUSY (limit or capacity reached, or all in use) or -ENOMEM.
 */
int sev_asid_take(struct sev_platform *secure, enum product_asid_kind kind, uint32_t *ret_asid);
void sev_asid_give(struct sev_platform *secure, enum product_asid_kind kind, uint32_t asid);
/* Returns the first and the last ASID of the kind; the first is above the last if there are none. */
void sev_asid_range(
        const struct sev_platform *secure, enum product_asid_kind kind, uint32_t *ret_min, uint32_t *ret_max);

#endif
