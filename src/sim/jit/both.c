/* SPDX-License-Identifier: Apache-2.0 */
/*
 * both: see both.h. Before a block really runs, by the translator, it is tried on copies of the memory that
 * it touches (shadow.c), from the same state:
 *
 *    by the interpreter, to fill the shadow's TLB ---> by the interpreter ---> by the translator
 *                                                          |                       |
 *                                                          +------ are they equal? +
 *
 * Native code accesses memory only where the TLB has the page, hence the first trial. One block in a few is
 * tried with an empty TLB, in which native code calls handlers. Copies make the comparison exact whatever
 * other processors and devices write meanwhile, and the real run is as without it. A block that would ask a
 * device or the platform, or would write over code, is not compared but counted (counts.alone).
 *
 * Native code does not go on from block to block here (jit_resolve()), so how it does is not compared.
 */
#include "both.h"
#include "cpu/walk.h"
#include "shadow.h"

#define COLD_EVERY 8 /* trials with an empty TLB */
/* A block is compared each time that it runs until it has run so often, and then about once in so many runs.
 */
#define RUNS_ALL   64
#define RUNS_EVERY 32

struct both {
	struct shadow *shadow;
	struct cpu *start, *kept, *end; /* states before the block, and behind it by each of the two */
	u64 trials;
	u32 random;
	struct jit_counts counts;
	jmp_buf env;
	/* The processor's own values of these fields. A trial replaces them, and end() puts them back. */
	struct cpu_bus *bus;
	struct cpu_tlb *tlb;
	struct cpu_tlb_entry *tlb_now;
	u32 accept;
	u64 deadline;
	jmp_buf *unwind;
};

/* ---- trials ---- */

static void begin(struct both *b, struct cpu *cpu)
{
	b->bus = cpu->bus;
	b->tlb = cpu->tlb;
	b->tlb_now = cpu->tlb_now;
	b->accept = cpu->accept;
	b->deadline = cpu->deadline;
	b->unwind = cpu->unwind;
	jit_shadow_enter(b->shadow);
	cpu->accept = 0;   /* other threads may post events at any time */
	cpu->deadline = 0; /* native code leaves behind one block */
	cpu->unwind = &b->env;
	jit_state_copy(b->start, cpu);
}

static void end(struct both *b, struct cpu *cpu)
{
	jit_shadow_leave(b->shadow);
	jit_state_copy(cpu, b->start);
	cpu->bus = b->bus;
	cpu->tlb = b->tlb;
	cpu->tlb_now = b->tlb_now;
	cpu->accept = b->accept;
	cpu->deadline = b->deadline;
	cpu->unwind = b->unwind;
}

/* Runs the block from the start by the interpreter, or by the translator's code. False: the trial was ended.
 */
static bool attempt(struct both *b, struct cpu *cpu, struct cpu_block *block, const struct jit_code *code)
{
	struct ram_guard guard = {.back = &b->env, .owns = cpu_is_guest_memory, .start = cpu};
	volatile bool whole = true;

	jit_state_copy(cpu, b->start);
	cpu_ram_guard_begin(&guard);
	switch (setjmp(b->env)) {
	case 0:
		if (code)
			((struct jit *)(uintptr_t)cpu->native)->thunks.enter(cpu, code->entry);
		else
			cpu_run_block(cpu, block);
		break;
	case RAM_FAULT:
	case SHADOW_ENDED: whole = false; break;
	default: break; /* an exception, or an exit */
	}
	cpu_ram_guard_end(&guard);
	cpu_rmw_abandon(cpu);
	return whole;
}

static void keep(struct cpu *state, const struct cpu *cpu)
{
	jit_state_copy(state, cpu);
	jit_state_simplify(state);
}

static bool is_random(const struct cpu_block *block)
{
	unsigned i = 0;

	while (i < block->count && block->ops[i].fn != op_rdrand)
		i++;
	return i < block->count;
}

/* Runs the block by both. False: it cannot be tried. */
static bool try_both(struct both *b, struct cpu *cpu, struct cpu_block *block, const struct jit_code *code)
{
	if (is_random(block) || !attempt(b, cpu, block, NULL))
		return false;
	if (b->trials++ % COLD_EVERY == 0) {
		jit_shadow_forget_translations(b->shadow);
	} else if (b->shadow->count) {
		jit_shadow_rewind(b->shadow, false);
		if (!attempt(b, cpu, block, NULL))
			return false;
	}
	keep(b->kept, cpu);
	jit_shadow_rewind(b->shadow, true);
	if (!attempt(b, cpu, block, code))
		return false;
	keep(b->end, cpu);
	return true;
}

/* ---- differences ---- */

static void tell_code(const struct cpu_block *block)
{
	char text[3 * 32 + 1];

	for (unsigned i = 0; i < block->bytes_size; i += 32) {
		for (unsigned j = 0; j < 32 && i + j < block->bytes_size; j++)
			snprintf(text + j * 3, 4, " %02x", block->bytes[i + j]);
		log_error("sim.cpu: code:%s", text);
	}
}

static void tell(struct both *b, const struct cpu_block *block, u64 linear)
{
	const u8 *now, *kept;
	u64 at;

	log_error("sim.cpu: the interpreter and the translator differ about the %u instructions at 0x%llx",
	        block->count, (unsigned long long)linear);
	tell_code(block);
	jit_state_tell_differences(b->kept, b->end);
	now = jit_shadow_difference(b->shadow, &at, &kept);
	if (now)
		log_error("sim.cpu: the byte at guest-physical 0x%llx: 0x%x interpreted, 0x%x translated",
		        (unsigned long long)at, *kept, *now);
}

/* Leaves for good if the two do not agree about the block. */
static void compare(struct both *b, struct cpu *cpu, struct cpu_block *block, const struct jit_code *code)
{
	struct jit *jit = (struct jit *)(uintptr_t)cpu->native;
	bool tried, equal;
	const u8 *kept;
	u64 at;

	begin(b, cpu);
	tried = try_both(b, cpu, block, code);
	end(b, cpu);
	if (!tried) {
		jit->both->counts.alone++;
		return;
	}
	jit->both->counts.compared++;
	equal = jit_state_equal(b->kept, b->end) && !jit_shadow_difference(b->shadow, &at, &kept);
	if (equal)
		return;
	tell(b, block, code->linear);
	cpu_leave_failed(cpu, "the interpreter and the translator differ", code->linear);
}

/* ---- life ---- */

/* The same in each run. */
static bool is_due(struct both *b, struct jit_code *code)
{
	if (code->runs < RUNS_ALL) {
		code->runs++;
		return true;
	}
	b->random = b->random * 1664525 + 1013904223;
	return (b->random >> 16) % RUNS_EVERY == 0;
}

bool jit_both_run(struct cpu *cpu, struct cpu_block *block, u64 linear)
{
	struct jit *jit = (struct jit *)(uintptr_t)cpu->native;
	struct jit_code *code = jit_code_of(cpu, block, linear);

	if (!code) {
		jit->both->counts.alone++;
		return false;
	}
	if (is_due(jit->both, code))
		compare(jit->both, cpu, block, code);
	jit->thunks.enter(cpu, code->entry);
	return true;
}

void jit_both_counts(const struct both *both, struct jit_counts *sum)
{
	sum->compared += both->counts.compared;
	sum->alone += both->counts.alone;
}

struct both *jit_both_create(struct cpu *cpu)
{
	struct both *b = calloc(1, sizeof(*b));
	struct cpu **const states[] = {&b->start, &b->kept, &b->end};

	if (!b)
		return NULL;
	b->shadow = jit_shadow_create(cpu);
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		*states[i] = aligned_alloc(64, (sizeof(struct cpu) + 63) & ~(size_t)63);
		if (*states[i])
			memset(*states[i], 0, sizeof(struct cpu));
	}
	if (b->shadow && b->start && b->kept && b->end)
		return b;
	jit_both_destroy(b);
	return NULL;
}

void jit_both_destroy(struct both *b)
{
	if (!b)
		return;
	jit_shadow_destroy(b->shadow);
	free(b->start);
	free(b->kept);
	free(b->end);
	free(b);
}
