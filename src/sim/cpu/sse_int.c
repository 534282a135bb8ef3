/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sse_int: the integer instructions of MMX and of SSE2 to SSE4.2, which the host's own instructions compute
 * (APM 4, APM 5). Each line is an instruction.
 */
#include "mmx.h"
#include "sse.h"

/* xmm = xmm insn (xmm or aligned 128 bits of memory). */
#define XMM(name) \
	void op_##name(struct cpu *cpu, const struct cpu_op *op) \
	{ \
		sse_value b; \
		cpu_sse_check(cpu); \
		b = sse_source(cpu, op); \
		__asm__(#name " %1, %0" : "+x"(*sse_xmm(cpu, op->xreg)) : "x"(b)); \
	}

/* mm = mm insn (mm or `bytes` bytes of memory). */
#define MMX(name, bytes) \
	void op_mmx_##name(struct cpu *cpu, const struct cpu_op *op) \
	{ \
		u64 b = mmx_source(cpu, op, bytes), a = mmx_get(cpu, op->xreg); \
		__asm__ volatile("movq %[a], %%mm0\n\tmovq %[b], %%mm1\n\t" #name \
		                 " %%mm1, %%mm0\n\tmovq %%mm0, %[a]\n\temms" \
		                 : [a] "+m"(a) \
		                 : [b] "m"(b) \
		                 : "mm0", "mm1"); \
		mmx_set(cpu, op->xreg, a); \
	}

/* Define an instruction for both kinds of registers. LOW: on MMX it reads only the low half of its source. */
#define PACKED(name)     XMM(name) MMX(name, 8)
#define PACKED_LOW(name) XMM(name) MMX(name, 4)

/* xmm = the widened elements of the low bytes of xmm, or of `bytes` bytes of memory of any alignment. */
#define WIDEN(name, bytes) \
	void op_##name(struct cpu *cpu, const struct cpu_op *op) \
	{ \
		sse_value b; \
		cpu_sse_check(cpu); \
		b = sse_source_part(cpu, op, bytes); \
		__asm__(#name " %1, %0" : "=x"(*sse_xmm(cpu, op->xreg)) : "x"(b)); \
	}

PACKED_LOW(punpcklbw)
PACKED_LOW(punpcklwd)
PACKED_LOW(punpckldq)
PACKED(packsswb)
PACKED(pcmpgtb)
PACKED(pcmpgtw)
PACKED(pcmpgtd)
PACKED(packuswb)
PACKED(punpckhbw)
PACKED(punpckhwd)
PACKED(punpckhdq)
PACKED(packssdw)
XMM(punpcklqdq)
XMM(punpckhqdq)
PACKED(pcmpeqb)
PACKED(pcmpeqw)
PACKED(pcmpeqd)
PACKED(psrlw)
PACKED(psrld)
PACKED(psrlq)
PACKED(paddq)
PACKED(pmullw)
PACKED(psubusb)
PACKED(psubusw)
PACKED(pminub)
PACKED(pand)
PACKED(paddusb)
PACKED(paddusw)
PACKED(pmaxub)
PACKED(pandn)
PACKED(pavgb)
PACKED(psraw)
PACKED(psrad)
PACKED(pavgw)
PACKED(pmulhuw)
PACKED(pmulhw)
PACKED(psubsb)
PACKED(psubsw)
PACKED(pminsw)
PACKED(por)
PACKED(paddsb)
PACKED(paddsw)
PACKED(pmaxsw)
PACKED(pxor)
PACKED(psllw)
PACKED(pslld)
PACKED(psllq)
PACKED(pmuludq)
PACKED(pmaddwd)
PACKED(psadbw)
PACKED(psubb)
PACKED(psubw)
PACKED(psubd)
PACKED(psubq)
PACKED(paddb)
PACKED(paddw)
PACKED(paddd)
PACKED(pshufb)
PACKED(phaddw)
PACKED(phaddd)
PACKED(phaddsw)
PACKED(pmaddubsw)
PACKED(phsubw)
PACKED(phsubd)
PACKED(phsubsw)
PACKED(psignb)
PACKED(psignw)
PACKED(psignd)
PACKED(pmulhrsw)
PACKED(pabsb)
PACKED(pabsw)
PACKED(pabsd)
XMM(pmuldq)
XMM(pcmpeqq)
XMM(packusdw)
XMM(pminsb)
XMM(pminsd)
XMM(pminuw)
XMM(pminud)
XMM(pmaxsb)
XMM(pmaxsd)
XMM(pmaxuw)
XMM(pmaxud)
XMM(pmulld)
XMM(phminposuw)
XMM(pcmpgtq)

WIDEN(pmovsxbw, 8)
WIDEN(pmovsxbd, 4)
WIDEN(pmovsxbq, 2)
WIDEN(pmovsxwd, 8)
WIDEN(pmovsxwq, 4)
WIDEN(pmovsxdq, 8)
WIDEN(pmovzxbw, 8)
WIDEN(pmovzxbd, 4)
WIDEN(pmovzxbq, 2)
WIDEN(pmovzxwd, 8)
WIDEN(pmovzxwq, 4)
WIDEN(pmovzxdq, 8)
