/*
 * int_shift: ROL to SAR, SHLD, SHRD in all sizes. Flags that the manuals leave undefined are as current
 * processors compute them where that is known: OF of counts other than 1 as if for 1.
 */
#include "ops.h"

/* Counts are cut to 5 bits (6 for 64-bit operands); a count of 0 changes no flag (APM 3). */
#define SHIFT_SIZE(N) \
	static inline u##N shift_rol##N(struct sim_cpu *cpu, u##N a, unsigned count) \
	{ \
		unsigned n = count % N; \
		bool cf, of; \
		if (!count) \
			return a; \
		a = n ? (u##N)(a << n | a >> (N - n)) : a; \
		cf = a & 1; \
		of = cf ^ (a >> (N - 1)); \
		cpu->flag_aux = (cpu->flag_aux & ~((u64)3 << 62)) | (u64)cf << 63 | (u64)(cf ^ of) << 62; \
		return a; \
	} \
	static inline u##N shift_ror##N(struct sim_cpu *cpu, u##N a, unsigned count) \
	{ \
		unsigned n = count % N; \
		bool cf, of; \
		if (!count) \
			return a; \
		a = n ? (u##N)(a >> n | a << (N - n)) : a; \
		cf = a >> (N - 1); \
		of = cf ^ ((a >> (N - 2)) & 1); \
		cpu->flag_aux = (cpu->flag_aux & ~((u64)3 << 62)) | (u64)cf << 63 | (u64)(cf ^ of) << 62; \
		return a; \
	} \
	static inline u##N shift_rcl##N(struct sim_cpu *cpu, u##N a, unsigned count) \
	{ \
		unsigned n = count % (N + 1); \
		bool cf = flag_cf(cpu), of; \
		if (!n) \
			return a; \
		bool out = (a >> (N - n)) & 1; \
		u##N low = (u##N)((u##N)cf << (n - 1)); \
		a = (u##N)((n == N ? 0 : (u##N)(a << n)) | low | (n == 1 ? 0 : a >> (N + 1 - n))); \
		cf = out; \
		of = cf ^ (a >> (N - 1)); \
		cpu->flag_aux = (cpu->flag_aux & ~((u64)3 << 62)) | (u64)cf << 63 | (u64)(cf ^ of) << 62; \
		return a; \
	} \
	static inline u##N shift_rcr##N(struct sim_cpu *cpu, u##N a, unsigned count) \
	{ \
		unsigned n = count % (N + 1); \
		bool cf = flag_cf(cpu), of; \
		if (!n) \
			return a; \
		bool out = (a >> (n - 1)) & 1; \
		u##N high = (u##N)((u##N)cf << (N - n)); \
		a = (u##N)((n == N ? 0 : a >> n) | high | (n == 1 ? 0 : (u##N)(a << (N + 1 - n)))); \
		cf = out; \
		of = ((a >> (N - 1)) ^ (a >> (N - 2))) & 1; \
		cpu->flag_aux = (cpu->flag_aux & ~((u64)3 << 62)) | (u64)cf << 63 | (u64)(cf ^ of) << 62; \
		return a; \
	} \
	static inline u##N shift_shl##N(struct sim_cpu *cpu, u##N a, unsigned count) \
	{ \
		if (!count) \
			return a; \
		bool cf = count <= N && (a >> (N - count)) & 1; \
		a = count < N ? (u##N)(a << count) : 0; \
		flags_set(cpu, (u64)(s64)(s##N)a, cf, cf ^ (a >> (N - 1)), false); \
		return a; \
	} \
	static inline u##N shift_shr##N(struct sim_cpu *cpu, u##N a, unsigned count) \
	{ \
		if (!count) \
			return a; \
		bool cf = count <= N && (a >> (count - 1)) & 1, of = a >> (N - 1); \
		a = count < N ? a >> count : 0; \
		flags_set(cpu, (u64)(s64)(s##N)a, cf, of, false); \
		return a; \
	} \
	static inline u##N shift_sar##N(struct sim_cpu *cpu, u##N a, unsigned count) \
	{ \
		if (!count) \
			return a; \
		unsigned n = count < N ? count : N - 1; \
		bool cf = count < N ? (a >> (count - 1)) & 1 : a >> (N - 1); \
		a = (u##N)((s##N)a >> n); \
		flags_set(cpu, (u64)(s64)(s##N)a, cf, false, false); \
		return a; \
	}
SHIFT_SIZE(8)
SHIFT_SIZE(16)
SHIFT_SIZE(32)
SHIFT_SIZE(64)

/* ei: by the immediate (or 1); ec: by CL. */
#define SHIFT_FORM(name, form, N, count) \
	static void name##_##form##_r##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		reg_set##N(cpu, op->rm, \
		        shift_##name##N(cpu, reg_get##N(cpu, op->rm), (count) & (N == 64 ? 63 : 31))); \
	} \
	static void name##_##form##_m##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		flags_save(cpu, op); \
		unaligned##N *p = rmw_begin##N(cpu, op_linear(cpu, op, N / 8, ACCESS_WRITE), op->seg); \
		*p = shift_##name##N(cpu, *p, (count) & (N == 64 ? 63 : 31)); \
		rmw_end(cpu, p); \
	}
#define SHIFT_FORMS(name, N) \
	SHIFT_FORM(name, ei, N, (unsigned)op->imm) \
	SHIFT_FORM(name, ec, N, (unsigned)(u8)REG_RCX)
#define SHIFT(name) \
	SHIFT_FORMS(name, 8) \
	SHIFT_FORMS(name, 16) \
	SHIFT_FORMS(name, 32) \
	SHIFT_FORMS(name, 64) \
	HANDLERS_RM(name##_ei); \
	HANDLERS_RM(name##_ec);
SHIFT(rol)
SHIFT(ror)
SHIFT(rcl)
SHIFT(rcr)
SHIFT(shl)
SHIFT(shr)
SHIFT(sar)

/* SHLD, SHRD: of 16-bit operands by more than 16 the result is undefined; here the pair is rotated. */
static inline u16 double_shl16(struct sim_cpu *cpu, u16 a, u16 b, unsigned count)
{
	u64 pair = (u64)a << 32 | (u64)b << 16 | a;
	u16 r = (u16)(pair << count >> 32);
	bool cf = (pair >> (48 - count)) & 1;

	if (count)
		flags_set(cpu, (u64)(s64)(s16)r, cf, (r ^ a) >> 15, false);
	return r;
}

static inline u16 double_shr16(struct sim_cpu *cpu, u16 a, u16 b, unsigned count)
{
	u64 pair = (u64)a << 32 | (u64)b << 16 | a;
	u16 r = (u16)(pair >> count);

	if (count)
		flags_set(cpu, (u64)(s64)(s16)r, (pair >> (count - 1)) & 1, (r ^ a) >> 15, false);
	return r;
}

#define DOUBLE_SIZE(N) \
	static inline u##N double_shl##N(struct sim_cpu *cpu, u##N a, u##N b, unsigned count) \
	{ \
		if (!count) \
			return a; \
		u##N r = a << count | b >> (N - count); \
		flags_set(cpu, (u64)(s64)(s##N)r, (a >> (N - count)) & 1, (r ^ a) >> (N - 1), false); \
		return r; \
	} \
	static inline u##N double_shr##N(struct sim_cpu *cpu, u##N a, u##N b, unsigned count) \
	{ \
		if (!count) \
			return a; \
		u##N r = a >> count | b << (N - count); \
		flags_set(cpu, (u64)(s64)(s##N)r, (a >> (count - 1)) & 1, (r ^ a) >> (N - 1), false); \
		return r; \
	}
DOUBLE_SIZE(32)
DOUBLE_SIZE(64)

#define DOUBLE_FORM(name, form, N, count) \
	static void name##d_##form##_r##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		unsigned n = (count) & (N == 64 ? 63 : 31); \
		reg_set##N(cpu, op->rm, \
		        double_##name##N(cpu, reg_get##N(cpu, op->rm), reg_get##N(cpu, op->reg), n)); \
	} \
	static void name##d_##form##_m##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		flags_save(cpu, op); \
		unsigned n = (count) & (N == 64 ? 63 : 31); \
		unaligned##N *p = rmw_begin##N(cpu, op_linear(cpu, op, N / 8, ACCESS_WRITE), op->seg); \
		*p = double_##name##N(cpu, *p, reg_get##N(cpu, op->reg), n); \
		rmw_end(cpu, p); \
	}
#define DOUBLE_FORMS(name, N) \
	DOUBLE_FORM(name, ei, N, (unsigned)op->imm) \
	DOUBLE_FORM(name, ec, N, (unsigned)(u8)REG_RCX)
#define DOUBLE(name) \
	DOUBLE_FORMS(name, 16) \
	DOUBLE_FORMS(name, 32) \
	DOUBLE_FORMS(name, 64) \
	HANDLERS_WIDE(name##d_ei); \
	HANDLERS_WIDE(name##d_ec);
DOUBLE(shl)
DOUBLE(shr)
