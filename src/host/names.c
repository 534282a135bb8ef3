/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names: tables of kernel calls, exits, and the arguments that a trace shows. Any thread. Law:
 * Documentation/virt/kvm/api.rst.
 */
#include <linux/kvm.h>
#include <linux/psp-sev.h>

#include "names.h"
#include "vmm/uapi.h"

/* FIELD("slot", struct kvm_userspace_memory_region, slot) */
#define FIELD(label, type, member) \
	{ \
		label, offsetof(type, member), sizeof(((type *)0)->member) \
	}

/* A call without arguments that a trace shows. */
#define CALL(request) \
	{ \
		request, #request \
	}

static const struct host_request requests[] = {
        {KVM_GET_API_VERSION, "KVM_GET_API_VERSION"},
        {KVM_CREATE_VM, "KVM_CREATE_VM", "type"},
        {KVM_CHECK_EXTENSION, "KVM_CHECK_EXTENSION", "cap"},
        {KVM_GET_VCPU_MMAP_SIZE, "KVM_GET_VCPU_MMAP_SIZE"},
        {KVM_GET_SUPPORTED_CPUID, "KVM_GET_SUPPORTED_CPUID"},
        {KVM_GET_MSR_INDEX_LIST, "KVM_GET_MSR_INDEX_LIST"},
        {KVM_CREATE_VCPU, "KVM_CREATE_VCPU", "id"},
        {KVM_SET_USER_MEMORY_REGION, "KVM_SET_USER_MEMORY_REGION", NULL,
                {FIELD("slot", struct kvm_userspace_memory_region, slot),
                        FIELD("flags", struct kvm_userspace_memory_region, flags),
                        FIELD("gpa", struct kvm_userspace_memory_region, guest_phys_addr),
                        FIELD("size", struct kvm_userspace_memory_region, memory_size)}},
        {KVM_SET_TSS_ADDR, "KVM_SET_TSS_ADDR", "gpa"},
        {KVM_SET_IDENTITY_MAP_ADDR, "KVM_SET_IDENTITY_MAP_ADDR", NULL, {{"gpa", 0, 8}}},
        {KVM_CREATE_IRQCHIP, "KVM_CREATE_IRQCHIP"},
        {KVM_CREATE_PIT2, "KVM_CREATE_PIT2", NULL, {FIELD("flags", struct kvm_pit_config, flags)}},
        {KVM_IRQ_LINE, "KVM_IRQ_LINE", NULL,
                {FIELD("gsi", struct kvm_irq_level, irq), FIELD("level", struct kvm_irq_level, level)}},
        {KVM_SET_GSI_ROUTING, "KVM_SET_GSI_ROUTING", NULL, {FIELD("count", struct kvm_irq_routing, nr)}},
        {KVM_ENABLE_CAP, "KVM_ENABLE_CAP", NULL,
                {FIELD("cap", struct kvm_enable_cap, cap), FIELD("arg", struct kvm_enable_cap, args[0])}},
        {KVM_SET_CPUID2, "KVM_SET_CPUID2", NULL, {FIELD("count", struct kvm_cpuid2, nent)}},
        {KVM_GET_REGS, "KVM_GET_REGS"},
        {KVM_SET_REGS, "KVM_SET_REGS", NULL,
                {FIELD("rip", struct kvm_regs, rip), FIELD("rflags", struct kvm_regs, rflags)}},
        {KVM_GET_SREGS, "KVM_GET_SREGS"},
        {KVM_SET_SREGS, "KVM_SET_SREGS", NULL,
                {FIELD("cs", struct kvm_sregs, cs.selector), FIELD("cr0", struct kvm_sregs, cr0),
                        FIELD("efer", struct kvm_sregs, efer)}},
        {KVM_GET_FPU, "KVM_GET_FPU"},
        {KVM_SET_FPU, "KVM_SET_FPU"},
        {KVM_GET_MSRS, "KVM_GET_MSRS", NULL, {FIELD("count", struct kvm_msrs, nmsrs)}},
        {KVM_SET_MSRS, "KVM_SET_MSRS", NULL, {FIELD("count", struct kvm_msrs, nmsrs)}},
        {KVM_GET_LAPIC, "KVM_GET_LAPIC"},
        {KVM_SET_LAPIC, "KVM_SET_LAPIC"},
        {KVM_GET_MP_STATE, "KVM_GET_MP_STATE"},
        {KVM_SET_MP_STATE, "KVM_SET_MP_STATE", NULL, {{"state", 0, 4}}},
        {KVM_GET_VCPU_EVENTS, "KVM_GET_VCPU_EVENTS"},
        {KVM_SET_SIGNAL_MASK, "KVM_SET_SIGNAL_MASK"},
        {KVM_RUN, "KVM_RUN"},
        {KVM_GET_DEVICE_ATTR, "KVM_GET_DEVICE_ATTR", NULL,
                {FIELD("group", struct kvm_device_attr, group), FIELD("attr", struct kvm_device_attr, attr)}},
        {KVM_MEMORY_ENCRYPT_OP, "KVM_MEMORY_ENCRYPT_OP"},
        {KVM_MEMORY_ENCRYPT_REG_REGION, "KVM_MEMORY_ENCRYPT_REG_REGION", NULL,
                {FIELD("size", struct kvm_enc_region, size)}},
        {KVM_MEMORY_ENCRYPT_UNREG_REGION, "KVM_MEMORY_ENCRYPT_UNREG_REGION", NULL,
                {FIELD("size", struct kvm_enc_region, size)}},
        {UAPI_SET_USER_MEMORY_REGION2, "KVM_SET_USER_MEMORY_REGION2", NULL,
                {FIELD("slot", struct uapi_userspace_memory_region2, slot),
                        FIELD("flags", struct uapi_userspace_memory_region2, flags),
                        FIELD("gpa", struct uapi_userspace_memory_region2, guest_phys_addr),
                        FIELD("size", struct uapi_userspace_memory_region2, memory_size)}},
        {UAPI_CREATE_GUEST_MEMFD, "KVM_CREATE_GUEST_MEMFD", NULL,
                {FIELD("size", struct uapi_create_guest_memfd, size),
                        FIELD("flags", struct uapi_create_guest_memfd, flags)}},
        {UAPI_SET_MEMORY_ATTRIBUTES, "KVM_SET_MEMORY_ATTRIBUTES", NULL,
                {FIELD("gpa", struct uapi_memory_attributes, address),
                        FIELD("size", struct uapi_memory_attributes, size),
                        FIELD("attributes", struct uapi_memory_attributes, attributes)}},
        {SEV_ISSUE_CMD, "SEV_ISSUE_CMD"},
        CALL(KVM_CLEAR_DIRTY_LOG),
        CALL(KVM_CREATE_DEVICE),
        CALL(KVM_GET_CLOCK),
        CALL(KVM_GET_CPUID2),
        CALL(KVM_GET_DEBUGREGS),
        CALL(KVM_GET_DIRTY_LOG),
        CALL(KVM_GET_EMULATED_CPUID),
        CALL(KVM_GET_IRQCHIP),
        CALL(KVM_GET_MSR_FEATURE_INDEX_LIST),
        CALL(KVM_GET_PIT2),
        CALL(KVM_GET_SREGS2),
        CALL(KVM_GET_STATS_FD),
        CALL(KVM_GET_TSC_KHZ),
        CALL(KVM_GET_XCRS),
        CALL(KVM_GET_XSAVE),
        CALL(KVM_GET_XSAVE2),
        CALL(KVM_HAS_DEVICE_ATTR),
        CALL(KVM_INTERRUPT),
        CALL(KVM_IOEVENTFD),
        CALL(KVM_IRQFD),
        CALL(KVM_IRQ_LINE_STATUS),
        CALL(KVM_KVMCLOCK_CTRL),
        CALL(KVM_NMI),
        CALL(KVM_REGISTER_COALESCED_MMIO),
        CALL(KVM_REINJECT_CONTROL),
        CALL(KVM_RESET_DIRTY_RINGS),
        CALL(KVM_SET_BOOT_CPU_ID),
        CALL(KVM_SET_CLOCK),
        CALL(KVM_SET_DEBUGREGS),
        CALL(KVM_SET_DEVICE_ATTR),
        CALL(KVM_SET_GUEST_DEBUG),
        CALL(KVM_SET_IRQCHIP),
        CALL(KVM_SET_PIT2),
        CALL(KVM_SET_SREGS2),
        CALL(KVM_SET_NR_MMU_PAGES),
        CALL(KVM_SET_TSC_KHZ),
        CALL(KVM_SET_VAPIC_ADDR),
        CALL(KVM_SET_VCPU_EVENTS),
        CALL(KVM_SET_XCRS),
        CALL(KVM_SET_XSAVE),
        CALL(KVM_SIGNAL_MSI),
        CALL(KVM_SMI),
        CALL(KVM_TRANSLATE),
        CALL(KVM_UNREGISTER_COALESCED_MMIO),
        CALL(KVM_X86_GET_MCE_CAP_SUPPORTED),
        CALL(KVM_X86_SETUP_MCE),
        CALL(KVM_X86_SET_MCE),
        CALL(KVM_X86_SET_MSR_FILTER),
};

const struct host_request *host_request_find(unsigned long request)
{
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		if (requests[i].request == request)
			return &requests[i];
	}
	return NULL;
}

const char *host_ioctl_name(unsigned long request)
{
	const struct host_request *r = host_request_find(request);

	return r ? r->name : NULL;
}

#define EXIT(reason) [reason] = #reason

static const char *const exits[] = {
        EXIT(KVM_EXIT_UNKNOWN),
        EXIT(KVM_EXIT_EXCEPTION),
        EXIT(KVM_EXIT_IO),
        EXIT(KVM_EXIT_HYPERCALL),
        EXIT(KVM_EXIT_DEBUG),
        EXIT(KVM_EXIT_HLT),
        EXIT(KVM_EXIT_MMIO),
        EXIT(KVM_EXIT_IRQ_WINDOW_OPEN),
        EXIT(KVM_EXIT_SHUTDOWN),
        EXIT(KVM_EXIT_FAIL_ENTRY),
        EXIT(KVM_EXIT_INTR),
        EXIT(KVM_EXIT_SET_TPR),
        EXIT(KVM_EXIT_TPR_ACCESS),
        EXIT(KVM_EXIT_NMI),
        EXIT(KVM_EXIT_INTERNAL_ERROR),
        EXIT(KVM_EXIT_SYSTEM_EVENT),
        EXIT(KVM_EXIT_IOAPIC_EOI),
        EXIT(KVM_EXIT_X86_RDMSR),
        EXIT(KVM_EXIT_X86_WRMSR),
        EXIT(KVM_EXIT_DIRTY_RING_FULL),
        EXIT(KVM_EXIT_AP_RESET_HOLD),
        EXIT(KVM_EXIT_X86_BUS_LOCK),
        EXIT(KVM_EXIT_NOTIFY),
        [UAPI_EXIT_MEMORY_FAULT] = "KVM_EXIT_MEMORY_FAULT",
        [UAPI_EXIT_SNP_REQ_CERTS] = "KVM_EXIT_SNP_REQ_CERTS",
};

const char *host_exit_name(uint32_t exit_reason)
{
	return exit_reason < ARRAY_LEN(exits) ? exits[exit_reason] : NULL;
}
