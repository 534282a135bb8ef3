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
/* The ports of the general-purpose events: two bytes of status, two of enable bits. */
#define DEVICE_POWER_GPE_PORT  0xafe0
#define DEVICE_POWER_GPE_PORTS 4
#define DEVICE_POWER_GPES      16
/* Sets the status of an event, below DEVICE_POWER_GPES, and raises the SCI if the event is enabled. Any
 * thread. */
void device_power_gpe(struct device_power *power, unsigned event);
/* Returns the port at which firmware put the PM block; 0: firmware has not placed it yet. Any thread. */
uint16_t device_power_port(const struct device_power *power);

#endif
