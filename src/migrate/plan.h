/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan: what guest a side has, as text: a line "NAME = VALUE" for each thing that the guest can see and that
 * no state carries. Both sides make it from their own configuration and host, and a guest moves only if they
 * are equal.
 */
#ifndef MIGRATE_PLAN_H
#define MIGRATE_PLAN_H

#include "vmm/base.h"
#include "vmm/machine.h"

#define MIGRATE_PLAN_MAX_BYTES MIB(1)
#define MIGRATE_DIFFERENCES    6 /* so many are told */

/* Makes the plan of a machine whose vCPUs were made. The caller frees it. ERR_FAILED: no memory. */
int migrate_plan_make(
        struct machine *machine, struct machine_vm *vm, char **ret_plan, struct err *err) MUST_CHECK;
/*
 * Writes the sizes in bytes of the pieces of memory that were added to the guest of a plan, which may be any
 * bytes, and returns how many there are.
 */
unsigned migrate_plan_added(const void *plan, size_t size, uint64_t ret_bytes[static PAGE_PLUGS_MAX]);
/*
 * Compares the plan of this side with the peer's, which may be any bytes; with_added: also memory that was
 * added. ERR_FAILED, with the first differences, if they are not equal.
 */
int migrate_plan_compare(
        const char *ours, const void *theirs, size_t size, bool with_added, struct err *err) MUST_CHECK;

#endif
