/* SPDX-License-Identifier: Apache-2.0 */
/*
 * terminal: puts the user's terminal into raw mode and, whatever happens, back.
 */
#ifndef VMM_CLI_TERMINAL_H
#define VMM_CLI_TERMINAL_H

#include "vmm/base.h"

/*
 * Puts the terminal into raw mode, so that keys reach the guest as they are typed. Returns false and does
 * nothing if fd is not a terminal. Until cli_terminal_restore() every signal that stops, continues or ends
 * the process leaves the terminal as the shell expects it; only SIGKILL and SIGSTOP cannot be caught. Call it
 * after the signals that have another purpose got their handlers or were ignored: it leaves those alone.
 */
bool cli_terminal_raw(int fd);
void cli_terminal_restore(void); /* allowed if the terminal never was raw */

/* Returns how many rows the terminal has, at least 3; UINT_MAX if that is not known. */
unsigned cli_terminal_rows(int fd);
/* Returns how many columns it has; 80 if that is not known. */
unsigned cli_terminal_columns(int fd);

#endif
