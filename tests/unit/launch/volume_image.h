/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volume_image: makes images as EDK II's build does, byte by byte: a volume with one file, which holds
 * volumes with their files, compressed.
 */
#ifndef VMM_TEST_VOLUME_IMAGE_H
#define VMM_TEST_VOLUME_IMAGE_H

#include <lzma.h>
#include <string.h>

#include "support/test.h"

static const uint8_t lzma_guid[16] = {
        0x98, 0x58, 0x4e, 0xee, 0x14, 0x39, 0x59, 0x42, 0x9d, 0x6e, 0xdc, 0x7b, 0xd7, 0x94, 0x03, 0xcf};
static const uint8_t variables_guid[16] = {
        0x8d, 0x2b, 0xf1, 0xff, 0x96, 0x76, 0x8b, 0x4c, 0xa9, 0x85, 0x27, 0x47, 0x07, 0x5b, 0x4f, 0x50};
static const uint8_t smm_guid[16] = {
        0xb4, 0x75, 0x0e, 0x6c, 0xb9, 0xb0, 0xd1, 0x44, 0x82, 0x10, 0x33, 0x77, 0xd7, 0xb4, 0xe0, 0x66};
static const uint8_t kernel_guid[16] = {
        0x37, 0x94, 0xe7, 0x4d, 0xd2, 0xab, 0x7f, 0x42, 0xb8, 0x35, 0xd5, 0xb1, 0x72, 0xd2, 0x04, 0x5b};
static const uint8_t some_guid[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

/* The image as it is put together, from the front. */
struct bytes {
	uint8_t at[0x10000];
	size_t size;
};

static inline void put(struct bytes *to, const void *data, size_t size)
{
	assert_true(size <= sizeof(to->at) - to->size);
	memcpy(to->at + to->size, data, size);
	to->size += size;
}

static inline void pad(struct bytes *to, size_t align)
{
	while (to->size % align)
		put(to, "\xff", 1);
}

static inline void put_number(struct bytes *to, uint64_t value, unsigned size)
{
	uint8_t text[8];

	store_le(text, 8, value);
	put(to, text, size);
}

static inline void put_file(
        struct bytes *to, const uint8_t guid[16], unsigned type, const void *data, size_t size)
{
	pad(to, 8);
	put(to, guid, 16);
	put_number(to, 0, 2);
	put_number(to, type, 1);
	put_number(to, 0, 1);
	put_number(to, 24 + size, 3);
	put_number(to, 0xf8, 1);
	put(to, data, size);
}

static inline void put_section(struct bytes *to, unsigned type, const void *data, size_t size)
{
	pad(to, 4);
	put_number(to, 4 + size, 3);
	put_number(to, type, 1);
	put(to, data, size);
}

/* Appends a volume with the bytes in files, and erased flash after them. */
static inline void put_volume(struct bytes *to, const uint8_t system[16], const struct bytes *files)
{
	static const uint8_t zero[16], erased[64] = {[0 ... 63] = 0xff};

	put(to, zero, 16);
	put(to, system, 16);
	put_number(to, 56 + files->size + sizeof(erased), 8);
	put(to, "_FVH", 4);
	put_number(to, 0, 4);
	put_number(to, 56, 2);
	put_number(to, 0, 6);
	put(to, files->at, files->size);
	put(to, erased, sizeof(erased));
}

static inline void compress(const struct bytes *plain, struct bytes *ret_packed)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	lzma_options_lzma options;

	assert_false(lzma_lzma_preset(&options, 1));
	assert_int_equal(lzma_alone_encoder(&stream, &options), LZMA_OK);
	stream.next_in = plain->at;
	stream.avail_in = plain->size;
	stream.next_out = ret_packed->at;
	stream.avail_out = sizeof(ret_packed->at);
	assert_int_equal(lzma_code(&stream, LZMA_FINISH), LZMA_STREAM_END);
	ret_packed->size = sizeof(ret_packed->at) - stream.avail_out;
	lzma_end(&stream);
}

/* A volume with one file, whose one section holds sections, compressed. */
static inline void put_main(struct bytes *to, const struct bytes *sections)
{
	static struct bytes packed, guided, section, file;

	compress(sections, &packed);
	guided.size = section.size = file.size = 0;
	put(&guided, lzma_guid, 16);
	put_number(&guided, 24, 2); /* data begins behind the section's header and these 20 bytes */
	put_number(&guided, 1, 2);
	put(&guided, packed.at, packed.size);
	put_section(&section, 0x02, guided.at, guided.size);
	put_file(&file, some_guid, 0x0b, section.at, section.size);
	put_volume(to, some_guid, &file);
}

enum made { MADE_PLAIN, MADE_SMM, MADE_PEILESS, MADE_COMPARES };

/* The main volume of an image: PEI's volume, then DXE's. */
static inline void put_edk2(struct bytes *to, enum made made)
{
	static struct bytes pei, dxe, volume, sections;

	pei.size = dxe.size = sections.size = 0;
	put_file(&pei, some_guid, made == MADE_PEILESS ? 0x05 : 0x04, "core", 4);
	put_file(&pei, made == MADE_SMM ? smm_guid : some_guid, 0x06, "driver", 6);
	put_file(&dxe, some_guid, 0x05, "core", 4);
	put_file(&dxe, some_guid, 0x07, made == MADE_COMPARES ? kernel_guid : some_guid, 16);
	volume.size = 0;
	put_volume(&volume, some_guid, &pei);
	put_section(&sections, 0x17, volume.at, volume.size);
	volume.size = 0;
	put_volume(&volume, some_guid, &dxe);
	put_section(&sections, 0x17, volume.at, volume.size);
	put_main(to, &sections);
}

#endif
