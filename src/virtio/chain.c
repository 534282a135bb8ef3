/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain: copies between a device and the buffers of a chain. Any thread; no state.
 */
#include <string.h>

#include "vmm/virtio.h"

/* Copies between data and the buffers iov[0..count), from a byte offset of these on. */
static size_t copy(
        const struct iovec *iov, unsigned count, uint64_t offset, uint8_t *data, size_t size, bool out)
{
	size_t done = 0;

	for (unsigned i = 0; i < count && done < size; i++) {
		size_t length = iov[i].iov_len, n;
		uint8_t *at;

		if (offset >= length) {
			offset -= length;
			continue;
		}
		at = (uint8_t *)iov[i].iov_base + offset;
		n = length - offset < size - done ? length - offset : size - done;
		if (out)
			memcpy(data + done, at, n);
		else
			memcpy(at, data + done, n);
		done += n;
		offset = 0;
	}
	return done;
}

size_t virtio_chain_read(const struct virtio_chain *chain, uint64_t offset, void *data, size_t size)
{
	return copy(chain->iov, chain->readable, offset, data, size, true);
}

size_t virtio_chain_write(const struct virtio_chain *chain, uint64_t offset, const void *data, size_t size)
{
	return copy(chain->iov + chain->readable, chain->writable, offset, (uint8_t *)(uintptr_t)data, size,
	        false);
}
