/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access: guest memory in native code. The software TLB is asked as in cpu/access.h. What it cannot answer at
 * once goes to the slow path of the operation, which runs it by its handler from the start: so nothing of an
 * operation is done before its last access was found to be simple.
 */
#include "ops.h"

static struct slow_path *slow_path(struct translation *t, const struct cpu_op *op)
{
	if (!t->path) {
		t->path = &t->slow[t->slow_count++];
		*t->path = (struct slow_path){
		        .op = op, .first_fault = t->jit->fault_count, .last_fault = t->jit->fault_count};
	}
	return t->path;
}

void jit_slow_if(struct translation *t, const struct cpu_op *op, unsigned cc)
{
	struct slow_path *path = slow_path(t, op);

	path->from[path->froms++] = put_forward(&t->e, 0x0f80 | cc);
}

void jit_accesses(struct translation *t)
{
	t->jit->faults[t->jit->fault_count++] = (struct jit_fault){.at = (u32)(t->e.at - t->jit->write)};
	t->path->last_fault = t->jit->fault_count;
}

void jit_address_at(struct translation *t, unsigned guest, s32 offset)
{
	unsigned base = jit_get(t, guest, RCX);

	if (offset)
		put_rm(&t->e, X_LEA, 8, RCX, base, offset);
	else if (base != RCX)
		put_rr(&t->e, X_STORE, 8, base, RCX);
}

static void effective_address(struct translation *t, const struct cpu_op *op, unsigned to)
{
	unsigned width = op->address_shift ? 4 : 8;
	s32 disp = (s32)op->disp; /* only MOV of the accumulator has more, without a base */
	struct emit *e = &t->e;

	if (op->base == CPU_GPR_RIP) {
		u64 at = t->linear + (u64)op->disp;

		put_constant(e, to, width == 4 ? (u32)at : at);
		return;
	}
	if (op->base == CPU_GPR_ZERO && op->index == CPU_GPR_ZERO) {
		put_constant(e, to, width == 4 ? (u32)op->disp : (u64)op->disp);
		return;
	}
	if (op->index == CPU_GPR_ZERO) {
		unsigned base = jit_get(t, op->base, to);

		if (disp || width == 4)
			put_rm(e, X_LEA, width, to, base, disp);
		else if (base != to)
			put_rr(e, X_STORE, 8, base, to);
	} else if (op->base == CPU_GPR_ZERO) {
		put_rx(e, X_LEA, width, to, jit_get(t, op->index, RDI), op->scale, disp);
	} else {
		unsigned base = jit_get(t, op->base, to);

		put_rmx(e, X_LEA, width, to, base, jit_get(t, op->index, RDI), op->scale, disp);
	}
}

void jit_address(struct translation *t, const struct cpu_op *op)
{
	jit_flags_to_image(t);
	effective_address(t, op, RCX);
	if (op->seg == CPU_FS || op->seg == CPU_GS)
		put_rm(&t->e, X_ADD_LOAD, 8, RCX, RBP,
		        (s32)(offsetof(struct cpu, seg) + op->seg * sizeof(struct cpu_seg) +
		                offsetof(struct cpu_seg, base)));
}

bool jit_lea(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	unsigned target = jit_target(op->reg / 8, RCX);

	if (op->size == 2) {
		unsigned old = jit_get(t, op->reg / 8, RDX);

		effective_address(t, op, RCX);
		put_rr(&t->e, X_STORE, 2, RCX, old);
		jit_put(t, op->reg / 8, old);
		return true;
	}
	effective_address(t, op, RCX);
	put_rr(&t->e, X_STORE, op->size, RCX, target);
	jit_put(t, op->reg / 8, target);
	return true;
}

/*
 * The index of the entry is in bits 12 to 20 of the address, and an entry has 32 bytes: (address >> 7) & (511
 * << 5).
 */
void jit_probe(struct translation *t, const struct cpu_op *op, unsigned size, bool write)
{
	struct emit *e = &t->e;

	_Static_assert(sizeof(struct cpu_tlb_entry) == 32 && TLB_ENTRIES == 512, "the shift and the mask");
	put_rr(e, X_STORE, 4, RCX, RDX);
	put_rm(e, X_LEA, 8, RDI, RCX, (s32)size - 1);
	put_rr(e, 0xc1, 4, 5, RDX);
	put8(e, 7);
	put_ri(e, 4, 4, RDX, 0x3fe0);
	put_ri(e, 4, 8, RDI, -4096);
	put_rm(e, X_ADD_LOAD, 8, RDX, RBP, CPU_AT(tlb_now));
	put_rm(e, X_CMP_LOAD, 8, RDI, RDX,
	        write ? (s32)offsetof(struct cpu_tlb_entry, write)
	              : (s32)offsetof(struct cpu_tlb_entry, read));
	jit_slow_if(t, op, 5);
	put_rm(e, X_ADD_LOAD, 8, RCX, RDX, (s32)offsetof(struct cpu_tlb_entry, host));
}
