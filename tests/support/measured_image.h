/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measured_image: the smallest image that every type of guest can be launched with: a page of nothing, and a
 * page with the tables that a launch looks for, by their bytes. Its code does nothing for ever.
 */
#ifndef VMM_TEST_MEASURED_IMAGE_H
#define VMM_TEST_MEASURED_IMAGE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/base.h"

#define MEASURED_IMAGE_BYTES 0x2000

static inline void measured_image_make(uint8_t *image)
{
	static const uint8_t tables[] = {
	        /* metadata: "ASEV", 40 bytes, version 1, 2 sections: secrets, CPUID */
	        'A', 'S', 'E', 'V', 40, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0x40, 1, 0, 0, 0x10, 0, 0, 2, 0,
	        0, 0, 0, 0x50, 1, 0, 0, 0x10, 0, 0, 3, 0, 0, 0,
	        /* reset block */
	        4, 0xb0, 0x80, 0, 22, 0, 0xde, 0x71, 0xf7, 0x00, 0x7e, 0x1a, 0xcb, 0x4f, 0x89, 0x0e, 0x68,
	        0xc7, 0x7e, 0x2f, 0xb4, 0x4e,
	        /* where the metadata is: from the end */
	        152, 0, 0, 0, 22, 0, 0x66, 0x65, 0x88, 0xdc, 0x4a, 0x98, 0x98, 0x47, 0xa7, 0x5e, 0x55, 0x85,
	        0xa7, 0xbf, 0x67, 0xcc,
	        /* footer */
	        62, 0, 0xde, 0x82, 0xb5, 0x96, 0xb2, 0x1f, 0xf7, 0x45, 0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a,
	        0x08, 0x2d};

	memset(image, 0, MEASURED_IMAGE_BYTES);
	memcpy(image + MEASURED_IMAGE_BYTES - 32 - sizeof(tables), tables, sizeof(tables));
	memset(image + MEASURED_IMAGE_BYTES - 16, 0x90, 16);
	memcpy(image + MEASURED_IMAGE_BYTES - 16, (const uint8_t[]){0xfa, 0xeb, 0xfe}, 3); /* cli; jmp $ */
	store_le(image + MEASURED_IMAGE_BYTES - 32 - 18 - 22, 4, 32 + sizeof(tables));
}

/* Returns the path of the image, which is made at the first call and lives as long as this process. */
static inline const char *measured_image_path(void)
{
	static char path[32];
	uint8_t image[MEASURED_IMAGE_BYTES];
	int fd;

	if (*path)
		return path;
	measured_image_make(image);
	fd = memfd_create("image", MFD_CLOEXEC);
	if (fd < 0 || write(fd, image, sizeof(image)) != (ssize_t)sizeof(image))
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return path;
}

#endif
