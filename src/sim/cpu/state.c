/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state: creates and destroys vCPUs, and gives and takes their registers in KVM's structs. All of it is
 * called only outside cpu_run().
 */
#include "debug.h"
#include "flags.h"
#include "native.h"
#include "walk.h"

#define DR6_RESET 0xffff0ff0u

int cpu_create(struct cpu_bus *bus, void *ctx, struct cpu **ret_cpu, struct err *err)
{
	struct cpu *cpu = aligned_alloc(64, (sizeof(*cpu) + 63) & ~(size_t)63);

	if (!cpu)
		return err_set(err, ERR_FAILED, "no memory for a processor");
	memset(cpu, 0, sizeof(*cpu));
	cpu->bus = bus;
	cpu->ctx = ctx;
	cpu->exit = -1;
	cpu->tlb = malloc(sizeof(*cpu->tlb));
	if (!cpu->tlb || cpu_code_create(cpu, err)) {
		cpu_destroy(cpu);
		return err_set(err, ERR_FAILED, "no memory for a processor's caches");
	}
	memset(cpu->tlb->used, true, sizeof(cpu->tlb->used));
	cpu_tlb_flush(cpu);
	cpu->mxcsr_mask = 0xffff;
	cpu->pat = 0x0007040600070406;
	cpu->xcr0 = 1;
	cpu->apic_on = true;
	cpu->x87.fcw = 0x40;
	cpu->x87.ftw = 0xff;
	cpu->mxcsr = 0x1f80;
	cpu_init(cpu);
	*ret_cpu = cpu;
	return 0;
}

void cpu_destroy(struct cpu *cpu)
{
	if (!cpu)
		return;
	if (cpu->native)
		cpu->native->destroy(cpu);
	cpu_code_destroy(cpu);
	free(cpu->tlb);
	free(cpu->cpuid);
	free(cpu);
}

static u32 signature(const struct cpu *cpu)
{
	u32 regs[4];

	cpu_cpuid_query(cpu, 1, 0, regs);
	return regs[0] ? regs[0] : 0x600;
}

/* The values are those of APM 2, 14.1.3, table 14-1. */
void cpu_init(struct cpu *cpu)
{
	memset(cpu->gpr, 0, sizeof(cpu->gpr));
	REG_RDX = signature(cpu);
	REG_RIP = 0xfff0;
	cpu->rflags_rest = FLAG_ONE;
	flags_arith_set(cpu, 0);
	for (unsigned i = CPU_ES; i <= CPU_GS; i++)
		cpu->seg[i] = (struct cpu_seg){.limit = 0xffff, .attr = 0x93};
	cpu->seg[CPU_CS] =
	        (struct cpu_seg){.base = 0xffff0000, .limit = 0xffff, .selector = 0xf000, .attr = 0x9b};
	cpu->seg[CPU_LDTR] = (struct cpu_seg){.limit = 0xffff, .attr = 0x82};
	cpu->seg[CPU_TR] = (struct cpu_seg){.limit = 0xffff, .attr = 0x8b};
	cpu->gdtr = cpu->idtr = (struct cpu_table){.limit = 0xffff};
	cpu->cr0 = (cpu->cr0 & (CR0_CD | CR0_NW)) | CR0_ET;
	if (cpu->icount == 0)
		cpu->cr0 = CR0_CD | CR0_NW | CR0_ET;
	cpu->cr2 = cpu->cr3 = cpu->cr4 = cpu->cr8 = 0;
	cpu->efer = 0;
	memset(cpu->dr, 0, sizeof(cpu->dr));
	cpu->dr[6] = DR6_RESET;
	cpu->dr[7] = 0x400;
	cpu_debug_changed(cpu);
	cpu->event.kind = CPU_EVENT_NONE;
	cpu->shadow = cpu->nmi_blocked = false;
	cpu_set_nmis(cpu, 0);
	cpu->cpl = 0;
	cpu_access_forget(cpu);
	cpu_tlb_flush(cpu);
	cpu_mode_changed(cpu);
}

void cpu_set_vc(struct cpu *cpu, uint32_t vc)
{
	cpu->vc = vc;
	cpu_tlb_flush(cpu); /* its entries may lead where there is no memory */
}

void cpu_sipi(struct cpu *cpu, uint8_t vector)
{
	cpu->seg[CPU_CS].selector = (u16)(vector << 8);
	cpu->seg[CPU_CS].base = (u64)vector << 12;
	REG_RIP = 0;
	cpu_mode_changed(cpu);
}

/* ---- flags and general registers ---- */

uint64_t cpu_rflags(const struct cpu *cpu)
{
	return cpu->rflags_rest | flags_arith(cpu);
}

void cpu_set_rflags(struct cpu *cpu, uint64_t rflags)
{
	u32 old = (u32)cpu->rflags_rest;

	flags_arith_set(cpu, (u32)rflags & FLAG_ARITH);
	cpu->rflags_rest = (rflags & 0x3f7700 & ~(u64)FLAG_ARITH) | FLAG_ONE;
	if ((old ^ cpu->rflags_rest) & FLAG_VM)
		cpu_mode_changed(cpu);
	else
		cpu_flags_changed(cpu);
}

void cpu_get_regs(const struct cpu *cpu, struct kvm_regs *ret_regs)
{
	*ret_regs = (struct kvm_regs){.rax = REG_RAX,
	        .rbx = REG_RBX,
	        .rcx = REG_RCX,
	        .rdx = REG_RDX,
	        .rsi = REG_RSI,
	        .rdi = REG_RDI,
	        .rsp = REG_RSP,
	        .rbp = REG_RBP,
	        .rip = REG_RIP,
	        .rflags = cpu_rflags(cpu)};
	memcpy(&ret_regs->r8, &cpu->gpr[8], 64);
}

void cpu_set_regs(struct cpu *cpu, const struct kvm_regs *regs)
{
	REG_RAX = regs->rax;
	REG_RBX = regs->rbx;
	REG_RCX = regs->rcx;
	REG_RDX = regs->rdx;
	REG_RSI = regs->rsi;
	REG_RDI = regs->rdi;
	REG_RSP = regs->rsp;
	REG_RBP = regs->rbp;
	if (REG_RIP != regs->rip)
		cpu_access_forget(cpu);
	REG_RIP = regs->rip;
	memcpy(&cpu->gpr[8], &regs->r8, 64);
	cpu_set_rflags(cpu, regs->rflags);
	/* As in KVM, a pending exception is dropped together with the state that it belonged to. */
	cpu->event.kind = CPU_EVENT_NONE;
	cpu_flags_changed(cpu);
}

/* ---- segments and control registers ---- */

static struct kvm_segment seg_to_kvm(const struct cpu_seg *s)
{
	return (struct kvm_segment){.base = s->base,
	        .limit = s->limit,
	        .selector = s->selector,
	        .type = s->attr & 15,
	        .s = s->attr >> 4 & 1,
	        .dpl = s->attr >> 5 & 3,
	        .present = s->attr >> 7 & 1,
	        .avl = s->attr >> 8 & 1,
	        .l = s->attr >> 9 & 1,
	        .db = s->attr >> 10 & 1,
	        .g = s->attr >> 11 & 1,
	        .unusable = !(s->attr & SEG_P)};
}

static struct cpu_seg seg_from_kvm(const struct kvm_segment *k)
{
	struct cpu_seg s = {.base = k->base, .limit = k->limit, .selector = k->selector};

	s.attr = (u16)((k->type & 15) | (k->s & 1) << 4 | (k->dpl & 3) << 5 |
	               (k->present && !k->unusable) << 7 | (k->avl & 1) << 8 | (k->l & 1) << 9 |
	               (k->db & 1) << 10 | (k->g & 1) << 11);
	return s;
}

void cpu_get_sregs(const struct cpu *cpu, struct kvm_sregs *ret_sregs)
{
	*ret_sregs = (struct kvm_sregs){.es = seg_to_kvm(&cpu->seg[CPU_ES]),
	        .cs = seg_to_kvm(&cpu->seg[CPU_CS]),
	        .ss = seg_to_kvm(&cpu->seg[CPU_SS]),
	        .ds = seg_to_kvm(&cpu->seg[CPU_DS]),
	        .fs = seg_to_kvm(&cpu->seg[CPU_FS]),
	        .gs = seg_to_kvm(&cpu->seg[CPU_GS]),
	        .ldt = seg_to_kvm(&cpu->seg[CPU_LDTR]),
	        .tr = seg_to_kvm(&cpu->seg[CPU_TR]),
	        .gdt = {.base = cpu->gdtr.base, .limit = cpu->gdtr.limit},
	        .idt = {.base = cpu->idtr.base, .limit = cpu->idtr.limit},
	        .cr0 = cpu->cr0,
	        .cr2 = cpu->cr2,
	        .cr3 = cpu->cr3,
	        .cr4 = cpu->cr4,
	        .cr8 = cpu->cr8,
	        .efer = cpu->efer};
}

bool cpu_sregs_are_valid(const struct cpu *cpu, const struct kvm_sregs *s)
{
	if (s->efer & EFER_LME && s->cr0 & CR0_PG) {
		if (!(s->cr4 & CR4_PAE) || !(s->efer & EFER_LMA) ||
		        s->cr3 & ~(cpu->bus->phys_mask | cpu->bus->c_bit | 0xfff))
			return false;
	} else if (s->efer & EFER_LMA || s->cs.l) {
		return false;
	}
	if (s->cr0 >> 32 || (s->cr0 & CR0_PG && !(s->cr0 & CR0_PE)) ||
	        (s->cr0 & CR0_NW && !(s->cr0 & CR0_CD)))
		return false;
	return !(s->cr4 & ~cpu_cr4_allowed(cpu)) && s->cr8 <= 15 && cpu_efer_valid(cpu, s->efer);
}

static void forget(struct cpu *cpu, void *arg)
{
	cpu_tlb_flush(cpu);
	cpu_code_serialize(cpu);
	cpu_pdptes_load(cpu);
}

int cpu_set_sregs(struct cpu *cpu, const struct kvm_sregs *sregs)
{
	const struct kvm_segment *segs[] = {&sregs->es, &sregs->cs, &sregs->ss, &sregs->ds, &sregs->fs,
	        &sregs->gs, &sregs->ldt, &sregs->tr};

	if (!cpu_sregs_are_valid(cpu, sregs))
		return -1;
	if (cpu->seg[CPU_CS].base != sregs->cs.base)
		cpu_access_forget(cpu);
	for (unsigned i = 0; i < ARRAY_LEN(segs); i++)
		cpu->seg[i] = seg_from_kvm(segs[i]);
	cpu->gdtr = (struct cpu_table){.base = sregs->gdt.base, .limit = sregs->gdt.limit};
	cpu->idtr = (struct cpu_table){.base = sregs->idt.base, .limit = sregs->idt.limit};
	cpu->cr0 = sregs->cr0 | CR0_ET;
	cpu->cr2 = sregs->cr2;
	cpu->cr3 = sregs->cr3;
	cpu->cr4 = sregs->cr4;
	cpu->cr8 = sregs->cr8;
	cpu->efer = sregs->efer;
	cpu->cpl = cpu->cr0 & CR0_PE ? SEG_DPL(cpu->seg[CPU_SS].attr) : 0;
	/* As in KVM, PDPTEs that cannot be read keep their values. */
	if (!cpu_look(cpu, forget, NULL))
		log_guest(LOG_DEBUG, "KVM_SET_SREGS: the memory that CR3 points to is missing");
	cpu_mode_changed(cpu);
	return 0;
}
