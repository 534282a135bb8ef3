/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_served: what a host would hand to its guests, as a certificate table and as one certificate of a
 * folder. What is found must lie in the input, and what is decoded must fit into its room.
 */
#include <stdlib.h>

#include "fuzz.h"
#include "vmm/attest/report.h"

static void check_inside(const struct attest_blob *part, const uint8_t *data, size_t size)
{
	const uint8_t *at = part->data;

	fuzz_assert(
	        !part->size || (at >= data && part->size <= size && at - data <= (long)(size - part->size)));
}

static void try_table(const uint8_t *data, size_t size)
{
	const struct attest_blob blob = {data, size, "input"};
	struct attest_table table;
	struct err err = {0};
	const char *lacks;

	if (attest_table_parse(&blob, &table, &err) < 0) {
		fuzz_assert(err.kind == ERR_USAGE && *err.text);
		return;
	}
	check_inside(&table.vcek, data, size);
	check_inside(&table.vlek, data, size);
	check_inside(&table.ask, data, size);
	check_inside(&table.ark, data, size);
	if (attest_table_check(&table, &lacks, &err) < 0)
		fuzz_assert(err.kind == ERR_USAGE && *err.text);
	else
		fuzz_assert((table.vcek.size || table.vlek.size) &&
		            (lacks == NULL) == (table.ask.size && table.ark.size));
}

static void try_certificate(const uint8_t *data, size_t size)
{
	const struct attest_blob blob = {data, size, "input"};
	uint8_t *der = malloc(size + 1);
	struct err err = {0};
	size_t der_size;

	fuzz_assert(der);
	if (attest_cert_decode(&blob, der, &der_size, &err) < 0)
		fuzz_assert(err.kind == ERR_USAGE && *err.text);
	else
		fuzz_assert(der_size <= size);
	free(der);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size) /* a file of certificates is never empty */
		try_certificate(data, size);
	try_table(data, size);
	return 0;
}
