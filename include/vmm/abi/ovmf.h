/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ovmf: tables between OVMF and the VMM: those at the end of the image, and the kernel hashes. Little-
 * endian. Layouts and numbers only; any room may include this.
 */
#ifndef VMM_ABI_OVMF_H
#define VMM_ABI_OVMF_H

#include <stdint.h>

#include "vmm/abi/guid.h"
#include "vmm/abi/layout.h"

/* ---- OVMF's tables at the end of the image (edk2 OvmfPkg/ResetVector) ---- */

/* The footer's entry ends this far before the end of the image. */
#define ABI_OVMF_FOOTER_GAP 32

/* Ends an entry; its data lies below it. len counts data and this structure. */
struct abi_ovmf_entry {
	uint16_t len;
	struct abi_efi_guid guid;
} ABI_PACKED;
ABI_SIZE(struct abi_ovmf_entry, 18);

#define ABI_OVMF_FOOTER   ABI_EFI_GUID(0x96b582de, 0x1fb2, 0x45f7, 0xbaea, 0xa366c55a082d)
#define ABI_OVMF_RESET    ABI_EFI_GUID(0x00f771de, 0x1a7e, 0x4fcb, 0x890e, 0x68c77e2fb44e)
#define ABI_OVMF_SECRET   ABI_EFI_GUID(0x4c2eb361, 0x7d9b, 0x4cc3, 0x8081, 0x127c90d3d294)
#define ABI_OVMF_HASHES   ABI_EFI_GUID(0x7255371f, 0x3a3b, 0x4b04, 0x927b, 0x1da6efa8d454)
#define ABI_OVMF_METADATA ABI_EFI_GUID(0xdc886566, 0x984a, 0x4798, 0xa75e, 0x5585a7bf67cc)

enum abi_ovmf_section_type {
	ABI_OVMF_SEC_MEM = 1,
	ABI_OVMF_SECRETS = 2,
	ABI_OVMF_CPUID = 3,
	ABI_OVMF_SVSM_CAA = 4,
	ABI_OVMF_KERNEL_HASHES = 0x10,
};

#define ABI_OVMF_METADATA_SIGNATURE "ASEV"
#define ABI_OVMF_METADATA_VERSION   1

struct abi_ovmf_metadata {
	char signature[4];
	uint32_t len; /* header and sections */
	uint32_t version;
	uint32_t count;
} ABI_PACKED;
ABI_SIZE(struct abi_ovmf_metadata, 16);

struct abi_ovmf_section {
	uint32_t gpa, size, type;
} ABI_PACKED;
ABI_SIZE(struct abi_ovmf_section, 12);

/* ---- kernel hashes (edk2 OvmfPkg/AmdSev/BlobVerifierLibSevHashes) ---- */

#define ABI_HASHES_TABLE   ABI_EFI_GUID(0x9438d606, 0x4f22, 0x4cc9, 0xb479, 0xa793d411fd21)
#define ABI_HASHES_CMDLINE ABI_EFI_GUID(0x97d02dd8, 0xbd20, 0x4c94, 0xaa78, 0xe7714d36ab2a)
#define ABI_HASHES_INITRD  ABI_EFI_GUID(0x44baf731, 0x3a2f, 0x4bd7, 0x9af1, 0x41e29169781d)
#define ABI_HASHES_KERNEL  ABI_EFI_GUID(0x4de79437, 0xabd2, 0x427f, 0xb835, 0xd5b172d2045b)

struct abi_hash {
	struct abi_efi_guid guid;
	uint16_t len; /* of this structure */
	uint8_t sha256[32];
} ABI_PACKED;
ABI_SIZE(struct abi_hash, 50);

struct abi_hashes {
	struct abi_efi_guid guid;
	uint16_t len; /* without the padding */
	struct abi_hash cmdline, initrd, kernel;
	uint8_t padding[8]; /* LAUNCH_UPDATE_DATA takes multiples of 16 bytes */
} ABI_PACKED;
ABI_SIZE(struct abi_hashes, 0xb0);
ABI_AT(struct abi_hashes, 168, padding);

#endif
