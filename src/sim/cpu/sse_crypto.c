/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sse_crypto: AES, PCLMULQDQ and SHA, computed by the host's own instructions, and SSE4A (APM 4).
 */
#include "sse.h"

/* xmm = xmm insn source; SHA's memory operands have any alignment. */
#define CRYPTO(name, insn, source) \
	void op_##name(struct cpu *cpu, const struct cpu_op *op) \
	{ \
		sse_value b; \
		cpu_sse_check(cpu); \
		b = source(cpu, op); \
		__asm__(insn \
		        : [a] "+x"(*sse_xmm(cpu, op->xreg)) \
		        : [b] "x"(b), [zero] "Yz"(*sse_xmm(cpu, 0))); \
	}
CRYPTO(aesimc, "aesimc %[b], %[a]", sse_source)
CRYPTO(aesenc, "aesenc %[b], %[a]", sse_source)
CRYPTO(aesenclast, "aesenclast %[b], %[a]", sse_source)
CRYPTO(aesdec, "aesdec %[b], %[a]", sse_source)
CRYPTO(aesdeclast, "aesdeclast %[b], %[a]", sse_source)
CRYPTO(sha1nexte, "sha1nexte %[b], %[a]", sse_source_unaligned)
CRYPTO(sha1msg1, "sha1msg1 %[b], %[a]", sse_source_unaligned)
CRYPTO(sha1msg2, "sha1msg2 %[b], %[a]", sse_source_unaligned)
CRYPTO(sha256rnds2, "sha256rnds2 %[zero], %[b], %[a]", sse_source_unaligned)
CRYPTO(sha256msg1, "sha256msg1 %[b], %[a]", sse_source_unaligned)
CRYPTO(sha256msg2, "sha256msg2 %[b], %[a]", sse_source_unaligned)

/*
 * The host's instruction wants the immediate as a constant. It gets 0, and the real immediate is XORed into
 * two of the four words of the result.
 */
void op_aeskeygenassist(struct cpu *cpu, const struct cpu_op *op)
{
	u64 round = op->imm << 32;
	sse_value b;

	cpu_sse_check(cpu);
	b = sse_source(cpu, op);
	__asm__("aeskeygenassist $0, %[b], %[a]" : [a] "=x"(*sse_xmm(cpu, op->xreg)) : [b] "x"(b));
	*sse_xmm(cpu, op->xreg) ^= (sse_value){(long long)round, (long long)round};
}

#define CASE(insn, n, imm) \
	case n: __asm__(insn " $" #imm ", %[b], %[a]" : [a] "+x"(*a) : [b] "x"(b)); break

void op_pclmulqdq(struct cpu *cpu, const struct cpu_op *op)
{
	sse_value *a = sse_xmm(cpu, op->xreg), b;

	cpu_sse_check(cpu);
	b = sse_source(cpu, op);
	switch (op->imm & 0x11) {
		CASE("pclmulqdq", 0x00, 0x00);
		CASE("pclmulqdq", 0x01, 0x01);
		CASE("pclmulqdq", 0x10, 0x10);
	default: __asm__("pclmulqdq $0x11, %[b], %[a]" : [a] "+x"(*a) : [b] "x"(b));
	}
}

void op_sha1rnds4(struct cpu *cpu, const struct cpu_op *op)
{
	sse_value *a = sse_xmm(cpu, op->xreg), b;

	cpu_sse_check(cpu);
	b = sse_source_unaligned(cpu, op);
	switch (op->imm & 3) {
		CASE("sha1rnds4", 0, 0);
		CASE("sha1rnds4", 1, 1);
		CASE("sha1rnds4", 2, 2);
	default: __asm__("sha1rnds4 $3, %[b], %[a]" : [a] "+x"(*a) : [b] "x"(b));
	}
}

/* ---- SSE4A: a field of length bits (0: 64) from bit index on ---- */

static u64 field_mask(u64 length)
{
	return length & 63 ? ((u64)1 << (length & 63)) - 1 : ~(u64)0;
}

static void extract(struct cpu *cpu, unsigned number, u64 length, u64 index)
{
	sse_value *v = sse_xmm(cpu, number);

	*v = (sse_value){(long long)(((u64)(*v)[0] >> (index & 63)) & field_mask(length)), 0};
}

static void insert(struct cpu *cpu, const struct cpu_op *op, u64 length, u64 index)
{
	sse_value *v = sse_xmm(cpu, op->xreg);
	u64 mask = field_mask(length), field = (u64)(*sse_xmm(cpu, op->xrm))[0] & mask;

	index &= 63;
	*v = (sse_value){(long long)(((u64)(*v)[0] & ~(mask << index)) | field << index), 0};
}

void op_extrq_imm(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_sse_check(cpu);
	extract(cpu, op->xrm, op->imm, op->imm >> 8);
}

void op_extrq(struct cpu *cpu, const struct cpu_op *op)
{
	u64 field = (u64)(*sse_xmm(cpu, op->xrm))[0];

	cpu_sse_check(cpu);
	extract(cpu, op->xreg, field, field >> 8);
}

void op_insertq_imm(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_sse_check(cpu);
	insert(cpu, op, op->imm, op->imm >> 8);
}

void op_insertq(struct cpu *cpu, const struct cpu_op *op)
{
	u64 field = (u64)(*sse_xmm(cpu, op->xrm))[1];

	cpu_sse_check(cpu);
	insert(cpu, op, field, field >> 8);
}
