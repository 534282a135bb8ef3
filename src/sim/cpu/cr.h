/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cr: control registers, MSRs and CPUID, for the processor's other files (cr.c, msr.c, cpuid.c).
 */
#ifndef CPU_CR_H
#define CPU_CR_H

#include "leave.h"

ALWAYS void require_cpl0(struct cpu *cpu)
{
	if (cpu->cpl)
		cpu_raise_error(cpu, EXC_GP, 0);
}

/* Returns the width of MOV to and from control and debug registers, in bytes. */
ALWAYS unsigned register_width(const struct cpu *cpu)
{
	return cpu->mode & MODE_64 ? 8 : 4;
}

/* Move a value to a control register, with the checks (#GP) and the effects on mode and translations. */
void cpu_cr0_write(struct cpu *cpu, u64 value);
void cpu_cr3_write(struct cpu *cpu, u64 value);
void cpu_cr4_write(struct cpu *cpu, u64 value);
/* Reads the four entries that CR3 points to with PAE outside long mode; raises #GP if one is malformed. */
void cpu_pdptes_load(struct cpu *cpu);
/* Returns the bits of CR4 that CPUID allows. */
u64 cpu_cr4_allowed(const struct cpu *cpu);
/* Returns whether CPUID has the features that these bits of EFER switch. */
bool cpu_efer_valid(const struct cpu *cpu, u64 value);

/* Performs RDMSR or WRMSR: the processor, the platform or an exit answers. False: the guest gets #GP(0). */
bool cpu_msr_access(struct cpu *cpu, bool write, u32 index, u64 *value);

#endif
