/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serial: COM1, a 16550A and the guest's console. Bytes wait in bounded rings between the guest and the loop.
 */
#ifndef VMM_DEVICE_SERIAL_H
#define VMM_DEVICE_SERIAL_H

#include "vmm/device.h"

#define DEVICE_SERIAL_PORT 0x3f8
#define DEVICE_SERIAL_GSI  4

struct device_serial;

/* Returns the board's device, NULL if it has none. */
struct device_serial *device_serial_of(const struct device_board *board);
/*
 * Gives bytes to the guest, and returns how many were taken. If fewer than size were taken, the board's
 * on_room is called once there is room. Called by the loop.
 */
size_t device_serial_input(struct device_serial *serial, const void *data, size_t size);
/*
 * Takes bytes that the guest wrote, at most max, and returns their number. When the ring is full the port
 * says "busy" (THRE is clear), and the guest waits. Called by the loop.
 */
size_t device_serial_output(struct device_serial *serial, void *data, size_t max);
/*
 * With discard, drops the output from now on, including bytes that wait already, because nobody reads it. So
 * the guest never waits for a reader. Without discard, keeps the output again.
 */
void device_serial_discard(struct device_serial *serial, bool discard);

#endif
