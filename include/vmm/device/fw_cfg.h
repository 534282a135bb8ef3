/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fw_cfg: named items that the guest's firmware reads, ports 0x510-0x51b. QEMU, docs/specs/fw_cfg.rst.
 */
#ifndef VMM_DEVICE_FW_CFG_H
#define VMM_DEVICE_FW_CFG_H

#include "vmm/device.h"

struct device_fw_cfg;

enum device_fw_cfg_key {
	FW_CFG_SIGNATURE = 0x00,
	FW_CFG_ID = 0x01,
	FW_CFG_NB_CPUS = 0x05,
	FW_CFG_KERNEL_ADDR = 0x07,
	FW_CFG_KERNEL_SIZE = 0x08,
	FW_CFG_INITRD_ADDR = 0x0a,
	FW_CFG_INITRD_SIZE = 0x0b,
	FW_CFG_KERNEL_DATA = 0x11,
	FW_CFG_INITRD_DATA = 0x12,
	FW_CFG_CMDLINE_ADDR = 0x13,
	FW_CFG_CMDLINE_SIZE = 0x14,
	FW_CFG_CMDLINE_DATA = 0x15,
	FW_CFG_SETUP_ADDR = 0x16,
	FW_CFG_SETUP_SIZE = 0x17,
	FW_CFG_SETUP_DATA = 0x18,
	FW_CFG_FILE_DIR = 0x19,
};
#define FW_CFG_FILES_MAX 32

/*
 * Returns the board's device, NULL if it has none. Signature, id and file directory are there from the start.
 * The guest can only read items. They are added before the guest runs.
 */
struct device_fw_cfg *device_fw_cfg_of(const struct device_board *board);
/* Adds an item; the data is copied. Adding a key or a file twice is a programming error: ERR_FAILED. */
int device_fw_cfg_add(struct device_fw_cfg *fw_cfg, uint16_t key, const void *data, size_t size,
        struct err *err) MUST_CHECK;
/* Adds an item whose data is borrowed: it outlives the device and does not change. */
int device_fw_cfg_lend(struct device_fw_cfg *fw_cfg, uint16_t key, const void *data, size_t size,
        struct err *err) MUST_CHECK;
/* Adds an item that is a little-endian number of 1 to 8 bytes. */
int device_fw_cfg_add_number(struct device_fw_cfg *fw_cfg, uint16_t key, uint64_t number, unsigned size,
        struct err *err) MUST_CHECK;
/*
 * Adds a file; the data is copied. Files get keys from 0x20 in the order of adding. The directory lists them
 * sorted by name.
 */
int device_fw_cfg_add_file(struct device_fw_cfg *fw_cfg, const char *name, const void *data, size_t size,
        struct err *err) MUST_CHECK;
/*
 * Brings the bytes of a file up to date, in place. Called each time the guest selects the file, with fw_cfg's
 * lock held: it must not call device_fw_cfg_*().
 */
typedef void device_fw_cfg_refresh(void *ctx, uint8_t *data, size_t size);
/*
 * Sets the refresh function of an added file that depends on what the guest does to other devices. Called
 * before the guest runs.
 */
void device_fw_cfg_follow(
        struct device_fw_cfg *fw_cfg, const char *name, device_fw_cfg_refresh *refresh, void *ctx);

#endif
