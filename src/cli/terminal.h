/*
 * terminal: the user's terminal in raw mode, and back, whatever happens.
 */
#ifndef VMM_CLI_TERMINAL_H
#define VMM_CLI_TERMINAL_H

#include "vmm/base.h"

/*
 * Keys reach the guest as they are typed, unless fd is no terminal (then nothing is done and false is
 * returned). Until terminal_restore() every signal that stops, continues or ends the process leaves the
 * terminal as the shell expects it; only SIGKILL and SIGSTOP cannot be caught. Call it after the signals that
 * have another purpose got their handlers or were ignored: those are left alone.
 */
bool terminal_raw(int fd);
void terminal_restore(void); /* also when it never was raw */

#endif
