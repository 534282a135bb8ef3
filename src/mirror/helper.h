/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helper: what the files of this room share.
 */
#ifndef VMM_MIRROR_WATCH_H
#define VMM_MIRROR_WATCH_H

#include "vmm/mirror/helper.h"

/* ---- watch.c: kicks a mirror that runs for too long. The thread that runs the mirror ---- */

struct mirror_watch;

int mirror_watch_create(struct mirror *mirror, struct mirror_watch **ret_watch, struct err *err) MUST_CHECK;
void mirror_watch_destroy(struct mirror_watch *watch); /* NULL is allowed */
/* From now on the mirror may run for so long. */
void mirror_watch_begin(struct mirror_watch *watch, uint64_t limit_ns);
/* Has the mirror been kicked because its time is over? */
bool mirror_watch_is_over(struct mirror_watch *watch);
void mirror_watch_end(struct mirror_watch *watch);

#endif
