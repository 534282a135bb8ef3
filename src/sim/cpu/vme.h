/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vme: the virtual interrupt flag, with which programs of virtual 8086 mode (CR4.VME) and of CPL 3 (CR4.PVI)
 * switch interrupts on and off for themselves alone (APM 2, 8.10).
 */
#ifndef CPU_VME_H
#define CPU_VME_H

#include "op.h"

/* Does VIF stand in for IF in this program? Only where IOPL does not let it change IF. */
bool cpu_vme_has_flag(const struct cpu *cpu);
/* Sets or clears VIF, for STI and CLI. Raises #GP if an interrupt waits that the program now lets in. */
void cpu_vme_set_flag(struct cpu *cpu, bool on);
/* Is this a program of virtual 8086 mode whose 16-bit PUSHF, POPF and IRET see VIF in the place of IF? */
bool cpu_vme_replaces(const struct cpu *cpu, unsigned size);
/* Returns the flags as such a program sees them. */
u64 cpu_vme_flags(const struct cpu *cpu);
/* Checks flags that such a program pops, and raises #GP for those that it may not; then the other sets them.
 */
void cpu_vme_check_flags(struct cpu *cpu, u64 flags);
void cpu_vme_set_flags(struct cpu *cpu, u64 flags);
/* Makes INT n call the program's own handler, if its task says so. Returns false if it does not. */
bool cpu_vme_interrupt(struct cpu *cpu, const struct cpu_op *op, u8 vector);

#endif
