/* SPDX-License-Identifier: Apache-2.0 */
/*
 * board: a board with a device of every kind, whatever a configuration would want. Tests of all devices use
 * it, so that they include new kinds.
 */
#ifndef TEST_SUPPORT_BOARD_H
#define TEST_SUPPORT_BOARD_H

#include "vmm/device.h"

/* board: after device_board_init(), with what devices may reach. */
static inline int board_fill(struct device_board *board, struct err *err)
{
	for (size_t i = 0; i < device_kinds_count; i++)
		if (device_board_add(board, device_kinds[i], NULL, err) < 0)
			return -1;
	return 0;
}

#endif
