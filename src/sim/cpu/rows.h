/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows: how an opcode is decoded, and which handler executes it. rows_int.h and rows_sse.h have the rows,
 * one instruction on each line, with the operands in the manual's own letters (APM 3, appendix A). This
 * header defines what the letters mean to the decoder.
 */
#ifndef CPU_ROWS_H
#define CPU_ROWS_H

#include "internal.h"

enum row_flag {
	ROW_MODRM = 1 << 0,
	ROW_BYTE = 1 << 1,      /* 8-bit operand */
	ROW_IB = 1 << 2,        /* immediate byte, sign-extended */
	ROW_IZ = 1 << 3,        /* immediate of 16 or 32 bits, sign-extended */
	ROW_IV = 1 << 4,        /* immediate of the operand's size */
	ROW_IW = 1 << 5,        /* immediate of 16 bits; with IB: then a byte (ENTER) */
	ROW_IU = 1 << 6,        /* the immediate byte is not sign-extended */
	ROW_ONE = 1 << 7,       /* the immediate is 1 */
	ROW_MOFFS = 1 << 8,     /* an address of the address size */
	ROW_FAR = 1 << 9,       /* offset of the operand's size, selector */
	ROW_RELATIVE = 1 << 10, /* the immediate is relative to the next instruction */
	ROW_OPREG = 1 << 11,    /* rm is the register in the opcode */
	ROW_RM8 = 1 << 12,      /* a register operand rm has 8 bits, whatever the operand's size (MOVZX) */
	ROW_D64 = 1 << 13,      /* 64 bits by default in 64-bit mode, 16 with 66 */
	ROW_F64 = 1 << 14,      /* the same for near branches, where Intel's processors ignore 66 */
	ROW_Y = 1 << 15,        /* 32 bits, 64 with REX.W; 66 does not count */
	ROW_LOCK = 1 << 16,     /* LOCK is allowed with a memory destination */
	ROW_END = 1 << 17,      /* ends a block */
	ROW_BRANCH = 1 << 18,   /* sets rip; ends a block */
	ROW_STRING = 1 << 19,   /* with REP or REPNE a branch, which may lead to itself */
	ROW_NO64 = 1 << 20,
	ROW_MEM = 1 << 21, /* a register operand is #UD */
	ROW_REG = 1 << 22, /* a memory operand is #UD */
	ROW_JCC = 1 << 23,
	ROW_SETCC = 1 << 24,
	ROW_CMOV = 1 << 25,
	ROW_PE = 1 << 26,   /* #UD in real and virtual 8086 mode */
	ROW_MOD3 = 1 << 27, /* rm is a register, whatever the two bits of mod say (MOV to and from CR) */
	ROW_ONLY64 = 1 << 28,
	ROW_NOP = 1 << 29, /* 90: NOP with the first register, and PAUSE with F3 */
};

/*
 * Operands, by their letter in APM 3, appendix A, and their size: b 8 bits, w 16, v 16 to 64, z 16 or 32, y
 * 32 or 64. The handler knows in which register file or in which memory an operand is. The decoder learns
 * the size of all operands from the first one, and from each operand which bytes follow the opcode.
 *
 *   E  rm: register or memory      G  the register in ModRM    M  rm: memory      R  rm: register
 *   I  immediate (sI: sign-extended)   J  relative to the next instruction      O  an address alone
 *   X  string at rSI   Y  string at rDI   Z  the register in the opcode   A  far address
 *   V  XMM in ModRM    W  rm: XMM or memory     U  rm: XMM
 *   P  MMX in ModRM    Q  rm: MMX or memory     N  rm: MMX
 */
enum first_operand {
	FIRST__ = 0,
	FIRST_Eb = ROW_MODRM | ROW_BYTE,
	FIRST_Ew = ROW_MODRM,
	FIRST_Ev = ROW_MODRM,
	FIRST_Ey = ROW_MODRM | ROW_Y,
	FIRST_Gb = ROW_BYTE,
	FIRST_Gv = 0,
	FIRST_Gy = ROW_Y,
	FIRST_M = ROW_MODRM | ROW_MEM,
	FIRST_Ry = ROW_MODRM,
	FIRST_Cy = 0, /* a control or debug register */
	FIRST_Sw = 0, /* a segment register */
	FIRST_Zb = ROW_BYTE | ROW_OPREG,
	FIRST_Zv = ROW_OPREG,
	FIRST_Ob = ROW_BYTE | ROW_MOFFS,
	FIRST_Ov = ROW_MOFFS,
	FIRST_Yb = ROW_BYTE,
	FIRST_Yv = 0,
	FIRST_AL = ROW_BYTE,
	FIRST_rAX = 0,
	FIRST_DX = 0,
	FIRST_Ib = ROW_IB | ROW_IU,
	FIRST_sIb = ROW_IB,
	FIRST_sIz = ROW_IZ,
	FIRST_Iw = ROW_IW,
	FIRST_Jb = ROW_IB | ROW_RELATIVE,
	FIRST_Jz = ROW_IZ | ROW_RELATIVE,
	FIRST_Ap = ROW_FAR,
	FIRST_V = 0,
	FIRST_W = ROW_MODRM,
	FIRST_U = ROW_MODRM | ROW_REG,
	FIRST_P = 0,
	FIRST_Q = ROW_MODRM,
	FIRST_N = ROW_MODRM | ROW_REG,
};

/* The second and third operands. */
enum next_operand {
	NEXT__ = 0,
	NEXT_Eb = ROW_MODRM | ROW_RM8,
	NEXT_Ew = ROW_MODRM,
	NEXT_Ev = ROW_MODRM,
	NEXT_Ey = ROW_MODRM,
	NEXT_Gb = 0,
	NEXT_Gv = 0,
	NEXT_Gy = 0,
	NEXT_M = ROW_MODRM | ROW_MEM,
	NEXT_Ry = ROW_MODRM,
	NEXT_Cy = 0,
	NEXT_Sw = 0,
	NEXT_Ob = ROW_MOFFS,
	NEXT_Ov = ROW_MOFFS,
	NEXT_Xb = ROW_BYTE,
	NEXT_Xv = 0,
	NEXT_Yb = 0,
	NEXT_Yv = 0,
	NEXT_AL = ROW_BYTE,
	NEXT_rAX = 0,
	NEXT_DX = 0,
	NEXT_CL = 0,
	NEXT_One = ROW_ONE,
	NEXT_Ib = ROW_IB | ROW_IU,
	NEXT_sIb = ROW_IB,
	NEXT_sIz = ROW_IZ,
	NEXT_Iv = ROW_IV,
	NEXT_Iw = ROW_IW,
	NEXT_V = 0,
	NEXT_W = ROW_MODRM,
	NEXT_U = ROW_MODRM | ROW_REG,
	NEXT_P = 0,
	NEXT_Q = ROW_MODRM,
	NEXT_N = ROW_MODRM | ROW_REG,
};
#define OPERANDS(a, b, c) ((u32)FIRST_##a | (u32)NEXT_##b | (u32)NEXT_##c)

/* The criterion by which a group chooses a row: /reg, the prefix, memory or register, rm, or the mode. */
enum row_split { SPLIT_NONE, SPLIT_REG, SPLIT_PREFIX, SPLIT_MOD, SPLIT_RM, SPLIT_LONG };

enum row_prefix { PREFIX_NP, PREFIX_66, PREFIX_F3, PREFIX_F2 };

/* A row with neither a handler nor a group is an opcode that is not implemented. */
struct row {
	cpu_op_fn *fn;                /* the handler for all sizes */
	const struct cpu_handlers *h; /* or the handlers by the operand's size */
	u32 flags;
	u64 feature; /* of CPUID; without it the opcode raises #UD */
	u16 group;   /* if split is set: the table in which to look next */
	u8 split;    /* enum row_split */
};

/*
 * All rows are in one array, and a table is a piece of it. The number of a table says where it begins, in
 * units of eight rows. A map has 256 rows, an SSE table a row for each mandatory prefix of an opcode, and a
 * group 8 rows.
 */
enum row_table {
	MAP_1 = 0,                /* one byte */
	MAP_2 = MAP_1 + 32,       /* 0F */
	MAP_38 = MAP_2 + 32,      /* 0F 38 */
	SSE_0F = MAP_38 + 32,     /* four prefixes */
	SSE_38 = SSE_0F + 4 * 32, /* none and 66 */
	SSE_3A = SSE_38 + 2 * 32,
	GROUP_1_80 = SSE_3A + 2 * 32,
	GROUP_1_81,
	GROUP_1_82,
	GROUP_1_83,
	GROUP_1A,
	GROUP_2_C0,
	GROUP_2_C1,
	GROUP_2_D0,
	GROUP_2_D1,
	GROUP_2_D2,
	GROUP_2_D3,
	GROUP_3_F6,
	GROUP_3_F7,
	GROUP_4,
	GROUP_5,
	GROUP_11_C6,
	GROUP_11_C7,
	GROUP_62,
	GROUP_63,
	GROUP_C4,
	GROUP_6,
	GROUP_7,
	GROUP_7_0,
	GROUP_7_0_RM,
	GROUP_7_1,
	GROUP_7_1_RM,
	GROUP_7_2,
	GROUP_7_2_RM,
	GROUP_7_3,
	GROUP_7_3_RM,
	GROUP_7_7,
	GROUP_7_7_RM,
	GROUP_7_7_5,
	GROUP_7_7_6,
	GROUP_7_7_7,
	GROUP_8,
	GROUP_9,
	GROUP_9_4,
	GROUP_9_6,
	GROUP_9_7,
	GROUP_9_7_NP,
	GROUP_9_7_F3,
	GROUP_15,
	GROUP_15_NP,
	GROUP_15_NP_MEM,
	GROUP_15_NP_REG,
	GROUP_15_66,
	GROUP_15_66_MEM,
	GROUP_15_F3,
	GROUP_15_F3_REG,
	GROUP_EMMS,
	GROUP_POPCNT,
	GROUP_BSF,
	GROUP_BSR,
	GROUP_38_F0,
	GROUP_38_F1,
	GROUP_38_F6,
	GROUP_17, /* 66 0F 78 */
	ROW_TABLES
};

extern const struct row cpu_rows[8 * ROW_TABLES];

ALWAYS const struct row *row_at(enum row_table table, unsigned index)
{
	return &cpu_rows[8u * table + index];
}

ALWAYS bool row_empty(const struct row *row)
{
	return !row->fn && !row->h && !row->flags && !row->split;
}

#endif
