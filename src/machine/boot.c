/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot: the kernel, its initrd and command line, as fw_cfg items from which the firmware loads them. Main
 * thread. Law: QEMU, docs/specs/fw_cfg.rst (the keys).
 */
#include <string.h>

#include "machine.h"
#include "vmm/device/pci.h"

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

/*
 * The order in which firmware tries the devices: a path of Open Firmware a line, and a NUL at the end. A
 * store of variables has an order of its own, which a person may have changed, so then there is no such file.
 */
static int add_order(const struct config *config, struct device_fw_cfg *fw_cfg, struct err *err)
{
	static const struct {
		const char *name, *unit;
	} kinds[CONFIG_DRIVERS] = {
	        [CONFIG_BLK] = {"scsi", "disk@0,0"},
	        [CONFIG_NET] = {"ethernet", "ethernet-phy@0"},
	};
	char text[CONFIG_DEVICES_MAX * 48];
	size_t used = 0;

	for (size_t i = 0; i < config->devices_count && !*config->firmware_vars; i++) {
		enum config_driver driver = config->devices[i].driver;

		/* Each device of devices[] is one function, and they are added in this order. */
		if (kinds[driver].name)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "/pci@i0cf8/%s@%zx/%s\n",
			        kinds[driver].name, DEVICE_PCI_FIRST + i, kinds[driver].unit);
	}
	if (!used)
		return 0;
	text[used - 1] = '\0';
	return device_fw_cfg_add_file(fw_cfg, "bootorder", text, used, err);
}

int machine_boot_add(struct machine *machine, struct device_fw_cfg *fw_cfg, struct err *err)
{
	static const struct part cmdline = {
	        FW_CFG_CMDLINE_SIZE, FW_CFG_CMDLINE_DATA, FW_CFG_CMDLINE_ADDR, CMDLINE_ADDRESS};
	const struct config *config = machine->config;

	if (add_order(config, fw_cfg, err) < 0)
		return -1;
	if (!*config->boot.kernel)
		return 0;
	if (add_kernel(machine, fw_cfg, err) < 0)
		return -1;
	return add_part(fw_cfg, &cmdline, config->boot.cmdline, strlen(config->boot.cmdline) + 1, err);
}
