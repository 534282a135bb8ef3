/* SPDX-License-Identifier: Apache-2.0 */
/*
 * swap: the vmm of a host that serves other bytes than it had measured. The whole program is linked with this
 * function in the place of the one by which fw_cfg gets a kernel's parts (ld --wrap). The variable SWAP of
 * the environment is the number of the fw_cfg item of which one bit is another.
 */
#include <stdlib.h>
#include <string.h>

#include "vmm/device/fw_cfg.h"

int __real_device_fw_cfg_lend(struct device_fw_cfg *fw_cfg, uint16_t key, const void *data, size_t size,
        struct err *err) MUST_CHECK;
int __wrap_device_fw_cfg_lend(struct device_fw_cfg *fw_cfg, uint16_t key, const void *data, size_t size,
        struct err *err) MUST_CHECK;

/* The other bytes stay until the process ends: fw_cfg reads them where they are. */
static uint8_t *other;

int __wrap_device_fw_cfg_lend(
        struct device_fw_cfg *fw_cfg, uint16_t key, const void *data, size_t size, struct err *err)
{
	const char *swapped = getenv("SWAP");

	if (!swapped || strtoul(swapped, NULL, 0) != key)
		return __real_device_fw_cfg_lend(fw_cfg, key, data, size, err);
	if (!size || other || !(other = malloc(size)))
		return err_set(err, ERR_FAILED, "item 0x%x cannot be another one", key);
	memcpy(other, data, size);
	other[size / 2] ^= 1;
	return __real_device_fw_cfg_lend(fw_cfg, key, other, size, err);
}
