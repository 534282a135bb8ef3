/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flash: the memory chip below the firmware image in which firmware keeps its variables (boot entries,
 * settings). Its contents are a file, which the guest changes by the commands of a parallel flash chip. Where
 * the guest has memory at the chip's address, that shows the contents, whatever state the chip is in, and
 * only writes by VMGEXIT come to the chip.
 */
#ifndef VMM_DEVICE_FLASH_H
#define VMM_DEVICE_FLASH_H

#include "vmm/device.h"

#define DEVICE_FLASH_BLOCK_BYTES KIB(4) /* what an erase command erases; OVMF expects this size */

/* What device_board_add() of this kind is given. */
struct device_flash_ask {
	int fd;           /* an open file of that size that can be read and written. Borrowed until the end */
	const char *name; /* of the file, for messages. Borrowed until the end */
	uint64_t base, size_bytes; /* its address; whole blocks */
};

extern const struct device_kind device_flash_kind;

/*
 * The file of a guest that goes on elsewhere, which one machine writes at a time. The contents move with the
 * chip's state, so the other machine may have the same file or another one. All of this: main thread, while
 * no vCPU runs; without a chip nothing happens.
 *
 * Flushes the file. From then on it is left alone, and what the guest wants to change fails. ERR_HOST: it
 * could not be flushed, and is still this machine's.
 */
int device_flash_release(const struct device_board *board, struct err *err) MUST_CHECK;
/*
 * Ends that, also after a state was loaded: writes to the file what it lacks of the loaded contents.
 * ERR_HOST: it cannot be written; this can be called again.
 */
int device_flash_take(const struct device_board *board, struct err *err) MUST_CHECK;

#endif
