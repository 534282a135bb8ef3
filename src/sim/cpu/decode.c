/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode: decodes bytes to a cpu_op by the rows of the opcode maps (APM 3, 1 and appendix A). The result
 * depends only on the bytes, the mode and the CPUID features.
 */
#include "decode.h"
#include "ops.h"
#include "vex.h"

#define INSTRUCTION_MAX 15u

struct decoder {
	const struct cpu *cpu;
	const u8 *code;
	unsigned size, at;
	bool more;      /* the bytes ran out */
	bool long_mode; /* 64-bit mode */
	bool p66, p67, lock;
	u8 rep; /* 0, F3 or F2 */
	u8 rex;
	u8 seg; /* the segment of the override, or CPU_SEG_COUNT */
	u8 opcode, map;
	bool has_modrm;
	u8 modrm;
	bool vex;
	u8 vex_prefix, vex_reg, vex_length; /* its fields pp, vvvv and L */
	const struct vex_row *vex_row;
};

static u8 next_byte(struct decoder *d)
{
	if (d->at >= d->size) {
		d->more = true;
		return 0;
	}
	return d->code[d->at++];
}

static u64 next_value(struct decoder *d, unsigned size)
{
	u64 value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (u64)next_byte(d) << (8 * i);
	return value;
}

static s64 next_signed(struct decoder *d, unsigned size)
{
	unsigned shift = 64 - size * 8;

	return (s64)(next_value(d, size) << shift) >> shift;
}

static bool is_prefix(struct decoder *d, u8 byte)
{
	switch (byte) {
	case 0x66: d->p66 = true; break;
	case 0x67: d->p67 = true; break;
	case 0xf0: d->lock = true; break;
	case 0xf2:
	case 0xf3: d->rep = byte; break;
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
		if (!d->long_mode)
			d->seg = (byte >> 3) & 3;
		break;
	case 0x64: d->seg = CPU_FS; break;
	case 0x65: d->seg = CPU_GS; break;
	default: return false;
	}
	return true;
}

/* In real and virtual 8086 mode there is no VEX; in other modes of 32 bits, LES and LDS have memory operands.
 */
static bool is_vex(struct decoder *d, u8 byte)
{
	if ((byte != 0xc4 && byte != 0xc5) || (d->cpu->mode & (MODE_PE | MODE_VM)) != MODE_PE)
		return false;
	if (d->at >= d->size)
		d->more = true;
	return !d->more && (d->long_mode || d->code[d->at] >= 0xc0);
}

/* VEX has the bits of REX, the map, the mandatory prefix, another register and the vector's length. */
static void decode_vex(struct decoder *d, u8 byte)
{
	bool refused = d->rex || d->rep || d->p66 || d->lock;
	u8 first = next_byte(d), second = byte == 0xc4 ? next_byte(d) : first & 0x7f;

	if (byte == 0xc5)
		first = (first & 0x80) | 0x61;
	d->vex = true;
	d->rex = (second >> 4 & 8) | (d->long_mode ? ~first >> 5 & 7 : 0);
	d->vex_reg = ~second >> 3 & (d->long_mode ? 15 : 7);
	d->vex_length = second >> 2 & 1;
	d->vex_prefix = second & 3;
	d->map = first & 31;
	d->opcode = next_byte(d);
	d->vex_row = cpu_vex_row(d->map, d->opcode, refused ? VEX_NO_PREFIX : d->vex_prefix);
}

static void decode_prefixes(struct decoder *d)
{
	u8 byte = next_byte(d);

	for (; !d->more; byte = next_byte(d)) {
		if (is_prefix(d, byte))
			d->rex = 0; /* REX counts only right before the opcode */
		else if (d->long_mode && (byte & 0xf0) == 0x40)
			d->rex = byte;
		else
			break;
	}
	if (is_vex(d, byte)) {
		decode_vex(d, byte);
		return;
	}
	d->opcode = byte;
	d->map = 1;
	if (byte != 0x0f)
		return;
	d->map = 2;
	d->opcode = next_byte(d);
	if (d->opcode == 0x38 || d->opcode == 0x3a) {
		d->map = d->opcode;
		d->opcode = next_byte(d);
	}
}

/* Returns the mandatory prefix. The repeat prefixes win over 66. */
static enum row_prefix mandatory_prefix(const struct decoder *d)
{
	return d->rep == 0xf3 ? PREFIX_F3 : d->rep == 0xf2 ? PREFIX_F2 : d->p66 ? PREFIX_66 : PREFIX_NP;
}

static const struct row *first_row(const struct decoder *d)
{
	static const struct row none;
	const struct row *row = d->map == 1      ? row_at(MAP_1, d->opcode)
	                        : d->map == 2    ? row_at(MAP_2, d->opcode)
	                        : d->map == 0x38 ? row_at(MAP_38, d->opcode)
	                                         : &none;
	enum row_prefix prefix = mandatory_prefix(d);

	if (d->map == 1 || !row_empty(row))
		return row;
	if (d->map == 2)
		return row_at(SSE_0F, 4u * d->opcode + prefix);
	if (prefix > PREFIX_66)
		return &none;
	return row_at(d->map == 0x38 ? SSE_38 : SSE_3A, 2u * d->opcode + prefix);
}

static void read_modrm(struct decoder *d, const struct row *row)
{
	bool wanted = row->flags & ROW_MODRM || row->split == SPLIT_REG || row->split == SPLIT_MOD ||
	              row->split == SPLIT_RM;

	if (!wanted || d->has_modrm)
		return;
	d->modrm = next_byte(d) | (row->flags & ROW_MOD3 ? 0xc0 : 0);
	d->has_modrm = true;
}

static const struct row *find_row(struct decoder *d)
{
	const struct row *row = first_row(d);

	for (;;) {
		read_modrm(d, row);
		switch (row->split) {
		case SPLIT_REG: row = row_at(row->group, (d->modrm >> 3) & 7); break;
		case SPLIT_RM: row = row_at(row->group, d->modrm & 7); break;
		case SPLIT_MOD: row = row_at(row->group, d->modrm >= 0xc0); break;
		case SPLIT_LONG: row = row_at(row->group, d->long_mode); break;
		case SPLIT_PREFIX: row = row_at(row->group, mandatory_prefix(d)); break;
		default: return row;
		}
	}
}

static u8 operand_size(const struct decoder *d, const struct row *row)
{
	bool wide = d->long_mode || d->cpu->mode & MODE_CS32;

	if (row->flags & ROW_BYTE)
		return 1;
	if (row->flags & ROW_STRING && row->flags & ROW_Y) /* INS, OUTS: REX.W has no effect */
		return wide != d->p66 ? 4 : 2;
	if (d->long_mode) {
		if (row->flags & (ROW_D64 | ROW_F64))
			return d->p66 && !(d->rex & 8) ? 2 : 8;
		if (d->rex & 8)
			return 8;
		return row->flags & ROW_Y || !d->p66 ? 4 : 2;
	}
	if (row->flags & ROW_Y)
		return 4;
	return wide != d->p66 ? 4 : 2;
}

static u8 gpr_offset(const struct decoder *d, unsigned number, unsigned size)
{
	if (size == 1 && !d->rex && number >= 4 && number < 8)
		return (u8)((number - 4) * 8 + 1);
	return (u8)(number * 8);
}

/* Chooses the segment of a memory operand; its base register decides between DS and SS. */
static u8 choose_segment(const struct decoder *d, bool stack)
{
	if (d->seg == CPU_FS || d->seg == CPU_GS)
		return d->seg;
	if (d->long_mode)
		return stack ? CPU_SEG_FLAT_SS : CPU_SEG_FLAT;
	if (d->seg != CPU_SEG_COUNT)
		return d->seg;
	return stack ? CPU_SS : CPU_DS;
}

static void decode_address16(struct decoder *d, struct cpu_op *op)
{
	static const u8 bases[8] = {CPU_RBX, CPU_RBX, CPU_RBP, CPU_RBP, CPU_RSI, CPU_RDI, CPU_RBP, CPU_RBX};
	static const u8 indices[8] = {
	        CPU_RSI, CPU_RDI, CPU_RSI, CPU_RDI, CPU_GPR_ZERO, CPU_GPR_ZERO, CPU_GPR_ZERO, CPU_GPR_ZERO};
	unsigned mod = d->modrm >> 6, rm = d->modrm & 7;

	op->base = bases[rm];
	op->index = indices[rm];
	if (mod == 0 && rm == 6) {
		op->base = CPU_GPR_ZERO;
		op->disp = next_signed(d, 2);
	} else if (mod) {
		op->disp = next_signed(d, mod);
	}
	op->seg = choose_segment(d, op->base == CPU_RBP);
}

static void decode_sib(struct decoder *d, struct cpu_op *op, unsigned *mod)
{
	u8 sib = next_byte(d);

	op->base = (sib & 7) | (d->rex & 1) << 3;
	op->index = ((sib >> 3) & 7) | (d->rex & 2) << 2;
	op->scale = sib >> 6;
	if (op->index == CPU_RSP && !(d->vex && d->vex_row->rules & VEX_VSIB))
		op->index = CPU_GPR_ZERO;
	if ((sib & 7) == 5 && *mod == 0) {
		op->base = CPU_GPR_ZERO;
		*mod = 2;
	}
}

/* Decodes a memory operand. decode_finish() completes displacements that are relative to rip. */
static void decode_address(struct decoder *d, struct cpu_op *op)
{
	unsigned mod = d->modrm >> 6, rm = d->modrm & 7;

	op->index = CPU_GPR_ZERO;
	if (op->address_shift == 48) {
		decode_address16(d, op);
		return;
	}
	op->base = (u8)(rm | (d->rex & 1) << 3);
	if (rm == 4) {
		decode_sib(d, op, &mod);
	} else if (rm == 5 && mod == 0) {
		op->base = d->long_mode ? CPU_GPR_RIP : CPU_GPR_ZERO;
		mod = 2;
	}
	if (mod)
		op->disp = next_signed(d, mod == 1 ? 1 : 4);
	op->seg = choose_segment(d, op->base == CPU_RBP || op->base == CPU_RSP);
}

static void decode_operands(struct decoder *d, const struct row *row, struct cpu_op *op)
{
	bool address16 = !(d->cpu->mode & MODE_CS32) != d->p67;

	op->address_shift = d->long_mode ? (d->p67 ? 32 : 0) : address16 ? 48 : 32;
	op->base = op->index = CPU_GPR_ZERO;
	op->seg = choose_segment(d, false);
	op->size = operand_size(d, row);
	if (d->has_modrm) {
		op->modrm = d->modrm;
		op->xreg = ((d->modrm >> 3) & 7) | (d->rex & 4) << 1;
		op->xrm = (d->modrm & 7) | (d->rex & 1) << 3;
		op->reg = gpr_offset(d, op->xreg, op->size);
		if (d->modrm < 0xc0) {
			op->flags |= OP_MEM;
			decode_address(d, op);
		} else {
			op->rm = gpr_offset(d, op->xrm, row->flags & ROW_RM8 ? 1 : op->size);
		}
	} else if (row->flags & ROW_OPREG) {
		op->xrm = (d->opcode & 7) | (d->rex & 1) << 3;
		op->rm = gpr_offset(d, op->xrm, op->size);
	} else if (row->flags & ROW_MOFFS) {
		op->flags |= OP_MEM;
		op->disp = (s64)next_value(d, 8u - op->address_shift / 8u);
	}
}

static void decode_immediate(struct decoder *d, const struct row *row, struct cpu_op *op)
{
	if (row->flags & ROW_IW) {
		op->imm = next_value(d, 2);
		if (row->flags & ROW_IB)
			op->imm |= next_value(d, 1) << 16;
	} else if (row->flags & ROW_IB) {
		op->imm = row->flags & ROW_IU ? next_value(d, 1) : (u64)next_signed(d, 1);
	} else if (row->flags & ROW_IZ) {
		op->imm = (u64)next_signed(d, op->size == 2 ? 2 : 4);
	} else if (row->flags & ROW_IV) {
		op->imm = (u64)next_signed(d, op->size);
	} else if (row->flags & ROW_FAR) {
		op->imm = next_value(d, op->size);
		op->disp = (s64)next_value(d, 2);
	} else if (row->flags & ROW_ONE) {
		op->imm = 1;
	}
}

static cpu_op_fn *choose_handler(const struct decoder *d, const struct row *row, const struct cpu_op *op)
{
	unsigned index = (unsigned)__builtin_ctz(op->size);

	if (row->flags & ROW_JCC)
		return cpu_jcc[d->opcode & 15];
	if (row->flags & ROW_SETCC)
		return cpu_condition_handler(
		        op->flags & OP_MEM ? CONDITION_SET_M : CONDITION_SET_R, d->opcode);
	if (row->flags & ROW_CMOV)
		return cpu_condition_handler(CONDITION_MOVE, d->opcode);
	/*
	 * 90 is NOP, or PAUSE with F3. With another register AMD's processors exchange, whatever the prefix.
	 */
	if (row->flags & ROW_NOP && op->xrm == 0)
		return d->rep == 0xf3 ? op_pause : op_nop;
	if (!row->h)
		return row->fn;
	if (d->lock)
		return row->h->l[index];
	return op->flags & OP_MEM ? row->h->m[index] : row->h->r[index];
}

/* Returns whether the architecture refuses this combination with #UD. */
static bool refused(const struct decoder *d, const struct row *row, const struct cpu_op *op)
{
	bool memory = op->flags & OP_MEM;

	if (d->lock && !(row->flags & ROW_LOCK && memory))
		return true;
	if (row->flags & ROW_MEM && !memory)
		return true;
	if (row->flags & ROW_REG && memory)
		return true;
	if (row->flags & ROW_NO64 && d->long_mode)
		return true;
	if (row->flags & ROW_ONLY64 && !d->long_mode)
		return true;
	if (row->flags & ROW_PE && (d->cpu->mode & (MODE_PE | MODE_VM)) != MODE_PE)
		return true;
	return row->feature && !(d->cpu->features & row->feature);
}

/* The same for what only instructions with VEX have. */
static bool refused_vex(const struct decoder *d, const struct cpu_op *op)
{
	u64 need = cpu_vex_needs[d->vex_row->needs][d->vex_length];
	u16 rules = d->vex_row->rules;

	if (d->vex_reg && !(rules & VEX_REG) && !(rules & VEX_REG_OF_REG && !(op->flags & OP_MEM)))
		return true;
	if (rules & (d->vex_length ? VEX_L0 : VEX_L1) || (rules & VEX_W0 && d->rex & 8))
		return true;
	if (rules & VEX_VSIB && (op->address_shift == 48 || (op->modrm & 7) != 4))
		return true;
	return (d->cpu->features & need) != need;
}

static void finish_vex(const struct decoder *d, struct cpu_op *op)
{
	if (refused_vex(d, op))
		op->fn = op_invalid;
	op->imm = cpu_vex_pack((u8)op->imm, d->vex_reg, d->vex_length, d->vex_row);
}

static void decode_finish(struct decoder *d, const struct row *row, unsigned offset, struct cpu_op *op)
{
	/* AMD's processors have near branches of 16 bits in 64-bit mode. They run as in the other modes. */
	bool narrow = row->flags & ROW_F64 && op->size == 2 && !(op->flags & OP_MEM);

	op->len = (u8)d->at;
	op->next = (u16)(offset + d->at);
	op->opcode = d->opcode;
	op->flags |= (d->long_mode && !narrow ? 0 : OP_LEGACY) | (d->lock ? OP_LOCK : 0) |
	             (d->p66 ? OP_66 : 0) | (d->rex & 8 ? OP_REXW : 0) | (d->rep == 0xf3 ? OP_REP : 0) |
	             (d->rep == 0xf2 ? OP_REPNE : 0);
	if (op->flags & OP_MEM && op->base == CPU_GPR_RIP)
		op->disp += op->next;
	if (row->flags & ROW_RELATIVE)
		op->imm += op->next;
	op->fn = choose_handler(d, row, op);
	if (!op->fn) {
		op->fn = op_unknown;
		op->imm = (u64)d->map << 16 | (u64)d->opcode << 8 |
		          (d->has_modrm ? d->modrm & (d->modrm >= 0xc0 ? 0xf8 : 0x38) : 0) |
		          (u64)mandatory_prefix(d) << 24;
	}
	if (!row_empty(row) && refused(d, row, op))
		op->fn = op_invalid;
	if (row->flags & (ROW_BRANCH | ROW_JCC) || (row->flags & ROW_STRING && d->rep))
		op->flags |= OP_BRANCH;
}

unsigned cpu_decode(const struct cpu *cpu, const u8 *code, unsigned size, unsigned offset,
        struct cpu_op *ret_op, bool *ret_end)
{
	struct decoder d = {.cpu = cpu,
	        .code = code,
	        .size = size < INSTRUCTION_MAX ? size : INSTRUCTION_MAX,
	        .long_mode = cpu->mode & MODE_64,
	        .seg = CPU_SEG_COUNT};
	struct cpu_op op = {0};
	const struct row *row;

	decode_prefixes(&d);
	if (d.more)
		goto short_of_bytes;
	row = d.vex ? &d.vex_row->row : find_row(&d);
	if (d.vex)
		read_modrm(&d, row);
	decode_operands(&d, row, &op);
	decode_immediate(&d, row, &op);
	if (d.more)
		goto short_of_bytes;
	decode_finish(&d, row, offset, &op);
	if (d.vex)
		finish_vex(&d, &op);
	*ret_end = op.flags & OP_BRANCH || row->flags & ROW_END || op.fn == op_unknown || op.fn == op_invalid;
	*ret_op = op;
	return op.len;

short_of_bytes:
	if (size < INSTRUCTION_MAX)
		return 0;
	/* An instruction of more than 15 bytes raises #GP (APM 3, 1.1). */
	op.fn = op_too_long;
	op.len = INSTRUCTION_MAX;
	op.next = (u16)(offset + INSTRUCTION_MAX);
	*ret_end = true;
	*ret_op = op;
	return op.len;
}
