/*
 * plan: what the makers of plans share. Any thread; a plan belongs to who makes it.
 */
#ifndef VMM_LAUNCH_PLAN_H
#define VMM_LAUNCH_PLAN_H

#include "vmm/launch.h"

/* What a generation's maker is given; layout holds the guest's memory. */
struct launch_inputs {
	const struct config *config;
	const struct launch_files *files;
	struct page_layout layout;
};

/* Each adds the generation's items in the order of the launch; ERR_USAGE as launch_plan_make(). */
int launch_plan_sev(struct launch_plan *plan, const struct launch_inputs *inputs, struct err *err) MUST_CHECK;
int launch_plan_snp(struct launch_plan *plan, const struct launch_inputs *inputs, struct err *err) MUST_CHECK;

void launch_plan_add(struct launch_plan *plan, struct launch_item item);
void launch_plan_add_firmware(struct launch_plan *plan, const struct launch_inputs *inputs);
/* Is the range RAM below 4 GiB? The error's text begins with its verb. */
int launch_plan_check_ram(
        const struct launch_inputs *inputs, uint64_t start, uint64_t size_bytes, struct err *err) MUST_CHECK;
/* One VMSA a vCPU; needs the address in the image at which application processors start. */
int launch_plan_add_vmsas(struct launch_plan *plan, struct err *err) MUST_CHECK;

/* Debian's images by what they can do, for error texts. */
#define LAUNCH_IMAGES_SNP \
	"Debian's images with it: those of ovmf in Debian 13, OVMF.amdsev.fd of ovmf-amdsev (OVMF.fd of " \
	"Debian 12 has it, too, but can be a SEV-ES guest only)"
#define LAUNCH_IMAGES_HASHES \
	"Debian's image for measured kernels is OVMF.amdsev.fd of the package ovmf-amdsev (Debian sid)"

#endif
