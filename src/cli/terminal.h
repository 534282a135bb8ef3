/*
 * terminal: the user's terminal in raw mode, and back, whatever happens.
 */
#ifndef VMM_CLI_TERMINAL_H
#define VMM_CLI_TERMINAL_H

#include "vmm/base.h"

/*
 * Keys reach the guest as they are typed, unless fd is no terminal (then nothing is done and false is
 * returned). Until terminal_restore() a stop (SIGTSTP), a continue and a fatal signal leave the terminal as
 * the shell expects it.
 */
bool terminal_raw(int fd);
void terminal_restore(void); /* also when it never was raw */

#endif
