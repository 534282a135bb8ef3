/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crc: CRC-32C (Castagnoli; RFC 3720, appendix B.4) of what travels: against accidents on the way, not
 * against a peer. Processors with SSE 4.2 have an instruction for it, which takes 8 bytes each cycle but has
 * its result after 3; so three parts of a block are summed at the same time. Any thread.
 */
#include <nmmintrin.h>
#include <pthread.h>

#include "wire.h"

#define POLYNOMIAL 0x82f63b78u /* bit-reflected */
#define LANE_BYTES 1024        /* of each of the three parts */

static uint32_t table[256];
static uint32_t skip[4][256]; /* the checksum of what LANE_BYTES zeros make of each byte of a checksum */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static uint32_t plain(uint32_t crc, const uint8_t *at, size_t size)
{
	while (size--)
		crc = crc >> 8 ^ table[(crc ^ *at++) & 0xff];
	return crc;
}

static void make_tables(void)
{
	static const uint8_t zeros[LANE_BYTES];

	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		table[i] = crc;
	}
	for (unsigned byte = 0; byte < 4; byte++)
		for (uint32_t i = 0; i < 256; i++)
			skip[byte][i] = plain(i << (8 * byte), zeros, sizeof(zeros));
}

static uint32_t over_lane(uint32_t crc)
{
	return skip[0][crc & 0xff] ^ skip[1][crc >> 8 & 0xff] ^ skip[2][crc >> 16 & 0xff] ^
	       skip[3][crc >> 24];
}

__attribute__((target("sse4.2"))) static uint32_t fast(uint32_t crc, const uint8_t *at, size_t size)
{
	for (; size >= (size_t)3 * LANE_BYTES; at += (size_t)3 * LANE_BYTES, size -= (size_t)3 * LANE_BYTES) {
		uint64_t a = crc, b = 0, c = 0;

		for (size_t i = 0; i < LANE_BYTES; i += 8) {
			a = _mm_crc32_u64(a, load_le(at + i, 8));
			b = _mm_crc32_u64(b, load_le(at + LANE_BYTES + i, 8));
			c = _mm_crc32_u64(c, load_le(at + (size_t)2 * LANE_BYTES + i, 8));
		}
		crc = over_lane((uint32_t)a) ^ (uint32_t)b;
		crc = over_lane(crc) ^ (uint32_t)c;
	}
	for (; size >= 8; at += 8, size -= 8)
		crc = (uint32_t)_mm_crc32_u64(crc, load_le(at, 8));
	return plain(crc, at, size);
}

uint32_t migrate_crc32c(const void *data, size_t size)
{
	pthread_once(&once, make_tables);
	if (__builtin_cpu_supports("sse4.2"))
		return ~fast(~0u, data, size);
	return ~plain(~0u, data, size);
}

uint32_t migrate_crc32c_plain(const void *data, size_t size)
{
	pthread_once(&once, make_tables);
	return ~plain(~0u, data, size);
}
