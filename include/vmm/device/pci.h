/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci: the functions on PCI bus 0, reached by configuration mechanism 1 (ports 0xcf8-0xcff). The i440fx host
 * bridge (8086:1237, 00:00.0) and the PIIX3 ISA bridge (8086:7000, 00:01.0) are there from the start.
 */
#ifndef VMM_DEVICE_PCI_H
#define VMM_DEVICE_PCI_H

#include "vmm/device.h"

struct device_pci;

struct device_pci_function {
	uint8_t device, function; /* on bus 0 */
	uint16_t vendor_id, device_id;
	uint32_t class_code; /* 24 bits: class, subclass, interface */
	uint8_t revision;
	uint8_t header_type; /* 0x80: more functions follow */
	uint16_t subsystem_vendor_id, subsystem_id;
	uint8_t interrupt_pin;
	/* Values after reset of the bytes that no field above sets; NULL: zeros. 256 bytes, copied. */
	const uint8_t *initial;
	/* Bits that the guest can write, beyond the standard ones; NULL: none. 256 bytes, copied. */
	const uint8_t *write_mask;
	/*
	 * Called after a write or a reset, with PCI's lock held so that changes arrive in the order in which
	 * they happened: it moves claims and must not call device_pci_*(). NULL: no call.
	 */
	void (*on_write)(void *ctx, const uint8_t config[256]);
	void *ctx;
};

/* Returns the board's device, NULL if it has none. */
struct device_pci *device_pci_of(const struct device_board *board);
/*
 * Adds a function, before the bus is frozen. A place that is taken or does not exist is a programming error:
 * ERR_FAILED.
 */
int device_pci_add(
        struct device_pci *pci, const struct device_pci_function *function, struct err *err) MUST_CHECK;

#endif
