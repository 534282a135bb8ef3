/*
 * int_bit: BT to BTC, BSF to POPCNT, BSWAP, MOVBE, CRC32, ADCX, ADOX, RDRAND.
 */
#include <sys/random.h>

#include "ops.h"

/* CF = the bit; OF, SF, AF, PF are undefined and ZF stays: all stay, as processors do. */
#define BT_NONE(N, a, bit) (a)
#define BT_SET(N, a, bit)  ((u##N)((a) | (u##N)1 << (bit)))
#define BT_RES(N, a, bit)  ((u##N)((a) & ~((u##N)1 << (bit))))
#define BT_COM(N, a, bit)  ((u##N)((a) ^ (u##N)1 << (bit)))

/* A bit offset in a register reaches beyond the operand: whole operands away from its address. */
#define BT_ADDRESS(N, index) \
	u64 offset = op_offset(cpu, op) + (u64)((s64)(s##N)(index) >> (N == 16          ? 4 \
	                                                                      : N == 32 ? 5 \
	                                                                                : 6)) * \
	                                          (N / 8); \
	u64 linear = seg_linear( \
	        cpu, op->seg, offset << op->address_shift >> op->address_shift, N / 8, ACCESS_WRITE)

#define BT_SIZE(name, F, N) \
	static void name##_eg_r##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		unsigned bit = reg_get##N(cpu, op->reg) % N; \
		u##N a = reg_get##N(cpu, op->rm); \
		reg_set##N(cpu, op->rm, F(N, a, bit)); \
		flag_cf_set(cpu, (a >> bit) & 1); \
	} \
	static void name##_eg_m##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		u##N index = reg_get##N(cpu, op->reg), a; \
		BT_ADDRESS(N, index); \
		unaligned##N *p = rmw_begin##N(cpu, linear, op->seg); \
		a = *p; \
		*p = F(N, a, index % N); \
		rmw_end(cpu, p); \
		flag_cf_set(cpu, (a >> (index % N)) & 1); \
	} \
	static void name##_eg_l##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		u##N index = reg_get##N(cpu, op->reg), a; \
		BT_ADDRESS(N, index); \
		u##N *p = rmw_begin_locked##N(cpu, linear, op->seg); \
		a = __atomic_load_n(p, __ATOMIC_RELAXED); \
		while (!ram_replace##N(p, &a, F(N, a, index % N))) \
			continue; \
		rmw_end(cpu, p); \
		flag_cf_set(cpu, (a >> (index % N)) & 1); \
	} \
	static void name##_ei_r##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		unsigned bit = op->imm % N; \
		u##N a = reg_get##N(cpu, op->rm); \
		reg_set##N(cpu, op->rm, F(N, a, bit)); \
		flag_cf_set(cpu, (a >> bit) & 1); \
	} \
	static void name##_ei_m##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		unsigned bit = op->imm % N; \
		unaligned##N *p = rmw_begin##N(cpu, op_linear(cpu, op, N / 8, ACCESS_WRITE), op->seg); \
		u##N a = *p; \
		*p = F(N, a, bit); \
		rmw_end(cpu, p); \
		flag_cf_set(cpu, (a >> bit) & 1); \
	} \
	static void name##_ei_l##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		unsigned bit = op->imm % N; \
		u##N *p = rmw_begin_locked##N(cpu, op_linear(cpu, op, N / 8, ACCESS_WRITE), op->seg); \
		u##N a = __atomic_load_n(p, __ATOMIC_RELAXED); \
		while (!ram_replace##N(p, &a, F(N, a, bit))) \
			continue; \
		rmw_end(cpu, p); \
		flag_cf_set(cpu, (a >> bit) & 1); \
	}
#define BIT_TEST(name, F) \
	BT_SIZE(name, F, 16) \
	BT_SIZE(name, F, 32) \
	BT_SIZE(name, F, 64) \
	HANDLERS_WIDE_LOCK(name##_eg); \
	HANDLERS_WIDE_LOCK(name##_ei);
BIT_TEST(bts, BT_SET)
BIT_TEST(btr, BT_RES)
BIT_TEST(btc, BT_COM)

#define BT_READ(N) \
	static void bt_eg_r##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		flag_cf_set(cpu, (reg_get##N(cpu, op->rm) >> (reg_get##N(cpu, op->reg) % N)) & 1); \
	} \
	static void bt_eg_m##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		u##N index = reg_get##N(cpu, op->reg); \
		u64 offset = op_offset(cpu, op) + (u64)((s64)(s##N)index >> (N == 16          ? 4 \
		                                                                    : N == 32 ? 5 \
		                                                                              : 6)) * \
		                                          (N / 8); \
		u64 linear = seg_linear( \
		        cpu, op->seg, offset << op->address_shift >> op->address_shift, N / 8, ACCESS_READ); \
		flag_cf_set(cpu, (mem_read##N(cpu, linear, op->seg) >> (index % N)) & 1); \
	} \
	static void bt_ei_r##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		flag_cf_set(cpu, (reg_get##N(cpu, op->rm) >> (op->imm % N)) & 1); \
	} \
	static void bt_ei_m##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		flag_cf_set(cpu, (rm_read##N(cpu, op) >> (op->imm % N)) & 1); \
	}
BT_READ(16)
BT_READ(32)
BT_READ(64)
HANDLERS_WIDE(bt_eg);
HANDLERS_WIDE(bt_ei);

/* ---- scans and counts; size by op->size ---- */

static void zf_set(struct sim_cpu *cpu, bool zf)
{
	flags_arith_set(cpu, (flags_arith(cpu) & ~FLAG_ZF) | (zf ? FLAG_ZF : 0));
}

/* A source of 0 leaves the destination alone: documented by AMD, done by all. */
void op_bsf(struct sim_cpu *cpu, const struct sim_op *op)
{
	u64 source = sim_rm_read(cpu, op, op->size);

	if (source)
		reg_set(cpu, op->reg, op->size, (u64)__builtin_ctzll(source));
	zf_set(cpu, !source);
}

void op_bsr(struct sim_cpu *cpu, const struct sim_op *op)
{
	u64 source = sim_rm_read(cpu, op, op->size);

	if (source)
		reg_set(cpu, op->reg, op->size, 63u - (unsigned)__builtin_clzll(source));
	zf_set(cpu, !source);
}

static void count_done(struct sim_cpu *cpu, const struct sim_op *op, unsigned count)
{
	reg_set(cpu, op->reg, op->size, count);
	flags_arith_set(cpu, (count == op->size * 8u ? FLAG_CF : 0) | (count == 0 ? FLAG_ZF : 0));
}

void op_tzcnt(struct sim_cpu *cpu, const struct sim_op *op)
{
	u64 source = sim_rm_read(cpu, op, op->size);

	if (!(cpu->features & FEATURE_BMI1)) {
		op_bsf(cpu, op);
		return;
	}
	count_done(cpu, op, source ? (unsigned)__builtin_ctzll(source) : op->size * 8u);
}

void op_lzcnt(struct sim_cpu *cpu, const struct sim_op *op)
{
	u64 source = sim_rm_read(cpu, op, op->size);

	if (!(cpu->features & FEATURE_LZCNT)) {
		op_bsr(cpu, op);
		return;
	}
	count_done(
	        cpu, op, source ? (unsigned)__builtin_clzll(source) - (64 - op->size * 8u) : op->size * 8u);
}

void op_popcnt(struct sim_cpu *cpu, const struct sim_op *op)
{
	u64 source = sim_rm_read(cpu, op, op->size);

	reg_set(cpu, op->reg, op->size, (u64)__builtin_popcountll(source));
	flags_arith_set(cpu, source ? 0 : FLAG_ZF);
}

void op_bswap(struct sim_cpu *cpu, const struct sim_op *op)
{
	if (op->size == 8)
		reg_set64(cpu, op->rm, __builtin_bswap64(reg_get64(cpu, op->rm)));
	else if (op->size == 4)
		reg_set32(cpu, op->rm, __builtin_bswap32(reg_get32(cpu, op->rm)));
	else
		reg_set16(cpu, op->rm, 0); /* undefined; processors write 0 */
}

static u64 swap_bytes(u64 value, unsigned size)
{
	return __builtin_bswap64(value) >> (64 - size * 8);
}

void op_movbe_load(struct sim_cpu *cpu, const struct sim_op *op)
{
	reg_set(cpu, op->reg, op->size, swap_bytes(sim_rm_read(cpu, op, op->size), op->size));
}

void op_movbe_store(struct sim_cpu *cpu, const struct sim_op *op)
{
	sim_rm_write(cpu, op, op->size, swap_bytes(reg_get(cpu, op->reg, op->size), op->size));
}

/* CRC32 of SSE4.2: the Castagnoli polynomial, bit-reflected. op->size is the source's. */
void op_crc32(struct sim_cpu *cpu, const struct sim_op *op)
{
	u64 source = sim_rm_read(cpu, op, op->size);
	u32 crc = reg_get32(cpu, op->xreg * 8u);

	for (unsigned byte = 0; byte < op->size; byte++, source >>= 8) {
		crc ^= (u8)source;
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	reg_set64(cpu, op->xreg * 8u, crc);
}

static void add_with(struct sim_cpu *cpu, const struct sim_op *op, u32 flag)
{
	unsigned size = op->size == 8 ? 8 : 4;
	u32 flags = flags_arith(cpu);
	unsigned __int128 sum = (unsigned __int128)reg_get(cpu, op->reg, size) + sim_rm_read(cpu, op, size) +
	                        !!(flags & flag);

	reg_set(cpu, op->reg, size, (u64)sum);
	flags_arith_set(cpu, (flags & ~flag) | ((u64)(sum >> (size * 8)) ? flag : 0));
}

void op_adcx(struct sim_cpu *cpu, const struct sim_op *op)
{
	add_with(cpu, op, FLAG_CF);
}

void op_adox(struct sim_cpu *cpu, const struct sim_op *op)
{
	add_with(cpu, op, FLAG_OF);
}

void op_rdrand(struct sim_cpu *cpu, const struct sim_op *op)
{
	u64 value = 0;
	bool ok = getrandom(&value, sizeof(value), GRND_NONBLOCK) == sizeof(value);

	reg_set(cpu, op->rm, op->size, ok ? value : 0);
	flags_arith_set(cpu, ok ? FLAG_CF : 0);
}
