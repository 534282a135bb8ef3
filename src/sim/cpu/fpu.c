/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fpu: the checks whether the FPU and SSE may be used, and the instructions that save, restore and configure
 * them (APM 5, 1; APM 1, 6).
 */
#include "ops.h"

#define FSW_ES 0x80u

void cpu_fpu_check(struct cpu *cpu)
{
	if (cpu->cr0 & (CR0_EM | CR0_TS))
		cpu_raise(cpu, EXC_NM);
}

void cpu_sse_check(struct cpu *cpu)
{
	if (cpu->in_vex)
		return;
	if (cpu->cr0 & CR0_EM || !(cpu->cr4 & CR4_OSFXSR))
		cpu_raise(cpu, EXC_UD);
	if (cpu->cr0 & CR0_TS)
		cpu_raise(cpu, EXC_NM);
}

void cpu_avx_check(struct cpu *cpu)
{
	if (!(cpu->cr4 & CR4_OSXSAVE) || ~cpu->xcr0 & (XSTATE_SSE | XSTATE_AVX))
		cpu_raise(cpu, EXC_UD);
	if (cpu->cr0 & CR0_TS)
		cpu_raise(cpu, EXC_NM);
}

void cpu_x87_pending(struct cpu *cpu)
{
	if (cpu->x87.fsw & FSW_ES)
		cpu_raise(cpu, EXC_MF);
}

void op_fwait(struct cpu *cpu, const struct cpu_op *op)
{
	if ((cpu->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS))
		cpu_raise(cpu, EXC_NM);
	cpu_x87_pending(cpu);
}

void op_emms(struct cpu *cpu, const struct cpu_op *op)
{
	if (cpu->cr0 & CR0_EM)
		cpu_raise(cpu, EXC_UD);
	if (cpu->cr0 & CR0_TS)
		cpu_raise(cpu, EXC_NM);
	cpu_x87_pending(cpu);
	cpu->x87.ftw = 0;
}

/* ---- the FXSAVE image ---- */

void cpu_fxsave_write(const struct cpu *cpu, u8 area[static 512], bool wide, bool with_xmm16)
{
	const struct cpu_x87 *x = &cpu->x87;
	unsigned top = x->fsw >> 11 & 7;

	store_le(area, 2, x->fcw);
	store_le(area + 2, 2, x->fsw);
	store_le(area + 4, 2, x->ftw);
	store_le(area + 6, 2, x->fop);
	if (wide) {
		store_le(area + 8, 8, x->fip);
		store_le(area + 16, 8, x->fdp);
	} else {
		store_le(area + 8, 8, (u32)x->fip);
		store_le(area + 16, 8, (u32)x->fdp);
	}
	store_le(area + 24, 4, cpu->mxcsr);
	store_le(area + 28, 4, cpu->mxcsr_mask);
	for (unsigned i = 0; i < 8; i++) {
		memset(area + 32 + i * 16, 0, 16);
		memcpy(area + 32 + i * 16, x->st[(top + i) & 7], 10);
	}
	memcpy(area + 160, cpu->xmm, with_xmm16 ? 256 : 128);
}

bool cpu_fxsave_read(struct cpu *cpu, const u8 area[static 512], bool wide, bool with_xmm16)
{
	struct cpu_x87 *x = &cpu->x87;
	u32 mxcsr = (u32)load_le(area + 24, 4);
	unsigned top;

	if (mxcsr & ~cpu->mxcsr_mask)
		return false;
	x->fcw = (u16)((load_le(area, 2) & 0x1f7f) | 0x40);
	x->fsw = (u16)load_le(area + 2, 2);
	x->ftw = area[4];
	x->fop = (u16)load_le(area + 6, 2) & 0x7ff;
	x->fip = wide ? load_le(area + 8, 8) : load_le(area + 8, 4);
	x->fdp = wide ? load_le(area + 16, 8) : load_le(area + 16, 4);
	/* The summary follows from the flags and masks. */
	cpu_x87_summary(cpu);
	cpu->mxcsr = mxcsr;
	top = x->fsw >> 11 & 7;
	for (unsigned i = 0; i < 8; i++)
		memcpy(x->st[(top + i) & 7], area + 32 + i * 16, 10);
	memcpy(cpu->xmm, area + 160, with_xmm16 ? 256 : 128);
	return true;
}

void cpu_x87_summary(struct cpu *cpu)
{
	struct cpu_x87 *x = &cpu->x87;

	if (x->fsw & ~x->fcw & 0x3f)
		x->fsw |= FSW_ES | 0x8000;
	else
		x->fsw = (u16)(x->fsw & ~(FSW_ES | 0x8000));
}

static void fxsave_check(struct cpu *cpu, u64 linear)
{
	if (cpu->cr0 & (CR0_EM | CR0_TS))
		cpu_raise(cpu, EXC_NM);
	/* Alignment is checked for each word of the area, not for the area as a whole. */
	if (linear % 4 && cpu_alignment_checked(cpu))
		cpu_raise_error(cpu, EXC_AC, 0);
	if (linear % 16)
		cpu_raise_error(cpu, EXC_GP, 0);
}

/* Returns how many bytes FXSAVE writes. Fast FXSAVE leaves out the XMM registers at CPL 0 in 64-bit mode. */
static unsigned fxsave_size(const struct cpu *cpu)
{
	return mode_is(cpu, MODE_64) && cpu->efer & EFER_FFXSR && cpu->cpl == 0 ? 160
	       : mode_is(cpu, MODE_64)                                          ? 416
	                                                                        : 288;
}

void op_fxsave(struct cpu *cpu, const struct cpu_op *op)
{
	u64 linear = op_linear(cpu, op, 512, ACCESS_WRITE);
	u8 area[512] = {0};

	fxsave_check(cpu, linear);
	/* The processor checks the last byte of the area first. */
	cpu_mem_probe(cpu, linear + 511, 1, ACCESS_WRITE, op->seg);
	cpu_fxsave_write(cpu, area, op->flags & OP_REXW, mode_is(cpu, MODE_64));
	/* FXSAVE does not write the bytes behind the last register. */
	cpu_mem_write_bytes(cpu, linear, area, fxsave_size(cpu), op->seg);
}

void op_fxrstor(struct cpu *cpu, const struct cpu_op *op)
{
	u64 linear = op_linear(cpu, op, 512, ACCESS_READ);
	unsigned size = fxsave_size(cpu);
	u8 area[512] = {0};

	fxsave_check(cpu, linear);
	cpu_mem_probe(cpu, linear + 511, 1, ACCESS_READ, op->seg);
	memcpy(area + 160, cpu->xmm, 256);
	cpu_mem_read_bytes(cpu, linear, area, size, op->seg);
	if (!cpu_fxsave_read(cpu, area, op->flags & OP_REXW, true))
		cpu_raise_error(cpu, EXC_GP, 0);
}

void op_ldmxcsr(struct cpu *cpu, const struct cpu_op *op)
{
	u32 value;

	cpu_sse_check(cpu);
	value = rm_mem_read(cpu, op, 4);
	if (value & ~cpu->mxcsr_mask)
		cpu_raise_error(cpu, EXC_GP, 0);
	cpu->mxcsr = value;
}

void op_stmxcsr(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_sse_check(cpu);
	rm_mem_write(cpu, op, 4, cpu->mxcsr);
}

/* ---- XSAVE: x87, SSE and AVX (APM 4, XSAVE; APM 2, 11.5) ---- */

#define XSAVE_BYTES   576u /* of x87, SSE and the header; behind them is the state of AVX */
#define XCOMP_COMPACT ((u64)1 << 63)

static u64 xsave_asked(const struct cpu *cpu)
{
	return ((u64)(u32)REG_RDX << 32 | (u32)REG_RAX) & cpu->xcr0;
}

static unsigned xsave_bytes(u64 mask)
{
	return XSAVE_BYTES + (mask & XSTATE_AVX ? CPU_YMM_BYTES : 0);
}

static u64 xsave_linear(struct cpu *cpu, const struct cpu_op *op, enum access access)
{
	return op_linear(cpu, op, xsave_bytes(xsave_asked(cpu)), access);
}

/* Outside 64-bit mode there are eight registers. */
static unsigned ymm_bytes(const struct cpu *cpu)
{
	return mode_is(cpu, MODE_64) ? CPU_YMM_BYTES : CPU_YMM_BYTES / 2;
}

static u64 xsave_mask(struct cpu *cpu, u64 linear)
{
	if (!(cpu->cr4 & CR4_OSXSAVE))
		cpu_raise(cpu, EXC_UD);
	if (cpu->cr0 & CR0_TS)
		cpu_raise(cpu, EXC_NM);
	if (linear % 64)
		cpu_raise_error(cpu, EXC_GP, 0);
	return xsave_asked(cpu);
}

/* MXCSR belongs to SSE, in the standard form also to AVX. */
static void xsave_states(struct cpu *cpu, const struct cpu_op *op, u64 linear, u64 mask, u64 mxcsr)
{
	u8 area[512] = {0};

	cpu_mem_probe(cpu, linear, xsave_bytes(mask), ACCESS_WRITE, op->seg);
	cpu_fxsave_write(cpu, area, op->flags & OP_REXW, mode_is(cpu, MODE_64));
	if (mask & XSTATE_X87) {
		cpu_mem_write_bytes(cpu, linear, area, 24, op->seg);
		cpu_mem_write_bytes(cpu, linear + 32, area + 32, 128, op->seg);
	}
	if (mask & mxcsr)
		cpu_mem_write_bytes(cpu, linear + 24, area + 24, 8, op->seg);
	if (mask & XSTATE_SSE)
		cpu_mem_write_bytes(
		        cpu, linear + 160, area + 160, mode_is(cpu, MODE_64) ? 256 : 128, op->seg);
	if (mask & XSTATE_AVX)
		cpu_mem_write_bytes(cpu, linear + XSAVE_BYTES, cpu->ymm_high, ymm_bytes(cpu), op->seg);
}

void op_xsave(struct cpu *cpu, const struct cpu_op *op)
{
	u64 linear = xsave_linear(cpu, op, ACCESS_WRITE), mask = xsave_mask(cpu, linear), header;

	xsave_states(cpu, op, linear, mask, XSTATE_SSE | XSTATE_AVX);
	header = cpu_mem_read_slow(cpu, linear + 512, 8, op->seg);
	cpu_mem_write_slow(cpu, linear + 512, 8, (header & ~mask) | mask, op->seg);
}

void op_xsaveopt(struct cpu *cpu, const struct cpu_op *op)
{
	op_xsave(cpu, op);
}

/*
 * Writes the compact form. With x87, SSE and AVX as the only states it differs only in its header, which says
 * which states the area has.
 */
void op_xsavec(struct cpu *cpu, const struct cpu_op *op)
{
	u64 linear = xsave_linear(cpu, op, ACCESS_WRITE), mask = xsave_mask(cpu, linear);

	xsave_states(cpu, op, linear, mask, XSTATE_SSE);
	cpu_mem_write_slow(cpu, linear + 512, 8, mask, op->seg);
	cpu_mem_write_slow(cpu, linear + 520, 8, mask | XCOMP_COMPACT, op->seg);
}

static void cpu_x87_reset(struct cpu_x87 *x)
{
	*x = (struct cpu_x87){.fcw = 0x37f};
}

/*
 * Returns whether the header is valid. The compact form names its states in XCOMP_BV; the standard has zero.
 */
static bool xrstor_header_valid(const struct cpu *cpu, const u8 area[static XSAVE_BYTES])
{
	u64 has = load_le(area + 512, 8), compact = load_le(area + 520, 8);
	u64 allowed = compact & XCOMP_COMPACT ? compact & ~XCOMP_COMPACT : cpu->xcr0;

	if (has & ~allowed || allowed & ~cpu->xcr0 || load_le(area + 528, 8))
		return false;
	if (!(compact & XCOMP_COMPACT))
		return !compact;
	for (unsigned i = 536; i < XSAVE_BYTES; i++)
		if (area[i])
			return false;
	return cpu->features & FEATURE_XSAVEC;
}

static void xrstor_merge(u8 merged[static 512], const u8 area[static XSAVE_BYTES], u64 mask, bool wide)
{
	u64 take = mask & load_le(area + 512, 8);
	bool compact = load_le(area + 520, 8) & XCOMP_COMPACT;

	if (take & XSTATE_X87) {
		memcpy(merged, area, 24);
		memcpy(merged + 32, area + 32, 128);
	}
	/* The standard form has an MXCSR even if the states of SSE and AVX are the initial ones. */
	if (compact ? take & XSTATE_SSE : mask & (XSTATE_SSE | XSTATE_AVX))
		memcpy(merged + 24, area + 24, 4);
	else if (mask & XSTATE_SSE)
		store_le(merged + 24, 4, 0x1f80);
	if (take & XSTATE_SSE)
		memcpy(merged + 160, area + 160, wide ? 256 : 128);
	else if (mask & XSTATE_SSE)
		memset(merged + 160, 0, wide ? 256 : 128);
}

void op_xrstor(struct cpu *cpu, const struct cpu_op *op)
{
	u64 linear = xsave_linear(cpu, op, ACCESS_READ), mask = xsave_mask(cpu, linear);
	u8 area[XSAVE_BYTES], merged[512], high[CPU_YMM_BYTES] = {0};

	cpu_mem_read_bytes(cpu, linear, area, sizeof(area), op->seg);
	if (!xrstor_header_valid(cpu, area))
		cpu_raise_error(cpu, EXC_GP, 0);
	if (mask & load_le(area + 512, 8) & XSTATE_AVX)
		cpu_mem_read_bytes(cpu, linear + XSAVE_BYTES, high, ymm_bytes(cpu), op->seg);
	cpu_fxsave_write(cpu, merged, op->flags & OP_REXW, true);
	xrstor_merge(merged, area, mask, mode_is(cpu, MODE_64));
	if (!cpu_fxsave_read(cpu, merged, op->flags & OP_REXW, true))
		cpu_raise_error(cpu, EXC_GP, 0);
	if (mask & ~load_le(area + 512, 8) & XSTATE_X87)
		cpu_x87_reset(&cpu->x87);
	if (mask & XSTATE_AVX)
		memcpy(cpu->ymm_high, high, ymm_bytes(cpu));
}

/* ---- for the platform ---- */

void cpu_get_fxsave(const struct cpu *cpu, uint8_t ret_area[static 512])
{
	memset(ret_area, 0, 512);
	cpu_fxsave_write(cpu, ret_area, true, true);
}

int cpu_set_fxsave(struct cpu *cpu, const uint8_t area[static 512])
{
	return cpu_fxsave_read(cpu, area, true, true) ? 0 : -1;
}

void cpu_get_ymm(const struct cpu *cpu, uint8_t ret_high[static CPU_YMM_BYTES])
{
	memcpy(ret_high, cpu->ymm_high, CPU_YMM_BYTES);
}

void cpu_set_ymm(struct cpu *cpu, const uint8_t high[static CPU_YMM_BYTES])
{
	memcpy(cpu->ymm_high, high, CPU_YMM_BYTES);
}

void cpu_get_fpu(const struct cpu *cpu, struct kvm_fpu *ret_fpu)
{
	u8 area[512];

	cpu_get_fxsave(cpu, area);
	*ret_fpu = (struct kvm_fpu){.fcw = cpu->x87.fcw,
	        .fsw = cpu->x87.fsw,
	        .ftwx = cpu->x87.ftw,
	        .last_opcode = cpu->x87.fop,
	        .last_ip = cpu->x87.fip,
	        .last_dp = cpu->x87.fdp};
	memcpy(ret_fpu->fpr, area + 32, 128);
	memcpy(ret_fpu->xmm, cpu->xmm, 256);
}

/* Sets the FPU's state but for mxcsr: KVM's struct has it, but KVM itself neither gives nor takes it. */
void cpu_set_fpu(struct cpu *cpu, const struct kvm_fpu *fpu)
{
	u8 area[512];

	cpu_get_fxsave(cpu, area);
	store_le(area, 2, fpu->fcw);
	store_le(area + 2, 2, fpu->fsw);
	area[4] = fpu->ftwx;
	store_le(area + 6, 2, fpu->last_opcode);
	store_le(area + 8, 8, fpu->last_ip);
	store_le(area + 16, 8, fpu->last_dp);
	memcpy(area + 32, fpu->fpr, 128);
	memcpy(area + 160, fpu->xmm, 256);
	(void)cpu_fxsave_read(cpu, area, true, true);
}
