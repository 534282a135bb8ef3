/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan: what the makers of plans share. Any thread; a plan belongs to the one who makes it.
 */
#ifndef VMM_LAUNCH_PLAN_MAKERS_H
#define VMM_LAUNCH_PLAN_MAKERS_H

#include "vmm/launch/plan.h"
#include "vmm/mirror.h"

/* ---- what the items are made of ---- */

/*
 * Reads the tables of an image of any content. An image without them is not an error here (has_table is
 * false); a table that contradicts itself is ERR_USAGE.
 */
int launch_ovmf_parse(
        const void *image, size_t image_bytes, struct launch_ovmf *ret_ovmf, struct err *err) MUST_CHECK;

#define LAUNCH_RESET_EIP 0xfffffff0u /* of the boot processor */

void launch_vmsa_fill(const struct launch_vmsa *from, struct abi_vmsa *ret_vmsa);
/* That of a mirror's vCPU at this entry. Of `from` only legacy_init counts. */
void launch_vmsa_fill_mirror(
        const struct launch_vmsa *from, const struct mirror_entry *entry, struct abi_vmsa *ret_vmsa);

/*
 * The table that the firmware compares with what fw_cfg hands it. The kernel's hash is that of the file:
 * setup header and kernel go to the guest unchanged, and joined they are the file again. cmdline is hashed
 * with its NUL; no initrd (NULL, 0) hashes as empty. crypto_load() must have succeeded.
 */
void launch_hashes_fill(const void *kernel, size_t kernel_bytes, const void *initrd, size_t initrd_bytes,
        const char *cmdline, struct abi_hashes *ret_hashes);

/* ---- the makers ---- */

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
/* Is the range RAM below 4 GiB? The error's text begins with a verb; the caller puts the subject in front. */
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
