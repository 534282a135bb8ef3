/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mirror: a second VM that shares the encryption context of a SEV guest. Its vCPU reads and writes the
 * guest's private memory, which the host cannot. What it runs is a helper: a part of the guest's measured
 * image, or a program that the guest has put into its memory for this. The helper halts when it has nothing
 * to do. The caller enters it again when there is work.
 *
 * The memory is the guest's, at the guest's addresses; the mirror has slots of its own, so it sees only what
 * it is to see. A mirror holds the guest's ASID: it is destroyed before the guest. One thread at a time, but
 * for mirror_kick(). Law: api.rst, KVM_CAP_VM_COPY_ENC_CONTEXT_FROM.
 */
#ifndef VMM_MIRROR_H
#define VMM_MIRROR_H

#include <linux/kvm.h>

#include "vmm/base.h"
#include "vmm/call.h"
#include "vmm/config.h"
#include "vmm/host.h"
#include "vmm/page.h"

struct mirror;

/* The guest whose context is shared. All is borrowed until mirror_destroy(). */
struct mirror_guest {
	struct host *host;
	int kvm_fd;       /* of /dev/kvm */
	int vm_fd;        /* the guest's VM... */
	unsigned vm_type; /* ... and its type (enum uapi_vm_type) */
	enum config_sev_type sev;
	struct page_memory *memory;
	const struct kvm_cpuid2 *cpuid; /* of the guest's first vCPU */
	/*
	 * A SEV-ES guest between its LAUNCH_START and LAUNCH_MEASURE: the firmware measures the registers of
	 * the mirror's vCPU then (LAUNCH_UPDATE_VMSA), and never later. NULL: the guest has been launched.
	 */
	const struct call_sev *launching;
};

/* A piece of the guest's memory that the mirror sees: whole pages of one region. */
struct mirror_view {
	struct gpa start;
	uint64_t size_bytes;
};

#define MIRROR_VIEWS_MAX 32

/* Where the helper begins: in 64-bit mode, at privilege level 0, with interrupts off and flat segments. */
struct mirror_entry {
	uint64_t cr3; /* of the helper's page tables, with the C-bit if they are private */
	uint64_t rip, rsp;
	uint64_t rdi; /* its argument */
};

/* Can a guest of this type have a mirror after its launch? ERR_HOST with the reason why not. */
int mirror_check_type(enum config_sev_type type, struct err *err) MUST_CHECK;
/*
 * Makes a VM with the guest's context, gives it the views, in ascending order and disjoint, and one vCPU that
 * stands at the entry. A SEV guest has been launched, and may run meanwhile; a SEV-ES guest is being
 * launched.
 *
 * ERR_USAGE: a view is not memory of the guest. ERR_HOST: such a guest has no mirror, for which the text says
 * why; or KVM refuses. ERR_FAILED: no memory.
 */
int mirror_create(const struct mirror_guest *guest, const struct mirror_view *views, unsigned count,
        const struct mirror_entry *entry, struct mirror **ret_mirror, struct err *err) MUST_CHECK;
void mirror_destroy(struct mirror *mirror); /* NULL is allowed */

/*
 * Lets the mirror see another piece of memory, behind all others, which is mapped at this address, for as
 * long as the mirror lives. It may run meanwhile. ERR_USAGE: it is not behind the others, or there are
 * MIRROR_VIEWS_MAX of them; or KVM refuses. Only one thread adds and takes.
 */
int mirror_add_view(
        struct mirror *mirror, const struct mirror_view *view, void *at, struct err *err) MUST_CHECK;
/* Takes the piece that was added last back, which the helper has not used. Fails if KVM refuses. */
int mirror_take_view(struct mirror *mirror, struct err *err) MUST_CHECK;
/* Does the range lie in one piece that the mirror sees? Any thread. */
bool mirror_sees(const struct mirror *mirror, struct gpa start, uint64_t size_bytes);

/*
 * What a vCPU at the entry has in its registers. sregs: as KVM gave them; all but APIC base and CR8 are
 * replaced.
 */
void mirror_entry_registers(
        const struct mirror_entry *entry, struct kvm_regs *ret_regs, struct kvm_sregs *sregs);

enum mirror_exit {
	MIRROR_HALTED, /* the helper executed HLT; the next run goes on behind it */
	MIRROR_KICKED, /* by mirror_kick(); the next run goes on where it was */
};
/*
 * Runs the helper until it halts or is kicked. For as long the caller waits, and a helper that does not halt
 * is for the caller to kick. ERR_FAILED: the helper did what nobody answers: it used an address without
 * memory, or a port, or crashed. A mirror that failed so can only be destroyed.
 */
int mirror_run(struct mirror *mirror, enum mirror_exit *ret_exit, struct err *err) MUST_CHECK;
/*
 * Lets the run that is under way, or else the next one, return at once. It sends the thread that runs the
 * mirror the signal SIGUSR1, for which the process has a handler. Any thread, until mirror_destroy() is
 * called.
 */
void mirror_kick(struct mirror *mirror);
/* Takes back a kick that no run has seen. Nobody runs the mirror or kicks it. */
void mirror_forget_kick(struct mirror *mirror);

#endif
