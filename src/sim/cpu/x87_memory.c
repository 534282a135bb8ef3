/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87_memory: the loads, stores and conversions of the x87, and its environment (APM 5; APM 1, 6.5).
 */
#include "x87_host.h"

HOST_X87(host_fld_f32, "flds (%[b])" STATUS TAKE)
HOST_X87(host_fld_f64, "fldl (%[b])" STATUS TAKE)
HOST_X87(host_fild_i16, "filds (%[b])" STATUS TAKE)
HOST_X87(host_fild_i32, "fildl (%[b])" STATUS TAKE)
HOST_X87(host_fild_i64, "fildll (%[b])" STATUS TAKE)
HOST_X87(host_fbld, "fbld (%[b])" STATUS TAKE)

HOST_X87(host_fst_f32, A "fsts (%[r])" STATUS DROP)
HOST_X87(host_fst_f64, A "fstl (%[r])" STATUS DROP)
HOST_X87(host_fist_i16, A "fists (%[r])" STATUS DROP)
HOST_X87(host_fist_i32, A "fistl (%[r])" STATUS DROP)
HOST_X87(host_fist_i64, A "fistpll (%[r])" STATUS)
HOST_X87(host_fisttp_i16, A "fisttps (%[r])" STATUS)
HOST_X87(host_fisttp_i32, A "fisttpl (%[r])" STATUS)
HOST_X87(host_fisttp_i64, A "fisttpll (%[r])" STATUS)
HOST_X87(host_fbstp, A "fbstp (%[r])" STATUS)

static const struct {
	host_x87_fn *load, *store;
	unsigned size;
} formats[] = {
        [X87_F32] = {host_fld_f32, host_fst_f32, 4},
        [X87_F64] = {host_fld_f64, host_fst_f64, 8},
        [X87_F80] = {NULL, NULL, 10},
        [X87_I16] = {host_fild_i16, host_fist_i16, 2},
        [X87_I32] = {host_fild_i32, host_fist_i32, 4},
        [X87_I64] = {host_fild_i64, host_fist_i64, 8},
        [X87_BCD] = {host_fbld, host_fbstp, 10},
        [X87_TI16] = {NULL, host_fisttp_i16, 2},
        [X87_TI32] = {NULL, host_fisttp_i32, 4},
        [X87_TI64] = {NULL, host_fisttp_i64, 8},
};

/* ---- loads and stores ---- */

void cpu_x87_load(struct cpu *cpu, const struct cpu_op *op, enum x87_format format)
{
	host_x87_fn *fn = formats[format].load;
	unsigned size = formats[format].size;
	u8 value[16] = {0}, r[16];

	cpu_mem_read_bytes(cpu, op_linear(cpu, op, size, ACCESS_READ), value, size, op->seg);
	if (!x87_empty(cpu, 7)) {
		x87_push(cpu, x87_indefinite);
		return;
	}
	if (!fn) {
		x87_conditions(cpu, 0, FSW_C1);
		x87_push(cpu, value);
	} else if (x87_status(cpu, fn(x87_host_control(cpu), NULL, value, r), LOAD)) {
		x87_push(cpu, r);
	}
}

void cpu_x87_store(struct cpu *cpu, const struct cpu_op *op, enum x87_format format, bool with_pop)
{
	host_x87_fn *fn = formats[format].store;
	unsigned size = formats[format].size;
	u8 r[16];
	u64 linear = op_linear(cpu, op, size, ACCESS_WRITE);

	cpu_mem_probe(cpu, linear, size, ACCESS_WRITE, op->seg);
	if (x87_empty(cpu, 0)) {
		/* If the exception is masked, the result is that of storing the indefinite value. */
		if (!x87_underflow(cpu))
			return;
		if (fn)
			fn(x87_host_control(cpu), x87_indefinite, NULL, r);
		else
			memcpy(r, x87_indefinite, 10);
	} else if (!fn) {
		memcpy(r, x87_st(cpu, 0), 10);
		x87_conditions(cpu, 0, FSW_C1);
	} else if (!x87_status(cpu, fn(x87_host_control(cpu), x87_st(cpu, 0), NULL, r), STORE)) {
		return;
	}
	cpu_mem_write_bytes(cpu, linear, r, size, op->seg);
	if (with_pop)
		x87_pop(cpu);
}

/* ---- the environment (APM 1, 6.5) ---- */

static u16 full_tags(struct cpu *cpu)
{
	u16 tags = 0;

	for (unsigned i = 0; i < 8; i++) {
		const u8 *v = cpu->x87.st[i];
		u64 mantissa = load_le(v, 8);
		u16 exponent = (u16)load_le(v + 8, 2) & 0x7fff;
		unsigned tag = !exponent || exponent == 0x7fff || !(mantissa >> 63) ? 2 : 0;

		if (!exponent && !mantissa)
			tag = 1;
		if (!(cpu->x87.ftw >> i & 1))
			tag = 3;
		tags |= (u16)(tag << (2 * i));
	}
	return tags;
}

static unsigned environment_size(const struct cpu_op *op)
{
	return op->size == 2 ? 14 : 28;
}

static unsigned environment_write(struct cpu *cpu, const struct cpu_op *op, u8 image[static 28])
{
	const struct cpu_x87 *x = &cpu->x87;
	const u16 words[7] = {x->fcw, x->fsw, full_tags(cpu), (u16)x->fip, 0, (u16)x->fdp, 0};
	const u32 longs[7] = {0xffff0000u | x->fcw, 0xffff0000u | x->fsw, 0xffff0000u | full_tags(cpu),
	        (u32)x->fip, (u32)(x->fop & 0x7ff) << 16, (u32)x->fdp, 0xffff0000u};

	if (op->size == 2)
		memcpy(image, words, 14);
	else
		memcpy(image, longs, 28);
	return environment_size(op);
}

static void environment_read(struct cpu *cpu, const u8 *image, unsigned size)
{
	struct cpu_x87 *x = &cpu->x87;
	unsigned step = size / 7;
	u16 tags = (u16)load_le(image + 2 * step, 2);

	x->fcw = (u16)((load_le(image, 2) & 0x1f7f) | 0x40);
	x->fsw = (u16)load_le(image + step, 2);
	x->ftw = 0;
	for (unsigned i = 0; i < 8; i++)
		if ((tags >> (2 * i) & 3) != 3)
			x->ftw |= (u8)(1u << i);
	x->fip = load_le(image + 3 * step, step);
	x->fdp = load_le(image + 5 * step, step);
	cpu_x87_summary(cpu);
}

void cpu_x87_reset(struct cpu *cpu)
{
	cpu->x87.fcw = 0x37f;
	cpu->x87.fsw = 0;
	cpu->x87.ftw = 0;
	cpu->x87.fop = 0;
	cpu->x87.fip = cpu->x87.fdp = 0;
}

/*
 * Checks the memory of the environment and returns its address. The processor checks the first word first,
 * then the last byte.
 */
static u64 environment_linear(struct cpu *cpu, const struct cpu_op *op, unsigned size, enum access access)
{
	u64 linear = op_linear(cpu, op, size, access);

	cpu_mem_probe(cpu, linear, op->size == 2 ? 2 : 4, access, op->seg);
	cpu_mem_probe(cpu, linear + size - 1, 1, access, op->seg);
	return linear;
}

void cpu_x87_fnstenv(struct cpu *cpu, const struct cpu_op *op, bool with_registers)
{
	u8 image[28 + 80];
	unsigned size = environment_write(cpu, op, image);

	if (with_registers) {
		for (unsigned i = 0; i < 8; i++)
			memcpy(image + size + i * 10, x87_st(cpu, i), 10);
		size += 80;
	}
	cpu_mem_write_bytes(cpu, environment_linear(cpu, op, size, ACCESS_WRITE), image, size, op->seg);
	if (with_registers)
		cpu_x87_reset(cpu);
	else
		cpu->x87.fcw |= 0x3f;
	cpu_x87_summary(cpu);
}

void cpu_x87_fldenv(struct cpu *cpu, const struct cpu_op *op, bool with_registers)
{
	unsigned head = environment_size(op), size = head + (with_registers ? 80 : 0);
	u8 image[28 + 80];

	cpu_mem_read_bytes(cpu, environment_linear(cpu, op, size, ACCESS_READ), image, size, op->seg);
	environment_read(cpu, image, head);
	for (unsigned i = 0; with_registers && i < 8; i++)
		memcpy(x87_st(cpu, i), image + head + i * 10, 10);
}

void cpu_x87_fldcw(struct cpu *cpu, const struct cpu_op *op)
{
	cpu->x87.fcw = (u16)((cpu_rm_read(cpu, op, 2) & 0x1f7f) | 0x40);
	cpu_x87_summary(cpu);
}
