/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmsa: the VMSA that KVM makes of a vCPU's state before the firmware measures it, and the way back: what the
 * processor takes from a VMSA that a SEV-SNP guest made. Runs with kvm_vcpu.lock held. Law: APM 2, table B-4;
 * Linux's svm_vcpu_reset(), svm_set_segment(), svm_set_cr0(), svm_set_cr4(), sev_es_sync_vmsa().
 */
#include <string.h>

#include "kvm/registers.h"
#include "vmsa.h"

#define CR0_NW    0x20000000u
#define CR0_CD    0x40000000u
#define CR4_MCE   0x40u
#define EFER_SVME 0x1000u
#define SEG_TYPE1 0x1u /* accessed */
#define VINTR_TPR 0xfu
#define X87_EMPTY 3u

/* ---- segments ---- */

static struct abi_segment segment(const struct cpu_seg *seg, uint16_t clear, uint16_t set)
{
	return (struct abi_segment){.selector = seg->selector,
	        .attrib = (uint16_t)((seg->attr & ~clear) | set),
	        .limit = seg->limit,
	        .base = seg->base};
}

static struct abi_segment table(const struct cpu_table *t)
{
	return (struct abi_segment){.limit = t->limit, .base = t->base};
}

/*
 * Until the VMM sets the segments they are as KVM's reset leaves them: not accessed, and the TSS is one of
 * 16 bits.
 */
static void segments(const struct cpu *cpu, bool raw, struct abi_vmsa *vmsa)
{
	const uint16_t clear = raw ? SEG_TYPE1 : 0;

	vmsa->es = segment(&cpu->seg[CPU_ES], clear, 0);
	vmsa->cs = segment(&cpu->seg[CPU_CS], clear, 0);
	vmsa->ss = segment(&cpu->seg[CPU_SS], clear, 0);
	vmsa->ds = segment(&cpu->seg[CPU_DS], clear, 0);
	vmsa->fs = segment(&cpu->seg[CPU_FS], clear, 0);
	vmsa->gs = segment(&cpu->seg[CPU_GS], clear, 0);
	vmsa->ldtr = segment(&cpu->seg[CPU_LDTR], 0, 0);
	vmsa->tr = raw ? segment(&cpu->seg[CPU_TR], 0xf, 0x3) : segment(&cpu->seg[CPU_TR], 0, 0);
	vmsa->gdtr = table(&cpu->gdtr);
	vmsa->idtr = table(&cpu->idtr);
	vmsa->cpl = (uint8_t)(cpu->seg[CPU_SS].attr >> 5 & 3);
}

/* ---- registers ---- */

/* cr0: KVM's quirk clears CD and NW. cr4: the host's own machine-check bit. */
static void control(const struct cpu *cpu, struct abi_vmsa *vmsa)
{
	vmsa->efer = cpu->efer | EFER_SVME;
	vmsa->cr0 = cpu->cr0 & ~(uint64_t)(CR0_CD | CR0_NW);
	vmsa->cr2 = cpu->cr2;
	vmsa->cr3 = cpu->cr3;
	vmsa->cr4 = cpu->cr4 | CR4_MCE;
	vmsa->dr6 = cpu->dr[6];
	vmsa->dr7 = cpu->dr[7];
	vmsa->rflags = cpu_rflags(cpu);
	vmsa->rip = cpu->gpr[CPU_GPR_RIP];
	vmsa->xcr0 = cpu->xcr0;
	vmsa->g_pat = cpu->pat;
	vmsa->star = cpu->star;
	vmsa->lstar = cpu->lstar;
	vmsa->cstar = cpu->cstar;
	vmsa->sfmask = cpu->sfmask;
	vmsa->kernel_gs_base = cpu->kernel_gs_base;
	vmsa->sysenter_cs = cpu->sysenter_cs;
	vmsa->sysenter_esp = cpu->sysenter_esp;
	vmsa->sysenter_eip = cpu->sysenter_eip;
}

static void general(const struct cpu *cpu, struct abi_vmsa *vmsa)
{
	const uint64_t *gpr = cpu->gpr;

	vmsa->rax = gpr[CPU_RAX];
	vmsa->rcx = gpr[CPU_RCX];
	vmsa->rdx = gpr[CPU_RDX];
	vmsa->rbx = gpr[CPU_RBX];
	vmsa->rsp = gpr[CPU_RSP];
	vmsa->rbp = gpr[CPU_RBP];
	vmsa->rsi = gpr[CPU_RSI];
	vmsa->rdi = gpr[CPU_RDI];
	vmsa->r8 = gpr[8];
	vmsa->r9 = gpr[9];
	vmsa->r10 = gpr[10];
	vmsa->r11 = gpr[11];
	vmsa->r12 = gpr[12];
	vmsa->r13 = gpr[13];
	vmsa->r14 = gpr[14];
	vmsa->r15 = gpr[15];
}

/*
 * The x87 registers of 10 bytes are stored as 8 times 8 bytes, then 8 times 2. The upper halves of YMM are
 * not built.
 */
static void fpu(const struct cpu *cpu, struct abi_vmsa *vmsa)
{
	struct kvm_fpu state;

	cpu_get_fpu(cpu, &state);
	vmsa->x87_dp = state.last_dp;
	vmsa->x87_rip = state.last_ip;
	vmsa->x87_ftw = state.ftwx;
	vmsa->x87_fsw = state.fsw;
	vmsa->x87_fcw = state.fcw;
	vmsa->x87_fop = state.last_opcode;
	vmsa->mxcsr = cpu->mxcsr;
	for (unsigned i = 0; i < 8; i++) {
		memcpy(&vmsa->x87[8 * i], state.fpr[i], 8);
		memcpy(&vmsa->x87[64 + 2 * i], state.fpr[i] + 8, 2);
	}
	memcpy(vmsa->xmm, cpu->xmm, sizeof(vmsa->xmm));
	memcpy(vmsa->ymm, cpu->ymm_high, sizeof(vmsa->ymm));
}

void sev_vmsa_build(const struct kvm_vcpu *v, uint64_t features, bool legacy, struct abi_vmsa *ret_vmsa)
{
	memset(ret_vmsa, 0, sizeof(*ret_vmsa));
	segments(v->cpu, !v->sregs_set, ret_vmsa);
	control(v->cpu, ret_vmsa);
	general(v->cpu, ret_vmsa);
	ret_vmsa->sev_features = features;
	if (!legacy)
		fpu(v->cpu, ret_vmsa);
}

/* ---- the way back ---- */

static struct kvm_segment segment_of(const struct abi_segment *s)
{
	return (struct kvm_segment){.base = s->base,
	        .limit = s->limit,
	        .selector = s->selector,
	        .type = s->attrib & 15,
	        .s = s->attrib >> 4 & 1,
	        .dpl = s->attrib >> 5 & 3,
	        .present = s->attrib >> 7 & 1,
	        .avl = s->attrib >> 8 & 1,
	        .l = s->attrib >> 9 & 1,
	        .db = s->attrib >> 10 & 1,
	        .g = s->attrib >> 11 & 1};
}

static struct kvm_dtable table_of(const struct abi_segment *s)
{
	return (struct kvm_dtable){.base = s->base, .limit = (uint16_t)s->limit};
}

static struct kvm_sregs sregs_of(const struct abi_vmsa *vmsa)
{
	return (struct kvm_sregs){.es = segment_of(&vmsa->es),
	        .cs = segment_of(&vmsa->cs),
	        .ss = segment_of(&vmsa->ss),
	        .ds = segment_of(&vmsa->ds),
	        .fs = segment_of(&vmsa->fs),
	        .gs = segment_of(&vmsa->gs),
	        .ldt = segment_of(&vmsa->ldtr),
	        .tr = segment_of(&vmsa->tr),
	        .gdt = table_of(&vmsa->gdtr),
	        .idt = table_of(&vmsa->idtr),
	        .cr0 = vmsa->cr0,
	        .cr2 = vmsa->cr2,
	        .cr3 = vmsa->cr3,
	        .cr4 = vmsa->cr4,
	        .cr8 = vmsa->vintr & VINTR_TPR,
	        .efer = vmsa->efer & ~(uint64_t)EFER_SVME};
}

static struct kvm_regs regs_of(const struct abi_vmsa *vmsa)
{
	return (struct kvm_regs){.rax = vmsa->rax,
	        .rbx = vmsa->rbx,
	        .rcx = vmsa->rcx,
	        .rdx = vmsa->rdx,
	        .rsi = vmsa->rsi,
	        .rdi = vmsa->rdi,
	        .rsp = vmsa->rsp,
	        .rbp = vmsa->rbp,
	        .r8 = vmsa->r8,
	        .r9 = vmsa->r9,
	        .r10 = vmsa->r10,
	        .r11 = vmsa->r11,
	        .r12 = vmsa->r12,
	        .r13 = vmsa->r13,
	        .r14 = vmsa->r14,
	        .r15 = vmsa->r15,
	        .rip = vmsa->rip,
	        .rflags = vmsa->rflags};
}

/* The processor keeps two bits of the tag word for each register; struct kvm_fpu has one: it is not empty. */
static uint8_t tags_of(uint16_t ftw)
{
	uint8_t tags = 0;

	for (unsigned i = 0; i < 8; i++)
		tags |= (uint8_t)((ftw >> (2 * i) & 3) != X87_EMPTY) << i;
	return tags;
}

static struct kvm_fpu fpu_of(const struct abi_vmsa *vmsa)
{
	struct kvm_fpu state = {.last_dp = vmsa->x87_dp,
	        .last_ip = vmsa->x87_rip,
	        .ftwx = tags_of(vmsa->x87_ftw),
	        .fsw = vmsa->x87_fsw,
	        .fcw = vmsa->x87_fcw,
	        .last_opcode = vmsa->x87_fop};

	for (unsigned i = 0; i < 8; i++) {
		memcpy(state.fpr[i], &vmsa->x87[8 * i], 8);
		memcpy(state.fpr[i] + 8, &vmsa->x87[64 + 2 * i], 2);
	}
	memcpy(state.xmm, vmsa->xmm, sizeof(state.xmm));
	return state;
}

static void take_msrs(struct cpu *cpu, const struct abi_vmsa *vmsa)
{
	cpu->pat = vmsa->g_pat;
	cpu->star = vmsa->star;
	cpu->lstar = vmsa->lstar;
	cpu->cstar = vmsa->cstar;
	cpu->sfmask = vmsa->sfmask;
	cpu->kernel_gs_base = vmsa->kernel_gs_base;
	cpu->sysenter_cs = vmsa->sysenter_cs;
	cpu->sysenter_esp = vmsa->sysenter_esp;
	cpu->sysenter_eip = vmsa->sysenter_eip;
}

bool sev_vmsa_load(struct kvm_vcpu *v, const struct abi_vmsa *vmsa)
{
	const struct kvm_debugregs debug = {
	        .db = {vmsa->dr0, vmsa->dr1, vmsa->dr2, vmsa->dr3}, .dr6 = vmsa->dr6, .dr7 = vmsa->dr7};
	const struct kvm_sregs sregs = sregs_of(vmsa);
	const struct kvm_regs regs = regs_of(vmsa);
	const struct kvm_fpu fpu = fpu_of(vmsa);
	struct cpu *cpu = v->cpu;

	cpu_init(cpu);
	if (!(vmsa->efer & EFER_SVME) || !kvm_vcpu_xcr0_is_valid(v, vmsa->xcr0) ||
	        cpu_set_debugregs(cpu, &debug) < 0 || cpu_set_sregs(cpu, &sregs) < 0)
		return false;
	cpu->xcr0 = vmsa->xcr0;
	cpu_set_fpu(cpu, &fpu);
	cpu_set_ymm(cpu, (const uint8_t *)vmsa->ymm);
	cpu->mxcsr = vmsa->mxcsr & cpu->mxcsr_mask;
	take_msrs(cpu, vmsa);
	cpu_set_regs(cpu, &regs);
	return true;
}
