/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hashes: the table of kernel hashes by which a small measurement covers a large kernel. Any thread; no
 * state. Law: edk2 OvmfPkg/AmdSev/BlobVerifierLibSevHashes, which refuses a blob whose hash is another.
 */
#include <string.h>

#include "plan.h"

static void fill_hash(struct abi_hash *hash, struct abi_efi_guid guid, const void *data, size_t size_bytes)
{
	hash->guid = guid;
	hash->len = sizeof(*hash);
	hash_sha256(data, size_bytes, hash->sha256);
}

void launch_hashes_fill(const void *kernel, size_t kernel_bytes, const void *initrd, size_t initrd_bytes,
        const char *cmdline, struct abi_hashes *ret_hashes)
{
	*ret_hashes = (struct abi_hashes){
	        .guid = ABI_HASHES_TABLE,
	        .len = offsetof(struct abi_hashes, padding),
	};
	fill_hash(&ret_hashes->cmdline, ABI_HASHES_CMDLINE, cmdline, strlen(cmdline) + 1);
	fill_hash(&ret_hashes->initrd, ABI_HASHES_INITRD, initrd ?: "", initrd_bytes);
	fill_hash(&ret_hashes->kernel, ABI_HASHES_KERNEL, kernel, kernel_bytes);
}
