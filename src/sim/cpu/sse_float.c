/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sse_float: the floating-point instructions of SSE to SSE4.1. The host's own instructions compute them
 * under the guest's MXCSR (APM 4; APM 1, 4.8 for exceptions).
 */
#include "sse.h"

void cpu_sse_exceptions(struct cpu *cpu, u32 mxcsr)
{
	u32 flags = mxcsr & 0x3f, unmasked = ~(cpu->mxcsr >> 7);

	if (cpu->in_lanes) {
		cpu->lane_flags |= flags;
		return;
	}
	/*
	 * Invalid operation, denormal operand and division by zero are found before the computation. If one
	 * of them is not masked, nothing is computed, and overflow, underflow and precision cannot occur.
	 */
	if (flags & unmasked & 7)
		flags &= 7;
	cpu->mxcsr |= flags;
	if (flags & unmasked)
		cpu_raise(cpu, cpu->cr4 & CR4_OSXMMEXCPT ? EXC_XM : EXC_UD);
}

/* xmm = xmm insn source; the source is 16 aligned bytes, or fewer bytes of any alignment. */
#define FLOAT(name, insn, source) \
	void op_##name(struct cpu *cpu, const struct cpu_op *op) \
	{ \
		sse_value a = *sse_xmm(cpu, op->xreg), b; \
		u32 after; \
		cpu_sse_check(cpu); \
		b = source; \
		SSE_HOST(insn " %[b], %[a]", after, [a] "+x"(a), [b] "x"(b)); \
		cpu_sse_exceptions(cpu, after); \
		*sse_xmm(cpu, op->xreg) = a; \
	}
#define FLOATS(name) \
	FLOAT(name##ps, #name "ps", sse_source(cpu, op)) \
	FLOAT(name##pd, #name "pd", sse_source(cpu, op)) \
	FLOAT(name##ss, #name "ss", sse_source_part(cpu, op, 4)) \
	FLOAT(name##sd, #name "sd", sse_source_part(cpu, op, 8))
FLOATS(min)
FLOATS(max)
FLOATS(sqrt)

/* Instructions that may overflow or underflow. */
#define ARITH(name, source, ...) \
	void op_##name(struct cpu *cpu, const struct cpu_op *op) \
	{ \
		static const struct sse_shape shape = {__VA_ARGS__}; \
		sse_value a = *sse_xmm(cpu, op->xreg), b; \
		u32 after; \
		cpu_sse_check(cpu); \
		b = source; \
		SSE_HOST(#name " %[b], %[a]", after, [a] "+x"(a), [b] "x"(b)); \
		if (unlikely(~cpu->mxcsr & (MXCSR_OM | MXCSR_UM))) \
			after = cpu_sse_late_flags(cpu, &shape, *sse_xmm(cpu, op->xreg), b); \
		cpu_sse_exceptions(cpu, after); \
		*sse_xmm(cpu, op->xreg) = a; \
	}
#define ARITHS(name, step) \
	ARITH(name##ps, sse_source(cpu, op), step##SS, step##SS, 4) \
	ARITH(name##pd, sse_source(cpu, op), step##SD, step##SD, 2) \
	ARITH(name##ss, sse_source_part(cpu, op, 4), step##SS, step##SS, 1) \
	ARITH(name##sd, sse_source_part(cpu, op, 8), step##SD, step##SD, 1)
ARITHS(add, SSE_ADD)
ARITHS(mul, SSE_MUL)
ARITHS(sub, SSE_SUB)
ARITHS(div, SSE_DIV)
ARITH(cvtpd2ps, sse_source(cpu, op), SSE_CVTSD2SS, SSE_CVTSD2SS, 2)
ARITH(cvtsd2ss, sse_source_part(cpu, op, 8), SSE_CVTSD2SS, SSE_CVTSD2SS, 1)
ARITH(addsubps, sse_source(cpu, op), SSE_SUBSS, SSE_ADDSS, 4)
ARITH(addsubpd, sse_source(cpu, op), SSE_SUBSD, SSE_ADDSD, 2)
ARITH(haddps, sse_source(cpu, op), SSE_ADDSS, SSE_ADDSS, 4, true)
ARITH(haddpd, sse_source(cpu, op), SSE_ADDSD, SSE_ADDSD, 2, true)
ARITH(hsubps, sse_source(cpu, op), SSE_SUBSS, SSE_SUBSS, 4, true)
ARITH(hsubpd, sse_source(cpu, op), SSE_SUBSD, SSE_SUBSD, 2, true)

FLOAT(cvtps2pd, "cvtps2pd", sse_source_part(cpu, op, 8))
FLOAT(cvtss2sd, "cvtss2sd", sse_source_part(cpu, op, 4))
FLOAT(cvtdq2ps, "cvtdq2ps", sse_source(cpu, op))
FLOAT(cvtps2dq, "cvtps2dq", sse_source(cpu, op))
FLOAT(cvttps2dq, "cvttps2dq", sse_source(cpu, op))
FLOAT(cvttpd2dq, "cvttpd2dq", sse_source(cpu, op))
FLOAT(cvtdq2pd, "cvtdq2pd", sse_source_part(cpu, op, 8))
FLOAT(cvtpd2dq, "cvtpd2dq", sse_source(cpu, op))
/* These results are approximations, and each vendor has its own. */
FLOAT(rcpps, "rcpps", sse_source(cpu, op))
FLOAT(rcpss, "rcpss", sse_source_part(cpu, op, 4))
FLOAT(rsqrtps, "rsqrtps", sse_source(cpu, op))
FLOAT(rsqrtss, "rsqrtss", sse_source_part(cpu, op, 4))
/* Bit operations and interleaving raise no exceptions. */
FLOAT(andps, "andps", sse_source(cpu, op))
FLOAT(andnps, "andnps", sse_source(cpu, op))
FLOAT(orps, "orps", sse_source(cpu, op))
FLOAT(xorps, "xorps", sse_source(cpu, op))
FLOAT(unpcklps, "unpcklps", sse_source(cpu, op))
FLOAT(unpcklpd, "unpcklpd", sse_source(cpu, op))
FLOAT(unpckhps, "unpckhps", sse_source(cpu, op))
FLOAT(unpckhpd, "unpckhpd", sse_source(cpu, op))

/* ---- with an immediate, which the host's instruction needs as a constant ---- */

#define CASE(insn, n) \
	case n: SSE_HOST(insn " $" #n ", %[b], %[a]", after, [a] "+x"(a), [b] "x"(b)); break;
/* clang-format off */
#define CASES_8(insn) \
	CASE(insn, 0) CASE(insn, 1) CASE(insn, 2) CASE(insn, 3) CASE(insn, 4) CASE(insn, 5) CASE(insn, 6) CASE(insn, 7)
#define CASES_16(insn) \
	CASES_8(insn) CASE(insn, 8) CASE(insn, 9) CASE(insn, 10) CASE(insn, 11) CASE(insn, 12) CASE(insn, 13) \
	CASE(insn, 14) CASE(insn, 15)
/* clang-format on */
#define FLOAT_IMM(name, insn, source, mask, cases) \
	void op_##name(struct cpu *cpu, const struct cpu_op *op) \
	{ \
		sse_value a = *sse_xmm(cpu, op->xreg), b; \
		u32 after = 0; \
		cpu_sse_check(cpu); \
		b = source; \
		switch (op->imm & (mask)) { \
			cases(insn) \
		} \
		cpu_sse_exceptions(cpu, after); \
		*sse_xmm(cpu, op->xreg) = a; \
	}
FLOAT_IMM(cmpps, "cmpps", sse_source(cpu, op), 7, CASES_8)
FLOAT_IMM(cmppd, "cmppd", sse_source(cpu, op), 7, CASES_8)
FLOAT_IMM(cmpss, "cmpss", sse_source_part(cpu, op, 4), 7, CASES_8)
FLOAT_IMM(cmpsd, "cmpsd", sse_source_part(cpu, op, 8), 7, CASES_8)
FLOAT_IMM(roundps, "roundps", sse_source(cpu, op), 15, CASES_16)
FLOAT_IMM(roundpd, "roundpd", sse_source(cpu, op), 15, CASES_16)
FLOAT_IMM(roundss, "roundss", sse_source_part(cpu, op, 4), 15, CASES_16)
FLOAT_IMM(roundsd, "roundsd", sse_source_part(cpu, op, 8), 15, CASES_16)
FLOAT_IMM(mpsadbw, "mpsadbw", sse_source(cpu, op), 7, CASES_8)

/*
 * Dot products. The upper half of the immediate says which lanes take part, the lower half which lanes of
 * the result are written. The host computes with all lanes written, and the lanes of the result are chosen
 * afterwards.
 */
#define DOT_CASE(insn, n) \
	case n >> 4: SSE_HOST(insn " $" #n ", %[b], %[a]", after, [a] "+x"(a), [b] "x"(b)); break;
/* clang-format off */
#define DOT_CASES(insn) \
	DOT_CASE(insn, 0x0f) DOT_CASE(insn, 0x1f) DOT_CASE(insn, 0x2f) DOT_CASE(insn, 0x3f) \
	DOT_CASE(insn, 0x4f) DOT_CASE(insn, 0x5f) DOT_CASE(insn, 0x6f) DOT_CASE(insn, 0x7f) \
	DOT_CASE(insn, 0x8f) DOT_CASE(insn, 0x9f) DOT_CASE(insn, 0xaf) DOT_CASE(insn, 0xbf) \
	DOT_CASE(insn, 0xcf) DOT_CASE(insn, 0xdf) DOT_CASE(insn, 0xef) DOT_CASE(insn, 0xff)
/* clang-format on */
#define DOT(name, lanes) \
	void op_##name(struct cpu *cpu, const struct cpu_op *op) \
	{ \
		sse_value a = *sse_xmm(cpu, op->xreg), b; \
		u8 *r = cpu->xmm[op->xreg]; \
		u32 after = 0; \
		cpu_sse_check(cpu); \
		b = sse_source(cpu, op); \
		switch (op->imm >> 4 & 15) { \
			DOT_CASES(#name) \
		} \
		cpu_sse_exceptions(cpu, after); \
		memset(r, 0, 16); \
		for (unsigned i = 0; i < (lanes); i++) \
			if (op->imm >> i & 1) \
				memcpy(r + i * (16 / (lanes)), (u8 *)&a + i * (16 / (lanes)), 16 / (lanes)); \
	}
DOT(dpps, 4)
DOT(dppd, 2)

/* ---- to and from general registers ---- */

#define FROM_INTEGER(name) \
	void op_##name(struct cpu *cpu, const struct cpu_op *op) \
	{ \
		sse_value a = *sse_xmm(cpu, op->xreg); \
		u64 value; \
		u32 after; \
		cpu_sse_check(cpu); \
		value = cpu_rm_read(cpu, op, op->size); \
		if (op->size == 8) \
			SSE_HOST(#name "q %[b], %[a]", after, [a] "+x"(a), [b] "r"(value)); \
		else \
			SSE_HOST(#name "l %k[b], %[a]", after, [a] "+x"(a), [b] "r"(value)); \
		cpu_sse_exceptions(cpu, after); \
		*sse_xmm(cpu, op->xreg) = a; \
	}
FROM_INTEGER(cvtsi2ss)
FROM_INTEGER(cvtsi2sd)

#define TO_INTEGER(name, bytes) \
	void op_##name(struct cpu *cpu, const struct cpu_op *op) \
	{ \
		sse_value b; \
		u64 value; \
		u32 after; \
		cpu_sse_check(cpu); \
		b = sse_source_part(cpu, op, bytes); \
		if (op->size == 8) \
			SSE_HOST(#name " %[b], %q[a]", after, [a] "=r"(value), [b] "x"(b)); \
		else \
			SSE_HOST(#name " %[b], %k[a]", after, [a] "=r"(value), [b] "x"(b)); \
		cpu_sse_exceptions(cpu, after); \
		reg_set(cpu, op->xreg * 8u, op->size, value); \
	}
TO_INTEGER(cvtss2si, 4)
TO_INTEGER(cvtsd2si, 8)
TO_INTEGER(cvttss2si, 4)
TO_INTEGER(cvttsd2si, 8)

/* LAHF takes ZF, PF and CF as the comparison set them; the instructions that set MXCSR do not change them. */
#define ORDER(name, bytes) \
	void op_##name(struct cpu *cpu, const struct cpu_op *op) \
	{ \
		sse_value a = *sse_xmm(cpu, op->xreg), b; \
		u32 after, ax; \
		cpu_sse_check(cpu); \
		b = sse_source_part(cpu, op, bytes); \
		SSE_HOST(#name " %[b], %[a]\n\tlahf", after, [ax] "=&a"(ax), [a] "x"(a), [b] "x"(b)); \
		cpu_sse_exceptions(cpu, after); \
		flags_arith_set(cpu, ax >> 8 & (FLAG_ZF | FLAG_PF | FLAG_CF)); \
	}
ORDER(comiss, 4)
ORDER(comisd, 8)
ORDER(ucomiss, 4)
ORDER(ucomisd, 8)
