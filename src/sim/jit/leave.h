/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leave: how native code goes on behind a block (leave.c).
 */
#ifndef JIT_LEAVE_H
#define JIT_LEAVE_H

#include "internal.h"

/*
 * Goes on at the linear address in rdx, which is in cpu.rip, too; r15 has the icount. attention: a handler
 * may have asked for it.
 */
void jit_emit_look_up(struct jit *jit, struct emit *e, bool attention);

#endif
