/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci: the functions on PCI bus 0, reached by configuration mechanism 1 (ports 0xcf8-0xcff). The i440fx host
 * bridge (8086:1237, 00:00.0) and the PIIX3 ISA bridge (8086:7000, 00:01.0) are there from the start.
 */
#ifndef VMM_DEVICE_PCI_H
#define VMM_DEVICE_PCI_H

#include "vmm/device.h"
#include "vmm/device/msix.h"

struct device_pci;
struct device_pci_function; /* a function on the bus */

/* A region of memory-mapped registers that the guest puts where it likes (PCI 3.0, 6.2.5.1). */
struct device_pci_bar {
	const char *name; /* a constant text, for messages */
	uint64_t size;    /* a power of two, at least 16; 0: there is no such BAR */
	bool wide;        /* it may lie anywhere in 64 bits, and takes the next BAR's register, too */
	/* As in struct device_range; ctx is that of the function. */
	uint64_t (*read)(void *ctx, uint64_t offset, unsigned size);
	enum device_verdict (*write)(void *ctx, uint64_t offset, unsigned size, uint64_t value);
	/*
	 * The region has moved, or was switched on or off. Called with PCI's lock held, so that moves arrive
	 * in the order in which they happened: it must not call device_pci_*(). NULL: no call.
	 */
	void (*on_move)(void *ctx, bool on, uint64_t base);
};
#define DEVICE_PCI_BARS 6

/* In place of a device number: the first one from DEVICE_PCI_FIRST on that is free. */
#define DEVICE_PCI_ANY   0xff
#define DEVICE_PCI_FIRST 3

struct device_pci_setup {
	uint8_t device, function; /* on bus 0; function 0 of a device is added first */
	uint16_t vendor_id, device_id;
	uint32_t class_code; /* 24 bits: class, subclass, interface */
	uint8_t revision;
	uint16_t subsystem_vendor_id, subsystem_id;
	uint8_t interrupt_pin; /* 1: INTA .. 4: INTD; 0: none */
	struct device_pci_bar bars[DEVICE_PCI_BARS];
	/* Interrupt vectors of MSI-X, at most DEVICE_MSIX_VECTORS_MAX, and the BAR that holds their table:
	 * one that has no other use. 0: the function has no MSI-X. */
	unsigned msix_vectors, msix_bar;
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
 * Adds a function, before the bus is frozen. ret_function may be NULL. ERR_USAGE: there is no free device
 * number. A place that is taken or does not exist, and BARs that cannot be, are programming errors:
 * ERR_FAILED.
 */
int device_pci_add(struct device_pci *pci, const struct device_pci_setup *setup,
        struct device_pci_function **ret_function, struct err *err) MUST_CHECK;

/*
 * Adds a capability to a function, before the bus is frozen: size bytes from the capability's own id on,
 * whose second byte is the link to the next one and is ignored; mask has the bits that the guest can write,
 * NULL: none. Both are copied. *ret_at is its offset in configuration space. ERR_FAILED: it does not fit.
 */
int device_pci_add_capability(struct device_pci_function *function, const uint8_t *body, const uint8_t *mask,
        unsigned size, uint8_t *ret_at, struct err *err) MUST_CHECK;

/*
 * Four bytes of a function's configuration space that are a window to its registers (VIRTIO 4.1.4.9). The
 * functions get a copy of the configuration space, in which a write has happened already. They are called
 * without PCI's lock held.
 */
struct device_pci_window {
	uint8_t at; /* a multiple of 4; 0: there is no window */
	uint32_t (*read)(void *ctx, const uint8_t config[256]);
	void (*write)(void *ctx, const uint8_t config[256]);
};
/* Before the bus is frozen. */
void device_pci_set_window(struct device_pci_function *function, const struct device_pci_window *window);

/*
 * Sets the level of a function's interrupt pin. It reaches the line unless the guest has disabled the pin or
 * uses MSI-X; a line is high while any of the functions that share it wants it high. Any thread, without a
 * lock held that on_write, on_move or a window takes.
 */
void device_pci_interrupt(struct device_pci_function *function, bool level);
/* NULL: the function has no MSI-X. */
struct device_msix *device_pci_msix(const struct device_pci_function *function);
unsigned device_pci_slot(const struct device_pci_function *function); /* its device number */

#define DEVICE_PCI_GSI 16 /* the first of the four lines of the PCI pins */
/* Returns the level-triggered GSI of an interrupt pin (1: INTA .. 4: INTD) on bus 0, as in ACPI's _PRT. */
static inline unsigned device_pci_gsi(unsigned device, unsigned pin)
{
	return DEVICE_PCI_GSI + (device + pin - 1) % 4;
}

#endif
