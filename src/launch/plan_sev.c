/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_sev: the steps of a SEV or SEV-ES launch, and what it measures: the firmware image, the kernel hashes
 * if any, the helper if any, the VMSAs if any, that of the helper last. Any thread. Law: SEV API 6.2 to 6.4
 * (LAUNCH_UPDATE_DATA, LAUNCH_UPDATE_VMSA).
 */
#include "launch.h"
#include "plan.h"
#include "vmm/mirror/helper.h"
#include "vmm/product.h"

const struct launch_row launch_rows_sev[] = {
        {"secure processor", "open", LAUNCH_STEP_OPEN, launch_open_device, LAUNCH_UNINIT},
        {"cgroup", "write to cgroup.procs", LAUNCH_STEP_CGROUP, launch_join_cgroup, LAUNCH_UNINIT},
        {"VM", "KVM_CREATE_VM", LAUNCH_STEP_CREATE, launch_create_vm, LAUNCH_UNINIT},
        {"context", "KVM_SEV_INIT2", LAUNCH_STEP_INIT, launch_init, LAUNCH_UNINIT},
        {"processors", "KVM_CREATE_VCPU", LAUNCH_STEP_VCPUS, launch_add_vcpus, LAUNCH_UNINIT},
        {"page reports", "KVM_X86_SET_MSR_FILTER", LAUNCH_STEP_REPORTS, launch_sev_ask_reports,
                LAUNCH_UNINIT},
        {"pinned memory", "KVM_MEMORY_ENCRYPT_REG_REGION", LAUNCH_STEP_MEMORY, launch_sev_pin_memory,
                LAUNCH_UNINIT},
        {"start", "KVM_SEV_LAUNCH_START", LAUNCH_STEP_START, launch_sev_start, LAUNCH_LUPDATE},
        {"contents", "KVM_SEV_LAUNCH_UPDATE_DATA", LAUNCH_STEP_UPDATE, launch_sev_update, LAUNCH_LUPDATE},
        {"processor state", "KVM_SEV_LAUNCH_UPDATE_VMSA", LAUNCH_STEP_VMSA, launch_sev_update_vmsa,
                LAUNCH_LUPDATE},
        {"helper's processor", "KVM_CAP_VM_COPY_ENC_CONTEXT_FROM", LAUNCH_STEP_HELPER_VMSA,
                launch_sev_measure_helper, LAUNCH_LUPDATE},
        {"measurement", "KVM_SEV_LAUNCH_MEASURE", LAUNCH_STEP_MEASURE, launch_sev_measure, LAUNCH_LSECRET},
        {"secret", "KVM_SEV_LAUNCH_SECRET", LAUNCH_STEP_SECRET, launch_sev_secret, LAUNCH_LSECRET,
                .held = true},
        {"finish", "KVM_SEV_LAUNCH_FINISH", LAUNCH_STEP_FINISH, launch_sev_finish, LAUNCH_RUNNING},
        {"helper", "KVM_CAP_VM_COPY_ENC_CONTEXT_FROM", LAUNCH_STEP_HELPER, launch_sev_start_helper,
                LAUNCH_RUNNING},
        {0},
};

_Static_assert(ARRAY_LEN(launch_rows_sev) - 1 <= LAUNCH_ROWS_MAX, "the progress of each row has a place");

static int add_hashes(struct launch_plan *plan, const struct launch_inputs *inputs, struct err *err)
{
	const struct launch_ovmf_entry *place = &plan->ovmf.hashes;
	uint32_t base = place->value[0], size_bytes = place->value[1];

	if (!plan->hashed)
		return 0;
	if (!place->present || !base)
		return err_set(err, ERR_USAGE,
		        "has no place for kernel hashes, and boot.hashes is true; " LAUNCH_IMAGES_HASHES);
	if (size_bytes < sizeof(plan->hashes))
		return err_set(err, ERR_USAGE,
		        "has only %u bytes of %zu for kernel hashes: use another "
		        "image; " LAUNCH_IMAGES_HASHES,
		        size_bytes, sizeof(plan->hashes));
	if (!is_aligned(base, 16))
		return err_set(err, ERR_USAGE,
		        "wants the kernel hashes at 0x%x, which is not a multiple of 16: use another "
		        "image; " LAUNCH_IMAGES_HASHES,
		        base);
	if (launch_plan_check_ram(inputs, base, sizeof(plan->hashes), err) < 0)
		return err_wrap(err, "its place for kernel hashes");
	launch_plan_add(plan, (struct launch_item){
	                              .name = "kernel hashes",
	                              .type = ABI_PAGE_NORMAL,
	                              .gpa = gpa(base),
	                              .size_bytes = sizeof(plan->hashes),
	                              .data = &plan->hashes,
	                      });
	return 0;
}

/* The ring behind it is shared with the host, and not measured. */
static void add_helper(struct launch_plan *plan)
{
	launch_plan_add(plan, (struct launch_item){
	                              .name = "helper",
	                              .type = ABI_PAGE_NORMAL,
	                              .gpa = gpa(HELPER_GPA),
	                              .size_bytes = HELPER_IMAGE_BYTES,
	                              .data = mirror_helper_image,
	                      });
}

/*
 * Its CR3 has the C-bit, and where that is follows from the processor. A digest is known without the host, so
 * the processor is the model that the guest is given; preflight.c refuses a host with another C-bit.
 */
static void add_helper_vmsa(struct launch_plan *plan)
{
	struct mirror_entry entry;

	plan->helper_c_bit = product_get(product_by_signature(plan->vmsa.cpu_signature))->c_bit;
	entry = mirror_helper_entry(plan->helper_c_bit);
	launch_vmsa_fill_mirror(&plan->vmsa, &entry, &plan->helper);
	launch_plan_add(plan, (struct launch_item){
	                              .name = "helper VMSA",
	                              .type = ABI_PAGE_VMSA,
	                              .gpa = gpa(ABI_VMSA_GPA),
	                              .size_bytes = sizeof(plan->helper),
	                              .data = &plan->helper,
	                              .mirror = true,
	                      });
}

int launch_plan_sev(struct launch_plan *plan, const struct launch_inputs *inputs, struct err *err)
{
	launch_plan_add_firmware(plan, inputs);
	if (add_hashes(plan, inputs, err) < 0)
		return -1;
	if (inputs->config->sev.helper)
		add_helper(plan);
	if (plan->type != CONFIG_SEV_ES)
		return 0;
	if (launch_plan_add_vmsas(plan, err) < 0)
		return -1;
	if (inputs->config->sev.helper)
		add_helper_vmsa(plan);
	return 0;
}
