/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci: what pci.c, pci_bar.c and msix.c share.
 */
#ifndef DEVICE_PCI_PRIVATE_H
#define DEVICE_PCI_PRIVATE_H

#include "vmm/device/pci.h"

/* A BAR and where the guest has put it. */
struct device_pci_region {
	struct device_claim *claim; /* NULL: there is no such BAR */
	bool wide;
	void (*on_move)(void *ctx, bool on, uint64_t base);
	bool on;
	uint64_t base;
};

struct device_pci_function {
	struct device_pci *pci;
	unsigned devfn;
	uint8_t config[256], initial[256], write_mask[256];
	struct device_pci_region regions[DEVICE_PCI_BARS];
	void (*on_write)(void *ctx, const uint8_t config[256]);
	void *ctx;
	struct device_pci_window window;
	struct device_msix *msix; /* NULL: none */
	uint8_t msix_at;          /* where its capability is */
	unsigned capabilities_end;
	uint8_t last_capability; /* 0: there is none */
	bool level, asserted; /* of the interrupt pin: what the device wants, and what arrives at the line */
};

/* ---- BARs (pci_bar.c) ---- */

/* Claims the regions of a function's BARs, and makes the registers. Before it is first reset. */
int device_pci_bars_init(struct device_pci_function *function, struct device_bus *bus,
        const struct device_pci_setup *setup, struct err *err) MUST_CHECK;
/* Puts the regions where the registers say. PCI's lock is held. */
void device_pci_bars_place(struct device_pci_function *function);

/* ---- MSI-X (msix.c) ---- */

#define DEVICE_MSIX_CAPABILITY_BYTES 12

/* wires are borrowed. Returns NULL with err: no memory is left. */
struct device_msix *device_msix_create(const struct device_wires *wires, unsigned vectors, struct err *err);
void device_msix_destroy(struct device_msix *msix); /* NULL is allowed */
/* The BAR for table and pending bits, and the capability that describes it; the BAR's ctx is the msix. */
uint64_t device_msix_bar_bytes(unsigned vectors);
uint64_t device_msix_read(void *ctx, uint64_t offset, unsigned size);
enum device_verdict device_msix_write(void *ctx, uint64_t offset, unsigned size, uint64_t value);
void device_msix_describe(unsigned vectors, unsigned bar, uint8_t ret_body[DEVICE_MSIX_CAPABILITY_BYTES],
        uint8_t ret_mask[DEVICE_MSIX_CAPABILITY_BYTES]);
/* Follows the control word of the capability. */
void device_msix_control(struct device_msix *msix, uint16_t control);
/* Masks all vectors, as after power-on. */
void device_msix_reset(struct device_msix *msix);
/*
 * Visits the table and what is pending, also in eventfds that nobody reads. Nothing is sent while it loads:
 * device_msix_control() follows.
 */
void device_msix_visit(struct device_msix *msix, struct vmstate *s);

#endif
