/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf9: the reset control register is one byte among the four of PCI's address register. pci.c, which owns
 * those ports, passes accesses to that byte on to power.c.
 */
#ifndef DEVICE_CF9_H
#define DEVICE_CF9_H

#include "vmm/device/pci.h"

/* From now on, byte accesses to port 0xcf9 go to this range, without PCI's lock held. Before the guest runs.
 * The range is copied; its base and size are ignored. */
void device_pci_set_cf9(struct device_pci *pci, const struct device_range *range);

#endif
