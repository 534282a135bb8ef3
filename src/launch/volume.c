/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volume: looks into an EDK II image: firmware volumes, their files, and the volumes that the main one holds
 * compressed. The image may hold anything. Any thread.
 * Law: UEFI PI specification 1.7, volume 3, 2 and 3 (firmware volumes, files, sections).
 */
#include <dlfcn.h>
#include <lzma.h>
#include <pthread.h>
#include <string.h>

#include "vmm/abi/guid.h"
#include "vmm/abi/ovmf.h"
#include "vmm/base.h"
#include "volume.h"

/* A part of the image, or of what was decompressed; the latter may end early. */
struct span {
	const uint8_t *at;
	size_t size;
};

#define BLOCK_BYTES         4096 /* volumes of an image begin at one */
#define VOLUME_HEADER_BYTES 56
#define FILE_HEADER_BYTES   24
#define LARGE_HEADER_BYTES  32
#define FILE_IS_LARGE       0x01

enum file_type {
	FILE_PEI_CORE = 0x04,
	FILE_DXE_CORE = 0x05,
	FILE_PEIM = 0x06,
	FILE_VOLUME = 0x0b,
	FILE_ERASED = 0xff,
};
enum section_type { SECTION_GUIDED = 0x02, SECTION_VOLUME = 0x17 };

/* EFI_SYSTEM_NV_DATA_FV, the LZMA section (edk2 LzmaCustomDecompressLib), OvmfPkg/SmmAccess/SmmAccessPei.inf
 */
static const struct abi_efi_guid variables = ABI_EFI_GUID(0xfff12b8d, 0x7696, 0x4c8b, 0xa985, 0x2747075b4f50),
                                 lzma = ABI_EFI_GUID(0xee4e5898, 0x3914, 0x4259, 0x9d6e, 0xdc7bd79403cf),
                                 smm_access =
                                         ABI_EFI_GUID(0x6c0e75b4, 0xb0b9, 0x44d1, 0x8210, 0x3377d7b4e066);
/* OvmfPkg/AmdSev/BlobVerifierLibSevHashes knows the kernel's entry of the hash table by this one. */
static const struct abi_efi_guid kernel_hash = ABI_HASHES_KERNEL;

static bool guid_is(const uint8_t *at, const struct abi_efi_guid *guid)
{
	return memcmp(at, guid, sizeof(*guid)) == 0;
}

/* ---- the three layers ---- */

/* The volume at an offset of the image, false if there is none. */
static bool volume_at(const struct span *image, size_t offset, struct span *ret_volume)
{
	const uint8_t *at;
	uint64_t size;

	if (!range_fits(offset, VOLUME_HEADER_BYTES, image->size))
		return false;
	at = image->at + offset;
	if (memcmp(at + 40, "_FVH", 4) != 0)
		return false;
	size = load_le(at + 32, 8);
	if (size < VOLUME_HEADER_BYTES || size > image->size - offset)
		size = image->size - offset;
	*ret_volume = (struct span){at, size};
	return true;
}

/* Where a volume's first file begins: behind its header, or behind an extended one. */
static size_t first_file(const struct span *volume)
{
	size_t header = load_le(volume->at + 48, 2), extended = load_le(volume->at + 52, 2);

	if (!extended || !range_fits(extended, 20, volume->size))
		return header;
	return extended + load_le(volume->at + extended + 16, 4);
}

struct file {
	const uint8_t *guid;
	unsigned type;
	struct span body; /* cut where the volume ends */
};

/* The next file at *at of the volume, which is moved on; false: there are no more. */
static bool next_file(const struct span *volume, size_t *at, struct file *ret_file)
{
	size_t start = (*at + 7) & ~(size_t)7, header = FILE_HEADER_BYTES, left;
	const uint8_t *p;
	uint64_t size;

	if (start < *at || !range_fits(start, LARGE_HEADER_BYTES, volume->size))
		return false;
	p = volume->at + start;
	if (p[18] == FILE_ERASED)
		return false;
	left = volume->size - start;
	size = load_le(p + 20, 3);
	if (p[19] & FILE_IS_LARGE) {
		header = LARGE_HEADER_BYTES;
		size = load_le(p + 24, 8);
	}
	if (size < header)
		return false;
	if (size > left)
		size = left;
	*ret_file = (struct file){p, p[18], {p + header, size - header}};
	*at = start + size;
	return true;
}

struct section {
	unsigned type;
	size_t header; /* so many bytes lie before body */
	struct span body;
};

/* The next section at *at of a file's body, as next_file(). */
static bool next_section(const struct span *body, size_t *at, struct section *ret_section)
{
	size_t start = (*at + 3) & ~(size_t)3, header = 4, size;
	const uint8_t *p;

	if (start < *at || !range_fits(start, 8, body->size))
		return false;
	p = body->at + start;
	size = load_le(p, 3);
	if (size == 0xffffff) {
		header = 8;
		size = load_le(p + 4, 4);
	}
	if (size < header)
		return false;
	if (size > body->size - start)
		size = body->size - start;
	*ret_section = (struct section){p[3], header, {p + header, size - header}};
	*at = start + size;
	return true;
}

/* ---- the compressed volumes ---- */

static void look_at_file(const struct file *file, bool first, struct launch_volume *volume)
{
	if (file->type == FILE_PEIM && guid_is(file->guid, &smm_access))
		volume->needs_smm = true;
	if (file->type == FILE_DXE_CORE && first)
		volume->is_peiless = true;
}

/* PEI comes first where there is one, with the driver that reaches SMRAM where SMM is needed. */
static void look_at_volumes(const struct span *sections, struct launch_volume *volume)
{
	struct section section;
	bool first = true;

	for (size_t at = 0; next_section(sections, &at, &section);) {
		struct span inner;
		struct file file;

		if (section.type != SECTION_VOLUME || !volume_at(&section.body, 0, &inner))
			continue;
		for (size_t next = first_file(&inner); next_file(&inner, &next, &file);)
			look_at_file(&file, first, volume);
		first = false;
	}
}

/* ---- LZMA, loaded when first needed, since few starts need it ---- */

#define LIBRARY "liblzma.so.5"

static struct {
	pthread_once_t once;
	lzma_ret (*decoder)(lzma_stream *stream, uint64_t memory_limit);
	lzma_ret (*code)(lzma_stream *stream, lzma_action action);
	void (*end)(lzma_stream *stream);
	bool loaded;
} library = {.once = PTHREAD_ONCE_INIT};

static void load_library(void)
{
	void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	if (!handle)
		return;
	*(void **)&library.decoder = dlsym(handle, "lzma_alone_decoder");
	*(void **)&library.code = dlsym(handle, "lzma_code");
	*(void **)&library.end = dlsym(handle, "lzma_end");
	library.loaded = library.decoder && library.code && library.end;
}

#define PREFIX_BYTES      MIB(1)
#define WHOLE_MAX_BYTES   MIB(32)
#define DECODER_MAX_BYTES MIB(64)

/* Decompresses up to size bytes; returns how many there are. What is damaged further on counts up to there.
 */
static size_t decompress(const struct span *from, uint8_t *to, size_t size, bool *ret_whole)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	lzma_ret result;

	if (library.decoder(&stream, DECODER_MAX_BYTES) != LZMA_OK)
		return 0;
	stream.next_in = from->at;
	stream.avail_in = from->size;
	stream.next_out = to;
	stream.avail_out = size;
	do
		result = library.code(&stream, LZMA_RUN);
	while (result == LZMA_OK && stream.avail_out && stream.avail_in);
	library.end(&stream);
	*ret_whole = result == LZMA_STREAM_END;
	return size - stream.avail_out;
}

static void open_volumes(const struct span *compressed, bool whole, struct launch_volume *volume)
{
	size_t room = whole ? WHOLE_MAX_BYTES : PREFIX_BYTES;
	auto_free uint8_t *plain = malloc(room);
	struct span span = {plain, 0};

	pthread_once(&library.once, load_library);
	if (plain && library.loaded)
		span.size = decompress(compressed, plain, room, &volume->is_whole);
	if (!span.size)
		return;
	volume->is_open = true;
	look_at_volumes(&span, volume);
	volume->compares_hashes =
	        whole && memmem(span.at, span.size, &kernel_hash, sizeof(kernel_hash)) != NULL;
}

/* ---- the image ---- */

/* A file that holds volumes: in EDK II's images as one LZMA section. */
static void look_at_main(const struct span *body, bool whole, struct launch_volume *volume)
{
	struct section section;
	size_t data;

	for (size_t at = 0; next_section(body, &at, &section);) {
		const struct span *s = &section.body;

		if (section.type != SECTION_GUIDED || s->size < 20 || !guid_is(s->at, &lzma))
			continue;
		data = load_le(s->at + 16, 2);
		if (data < section.header || data - section.header > s->size || volume->is_edk2)
			continue;
		data -= section.header;
		volume->is_edk2 = true;
		open_volumes(&(struct span){s->at + data, s->size - data}, whole, volume);
	}
}

void launch_volume_look(const void *image, size_t image_bytes, bool whole, struct launch_volume *ret_volume)
{
	const struct span all = {image, image_bytes};
	struct launch_volume found = {0};
	struct span volume;

	for (size_t at = 0, size; at < image_bytes; at += size) {
		struct file file;

		size = BLOCK_BYTES;
		if (!volume_at(&all, at, &volume))
			continue;
		size = (volume.size + BLOCK_BYTES - 1) & ~(size_t)(BLOCK_BYTES - 1);
		if (at == 0 && guid_is(volume.at + 16, &variables))
			found.is_variables = true;
		for (size_t next = first_file(&volume); next_file(&volume, &next, &file);) {
			if (file.type == FILE_VOLUME)
				look_at_main(&file.body, whole, &found);
		}
	}
	*ret_volume = found;
}
