/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fit: is the guest's memory too little for boot.kernel and boot.initrd? Firmware fails at that in its own
 * way: OVMF goes on to its shell without a word about it. Only what is certain to fail is refused here;
 * judge.c warns of what may fail. Any thread; no state.
 */
#include <inttypes.h>

#include "launch.h"
#include "volume.h"

#define EDK2_BYTES 0x1710000 /* the RAM that OVMF takes at once: docs/platform.md */

static uint64_t mib(uint64_t bytes)
{
	return (bytes + MIB(1) - 1) >> 20;
}

static bool is_edk2(const struct launch_file *firmware)
{
	struct launch_volume volume;

	launch_volume_look(firmware->data, firmware->size_bytes, false, &volume);
	return volume.is_edk2;
}

int launch_fit(const struct config *config, const struct launch_files *files, struct err *err)
{
	uint64_t memory = config->machine.memory_bytes, initrd = files->initrd.size_bytes;
	uint64_t kernel = files->kernel.size_bytes, unpacked, needed;

	if (!files->kernel.data || !files->firmware.data)
		return 0;
	unpacked = machine_kernel_unpacked_bytes(files->kernel.data, kernel);
	/* Other firmware puts the kernel where it unpacks itself. OVMF keeps the file that it was given. */
	needed = unpacked + initrd;
	if (needed + kernel + EDK2_BYTES > memory && is_edk2(&files->firmware))
		needed += kernel + EDK2_BYTES;
	if (needed <= memory)
		return 0;
	return err_set(err, ERR_USAGE,
	        "machine.memory: %" PRIu64 " MiB are too little for boot.kernel (%" PRIu64
	        " MiB when it runs) and boot.initrd (%" PRIu64
	        " MiB): with the firmware they need more than %" PRIu64
	        " MiB; raise it, or use a smaller initial RAM disk",
	        memory >> 20, mib(unpacked), mib(initrd), mib(needed) - 1);
}
