/* SPDX-License-Identifier: Apache-2.0 */
/*
 * malice: what a malicious kernel does to a SEV-SNP guest, for the tests of attacks. Only they include this
 * header and link its library, so no program has a way to it: no key, option or variable leads here. A page
 * is named by the guest-physical address to which it is mapped at that moment; each address has a
 * guest_memfd. Any thread may call. What the VMM may do by its own calls, such as KVM_SET_MEMORY_ATTRIBUTES,
 * is not here.
 */
#ifndef SIM_MALICE_H
#define SIM_MALICE_H

#include "vmm/sim.h"

/* The error code of the kernel's #PF: a write to a page that is there, refused by the RMP. */
#define SIM_MALICE_RMP_FAULT UINT32_C(0x80000003)

/*
 * Writes to the page at gpa by the kernel's own mapping of it. Returns 0, or the error code of the #PF; then
 * nothing is written.
 */
uint32_t sim_malice_write(struct host *h, int vm, uint64_t gpa, const void *data, size_t size) MUST_CHECK;
/* Maps the page at other to gpa, too, and lets the processors forget what was there. */
void sim_malice_remap(struct host *h, int vm, uint64_t gpa, uint64_t other);
/* Maps each of the two pages where the other was. */
void sim_malice_swap(struct host *h, int vm, uint64_t gpa, uint64_t other);
/* Executes RMPUPDATE on the page at gpa: it is the guest's for the address to, or the host's. */
#define SIM_MALICE_HOST UINT64_MAX
void sim_malice_rmpupdate(struct host *h, int vm, uint64_t gpa, uint64_t to);
/*
 * Writes to the save area of a vCPU, in the page that KVM gives to the firmware. Returns as
 * sim_malice_write().
 */
uint32_t sim_malice_write_vmsa(
        struct host *h, int vcpu, size_t offset, const void *data, size_t size) MUST_CHECK;

#endif
