/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal: includes the headers that most files of the processor need. Each header says what it is about.
 * All their functions run on the vCPU's thread.
 */
#ifndef CPU_INTERNAL_H
#define CPU_INTERNAL_H

#include "access.h"
#include "arch.h"
#include "code.h"
#include "cpu.h"
#include "cr.h"
#include "fpu.h"
#include "leave.h"
#include "mode.h"
#include "op.h"
#include "ram.h"
#include "segment.h"
#include "tlb.h"
#include "types.h"

#endif
