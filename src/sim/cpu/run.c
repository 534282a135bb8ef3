/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: the dispatcher. It runs block after block, handles events between them, and takes back an instruction
 * that is given up. A translator to native code (native.h) takes the place of run_block(). Runs on the vCPU's
 * thread.
 *
 *    cpu_run() -> run_blocks():
 *
 *       +--> attention, deadline or pending?  -- yes --> look_around(): events, interrupts, exits
 *       |              | no                                     |            |
 *       |              v                                        v            +--> return cpu->exit
 *       |        find the block (code.c)  <---------------------+
 *       |              |
 *       |              v
 *       +------- run_block(): op->fn(cpu, op) for each operation
 *                      |
 *                      +-- cpu_raise(), cpu_leave(): longjmp() back to cpu_run(), with rip at the instruction
 *
 * How time is kept. An instruction is the unit of time; the platform counts it as a nanosecond. cpu.icount
 * has the instructions before the present block. Within a block, cpu_icount() adds the position of the
 * operation that runs. So time costs nothing while a block runs; it is exact whenever somebody asks, and the
 * same in each run. The deadline is checked between blocks, at most BLOCK_MAX instructions late. Toil is
 * work that takes the host long without being an instruction: decoding and faults. It takes no time of the
 * guest, so icount does not include it. cpu.toil only adds it up, so that cpu_run() returns to its caller
 * soon even if the guest does nothing else.
 */
#include "debug.h"
#include "flags.h"
#include "native.h"
#include "walk.h"

/* ---- the position in the code ---- */

u64 cpu_op_rip(const struct cpu *cpu)
{
	return cpu->op ? REG_RIP + cpu->op->next - cpu->op->len : REG_RIP;
}

u64 cpu_op_next_rip(const struct cpu *cpu)
{
	return REG_RIP + cpu->op->next;
}

uint64_t cpu_icount(const struct cpu *cpu)
{
	return cpu->icount + (cpu->op ? (u64)(cpu->op - cpu->block->ops) : 0);
}

/* ---- leaving an instruction ---- */

/* Takes back the instruction that runs: rip points to it again, and it is not counted. */
static void give_up(struct cpu *cpu)
{
	if (!cpu->op)
		return;
	if (cpu->saved_op == cpu->op)
		flags_restore(cpu);
	cpu->icount = cpu_icount(cpu);
	REG_RIP = cpu_op_rip(cpu);
	cpu->op = NULL;
}

static _Noreturn void unwind(struct cpu *cpu)
{
	cpu->in_vex = cpu->in_lanes = cpu->any_alignment = false;
	give_up(cpu);
	longjmp(*cpu->unwind, 1);
}

/* Gives up the delivery of the event if that is an INT n: rip points to the INT n again. */
static void give_up_delivery(struct cpu *cpu)
{
	if (cpu->event.kind != CPU_EVENT_SOFT || !cpu->event.soft_len)
		return;
	REG_RIP -= cpu->event.soft_len;
	cpu->event.kind = CPU_EVENT_NONE;
}

void cpu_leave(struct cpu *cpu, enum cpu_exit exit)
{
	cpu->exit = (int)exit;
	give_up_delivery(cpu);
	unwind(cpu);
}

void cpu_leave_failed(struct cpu *cpu, const char *why, u64 gpa)
{
	cpu->exit_info.failed.why = why;
	cpu->exit_info.failed.gpa = gpa;
	cpu->exit_info.failed.size = 0;
	if (cpu->op && cpu->op->len <= sizeof(cpu->exit_info.failed.bytes)) {
		unsigned start = cpu->op->next - cpu->op->len;

		cpu->exit_info.failed.size = cpu->op->len;
		memcpy(cpu->exit_info.failed.bytes, cpu->block->bytes + start, cpu->op->len);
	}
	cpu_leave(cpu, CPU_EXIT_FAILED);
}

void cpu_exit_after(struct cpu *cpu, enum cpu_exit exit)
{
	cpu->exit = (int)exit;
	cpu->attention = true;
}

static bool contributory(unsigned vector)
{
	return vector == EXC_DE || (vector >= EXC_TS && vector <= EXC_GP) || vector == EXC_VC;
}

/*
 * Combines an exception with the one in whose delivery it came (APM 2, 8.2.9): #DF, shutdown, or the second.
 */
static struct cpu_event combine(struct cpu *cpu, struct cpu_event first, struct cpu_event second)
{
	bool hard = first.kind == CPU_EVENT_EXCEPTION;

	if (hard && first.vector == EXC_DF && (contributory(second.vector) || second.vector == EXC_PF)) {
		cpu->event.kind = CPU_EVENT_NONE;
		cpu_leave(cpu, CPU_EXIT_SHUTDOWN);
	}
	if (hard &&
	        ((contributory(first.vector) && contributory(second.vector)) ||
	                (first.vector == EXC_PF && (contributory(second.vector) || second.vector == EXC_PF))))
		return (struct cpu_event){.kind = CPU_EVENT_EXCEPTION, .vector = EXC_DF, .has_error = true};
	return second;
}

static _Noreturn void raise_event(struct cpu *cpu, struct cpu_event event)
{
	if (cpu->event.kind != CPU_EVENT_NONE) {
		REG_RIP -= cpu->event.soft_len;
		event = combine(cpu, cpu->event, event);
	}
	cpu->event = event;
	cpu->attention = true;
	cpu->toil += CPU_TOIL_FAULT;
	cpu_access_forget(cpu);
	unwind(cpu);
}

void cpu_raise(struct cpu *cpu, u8 vector)
{
	raise_event(cpu, (struct cpu_event){.kind = CPU_EVENT_EXCEPTION, .vector = vector});
}

void cpu_raise_error(struct cpu *cpu, u8 vector, u32 error)
{
	raise_event(cpu,
	        (struct cpu_event){
	                .kind = CPU_EVENT_EXCEPTION, .vector = vector, .has_error = true, .error = error});
}

void cpu_raise_page_fault(struct cpu *cpu, u64 linear, u32 error)
{
	cpu->cr2 = linear;
	raise_event(cpu,
	        (struct cpu_event){
	                .kind = CPU_EVENT_EXCEPTION, .vector = EXC_PF, .has_error = true, .error = error});
}

/* ---- opcodes that only fail ---- */

void op_invalid(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_raise(cpu, EXC_UD);
}

void op_too_long(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_raise_error(cpu, EXC_GP, 0);
}

void op_unknown(struct cpu *cpu, const struct cpu_op *op)
{
	u32 key = (u32)op->imm, i = 0;

	while (i < cpu->unknown_count && cpu->unknown[i].key != key)
		i++;
	if (i == cpu->unknown_count && i < CPU_UNKNOWN_MAX)
		cpu->unknown[cpu->unknown_count++] = (struct cpu_unknown){.key = key};
	if (i < CPU_UNKNOWN_MAX)
		cpu->unknown[i].count++;
	cpu_raise(cpu, EXC_UD);
}

const char *cpu_unknown_name(uint32_t key, char text[static 32])
{
	static const char *const prefixes[] = {"", "66 ", "f3 ", "f2 "};
	static const char *const maps[] = {"", "0f ", "0f 38 ", "0f 3a "};
	unsigned map = (key >> 16) & 0xff;

	snprintf(text, 32, "%s%s%02x /%u mod %u", prefixes[(key >> 24) & 3],
	        maps[map == 0x38      ? 2
	                : map == 0x3a ? 3
	                              : (map & 3) - 1],
	        (key >> 8) & 0xff, (key >> 3) & 7, (key >> 6) & 3);
	return text;
}

/* ---- modes ---- */

static void attention_update(struct cpu *cpu)
{
	cpu->attention = cpu->event.kind != CPU_EVENT_NONE || cpu->shadow || cpu->exit >= 0 ||
	                 cpu->rflags_rest & FLAG_RF || cpu_debug_active(cpu);
}

void cpu_flags_changed(struct cpu *cpu)
{
	cpu->accept = CPU_PENDING_STOP | CPU_PENDING_FLUSH | (cpu->nmi_blocked ? 0 : CPU_PENDING_NMI) |
	              (cpu->rflags_rest & FLAG_IF && !(cpu->debugger.ask & CPU_DEBUG_CALM)
	                              ? CPU_PENDING_INTR | CPU_PENDING_WINDOW
	                              : 0);
	cpu_tlb_select(cpu);
	attention_update(cpu);
}

void cpu_mode_changed(struct cpu *cpu)
{
	const struct cpu_seg *cs = &cpu->seg[CPU_CS];
	u32 mode = 0;

	if (cpu->cr0 & CR0_PE)
		mode |= cpu->rflags_rest & FLAG_VM ? MODE_PE | MODE_VM : MODE_PE;
	if (cpu->efer & EFER_LMA) {
		mode |= MODE_LONG;
		if (cs->attr & SEG_L)
			mode |= MODE_64;
	}
	if (cs->attr & SEG_DB && !(mode & MODE_64))
		mode |= MODE_CS32;
	if (cpu->seg[CPU_SS].attr & SEG_DB && !(mode & MODE_64))
		mode |= MODE_SS32;
	if (mode != cpu->mode) {
		cpu->mode = mode;
		cpu_code_forget_jumps(cpu);
	}
	cpu_code_privilege_changed(cpu);
	cpu_flags_changed(cpu);
}

void cpu_set_cpl(struct cpu *cpu, u32 cpl)
{
	cpu->cpl = cpl;
	cpu_code_privilege_changed(cpu);
	cpu_tlb_select(cpu);
}

bool cpu_interruptible(const struct cpu *cpu)
{
	return cpu->rflags_rest & FLAG_IF && !cpu->shadow && cpu->event.kind == CPU_EVENT_NONE &&
	       !cpu->access_waits;
}

/* ---- between blocks ---- */

void cpu_nmis_take(struct cpu *cpu, u32 count)
{
	u32 waiting = atomic_load(&cpu->nmis), limit = cpu_nmi_limit(cpu);

	/* Another thread may post an NMI at any time; it adds the NMI first, and sets the bit then. */
	cpu_unpost(cpu, CPU_PENDING_NMI);
	atomic_fetch_sub(&cpu->nmis, count + (waiting > limit ? waiting - limit : 0));
	if (atomic_load(&cpu->nmis))
		cpu_post(cpu, CPU_PENDING_NMI);
}

void cpu_end_nmi_blocking(struct cpu *cpu)
{
	if (!cpu->nmi_blocked)
		return;
	cpu_nmis_take(cpu, 0);
	cpu->nmi_blocked = false;
	cpu_flags_changed(cpu);
}

/* Makes an interrupt or NMI that may be taken the event. */
static void accept_interrupt(struct cpu *cpu, u32 pending)
{
	if (pending & CPU_PENDING_NMI) {
		bool there = atomic_load(&cpu->nmis);

		cpu_nmis_take(cpu, there);
		if (there)
			cpu->event = (struct cpu_event){.kind = CPU_EVENT_NMI, .vector = EXC_NMI};
	} else if (pending & CPU_PENDING_INTR) {
		int vector = cpu->bus->interrupt_ack ? cpu->bus->interrupt_ack(cpu->ctx) : -1;

		if (vector >= 0)
			cpu->event = (struct cpu_event){.kind = CPU_EVENT_INTR, .vector = (u8)vector};
	}
}

/* Handles events between two blocks. True: go on with the next block; false: leave with cpu->exit. */
static bool look_around(struct cpu *cpu)
{
	u32 pending;

	if (cpu->exit >= 0)
		return false;
	while (cpu->event.kind != CPU_EVENT_NONE) {
		if (cpu_debug_takes(cpu))
			return false;
		cpu_deliver(cpu);
	}
	pending = atomic_load_explicit(&cpu->pending, memory_order_acquire) & cpu->accept;
	if (pending & CPU_PENDING_FLUSH)
		cpu_map_take(cpu);
	if (pending & CPU_PENDING_STOP) {
		cpu->exit = CPU_EXIT_STOPPED;
		return false;
	}
	if (!cpu->shadow && pending & (CPU_PENDING_INTR | CPU_PENDING_NMI)) {
		accept_interrupt(cpu, pending);
		if (cpu->event.kind != CPU_EVENT_NONE)
			cpu_deliver(cpu);
	} else if (!cpu->shadow && pending & CPU_PENDING_WINDOW) {
		cpu->exit = CPU_EXIT_WINDOW;
		return false;
	}
	if (cpu->icount >= cpu->deadline) {
		cpu->exit = CPU_EXIT_DEADLINE;
		return false;
	}
	return true;
}

/* ---- blocks ---- */

static u64 code_linear(struct cpu *cpu)
{
	if (likely(cpu->mode & MODE_64))
		return REG_RIP;
	return (u32)(cpu->seg[CPU_CS].base + REG_RIP);
}

/*
 * Returns how many instructions may run outside 64-bit mode, where at least the first must lie within CS:
 * all of the block, or one.
 */
static unsigned within_limit(struct cpu *cpu, const struct cpu_block *block)
{
	u64 limit = cpu->seg[CPU_CS].limit;

	if (REG_RIP + block->bytes_size - 1 <= limit)
		return block->count;
	if (REG_RIP + block->ops[0].len - 1 > limit)
		cpu_raise_error(cpu, EXC_GP, 0);
	return 1;
}

ALWAYS void run_block(struct cpu *cpu, struct cpu_block *block, unsigned count)
{
	const struct cpu_op *op = block->ops;

	cpu->block = block;
	cpu->op_end = op + count;
	do {
		cpu->op = op;
		op->fn(cpu, op);
		op++;
	} while (op != cpu->op_end);
	if (!(op[-1].flags & OP_BRANCH))
		REG_RIP += op[-1].next;
	cpu->icount += (u64)(op - block->ops);
	cpu->op = NULL;
}

void cpu_run_block(struct cpu *cpu, struct cpu_block *block)
{
	run_block(cpu, block, block->count);
}

/* Runs one instruction, with its breakpoints, the single-step trap and the end of an interrupt shadow. */
static void run_single(struct cpu *cpu, struct cpu_block *block, bool resumed)
{
	bool step = cpu_debug_steps(cpu, &block->ops[0]);
	u64 rip = REG_RIP;

	if (!resumed)
		cpu_debug_before(cpu, code_linear(cpu));
	if (!(cpu->mode & MODE_64))
		within_limit(cpu, block);
	cpu->rflags_rest &= ~(u64)FLAG_RF;
	cpu->shadow = false;
	run_block(cpu, block, 1);
	if (block->ops[0].flags & (OP_REP | OP_REPNE) && REG_RIP == rip) /* another iteration follows */
		cpu->rflags_rest |= FLAG_RF;
	cpu_debug_after(cpu, &block->ops[0], step);
	attention_update(cpu);
}

ALWAYS bool run_native(struct cpu *cpu, struct cpu_block *block, u64 linear)
{
	return cpu->native && cpu->mode & MODE_64 && cpu->native->run(cpu, block, linear);
}

static void run_blocks(struct cpu *cpu)
{
	struct cpu_jump *jumps = cpu_code_jumps(cpu);

	for (;;) {
		struct cpu_block *block;
		const struct cpu_jump *jump;
		u64 linear;

		if (unlikely(cpu->attention || cpu->icount >= cpu->deadline ||
		             atomic_load_explicit(&cpu->pending, memory_order_relaxed) & cpu->accept) &&
		        !look_around(cpu))
			return;
		linear = code_linear(cpu);
		jump = &jumps[cpu_jump_index(linear)];
		block = likely(jump->linear == linear && jump->tag == cpu->exec_tag)
		                ? jump->block
		                : cpu_code_find(cpu, linear);
		if (unlikely(cpu->attention))
			run_single(cpu, block, false);
		else if (!run_native(cpu, block, linear))
			run_block(cpu, block, cpu->mode & MODE_64 ? block->count : within_limit(cpu, block));
	}
}

/* Takes over the data of the access for which the last run left. */
static void complete_access(struct cpu *cpu)
{
	struct cpu_access *access = &cpu->access[cpu->accesses ? cpu->accesses - 1 : 0];

	if (cpu->access_waits && cpu->accesses) {
		if (cpu->exit == CPU_EXIT_MMIO && !cpu->exit_info.mmio.write)
			access->data = load_le(cpu->exit_info.mmio.data, cpu->exit_info.mmio.size);
		else if (cpu->exit == CPU_EXIT_IO && !cpu->exit_info.io.write && !cpu->ins_ready)
			access->data = load_le(cpu->exit_info.io.data, cpu->exit_info.io.size);
		else if (cpu->exit == CPU_EXIT_MSR && !cpu->exit_info.msr.write)
			access->data = cpu->exit_info.msr.data;
	}
	cpu->access_waits = false;
	cpu->accesses_used = 0;
}

/* Runs the instruction whose access was completed, before anything else that waits. */
static void finish_instruction(struct cpu *cpu)
{
	struct cpu_block *block = cpu_code_find(cpu, code_linear(cpu));

	run_single(cpu, block, true);
}

/* Cleans up after an instruction or a delivery was given up. */
static void come_back(struct cpu *cpu)
{
	cpu_rmw_abandon(cpu);
	cpu_flags_changed(cpu);
	if (cpu->exit < 0 && cpu->toil >= CPU_TOIL_MAX)
		cpu->exit = CPU_EXIT_DEADLINE;
}

static void leave_missing(struct cpu *cpu)
{
	give_up_delivery(cpu);
	give_up(cpu);
	cpu->exit = CPU_EXIT_MISSING;
	come_back(cpu);
}

enum cpu_exit cpu_run(struct cpu *cpu, uint64_t deadline)
{
	jmp_buf env;
	struct ram_guard guard = {
	        .back = &env, .owns = cpu_is_guest_memory, .detour = cpu_native_detour, .start = cpu};
	volatile bool resume = cpu->access_waits && cpu->event.kind == CPU_EVENT_NONE;

	cpu->unwind = &env;
	cpu->deadline = deadline;
	cpu->toil = 0;
	complete_access(cpu);
	cpu->exit = -1;
	cpu_map_enter(cpu);
	cpu_code_serialize(cpu);
	cpu_mode_changed(cpu);
	cpu_ram_guard_begin(&guard);
	switch (setjmp(env)) {
	case 0: break;
	case RAM_FAULT:
		resume = false;
		leave_missing(cpu);
		break;
	default: resume = false; come_back(cpu);
	}
	if (resume) {
		resume = false;
		finish_instruction(cpu);
	}
	if (cpu->exit < 0)
		run_blocks(cpu);
	cpu_ram_guard_end(&guard);
	cpu_map_leave(cpu);
	cpu->unwind = NULL;
	return (enum cpu_exit)cpu->exit;
}
