/* SPDX-License-Identifier: Apache-2.0 */
/*
 * devices: the devices that the configuration names, in its order. Main thread.
 */
#include "machine.h"
#include "vmm/virtio.h"

static virtio_adder *const adders[CONFIG_DRIVERS] = {
        [CONFIG_BLK] = virtio_blk_add,
        [CONFIG_NET] = virtio_net_add,
        [CONFIG_RNG] = virtio_rng_add,
        [CONFIG_VSOCK] = virtio_vsock_add,
        [CONFIG_CONSOLE] = virtio_console_add,
        [CONFIG_FS] = virtio_fs_add,
        [CONFIG_BALLOON] = virtio_balloon_add,
};

int machine_devices_add(struct machine *machine, struct loop *loop, struct err *err)
{
	const struct config *config = machine->config;
	const struct virtio_place place = {
	        .board = &machine->board,
	        .main_loop = loop,
	        .vcpus = config->machine.vcpus,
	        .machine = *config->machine.uuid ? config->machine.uuid : config->name,
	        .arrives = machine->arrives,
	};

	for (size_t i = 0; i < config->devices_count; i++) {
		const struct config_device *device = &config->devices[i];

		if (adders[device->driver](&place, device, err) < 0)
			return err_wrap(err, "devices[%zu], \"%s\"", i, device->id);
	}
	return 0;
}
