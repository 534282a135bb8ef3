/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch: a whole launch in one call, which waits where vmm's loop would do something else.
 */
#ifndef VMM_TEST_LAUNCH_H
#define VMM_TEST_LAUNCH_H

#include <time.h>

#include "vmm/launch.h"

/* Launches an incarnation, which launch_end() ends. After an error there is none. */
static inline int launch_whole(
        struct launch *launch, struct machine *machine, struct machine_vm **ret_vm, struct err *err)
{
	int next;

	launch_begin(launch, machine);
	do {
		next = launch_next(launch, false, err);
		if (next == LAUNCH_WAITS)
			nanosleep(&(const struct timespec){.tv_nsec = LAUNCH_WAIT_NS}, NULL);
	} while (next > 0);
	if (next < 0) {
		launch_end(launch);
		return -1;
	}
	*ret_vm = launch_vm(launch);
	return 0;
}

#endif
