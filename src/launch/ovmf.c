/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ovmf: what a firmware image says about itself: the table that ends 32 bytes before the image's end and the
 * SEV metadata it leads to. The image may hold anything. Any thread; no state.
 * Law: edk2 OvmfPkg/ResetVector (Ia16/ResetVectorVtf0.asm, X64/OvmfSevMetadata.asm).
 */
#include <string.h>

#include "plan.h"

struct known {
	const char *name;
	struct abi_efi_guid guid;
	size_t offset; /* of the struct launch_ovmf_entry */
	unsigned values;
};

static const struct known known[] = {
        {"SEV-ES reset block", ABI_OVMF_RESET, offsetof(struct launch_ovmf, reset), 1},
        {"launch secret", ABI_OVMF_SECRET, offsetof(struct launch_ovmf, secret), 2},
        {"kernel hashes", ABI_OVMF_HASHES, offsetof(struct launch_ovmf, hashes), 2},
        {"SEV metadata", ABI_OVMF_METADATA, offsetof(struct launch_ovmf, metadata), 1},
};

static bool guid_is(const struct abi_efi_guid *a, const struct abi_efi_guid *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static int take_entry(struct launch_ovmf *ovmf, const struct abi_efi_guid *guid, const uint8_t *data,
        size_t data_bytes, struct err *err)
{
	for (const struct known *k = known; k < known + ARRAY_LEN(known); k++) {
		struct launch_ovmf_entry *entry = (void *)((uint8_t *)ovmf + k->offset);
		struct cursor c = cursor_over(data, data_bytes);

		if (!guid_is(guid, &k->guid))
			continue;
		if (entry->present)
			return err_set(err, ERR_USAGE, "its table has two entries \"%s\"", k->name);
		for (unsigned i = 0; i < k->values; i++)
			entry->value[i] = cursor_u32(&c);
		if (c.bad)
			return err_set(err, ERR_USAGE, "its table's entry \"%s\" has only %zu bytes", k->name,
			        data_bytes);
		entry->present = true;
	}
	return 0;
}

/* table: the entries below the footer. Each ends with its length and GUID, so they are read from the end. */
static int walk(struct launch_ovmf *ovmf, const uint8_t *table, size_t left, struct err *err)
{
	struct abi_ovmf_entry entry;

	while (left >= sizeof(entry)) {
		memcpy(&entry, table + left - sizeof(entry), sizeof(entry));
		if (entry.len < sizeof(entry) || entry.len > left)
			return err_set(err, ERR_USAGE,
			        "its table has an entry of %u bytes where %zu are left: the image is damaged",
			        entry.len, left);
		if (take_entry(ovmf, &entry.guid, table + left - entry.len, entry.len - sizeof(entry), err) <
		        0)
			return -1;
		left -= entry.len;
	}
	return 0;
}

static int read_metadata(struct launch_ovmf *ovmf, const uint8_t *image, size_t image_bytes, struct err *err)
{
	size_t from_end = ovmf->metadata.value[0];
	struct abi_ovmf_metadata header;
	struct cursor c;

	if (from_end > image_bytes)
		return err_set(err, ERR_USAGE, "its SEV metadata lies %zu bytes before the end of %zu bytes",
		        from_end, image_bytes);
	c = cursor_over(image + image_bytes - from_end, from_end);
	cursor_copy(&c, &header, sizeof(header));
	if (memcmp(header.signature, ABI_OVMF_METADATA_SIGNATURE, sizeof(header.signature)) != 0)
		return err_set(err, ERR_USAGE, "its SEV metadata does not begin with \"ASEV\"");
	if (header.version != ABI_OVMF_METADATA_VERSION)
		return err_set(err, ERR_USAGE, "its SEV metadata has version %u, vmm knows version %u",
		        header.version, ABI_OVMF_METADATA_VERSION);
	if (header.len < sizeof(header) ||
	        header.count > (header.len - sizeof(header)) / sizeof(struct abi_ovmf_section))
		return err_set(err, ERR_USAGE, "its SEV metadata says %u sections in %u bytes", header.count,
		        header.len);
	if (header.len > from_end)
		return err_set(err, ERR_USAGE, "its SEV metadata runs past the end of the image");
	for (uint32_t i = 0; i < header.count; i++) {
		struct abi_ovmf_section section;

		cursor_copy(&c, &section, sizeof(section));
		if (section.size == 0)
			continue;
		if (ovmf->section_count == LAUNCH_SECTIONS_MAX)
			return err_set(err, ERR_USAGE, "its SEV metadata has more than %u sections",
			        LAUNCH_SECTIONS_MAX);
		ovmf->sections[ovmf->section_count++] = section;
	}
	return 0;
}

/* Where the footer's entry lies, false if the image has none. */
static bool find_footer(
        const uint8_t *image, size_t image_bytes, size_t *ret_at, struct abi_ovmf_entry *ret_footer)
{
	const struct abi_efi_guid guid = ABI_OVMF_FOOTER;
	size_t at;

	if (image_bytes < ABI_OVMF_FOOTER_GAP + sizeof(*ret_footer))
		return false;
	at = image_bytes - ABI_OVMF_FOOTER_GAP - sizeof(*ret_footer);
	memcpy(ret_footer, image + at, sizeof(*ret_footer));
	*ret_at = at;
	return guid_is(&ret_footer->guid, &guid);
}

int launch_ovmf_parse(const void *image, size_t image_bytes, struct launch_ovmf *ret_ovmf, struct err *err)
{
	const uint8_t *bytes = image;
	struct launch_ovmf ovmf = {0};
	struct abi_ovmf_entry footer = {0};
	size_t end = 0, below;

	ovmf.has_table = find_footer(bytes, image_bytes, &end, &footer);
	if (!ovmf.has_table) {
		*ret_ovmf = ovmf;
		return 0;
	}
	if (footer.len < sizeof(footer) || footer.len - sizeof(footer) > end)
		return err_set(err, ERR_USAGE, "its table says that it has %u bytes: the image is damaged",
		        footer.len);
	below = footer.len - sizeof(footer);
	if (walk(&ovmf, bytes + end - below, below, err) < 0)
		return -1;
	if (ovmf.metadata.present && read_metadata(&ovmf, bytes, image_bytes, err) < 0)
		return -1;
	*ret_ovmf = ovmf;
	return 0;
}
