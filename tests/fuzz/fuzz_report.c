/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_report: an attestation report, bare, in a response, in a raw quote or of Azure, from hostile bytes. An
 * accepted report must lie in the input unchanged, and its names and levels must be known ones.
 */
#include <string.h>

#include "fuzz.h"
#include "vmm/attest.h"
#include "vmm/attest/report.h"

static void check_tcb(uint64_t tcb, enum product_tcb_layout layout)
{
	for (int part = 0; part < ATTEST_TCB_PARTS; part++) {
		int level = attest_tcb_get(tcb, layout, part);

		fuzz_assert(level >= -1 && level <= 255);
		fuzz_assert(level >= 0 || part == ATTEST_TCB_FMC);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct abi_snp_report report;
	struct attest_blob table;
	struct err err = {0};

	if (attest_report_parse(data, size, &report, &table, &err) < 0) {
		fuzz_assert(err.kind == ERR_USAGE && *err.text);
		return 0;
	}
	fuzz_assert(memcmp(&report, data, sizeof(report)) == 0 ||
	            (size >= 0x20 + sizeof(report) && memcmp(&report, data + 0x20, sizeof(report)) == 0));
	fuzz_assert(!table.size || ((const uint8_t *)table.data >= data + sizeof(report) &&
	                                   (const uint8_t *)table.data + table.size == data + size));
	fuzz_assert(
	        report.version >= ATTEST_REPORT_VERSION_MIN && report.version <= ATTEST_REPORT_VERSION_MAX);
	fuzz_assert(*product_get(attest_report_product(&report))->name);
	fuzz_assert(*attest_signer_name(report.key_info));
	check_tcb(report.reported_tcb, attest_report_tcb_layout(&report));
	return 0;
}
