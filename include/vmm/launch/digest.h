/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest: the launch digest, computed from a plan as the SEV firmware computes it.
 */
#ifndef VMM_LAUNCH_DIGEST_H
#define VMM_LAUNCH_DIGEST_H

#include "vmm/base.h"
#include "vmm/config.h"
#include "vmm/launch/plan.h"

struct launch_digest {
	uint8_t bytes[SHA384_BYTES];
	unsigned size_bytes; /* 48 for SEV-SNP, 32 for SEV and SEV-ES */
};

/* Callbacks for a caller that wants to see how a digest is computed; each may be NULL. */
struct launch_watch {
	/* Called before a page (or less, at the end of an item) is hashed. */
	void (*on_page)(void *ctx, const struct launch_item *item, uint64_t offset_bytes);
	void *ctx;
};

struct launch_hasher;

/* Makes a hasher. type: SEV, SEV-ES or SEV-SNP. watch is borrowed; NULL: no callbacks. */
int launch_hasher_create(enum config_sev_type type, const struct launch_watch *watch,
        struct launch_hasher **ret_hasher, struct err *err) MUST_CHECK;
void launch_hasher_add(struct launch_hasher *hasher, const struct launch_item *item);
/* Computes the digest of all items so far; more may follow. */
int launch_hasher_value(
        struct launch_hasher *hasher, struct launch_digest *ret_digest, struct err *err) MUST_CHECK;
void launch_hasher_destroy(struct launch_hasher *hasher); /* NULL is allowed */

/* Computes the digest of a whole plan. */
int launch_plan_digest(const struct launch_plan *plan, const struct launch_watch *watch,
        struct launch_digest *ret_digest, struct err *err) MUST_CHECK;

#endif
