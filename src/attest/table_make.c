/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_make: writes the certificate table of an extended guest request. Any thread. GHCB, "SNP Extended
 * Guest Request": entries of 24 bytes up to a zero GUID, then the certificates.
 */
#include <string.h>

#include "vmm/attest.h"
#include "vmm/attest/report.h"

int attest_table_make(const struct attest_table *from, uint8_t **ret_data, size_t *ret_size, struct err *err)
{
	const struct {
		struct abi_text_guid guid;
		const struct attest_blob *cert;
	} rows[] = {
	        {ABI_CERT_VCEK_GUID, &from->vcek},
	        {ABI_CERT_VLEK_GUID, &from->vlek},
	        {ABI_CERT_ASK_GUID, &from->ask},
	        {ABI_CERT_ARK_GUID, &from->ark},
	};
	size_t count = 0, size = 0, at;
	uint8_t *data, *entry;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		count += rows[i].cert->size != 0;
		size += rows[i].cert->size;
	}
	at = (count + 1) * sizeof(struct abi_cert_table_entry);
	if (size > ATTEST_FILE_MAX_BYTES - at)
		return err_set(err, ERR_USAGE, "certificates of %zu bytes are too large for a table", size);
	entry = data = calloc(1, at + size);
	if (!data)
		return err_set(err, ERR_FAILED, "no memory for a certificate table");
	*ret_size = at + size;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct abi_cert_table_entry head = {
		        rows[i].guid, (uint32_t)at, (uint32_t)rows[i].cert->size};

		if (rows[i].cert->size == 0)
			continue;
		memcpy(entry, &head, sizeof(head));
		memcpy(data + at, rows[i].cert->data, rows[i].cert->size);
		entry += sizeof(head);
		at += rows[i].cert->size;
	}
	*ret_data = data;
	return 0;
}
