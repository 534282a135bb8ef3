/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmsa: the save area that the firmware measures for each vCPU, as KVM builds it from a vCPU that was reset
 * the way processors are, or that stands where a mirror begins. Any thread; no state.
 * Law: APM volume 2, table B-4 (layout) and 14.1.3 (reset); kernel sev_es_sync_vmsa(), svm_set_cr4().
 */
#include <linux/kvm.h>

#include "plan.h"

#define FIELD(name, value) \
	{ \
#name, offsetof(struct abi_vmsa, name), sizeof(((struct abi_vmsa *)0)->name), value \
	}
#define SEGMENT(name, selector_reset, attrib_reset, limit_reset) \
	FIELD(name.selector, selector_reset), FIELD(name.attrib, attrib_reset), \
	        FIELD(name.limit, limit_reset), FIELD(name.base, 0)

const struct launch_vmsa_field launch_vmsa_fields[] = {
        SEGMENT(es, 0, 0x93, 0xffff),
        SEGMENT(cs, 0xf000, 0x9b, 0xffff),
        SEGMENT(ss, 0, 0x93, 0xffff),
        SEGMENT(ds, 0, 0x93, 0xffff),
        SEGMENT(fs, 0, 0x93, 0xffff),
        SEGMENT(gs, 0, 0x93, 0xffff),
        SEGMENT(gdtr, 0, 0, 0xffff),
        SEGMENT(ldtr, 0, 0x82, 0xffff),
        SEGMENT(idtr, 0, 0, 0xffff),
        SEGMENT(tr, 0, 0x8b, 0xffff),
        FIELD(vmpl, 0),
        FIELD(cpl, 0),
        FIELD(efer, 0x1000), /* KVM runs guests with SVME set */
        FIELD(xss, 0),
        FIELD(cr4, 0x40), /* KVM or-s the host's MCE in */
        FIELD(cr3, 0),
        FIELD(cr0, 0x10), /* KVM's quirk clears CD and NW */
        FIELD(dr7, 0x400),
        FIELD(dr6, 0xffff0ff0),
        FIELD(rflags, 2),
        FIELD(rip, 0),
        FIELD(dr0, 0),
        FIELD(dr1, 0),
        FIELD(dr2, 0),
        FIELD(dr3, 0),
        FIELD(rsp, 0),
        FIELD(rax, 0),
        FIELD(star, 0),
        FIELD(lstar, 0),
        FIELD(cstar, 0),
        FIELD(sfmask, 0),
        FIELD(kernel_gs_base, 0),
        FIELD(sysenter_cs, 0),
        FIELD(sysenter_esp, 0),
        FIELD(sysenter_eip, 0),
        FIELD(cr2, 0),
        FIELD(g_pat, 0x0007040600070406),
        FIELD(dbgctl, 0),
        FIELD(pkru, 0),
        FIELD(tsc_aux, 0),
        FIELD(tsc_scale, 0),
        FIELD(tsc_offset, 0),
        FIELD(rcx, 0),
        FIELD(rdx, 0),
        FIELD(rbx, 0),
        FIELD(rbp, 0),
        FIELD(rsi, 0),
        FIELD(rdi, 0),
        FIELD(r8, 0),
        FIELD(r9, 0),
        FIELD(r10, 0),
        FIELD(r11, 0),
        FIELD(r12, 0),
        FIELD(r13, 0),
        FIELD(r14, 0),
        FIELD(r15, 0),
        FIELD(sev_features, 0),
        FIELD(vintr, 0),
        FIELD(vtom, 0),
        FIELD(xcr0, 1),
        FIELD(mxcsr, 0x1f80),
        FIELD(x87_ftw, 0),
        FIELD(x87_fsw, 0),
        FIELD(x87_fcw, 0x37f),
};
const size_t launch_vmsa_field_count = ARRAY_LEN(launch_vmsa_fields);

void launch_vmsa_fill(const struct launch_vmsa *from, struct abi_vmsa *ret_vmsa)
{
	*ret_vmsa = (struct abi_vmsa){0};
	for (const struct launch_vmsa_field *f = launch_vmsa_fields;
	        f < launch_vmsa_fields + launch_vmsa_field_count; f++)
		store_le((uint8_t *)ret_vmsa + f->offset, f->size, f->reset);
	ret_vmsa->cs.base = from->eip & 0xffff0000;
	ret_vmsa->rip = from->eip & 0xffff;
	ret_vmsa->rdx = from->cpu_signature;
	ret_vmsa->sev_features = from->sev_features;
	if (from->legacy_init) {
		ret_vmsa->mxcsr = 0;
		ret_vmsa->x87_fcw = 0;
	}
}

/* ---- a mirror's ---- */

#define CR4_MCE   0x40u   /* KVM or-s the host's in */
#define EFER_SVME 0x1000u /* KVM runs guests with it */

/* As KVM puts bits 8-15 and 20-23 of a segment descriptor side by side. */
static struct abi_segment segment(const struct kvm_segment *s)
{
	unsigned attrib = s->type | s->s << 4 | s->dpl << 5 | s->present << 7 | s->avl << 8 | s->l << 9 |
	                  s->db << 10 | s->g << 11;

	return (struct abi_segment){
	        .selector = s->selector, .attrib = (uint16_t)attrib, .limit = s->limit, .base = s->base};
}

/* KVM copies the features of VMSAs to no mirror. */
void launch_vmsa_fill_mirror(
        const struct launch_vmsa *from, const struct mirror_entry *entry, struct abi_vmsa *ret_vmsa)
{
	struct kvm_sregs sregs = {0};
	struct kvm_regs regs;

	launch_vmsa_fill(&(struct launch_vmsa){.legacy_init = from->legacy_init}, ret_vmsa);
	mirror_entry_registers(entry, &regs, &sregs);
	ret_vmsa->cs = segment(&sregs.cs);
	ret_vmsa->ds = ret_vmsa->es = ret_vmsa->fs = ret_vmsa->gs = ret_vmsa->ss = segment(&sregs.ds);
	ret_vmsa->ldtr = segment(&sregs.ldt);
	ret_vmsa->tr = segment(&sregs.tr);
	ret_vmsa->gdtr = ret_vmsa->idtr = (struct abi_segment){0};
	ret_vmsa->cr0 = sregs.cr0;
	ret_vmsa->cr3 = sregs.cr3;
	ret_vmsa->cr4 = sregs.cr4 | CR4_MCE;
	ret_vmsa->efer = sregs.efer | EFER_SVME;
	ret_vmsa->rflags = regs.rflags;
	ret_vmsa->rip = regs.rip;
	ret_vmsa->rsp = regs.rsp;
	ret_vmsa->rdi = regs.rdi;
}
