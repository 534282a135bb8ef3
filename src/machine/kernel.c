/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel: what kind of file boot.kernel is, how it is split into the two fw_cfg items, and where BIOS
 * firmware puts its parts. Any thread; no state. Law: Linux, Documentation/arch/x86/boot.rst; PE Format, 3.1
 * to 3.3; QEMU, hw/i386/x86-common.c (the addresses).
 */
#include <string.h>

#include "machine.h"

#define HEADER_SECTORS    0x1f1 /* setup sectors after the first, 0 means 4 */
#define HEADER_MAGIC      0x202 /* "HdrS" */
#define HEADER_PROTOCOL   0x206
#define HEADER_INITRD_MAX 0x22c
#define HEADER_XLOADFLAGS 0x236
#define HEADER_INIT_SIZE  0x260
#define XLF_ABOVE_4G      2
#define SECTOR_BYTES      512
#define PE_OFFSET         0x3c

static bool has(const uint8_t *bytes, size_t size_bytes, size_t at, const char *magic, size_t length)
{
	return range_fits(at, length, size_bytes) && memcmp(bytes + at, magic, length) == 0;
}

static bool is_linux(const uint8_t *bytes, size_t size_bytes)
{
	return has(bytes, size_bytes, HEADER_MAGIC, "HdrS", 4);
}

/* Is it a PE image for x86-64, or for x86? 32-bit firmware starts the latter. */
static bool is_efi_program(const uint8_t *bytes, size_t size_bytes)
{
	size_t pe;

	if (size_bytes < PE_OFFSET + 4 || !has(bytes, size_bytes, 0, "MZ", 2))
		return false;
	pe = load_le(bytes + PE_OFFSET, 4);
	return has(bytes, size_bytes, pe, "PE\0\0\x64\x86", 6) ||
	       has(bytes, size_bytes, pe, "PE\0\0\x4c\x01", 6);
}

size_t machine_kernel_setup_bytes(const void *file, size_t size_bytes)
{
	const uint8_t *bytes = file;
	bool efi = is_efi_program(bytes, size_bytes);
	size_t setup;

	if (size_bytes <= SECTOR_BYTES || (!efi && !is_linux(bytes, size_bytes)))
		return 0;
	setup = ((bytes[HEADER_SECTORS] ?: 4) + (size_t)1) * SECTOR_BYTES;
	if (setup < size_bytes)
		return setup;
	/* In an EFI program that is not a kernel, this byte has another meaning. Any split will do, because
	 * OVMF joins the two parts again. */
	return efi ? SECTOR_BYTES : 0;
}

#define PROTOCOL_2_10 0x20a /* from this version on, the header says how much memory the kernel needs */

uint64_t machine_kernel_unpacked_bytes(const void *file, size_t size_bytes)
{
	const uint8_t *bytes = file;
	uint64_t init;

	if (!bytes || size_bytes < HEADER_INIT_SIZE + 4 || !is_linux(bytes, size_bytes) ||
	        load_le(bytes + HEADER_PROTOCOL, 2) < PROTOCOL_2_10)
		return size_bytes;
	init = load_le(bytes + HEADER_INIT_SIZE, 4);
	return init > size_bytes ? init : size_bytes;
}

/* Files that people give in place of a kernel, and what they can do instead. */
static const struct {
	const char *magic;
	size_t length;
	const char *what;
} mistakes[] = {
        {"\177ELF", 4, "is an ELF file (vmlinux); firmware starts the bzImage (vmlinuz) made of it"},
        {"\x1f\x8b", 2, "is a gzip file, which no firmware unpacks; unpack it first"},
        {"\xfd"
         "7zXZ",
                5, "is an xz file; unpack it first"},
        {"\x28\xb5\x2f\xfd", 4, "is a zstd file; unpack it first"},
        {"BZh", 3, "is a bzip2 file; unpack it first"},
        {"\x04\x22\x4d\x18", 4, "is an lz4 file; unpack it first"},
        {"0707", 4, "is a cpio archive; boot.initrd takes those"},
        {"QFI\xfb", 4, "is a qcow2 image; a disk is an entry of devices"},
        {"MZ", 2, "is an EFI program for another kind of processor, or not a whole one"},
};

int machine_kernel_refuse(const char *path, const void *file, size_t size_bytes, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(mistakes); i++)
		if (has(file, size_bytes, 0, mistakes[i].magic, mistakes[i].length))
			return err_set(err, ERR_USAGE, "boot.kernel: %s %s", path, mistakes[i].what);
	return err_set(err, ERR_USAGE,
	        "boot.kernel: %s is neither a whole Linux bzImage (vmlinuz) nor an EFI program (a shell, a "
	        "boot "
	        "loader, a unified kernel image)",
	        path);
}

/* ---- where BIOS firmware puts the initrd ---- */

#define PROTOCOL_2_03         0x203 /* from this version on, the header says how far up the initrd may reach */
#define PROTOCOL_2_12         0x20c
#define INITRD_MAX_BEFORE_203 0x37ffffff
#define FIRMWARE_TABLES_BYTES 0x28000 /* what firmware keeps for its tables at the end of low RAM */

/* The last byte that the initrd may have. */
static uint64_t initrd_limit(const uint8_t *setup, size_t setup_bytes)
{
	unsigned protocol;

	if (!is_linux(setup, setup_bytes) || setup_bytes < HEADER_XLOADFLAGS + 2)
		return INITRD_MAX_BEFORE_203;
	protocol = (unsigned)load_le(setup + HEADER_PROTOCOL, 2);
	if (protocol >= PROTOCOL_2_12 && load_le(setup + HEADER_XLOADFLAGS, 2) & XLF_ABOVE_4G)
		return UINT32_MAX;
	return protocol >= PROTOCOL_2_03 ? load_le(setup + HEADER_INITRD_MAX, 4) : INITRD_MAX_BEFORE_203;
}

uint64_t machine_kernel_initrd_address(
        const void *setup, size_t setup_bytes, uint64_t low_bytes, uint64_t initrd_bytes)
{
	uint64_t limit = initrd_limit(setup, setup_bytes);
	uint64_t room = low_bytes > FIRMWARE_TABLES_BYTES ? low_bytes - FIRMWARE_TABLES_BYTES : 0;

	if (limit >= room)
		limit = room ? room - 1 : 0;
	return limit > initrd_bytes ? (limit - initrd_bytes) & ~(uint64_t)(PAGE_SIZE_BYTES - 1) : 0;
}
