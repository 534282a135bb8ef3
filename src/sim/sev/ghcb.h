/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ghcb: how KVM answers the VMGEXITs of a SEV-ES or SEV-SNP guest. ghcb.c takes the page and finds the event,
 * ghcb_events.c, ghcb_io.c, ghcb_psc.c and ghcb_snp.c answer events, ghcb_msr.c answers the protocol in the
 * MSR, ghcb_ap.c starts processors. The vCPU's thread, with kvm_vcpu.lock held. Law: the GHCB specification
 * (AMD 56421); Linux's arch/x86/kvm/svm/sev.c.
 */
#ifndef SEV_GHCB_H
#define SEV_GHCB_H

#include "kvm/hooks.h"
#include "vmm/abi/ghcb.h"

#define SEV_GHCB_VERSION_MIN     1
#define SEV_GHCB_VERSION_DEFAULT 2
#define SEV_GHCB_VERSION_MAX     2

/* What KVM offers a guest of any type that has a GHCB, also where the guest cannot use it. */
#define SEV_GHCB_FEATURES (ABI_GHCB_FEATURE_SNP | ABI_GHCB_FEATURE_AP_CREATION)

/* Returns 1: the guest goes on; 0: KVM_RUN is over, kvm_run tells why; or a negated errno. */
typedef int sev_ghcb_fn(struct kvm_vcpu *v);

/* How a processor waits for its SIPI (AP Reset Hold). */
enum sev_hold { SEV_HOLD_NONE, SEV_HOLD_EVENT, SEV_HOLD_MSR };

struct sev_ghcb {
	uint64_t msr;        /* the page's address, or a request or an answer of the MSR's protocol */
	uint64_t registered; /* SEV-SNP: the page that the guest registered */
	enum sev_hold hold;
	bool sipi_received; /* the first SIPI came: the processor started with the VMSA that was launched */

	/* ---- a VMGEXIT with the page, until the guest goes on ---- */
	bool open;             /* KVM owes the page its registers */
	struct abi_ghcb guest; /* what the guest had in the page, copied once */
	bool answered;         /* the answer is not in the page yet */
	uint64_t answer[2];    /* sw_exit_info_1, sw_exit_info_2 */
	struct {
		uint64_t size;
		uint8_t *outside; /* a copy of guest memory that is not in the page; NULL: none */
		bool sync;        /* the copy goes back to guest memory when the guest goes on */
	} scratch;

	/* ---- an access that the VMM answers, or several ---- */
	sev_ghcb_fn *complete; /* NULL: none */
	struct {
		uint64_t at;   /* the port, or the guest-physical address */
		uint64_t done; /* bytes of the scratch area, or of the event's own bytes */
		uint32_t left; /* ports: elements; else: bytes */
		uint32_t now;  /* of these, the ones that the VMM has */
		uint8_t size;  /* ports: of an element */
		bool write;
	} access;
};

/* ---- what kvm/ calls (struct kvm_hooks) ---- */

int sev_vcpu_vmgexit(struct kvm_vcpu *v);
int sev_vcpu_vmgexit_complete(struct kvm_vcpu *v);
void sev_vcpu_resume(struct kvm_vcpu *v);
bool sev_vcpu_sipi(struct kvm_vcpu *v);

/* ---- life ---- */

/* Sets the GHCB's MSR as after power-on. The VM has its encryption context. */
void sev_ghcb_reset(struct kvm_vcpu *v);
/* Frees what a vCPU that ends holds. */
void sev_ghcb_finish(struct sev_ghcb *ghcb);
/* Moves the state to a vCPU that takes over the guest's, but for an access that the VMM is to answer. */
void sev_ghcb_move(struct kvm_vcpu *to, struct kvm_vcpu *from);

/* ---- answers ---- */

sev_ghcb_fn sev_ghcb_event;          /* ghcb_events.c: finds the event of the copied page, and answers it */
sev_ghcb_fn sev_ghcb_on_port;        /* ghcb_io.c */
sev_ghcb_fn sev_ghcb_on_mmio;        /* ghcb_io.c */
sev_ghcb_fn sev_ghcb_on_ap_creation; /* guest_vmsa.c */
sev_ghcb_fn sev_ghcb_on_psc;         /* ghcb_psc.c */
sev_ghcb_fn sev_ghcb_on_request;     /* ghcb_snp.c */
sev_ghcb_fn sev_ghcb_on_ext_request; /* ghcb_snp.c */
sev_ghcb_fn sev_ghcb_msr_protocol;   /* ghcb_msr.c */
sev_ghcb_fn sev_ghcb_psc_by_msr;     /* ghcb_psc.c */

/* ---- the scratch area (ghcb_io.c) ---- */

/*
 * Makes size bytes of the scratch area, not 0, ready for an access; with sync the access fills them. Returns
 * 0; 1 if the answer is that the area is bad; or a negated errno.
 */
int sev_ghcb_open_scratch(struct kvm_vcpu *v, uint64_t size, bool sync);
/* Returns KVM's copy of the scratch area, of scratch.size bytes, from an offset on. */
uint8_t *sev_ghcb_scratch(struct kvm_vcpu *v, uint64_t at);
/* The guest's page gets bytes that an access brought. Those outside of it follow when the guest goes on. */
void sev_ghcb_filled(struct kvm_vcpu *v, uint64_t at, uint64_t size);

/* ---- for the functions that answer ---- */

/* Did the guest mark the field with this number (ABI_GHCB_BIT) as valid? */
bool sev_ghcb_is_valid(const struct sev_ghcb *ghcb, unsigned bit);
/* Each makes this the answer, in the place of an earlier one, and returns 1. */
int sev_ghcb_done(struct kvm_vcpu *v, uint64_t info_2);
int sev_ghcb_malformed(struct kvm_vcpu *v, uint64_t why);
int sev_ghcb_exception(struct kvm_vcpu *v, uint8_t vector);
/* Writes to the page itself: size bytes at an offset. */
void sev_ghcb_write(struct kvm_vcpu *v, uint64_t offset, const void *data, size_t size);
/* Leaves to the VMM, whose answer complete() takes. kvm_run is filled in. Returns 0. */
int sev_ghcb_leave(struct kvm_vcpu *v, sev_ghcb_fn *complete);
/* Leaves because the guest asks to be ended. Returns 0. */
int sev_ghcb_terminate(struct kvm_vcpu *v);
/* Makes CPUID fill in KVM's registers, which hold the leaf and the subleaf. */
void sev_ghcb_cpuid(struct kvm_vcpu *v);
/* Lets the processor wait for its SIPI. Returns 1, or 0 if the VMM has the interrupt controllers. */
int sev_ghcb_hold(struct kvm_vcpu *v, enum sev_hold hold);

#endif
