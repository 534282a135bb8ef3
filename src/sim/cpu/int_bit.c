/* SPDX-License-Identifier: Apache-2.0 */
/*
 * int_bit: BT to BTC, BSF to POPCNT, BSWAP, MOVBE, CRC32, ADCX, ADOX, RDRAND.
 */
#include <sys/random.h>

#include "ops.h"

/*
 * ---- BT to BTC ----
 * CF becomes the bit. ZF stays. OF, SF, AF and PF are undefined; they stay as well, as on real processors.
 */

enum change { BIT_SET, BIT_RESET, BIT_COMPLEMENT };

ALWAYS u64 bit_changed(u64 a, u64 bit, enum change change)
{
	u64 mask = (u64)1 << bit;

	return change == BIT_SET ? a | mask : change == BIT_RESET ? a & ~mask : a ^ mask;
}

ALWAYS void cf_from_bit(struct cpu *cpu, u64 a, u64 bit)
{
	flag_cf_set(cpu, a >> bit & 1);
}

/*
 * Returns the address of the operand that holds the bit. A bit number in a register may reach beyond the
 * memory operand, by whole operands and in both directions.
 */
ALWAYS u64 bit_linear(struct cpu *cpu, const struct cpu_op *op, u64 index, unsigned size, enum access access)
{
	unsigned shift = size == 2 ? 4 : size == 4 ? 5 : 6;
	u64 operands = (u64)((s64)sign_extend(index, size) >> shift);
	u64 offset = op_offset(cpu, op) + operands * size;

	return seg_linear(cpu, op->seg, offset << op->address_shift >> op->address_shift, size, access);
}

ALWAYS void change_r(struct cpu *cpu, const struct cpu_op *op, unsigned size, u64 bit, enum change change)
{
	u64 a = reg_get(cpu, op->rm, size);

	reg_set(cpu, op->rm, size, bit_changed(a, bit, change));
	cf_from_bit(cpu, a, bit);
}

/* Changes a bit at p, which rmw_begin() returned. */
ALWAYS void change_at(struct cpu *cpu, void *p, unsigned size, u64 bit, enum change change)
{
	u64 a = ram_load(p, size);

	ram_store(p, size, bit_changed(a, bit, change));
	rmw_end(cpu, p);
	cf_from_bit(cpu, a, bit);
}

/* Changes a bit at p, which rmw_begin_locked() returned. */
ALWAYS void change_at_locked(struct cpu *cpu, void *p, unsigned size, u64 bit, enum change change)
{
	u64 a = ram_load(p, size);

	while (!ram_replace(p, &a, bit_changed(a, bit, change), size))
		continue;
	rmw_end(cpu, p);
	cf_from_bit(cpu, a, bit);
}

/* eg: a register has the number of the bit. */
#define CHANGE_EG(name, change) \
	ALWAYS void name##_eg_r(struct cpu *cpu, const struct cpu_op *op, unsigned size) \
	{ \
		change_r(cpu, op, size, reg_get(cpu, op->reg, size) % (size * 8), change); \
	} \
	ALWAYS void name##_eg_m(struct cpu *cpu, const struct cpu_op *op, unsigned size) \
	{ \
		u64 index = reg_get(cpu, op->reg, size); \
		u64 linear = bit_linear(cpu, op, index, size, ACCESS_WRITE); \
		void *p = rmw_begin(cpu, linear, size, op->seg); \
		change_at(cpu, p, size, index % (size * 8), change); \
	} \
	ALWAYS void name##_eg_l(struct cpu *cpu, const struct cpu_op *op, unsigned size) \
	{ \
		u64 index = reg_get(cpu, op->reg, size); \
		u64 linear = bit_linear(cpu, op, index, size, ACCESS_WRITE); \
		void *p = rmw_begin_locked(cpu, linear, size, op->seg); \
		change_at_locked(cpu, p, size, index % (size * 8), change); \
	} \
	HANDLERS_WIDE_RML(name##_eg);

/* ei: the immediate is the number of the bit. */
#define CHANGE_EI(name, change) \
	ALWAYS void name##_ei_r(struct cpu *cpu, const struct cpu_op *op, unsigned size) \
	{ \
		change_r(cpu, op, size, op->imm % (size * 8), change); \
	} \
	ALWAYS void name##_ei_m(struct cpu *cpu, const struct cpu_op *op, unsigned size) \
	{ \
		change_at(cpu, rm_begin(cpu, op, size), size, op->imm % (size * 8), change); \
	} \
	ALWAYS void name##_ei_l(struct cpu *cpu, const struct cpu_op *op, unsigned size) \
	{ \
		void *p = rm_begin_locked(cpu, op, size); \
		change_at_locked(cpu, p, size, op->imm % (size * 8), change); \
	} \
	HANDLERS_WIDE_RML(name##_ei);
CHANGE_EG(bts, BIT_SET)
CHANGE_EI(bts, BIT_SET)
CHANGE_EG(btr, BIT_RESET)
CHANGE_EI(btr, BIT_RESET)
CHANGE_EG(btc, BIT_COMPLEMENT)
CHANGE_EI(btc, BIT_COMPLEMENT)

ALWAYS void bt_eg_r(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	cf_from_bit(cpu, reg_get(cpu, op->rm, size), reg_get(cpu, op->reg, size) % (size * 8));
}

ALWAYS void bt_eg_m(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	u64 index = reg_get(cpu, op->reg, size);
	u64 linear = bit_linear(cpu, op, index, size, ACCESS_READ);

	cf_from_bit(cpu, mem_read(cpu, linear, size, op->seg), index % (size * 8));
}
HANDLERS_WIDE_RM(bt_eg);

ALWAYS void bt_ei_r(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	cf_from_bit(cpu, reg_get(cpu, op->rm, size), op->imm % (size * 8));
}

ALWAYS void bt_ei_m(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	cf_from_bit(cpu, rm_mem_read(cpu, op, size), op->imm % (size * 8));
}
HANDLERS_WIDE_RM(bt_ei);

/* ---- scans and counts; size by op->size ---- */

static void zf_set(struct cpu *cpu, bool zf)
{
	flags_arith_set(cpu, (flags_arith(cpu) & ~FLAG_ZF) | (zf ? FLAG_ZF : 0));
}

/*
 * Scans forward. With a source of 0 the destination keeps its value, as AMD documents and all processors do.
 */
void op_bsf(struct cpu *cpu, const struct cpu_op *op)
{
	u64 source = cpu_rm_read(cpu, op, op->size);

	if (source)
		reg_set(cpu, op->reg, op->size, (u64)__builtin_ctzll(source));
	zf_set(cpu, !source);
}

void op_bsr(struct cpu *cpu, const struct cpu_op *op)
{
	u64 source = cpu_rm_read(cpu, op, op->size);

	if (source)
		reg_set(cpu, op->reg, op->size, 63u - (unsigned)__builtin_clzll(source));
	zf_set(cpu, !source);
}

static void count_done(struct cpu *cpu, const struct cpu_op *op, unsigned count)
{
	reg_set(cpu, op->reg, op->size, count);
	flags_arith_set(cpu, (count == op->size * 8u ? FLAG_CF : 0) | (count == 0 ? FLAG_ZF : 0));
}

void op_tzcnt(struct cpu *cpu, const struct cpu_op *op)
{
	u64 source = cpu_rm_read(cpu, op, op->size);

	if (!(cpu->features & FEATURE_BMI1)) {
		op_bsf(cpu, op);
		return;
	}
	count_done(cpu, op, source ? (unsigned)__builtin_ctzll(source) : op->size * 8u);
}

void op_lzcnt(struct cpu *cpu, const struct cpu_op *op)
{
	u64 source = cpu_rm_read(cpu, op, op->size);

	if (!(cpu->features & FEATURE_LZCNT)) {
		op_bsr(cpu, op);
		return;
	}
	count_done(
	        cpu, op, source ? (unsigned)__builtin_clzll(source) - (64 - op->size * 8u) : op->size * 8u);
}

void op_popcnt(struct cpu *cpu, const struct cpu_op *op)
{
	u64 source = cpu_rm_read(cpu, op, op->size);

	reg_set(cpu, op->reg, op->size, (u64)__builtin_popcountll(source));
	flags_arith_set(cpu, source ? 0 : FLAG_ZF);
}

void op_bswap(struct cpu *cpu, const struct cpu_op *op)
{
	if (op->size == 8)
		reg_set(cpu, op->rm, 8, __builtin_bswap64(reg_get(cpu, op->rm, 8)));
	else if (op->size == 4)
		reg_set(cpu, op->rm, 4, __builtin_bswap32(reg_get(cpu, op->rm, 4)));
	else
		reg_set(cpu, op->rm, 2, 0); /* undefined; processors write 0 */
}

static u64 swap_bytes(u64 value, unsigned size)
{
	return __builtin_bswap64(value) >> (64 - size * 8);
}

void op_movbe_load(struct cpu *cpu, const struct cpu_op *op)
{
	reg_set(cpu, op->reg, op->size, swap_bytes(cpu_rm_read(cpu, op, op->size), op->size));
}

void op_movbe_store(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_rm_write(cpu, op, op->size, swap_bytes(reg_get(cpu, op->reg, op->size), op->size));
}

/* Computes CRC32 of SSE4.2: the Castagnoli polynomial, bit-reflected. op->size is the size of the source. */
void op_crc32(struct cpu *cpu, const struct cpu_op *op)
{
	u64 source = cpu_rm_read(cpu, op, op->size);
	u32 crc = reg_get(cpu, op->xreg * 8u, 4);

	for (unsigned byte = 0; byte < op->size; byte++, source >>= 8) {
		crc ^= (u8)source;
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	reg_set(cpu, op->xreg * 8u, 8, crc);
}

static void add_with(struct cpu *cpu, const struct cpu_op *op, u32 flag)
{
	unsigned size = op->size == 8 ? 8 : 4;
	u32 flags = flags_arith(cpu);
	unsigned __int128 sum = (unsigned __int128)reg_get(cpu, op->reg, size) + cpu_rm_read(cpu, op, size) +
	                        !!(flags & flag);

	reg_set(cpu, op->reg, size, (u64)sum);
	flags_arith_set(cpu, (flags & ~flag) | ((u64)(sum >> (size * 8)) ? flag : 0));
}

void op_adcx(struct cpu *cpu, const struct cpu_op *op)
{
	add_with(cpu, op, FLAG_CF);
}

void op_adox(struct cpu *cpu, const struct cpu_op *op)
{
	add_with(cpu, op, FLAG_OF);
}

void op_rdrand(struct cpu *cpu, const struct cpu_op *op)
{
	u64 value = 0;
	bool ok = getrandom(&value, sizeof(value), GRND_NONBLOCK) == sizeof(value);

	reg_set(cpu, op->rm, op->size, ok ? value : 0);
	flags_arith_set(cpu, ok ? FLAG_CF : 0);
}
