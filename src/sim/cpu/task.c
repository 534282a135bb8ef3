/*
 * task: hardware task switches, by far JMP and CALL, IRET with NT, and task gates (APM 2, 12.3). Not in long
 * mode. Up to commit() a fault belongs to the old task; behind it, to the new one.
 */
#include "debug.h"
#include "far.h"

#define TSS_WIDE 8u /* in the type: of 32 bits */
#define TSS_BUSY 2u
#define TSS_CR3  0x1cu
#define TSS_TRAP 0x64u

/* What a task state segment keeps. */
struct task {
	u32 rip, flags, gpr[8], cr3;
	u16 seg[6], ldt;
	bool trap;
};

static bool is_wide(const struct sim_seg *tss)
{
	return tss->attr & TSS_WIDE;
}

/* Where IP lies; flags, registers, segments and LDT follow, each of a word of the TSS's width. */
static u64 tss_at(const struct sim_seg *tss, unsigned word)
{
	return tss->base + (is_wide(tss) ? 0x20 + 4 * word : 0x0e + 2 * word);
}

static unsigned tss_segments(const struct sim_seg *tss)
{
	return is_wide(tss) ? 6 : 4;
}

/* The new task's TSS descriptor; where it must be busy is where IRET returns to. */
static void tss_find(
        struct sim_cpu *cpu, u16 selector, enum task_why why, u32 ext, struct sim_seg *ret, u64 *ret_linear)
{
	u32 error = (selector & ~3u) | ext, busy = why == TASK_IRET ? TSS_BUSY : 0;
	u8 vector = why == TASK_IRET ? EXC_TS : EXC_GP;
	u64 descriptor[2];

	if (selector & 4 || !(selector & ~3u) || !sim_descriptor_read(cpu, selector, descriptor, ret_linear))
		sim_raise_error(cpu, vector, error);
	sim_descriptor_unpack(descriptor, selector, false, ret);
	if (ret->attr & SEG_S || (ret->attr & 7) != (1 | busy))
		sim_raise_error(cpu, vector, error);
	if (!(ret->attr & SEG_P))
		sim_raise_error(cpu, EXC_NP, error);
	if (ret->limit < (is_wide(ret) ? 0x67 : 0x2b))
		sim_raise_error(cpu, EXC_TS, error);
}

static struct task tss_read(struct sim_cpu *cpu, const struct sim_seg *tss)
{
	unsigned size = is_wide(tss) ? 4 : 2, count = tss_segments(tss);
	struct task task = {.rip = (u32)sim_sys_read(cpu, tss_at(tss, 0), size),
	        .flags = (u32)sim_sys_read(cpu, tss_at(tss, 1), size),
	        .ldt = (u16)sim_sys_read(cpu, tss_at(tss, 10 + count), 2)};

	for (unsigned i = 0; i < 8; i++)
		task.gpr[i] = (u32)sim_sys_read(cpu, tss_at(tss, 2 + i), size);
	for (unsigned i = 0; i < count; i++)
		task.seg[i] = (u16)sim_sys_read(cpu, tss_at(tss, 10 + i), 2);
	if (is_wide(tss)) {
		task.cr3 = (u32)sim_sys_read(cpu, tss->base + TSS_CR3, 4);
		task.trap = sim_sys_read(cpu, tss->base + TSS_TRAP, 1) & 1;
	}
	return task;
}

static void tss_write(struct sim_cpu *cpu, const struct sim_seg *tss, u64 rip, u64 flags)
{
	unsigned size = is_wide(tss) ? 4 : 2;

	sim_sys_write(cpu, tss_at(tss, 0), size, rip);
	sim_sys_write(cpu, tss_at(tss, 1), size, flags);
	for (unsigned i = 0; i < 8; i++)
		sim_sys_write(cpu, tss_at(tss, 2 + i), size, cpu->gpr[i]);
	for (unsigned i = 0; i < tss_segments(tss); i++)
		sim_sys_write(cpu, tss_at(tss, 10 + i), 2, cpu->seg[i].selector);
}

static void descriptor_busy(struct sim_cpu *cpu, u64 linear, bool busy)
{
	u64 type = sim_sys_read(cpu, linear + 5, 1);

	sim_sys_write(cpu, linear + 5, 1, busy ? type | TSS_BUSY : type & ~(u64)TSS_BUSY);
}

/* The registers become the new task's. Segments are the old task's but for the selector until they are
 * loaded: a fault in between can still be delivered. */
static void commit(struct sim_cpu *cpu, const struct sim_seg *tss, const struct task *task, bool nested)
{
	cpu->seg[SIM_TR] = *tss;
	cpu->seg[SIM_TR].attr |= TSS_BUSY;
	cpu->cr0 |= CR0_TS;
	cpu->dr[7] &= ~(u64)0x155; /* breakpoints of the old task alone */
	if (cpu->cr0 & CR0_PG && is_wide(tss)) {
		cpu->cr3 = task->cr3;
		sim_pdptes_load(cpu);
		sim_tlb_flush(cpu);
	}
	for (unsigned i = 0; i < 8; i++)
		cpu->gpr[i] = task->gpr[i];
	for (unsigned i = SIM_ES; i <= SIM_GS; i++)
		cpu->seg[i].selector = task->seg[i];
	cpu->seg[SIM_LDTR] = (struct sim_seg){.selector = task->ldt};
	REG_RIP = task->rip;
	cpu->cpl = task->flags & FLAG_VM ? 3 : task->seg[SIM_CS] & 3u;
	sim_cpu_set_rflags(cpu, task->flags | (nested ? FLAG_NT : 0));
	sim_debug_changed(cpu);
	sim_mode_changed(cpu);
}

/* ---- the new task's segments ---- */

static void load_ldt(struct sim_cpu *cpu, u16 selector, u32 ext)
{
	u64 descriptor[2], linear;
	struct sim_seg ldt;

	if (!(selector & ~3u))
		return;
	if (selector & 4 || !sim_descriptor_read(cpu, selector, descriptor, &linear))
		sim_raise_error(cpu, EXC_TS, (selector & ~3u) | ext);
	sim_descriptor_unpack(descriptor, selector, false, &ldt);
	if ((ldt.attr & (SEG_S | SEG_TYPE | SEG_P)) != (2 | SEG_P))
		sim_raise_error(cpu, EXC_TS, (selector & ~3u) | ext);
	cpu->seg[SIM_LDTR] = ldt;
}

static bool suits(const struct sim_cpu *cpu, unsigned index, const struct sim_seg *s)
{
	u32 dpl = SEG_DPL(s->attr), rpl = s->selector & 3u;
	bool conforming = (s->attr & (SEG_CODE | SEG_DOWN)) == (SEG_CODE | SEG_DOWN);

	if (!(s->attr & SEG_S))
		return false;
	if (index == SIM_CS)
		return s->attr & SEG_CODE && (conforming ? dpl <= rpl : dpl == rpl);
	if (index == SIM_SS)
		return (s->attr & (SEG_CODE | SEG_WRITE)) == SEG_WRITE && dpl == cpu->cpl && rpl == cpu->cpl;
	return (s->attr & (SEG_CODE | SEG_WRITE)) != SEG_CODE &&
	       (conforming || (dpl >= cpu->cpl && dpl >= rpl));
}

static void load_segment(struct sim_cpu *cpu, unsigned index, u16 selector, u32 ext)
{
	u64 descriptor[2], linear;
	struct sim_seg s;

	if (!(selector & ~3u)) {
		if (index == SIM_CS || index == SIM_SS)
			sim_raise_error(cpu, EXC_TS, (selector & ~3u) | ext);
		cpu->seg[index] = (struct sim_seg){.selector = selector};
		return;
	}
	if (!sim_descriptor_read(cpu, selector, descriptor, &linear))
		sim_raise_error(cpu, EXC_TS, (selector & ~3u) | ext);
	sim_descriptor_unpack(descriptor, selector, false, &s);
	if (!suits(cpu, index, &s))
		sim_raise_error(cpu, EXC_TS, (selector & ~3u) | ext);
	if (!(s.attr & SEG_P))
		sim_raise_error(cpu, index == SIM_SS ? EXC_SS : EXC_NP, (selector & ~3u) | ext);
	sim_descriptor_accessed(cpu, linear, &s);
	cpu->seg[index] = s;
	sim_mode_changed(cpu);
}

static void load_segments(struct sim_cpu *cpu, const struct task *task, u32 ext)
{
	static const u8 order[] = {SIM_CS, SIM_SS, SIM_ES, SIM_DS, SIM_FS, SIM_GS};

	load_ldt(cpu, task->ldt, ext);
	for (unsigned i = 0; i < ARRAY_LEN(order); i++) {
		if (cpu->mode & MODE_VM)
			sim_seg_load_real(cpu, order[i], task->seg[order[i]]);
		else
			load_segment(cpu, order[i], task->seg[order[i]], ext);
	}
	sim_mode_changed(cpu);
	sim_check_target(cpu, &cpu->seg[SIM_CS], REG_RIP);
}

/* ---- the switch ---- */

/* The old task is left as it stands; returns whether it is to be returned to. */
static bool leave_task(
        struct sim_cpu *cpu, const struct sim_seg *tss, u64 linear, enum task_why why, u64 flags)
{
	const struct sim_seg *old = &cpu->seg[SIM_TR];
	bool nested = why == TASK_CALL || why == TASK_EVENT;
	u64 old_linear = cpu->gdtr.base + (old->selector & ~7u);

	if (!nested)
		descriptor_busy(cpu, old_linear, false);
	tss_write(cpu, old, why == TASK_EVENT ? REG_RIP : sim_op_next_rip(cpu),
	        why == TASK_IRET ? flags & ~(u64)FLAG_NT : flags);
	if (nested)
		sim_sys_write(cpu, tss->base, 2, old->selector);
	if (why != TASK_IRET)
		descriptor_busy(cpu, linear, true);
	return nested;
}

/* A fault of the new task's is not one of the instruction that switched: rip is the new task's. */
static void enter_task(struct sim_cpu *cpu, const struct sim_seg *tss, const struct task *task, u32 ext)
{
	const struct sim_op *op = cpu->op;
	u64 done = sim_cpu_icount(cpu) - cpu->icount;

	cpu->op = NULL;
	cpu->icount += done;
	cpu->event.soft_len = 0;
	load_segments(cpu, task, ext);
	if (cpu->event.kind != SIM_EVENT_NONE && cpu->event.has_error)
		sim_push(cpu, is_wide(tss) ? 4 : 2, cpu->event.error);
	cpu->icount -= done;
	cpu->op = op;
}

/* IRET goes to the task that the current TSS names; others to selector's. flags: the old task's. */
void sim_task_switch(struct sim_cpu *cpu, u16 selector, enum task_why why, u64 flags)
{
	u32 ext = why == TASK_EVENT && cpu->event.kind != SIM_EVENT_SOFT;
	struct sim_seg tss;
	struct task task;
	bool nested;
	u64 linear;

	if (why == TASK_IRET)
		selector = (u16)sim_sys_read(cpu, cpu->seg[SIM_TR].base, 2);
	tss_find(cpu, selector, why, ext, &tss, &linear);
	task = tss_read(cpu, &tss);
	nested = leave_task(cpu, &tss, linear, why, flags);
	commit(cpu, &tss, &task, nested);
	enter_task(cpu, &tss, &task, ext);
	if (task.trap && cpu->event.kind == SIM_EVENT_NONE) {
		cpu->debug_dr6 = 0x8000;
		cpu->event = (struct sim_event){.kind = SIM_EVENT_EXCEPTION, .vector = EXC_DB};
		cpu->attention = true;
	}
}
