/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vc: #VC, the exception by which a SEV-ES guest learns that an instruction needs its hypervisor. The error
 * code is the exit code that the hypervisor of a plain guest would have got. Everything that KVM intercepts
 * raises it, but the automatic exits: HLT, PAUSE, interrupts, shutdown, writes to CRs and EFER, and faults in
 * the hypervisor's page tables that are not MMIO. Law: APM 2, 15.35.4, 15.35.5, appendix C; what KVM
 * intercepts: Linux's arch/x86/kvm/svm/svm.c and sev.c.
 */
#ifndef CPU_VC_H
#define CPU_VC_H

#include "leave.h"

enum vc_code {
	VC_DR7_READ = 0x27,
	VC_DR7_WRITE = 0x37,
	VC_DB = 0x41,
	VC_AC = 0x51,
	VC_RDPMC = 0x6f,
	VC_CPUID = 0x72,
	VC_INVD = 0x76,
	VC_INVLPGA = 0x7a,
	VC_IOIO = 0x7b,
	VC_MSR = 0x7c,
	VC_TASK_SWITCH = 0x7d,
	VC_VMRUN = 0x80,
	VC_VMMCALL = 0x81,
	VC_VMLOAD = 0x82,
	VC_VMSAVE = 0x83,
	VC_STGI = 0x84,
	VC_CLGI = 0x85,
	VC_SKINIT = 0x86,
	VC_ICEBP = 0x88,
	VC_WBINVD = 0x89,
	VC_MONITOR = 0x8a,
	VC_MWAIT = 0x8b,
	VC_MMIO = 0x400, /* the nested page fault of an address without memory */
	VC_NOT_VALIDATED = 0x404,
};

/*
 * Raises #VC in a guest that has it, in place of the exit of a plain guest. The caller has made the checks of
 * the instruction that come before its intercept (APM 2, 15.9).
 */
ALWAYS void vc_intercept(struct cpu *cpu, enum vc_code code)
{
	if (unlikely(cpu->vc))
		cpu_raise_error(cpu, EXC_VC, code);
}

#endif
