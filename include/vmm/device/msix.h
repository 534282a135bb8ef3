/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msix: a function's interrupts as messages, one a vector (PCI 3.0, 6.8.2). The guest writes address and data
 * of each vector into a table and can mask it; what happens meanwhile stays pending. Any thread.
 */
#ifndef VMM_DEVICE_MSIX_H
#define VMM_DEVICE_MSIX_H

#include <stdbool.h>

#include "vmm/base.h"

struct device_msix;

#define DEVICE_MSIX_VECTORS_MAX 2048

/* Does the guest use MSI-X? Otherwise the function interrupts by its pin. */
bool device_msix_is_on(const struct device_msix *msix);
unsigned device_msix_vectors(const struct device_msix *msix);
/* Interrupts the guest, or makes the vector pending while it is masked. Without MSI-X, or such a vector:
 * nothing. */
void device_msix_notify(struct device_msix *msix, unsigned vector);
/*
 * From now on an eventfd interrupts by this vector. The kernel reads it while the vector is not masked; its
 * count stays pending meanwhile. An fd is connected once. Returns -1 if the kernel cannot: the caller then
 * reads fd and notifies. fd is borrowed until it is disconnected.
 */
int device_msix_connect(struct device_msix *msix, unsigned vector, int fd) MUST_CHECK;
void device_msix_disconnect(struct device_msix *msix, int fd); /* an fd that is not connected is allowed */

#endif
