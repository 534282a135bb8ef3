/*
 * sse_int: the integer instructions of SSE2 to SSE4.2, computed by the host's own (APM 4). A row a line.
 */
#include "sse.h"

/* xmm op= xmm or aligned 128 bits of memory. */
#define INTEGER(name) \
	void op_##name(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		sse_value b; \
		sim_sse_check(cpu); \
		b = sse_source(cpu, op); \
		__asm__(#name " %1, %0" : "+x"(*sse_xmm(cpu, op->xreg)) : "x"(b)); \
	}

/* xmm = widened elements of the low bytes of xmm or of bytes of memory, of any alignment. */
#define WIDEN(name, bytes) \
	void op_##name(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		sse_value b; \
		sim_sse_check(cpu); \
		b = sse_source_part(cpu, op, bytes); \
		__asm__(#name " %1, %0" : "=x"(*sse_xmm(cpu, op->xreg)) : "x"(b)); \
	}

INTEGER(punpcklbw)
INTEGER(punpcklwd)
INTEGER(punpckldq)
INTEGER(packsswb)
INTEGER(pcmpgtb)
INTEGER(pcmpgtw)
INTEGER(pcmpgtd)
INTEGER(packuswb)
INTEGER(punpckhbw)
INTEGER(punpckhwd)
INTEGER(punpckhdq)
INTEGER(packssdw)
INTEGER(punpcklqdq)
INTEGER(punpckhqdq)
INTEGER(pcmpeqb)
INTEGER(pcmpeqw)
INTEGER(pcmpeqd)
INTEGER(psrlw)
INTEGER(psrld)
INTEGER(psrlq)
INTEGER(paddq)
INTEGER(pmullw)
INTEGER(psubusb)
INTEGER(psubusw)
INTEGER(pminub)
INTEGER(pand)
INTEGER(paddusb)
INTEGER(paddusw)
INTEGER(pmaxub)
INTEGER(pandn)
INTEGER(pavgb)
INTEGER(psraw)
INTEGER(psrad)
INTEGER(pavgw)
INTEGER(pmulhuw)
INTEGER(pmulhw)
INTEGER(psubsb)
INTEGER(psubsw)
INTEGER(pminsw)
INTEGER(por)
INTEGER(paddsb)
INTEGER(paddsw)
INTEGER(pmaxsw)
INTEGER(pxor)
INTEGER(psllw)
INTEGER(pslld)
INTEGER(psllq)
INTEGER(pmuludq)
INTEGER(pmaddwd)
INTEGER(psadbw)
INTEGER(psubb)
INTEGER(psubw)
INTEGER(psubd)
INTEGER(psubq)
INTEGER(paddb)
INTEGER(paddw)
INTEGER(paddd)
INTEGER(pshufb)
INTEGER(phaddw)
INTEGER(phaddd)
INTEGER(phaddsw)
INTEGER(pmaddubsw)
INTEGER(phsubw)
INTEGER(phsubd)
INTEGER(phsubsw)
INTEGER(psignb)
INTEGER(psignw)
INTEGER(psignd)
INTEGER(pmulhrsw)
INTEGER(pabsb)
INTEGER(pabsw)
INTEGER(pabsd)
INTEGER(pmuldq)
INTEGER(pcmpeqq)
INTEGER(packusdw)
INTEGER(pminsb)
INTEGER(pminsd)
INTEGER(pminuw)
INTEGER(pminud)
INTEGER(pmaxsb)
INTEGER(pmaxsd)
INTEGER(pmaxuw)
INTEGER(pmaxud)
INTEGER(pmulld)
INTEGER(phminposuw)
INTEGER(pcmpgtq)

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
