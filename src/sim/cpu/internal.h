/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal: what most files of the processor need. Each header says what it is about; the vCPU's thread calls
 * all of it.
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
