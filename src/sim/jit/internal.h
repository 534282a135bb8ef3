/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal: what the files of the translator share. All of it runs on the vCPU's thread.
 *
 * Where the guest is while native code runs:
 *
 *    rbp           struct cpu             r15           icount at the block's start
 *    rax           the flags              rcx, rdx, rdi scratch
 *    the others    RAX to RDI and R8 of the guest (jit_home); R9 to R15 stay in struct cpu
 *
 * rax holds an image of the flags: AH as LAHF leaves it, AL 1 if OF is set. Or it has FLAGS_ELSEWHERE set:
 * then the flags are in struct cpu, in the form of flags.h. Within a block they may also be in the host's own
 * flags; enum flags_at follows that.
 *
 * RIP is not kept: code is made for one linear address, and writes RIP before it leaves or calls a handler.
 * At such a place the registers go to struct cpu (thunks.spill), so that a fault or an exit in the handler
 * finds what it finds with the interpreter.
 */
#ifndef JIT_INTERNAL_H
#define JIT_INTERNAL_H

#include "cpu/native.h"
#include "cpu/ops.h"
#include "emit.h"
#include "jit.h"

#define CODE_BYTES  MIB(8) /* of one processor */
#define SLOTS_BYTES MIB(4)
#define BLOCK_BYTES 16384u /* the most that a block may need */
#define FAULTS_MAX  131072u

#define FLAGS_ELSEWHERE 2

/*
 * Where a block goes on: a jump leads to entry while tag is cpu.exec_tag. When it is not, block is asked for
 * first; NULL: nothing is known yet.
 */
struct jit_slot {
	u64 tag;
	const u8 *entry;
	u64 linear;
	struct cpu_block *block;
};
#define SLOT_SHIFT 5
_Static_assert(sizeof(struct jit_slot) == 1 << SLOT_SHIFT, "the code computes addresses of targets by it");

/* A translation; one block has one for each linear address from which it runs. */
struct jit_code {
	u64 linear;
	const u8 *entry;
	const struct cpu_block *block;
	u32 runs; /* counted only by both.c */
	struct jit_code *next;
};

/* An instruction that accesses guest memory, and where to go on if it faults; both count from the start of
 * the code. */
struct jit_fault {
	u32 at, detour;
};

struct jit_thunks {
	void (*enter)(struct cpu *cpu, const u8 *entry); /* called by C: runs code */
	const u8 *spill;                                 /* registers and flags to struct cpu */
	const u8 *reload;                                /* back from there, with FLAGS_ELSEWHERE */
	const u8 *leave;         /* ends the run, while the registers are in the host's */
	const u8 *leave_spilt;   /* the same while they are in struct cpu */
	const u8 *leave_at;      /* as leave, with rip set to the place of the slot in rdx */
	const u8 *resolve;       /* goes on at cpu.rip, by jit_resolve(); rdx: the slot, or 0 */
	const u8 *resolve_at;    /* the same, with rip set to the place of the slot in rdx */
	const u8 *handle;        /* runs the operation rsi by its handler, between spill and reload */
	const u8 *flags_in;      /* makes rax the host's flags */
	const u8 *behind_branch; /* goes on at cpu.rip after a handler of a branch; icount is at the next
	                            block's start */
};

struct jit {
	struct cpu_native native; /* first: cpu.native is cast to it */
	struct jit_pool *pool;
	unsigned index;          /* in the pool */
	u8 *write, *code, *data; /* the code to write and to execute; slots, targets and jit_code */
	size_t code_used, code_start, data_used, data_start;
	struct jit_thunks thunks;
	struct jit_slot *targets; /* the places that indirect jumps lead to, by cpu_jump_index() */
	const u64 *aux_table;     /* flag_aux by AH, without OF */
	struct jit_fault *faults; /* by address */
	u32 fault_count, heat, generation;
	struct both *both; /* compares with the interpreter (both.h); NULL: nobody does */
};

/*
 * Returns the block's code for an address, which is made when the block has run often; NULL: there is none.
 */
struct jit_code *jit_code_of(struct cpu *cpu, struct cpu_block *block, u64 linear);

/* ---- the translation of a block ---- */

enum flags_at {
	FLAGS_HOST,  /* the host's flags */
	FLAGS_IMAGE, /* rax, or FLAGS_ELSEWHERE */
};

/* The code that runs an operation by its handler, when its access is not simple: emitted behind the block. */
struct slow_path {
	const struct cpu_op *op;
	u8 *from[4]; /* jumps here */
	unsigned froms;
	const u8 *back;
	u32 first_fault, last_fault; /* whose detour this is */
	bool to_host;                /* the fast path leaves the flags in the host's */
};

struct translation {
	struct emit e;
	struct jit *jit;
	const struct cpu_block *block;
	u64 linear;
	bool spilt; /* the registers are in struct cpu, and so are the flags */
	enum flags_at flags;
	bool af_unsure;    /* the guest's AF is clear, whatever the host's is */
	bool flags_wanted; /* somebody may see the flags that the present operation leaves */
	bool calls;        /* a handler may have run in this block */
	bool ended;        /* the last operation has emitted where the block goes on */
	struct slow_path slow[32];
	unsigned slow_count;
	struct slow_path *path; /* of the present operation; NULL: none yet */
	const u8 *enter_block;  /* sets cpu.block and the like */
};

/* How an operation is translated. False: not at all, by its handler. */
typedef bool jit_fn(struct translation *t, const struct cpu_op *op, unsigned detail);

enum flag_use {
	USES_NONE = 0,
	READS_FLAGS = 1,
	SETS_FLAGS = 2, /* all of them, always */
	ACCESSES = 4,   /* memory, so that it may fault */
};

struct jit_row {
	cpu_op_fn *handler;
	jit_fn *fn;
	u16 detail;
	u8 uses; /* enum flag_use; ACCESSES is set where every form accesses memory */
};

/* Returns the row of a handler, or NULL. */
const struct jit_row *jit_row_find(cpu_op_fn *handler);
/* Makes the table of rows, once. Any thread. */
void jit_rows_prepare(void);

/* Translates a block for an address; NULL: there is no room. */
struct jit_code *jit_translate(struct jit *jit, const struct cpu_block *block, u64 linear);
/*
 * Returns the code at cpu.rip, for a slot or for an indirect jump (NULL), whose code did not count any more.
 * NULL: it is the dispatcher's turn. The registers are in struct cpu; raises what the dispatcher would.
 */
const u8 *jit_resolve(struct cpu *cpu, struct jit_slot *slot);
/* Emits the thunks. */
void jit_thunks_emit(struct jit *jit, struct emit *e);

/* ---- registers (regs.c) ---- */

extern const s8 jit_home[16];

#define CPU_AT(member) ((s32)offsetof(struct cpu, member))

ALWAYS bool has_home(unsigned guest)
{
	return jit_home[guest] >= 0;
}

/* Returns the host register with the guest's; one without a home is loaded to scratch. */
unsigned jit_get(struct translation *t, unsigned guest, unsigned scratch);
/* Returns the host register in which a new value of the guest's is made, and puts it in place afterwards. */
unsigned jit_target(unsigned guest, unsigned scratch);
void jit_put(struct translation *t, unsigned guest, unsigned host);
/* Loads the registers if they are in struct cpu; puts them there. */
void jit_need_registers(struct translation *t);
void jit_need_memory(struct translation *t);
/* Make the flags the host's, or the image in rax. */
void jit_flags_to_host(struct translation *t);
void jit_flags_to_image(struct translation *t);
/* Says that the host's flags are now the guest's. */
void jit_flags_made(struct translation *t, bool af_unsure);

/* ---- memory (access.c) ---- */

/* Leaves the linear address of the memory operand in rcx; uses rdi. */
void jit_address(struct translation *t, const struct cpu_op *op);
/* The same for offset bytes from a register. */
void jit_address_at(struct translation *t, unsigned guest, s32 offset);
/* Makes rcx, a linear address, the host's address of size bytes; uses rdx and rdi. */
void jit_probe(struct translation *t, const struct cpu_op *op, unsigned size, bool write);
/* Says that the next instruction accesses guest memory. */
void jit_accesses(struct translation *t);
/* Emits a conditional jump to the operation's slow path. */
void jit_slow_if(struct translation *t, const struct cpu_op *op, unsigned cc);

/* ---- where a block goes on (leave.c) ---- */

/* At a linear address that is known, or at the one in rdx. op is the last operation that ran. */
void jit_go_on_at(struct translation *t, u64 linear, unsigned count);
void jit_go_on_indirect(struct translation *t, unsigned count);

#endif
