/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guid: GUIDs as they lie in memory. There are two orders of bytes, and each has a type of its own, so that
 * they cannot be mixed up. Layouts and numbers only; any room may include this.
 */
#ifndef VMM_ABI_GUID_H
#define VMM_ABI_GUID_H

#include <stdint.h>

/*
 * The GUIDs of firmware tables and launch secrets: the first three groups are little-endian (UEFI, appendix
 * A).
 */
struct abi_efi_guid {
	uint8_t bytes[16];
};

#define ABI_EFI_GUID(a, b, c, d, e) \
	((struct abi_efi_guid){{(uint8_t)(a), (uint8_t)((a) >> 8), (uint8_t)((a) >> 16), \
	        (uint8_t)((a) >> 24), (uint8_t)(b), (uint8_t)((b) >> 8), (uint8_t)(c), (uint8_t)((c) >> 8), \
	        (uint8_t)((d) >> 8), (uint8_t)(d), (uint8_t)((uint64_t)(e) >> 40), \
	        (uint8_t)((uint64_t)(e) >> 32), (uint8_t)((e) >> 24), (uint8_t)((e) >> 16), \
	        (uint8_t)((e) >> 8), (uint8_t)(e)}})

/* The GUIDs of certificate tables: the bytes lie as the digits are written (RFC 4122, section 4.1.2). */
struct abi_text_guid {
	uint8_t digits[16];
};

#endif
