/* SPDX-License-Identifier: Apache-2.0 */
/*
 * system: privileged and system instructions: tables, flags, HLT, MSRs, CPUID, time.
 */
#include <emmintrin.h>

#include "ops.h"
#include "vc.h"
#include "vme.h"

#define CPUID_1_ECX_MONITOR  0x8u
#define MWAIT_ECX_INTERRUPTS 0x1u /* MWAIT ends with an interrupt, even with IF clear */

/* ---- descriptor tables ---- */

static void table_store(struct cpu *cpu, const struct cpu_op *op, const struct cpu_table *table)
{
	unsigned size = cpu->mode & MODE_64 ? 8 : 4;
	u8 image[10];

	if (cpu->cr4 & CR4_UMIP && cpu->cpl)
		cpu_raise_error(cpu, EXC_GP, 0);
	memcpy(image, &table->limit, 2);
	memcpy(image + 2, &table->base, 8);
	cpu_mem_write_bytes(cpu, op_linear(cpu, op, size + 2, ACCESS_WRITE), image, size + 2, op->seg);
}

static void table_load(struct cpu *cpu, const struct cpu_op *op, struct cpu_table *table)
{
	unsigned size = cpu->mode & MODE_64 ? 8 : 4;
	u8 image[10] = {0};
	u64 base;

	require_cpl0(cpu);
	cpu_mem_read_bytes(cpu, op_linear(cpu, op, size + 2, ACCESS_READ), image, size + 2, op->seg);
	base = load_le(image + 2, 8);
	if (size == 8 && !is_canonical(base))
		cpu_raise_error(cpu, EXC_GP, 0);
	/* With 16-bit operands the base has 24 bits. */
	table->base = op->size == 2 && size == 4 ? base & 0xffffff : base;
	table->limit = (u16)load_le(image, 2);
}

void op_sgdt(struct cpu *cpu, const struct cpu_op *op)
{
	table_store(cpu, op, &cpu->gdtr);
}

void op_sidt(struct cpu *cpu, const struct cpu_op *op)
{
	table_store(cpu, op, &cpu->idtr);
}

void op_lgdt(struct cpu *cpu, const struct cpu_op *op)
{
	table_load(cpu, op, &cpu->gdtr);
}

void op_lidt(struct cpu *cpu, const struct cpu_op *op)
{
	table_load(cpu, op, &cpu->idtr);
}

/* ---- flags ---- */

static bool iopl_allows(const struct cpu *cpu)
{
	if (!(cpu->mode & MODE_PE))
		return true;
	return cpu->cpl <= (cpu->rflags_rest & FLAG_IOPL) >> 12;
}

void op_cli(struct cpu *cpu, const struct cpu_op *op)
{
	if (cpu_vme_has_flag(cpu)) {
		cpu_vme_set_flag(cpu, false);
		return;
	}
	if (!iopl_allows(cpu))
		cpu_raise_error(cpu, EXC_GP, 0);
	cpu->rflags_rest &= ~(u64)FLAG_IF;
	cpu_flags_changed(cpu);
}

void op_sti(struct cpu *cpu, const struct cpu_op *op)
{
	if (cpu_vme_has_flag(cpu)) {
		cpu_vme_set_flag(cpu, true);
		return;
	}
	if (!iopl_allows(cpu))
		cpu_raise_error(cpu, EXC_GP, 0);
	if (!(cpu->rflags_rest & FLAG_IF))
		cpu->shadow = true;
	cpu->rflags_rest |= FLAG_IF;
	cpu_flags_changed(cpu);
}

void op_pushf(struct cpu *cpu, const struct cpu_op *op)
{
	if (cpu_vme_replaces(cpu, op->size)) {
		cpu_push(cpu, op->size, cpu_vme_flags(cpu));
		return;
	}
	if (cpu->mode & MODE_VM && (cpu->rflags_rest & FLAG_IOPL) != FLAG_IOPL)
		cpu_raise_error(cpu, EXC_GP, 0);
	cpu_push(cpu, op->size, cpu_rflags(cpu) & ~(u64)(FLAG_RF | FLAG_VM));
}

void op_popf(struct cpu *cpu, const struct cpu_op *op)
{
	u64 change = FLAG_ARITH | FLAG_TF | FLAG_DF | FLAG_NT, flags;

	if (cpu_vme_replaces(cpu, op->size)) {
		cpu_vme_check_flags(cpu, cpu_stack_peek(cpu, 0, op->size));
		cpu_vme_set_flags(cpu, cpu_pop(cpu, op->size));
		return;
	}
	if (cpu->mode & MODE_VM && (cpu->rflags_rest & FLAG_IOPL) != FLAG_IOPL)
		cpu_raise_error(cpu, EXC_GP, 0);
	if (op->size > 2)
		change |= FLAG_AC | FLAG_ID;
	if (cpu->cpl == 0)
		change |= FLAG_IOPL;
	if (iopl_allows(cpu))
		change |= FLAG_IF;
	flags = cpu_pop(cpu, op->size);
	/* POPF of more than 16 bits clears RF. */
	cpu_set_rflags(cpu, (cpu_rflags(cpu) & ~(change | (op->size > 2 ? FLAG_RF : 0))) | (flags & change));
}

void op_clac(struct cpu *cpu, const struct cpu_op *op)
{
	if (cpu->cpl || !(cpu->mode & MODE_PE))
		cpu_raise(cpu, EXC_UD);
	cpu->rflags_rest &= ~(u64)FLAG_AC;
	cpu_flags_changed(cpu);
}

void op_stac(struct cpu *cpu, const struct cpu_op *op)
{
	if (cpu->cpl || !(cpu->mode & MODE_PE))
		cpu_raise(cpu, EXC_UD);
	cpu->rflags_rest |= FLAG_AC;
	cpu_flags_changed(cpu);
}

/* ---- others ---- */

void op_hlt(struct cpu *cpu, const struct cpu_op *op)
{
	require_cpl0(cpu);
	cpu_exit_after(cpu, CPU_EXIT_HLT);
}

void op_invlpg(struct cpu *cpu, const struct cpu_op *op)
{
	u64 linear = op_offset(cpu, op) + cpu->seg[op->seg].base;

	require_cpl0(cpu);
	cpu_tlb_flush_page(cpu, mode_is(cpu, MODE_64) ? linear : (u32)linear);
}

/* Serializes, for WBINVD and INVD. They do nothing else, because caches are coherent here. */
void op_wbinvd(struct cpu *cpu, const struct cpu_op *op)
{
	require_cpl0(cpu);
	vc_intercept(cpu, op->opcode == 0x08 ? VC_INVD : VC_WBINVD);
	cpu_code_serialize(cpu);
}

void op_fence(struct cpu *cpu, const struct cpu_op *op)
{
	if (op->flags & OP_MEM) {
		/* CLFLUSH and similar instructions fault as a read of one byte does. */
		u64 linear = op_linear(cpu, op, 1, ACCESS_READ);

		cpu_mem_probe(cpu, linear, 1, ACCESS_READ, op->seg);
		cpu_code_serialize(cpu);
		return;
	}
	_mm_mfence();
}

void op_rdmsr(struct cpu *cpu, const struct cpu_op *op)
{
	u32 index = (u32)REG_RCX;
	u64 value = 0;

	require_cpl0(cpu);
	if (!cpu_msr_access(cpu, false, index, &value))
		cpu_raise_error(cpu, EXC_GP, 0);
	REG_RAX = (u32)value;
	REG_RDX = value >> 32;
}

void op_wrmsr(struct cpu *cpu, const struct cpu_op *op)
{
	u32 index = (u32)REG_RCX;
	u64 value = (u64)(u32)REG_RDX << 32 | (u32)REG_RAX;

	require_cpl0(cpu);
	if (!cpu_msr_access(cpu, true, index, &value))
		cpu_raise_error(cpu, EXC_GP, 0);
	cpu_code_serialize(cpu);
}

static u64 read_tsc(struct cpu *cpu)
{
	if (cpu->cr4 & CR4_TSD && cpu->cpl)
		cpu_raise_error(cpu, EXC_GP, 0);
	return cpu->bus->tsc ? cpu->bus->tsc(cpu->ctx) : cpu_icount(cpu);
}

void op_rdtsc(struct cpu *cpu, const struct cpu_op *op)
{
	u64 value = read_tsc(cpu);

	REG_RAX = (u32)value;
	REG_RDX = value >> 32;
}

void op_rdtscp(struct cpu *cpu, const struct cpu_op *op)
{
	op_rdtsc(cpu, op);
	REG_RCX = (u32)cpu->tsc_aux;
}

void op_rdpid(struct cpu *cpu, const struct cpu_op *op)
{
	reg_set(cpu, op->xrm * 8u, 8, (u32)cpu->tsc_aux);
}

/* Raises #GP, because there are no performance counters. */
void op_rdpmc(struct cpu *cpu, const struct cpu_op *op)
{
	if (!cpu->cpl || cpu->cr4 & CR4_PCE)
		vc_intercept(cpu, VC_RDPMC);
	cpu_raise_error(cpu, EXC_GP, 0);
}

void op_cpuid(struct cpu *cpu, const struct cpu_op *op)
{
	u32 regs[4];

	vc_intercept(cpu, VC_CPUID);
	if (cpu->cpuid_faults && cpu->cpl)
		cpu_raise_error(cpu, EXC_GP, 0);
	cpu_cpuid_query(cpu, (u32)REG_RAX, (u32)REG_RCX, regs);
	REG_RAX = regs[0];
	REG_RBX = regs[1];
	REG_RCX = regs[2];
	REG_RDX = regs[3];
	cpu_code_serialize(cpu);
}

void op_swapgs(struct cpu *cpu, const struct cpu_op *op)
{
	u64 base = cpu->seg[CPU_GS].base;

	require_cpl0(cpu);
	cpu->seg[CPU_GS].base = cpu->kernel_gs_base;
	cpu->kernel_gs_base = base;
}

/*
 * Exits to the caller, who answers in the registers. With F3 or F2 before it, and in a SEV-ES guest, the
 * instruction is VMGEXIT; all other guests ignore the prefix (APM 3, VMGEXIT).
 */
void op_vmmcall(struct cpu *cpu, const struct cpu_op *op)
{
	if (cpu->vc) {
		if (!(op->flags & (OP_REP | OP_REPNE)))
			vc_intercept(cpu, VC_VMMCALL);
		cpu_exit_after(cpu, CPU_EXIT_VMGEXIT);
		return;
	}
	cpu->exit_info.hypercall_length = op->len;
	cpu_exit_after(cpu, CPU_EXIT_HYPERCALL);
}

/*
 * VMRUN, VMLOAD, VMSAVE, STGI, CLGI, SKINIT and INVLPGA. KVM offers no guest SVM, so they raise #UD:
 * EFER.SVME is 0. Of a SEV-ES guest only the processor sees EFER, where SVME is 1, and it goes on to its
 * other checks and the intercepts, all of which KVM has set (APM 2, 15.9; APM 3, VMRUN; Linux's
 * svm_recalc_instruction_intercepts() in arch/x86/kvm/svm/svm.c).
 */
void op_svm(struct cpu *cpu, const struct cpu_op *op)
{
	static const u8 codes[8] = {
	        VC_VMRUN, VC_VMMCALL, VC_VMLOAD, VC_VMSAVE, VC_STGI, VC_CLGI, VC_SKINIT, VC_INVLPGA};
	const enum vc_code code = codes[op->modrm & 7];
	const u64 rax = REG_RAX << op->address_shift >> op->address_shift;
	const bool has_vmcb = code == VC_VMRUN || code == VC_VMLOAD || code == VC_VMSAVE;

	if (!cpu->vc)
		cpu_raise(cpu, EXC_UD);
	require_cpl0(cpu);
	if (has_vmcb && (rax & (PAGE_SIZE_BYTES - 1) || rax & ~cpu->bus->phys_mask))
		cpu_raise_error(cpu, EXC_GP, 0);
	vc_intercept(cpu, code);
}

/*
 * Raises #UD for Intel's VMCALL, as AMD's processors do, unless KVM writes AMD's VMMCALL over it. The write
 * goes through the guest's page tables, as a store by the guest would, and to RIP itself, because KVM leaves
 * out the base of CS. The processor then runs what it finds.
 */
void op_vmcall(struct cpu *cpu, const struct cpu_op *op)
{
	static const u8 vmmcall[] = {0x0f, 0x01, 0xd9};

	if (!cpu->bus->fixes_vmcall || !cpu->bus->fixes_vmcall(cpu->ctx))
		cpu_raise(cpu, EXC_UD);
	cpu_mem_write_bytes(cpu, cpu_op_rip(cpu), vmmcall, sizeof(vmmcall), CPU_SEG_FLAT);
	cpu_access_forget(cpu);
	cpu_leave(cpu, CPU_EXIT_STOPPED);
}

/*
 * Raises #UD if MONITOR and MWAIT may not be used. They are for the kernel alone (APM 3: HWCR.MonMwaitUserEn
 * is 0). KVM makes them NOPs even where CPUID lacks them, unless the VMM switched that off. In a SEV-ES guest
 * the processor decides, which has both, and knows only the extensions in ECX that are given here.
 */
static void check_monitor(struct cpu *cpu, u32 extensions)
{
	u32 regs[4];

	if (cpu->cpl)
		cpu_raise(cpu, EXC_UD);
	if (cpu->vc) {
		if ((u32)REG_RCX & ~extensions)
			cpu_raise_error(cpu, EXC_GP, 0);
		return;
	}
	if (cpu_bus_has_quirk(cpu->bus, KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS))
		return;
	cpu_cpuid_query(cpu, 1, 0, regs);
	if (!(regs[2] & CPUID_1_ECX_MONITOR))
		cpu_raise(cpu, EXC_UD);
}

void op_monitor(struct cpu *cpu, const struct cpu_op *op)
{
	check_monitor(cpu, 0);
	cpu_mem_probe(cpu,
	        seg_linear(cpu, op->seg, REG_RAX << op->address_shift >> op->address_shift, 1, ACCESS_READ),
	        1, ACCESS_READ, op->seg);
	vc_intercept(cpu, VC_MONITOR);
}

/* Does nothing, as MWAIT may return at any time in KVM. The vCPU sees other processors' writes afterwards. */
void op_mwait(struct cpu *cpu, const struct cpu_op *op)
{
	check_monitor(cpu, MWAIT_ECX_INTERRUPTS);
	vc_intercept(cpu, VC_MWAIT);
	cpu_code_serialize(cpu);
}

void op_xgetbv(struct cpu *cpu, const struct cpu_op *op)
{
	u32 d1[4];

	if (!(cpu->cr4 & CR4_OSXSAVE))
		cpu_raise(cpu, EXC_UD);
	cpu_cpuid_query(cpu, 0xd, 1, d1);
	/* ECX 1 asks for the states of XCR0 that are in use. All of them are reported as in use. */
	if ((u32)REG_RCX > (d1[0] >> 2 & 1))
		cpu_raise_error(cpu, EXC_GP, 0);
	REG_RAX = (u32)cpu->xcr0;
	REG_RDX = cpu->xcr0 >> 32;
}

/* x87 must be on, SSE may be, and with it AVX. There is no other state. */
static bool xcr0_is_valid(const struct cpu *cpu, u64 value)
{
	u64 known = XSTATE_X87 | XSTATE_SSE | (cpu->features & FEATURE_AVX ? XSTATE_AVX : 0);

	return value & XSTATE_X87 && !(value & ~known) && (value & XSTATE_SSE || !(value & XSTATE_AVX));
}

void op_xsetbv(struct cpu *cpu, const struct cpu_op *op)
{
	u64 value = (u64)(u32)REG_RDX << 32 | (u32)REG_RAX;

	if (!(cpu->cr4 & CR4_OSXSAVE))
		cpu_raise(cpu, EXC_UD);
	if (cpu->cpl || (u32)REG_RCX || !xcr0_is_valid(cpu, value))
		cpu_raise_error(cpu, EXC_GP, 0);
	cpu->xcr0 = value;
}

void op_rdfsbase(struct cpu *cpu, const struct cpu_op *op)
{
	if (!(cpu->cr4 & CR4_FSGSBASE))
		cpu_raise(cpu, EXC_UD);
	reg_set(cpu, op->rm, op->size, cpu->seg[(op->xreg & 1) ? CPU_GS : CPU_FS].base);
}

void op_wrfsbase(struct cpu *cpu, const struct cpu_op *op)
{
	u64 base = reg_get(cpu, op->rm, op->size);

	if (!(cpu->cr4 & CR4_FSGSBASE))
		cpu_raise(cpu, EXC_UD);
	if (!is_canonical(base))
		cpu_raise_error(cpu, EXC_GP, 0);
	cpu->seg[(op->xreg & 1) ? CPU_GS : CPU_FS].base = base;
}
