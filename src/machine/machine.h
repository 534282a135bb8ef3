/*
 * machine: what machine.c, boot.c and vm.c share.
 */
#ifndef VMM_MACHINE_MACHINE_H
#define VMM_MACHINE_MACHINE_H

#include "vmm/call.h"
#include "vmm/machine.h"

struct machine {
	struct host *host;
	const struct config *config;
	struct machine_events events;
	const struct machine_cpu_model *model;
	struct kvm_cpuid2 *supported; /* what the host offers */
	int kvm_fd;
	size_t run_size;   /* of a vCPU's struct kvm_run */
	bool tsc_deadline; /* the local APIC's timer has that mode */
	_Atomic int vm_fd; /* of the guest that runs now; -1: none */
	uint64_t start_ns;
	struct device_clock clock;

	struct machine_files files; /* borrowed */
	struct page_layout layout;

	struct device_bus *bus;
	struct device_pci *pci;
	struct device_power *power;
	struct device_serial *serial;
	struct device_debugcon *debugcon;
	struct device_rtc *rtc;
	struct device_fw_cfg *fw_cfg;
	size_t fadt_at; /* in etc/acpi/tables */
};

/* Gives the firmware the kernel, the initrd and the command line of the configuration; nothing if there are
 * none. */
int machine_boot_add(struct machine *machine, struct err *err) MUST_CHECK;

#endif
