/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hooks: the table that names a function of this room for each of KVM's hooks.
 */
#include "decrypted.h"
#include "rmp.h"

const struct kvm_hooks sev_hooks = {
        .vm_types = sev_platform_vm_types,
        .add_cpuid = sev_platform_add_cpuid,
        .attribute = sev_platform_attribute,
        .vm_create = sev_vm_create,
        .vm_destroy = sev_vm_destroy,
        .vm_command = sev_vm_command,
        .vm_register = sev_vm_register,
        .vm_unregister = sev_vm_unregister,
        .vm_copy_from = sev_vm_copy_from,
        .vm_move_from = sev_vm_move_from,
        .gmem_prepare = sev_rmp_prepare,
        .vcpu_create = sev_vcpu_create,
        .vcpu_destroy = sev_vcpu_destroy,
        .vcpu_msr = sev_vcpu_msr,
        .vcpu_hides_msr = sev_vcpu_hides_msr,
        .vcpu_pre_run = sev_vcpu_pre_run,
        .vcpu_enter = sev_vcpu_enter,
        .vcpu_init = sev_vcpu_init,
        .vcpu_vmgexit = sev_vcpu_vmgexit,
        .vcpu_vmgexit_complete = sev_vcpu_vmgexit_complete,
        .vcpu_resume = sev_vcpu_resume,
        .vcpu_sipi = sev_vcpu_sipi,
        .vcpu_call = sev_vcpu_call,
        .vcpu_set_regs = sev_vcpu_set_regs,
        .vcpu_release = sev_decrypted_release,
        .vcpu_slice = sev_decrypted_slice,
        .vcpu_leave_fault = sev_vcpu_leave_fault,
};
