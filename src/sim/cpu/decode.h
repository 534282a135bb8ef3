/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode: decodes bytes to an operation (decode.c).
 */
#ifndef CPU_DECODE_H
#define CPU_DECODE_H

#include "op.h"

/*
 * Decodes one instruction of at most size bytes at code, which is offset bytes behind the start of its
 * block. Returns its length, or 0 if it needs more bytes. Sets *ret_end if the block must end after it.
 */
unsigned cpu_decode(const struct cpu *cpu, const u8 *code, unsigned size, unsigned offset,
        struct cpu_op *ret_op, bool *ret_end);

#endif
