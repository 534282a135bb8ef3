/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_virtio_console: any driver against the console, while output is taken and input is given. */
#include "fuzz_virtio.h"

static void act(struct virtio_guest *guest, struct cursor *input)
{
	struct virtio_console *console = virtio_console_of(&guest->board, NULL);
	uint8_t shape = cursor_u8(input), bytes[256] = {0};
	size_t max = cursor_u8(input);

	if (shape & 1)
		fuzz_assert(virtio_console_output(console, bytes, max) <= max);
	else
		fuzz_assert(virtio_console_input(console, bytes, max) <= max);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct fuzz_virtio_target target = {
	        .add = virtio_console_add, .config = {.driver = CONFIG_CONSOLE}, .act = act};

	return fuzz_virtio_run(&target, data, size);
}
