/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan: the list of what the SEV firmware will measure, in its exact order. One code path makes the plan;
 * `vmm measure` hashes it and a launch issues it, so the guest that was measured beforehand is the guest that
 * is launched.
 */
#ifndef VMM_LAUNCH_PLAN_H
#define VMM_LAUNCH_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/abi/ovmf.h"
#include "vmm/abi/snp.h"
#include "vmm/abi/vmsa.h"
#include "vmm/base.h"
#include "vmm/config.h"
#include "vmm/page.h"

/* ---- the firmware image's own tables (edk2 OvmfPkg/ResetVector) ---- */

#define LAUNCH_SECTIONS_MAX 32

/* One entry of the table at the end of the image; value[1] only where the entry has two numbers. */
struct launch_ovmf_entry {
	bool present;
	uint32_t value[2];
};

struct launch_ovmf {
	bool has_table;
	struct launch_ovmf_entry reset;    /* where SEV-ES application processors start: eip */
	struct launch_ovmf_entry secret;   /* where a launch secret goes: base, size; 0, 0: nowhere */
	struct launch_ovmf_entry hashes;   /* where the kernel hashes go: base, size; 0, 0: nowhere */
	struct launch_ovmf_entry metadata; /* where the sections lie: offset from the end of the image */
	struct abi_ovmf_section sections[LAUNCH_SECTIONS_MAX]; /* in the image's order, none empty */
	unsigned section_count;
};

/* ---- the VMSA of a vCPU that KVM has reset (APM volume 2, table B-4) ---- */

struct launch_vmsa {
	uint32_t eip;           /* first instruction: cs.base is its upper, rip its lower half */
	uint32_t cpu_signature; /* CPUID.1:EAX, which a processor leaves in RDX at reset */
	uint64_t sev_features;
	bool legacy_init; /* KVM_SEV_ES_INIT: KVM leaves the FPU fields zero */
};

/* The fields by name, for people: every field that a register of a fresh vCPU can reach. */
struct launch_vmsa_field {
	const char *name; /* "cs.base" */
	uint16_t offset, size;
	uint64_t reset; /* under KVM, when QEMU's or our reset state was set */
};
extern const struct launch_vmsa_field launch_vmsa_fields[];
extern const size_t launch_vmsa_field_count;

/* ---- the plan ---- */

struct launch_item {
	const char *name; /* "firmware", "memory", "kernel hashes", "VMSA", "helper VMSA", ...; static text */
	enum abi_page_type type; /* SEV, SEV-ES: NORMAL is LAUNCH_UPDATE_DATA, VMSA is LAUNCH_UPDATE_VMSA */
	struct gpa gpa;          /* of a VMSA: ABI_VMSA_GPA */
	uint64_t size_bytes;     /* whole pages, but for the kernel hashes of SEV and SEV-ES */
	const void *data;        /* size_bytes of contents, borrowed; NULL: zero, or filled by the firmware */
	unsigned vcpu;           /* whose VMSA, from 0 */
	bool mirror;             /* it is not the guest's, but that of the helper's vCPU (SEV-ES) */
};

#define LAUNCH_ITEMS_MAX (4 + LAUNCH_SECTIONS_MAX + CONFIG_VCPUS_MAX)

/* A plan borrows the files that it was made from; they must outlive it. */
struct launch_plan {
	enum config_sev_type type;
	uint64_t policy;
	unsigned vcpus;
	struct launch_vmsa vmsa; /* of the boot processor; the others differ in eip only */
	unsigned helper_c_bit;   /* SEV-ES with sev.helper: for which the helper's VMSA is made; else 0 */
	struct launch_ovmf ovmf;
	bool hashed; /* are the kernel hashes part of it? */
	struct abi_hashes hashes;
	struct launch_item items[LAUNCH_ITEMS_MAX]; /* in the order of the launch */
	unsigned count;
	/* The data that items point to. */
	struct abi_vmsa bsp, ap, helper;
	uint8_t hash_page[PAGE_SIZE_BYTES];
};

/* A file's contents; the launch's inputs beside the configuration. */
struct launch_file {
	void *data;
	size_t size_bytes;
};

struct launch_files {
	struct launch_file firmware, kernel, initrd; /* data NULL: not configured */
};

/*
 * Reads the files that the configuration names, each once. The files are read into memory and not mapped, for
 * plain guests too: somebody who writes to a mapped file changes the guest, and somebody who truncates it
 * kills vmm (SIGBUS). On failure ret_files is zeroed.
 */
int launch_files_read(
        const struct config *config, struct launch_files *ret_files, struct err *err) MUST_CHECK;
void launch_files_finish(struct launch_files *files);

/*
 * Makes the plan of a confidential guest. ERR_USAGE if the configuration contradicts itself or the image
 * cannot be launched that way; the text names the remedy. sev.init "auto" counts as KVM_SEV_INIT2. The caller
 * destroys the plan, before the files.
 */
int launch_plan_make(const struct config *config, const struct launch_files *files,
        struct launch_plan **ret_plan, struct err *err) MUST_CHECK;
void launch_plan_destroy(struct launch_plan *plan); /* NULL is allowed */

#endif
