/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_snp: the steps of a SEV-SNP launch, and what it measures: the firmware image, the sections of its SEV
 * metadata in their order, the VMSAs. Any thread. Law: SNP ABI 8.17 (SNP_LAUNCH_UPDATE); the order is QEMU's,
 * which edk2's OvmfSevMetadata.asm is written for.
 */
#include <string.h>

#include "launch.h"
#include "plan.h"

const struct launch_row launch_rows_snp[] = {
        {"secure processor", "open", LAUNCH_STEP_OPEN, launch_open_device, LAUNCH_UNINIT},
        {"cgroup", "write to cgroup.procs", LAUNCH_STEP_CGROUP, launch_join_cgroup, LAUNCH_UNINIT},
        {"VM", "KVM_CREATE_VM", LAUNCH_STEP_CREATE, launch_create_vm, LAUNCH_UNINIT},
        {"context", "KVM_SEV_INIT2", LAUNCH_STEP_INIT, launch_init, LAUNCH_UNINIT},
        {"certificates", "KVM_SEV_SNP_ENABLE_REQ_CERTS", LAUNCH_STEP_CERTIFICATES,
                launch_snp_ask_certificates, LAUNCH_UNINIT},
        {"processors", "KVM_CREATE_VCPU", LAUNCH_STEP_VCPUS, launch_add_vcpus, LAUNCH_UNINIT},
        {"private memory", "KVM_SET_MEMORY_ATTRIBUTES", LAUNCH_STEP_MEMORY, launch_snp_own_memory,
                LAUNCH_UNINIT},
        {"start", "KVM_SEV_SNP_LAUNCH_START", LAUNCH_STEP_START, launch_snp_start, LAUNCH_LUPDATE},
        {"contents", "KVM_SEV_SNP_LAUNCH_UPDATE", LAUNCH_STEP_UPDATE, launch_snp_update, LAUNCH_LUPDATE},
        {"finish", "KVM_SEV_SNP_LAUNCH_FINISH", LAUNCH_STEP_FINISH, launch_snp_finish, LAUNCH_RUNNING,
                .held = true},
        {0},
};
_Static_assert(ARRAY_LEN(launch_rows_snp) - 1 <= LAUNCH_ROWS_MAX, "the progress of each row has a place");

struct kind {
	uint32_t type; /* enum abi_ovmf_section_type */
	enum abi_page_type page_type;
	const char *name;
	bool one_page;
};

static const struct kind kinds[] = {
        {ABI_OVMF_SEC_MEM, ABI_PAGE_ZERO, "memory", false},
        {ABI_OVMF_SECRETS, ABI_PAGE_SECRETS, "secrets page", true},
        {ABI_OVMF_CPUID, ABI_PAGE_CPUID, "CPUID page", true},
        {ABI_OVMF_SVSM_CAA, ABI_PAGE_ZERO, "SVSM calling area", false},
        {ABI_OVMF_KERNEL_HASHES, ABI_PAGE_ZERO, "kernel hashes", false}, /* NORMAL when there are hashes */
};

static const struct kind *find_kind(uint32_t type)
{
	for (const struct kind *k = kinds; k < kinds + ARRAY_LEN(kinds); k++) {
		if (k->type == type)
			return k;
	}
	return NULL;
}

/* Each page can be launched once: the firmware refuses a page that is already the guest's. */
static const struct launch_item *find_overlap(
        const struct launch_plan *plan, const struct abi_ovmf_section *section)
{
	for (unsigned i = 0; i < plan->count; i++) {
		const struct launch_item *item = &plan->items[i];

		if (section->gpa < item->gpa.raw + item->size_bytes &&
		        item->gpa.raw < (uint64_t)section->gpa + section->size)
			return item;
	}
	return NULL;
}

static int check_section(const struct launch_plan *plan, const struct launch_inputs *inputs,
        const struct abi_ovmf_section *section, const struct kind *kind, struct err *err)
{
	const struct launch_item *overlap = find_overlap(plan, section);

	if (!kind)
		return err_set(err, ERR_USAGE, "has type %u, which vmm does not know", section->type);
	if (!is_aligned(section->gpa, PAGE_SIZE_BYTES) || !is_aligned(section->size, PAGE_SIZE_BYTES))
		return err_set(err, ERR_USAGE, "is not made of whole pages");
	if (launch_plan_check_ram(inputs, section->gpa, section->size, err) < 0)
		return -1;
	if (overlap)
		return err_set(err, ERR_USAGE, "overlaps %s at 0x%llx", overlap->name,
		        (unsigned long long)overlap->gpa.raw);
	if (kind->one_page && section->size != PAGE_SIZE_BYTES)
		return err_set(err, ERR_USAGE, "is a %s, which has one page", kind->name);
	return 0;
}

/* The table lies in its page where the image's own table says. */
static int fill_hash_page(struct launch_plan *plan, const struct abi_ovmf_section *section, struct err *err)
{
	const struct launch_ovmf_entry *place = &plan->ovmf.hashes;
	uint32_t base = place->value[0];

	if (!place->present || base < section->gpa || section->size != PAGE_SIZE_BYTES ||
	        !range_fits(base - section->gpa, sizeof(plan->hashes), section->size))
		return err_set(err, ERR_USAGE,
		        "is for kernel hashes, but the table puts them at 0x%x, not inside one page of it",
		        base);
	memcpy(plan->hash_page + (base - section->gpa), &plan->hashes, sizeof(plan->hashes));
	return 0;
}

static int add_section(struct launch_plan *plan, const struct launch_inputs *inputs,
        const struct abi_ovmf_section *section, struct err *err)
{
	const struct kind *kind = find_kind(section->type);
	struct launch_item item;

	if (check_section(plan, inputs, section, kind, err) < 0)
		return -1;
	item = (struct launch_item){
	        .name = kind->name,
	        .type = kind->page_type,
	        .gpa = gpa(section->gpa),
	        .size_bytes = section->size,
	};
	if (section->type == ABI_OVMF_KERNEL_HASHES && plan->hashed) {
		if (fill_hash_page(plan, section, err) < 0)
			return -1;
		item.type = ABI_PAGE_NORMAL;
		item.data = plan->hash_page;
	}
	launch_plan_add(plan, item);
	return 0;
}

static int add_sections(struct launch_plan *plan, const struct launch_inputs *inputs, struct err *err)
{
	const struct launch_ovmf *ovmf = &plan->ovmf;
	bool hashes = false;

	if (!ovmf->metadata.present)
		return err_set(err, ERR_USAGE,
		        "has no SEV metadata, so it cannot start as a SEV-SNP guest; " LAUNCH_IMAGES_SNP);
	for (unsigned i = 0; i < ovmf->section_count; i++) {
		const struct abi_ovmf_section *section = &ovmf->sections[i];

		hashes = hashes || section->type == ABI_OVMF_KERNEL_HASHES;
		if (add_section(plan, inputs, section, err) < 0)
			return err_wrap(err, "section %u of its SEV metadata (0x%x, 0x%x bytes)", i,
			        section->gpa, section->size);
	}
	if (plan->hashed && !hashes)
		return err_set(err, ERR_USAGE,
		        "has no place for kernel hashes, and boot.hashes is true; " LAUNCH_IMAGES_HASHES);
	return 0;
}

int launch_plan_snp(struct launch_plan *plan, const struct launch_inputs *inputs, struct err *err)
{
	launch_plan_add_firmware(plan, inputs);
	if (add_sections(plan, inputs, err) < 0)
		return -1;
	return launch_plan_add_vmsas(plan, err);
}
