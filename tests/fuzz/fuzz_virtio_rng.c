/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_virtio_rng: any driver against the transport and the entropy device, which knows only buffers. */
#include "fuzz_virtio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct fuzz_virtio_target target = {
	        .add = virtio_rng_add, .config = {.driver = CONFIG_RNG}};

	return fuzz_virtio_run(&target, data, size);
}
