/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine: what machine.c, boot.c and vm.c share.
 */
#ifndef VMM_MACHINE_MACHINE_H
#define VMM_MACHINE_MACHINE_H

#include "vmm/call.h"
#include "vmm/device/fw_cfg.h"
#include "vmm/machine.h"

struct machine {
	struct host *host;
	const struct config *config;
	const struct machine_cpu_model *model;
	struct kvm_cpuid2 *supported; /* what the host offers */
	int kvm_fd;
	size_t run_size;   /* of a vCPU's struct kvm_run */
	bool tsc_deadline; /* the local APIC's timer has that mode */
	_Atomic int vm_fd; /* of the guest that runs now; -1: none */
	uint64_t start_ns;
	bool arrives; /* as in struct machine_place */

	struct machine_files files; /* borrowed */
	struct page_layout layout;

	struct machine_wires *wires;
	struct device_board board;
	int vars_fd;    /* the store of the firmware's variables; -1: none */
	size_t fadt_at; /* in etc/acpi/tables */
};

/* ---- messages and doorbells (wires.c): struct device_wires, for the guest that runs now ---- */

struct machine_wires;

int machine_wires_create(struct machine *machine, struct err *err) MUST_CHECK;
void machine_wires_destroy(struct machine *machine);
/* The guest's VM is about to be closed: forgets what was bound to it. */
void machine_wires_cut(struct machine *machine);

/* Adds the devices of devices[], with what they are connected to (devices.c). */
int machine_devices_add(struct machine *machine, struct loop *loop, struct err *err) MUST_CHECK;
/* Adds the kernel, the initrd and the command line to fw_cfg; nothing if the configuration names no kernel.
 */
int machine_boot_add(struct machine *machine, struct device_fw_cfg *fw_cfg, struct err *err) MUST_CHECK;

/* Adds the flash chip with the firmware's variables; nothing if the configuration names no store. */
int machine_flash_add(struct machine *machine, struct err *err) MUST_CHECK;

#endif
