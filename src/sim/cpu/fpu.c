/*
 * fpu: who may use the FPU and SSE, and the instructions that save, restore and configure them (APM 5, 1; APM
 * 1, 6).
 */
#include "ops.h"

#define FSW_ES 0x80u

void sim_fpu_check(struct sim_cpu *cpu)
{
	if (cpu->cr0 & (CR0_EM | CR0_TS))
		sim_raise(cpu, EXC_NM);
}

void sim_sse_check(struct sim_cpu *cpu)
{
	if (cpu->cr0 & CR0_EM || !(cpu->cr4 & CR4_OSFXSR))
		sim_raise(cpu, EXC_UD);
	if (cpu->cr0 & CR0_TS)
		sim_raise(cpu, EXC_NM);
}

void sim_x87_pending(struct sim_cpu *cpu)
{
	if (cpu->x87.fsw & FSW_ES)
		sim_raise(cpu, EXC_MF);
}

void op_fwait(struct sim_cpu *cpu, const struct sim_op *op)
{
	if ((cpu->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS))
		sim_raise(cpu, EXC_NM);
	sim_x87_pending(cpu);
}

void op_emms(struct sim_cpu *cpu, const struct sim_op *op)
{
	if (cpu->cr0 & CR0_EM)
		sim_raise(cpu, EXC_UD);
	if (cpu->cr0 & CR0_TS)
		sim_raise(cpu, EXC_NM);
	sim_x87_pending(cpu);
	cpu->x87.ftw = 0;
}

/* ---- the FXSAVE image ---- */

void sim_fxsave_write(const struct sim_cpu *cpu, u8 area[static 512], bool wide, bool with_xmm16)
{
	const struct sim_x87 *x = &cpu->x87;
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

bool sim_fxsave_read(struct sim_cpu *cpu, const u8 area[static 512], bool wide, bool with_xmm16)
{
	struct sim_x87 *x = &cpu->x87;
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
	sim_x87_summary(cpu);
	cpu->mxcsr = mxcsr;
	top = x->fsw >> 11 & 7;
	for (unsigned i = 0; i < 8; i++)
		memcpy(x->st[(top + i) & 7], area + 32 + i * 16, 10);
	memcpy(cpu->xmm, area + 160, with_xmm16 ? 256 : 128);
	return true;
}

void sim_x87_summary(struct sim_cpu *cpu)
{
	struct sim_x87 *x = &cpu->x87;

	if (x->fsw & ~x->fcw & 0x3f)
		x->fsw |= FSW_ES | 0x8000;
	else
		x->fsw = (u16)(x->fsw & ~(FSW_ES | 0x8000));
}

static void fxsave_check(struct sim_cpu *cpu, u64 linear)
{
	if (cpu->cr0 & (CR0_EM | CR0_TS))
		sim_raise(cpu, EXC_NM);
	if (linear % 16)
		sim_raise_error(cpu, EXC_GP, 0);
}

/* Fast FXSAVE leaves the XMM registers out at CPL 0 in 64-bit mode. */
static unsigned fxsave_size(const struct sim_cpu *cpu)
{
	return mode_is(cpu, MODE_64) && cpu->efer & EFER_FFXSR && cpu->cpl == 0 ? 160
	       : mode_is(cpu, MODE_64)                                          ? 416
	                                                                        : 288;
}

void op_fxsave(struct sim_cpu *cpu, const struct sim_op *op)
{
	u64 linear = op_linear(cpu, op, 512, ACCESS_WRITE);
	u8 area[512] = {0};

	fxsave_check(cpu, linear);
	sim_fxsave_write(cpu, area, op->flags & OP_REXW, mode_is(cpu, MODE_64));
	/* What lies behind the last register is not written. */
	sim_mem_write_bytes(cpu, linear, area, fxsave_size(cpu), op->seg);
}

void op_fxrstor(struct sim_cpu *cpu, const struct sim_op *op)
{
	u64 linear = op_linear(cpu, op, 512, ACCESS_READ);
	unsigned size = fxsave_size(cpu);
	u8 area[512] = {0};

	fxsave_check(cpu, linear);
	memcpy(area + 160, cpu->xmm, 256);
	sim_mem_read_bytes(cpu, linear, area, size, op->seg);
	if (!sim_fxsave_read(cpu, area, op->flags & OP_REXW, true))
		sim_raise_error(cpu, EXC_GP, 0);
}

void op_ldmxcsr(struct sim_cpu *cpu, const struct sim_op *op)
{
	u32 value;

	sim_sse_check(cpu);
	value = rm_read32(cpu, op);
	if (value & ~cpu->mxcsr_mask)
		sim_raise_error(cpu, EXC_GP, 0);
	cpu->mxcsr = value;
}

void op_stmxcsr(struct sim_cpu *cpu, const struct sim_op *op)
{
	sim_sse_check(cpu);
	rm_write32(cpu, op, cpu->mxcsr);
}

/* ---- XSAVE: x87 and SSE (APM 4, XSAVE; APM 2, 11.5) ---- */

#define XSTATE_X87 1u
#define XSTATE_SSE 2u

static u64 xsave_mask(struct sim_cpu *cpu, u64 linear)
{
	if (!(cpu->cr4 & CR4_OSXSAVE))
		sim_raise(cpu, EXC_UD);
	if (cpu->cr0 & CR0_TS)
		sim_raise(cpu, EXC_NM);
	if (linear % 64)
		sim_raise_error(cpu, EXC_GP, 0);
	return ((u64)(u32)REG_RDX << 32 | (u32)REG_RAX) & cpu->xcr0;
}

void op_xsave(struct sim_cpu *cpu, const struct sim_op *op)
{
	u64 linear = op_linear(cpu, op, 576, ACCESS_WRITE), mask = xsave_mask(cpu, linear), header;
	u8 area[512] = {0};

	sim_mem_probe(cpu, linear, 576, ACCESS_WRITE, op->seg);
	sim_fxsave_write(cpu, area, op->flags & OP_REXW, mode_is(cpu, MODE_64));
	if (mask & XSTATE_X87) {
		sim_mem_write_bytes(cpu, linear, area, 24, op->seg);
		sim_mem_write_bytes(cpu, linear + 32, area + 32, 128, op->seg);
	}
	if (mask & XSTATE_SSE) {
		sim_mem_write_bytes(cpu, linear + 24, area + 24, 8, op->seg);
		sim_mem_write_bytes(
		        cpu, linear + 160, area + 160, mode_is(cpu, MODE_64) ? 256 : 128, op->seg);
	}
	header = sim_mem_read_slow(cpu, linear + 512, 8, op->seg);
	sim_mem_write_slow(cpu, linear + 512, 8, (header & ~mask) | mask, op->seg);
}

void op_xsaveopt(struct sim_cpu *cpu, const struct sim_op *op)
{
	op_xsave(cpu, op);
}

static void x87_reset(struct sim_x87 *x)
{
	*x = (struct sim_x87){.fcw = 0x37f};
}

void op_xrstor(struct sim_cpu *cpu, const struct sim_op *op)
{
	u64 linear = op_linear(cpu, op, 576, ACCESS_READ), mask = xsave_mask(cpu, linear), has;
	u8 area[576], merged[512];

	sim_mem_read_bytes(cpu, linear, area, sizeof(area), op->seg);
	has = load_le(area + 512, 8);
	if (has & ~cpu->xcr0 || load_le(area + 520, 8) || load_le(area + 528, 8))
		sim_raise_error(cpu, EXC_GP, 0);
	sim_fxsave_write(cpu, merged, op->flags & OP_REXW, true);
	if (mask & has & XSTATE_X87) {
		memcpy(merged, area, 24);
		memcpy(merged + 32, area + 32, 128);
	}
	if (mask & XSTATE_SSE)
		memcpy(merged + 24, area + 24, 8);
	if (mask & has & XSTATE_SSE)
		memcpy(merged + 160, area + 160, mode_is(cpu, MODE_64) ? 256 : 128);
	if (!sim_fxsave_read(cpu, merged, op->flags & OP_REXW, true))
		sim_raise_error(cpu, EXC_GP, 0);
	if (mask & ~has & XSTATE_X87)
		x87_reset(&cpu->x87);
	if (mask & ~has & XSTATE_SSE)
		memset(cpu->xmm, 0, mode_is(cpu, MODE_64) ? 256 : 128);
}

/* ---- for the platform ---- */

void sim_cpu_get_fxsave(const struct sim_cpu *cpu, uint8_t ret_area[static 512])
{
	memset(ret_area, 0, 512);
	sim_fxsave_write(cpu, ret_area, true, true);
}

int sim_cpu_set_fxsave(struct sim_cpu *cpu, const uint8_t area[static 512])
{
	return sim_fxsave_read(cpu, area, true, true) ? 0 : -1;
}

void sim_cpu_get_fpu(const struct sim_cpu *cpu, struct kvm_fpu *ret_fpu)
{
	u8 area[512];

	sim_cpu_get_fxsave(cpu, area);
	*ret_fpu = (struct kvm_fpu){.fcw = cpu->x87.fcw,
	        .fsw = cpu->x87.fsw,
	        .ftwx = cpu->x87.ftw,
	        .last_opcode = cpu->x87.fop,
	        .last_ip = cpu->x87.fip,
	        .last_dp = cpu->x87.fdp};
	memcpy(ret_fpu->fpr, area + 32, 128);
	memcpy(ret_fpu->xmm, cpu->xmm, 256);
}

/* KVM's struct has an mxcsr that KVM itself neither gives nor takes. */
void sim_cpu_set_fpu(struct sim_cpu *cpu, const struct kvm_fpu *fpu)
{
	u8 area[512];

	sim_cpu_get_fxsave(cpu, area);
	store_le(area, 2, fpu->fcw);
	store_le(area + 2, 2, fpu->fsw);
	area[4] = fpu->ftwx;
	store_le(area + 6, 2, fpu->last_opcode);
	store_le(area + 8, 8, fpu->last_ip);
	store_le(area + 16, 8, fpu->last_dp);
	memcpy(area + 32, fpu->fpr, 128);
	memcpy(area + 160, fpu->xmm, 256);
	(void)sim_fxsave_read(cpu, area, true, true);
}
