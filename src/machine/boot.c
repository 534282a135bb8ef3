/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot: the kernel, its initrd and command line, as fw_cfg items from which the firmware loads them. Main
 * thread. Law: QEMU, docs/specs/fw_cfg.rst (the keys).
 */
#include <string.h>

#include "machine.h"

/* Where BIOS firmware is to put a kernel's parts: the addresses that QEMU uses for Linux 2.4 and later. */
#define SETUP_ADDRESS   0x10000
#define CMDLINE_ADDRESS 0x20000
#define KERNEL_ADDRESS  0x100000

/* One of the kernel's parts: the keys of its size, its contents, and its address (for BIOS firmware). */
struct part {
	uint16_t size_key, data_key, address_key;
	uint64_t address;
};

/* The bytes stay where they are: a kernel and its initrd may be large. */
static int add_part(
        struct device_fw_cfg *fw_cfg, const struct part *part, const void *data, size_t size, struct err *err)
{
	if (device_fw_cfg_add_number(fw_cfg, part->size_key, size, 4, err) < 0 ||
	        device_fw_cfg_add_number(fw_cfg, part->address_key, part->address, 4, err) < 0)
		return -1;
	return device_fw_cfg_lend(fw_cfg, part->data_key, data, size, err);
}

static int add_initrd(struct machine *machine, struct device_fw_cfg *fw_cfg, const void *setup,
        size_t setup_bytes, struct err *err)
{
	const struct machine_image *initrd = &machine->files.initrd;
	struct part part = {FW_CFG_INITRD_SIZE, FW_CFG_INITRD_DATA, FW_CFG_INITRD_ADDR, 0};

	part.address = machine_kernel_initrd_address(
	        setup, setup_bytes, machine->layout.low_bytes, initrd->size_bytes);
	return add_part(fw_cfg, &part, initrd->data, initrd->size_bytes, err);
}

static int add_kernel(struct machine *machine, struct device_fw_cfg *fw_cfg, struct err *err)
{
	static const struct part setup_part = {
	        FW_CFG_SETUP_SIZE, FW_CFG_SETUP_DATA, FW_CFG_SETUP_ADDR, SETUP_ADDRESS};
	static const struct part rest_part = {
	        FW_CFG_KERNEL_SIZE, FW_CFG_KERNEL_DATA, FW_CFG_KERNEL_ADDR, KERNEL_ADDRESS};
	const uint8_t *kernel = machine->files.kernel.data;
	size_t size = machine->files.kernel.size_bytes, setup = machine_kernel_setup_bytes(kernel, size);

	if (!setup)
		return machine_kernel_refuse(machine->config->boot.kernel, kernel, size, err);
	if (add_part(fw_cfg, &setup_part, kernel, setup, err) < 0 ||
	        add_part(fw_cfg, &rest_part, kernel + setup, size - setup, err) < 0)
		return -1;
	return *machine->config->boot.initrd ? add_initrd(machine, fw_cfg, kernel, setup, err) : 0;
}

int machine_boot_add(struct machine *machine, struct device_fw_cfg *fw_cfg, struct err *err)
{
	static const struct part cmdline = {
	        FW_CFG_CMDLINE_SIZE, FW_CFG_CMDLINE_DATA, FW_CFG_CMDLINE_ADDR, CMDLINE_ADDRESS};
	const struct config *config = machine->config;

	if (!*config->boot.kernel)
		return 0;
	if (add_kernel(machine, fw_cfg, err) < 0)
		return -1;
	return add_part(fw_cfg, &cmdline, config->boot.cmdline, strlen(config->boot.cmdline) + 1, err);
}
