/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thunks: the pieces of native code that all blocks share: how a run begins and ends, and how the guest's
 * registers and flags go to struct cpu and back.
 */
#include "leave.h"

static const u8 *here(const struct emit *e)
{
	return e->at;
}

static void ret(struct emit *e)
{
	put8(e, 0xc3);
}

static void push(struct emit *e, unsigned reg)
{
	put_opcode(e, 0x50 | (reg & 7), 4, 0, 0, reg);
}

static void pop(struct emit *e, unsigned reg)
{
	put_opcode(e, 0x58 | (reg & 7), 4, 0, 0, reg);
}

static void move_rsp(struct emit *e, s32 by)
{
	put_rm(e, X_LEA, 8, RSP, RSP, by);
}

static void call_c(struct emit *e, uintptr_t function)
{
	put_constant(e, RAX, function);
	put_rr(e, 0xff, 4, 2, RAX);
}

/* Stores or loads all registers that have a home. */
static void all_registers(struct emit *e, unsigned opcode)
{
	for (unsigned guest = 0; guest < 16; guest++)
		if (has_home(guest))
			put_rm(e, opcode, 8, (unsigned)jit_home[guest], RBP, (s32)(guest * 8));
}

/* Uses rcx and rdi; keeps rdx. */
static void emit_spill(struct jit *jit, struct emit *e)
{
	u8 *elsewhere;

	jit->thunks.spill = here(e);
	all_registers(e, X_STORE);
	put_rm(e, X_STORE, 8, R15, RBP, CPU_AT(icount));
	put8(e, 0xa8), put8(e, FLAGS_ELSEWHERE); /* test al, imm8 */
	elsewhere = put_forward(e, 0x0f85);
	put8(e, 0x0f), put8(e, 0xb6), put8(e, 0xcc); /* movzx ecx, ah */
	put_at(e, X_LEA, 8, RDI, jit->aux_table);
	put_rmx(e, X_LOAD, 8, RDI, RDI, RCX, 3, 0);
	put_rr(e, 0x0fb6, 4, RCX, RAX); /* movzx ecx, al: OF */
	put_rr(e, 0xc1, 8, 4, RCX), put8(e, 62);
	put_rr(e, X_XOR, 8, RCX, RDI);
	put_rm(e, X_STORE, 8, RDI, RBP, CPU_AT(flag_aux));
	put_rr(e, 0xc1, 4, 5, RAX),
	        put8(e, 14); /* ZF is bit 6 of AH; the result is 0 if it is set, and else 1 */
	put_ri(e, 4, 4, RAX, 1);
	put_ri(e, 6, 4, RAX, 1);
	put_rm(e, X_STORE, 8, RAX, RBP, CPU_AT(flag_result));
	land(e, elsewhere);
	ret(e);
}

static void emit_reload(struct jit *jit, struct emit *e)
{
	jit->thunks.reload = here(e);
	all_registers(e, X_LOAD);
	put_rm(e, X_LOAD, 8, R15, RBP, CPU_AT(icount));
	put_constant(e, RAX, 0);
	put_rm(e, X_STORE, 8, RAX, RBP, CPU_AT(op));
	put_constant(e, RAX, FLAGS_ELSEWHERE);
	ret(e);
}

/* The frame has 24 bytes for scratch at rsp, and rsp is a multiple of 16 in native code, as the ABI wants it
 * at a call. */
static const u8 saved[] = {RBX, RBP, R12, R13, R14, R15};
#define FRAME 24

/* Returns whether a call of C may change a register. */
static bool is_lost(s8 reg)
{
	for (unsigned i = 0; i < ARRAY_LEN(saved); i++)
		if (saved[i] == reg)
			return false;
	return true;
}

static void emit_enter(struct jit *jit, struct emit *e)
{
	const u8 *code = here(e) + e->there;

	memcpy(&jit->thunks.enter, &code, sizeof(code));
	for (unsigned i = 0; i < ARRAY_LEN(saved); i++)
		push(e, saved[i]);
	move_rsp(e, -FRAME);
	put_rr(e, X_STORE, 8, RDI, RBP);
	put_rm(e, X_STORE, 8, RSI, RSP, 0);
	put_jump(e, 0xe8, jit->thunks.reload);
	put_rm(e, 0xff, 4, 4, RSP, 0); /* jmp [rsp] */
}

/* rdx: the slot that says where the guest goes on */
static void set_rip(struct emit *e)
{
	put_rm(e, X_LOAD, 8, RCX, RDX, (s32)offsetof(struct jit_slot, linear));
	put_rm(e, X_STORE, 8, RCX, RBP, CPU_AT(gpr) + CPU_GPR_RIP * 8);
}

static void emit_leave(struct jit *jit, struct emit *e)
{
	jit->thunks.leave_at = here(e);
	set_rip(e);
	jit->thunks.leave = here(e);
	put_jump(e, 0xe8, jit->thunks.spill);
	jit->thunks.leave_spilt = here(e);
	put_constant(e, RAX, 0);
	put_rm(e, X_STORE, 8, RAX, RBP, CPU_AT(op));
	move_rsp(e, FRAME);
	for (unsigned i = ARRAY_LEN(saved); i-- > 0;)
		pop(e, saved[i]);
	ret(e);
}

/*
 * C finds all registers in struct cpu, where it changes none. So only those that C loses are loaded again,
 * and the flags stay an image.
 */
static void emit_resolve(struct jit *jit, struct emit *e)
{
	u8 *none;

	jit->thunks.resolve_at = here(e);
	set_rip(e);
	jit->thunks.resolve = here(e);
	put_rm(e, X_STORE, 8, RAX, RSP, 0);
	put_jump(e, 0xe8, jit->thunks.spill);
	put_rr(e, X_STORE, 8, RBP, RDI);
	put_rr(e, X_STORE, 8, RDX, RSI);
	call_c(e, (uintptr_t)jit_resolve);
	put_rr(e, X_TEST, 8, RAX, RAX);
	none = put_forward(e, 0x0f84);
	put_rr(e, X_STORE, 8, RAX, RCX);
	for (unsigned guest = 0; guest < 16; guest++)
		if (has_home(guest) && is_lost(jit_home[guest]))
			put_rm(e, X_LOAD, 8, (unsigned)jit_home[guest], RBP, (s32)(guest * 8));
	put_rm(e, X_LOAD, 8, RAX, RSP, 0);
	put_rr(e, 0xff, 4, 4, RCX); /* jmp rcx */
	land(e, none);
	put_jump(e, 0xe9, jit->thunks.leave_spilt);
}

/* rdx: the operation */
static void emit_handle(struct jit *jit, struct emit *e)
{
	jit->thunks.handle = here(e);
	put_jump(e, 0xe8, jit->thunks.spill);
	put_rm(e, X_STORE, 8, RDX, RBP, CPU_AT(op));
	put_rr(e, X_STORE, 8, RDX, RSI);
	put_rr(e, X_STORE, 8, RBP, RDI);
	move_rsp(e, -8);
	put_rm(e, 0xff, 4, 2, RDX, (s32)offsetof(struct cpu_op, fn));
	move_rsp(e, 8);
	put_jump(e, 0xe9, jit->thunks.reload);
}

/* Returns the image of the flags that are in struct cpu. */
static u64 flags_image(const struct cpu *cpu)
{
	u32 flags = flags_arith(cpu);

	return (flags & 0xd5) << 8 | (flags & FLAG_OF ? 1 : 0);
}

static void emit_flags_in(struct jit *jit, struct emit *e)
{
	static const u8 lost[] = {RCX, RDX, RSI, RDI, R8, R9, R10, R11};
	u8 *image;

	jit->thunks.flags_in = here(e);
	put8(e, 0xa8), put8(e, FLAGS_ELSEWHERE);
	image = put_forward(e, 0x0f84);
	for (unsigned i = 0; i < ARRAY_LEN(lost); i++)
		push(e, lost[i]);
	move_rsp(e, -8);
	put_rr(e, X_STORE, 8, RBP, RDI);
	call_c(e, (uintptr_t)flags_image);
	move_rsp(e, 8);
	for (unsigned i = ARRAY_LEN(lost); i-- > 0;)
		pop(e, lost[i]);
	land(e, image);
	/* rax stays an image, for a fault right behind. Adding 0x7f sets OF if AL is 1. */
	put_rr(e, 0x0fb6, 1, RDI, RAX);
	put_ri(e, 0, 1, RDI, 0x7f);
	put8(e, 0x9e); /* sahf */
	ret(e);
}

void jit_thunks_emit(struct jit *jit, struct emit *e)
{
	emit_spill(jit, e);
	emit_reload(jit, e);
	emit_enter(jit, e);
	emit_leave(jit, e);
	emit_resolve(jit, e);
	emit_handle(jit, e);
	emit_flags_in(jit, e);
	jit->thunks.behind_branch = here(e);
	put_rm(e, X_LOAD, 8, RDX, RBP, CPU_AT(gpr) + CPU_GPR_RIP * 8);
	jit_emit_look_up(jit, e, true);
}
