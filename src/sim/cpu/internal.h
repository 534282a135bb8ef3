/*
 * internal: what the files of the processor share: the decoded operation, the software TLB's fast path,
 * registers by offset, raising of exceptions. The vCPU's thread.
 */
#ifndef SIM_CPU_INTERNAL_H
#define SIM_CPU_INTERNAL_H

#include <string.h>

#include "arch.h"
#include "cpu.h"
#include "ram.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define ALWAYS      static inline __attribute__((always_inline))

/* What decoding depends on; part of a block's key. */
enum sim_mode {
	MODE_64 = 1,    /* 64-bit mode: long mode and CS.L */
	MODE_CS32 = 2,  /* CS.D */
	MODE_SS32 = 4,  /* SS.B */
	MODE_PE = 8,    /* CR0.PE */
	MODE_LONG = 16, /* EFER.LMA */
	MODE_VM = 32,   /* virtual 8086 */
};

/* What a row of the opcode maps may need from CPUID. */
enum sim_feature {
	FEATURE_NONE = 0,
	FEATURE_SSE3 = 1 << 0,
	FEATURE_SSSE3 = 1 << 1,
	FEATURE_SSE41 = 1 << 2,
	FEATURE_SSE42 = 1 << 3,
	FEATURE_POPCNT = 1 << 4,
	FEATURE_MOVBE = 1 << 5,
	FEATURE_CX16 = 1 << 6,
	FEATURE_LZCNT = 1 << 7,
	FEATURE_BMI1 = 1 << 8,
	FEATURE_XSAVEC = 1 << 9,
	FEATURE_ADX = 1 << 10,
	FEATURE_RDRAND = 1 << 11,
	FEATURE_RDSEED = 1 << 12,
	FEATURE_FSGSBASE = 1 << 13,
	FEATURE_RDTSCP = 1 << 14,
	FEATURE_XSAVE = 1 << 15,
	FEATURE_SMAP = 1 << 16,
	FEATURE_SMEP = 1 << 17,
	FEATURE_NX = 1 << 18,
	FEATURE_GB_PAGES = 1 << 19,
	FEATURE_LM = 1 << 20,
	FEATURE_CLFLUSHOPT = 1 << 22,
	FEATURE_CLWB = 1 << 23,
	FEATURE_UMIP = 1 << 24,
	FEATURE_SSE4A = 1 << 25,
	FEATURE_AES = 1 << 26,
	FEATURE_PCLMUL = 1 << 27,
	FEATURE_SHA = 1 << 28,
	FEATURE_RDPID = 1 << 29,
	FEATURE_XSAVEOPT = 1 << 30,
};

/* ---- the decoded operation ---- */

typedef void sim_op_fn(struct sim_cpu *cpu, const struct sim_op *op);

enum op_flag {
	OP_LEGACY = 1, /* not 64-bit mode: segment limits hold, addresses wrap at 32 bits */
	OP_MEM = 2,    /* rm is memory */
	OP_REP = 4,    /* F3 */
	OP_REPNE = 8,  /* F2 */
	OP_LOCK = 16,
	OP_BRANCH = 32, /* sets rip itself */
	OP_66 = 64,
	OP_REXW = 128,
};

struct sim_op {
	sim_op_fn *fn;
	u64 imm;  /* sign-extended; of relative branches: from the block's rip */
	s64 disp; /* likewise for rip-relative addresses */
	u16 next; /* offset of the next instruction from the block's rip */
	u8 len;
	u8 flags;
	u8 reg, rm;     /* byte offsets into gpr, AH..BH odd */
	u8 base, index; /* indices into gpr */
	u8 scale;
	u8 address_shift; /* 64 minus the address size in bits */
	u8 seg;
	u8 size;   /* of the operand in bytes */
	u8 opcode; /* its last byte */
	u8 modrm;
	u8 xreg, xrm; /* register numbers with REX */
};

struct sim_block {
	u64 gpa, gpa2; /* gpa2: page of the second part of a lone instruction that crosses a page, else ~0 */
	u64 epoch;     /* when the bytes were last compared */
	struct sim_block *next;
	u32 mode;
	u16 count, bytes_size;
	bool dead;
	u8 *bytes;
	struct sim_op ops[];
};

/* Handlers by log2 of the operand size: register, memory, memory with LOCK. */
struct sim_handlers {
	sim_op_fn *r[4], *m[4], *l[4];
};

/* ---- registers ---- */

#define REG_RAX cpu->gpr[SIM_RAX]
#define REG_RCX cpu->gpr[SIM_RCX]
#define REG_RDX cpu->gpr[SIM_RDX]
#define REG_RBX cpu->gpr[SIM_RBX]
#define REG_RSP cpu->gpr[SIM_RSP]
#define REG_RBP cpu->gpr[SIM_RBP]
#define REG_RSI cpu->gpr[SIM_RSI]
#define REG_RDI cpu->gpr[SIM_RDI]
#define REG_RIP cpu->gpr[SIM_GPR_RIP]

/*
 * Functions with a size take it in bytes: 1, 2, 4 or 8. Their callers mostly name a constant, so that one
 * host instruction is left of each. Values are zero-extended.
 */
ALWAYS u64 sign_extend(u64 value, unsigned size)
{
	return (u64)((s64)(value << (64 - size * 8)) >> (64 - size * 8));
}

ALWAYS u64 zero_extend(u64 value, unsigned size)
{
	return value << (64 - size * 8) >> (64 - size * 8);
}

/* The register at offset in struct sim_cpu; that of AH, CH, DH and BH is odd. */
ALWAYS u64 reg_get(const struct sim_cpu *cpu, unsigned offset, unsigned size)
{
	return ram_load((const char *)cpu + offset, size);
}

/* As the architecture has it: 4 bytes clear the upper half, 1 or 2 bytes leave the rest of the register. */
ALWAYS void reg_set(struct sim_cpu *cpu, unsigned offset, unsigned size, u64 value)
{
	if (size == 4)
		value = (u32)value;
	ram_store((char *)cpu + offset, size == 4 ? 8 : size, value);
}

/* Bits 63 to 48 of an address as bit 47 has them (APM 2, 1.1.3). */
ALWAYS u64 make_canonical(u64 address)
{
	return (u64)((s64)(address << 16) >> 16);
}

ALWAYS bool is_canonical(u64 address)
{
	return make_canonical(address) == address;
}

ALWAYS bool mode_is(const struct sim_cpu *cpu, u32 bits)
{
	return (cpu->mode & bits) == bits;
}

/* ---- leaving the instruction (run.c) ---- */

/* Each gives up the instruction that runs: its rip stays, nothing of it is kept but REP's finished steps. */
_Noreturn void sim_raise(struct sim_cpu *cpu, u8 vector);
_Noreturn void sim_raise_error(struct sim_cpu *cpu, u8 vector, u32 error);
_Noreturn void sim_raise_page_fault(struct sim_cpu *cpu, u64 linear, u32 error);
_Noreturn void sim_leave(struct sim_cpu *cpu, enum sim_exit exit);
_Noreturn void sim_leave_failed(struct sim_cpu *cpu, const char *why, u64 gpa);
/* The instruction is complete; leave when the block ends (which is now: the row says END). */
void sim_exit_after(struct sim_cpu *cpu, enum sim_exit exit);
u64 sim_op_rip(const struct sim_cpu *cpu); /* of the instruction that runs */
u64 sim_op_next_rip(const struct sim_cpu *cpu);
/* An opcode that is not implemented: counted, named, #UD. */
sim_op_fn op_unknown;
sim_op_fn op_invalid; /* #UD by the architecture */
sim_op_fn op_too_long;

/* After a change of CR0, CR4, EFER, CS, SS, CPL, RFLAGS.IF or AC. */
void sim_mode_changed(struct sim_cpu *cpu);
void sim_flags_changed(struct sim_cpu *cpu);

/* ---- memory: the software TLB (mmu.c) ---- */

#define TLB_ENTRIES       512u
#define TLB_NONE          1u /* in a tag: never matches an address of a page */
#define GPA_NO_RAM        1u
#define GPA_READONLY      2u
#define GPA_SHIFT(n)      ((u64)(n) << 2) /* log2 of the bytes that the guest's tables map there at once */
#define GPA_SHIFT_OF(gpa) ((gpa) >> 2 & 31)
#define TLB_SLOW          2u /* a translation, but not to be touched directly: device, code, read-only, dirty log */

/* TLB_USER_ALIGNED: CPL 3 with alignment checks: nothing in it is used directly. */
enum tlb_set { TLB_SUPERVISOR, TLB_USER, TLB_SUPERVISOR_AC, TLB_USER_ALIGNED, TLB_SETS };

struct sim_tlb_entry {
	u64 read, write;
	uintptr_t host; /* add the linear address */
	u64 gpa; /* of the page; its low bits say what is there (GPA_NO_RAM, GPA_READONLY, GPA_SHIFT) */
};

enum access { ACCESS_READ = 0, ACCESS_WRITE = 2, ACCESS_EXEC = 16 }; /* bits as in #PF's error code */

#define EXEC_ENTRIES 128u

struct sim_exec_entry {
	u64 tag;        /* page, bit 0: user, bit 1: empty */
	u64 gpa;        /* of the page; its low bits: GPA_SHIFT */
	const u8 *host; /* NULL: no RAM */
};

struct sim_tlb {
	struct sim_tlb_entry set[TLB_SETS][TLB_ENTRIES];
	struct sim_exec_entry exec[EXEC_ENTRIES];
	bool used[TLB_SETS];
	bool large[TLB_SETS]; /* pieces of large pages may be in it */
};

void sim_tlb_flush(struct sim_cpu *cpu);
/* INVLPG: the page that linear is in, all of it if it is a large one. */
void sim_tlb_flush_page(struct sim_cpu *cpu, u64 linear);
void sim_tlb_select(struct sim_cpu *cpu);
/* Makes the page slow to write where it is cached: code was found in it. */
void sim_tlb_protect(struct sim_cpu *cpu, u64 gpa);
/* Code: the host address of linear and its gpa; raises #PF; NULL if there is no RAM. */
const u8 *sim_exec_translate(struct sim_cpu *cpu, u64 linear, u64 *ret_gpa);

u64 sim_mem_read_slow(struct sim_cpu *cpu, u64 linear, unsigned size, unsigned seg);
void sim_mem_write_slow(struct sim_cpu *cpu, u64 linear, unsigned size, u64 value, unsigned seg);
void sim_mem_read_bytes(struct sim_cpu *cpu, u64 linear, void *data, unsigned size, unsigned seg);
void sim_mem_write_bytes(struct sim_cpu *cpu, u64 linear, const void *data, unsigned size, unsigned seg);
/* A host address for a read-modify-write of size bytes; ends with sim_rmw_end(). */
void *sim_rmw_slow(struct sim_cpu *cpu, u64 linear, unsigned size, unsigned seg, bool locked);
void sim_rmw_commit(struct sim_cpu *cpu);
void sim_rmw_abandon(struct sim_cpu *cpu); /* after a fault or exit in between */
/* May size bytes be written at linear (raises #PF if not)? For REP INS, and what must not fault half way. */
bool sim_alignment_checked(const struct sim_cpu *cpu); /* CPL 3, CR0.AM, RFLAGS.AC */
void sim_mem_probe(struct sim_cpu *cpu, u64 linear, unsigned size, enum access access, unsigned seg);
/* The host address of linear if RAM may be accessed directly, and is there; else NULL. */
u8 *sim_mem_direct(struct sim_cpu *cpu, u64 linear, bool write, unsigned seg);
/* As supervisor whatever the CPL: descriptor tables, TSS, stacks of handlers. */
u64 sim_sys_read(struct sim_cpu *cpu, u64 linear, unsigned size);
void sim_sys_write(struct sim_cpu *cpu, u64 linear, unsigned size, u64 value);
void sim_access_forget(struct sim_cpu *cpu);
/* The next device access of the instruction; true if an earlier run made it: data is its result. */
bool sim_access_repeated(struct sim_cpu *cpu, struct sim_access **ret);
void sim_port_access(struct sim_cpu *cpu, bool write, u16 port, unsigned size, u64 *value);

ALWAYS const struct sim_tlb_entry *tlb_entry(const struct sim_cpu *cpu, u64 linear)
{
	return &cpu->tlb_now[(linear >> 12) % TLB_ENTRIES];
}

ALWAYS u64 mem_read(struct sim_cpu *cpu, u64 linear, unsigned size, unsigned seg)
{
	const struct sim_tlb_entry *e = tlb_entry(cpu, linear);

	if (likely(e->read == PAGE_OF(linear + size - 1)))
		return ram_load((const void *)(e->host + (uintptr_t)linear), size);
	return sim_mem_read_slow(cpu, linear, size, seg);
}

ALWAYS void mem_write(struct sim_cpu *cpu, u64 linear, unsigned size, u64 value, unsigned seg)
{
	const struct sim_tlb_entry *e = tlb_entry(cpu, linear);

	if (likely(e->write == PAGE_OF(linear + size - 1)))
		ram_store((void *)(e->host + (uintptr_t)linear), size, value);
	else
		sim_mem_write_slow(cpu, linear, size, value, seg);
}

/* A host address of any alignment for a read-modify-write; rmw_end() follows. */
ALWAYS void *rmw_begin(struct sim_cpu *cpu, u64 linear, unsigned size, unsigned seg)
{
	const struct sim_tlb_entry *e = tlb_entry(cpu, linear);

	if (likely(e->write == PAGE_OF(linear + size - 1)))
		return (void *)(e->host + (uintptr_t)linear);
	return sim_rmw_slow(cpu, linear, size, seg, false);
}

/* The same for LOCK: an aligned address, for the atomic operations of ram.h. */
ALWAYS void *rmw_begin_locked(struct sim_cpu *cpu, u64 linear, unsigned size, unsigned seg)
{
	const struct sim_tlb_entry *e = tlb_entry(cpu, linear);

	if (likely(e->write == PAGE_OF(linear + size - 1) && linear % size == 0))
		return (void *)(e->host + (uintptr_t)linear);
	return sim_rmw_slow(cpu, linear, size, seg, true);
}

ALWAYS void rmw_end(struct sim_cpu *cpu, const void *p)
{
	if (unlikely(p == cpu->bounce))
		sim_rmw_commit(cpu);
}

/* ---- addresses ---- */

/* Checks type and limit of a segment outside 64-bit mode; #GP or #SS. */
u64 sim_seg_linear(struct sim_cpu *cpu, unsigned seg, u64 offset, unsigned size, enum access access);

ALWAYS u64 op_offset(const struct sim_cpu *cpu, const struct sim_op *op)
{
	return (cpu->gpr[op->base] + (cpu->gpr[op->index] << op->scale) + (u64)op->disp)
	               << op->address_shift >>
	       op->address_shift;
}

ALWAYS u64 seg_linear(struct sim_cpu *cpu, unsigned seg, u64 offset, unsigned size, enum access access)
{
	if (unlikely(!(cpu->mode & MODE_64)))
		return sim_seg_linear(cpu, seg, offset, size, access);
	return offset + cpu->seg[seg].base;
}

/* The linear address of a memory operand of size bytes. */
ALWAYS u64 op_linear(struct sim_cpu *cpu, const struct sim_op *op, unsigned size, enum access access)
{
	u64 offset = op_offset(cpu, op);

	if (unlikely(op->flags & OP_LEGACY))
		return sim_seg_linear(cpu, op->seg, offset, size, access);
	return offset + cpu->seg[op->seg].base;
}

/* The memory operand. */
ALWAYS u64 rm_mem_read(struct sim_cpu *cpu, const struct sim_op *op, unsigned size)
{
	return mem_read(cpu, op_linear(cpu, op, size, ACCESS_READ), size, op->seg);
}

ALWAYS void rm_mem_write(struct sim_cpu *cpu, const struct sim_op *op, unsigned size, u64 value)
{
	mem_write(cpu, op_linear(cpu, op, size, ACCESS_WRITE), size, value, op->seg);
}

/* The memory operand of a read-modify-write; rmw_end() follows. */
ALWAYS void *rm_begin(struct sim_cpu *cpu, const struct sim_op *op, unsigned size)
{
	return rmw_begin(cpu, op_linear(cpu, op, size, ACCESS_WRITE), size, op->seg);
}

ALWAYS void *rm_begin_locked(struct sim_cpu *cpu, const struct sim_op *op, unsigned size)
{
	return rmw_begin_locked(cpu, op_linear(cpu, op, size, ACCESS_WRITE), size, op->seg);
}

/* Register or memory, any size; for what is not hot. */
u64 sim_rm_read(struct sim_cpu *cpu, const struct sim_op *op, unsigned size);
void sim_rm_write(struct sim_cpu *cpu, const struct sim_op *op, unsigned size, u64 value);

/* ---- the stack (segment.c) ---- */

void sim_push(struct sim_cpu *cpu, unsigned size, u64 value);
u64 sim_pop(struct sim_cpu *cpu, unsigned size);
/* Reads at rsp + offset without moving it; moves it. For what pops several things or nothing. */
u64 sim_stack_peek(struct sim_cpu *cpu, unsigned offset, unsigned size);
void sim_stack_poke(struct sim_cpu *cpu, s64 offset, unsigned size, u64 value);
void sim_stack_move(struct sim_cpu *cpu, s64 by);
/* Raises what a push of size bytes would raise. */
void sim_stack_probe(struct sim_cpu *cpu, unsigned size);

/* ---- branches ---- */

/* A near branch: the target is cut to size bytes (64-bit mode: all), checked against the limit. */
void sim_jump(struct sim_cpu *cpu, u64 target, unsigned size);

/* ---- segments and control flow between them (segment.c, far.c, interrupt.c) ---- */

void sim_seg_load(struct sim_cpu *cpu, unsigned index, u16 selector);
void sim_seg_load_real(struct sim_cpu *cpu, unsigned index, u16 selector);
bool sim_descriptor_read(struct sim_cpu *cpu, u16 selector, u64 ret_descriptor[static 2], u64 *ret_linear);
void sim_descriptor_unpack(
        const u64 descriptor[static 2], u16 selector, bool system64, struct sim_seg *ret_seg);
/* Marks the descriptor at linear, of which seg was made, as used. */
void sim_descriptor_accessed(struct sim_cpu *cpu, u64 linear, struct sim_seg *seg);
void sim_set_cpl(struct sim_cpu *cpu, u32 cpl);
void sim_deliver(struct sim_cpu *cpu);
/* Takes this many of the NMIs that wait (run.c), and forgets those that are too many. */
void sim_nmis_take(struct sim_cpu *cpu, u32 count);

/* ---- control registers and others (control.c, system.c) ---- */

ALWAYS void require_cpl0(struct sim_cpu *cpu)
{
	if (cpu->cpl)
		sim_raise_error(cpu, EXC_GP, 0);
}

/* Of MOV to and from control and debug registers, in bytes. */
ALWAYS unsigned register_width(const struct sim_cpu *cpu)
{
	return cpu->mode & MODE_64 ? 8 : 4;
}

void sim_cr0_write(struct sim_cpu *cpu, u64 value);
void sim_cr3_write(struct sim_cpu *cpu, u64 value);
void sim_cr4_write(struct sim_cpu *cpu, u64 value);
void sim_pdptes_load(struct sim_cpu *cpu);
u64 sim_cr4_allowed(const struct sim_cpu *cpu);
/* Does CPUID have the features that these bits of EFER switch? */
bool sim_efer_valid(const struct sim_cpu *cpu, u64 value);
/* RDMSR and WRMSR: by the processor, the platform, or an exit; false: #GP(0). */
bool sim_msr_access(struct sim_cpu *cpu, bool write, u32 index, u64 *value);
void sim_cpuid_query(const struct sim_cpu *cpu, u32 leaf, u32 subleaf, u32 ret_regs[static 4]);

/* Device not available and x87 exceptions due: before each FPU instruction. */
void sim_fpu_check(struct sim_cpu *cpu);
void sim_sse_check(struct sim_cpu *cpu);
void sim_x87_pending(struct sim_cpu *cpu); /* #MF if an unmasked exception waits */
void sim_x87_summary(struct sim_cpu *cpu); /* FSW.ES and B, from the flags and masks */
void sim_fxsave_write(const struct sim_cpu *cpu, u8 area[static 512], bool wide, bool with_xmm16);
bool sim_fxsave_read(struct sim_cpu *cpu, const u8 area[static 512], bool wide, bool with_xmm16);

/* ---- the block cache (code.c) ---- */

int sim_code_create(struct sim_cpu *cpu, struct err *err) MUST_CHECK;
void sim_code_destroy(struct sim_cpu *cpu);
/* The block at CS:RIP; decodes it if needed; raises #PF and #GP of the fetch. */
struct sim_block *sim_code_find(struct sim_cpu *cpu, u64 linear);
/* sim_cpu.toil: what takes long, in instructions' time, and how much of it there may be before the caller
 * gets to look. */
#define SIM_TOIL_BLOCK 250u /* to decode */
#define SIM_TOIL_FAULT 200u /* to unwind and deliver */
#define SIM_TOIL_MAX   50000u
/* Nothing the jump cache says holds any more (translations changed, time to compare bytes again). */
void sim_code_forget_jumps(struct sim_cpu *cpu);
/* As above, and bytes of blocks are compared before they run again: another processor or the VMM may have
 * written. */
void sim_code_serialize(struct sim_cpu *cpu);
void sim_code_serialize_lazily(struct sim_cpu *cpu); /* if the last time is a while ago */
/* Is there code in the page? Called by the TLB; a write then comes by sim_code_written(). */
bool sim_code_in_page(const struct sim_cpu *cpu, u64 gpa);
void sim_code_written(struct sim_cpu *cpu, u64 gpa, unsigned size);

void sim_code_privilege_changed(struct sim_cpu *cpu);
void sim_code_forget_blocks(struct sim_cpu *cpu);
/*
 * Where the dispatcher looks first: the block at a linear address, if linear and tag (cpu->exec_tag:
 * translations, mode, privilege, bytes known to be current) are equal.
 */
struct sim_jump {
	u64 linear, tag;
	struct sim_block *block;
};
#define JUMP_ENTRIES 4096u
struct sim_jump *sim_code_jumps(struct sim_cpu *cpu);

ALWAYS unsigned sim_jump_index(u64 linear)
{
	return (unsigned)(linear ^ linear >> 12) % JUMP_ENTRIES;
}

/* ---- the decoder (decode.c) ---- */

/*
 * Decodes one instruction of at most size bytes at code. Returns its length; 0 if it needs more bytes.
 * Sets *ret_end if the block must end behind it. offset: of the instruction from the block's start.
 */
unsigned sim_decode(const struct sim_cpu *cpu, const u8 *code, unsigned size, unsigned offset,
        struct sim_op *ret_op, bool *ret_end);

#endif
