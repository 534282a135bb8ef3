/*
 * internal: what the files of the processor share: the decoded operation, the software TLB's fast path,
 * registers by offset, raising of exceptions. The vCPU's thread.
 */
#ifndef CPU_INTERNAL_H
#define CPU_INTERNAL_H

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
enum cpu_mode {
	MODE_64 = 1,    /* 64-bit mode: long mode and CS.L */
	MODE_CS32 = 2,  /* CS.D */
	MODE_SS32 = 4,  /* SS.B */
	MODE_PE = 8,    /* CR0.PE */
	MODE_LONG = 16, /* EFER.LMA */
	MODE_VM = 32,   /* virtual 8086 */
};

/* What a row of the opcode maps may need from CPUID. */
enum cpu_feature {
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

typedef void cpu_op_fn(struct cpu *cpu, const struct cpu_op *op);

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

struct cpu_op {
	cpu_op_fn *fn;
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

struct cpu_block {
	u64 gpa, gpa2; /* gpa2: page of the second part of a lone instruction that crosses a page, else ~0 */
	u64 epoch;     /* when the bytes were last compared */
	struct cpu_block *next;
	u32 mode;
	u16 count, bytes_size;
	bool dead;
	u8 *bytes;
	struct cpu_op ops[];
};

/* Handlers by log2 of the operand size: register, memory, memory with LOCK. */
struct cpu_handlers {
	cpu_op_fn *r[4], *m[4], *l[4];
};

/* ---- registers ---- */

#define REG_RAX cpu->gpr[CPU_RAX]
#define REG_RCX cpu->gpr[CPU_RCX]
#define REG_RDX cpu->gpr[CPU_RDX]
#define REG_RBX cpu->gpr[CPU_RBX]
#define REG_RSP cpu->gpr[CPU_RSP]
#define REG_RBP cpu->gpr[CPU_RBP]
#define REG_RSI cpu->gpr[CPU_RSI]
#define REG_RDI cpu->gpr[CPU_RDI]
#define REG_RIP cpu->gpr[CPU_GPR_RIP]

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

/* The register at offset in struct cpu; that of AH, CH, DH and BH is odd. */
ALWAYS u64 reg_get(const struct cpu *cpu, unsigned offset, unsigned size)
{
	return ram_load((const char *)cpu + offset, size);
}

/* As the architecture has it: 4 bytes clear the upper half, 1 or 2 bytes leave the rest of the register. */
ALWAYS void reg_set(struct cpu *cpu, unsigned offset, unsigned size, u64 value)
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

ALWAYS bool mode_is(const struct cpu *cpu, u32 bits)
{
	return (cpu->mode & bits) == bits;
}

/* ---- leaving the instruction (run.c) ---- */

/* Each gives up the instruction that runs: its rip stays, nothing of it is kept but REP's finished steps. */
_Noreturn void cpu_raise(struct cpu *cpu, u8 vector);
_Noreturn void cpu_raise_error(struct cpu *cpu, u8 vector, u32 error);
_Noreturn void cpu_raise_page_fault(struct cpu *cpu, u64 linear, u32 error);
_Noreturn void cpu_leave(struct cpu *cpu, enum cpu_exit exit);
_Noreturn void cpu_leave_failed(struct cpu *cpu, const char *why, u64 gpa);
/* The instruction is complete; leave when the block ends (which is now: the row says END). */
void cpu_exit_after(struct cpu *cpu, enum cpu_exit exit);
u64 cpu_op_rip(const struct cpu *cpu); /* of the instruction that runs */
u64 cpu_op_next_rip(const struct cpu *cpu);
/* An opcode that is not implemented: counted, named, #UD. */
cpu_op_fn op_unknown;
cpu_op_fn op_invalid; /* #UD by the architecture */
cpu_op_fn op_too_long;

/* After a change of CR0, CR4, EFER, CS, SS, CPL, RFLAGS.IF or AC. */
void cpu_mode_changed(struct cpu *cpu);
void cpu_flags_changed(struct cpu *cpu);

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

struct cpu_tlb_entry {
	u64 read, write;
	uintptr_t host; /* add the linear address */
	u64 gpa; /* of the page; its low bits say what is there (GPA_NO_RAM, GPA_READONLY, GPA_SHIFT) */
};

enum access { ACCESS_READ = 0, ACCESS_WRITE = 2, ACCESS_EXEC = 16 }; /* bits as in #PF's error code */

#define EXEC_ENTRIES 128u

struct cpu_exec_entry {
	u64 tag;        /* page, bit 0: user, bit 1: empty */
	u64 gpa;        /* of the page; its low bits: GPA_SHIFT */
	const u8 *host; /* NULL: no RAM */
};

struct cpu_tlb {
	struct cpu_tlb_entry set[TLB_SETS][TLB_ENTRIES];
	struct cpu_exec_entry exec[EXEC_ENTRIES];
	bool used[TLB_SETS];
	bool large[TLB_SETS]; /* pieces of large pages may be in it */
};

void cpu_tlb_flush(struct cpu *cpu);
/* INVLPG: the page that linear is in, all of it if it is a large one. */
void cpu_tlb_flush_page(struct cpu *cpu, u64 linear);
void cpu_tlb_select(struct cpu *cpu);
/* Makes the page slow to write where it is cached: code was found in it. */
void cpu_tlb_protect(struct cpu *cpu, u64 gpa);
/* Code: the host address of linear and its gpa; raises #PF; NULL if there is no RAM. */
const u8 *cpu_exec_translate(struct cpu *cpu, u64 linear, u64 *ret_gpa);

u64 cpu_mem_read_slow(struct cpu *cpu, u64 linear, unsigned size, unsigned seg);
void cpu_mem_write_slow(struct cpu *cpu, u64 linear, unsigned size, u64 value, unsigned seg);
void cpu_mem_read_bytes(struct cpu *cpu, u64 linear, void *data, unsigned size, unsigned seg);
void cpu_mem_write_bytes(struct cpu *cpu, u64 linear, const void *data, unsigned size, unsigned seg);
/* A host address for a read-modify-write of size bytes; ends with rmw_end(). */
void *cpu_rmw_slow(struct cpu *cpu, u64 linear, unsigned size, unsigned seg, bool locked);
void cpu_rmw_commit(struct cpu *cpu);
void cpu_rmw_abandon(struct cpu *cpu); /* after a fault or exit in between */
/* May size bytes be written at linear (raises #PF if not)? For REP INS, and what must not fault half way. */
bool cpu_alignment_checked(const struct cpu *cpu); /* CPL 3, CR0.AM, RFLAGS.AC */
void cpu_mem_probe(struct cpu *cpu, u64 linear, unsigned size, enum access access, unsigned seg);
/* The host address of linear if RAM may be accessed directly, and is there; else NULL. */
u8 *cpu_mem_direct(struct cpu *cpu, u64 linear, bool write, unsigned seg);
/* As supervisor whatever the CPL: descriptor tables, TSS, stacks of handlers. */
u64 cpu_sys_read(struct cpu *cpu, u64 linear, unsigned size);
void cpu_sys_write(struct cpu *cpu, u64 linear, unsigned size, u64 value);
void cpu_access_forget(struct cpu *cpu);
/* The next device access of the instruction; true if an earlier run made it: data is its result. */
bool cpu_access_repeated(struct cpu *cpu, struct cpu_access **ret);
void cpu_port_access(struct cpu *cpu, bool write, u16 port, unsigned size, u64 *value);

ALWAYS const struct cpu_tlb_entry *tlb_entry(const struct cpu *cpu, u64 linear)
{
	return &cpu->tlb_now[(linear >> 12) % TLB_ENTRIES];
}

ALWAYS u64 mem_read(struct cpu *cpu, u64 linear, unsigned size, unsigned seg)
{
	const struct cpu_tlb_entry *e = tlb_entry(cpu, linear);

	if (likely(e->read == PAGE_OF(linear + size - 1)))
		return ram_load((const void *)(e->host + (uintptr_t)linear), size);
	return cpu_mem_read_slow(cpu, linear, size, seg);
}

ALWAYS void mem_write(struct cpu *cpu, u64 linear, unsigned size, u64 value, unsigned seg)
{
	const struct cpu_tlb_entry *e = tlb_entry(cpu, linear);

	if (likely(e->write == PAGE_OF(linear + size - 1)))
		ram_store((void *)(e->host + (uintptr_t)linear), size, value);
	else
		cpu_mem_write_slow(cpu, linear, size, value, seg);
}

/* A host address of any alignment for a read-modify-write; rmw_end() follows. */
ALWAYS void *rmw_begin(struct cpu *cpu, u64 linear, unsigned size, unsigned seg)
{
	const struct cpu_tlb_entry *e = tlb_entry(cpu, linear);

	if (likely(e->write == PAGE_OF(linear + size - 1)))
		return (void *)(e->host + (uintptr_t)linear);
	return cpu_rmw_slow(cpu, linear, size, seg, false);
}

/* The same for LOCK: an aligned address, for the atomic operations of ram.h. */
ALWAYS void *rmw_begin_locked(struct cpu *cpu, u64 linear, unsigned size, unsigned seg)
{
	const struct cpu_tlb_entry *e = tlb_entry(cpu, linear);

	if (likely(e->write == PAGE_OF(linear + size - 1) && linear % size == 0))
		return (void *)(e->host + (uintptr_t)linear);
	return cpu_rmw_slow(cpu, linear, size, seg, true);
}

ALWAYS void rmw_end(struct cpu *cpu, const void *p)
{
	if (unlikely(p == cpu->bounce))
		cpu_rmw_commit(cpu);
}

/* ---- addresses ---- */

/* Checks type and limit of a segment outside 64-bit mode; #GP or #SS. */
u64 cpu_seg_linear(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, enum access access);

ALWAYS u64 op_offset(const struct cpu *cpu, const struct cpu_op *op)
{
	return (cpu->gpr[op->base] + (cpu->gpr[op->index] << op->scale) + (u64)op->disp)
	               << op->address_shift >>
	       op->address_shift;
}

ALWAYS u64 seg_linear(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, enum access access)
{
	if (unlikely(!(cpu->mode & MODE_64)))
		return cpu_seg_linear(cpu, seg, offset, size, access);
	return offset + cpu->seg[seg].base;
}

/* The linear address of a memory operand of size bytes. */
ALWAYS u64 op_linear(struct cpu *cpu, const struct cpu_op *op, unsigned size, enum access access)
{
	u64 offset = op_offset(cpu, op);

	if (unlikely(op->flags & OP_LEGACY))
		return cpu_seg_linear(cpu, op->seg, offset, size, access);
	return offset + cpu->seg[op->seg].base;
}

/* The memory operand. */
ALWAYS u64 rm_mem_read(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	return mem_read(cpu, op_linear(cpu, op, size, ACCESS_READ), size, op->seg);
}

ALWAYS void rm_mem_write(struct cpu *cpu, const struct cpu_op *op, unsigned size, u64 value)
{
	mem_write(cpu, op_linear(cpu, op, size, ACCESS_WRITE), size, value, op->seg);
}

/* The memory operand of a read-modify-write; rmw_end() follows. */
ALWAYS void *rm_begin(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	return rmw_begin(cpu, op_linear(cpu, op, size, ACCESS_WRITE), size, op->seg);
}

ALWAYS void *rm_begin_locked(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	return rmw_begin_locked(cpu, op_linear(cpu, op, size, ACCESS_WRITE), size, op->seg);
}

/* Register or memory, any size; for what is not hot. */
u64 cpu_rm_read(struct cpu *cpu, const struct cpu_op *op, unsigned size);
void cpu_rm_write(struct cpu *cpu, const struct cpu_op *op, unsigned size, u64 value);

/* ---- the stack (segment.c) ---- */

void cpu_push(struct cpu *cpu, unsigned size, u64 value);
u64 cpu_pop(struct cpu *cpu, unsigned size);
/* Reads at rsp + offset without moving it; moves it. For what pops several things or nothing. */
u64 cpu_stack_peek(struct cpu *cpu, unsigned offset, unsigned size);
void cpu_stack_poke(struct cpu *cpu, s64 offset, unsigned size, u64 value);
void cpu_stack_move(struct cpu *cpu, s64 by);
/* Raises what a push of size bytes would raise. */
void cpu_stack_probe(struct cpu *cpu, unsigned size);

/* ---- branches ---- */

/* A near branch: the target is cut to size bytes (64-bit mode: all), checked against the limit. */
void cpu_jump(struct cpu *cpu, u64 target, unsigned size);

/* ---- segments and control flow between them (segment.c, far.c, interrupt.c) ---- */

void cpu_seg_load(struct cpu *cpu, unsigned index, u16 selector);
void cpu_seg_load_real(struct cpu *cpu, unsigned index, u16 selector);
bool cpu_descriptor_read(struct cpu *cpu, u16 selector, u64 ret_descriptor[static 2], u64 *ret_linear);
void cpu_descriptor_unpack(
        const u64 descriptor[static 2], u16 selector, bool system64, struct cpu_seg *ret_seg);
/* Marks the descriptor at linear, of which seg was made, as used. */
void cpu_descriptor_accessed(struct cpu *cpu, u64 linear, struct cpu_seg *seg);
void cpu_set_cpl(struct cpu *cpu, u32 cpl);
void cpu_deliver(struct cpu *cpu);
/* Takes this many of the NMIs that wait (run.c), and forgets those that are too many. */
void cpu_nmis_take(struct cpu *cpu, u32 count);

/* ---- control registers and others (cr.c, system.c) ---- */

ALWAYS void require_cpl0(struct cpu *cpu)
{
	if (cpu->cpl)
		cpu_raise_error(cpu, EXC_GP, 0);
}

/* Of MOV to and from control and debug registers, in bytes. */
ALWAYS unsigned register_width(const struct cpu *cpu)
{
	return cpu->mode & MODE_64 ? 8 : 4;
}

void cpu_cr0_write(struct cpu *cpu, u64 value);
void cpu_cr3_write(struct cpu *cpu, u64 value);
void cpu_cr4_write(struct cpu *cpu, u64 value);
void cpu_pdptes_load(struct cpu *cpu);
u64 cpu_cr4_allowed(const struct cpu *cpu);
/* Does CPUID have the features that these bits of EFER switch? */
bool cpu_efer_valid(const struct cpu *cpu, u64 value);
/* RDMSR and WRMSR: by the processor, the platform, or an exit; false: #GP(0). */
bool cpu_msr_access(struct cpu *cpu, bool write, u32 index, u64 *value);
void cpu_cpuid_query(const struct cpu *cpu, u32 leaf, u32 subleaf, u32 ret_regs[static 4]);

/* Device not available and x87 exceptions due: before each FPU instruction. */
void cpu_fpu_check(struct cpu *cpu);
void cpu_sse_check(struct cpu *cpu);
void cpu_x87_pending(struct cpu *cpu); /* #MF if an unmasked exception waits */
void cpu_x87_summary(struct cpu *cpu); /* FSW.ES and B, from the flags and masks */
void cpu_fxsave_write(const struct cpu *cpu, u8 area[static 512], bool wide, bool with_xmm16);
bool cpu_fxsave_read(struct cpu *cpu, const u8 area[static 512], bool wide, bool with_xmm16);

/* ---- the block cache (code.c) ---- */

int cpu_code_create(struct cpu *cpu, struct err *err) MUST_CHECK;
void cpu_code_destroy(struct cpu *cpu);
/* The block at CS:RIP; decodes it if needed; raises #PF and #GP of the fetch. */
struct cpu_block *cpu_code_find(struct cpu *cpu, u64 linear);
/* cpu.toil: what takes long, in instructions' time, and how much of it there may be before the caller
 * gets to look. */
#define CPU_TOIL_BLOCK 250u /* to decode */
#define CPU_TOIL_FAULT 200u /* to unwind and deliver */
#define CPU_TOIL_MAX   50000u
/* Nothing the jump cache says holds any more (translations changed, time to compare bytes again). */
void cpu_code_forget_jumps(struct cpu *cpu);
/* As above, and bytes of blocks are compared before they run again: another processor or the VMM may have
 * written. */
void cpu_code_serialize(struct cpu *cpu);
void cpu_code_serialize_lazily(struct cpu *cpu); /* if the last time is a while ago */
/* Is there code in the page? Called by the TLB; a write then comes by cpu_code_written(). */
bool cpu_code_in_page(const struct cpu *cpu, u64 gpa);
void cpu_code_written(struct cpu *cpu, u64 gpa, unsigned size);

void cpu_code_privilege_changed(struct cpu *cpu);
void cpu_code_forget_blocks(struct cpu *cpu);
/*
 * Where the dispatcher looks first: the block at a linear address, if linear and tag (cpu->exec_tag:
 * translations, mode, privilege, bytes known to be current) are equal.
 */
struct cpu_jump {
	u64 linear, tag;
	struct cpu_block *block;
};
#define JUMP_ENTRIES 4096u
struct cpu_jump *cpu_code_jumps(struct cpu *cpu);

ALWAYS unsigned cpu_jump_index(u64 linear)
{
	return (unsigned)(linear ^ linear >> 12) % JUMP_ENTRIES;
}

/* ---- the decoder (decode.c) ---- */

/*
 * Decodes one instruction of at most size bytes at code. Returns its length; 0 if it needs more bytes.
 * Sets *ret_end if the block must end behind it. offset: of the instruction from the block's start.
 */
unsigned cpu_decode(const struct cpu *cpu, const u8 *code, unsigned size, unsigned offset,
        struct cpu_op *ret_op, bool *ret_end);

#endif
