/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_virtio_balloon: any driver against the balloon, whose requests are lists of pages to give back. */
#include "fuzz_virtio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct fuzz_virtio_target target = {
	        .add = virtio_balloon_add, .config = {.driver = CONFIG_BALLOON, .inflate_bytes = MIB(1)}};

	return fuzz_virtio_run(&target, data, size);
}
