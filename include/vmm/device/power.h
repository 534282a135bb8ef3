/* SPDX-License-Identifier: Apache-2.0 */
/*
 * power: the PIIX4's power management function (00:01.3) with its block of registers, and the ports by which
 * the guest resets the machine (0xcf9, 0x64, 0x92).
 */
#ifndef VMM_DEVICE_POWER_H
#define VMM_DEVICE_POWER_H

#include "vmm/device.h"

#define DEVICE_POWER_GSI 9 /* the SCI */

struct device_power;

/* Returns the board's device, NULL if it has none. */
struct device_power *device_power_of(const struct device_board *board);
/*
 * Presses the power button for the user (PM1_STS.PWRBTN, and the SCI if it is enabled). Called by the loop.
 */
void device_power_button(struct device_power *power);
/* Returns the port at which firmware put the PM block; 0: firmware has not placed it yet. Any thread. */
uint16_t device_power_port(const struct device_power *power);

#endif
