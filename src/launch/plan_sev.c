/*
 * plan_sev: what a SEV or SEV-ES launch measures: the firmware image, the kernel hashes if any, the VMSAs if
 * any. Any thread. Law: SEV API 6.2 to 6.4 (LAUNCH_UPDATE_DATA, LAUNCH_UPDATE_VMSA).
 */
#include "plan.h"

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

int launch_plan_sev(struct launch_plan *plan, const struct launch_inputs *inputs, struct err *err)
{
	launch_plan_add_firmware(plan, inputs);
	if (add_hashes(plan, inputs, err) < 0)
		return -1;
	return plan->type == CONFIG_SEV_ES ? launch_plan_add_vmsas(plan, err) : 0;
}
