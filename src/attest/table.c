/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table: reads the certificate table of an extended guest request. Any thread. GHCB, "SNP Extended Guest
 * Request": entries of 24 bytes up to a zero GUID, then the certificates.
 */
#include <string.h>

#include "bytes.h"
#include "table.h"
#include "vmm/abi/guid.h"
#include "vmm/abi/report.h"

#define ENTRIES_MAX 32

static const struct {
	struct abi_text_guid guid;
	const char *name;
} known[ATTEST_TABLE_CERTS] = {
        [ATTEST_TABLE_VCEK] = {ABI_CERT_VCEK_GUID, "the table's VCEK"},
        [ATTEST_TABLE_VLEK] = {ABI_CERT_VLEK_GUID, "the table's VLEK"},
        [ATTEST_TABLE_ASK] = {ABI_CERT_ASK_GUID, "the table's ASK"},
        [ATTEST_TABLE_ARK] = {ABI_CERT_ARK_GUID, "the table's ARK"},
};

/*
 * Reads entries up to the terminator. Returns how many there are, or -1 with err. *ret_end becomes the offset
 * at which the table's head ends.
 */
static int read_entries(const struct attest_blob *blob, struct abi_cert_table_entry *entries, size_t *ret_end,
        struct err *err)
{
	struct cursor c = cursor_over(blob->data, blob->size);

	for (int n = 0; n < ENTRIES_MAX; n++) {
		cursor_copy(&c, &entries[n], sizeof(entries[n]));
		if (c.bad)
			return err_set(err, ERR_USAGE, "%s: ends before its zero entry", blob->name);
		if (bytes_are_zero(&entries[n], sizeof(entries[n]))) {
			*ret_end = blob->size - c.left;
			return n;
		}
		if (!range_fits(entries[n].offset, entries[n].length, blob->size))
			return err_set(err, ERR_USAGE, "%s: entry %d points outside of its %zu bytes",
			        blob->name, n, blob->size);
	}
	return err_set(err, ERR_USAGE, "%s: has more than %d entries, the limit", blob->name, ENTRIES_MAX);
}

/*
 * Checks that every byte after the head belongs to one entry or is zero, so that no hidden data lies in the
 * table.
 */
static int check_cover(const struct attest_blob *blob, const struct abi_cert_table_entry *entries, int count,
        size_t head, struct err *err)
{
	const uint8_t *bytes = blob->data;
	bool done[ENTRIES_MAX] = {false};
	size_t at = head;

	for (int i = 0; i < count; i++) {
		int next = -1;

		for (int n = 0; n < count; n++) {
			if (!done[n] && (next < 0 || entries[n].offset < entries[next].offset))
				next = n;
		}
		done[next] = true;
		if (entries[next].offset < at)
			return err_set(err, ERR_USAGE, "%s: entry %d overlaps what lies before it",
			        blob->name, next);
		if (!bytes_are_zero(bytes + at, entries[next].offset - at))
			return err_set(err, ERR_USAGE,
			        "%s: bytes before entry %d belong to none and are not zero", blob->name,
			        next);
		at = (size_t)entries[next].offset + entries[next].length;
	}
	if (!bytes_are_zero(bytes + at, blob->size - at))
		return err_set(
		        err, ERR_USAGE, "%s: bytes after the last certificate are not zero", blob->name);
	return 0;
}

static int name_entry(const struct attest_blob *blob, const struct abi_cert_table_entry *entry,
        struct attest_table_certs *table, struct err *err)
{
	for (int i = 0; i < ATTEST_TABLE_CERTS; i++) {
		if (memcmp(&entry->guid, &known[i].guid, sizeof(entry->guid)) != 0)
			continue;
		if (table->certs[i].data || entry->length == 0)
			return err_set(err, ERR_USAGE, "%s: %s is %s", blob->name, known[i].name,
			        entry->length ? "there twice" : "empty");
		table->certs[i] = (struct attest_blob){
		        (const uint8_t *)blob->data + entry->offset, entry->length, known[i].name};
		return 0;
	}
	table->unknown++;
	return 0;
}

int attest_table_read(const struct attest_blob *blob, struct attest_table_certs *ret_table, struct err *err)
{
	struct abi_cert_table_entry entries[ENTRIES_MAX];
	struct attest_table_certs table = {0};
	size_t head;
	int count = read_entries(blob, entries, &head, err);

	if (count < 0 || check_cover(blob, entries, count, head, err) < 0)
		return -1;
	for (int n = 0; n < count; n++) {
		if (name_entry(blob, &entries[n], &table, err) < 0)
			return -1;
	}
	*ret_table = table;
	return 0;
}
