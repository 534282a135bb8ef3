/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task: hardware task switches by far JMP and CALL, IRET with NT, and task gates (APM 2, 12.3). Long mode
 * has none. Until commit() a fault belongs to the old task, and afterwards to the new one.
 */
#include "debug.h"
#include "far.h"
#include "vc.h"

#define TSS_WIDE 8u /* in the type: the fields have 32 bits */
#define TSS_BUSY 2u
#define TSS_CR3  0x1cu
#define TSS_TRAP 0x64u

/* The part of a task that its task state segment keeps. */
struct task {
	u32 rip, flags, gpr[8], cr3;
	u16 seg[6], ldt;
	bool trap;
};

static bool is_wide(const struct cpu_seg *tss)
{
	return tss->attr & TSS_WIDE;
}

/*
 * Returns the address of a word of the TSS, which has the TSS's width. Word 0 is IP; flags, registers,
 * segments and LDT follow.
 */
static u64 tss_at(const struct cpu_seg *tss, unsigned word)
{
	return tss->base + (is_wide(tss) ? 0x20 + 4 * word : 0x0e + 2 * word);
}

static unsigned tss_segments(const struct cpu_seg *tss)
{
	return is_wide(tss) ? 6 : 4;
}

/* Reads the descriptor of the new task's TSS, which must be busy for IRET, and must not be for the others. */
static void tss_find(
        struct cpu *cpu, u16 selector, enum task_why why, u32 ext, struct cpu_seg *ret, u64 *ret_linear)
{
	u32 error = (selector & ~3u) | ext, busy = why == TASK_IRET ? TSS_BUSY : 0;
	u8 vector = why == TASK_IRET ? EXC_TS : EXC_GP;
	u64 descriptor[2];

	if (selector & 4 || !(selector & ~3u) || !cpu_descriptor_read(cpu, selector, descriptor, ret_linear))
		cpu_raise_error(cpu, vector, error);
	cpu_descriptor_unpack(descriptor, selector, false, ret);
	if (ret->attr & SEG_S || (ret->attr & 7) != (1 | busy))
		cpu_raise_error(cpu, vector, error);
	if (!(ret->attr & SEG_P))
		cpu_raise_error(cpu, EXC_NP, error);
	if (ret->limit < (is_wide(ret) ? 0x67 : 0x2b))
		cpu_raise_error(cpu, EXC_TS, error);
}

static struct task tss_read(struct cpu *cpu, const struct cpu_seg *tss)
{
	unsigned size = is_wide(tss) ? 4 : 2, count = tss_segments(tss);
	struct task task = {.rip = (u32)cpu_sys_read(cpu, tss_at(tss, 0), size),
	        .flags = (u32)cpu_sys_read(cpu, tss_at(tss, 1), size),
	        .ldt = (u16)cpu_sys_read(cpu, tss_at(tss, 10 + count), 2)};

	for (unsigned i = 0; i < 8; i++)
		task.gpr[i] = (u32)cpu_sys_read(cpu, tss_at(tss, 2 + i), size);
	for (unsigned i = 0; i < count; i++)
		task.seg[i] = (u16)cpu_sys_read(cpu, tss_at(tss, 10 + i), 2);
	if (is_wide(tss)) {
		task.cr3 = (u32)cpu_sys_read(cpu, tss->base + TSS_CR3, 4);
		task.trap = cpu_sys_read(cpu, tss->base + TSS_TRAP, 1) & 1;
	}
	return task;
}

static void tss_write(struct cpu *cpu, const struct cpu_seg *tss, u64 rip, u64 flags)
{
	unsigned size = is_wide(tss) ? 4 : 2;

	cpu_sys_write(cpu, tss_at(tss, 0), size, rip);
	cpu_sys_write(cpu, tss_at(tss, 1), size, flags);
	for (unsigned i = 0; i < 8; i++)
		cpu_sys_write(cpu, tss_at(tss, 2 + i), size, cpu->gpr[i]);
	for (unsigned i = 0; i < tss_segments(tss); i++)
		cpu_sys_write(cpu, tss_at(tss, 10 + i), 2, cpu->seg[i].selector);
}

static void descriptor_busy(struct cpu *cpu, u64 linear, bool busy)
{
	u64 type = cpu_sys_read(cpu, linear + 5, 1);

	cpu_sys_write(cpu, linear + 5, 1, busy ? type | TSS_BUSY : type & ~(u64)TSS_BUSY);
}

/*
 * Makes the registers the new task's. Until the segments are loaded they stay the old task's, but for the
 * selectors, so that a fault in between can still be delivered.
 */
static void commit(struct cpu *cpu, const struct cpu_seg *tss, const struct task *task, bool nested)
{
	cpu->seg[CPU_TR] = *tss;
	cpu->seg[CPU_TR].attr |= TSS_BUSY;
	cpu->cr0 |= CR0_TS;
	cpu->dr[7] &= ~(u64)0x155; /* local breakpoints belong to the old task */
	if (cpu->cr0 & CR0_PG && is_wide(tss)) {
		cpu->cr3 = task->cr3;
		cpu_pdptes_load(cpu);
		cpu_tlb_flush(cpu);
	}
	for (unsigned i = 0; i < 8; i++)
		cpu->gpr[i] = task->gpr[i];
	for (unsigned i = CPU_ES; i <= CPU_GS; i++)
		cpu->seg[i].selector = task->seg[i];
	cpu->seg[CPU_LDTR] = (struct cpu_seg){.selector = task->ldt};
	REG_RIP = task->rip;
	cpu->cpl = task->flags & FLAG_VM ? 3 : task->seg[CPU_CS] & 3u;
	cpu_set_rflags(cpu, task->flags | (nested ? FLAG_NT : 0));
	cpu_debug_changed(cpu);
	cpu_mode_changed(cpu);
}

/* ---- the new task's segments ---- */

static void load_ldt(struct cpu *cpu, u16 selector, u32 ext)
{
	u64 descriptor[2], linear;
	struct cpu_seg ldt;

	if (!(selector & ~3u))
		return;
	if (selector & 4 || !cpu_descriptor_read(cpu, selector, descriptor, &linear))
		cpu_raise_error(cpu, EXC_TS, (selector & ~3u) | ext);
	cpu_descriptor_unpack(descriptor, selector, false, &ldt);
	if ((ldt.attr & (SEG_S | SEG_TYPE | SEG_P)) != (2 | SEG_P))
		cpu_raise_error(cpu, EXC_TS, (selector & ~3u) | ext);
	cpu->seg[CPU_LDTR] = ldt;
}

static bool suits(const struct cpu *cpu, unsigned index, const struct cpu_seg *s)
{
	u32 dpl = SEG_DPL(s->attr), rpl = s->selector & 3u;
	bool conforming = (s->attr & (SEG_CODE | SEG_DOWN)) == (SEG_CODE | SEG_DOWN);

	if (!(s->attr & SEG_S))
		return false;
	if (index == CPU_CS)
		return s->attr & SEG_CODE && (conforming ? dpl <= rpl : dpl == rpl);
	if (index == CPU_SS)
		return (s->attr & (SEG_CODE | SEG_WRITE)) == SEG_WRITE && dpl == cpu->cpl && rpl == cpu->cpl;
	return (s->attr & (SEG_CODE | SEG_WRITE)) != SEG_CODE &&
	       (conforming || (dpl >= cpu->cpl && dpl >= rpl));
}

static void load_segment(struct cpu *cpu, unsigned index, u16 selector, u32 ext)
{
	u64 descriptor[2], linear;
	struct cpu_seg s;

	if (!(selector & ~3u)) {
		if (index == CPU_CS || index == CPU_SS)
			cpu_raise_error(cpu, EXC_TS, (selector & ~3u) | ext);
		cpu->seg[index] = (struct cpu_seg){.selector = selector};
		return;
	}
	if (!cpu_descriptor_read(cpu, selector, descriptor, &linear))
		cpu_raise_error(cpu, EXC_TS, (selector & ~3u) | ext);
	cpu_descriptor_unpack(descriptor, selector, false, &s);
	if (!suits(cpu, index, &s))
		cpu_raise_error(cpu, EXC_TS, (selector & ~3u) | ext);
	if (!(s.attr & SEG_P))
		cpu_raise_error(cpu, index == CPU_SS ? EXC_SS : EXC_NP, (selector & ~3u) | ext);
	cpu_descriptor_accessed(cpu, linear, &s);
	cpu->seg[index] = s;
	cpu_mode_changed(cpu);
}

static void load_segments(struct cpu *cpu, const struct task *task, u32 ext)
{
	static const u8 order[] = {CPU_CS, CPU_SS, CPU_ES, CPU_DS, CPU_FS, CPU_GS};

	load_ldt(cpu, task->ldt, ext);
	for (unsigned i = 0; i < ARRAY_LEN(order); i++) {
		if (cpu->mode & MODE_VM)
			cpu_seg_load_real(cpu, order[i], task->seg[order[i]]);
		else
			load_segment(cpu, order[i], task->seg[order[i]], ext);
	}
	cpu_mode_changed(cpu);
	cpu_check_target(cpu, &cpu->seg[CPU_CS], REG_RIP);
}

/* ---- the switch ---- */

/* Saves the old task. Returns whether the new one is to return to it. */
static bool leave_task(struct cpu *cpu, const struct cpu_seg *tss, u64 linear, enum task_why why, u64 flags)
{
	const struct cpu_seg *old = &cpu->seg[CPU_TR];
	bool nested = why == TASK_CALL || why == TASK_EVENT;
	u64 old_linear = cpu->gdtr.base + (old->selector & ~7u);

	if (!nested)
		descriptor_busy(cpu, old_linear, false);
	tss_write(cpu, old, why == TASK_EVENT ? REG_RIP : cpu_op_next_rip(cpu),
	        why == TASK_IRET ? flags & ~(u64)FLAG_NT : flags);
	if (nested)
		cpu_sys_write(cpu, tss->base, 2, old->selector);
	if (why != TASK_IRET)
		descriptor_busy(cpu, linear, true);
	return nested;
}

/*
 * Loads the new task's segments. A fault of the new task does not belong to the instruction that switched,
 * so rip is the new task's.
 */
static void enter_task(struct cpu *cpu, const struct cpu_seg *tss, const struct task *task, u32 ext)
{
	const struct cpu_op *op = cpu->op;
	u64 done = cpu_icount(cpu) - cpu->icount;

	cpu->op = NULL;
	cpu->icount += done;
	cpu->event.soft_len = 0;
	load_segments(cpu, task, ext);
	if (cpu->event.kind != CPU_EVENT_NONE && cpu->event.has_error)
		cpu_push(cpu, is_wide(tss) ? 4 : 2, cpu->event.error);
	cpu->icount -= done;
	cpu->op = op;
}

/*
 * Switches to another task. IRET goes to the task that the current TSS names, the others to that of
 * selector. flags are the old task's.
 */
void cpu_task_switch(struct cpu *cpu, u16 selector, enum task_why why, u64 flags)
{
	u32 ext = why == TASK_EVENT && cpu->event.kind != CPU_EVENT_SOFT;
	struct cpu_seg tss;
	struct task task;
	bool nested;
	u64 linear;

	if (why == TASK_IRET)
		selector = (u16)cpu_sys_read(cpu, cpu->seg[CPU_TR].base, 2);
	tss_find(cpu, selector, why, ext, &tss, &linear);
	vc_intercept(cpu, VC_TASK_SWITCH);
	task = tss_read(cpu, &tss);
	nested = leave_task(cpu, &tss, linear, why, flags);
	commit(cpu, &tss, &task, nested);
	enter_task(cpu, &tss, &task, ext);
	if (task.trap && cpu->event.kind == CPU_EVENT_NONE) {
		cpu->debug_dr6 = 0x8000;
		cpu->event = (struct cpu_event){.kind = CPU_EVENT_EXCEPTION, .vector = EXC_DB};
		cpu->attention = true;
	}
}
