/*
 * boot: the kernel, its initrd and command line, as fw_cfg items that the firmware loads them from. Main
 * thread. Law: Linux, Documentation/arch/x86/boot.rst (the header is at 0x1f1); QEMU, fw_cfg keys.
 */
#include <string.h>

#include "machine.h"

#define HEADER_SECTORS 0x1f1 /* setup sectors after the first, 0 means 4 */
#define HEADER_MAGIC   0x202 /* "HdrS" */
#define SECTOR_BYTES   512

size_t machine_kernel_setup_bytes(const void *file, size_t size_bytes)
{
	const uint8_t *bytes = file;
	size_t setup;

	if (size_bytes < HEADER_MAGIC + 4 || memcmp(bytes + HEADER_MAGIC, "HdrS", 4) != 0)
		return 0;
	setup = ((bytes[HEADER_SECTORS] ?: 4) + (size_t)1) * SECTOR_BYTES;
	return setup < size_bytes ? setup : 0;
}

/* A size item and its data item. */
static int add_item(struct machine *machine, uint16_t size_key, uint16_t data_key, const void *data,
        size_t size, struct err *err)
{
	if (device_fw_cfg_add_number(machine->fw_cfg, size_key, size, 4, err) < 0)
		return -1;
	return device_fw_cfg_add(machine->fw_cfg, data_key, data, size, err);
}

static int add_kernel(struct machine *machine, struct err *err)
{
	auto_free void *kernel = NULL;
	size_t size, setup;

	if (file_read_all(machine->config->boot.kernel, MACHINE_KERNEL_MAX_BYTES, &kernel, &size, err) < 0)
		return err_wrap(err, "boot.kernel");
	setup = machine_kernel_setup_bytes(kernel, size);
	if (!setup)
		return err_set(err, ERR_USAGE,
		        "boot.kernel: %s is not a whole Linux bzImage (vmlinuz); OVMF starts no other file",
		        machine->config->boot.kernel);
	if (add_item(machine, FW_CFG_SETUP_SIZE, FW_CFG_SETUP_DATA, kernel, setup, err) < 0)
		return -1;
	return add_item(machine, FW_CFG_KERNEL_SIZE, FW_CFG_KERNEL_DATA, (uint8_t *)kernel + setup,
	        size - setup, err);
}

static int add_initrd(struct machine *machine, struct err *err)
{
	auto_free void *initrd = NULL;
	size_t size;

	if (file_read_all(machine->config->boot.initrd, MACHINE_INITRD_MAX_BYTES, &initrd, &size, err) < 0)
		return err_wrap(err, "boot.initrd");
	return add_item(machine, FW_CFG_INITRD_SIZE, FW_CFG_INITRD_DATA, initrd, size, err);
}

int machine_boot_add(struct machine *machine, struct err *err)
{
	const struct config *config = machine->config;

	if (!*config->boot.kernel)
		return 0;
	if (add_kernel(machine, err) < 0 || (*config->boot.initrd && add_initrd(machine, err) < 0))
		return -1;
	return add_item(machine, FW_CFG_CMDLINE_SIZE, FW_CFG_CMDLINE_DATA, config->boot.cmdline,
	        strlen(config->boot.cmdline) + 1, err);
}
