/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call: one short function per kernel call, with an error that names the call. Each takes the host and a
 * descriptor. Any thread, as far as the kernel allows it for that descriptor. Law:
 * Documentation/virt/kvm/api.rst.
 */
#ifndef VMM_CALL_H
#define VMM_CALL_H

#include <linux/kvm.h>
#include <linux/psp-sev.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/abi/sev_cert.h"
#include "vmm/abi/sev_launch.h"
#include "vmm/base.h"
#include "vmm/host.h"
#include "vmm/uapi.h"

/* ---- /dev/kvm ---- */

/*
 * Opens /dev/kvm and checks that its API is the stable one. ERR_HOST with the reason and the remedy when it
 * is missing, not permitted, or of another version.
 */
int call_kvm_open(struct host *h, int *ret_fd, struct err *err) MUST_CHECK;
/* KVM_CHECK_EXTENSION on /dev/kvm or a VM: 0 if absent, else what the capability's text in api.rst says. */
int call_capability(struct host *h, int fd, unsigned capability);
/* Size in bytes of the mapping of a vCPU's struct kvm_run. */
int call_kvm_run_size(struct host *h, int kvm_fd, size_t *ret_size, struct err *err) MUST_CHECK;
/* The CPUID leaves that KVM can offer a guest; the caller frees *ret_cpuid. */
int call_kvm_supported_cpuid(
        struct host *h, int kvm_fd, struct kvm_cpuid2 **ret_cpuid, struct err *err) MUST_CHECK;

/* A capability that vmm uses or shows. */
struct call_capability_row {
	unsigned capability;
	const char *name;
	bool needed;     /* vmm cannot run a guest without it */
	const char *use; /* what for */
};
extern const struct call_capability_row call_capabilities[]; /* ends with a row without a name */
/* A device attribute of /dev/kvm (UAPI_SEV_VMSA_FEATURES, ...); false: this kernel does not have it. */
bool call_kvm_sev_attribute(struct host *h, int kvm_fd, unsigned attribute, uint64_t *ret_value);
/* ERR_HOST naming the first needed capability that is missing. */
int call_kvm_check(struct host *h, int kvm_fd, struct err *err) MUST_CHECK;

/* ---- a VM ---- */

int call_vm_create(struct host *h, int kvm_fd, unsigned type, int *ret_fd, struct err *err) MUST_CHECK;
/*
 * Gives KVM on Intel the four pages from address on, which it needs to run real mode. They lie in no memory
 * slot. On AMD this does nothing.
 */
int call_vm_set_intel_pages(struct host *h, int vm_fd, uint64_t address, struct err *err) MUST_CHECK;
int call_vm_create_irqchip(struct host *h, int vm_fd, struct err *err) MUST_CHECK;
/* A message-signalled interrupt. */
struct call_msi {
	uint64_t address;
	uint32_t data;
};
#define CALL_MSI_GSI 24 /* of the first message; the pins of the IOAPIC come before */
/*
 * Wires the interrupt lines: GSI 0-15 to both PICs and the IOAPIC, 16-23 to the IOAPIC, each to the pin of
 * its number. Only IRQ 0 arrives at pin 2 of the IOAPIC, as on a PC. GSI CALL_MSI_GSI + i sends messages[i].
 * Replaces the wiring before it. After call_vm_create_irqchip(). Any thread.
 */
int call_vm_set_routing(struct host *h, int vm_fd, const struct call_msi *messages, unsigned count,
        struct err *err) MUST_CHECK;
/* Sends a message-signalled interrupt. KVM refuses one whose address is no local APIC's. Any thread. */
int call_vm_signal_msi(struct host *h, int vm_fd, const struct call_msi *message, struct err *err) MUST_CHECK;
/* Lets an eventfd raise a GSI, edge-triggered, or no longer. Any thread. */
int call_vm_irqfd(struct host *h, int vm_fd, int fd, unsigned gsi, bool on, struct err *err) MUST_CHECK;
/* Lets writes of any size to a guest physical address signal an eventfd, or no longer. Any thread. */
int call_vm_ioeventfd(
        struct host *h, int vm_fd, int fd, uint64_t address, bool on, struct err *err) MUST_CHECK;
int call_vm_create_pit(struct host *h, int vm_fd, struct err *err) MUST_CHECK;
int call_vm_set_memory(struct host *h, int vm_fd, unsigned slot, uint64_t gpa, uint64_t size_bytes,
        void *host_address, struct err *err) MUST_CHECK;
/*
 * The same, with or without KVM's log of the pages that the guest writes. Of a slot that exists nothing but
 * the log may change.
 */
int call_vm_set_logged_memory(struct host *h, int vm_fd, unsigned slot, uint64_t gpa, uint64_t size_bytes,
        void *host_address, bool log, struct err *err) MUST_CHECK;
/*
 * Lets the caller say which logged pages become clean (call_vm_clear_log()), in place of
 * call_vm_get_log(), if this kernel can (KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2). A log that is switched on from
 * then on begins with all pages, where the kernel offers that; so it need not write-protect all of them at
 * once. *ret_can: whether it can.
 */
int call_vm_clear_log_by_hand(struct host *h, int vm_fd, bool *ret_can, struct err *err) MUST_CHECK;
/* Writes a bit for each page of a slot that has a log: bits has whole 64-bit words for all of them. */
int call_vm_get_log(struct host *h, int vm_fd, unsigned slot, uint64_t *bits, struct err *err) MUST_CHECK;
/*
 * Makes the pages of [first_page, first_page + pages) whose bits are set clean: bit 0 of bits[0] is
 * first_page's. Both numbers are multiples of 64, or the range ends with the slot.
 */
int call_vm_clear_log(struct host *h, int vm_fd, unsigned slot, uint64_t first_page, uint32_t pages,
        const uint64_t *bits, struct err *err) MUST_CHECK;
/* Sets the level of an interrupt line of the in-kernel irqchip. */
int call_vm_irq_line(struct host *h, int vm_fd, unsigned gsi, bool level, struct err *err) MUST_CHECK;

/* KVM_ENABLE_CAP with one argument. */
int call_vm_enable_capability(
        struct host *h, int vm_fd, unsigned capability, uint64_t argument, struct err *err) MUST_CHECK;

/*
 * Takes one MSR from KVM: the guest's reads and writes of it become exits (KVM_EXIT_X86_RDMSR and _WRMSR).
 * Replaces the filter that the VM had.
 */
int call_vm_take_msr(struct host *h, int vm_fd, uint32_t index, struct err *err) MUST_CHECK;

/* ---- memory that only the guest can read (SEV-SNP) ---- */

int call_vm_create_guest_memfd(
        struct host *h, int vm_fd, uint64_t size_bytes, int *ret_fd, struct err *err) MUST_CHECK;
/* A slot with both backings: host_address for shared pages, guest_memfd from offset on for private ones. */
int call_vm_set_private_memory(struct host *h, int vm_fd, unsigned slot, uint64_t gpa, uint64_t size_bytes,
        void *host_address, int guest_memfd, uint64_t offset, struct err *err) MUST_CHECK;
/* attributes: UAPI_MEMORY_ATTRIBUTE_PRIVATE or 0; whole pages. Moves no contents. */
int call_vm_set_attributes(struct host *h, int vm_fd, uint64_t gpa, uint64_t size_bytes, uint64_t attributes,
        struct err *err) MUST_CHECK;

/* ---- the secure processor's commands on a VM (KVM_MEMORY_ENCRYPT_OP) ---- */

/* Each fails with ERR_HOST; err->sys is the kernel's errno, err->fw the firmware's code if it was asked. */
struct call_sev {
	struct host *host;
	int vm_fd;
	int sev_fd; /* of /dev/sev; KVM keeps its number, so it stays open as long as the guest is launched */
};

/*
 * Makes the guest's context, which takes an ASID. Call it before the first vCPU is made. vmsa_features does
 * not contain ABI_FEATURE_SNP.
 */
int call_sev_init2(const struct call_sev *sev, uint64_t vmsa_features, struct err *err) MUST_CHECK;
/* The same on kernels before 6.10, for VMs of type 0. */
int call_sev_init_legacy(const struct call_sev *sev, bool es, struct err *err) MUST_CHECK;
/* Pins memory that will be encrypted where it is (SEV, SEV-ES). */
int call_sev_register_memory(
        const struct call_sev *sev, void *host_address, uint64_t size_bytes, struct err *err) MUST_CHECK;
/* Takes that back, for exactly the same memory. */
int call_sev_unregister_memory(
        const struct call_sev *sev, void *host_address, uint64_t size_bytes, struct err *err) MUST_CHECK;

/* SEV and SEV-ES, in the order of a launch (SEV API 6.1 to 6.7); start's handle is filled in. */
int call_sev_launch_start(
        const struct call_sev *sev, struct kvm_sev_launch_start *start, struct err *err) MUST_CHECK;
/* Encrypts guest memory where it is; address and size: multiples of 16. */
int call_sev_launch_update_data(
        const struct call_sev *sev, void *data, uint32_t size_bytes, struct err *err) MUST_CHECK;
int call_sev_launch_update_vmsa(const struct call_sev *sev, struct err *err) MUST_CHECK;
int call_sev_launch_measure(
        const struct call_sev *sev, struct abi_sev_measure *ret_measure, struct err *err) MUST_CHECK;
int call_sev_launch_secret(
        const struct call_sev *sev, const struct kvm_sev_launch_secret *secret, struct err *err) MUST_CHECK;
int call_sev_launch_finish(const struct call_sev *sev, struct err *err) MUST_CHECK;
/* The report that the firmware signs for a nonce (SEV API 6.8). */
int call_sev_report(const struct call_sev *sev, const uint8_t nonce[static 16],
        struct abi_sev_report *ret_report, struct err *err) MUST_CHECK;
int call_sev_guest_status(
        const struct call_sev *sev, struct kvm_sev_guest_status *ret_status, struct err *err) MUST_CHECK;

/*
 * SEV guests on their way from one platform to another, which are sent page by page (call/send.c). The guest
 * may run while it is sent.
 */
struct call_sev_receiver {
	const struct abi_sev_cert *pdh;
	const struct abi_sev_cert_chain *chain;
	const void *amd; /* ASK and ARK, which the firmware reads if the policy says SEV; 0 bytes: none */
	uint32_t amd_bytes;
};
/*
 * Begins to send. The firmware verifies the receiver's certificates only as far as the guest's policy says
 * SEV or DOMAIN: otherwise any PDH will do, whoever made it. *ret_policy: that of the guest.
 */
int call_sev_send_start(const struct call_sev *sev, const struct call_sev_receiver *receiver,
        uint32_t *ret_policy, struct abi_sev_session *ret_session, struct err *err) MUST_CHECK;
/* Makes a packet, of the same size, of private memory: within a page, address and size multiples of 16. */
int call_sev_send_update_data(const struct call_sev *sev, void *data, uint32_t size_bytes,
        struct abi_sev_secret_header *ret_header, void *ret_packet, struct err *err) MUST_CHECK;
/* Has the firmware start this guest never again. The guest is not stopped by it. */
int call_sev_send_finish(const struct call_sev *sev, struct err *err) MUST_CHECK;
/* The guest was not sent, and may be sent anew. */
int call_sev_send_cancel(const struct call_sev *sev, struct err *err) MUST_CHECK;
/* In place of LAUNCH_START. pdh and session: those of the sender. */
int call_sev_receive_start(const struct call_sev *sev, uint32_t policy, const struct abi_sev_cert *pdh,
        const struct abi_sev_session *session, uint32_t *ret_handle, struct err *err) MUST_CHECK;
/* Makes private memory of a packet. Nothing in it tells where it belongs, or how old it is. */
int call_sev_receive_update_data(const struct call_sev *sev, const struct abi_sev_secret_header *header,
        const void *packet, void *data, uint32_t size_bytes, struct err *err) MUST_CHECK;
/* The guest can run. Whether all of it came the firmware does not know. */
int call_sev_receive_finish(const struct call_sev *sev, struct err *err) MUST_CHECK;

/* SEV-SNP (SNP ABI 8.16 to 8.18). */
int call_snp_launch_start(const struct call_sev *sev, uint64_t policy, struct err *err) MUST_CHECK;
/* After KVM_SEV_INIT2 and before the first vCPU: requests for certificates become KVM_EXIT_SNP_REQ_CERTS. */
int call_snp_enable_req_certs(const struct call_sev *sev, struct err *err) MUST_CHECK;
/*
 * Makes one call. Success may mean that the kernel did only some of the pages. After success and after
 * failure gfn_start, uaddr and len say what is left.
 */
int call_snp_launch_update(
        const struct call_sev *sev, struct uapi_sev_snp_launch_update *update, struct err *err) MUST_CHECK;
int call_snp_launch_finish(const struct call_sev *sev, const struct uapi_sev_snp_launch_finish *finish,
        struct err *err) MUST_CHECK;

/* ---- the secure processor itself (/dev/sev) ---- */

int call_platform_open(struct host *h, int *ret_fd, struct err *err) MUST_CHECK;
/*
 * Opens /dev/sev for questions only. When a descriptor that may write asks for the certificates of a platform
 * that is not initialised, Linux initialises SEV for that, and afterwards shuts SEV and SEV-SNP down. Through
 * this descriptor Linux does not do so.
 */
int call_platform_open_to_read(struct host *h, int *ret_fd, struct err *err) MUST_CHECK;
int call_platform_status(
        struct host *h, int fd, struct sev_user_data_status *ret_status, struct err *err) MUST_CHECK;
int call_platform_snp_status(
        struct host *h, int fd, struct uapi_sev_snp_status *ret_status, struct err *err) MUST_CHECK;
#define CALL_PLATFORM_ID_BYTES 64
int call_platform_id(
        struct host *h, int fd, uint8_t ret_id[static CALL_PLATFORM_ID_BYTES], struct err *err) MUST_CHECK;
/* The certificates from which a guest owner makes a session: the PDH, and PEK, OCA and CEK. */
int call_platform_certificates(struct host *h, int fd, struct abi_sev_cert *ret_pdh,
        struct abi_sev_cert_chain *ret_chain, struct err *err) MUST_CHECK;

/* The status code with which the kernel says that it did not ask the firmware. */
#define CALL_FW_NOT_CALLED UINT32_MAX

/* ---- a vCPU ---- */

int call_vcpu_create(struct host *h, int vm_fd, unsigned id, int *ret_fd, struct err *err) MUST_CHECK;
int call_vcpu_map_run(
        struct host *h, int vcpu_fd, size_t size, struct kvm_run **ret_run, struct err *err) MUST_CHECK;
int call_vcpu_set_cpuid(
        struct host *h, int vcpu_fd, const struct kvm_cpuid2 *cpuid, struct err *err) MUST_CHECK;
int call_vcpu_get_regs(struct host *h, int vcpu_fd, struct kvm_regs *ret_regs, struct err *err) MUST_CHECK;
int call_vcpu_set_regs(struct host *h, int vcpu_fd, const struct kvm_regs *regs, struct err *err) MUST_CHECK;
int call_vcpu_get_sregs(struct host *h, int vcpu_fd, struct kvm_sregs *ret_sregs, struct err *err) MUST_CHECK;
/* *ret_taken: KVM knows the MSR and takes the value. */
int call_vcpu_set_msr(struct host *h, int vcpu_fd, uint32_t index, uint64_t value, bool *ret_taken,
        struct err *err) MUST_CHECK;
int call_vcpu_set_sregs(
        struct host *h, int vcpu_fd, const struct kvm_sregs *sregs, struct err *err) MUST_CHECK;
/* ---- the state that moves with a guest ---- */

/*
 * A call that gets or sets one struct of a fixed size: of a vCPU KVM_GET_ and KVM_SET_ REGS, SREGS2, XCRS,
 * DEBUGREGS, LAPIC, VCPU_EVENTS and MP_STATE, of a VM IRQCHIP, PIT2 and CLOCK. data: the struct of that call.
 */
int call_get_state(struct host *h, int fd, unsigned long request, void *data, struct err *err) MUST_CHECK;
int call_set_state(
        struct host *h, int fd, unsigned long request, const void *data, struct err *err) MUST_CHECK;
/*
 * How large the area of KVM_GET_XSAVE2 and KVM_SET_XSAVE is for the vCPUs of this VM; a kernel without the
 * first has one of struct kvm_xsave.
 */
size_t call_vm_xsave_size(struct host *h, int vm_fd);
/* area: of call_vm_xsave_size(), which is size. */
int call_vcpu_get_xsave(struct host *h, int vcpu_fd, void *area, size_t size, struct err *err) MUST_CHECK;
int call_vcpu_set_xsave(struct host *h, int vcpu_fd, const void *area, struct err *err) MUST_CHECK;
/* The MSRs that KVM saves and restores, of all vCPUs; the caller frees *ret_list. */
int call_kvm_msr_list(struct host *h, int kvm_fd, struct kvm_msr_list **ret_list, struct err *err) MUST_CHECK;
/* *ret_has: this vCPU has the MSR, and its value is in *ret_value. */
int call_vcpu_get_msr(struct host *h, int vcpu_fd, uint32_t index, bool *ret_has, uint64_t *ret_value,
        struct err *err) MUST_CHECK;
/* How fast the vCPU's time-stamp counter runs, in kHz. */
int call_vcpu_get_tsc_khz(struct host *h, int vcpu_fd, uint32_t *ret_khz, struct err *err) MUST_CHECK;
int call_vcpu_set_tsc_khz(struct host *h, int vcpu_fd, uint32_t khz, struct err *err) MUST_CHECK;
/* What KVM adds to the host's time-stamp counter, scaled to the guest's rate (KVM_VCPU_TSC_OFFSET). */
int call_vcpu_get_tsc_offset(struct host *h, int vcpu_fd, uint64_t *ret_offset, struct err *err) MUST_CHECK;
int call_vcpu_set_tsc_offset(struct host *h, int vcpu_fd, uint64_t offset, struct err *err) MUST_CHECK;
/*
 * Tells the guest by its kvmclock that it was stopped, so that it does not take the time for a hang. Nothing
 * happens if the guest uses no kvmclock.
 */
void call_vcpu_tell_stopped(struct host *h, int vcpu_fd);

/*
 * Returns 0 if the guest exited: run, the vCPU's mapping, says why. KVM_EXIT_MEMORY_FAULT is among these
 * exits, although KVM_RUN fails with an errno then. Returns 1 if KVM_RUN was interrupted (by a signal or
 * immediate_exit) or must be tried again, and -1 if the vCPU cannot run.
 */
int call_vcpu_run(struct host *h, int vcpu_fd, struct kvm_run *run, struct err *err) MUST_CHECK;

/*
 * Sets the error of a refused call: "CALL: Input/output error (EIO), firmware code 0x7, POLICY_FAILURE: ...".
 * fw 0: the firmware was not asked. Returns -1.
 */
int call_firmware_refused(struct err *err, const char *call, int sys, uint32_t fw);

#endif
