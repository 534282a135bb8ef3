/*
 * cf9: the reset control register is one byte among the four of PCI's address register, so pci.c, who owns
 * those ports, hands it on to power.c.
 */
#ifndef DEVICE_CF9_H
#define DEVICE_CF9_H

#include "vmm/device.h"

/* Byte accesses to port 0xcf9 go here, without PCI's lock held. Before the guest runs; base and size are
 * ignored. */
void device_pci_set_cf9(struct device_pci *pci, const struct device_range *range);

#endif
