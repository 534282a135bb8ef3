/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image: makes firmware images for tests, byte by byte, without the layouts of abi.h.
 */
#ifndef VMM_TEST_IMAGE_H
#define VMM_TEST_IMAGE_H

#include <string.h>

#include "support/test.h"

#define IMAGE_BYTES 0x10000

/* Entries are added downwards from the footer; finish with image_end(). */
struct image {
	uint8_t bytes[IMAGE_BYTES];
	size_t at; /* start of the lowest entry so far */
};

static const uint8_t footer_guid[16] = {
        0xde, 0x82, 0xb5, 0x96, 0xb2, 0x1f, 0xf7, 0x45, 0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d};
static const uint8_t reset_guid[16] = {
        0xde, 0x71, 0xf7, 0x00, 0x7e, 0x1a, 0xcb, 0x4f, 0x89, 0x0e, 0x68, 0xc7, 0x7e, 0x2f, 0xb4, 0x4e};
static const uint8_t hashes_guid[16] = {
        0x1f, 0x37, 0x55, 0x72, 0x3b, 0x3a, 0x04, 0x4b, 0x92, 0x7b, 0x1d, 0xa6, 0xef, 0xa8, 0xd4, 0x54};
static const uint8_t metadata_guid[16] = {
        0x66, 0x65, 0x88, 0xdc, 0x4a, 0x98, 0x98, 0x47, 0xa7, 0x5e, 0x55, 0x85, 0xa7, 0xbf, 0x67, 0xcc};

#define IMAGE_FOOTER_AT   (IMAGE_BYTES - 32 - 18)
#define IMAGE_METADATA_AT 0x8000

static inline void image_start(struct image *image)
{
	memset(image->bytes, 0xff, sizeof(image->bytes));
	image->at = IMAGE_FOOTER_AT;
}

static inline void image_entry(struct image *image, const uint8_t guid[16], const void *data, uint16_t size)
{
	image->at -= 18u + size;
	memcpy(image->bytes + image->at, data, size);
	store_le(image->bytes + image->at + size, 2, 18u + size);
	memcpy(image->bytes + image->at + size + 2, guid, 16);
}

static inline void image_end(struct image *image)
{
	store_le(image->bytes + IMAGE_FOOTER_AT, 2, IMAGE_FOOTER_AT + 18 - image->at);
	memcpy(image->bytes + IMAGE_FOOTER_AT + 2, footer_guid, 16);
}

/* words: gpa, size, type of each section. */
static inline void image_metadata(struct image *image, const uint32_t *words, uint32_t count)
{
	uint32_t from_end = IMAGE_BYTES - IMAGE_METADATA_AT;
	uint8_t *to = image->bytes + IMAGE_METADATA_AT;

	memcpy(to, "ASEV", 4);
	store_le(to + 4, 4, 16 + 12 * count);
	store_le(to + 8, 4, 1);
	store_le(to + 12, 4, count);
	memcpy(to + 16, words, 12 * count);
	image_entry(image, metadata_guid, &from_end, 4);
}

#endif
