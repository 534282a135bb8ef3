/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu_state: a vCPU's registers from the VMSA that was measured for it, so that the one which KVM builds
 * from the vCPU is the same. Any thread; no state.
 * Law: APM volume 2, table B-4; kernel sev_es_sync_vmsa(), svm_get_segment().
 */
#include "launch.h"

/* A processor comes out of reset with caches off (APM volume 2, 14.1.3); KVM hides both bits in the VMSA. */
#define CR0_CD_NW 0x60000000u

void launch_vcpu_regs(const struct abi_vmsa *vmsa, struct kvm_regs *ret_regs)
{
	*ret_regs = (struct kvm_regs){
	        .rax = vmsa->rax,
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
	        .rflags = vmsa->rflags,
	};
}

/* attrib holds bits 8-15 and 20-23 of a segment descriptor side by side. */
static struct kvm_segment segment(const struct abi_segment *s)
{
	return (struct kvm_segment){
	        .base = s->base,
	        .limit = s->limit,
	        .selector = s->selector,
	        .type = s->attrib & 15,
	        .s = s->attrib >> 4 & 1,
	        .dpl = s->attrib >> 5 & 3,
	        .present = s->attrib >> 7 & 1,
	        .avl = s->attrib >> 8 & 1,
	        .l = s->attrib >> 9 & 1,
	        .db = s->attrib >> 10 & 1,
	        .g = s->attrib >> 11 & 1,
	};
}

void launch_vcpu_sregs(const struct abi_vmsa *vmsa, struct kvm_sregs *sregs)
{
	sregs->cs = segment(&vmsa->cs);
	sregs->ds = segment(&vmsa->ds);
	sregs->es = segment(&vmsa->es);
	sregs->fs = segment(&vmsa->fs);
	sregs->gs = segment(&vmsa->gs);
	sregs->ss = segment(&vmsa->ss);
	sregs->tr = segment(&vmsa->tr);
	sregs->ldt = segment(&vmsa->ldtr);
	sregs->gdt = (struct kvm_dtable){.base = vmsa->gdtr.base, .limit = (uint16_t)vmsa->gdtr.limit};
	sregs->idt = (struct kvm_dtable){.base = vmsa->idtr.base, .limit = (uint16_t)vmsa->idtr.limit};
	sregs->cr0 = vmsa->cr0 | CR0_CD_NW;
	sregs->cr2 = vmsa->cr2;
	sregs->cr3 = vmsa->cr3;
	/* MCE in CR4 and SVME in EFER are KVM's own additions, which a guest cannot be given. */
	sregs->cr4 = 0;
	sregs->efer = 0;
}
