/* SPDX-License-Identifier: Apache-2.0 */
/*
 * string: MOVS, STOS, LODS, SCAS, CMPS and their repetition (APM 3). Long forward copies and fills run a
 * page at a time. Elements that cross pages, run backwards or meet devices go one by one.
 */
#include "str.h"

static u64 source_linear(struct cpu *cpu, const struct cpu_op *op)
{
	return seg_linear(cpu, op->seg, string_pointer(cpu, op, CPU_RSI), op->size, ACCESS_READ);
}

static u64 target_linear(struct cpu *cpu, const struct cpu_op *op, enum access access)
{
	return seg_linear(cpu, string_es(cpu), string_pointer(cpu, op, CPU_RDI), op->size, access);
}

/* Returns how many whole elements there are from linear to the end of its page, at most count. */
static u64 in_page(u64 linear, unsigned size, u64 count)
{
	u64 fit = (4096 - (linear & 0xfff)) / size;

	return fit < count ? fit : count;
}

/* Returns whether elements may be taken a page at a time. */
static bool runs(const struct cpu *cpu, const struct cpu_op *op, u64 count)
{
	return count > 1 && !(cpu->rflags_rest & FLAG_DF) && !(op->flags & OP_LEGACY) &&
	       op->address_shift == 0;
}

/* Copies up to a page. Returns the number of elements, or 0 if they cannot be copied at once. */
static u64 copy_run(struct cpu *cpu, const struct cpu_op *op, u64 from, u64 to, u64 count)
{
	u64 n = in_page(to, op->size, in_page(from, op->size, count)), bytes = n * op->size;
	const u8 *source;
	u8 *target;

	if (!n)
		return 0;
	source = cpu_mem_direct(cpu, from, false, op->seg);
	target = source ? cpu_mem_direct(cpu, to, true, CPU_SEG_FLAT) : NULL;
	/* The destination's TLB entry may have replaced the source's; source stays valid until a flush. */
	if (!target)
		return 0;
	if (target > source && target < source + bytes) {
		/* An overlapping copy upwards repeats the pattern, element by element. */
		for (u64 i = 0; i < bytes; i += op->size)
			ram_copy(target + i, source + i, op->size);
		return n;
	}
	ram_copy(target, source, bytes);
	return n;
}

void op_movs(struct cpu *cpu, const struct cpu_op *op)
{
	u64 left = string_count(cpu, op), budget = string_budget(cpu);

	while (left && budget) {
		u64 from = source_linear(cpu, op), to = target_linear(cpu, op, ACCESS_WRITE);
		u64 n = runs(cpu, op, left) ? copy_run(cpu, op, from, to, left < budget ? left : budget) : 0;

		if (!n) {
			mem_write(cpu, to, op->size, mem_read(cpu, from, op->size, op->seg), string_es(cpu));
			n = 1;
		}
		string_advance(cpu, op, CPU_RSI, n * op->size);
		string_advance(cpu, op, CPU_RDI, n * op->size);
		string_done(cpu, op, n);
		left -= n;
		budget -= n;
	}
	string_leave(cpu, op, left == 0, budget);
}

static u64 fill_run(struct cpu *cpu, const struct cpu_op *op, u64 to, u64 count)
{
	u64 n = in_page(to, op->size, count), value = reg_get(cpu, 0, op->size);
	u8 *target = n ? cpu_mem_direct(cpu, to, true, CPU_SEG_FLAT) : NULL;

	if (!target)
		return 0;
	if (op->size == 1)
		ram_fill(target, (u8)value, n);
	else
		for (u64 i = 0; i < n; i++)
			ram_copy(target + i * op->size, &value, op->size);
	return n;
}

void op_stos(struct cpu *cpu, const struct cpu_op *op)
{
	u64 left = string_count(cpu, op), budget = string_budget(cpu);

	while (left && budget) {
		u64 to = target_linear(cpu, op, ACCESS_WRITE);
		u64 n = runs(cpu, op, left) ? fill_run(cpu, op, to, left < budget ? left : budget) : 0;

		if (!n) {
			mem_write(cpu, to, op->size, reg_get(cpu, 0, op->size), string_es(cpu));
			n = 1;
		}
		string_advance(cpu, op, CPU_RDI, n * op->size);
		string_done(cpu, op, n);
		left -= n;
		budget -= n;
	}
	string_leave(cpu, op, left == 0, budget);
}

void op_lods(struct cpu *cpu, const struct cpu_op *op)
{
	u64 left = string_count(cpu, op), budget = string_budget(cpu);

	for (; left && budget; left--, budget--) {
		reg_set(cpu, 0, op->size, mem_read(cpu, source_linear(cpu, op), op->size, op->seg));
		string_advance(cpu, op, CPU_RSI, op->size);
		string_done(cpu, op, 1);
	}
	string_leave(cpu, op, left == 0, budget);
}

/* Returns whether there is another iteration: REPE goes on while equal, REPNE while not. */
static bool compare_goes_on(const struct cpu_op *op, u64 left, u64 budget, bool equal)
{
	return left && budget && (op->flags & OP_REPNE ? !equal : equal);
}

/*
 * Compares the accumulator with each element (SCAS), or the elements of two strings (CMPS). The flags are
 * those of the last comparison that was made, even if the next one faults.
 */
ALWAYS void compare(struct cpu *cpu, const struct cpu_op *op, bool two_strings)
{
	u64 left = string_count(cpu, op), budget = string_budget(cpu);
	u64 a = two_strings ? 0 : reg_get(cpu, 0, op->size), b = 0;

	while (left && budget) {
		b = mem_read(cpu, target_linear(cpu, op, ACCESS_READ), op->size, string_es(cpu));
		if (two_strings) {
			a = mem_read(cpu, source_linear(cpu, op), op->size, op->seg);
			string_advance(cpu, op, CPU_RSI, op->size);
		}
		string_advance(cpu, op, CPU_RDI, op->size);
		string_done(cpu, op, 1);
		alu_sub(cpu, a, b, op->size);
		left--;
		budget--;
		if (!compare_goes_on(op, left, budget, a == b))
			break;
	}
	string_leave(cpu, op, !compare_goes_on(op, left, 1, a == b), budget);
}

void op_scas(struct cpu *cpu, const struct cpu_op *op)
{
	compare(cpu, op, false);
}

void op_cmps(struct cpu *cpu, const struct cpu_op *op)
{
	compare(cpu, op, true);
}
