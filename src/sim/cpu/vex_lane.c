/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vex_lane: the VEX forms of SSE instructions. The source is read first, in one piece and of any alignment.
 * Then the SSE instruction runs for each 128 bits, in two registers that no guest sees: A has the first
 * source and becomes the result, B has the second. Registers change when all lanes are done.
 */
#include "sse.h"
#include "vex.h"

void cpu_vex_read(struct cpu *cpu, const struct cpu_op *op, unsigned bytes, u8 ret_source[static 32])
{
	u64 linear;

	if (!(op->flags & OP_MEM)) {
		vex_get(cpu, op->xrm, ret_source);
		return;
	}
	linear = op_linear(cpu, op, bytes, ACCESS_READ);
	if (bytes > 8)
		cpu_mem_read_bytes(cpu, linear, ret_source, bytes, op->seg);
	else
		store_le(ret_source, bytes, mem_read(cpu, linear, bytes, op->seg));
}

void cpu_vex_write(struct cpu *cpu, unsigned number, const u8 result[static 32], unsigned lanes)
{
	memcpy(cpu->xmm[number], result, 16);
	if (lanes == 2)
		memcpy(cpu->ymm_high[number], result + 16, 16);
	else
		memset(cpu->ymm_high[number], 0, 16);
}

static struct cpu_op lane_op(const struct cpu_op *op)
{
	struct cpu_op lane = *op;

	lane.xreg = CPU_XMM_A;
	lane.xrm = CPU_XMM_B;
	lane.flags &= (u8)~OP_MEM;
	lane.imm = vex_imm(op);
	return lane;
}

static void begin_lanes(struct cpu *cpu)
{
	cpu->lane_flags = 0;
	cpu->in_vex = cpu->in_lanes = true;
}

/* Raises the exceptions of all lanes. */
static void end_lanes(struct cpu *cpu)
{
	cpu->in_vex = cpu->in_lanes = false;
	cpu_sse_exceptions(cpu, cpu->lane_flags);
}

/* Runs the SSE instruction once. */
static void run_once(struct cpu *cpu, const struct cpu_op *op, const struct cpu_op *once)
{
	cpu->in_vex = true;
	cpu_vex_row_of(op)->lane(cpu, once);
	cpu->in_vex = false;
}

/* step: how far it is in the source from one lane to the next */
static void run_lanes(
        struct cpu *cpu, const struct cpu_op *op, const u8 *source, unsigned step, u8 ret_result[static 32])
{
	const struct vex_row *row = cpu_vex_row_of(op);
	struct cpu_op lane = lane_op(op);

	begin_lanes(cpu);
	for (unsigned i = 0; i < vex_lanes(op); i++) {
		memcpy(cpu->xmm[CPU_XMM_A], i ? cpu->ymm_high[vex_reg(op)] : cpu->xmm[vex_reg(op)], 16);
		memset(cpu->xmm[CPU_XMM_B], 0, 16);
		memcpy(cpu->xmm[CPU_XMM_B], source + i * step, row->part);
		row->lane(cpu, &lane);
		memcpy(ret_result + i * 16, cpu->xmm[CPU_XMM_A], 16);
		lane.imm >>= row->imm_step;
	}
	end_lanes(cpu);
}

void op_vex_packed(struct cpu *cpu, const struct cpu_op *op)
{
	const struct vex_row *row = cpu_vex_row_of(op);
	unsigned part = row->part;
	u8 source[32] = {0}, result[32];

	cpu_avx_check(cpu);
	/* VMOVDDUP of 128 bits reads the half that it needs. */
	cpu_vex_read(
	        cpu, op, row->lane == op_movddup && vex_lanes(op) == 1 ? 8 : vex_lanes(op) * part, source);
	run_lanes(cpu, op, source, part, result);
	cpu_vex_write(cpu, op->xreg, result, vex_lanes(op));
}

/* A shift: the count is in the low half of 128 bits, for all lanes. */
void op_vex_count(struct cpu *cpu, const struct cpu_op *op)
{
	u8 source[32], result[32];

	cpu_avx_check(cpu);
	cpu_vex_read(cpu, op, 16, source);
	run_lanes(cpu, op, source, 0, result);
	cpu_vex_write(cpu, op->xreg, result, vex_lanes(op));
}

/* Each lane gives 64 bits. */
void op_vex_narrow(struct cpu *cpu, const struct cpu_op *op)
{
	u8 source[32], result[32];

	cpu_avx_check(cpu);
	cpu_vex_read(cpu, op, vex_lanes(op) * 16, source);
	run_lanes(cpu, op, source, 16, result);
	if (vex_lanes(op) == 2)
		memcpy(result + 8, result + 16, 8);
	cpu_vex_write(cpu, op->xreg, result, 1);
}

/* One element, which the SSE instruction reads itself; the rest comes from vvvv. L does not matter. */
void op_vex_single(struct cpu *cpu, const struct cpu_op *op)
{
	struct cpu_op lane = lane_op(op);
	u8 result[32];

	cpu_avx_check(cpu);
	lane.xrm = op->xrm;
	lane.flags = op->flags;
	memcpy(cpu->xmm[CPU_XMM_A], cpu->xmm[vex_reg(op)], 16);
	run_once(cpu, op, &lane);
	memcpy(result, cpu->xmm[CPU_XMM_A], 16);
	cpu_vex_write(cpu, op->xreg, result, 1);
}

/* The same where rm is the destination. If it is memory, vvvv does not matter. */
void op_vex_store(struct cpu *cpu, const struct cpu_op *op)
{
	struct cpu_op lane = lane_op(op);
	u8 result[32];

	cpu_avx_check(cpu);
	lane.xreg = op->xreg;
	lane.xrm = CPU_XMM_A;
	lane.flags = op->flags;
	memcpy(cpu->xmm[CPU_XMM_A], cpu->xmm[vex_reg(op)], 16);
	run_once(cpu, op, &lane);
	if (op->flags & OP_MEM)
		return;
	memcpy(result, cpu->xmm[CPU_XMM_A], 16);
	cpu_vex_write(cpu, op->xrm, result, 1);
}

/* An instruction that writes no vector register. */
void op_vex_plain(struct cpu *cpu, const struct cpu_op *op)
{
	struct cpu_op plain = *op;

	cpu_avx_check(cpu);
	plain.imm = vex_imm(op);
	run_once(cpu, op, &plain);
}

/* A string comparison whose result is a mask in XMM0. */
void op_vex_text(struct cpu *cpu, const struct cpu_op *op)
{
	op_vex_plain(cpu, op);
	memset(cpu->ymm_high[0], 0, 16);
}

/* The SSE instruction shifts rm in place. */
void op_vex_shift(struct cpu *cpu, const struct cpu_op *op)
{
	struct cpu_op lane = lane_op(op);
	u8 value[32];

	cpu_avx_check(cpu);
	vex_get(cpu, op->xrm, value);
	begin_lanes(cpu);
	for (unsigned i = 0; i < vex_lanes(op); i++) {
		memcpy(cpu->xmm[CPU_XMM_B], value + i * 16, 16);
		cpu_vex_row_of(op)->lane(cpu, &lane);
		memcpy(value + i * 16, cpu->xmm[CPU_XMM_B], 16);
	}
	end_lanes(cpu);
	cpu_vex_write(cpu, vex_reg(op), value, vex_lanes(op));
}
