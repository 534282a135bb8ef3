/* SPDX-License-Identifier: Apache-2.0 */
/*
 * states: copies and compares the states of a processor. All bytes of struct cpu count, so that a field that
 * is new is compared, too, but for those that jit_state_simplify() clears.
 */
#include <stdio.h>

#include "both.h"
#include "cpu/flags.h"

#define TOLD_MAX 8

/* Other threads write what lies between these pieces: posted events, and the map in use. */
static const struct piece {
	size_t from, to;
} pieces[] = {
        {0, offsetof(struct cpu, pending)},
        {offsetof(struct cpu, accept), offsetof(struct cpu, map_used)},
        {offsetof(struct cpu, map_cached), sizeof(struct cpu)},
};

void jit_state_copy(struct cpu *to, const struct cpu *from)
{
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
		memcpy((u8 *)to + pieces[i].from, (const u8 *)from + pieces[i].from,
		        pieces[i].to - pieces[i].from);
}

/* A struct that was assigned as a whole may have anything between its members. */
static void clear_gaps(struct cpu *state)
{
	struct cpu_event event;
	struct cpu_table tables[2];

	memset(&event, 0, sizeof(event));
	event.kind = state->event.kind;
	event.vector = state->event.vector;
	event.has_error = state->event.has_error;
	event.error = state->event.error;
	event.soft_len = state->event.soft_len;
	event.given = state->event.given;
	memcpy(&state->event, &event, sizeof(event));
	memset(tables, 0, sizeof(tables));
	tables[0].base = state->gdtr.base;
	tables[0].limit = state->gdtr.limit;
	tables[1].base = state->idtr.base;
	tables[1].limit = state->idtr.limit;
	memcpy(&state->gdtr, &tables[0], sizeof(tables[0]));
	memcpy(&state->idtr, &tables[1], sizeof(tables[1]));
}

void jit_state_simplify(struct cpu *state)
{
	state->flag_result = flags_arith(state);
	state->flag_aux = 0;
	state->op = state->op_end = state->saved_op = NULL;
	state->block = NULL;
	state->exec_tag = 0; /* counts what trials do, too */
	state->saved_result = state->saved_aux = 0;
	memset(state->bounce, 0, sizeof(state->bounce));
	state->bounce_linear = state->bounce_size = state->bounce_seg = 0;
	clear_gaps(state);
}

bool jit_state_equal(const struct cpu *a, const struct cpu *b)
{
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
		if (memcmp((const u8 *)a + pieces[i].from, (const u8 *)b + pieces[i].from,
		            pieces[i].to - pieces[i].from) != 0)
			return false;
	return true;
}

/* ---- in words ---- */

#define FIELD(member) #member, offsetof(struct cpu, member), sizeof(((struct cpu *)0)->member)

/* The members of struct cpu that a message calls by name. It names the elements of an array one by one. */
static const struct field {
	const char *name;
	size_t at, size;
	unsigned unit; /* bytes of an element; 0: the member is no array */
} fields[] = {
        {FIELD(xmm), 16},
        {FIELD(ymm_high), 16},
        {FIELD(flag_result), 0},
        {FIELD(rflags_rest), 0},
        {FIELD(icount), 0},
        {FIELD(toil), 0},
        {FIELD(mode), 0},
        {FIELD(cpl), 0},
        {FIELD(attention), 0},
        {FIELD(shadow), 0},
        {FIELD(seg), sizeof(struct cpu_seg)},
        {FIELD(cr2), 0},
        {FIELD(x87), 0},
        {FIELD(mxcsr), 0},
        {FIELD(event), 0},
        {FIELD(access), sizeof(struct cpu_access)},
        {FIELD(accesses), 0},
        {FIELD(exit), 0},
};

/* Names the 8 bytes at an offset, with the number of an element of an array. */
static void name_of(size_t at, char *text, size_t size)
{
	static const char *const registers[CPU_GPR_COUNT] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi",
	        "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "zero", "rip"};

	if (at < sizeof(((struct cpu *)0)->gpr)) {
		snprintf(text, size, "%s", registers[at / 8]);
		return;
	}
	for (const struct field *f = fields; f < fields + ARRAY_LEN(fields); f++) {
		if (at + 8 <= f->at || at >= f->at + f->size)
			continue;
		at = at > f->at ? at - f->at : 0;
		if (f->unit)
			snprintf(text, size, "%s[%zu] at byte %zu", f->name, at / f->unit, at % f->unit);
		else
			snprintf(text, size, "%s at byte %zu", f->name, at);
		return;
	}
	snprintf(text, size, "byte %zu of the processor's state", at);
}

void jit_state_tell_differences(const struct cpu *interpreted, const struct cpu *translated)
{
	unsigned told = 0;
	char name[64];
	u64 values[2];

	for (size_t at = 0; at + 8 <= sizeof(struct cpu) && told < TOLD_MAX; at += 8) {
		memcpy(&values[0], (const u8 *)interpreted + at, 8);
		memcpy(&values[1], (const u8 *)translated + at, 8);
		if (values[0] == values[1])
			continue;
		name_of(at, name, sizeof(name));
		log_error("sim.cpu: %s: 0x%llx interpreted, 0x%llx translated", name,
		        (unsigned long long)values[0], (unsigned long long)values[1]);
		told++;
	}
}
