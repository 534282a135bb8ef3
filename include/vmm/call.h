/*
 * call: one short function per kernel call, with an error that names it. Each takes the host and a
 * descriptor; law: Documentation/virt/kvm/api.rst. Any thread, as far as the kernel allows for that
 * descriptor.
 */
#ifndef VMM_CALL_H
#define VMM_CALL_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/base.h"
#include "vmm/host.h"

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
/* What CPUID leaves KVM can offer; the caller frees. */
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
/* ERR_HOST naming the first needed capability that is missing. */
int call_kvm_check(struct host *h, int kvm_fd, struct err *err) MUST_CHECK;

/* ---- a VM ---- */

int call_vm_create(struct host *h, int kvm_fd, unsigned type, int *ret_fd, struct err *err) MUST_CHECK;
/* Where KVM on Intel puts what real mode needs: four pages from address on, in no memory slot. Nothing on
 * AMD. */
int call_vm_set_intel_pages(struct host *h, int vm_fd, uint64_t address, struct err *err) MUST_CHECK;
int call_vm_create_irqchip(struct host *h, int vm_fd, struct err *err) MUST_CHECK;
/*
 * Wires the interrupt lines: GSI 0-15 to both PICs and the IOAPIC, 16-23 to the IOAPIC, pin by pin but for
 * IRQ 0, which arrives at pin 2 of the IOAPIC as on a PC. After call_vm_create_irqchip().
 */
int call_vm_set_pc_routing(struct host *h, int vm_fd, struct err *err) MUST_CHECK;
int call_vm_create_pit(struct host *h, int vm_fd, struct err *err) MUST_CHECK;
int call_vm_set_memory(struct host *h, int vm_fd, unsigned slot, uint64_t gpa, uint64_t size_bytes,
        void *host_address, struct err *err) MUST_CHECK;
/* Sets the level of an interrupt line of the in-kernel irqchip. */
int call_vm_irq_line(struct host *h, int vm_fd, unsigned gsi, bool level, struct err *err) MUST_CHECK;

/* ---- a vCPU ---- */

int call_vcpu_create(struct host *h, int vm_fd, unsigned id, int *ret_fd, struct err *err) MUST_CHECK;
int call_vcpu_map_run(
        struct host *h, int vcpu_fd, size_t size, struct kvm_run **ret_run, struct err *err) MUST_CHECK;
int call_vcpu_set_cpuid(
        struct host *h, int vcpu_fd, const struct kvm_cpuid2 *cpuid, struct err *err) MUST_CHECK;
int call_vcpu_get_regs(struct host *h, int vcpu_fd, struct kvm_regs *ret_regs, struct err *err) MUST_CHECK;
int call_vcpu_set_regs(struct host *h, int vcpu_fd, const struct kvm_regs *regs, struct err *err) MUST_CHECK;
int call_vcpu_get_sregs(struct host *h, int vcpu_fd, struct kvm_sregs *ret_sregs, struct err *err) MUST_CHECK;
int call_vcpu_set_sregs(
        struct host *h, int vcpu_fd, const struct kvm_sregs *sregs, struct err *err) MUST_CHECK;
/* 0: the guest exited, see kvm_run. 1: interrupted (a signal, immediate_exit) or to be tried again. -1: it
 * cannot run. */
int call_vcpu_run(struct host *h, int vcpu_fd, struct err *err) MUST_CHECK;

#endif
