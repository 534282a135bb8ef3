/* SPDX-License-Identifier: Apache-2.0 */
/*
 * op: the decoded operation, and the registers that it names.
 */
#ifndef CPU_OP_H
#define CPU_OP_H

#include "cpu.h"
#include "ram.h"
#include "types.h"

typedef void cpu_op_fn(struct cpu *cpu, const struct cpu_op *op);

enum op_flag {
	OP_LEGACY = 1, /* not 64-bit mode: segment limits hold, addresses wrap at 32 bits */
	OP_MEM = 2,    /* rm is memory */
	OP_REP = 4,    /* F3 */
	OP_REPNE = 8,  /* F2 */
	OP_LOCK = 16,
	OP_BRANCH = 32, /* sets rip itself */
	OP_66 = 64,
	OP_REXW = 128,
};

struct cpu_op {
	cpu_op_fn *fn;
	u64 imm;  /* sign-extended; of a relative branch: the offset from the block's rip */
	s64 disp; /* of a rip-relative address: the offset from the block's rip */
	u16 next; /* offset of the next instruction from the block's rip */
	u8 len;
	u8 flags;
	u8 reg, rm;     /* byte offsets into gpr; those of AH to BH are odd */
	u8 base, index; /* indices into gpr */
	u8 scale;
	u8 address_shift; /* 64 minus the address size in bits */
	u8 seg;
	u8 size;   /* of the operand in bytes */
	u8 opcode; /* the last byte of the opcode */
	u8 modrm;
	u8 xreg, xrm; /* register numbers with REX */
};

/* Handlers by log2 of the operand size, for a register, for memory, and for memory with LOCK. */
struct cpu_handlers {
	cpu_op_fn *r[4], *m[4], *l[4];
};

/* ---- registers ---- */

#define REG_RAX cpu->gpr[CPU_RAX]
#define REG_RCX cpu->gpr[CPU_RCX]
#define REG_RDX cpu->gpr[CPU_RDX]
#define REG_RBX cpu->gpr[CPU_RBX]
#define REG_RSP cpu->gpr[CPU_RSP]
#define REG_RBP cpu->gpr[CPU_RBP]
#define REG_RSI cpu->gpr[CPU_RSI]
#define REG_RDI cpu->gpr[CPU_RDI]
#define REG_RIP cpu->gpr[CPU_GPR_RIP]

/* Reads the register at offset in struct cpu; the offsets of AH, CH, DH and BH are odd. */
ALWAYS u64 reg_get(const struct cpu *cpu, unsigned offset, unsigned size)
{
	return ram_load((const char *)cpu + offset, size);
}

/* Writes a register as the architecture does: 4 bytes clear the upper half, 1 or 2 bytes leave the rest. */
ALWAYS void reg_set(struct cpu *cpu, unsigned offset, unsigned size, u64 value)
{
	if (size == 4)
		value = (u32)value;
	ram_store((char *)cpu + offset, size == 4 ? 8 : size, value);
}

#endif
