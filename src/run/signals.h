/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signals: the signals that ask vmm to end its guest, as a descriptor of the loop.
 */
#ifndef VMM_RUN_SIGNALS_H
#define VMM_RUN_SIGNALS_H

#include <signal.h>

#include "vmm/base.h"

/*
 * Blocks the signals and gives a descriptor that is readable while one waits. *ret_old_mask is set in either
 * case; the caller restores it, and closes the descriptor. Main thread, before it makes others.
 */
int run_signals_take(int *ret_fd, sigset_t *ret_old_mask, struct err *err) MUST_CHECK;
/* Takes all signals that wait. Returns false if there were none. */
bool run_signals_drop(int fd);

#endif
