/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kds: makes the URL of a report's certificate on AMD's key server. Nothing is fetched. Any thread. AMD
 * 57230, "VCEK certificate and KDS interface".
 */
#include "vmm/attest.h"

#include "bytes.h"
#include "vmm/attest/report.h"
#include "vmm/attest/sev.h"

/* The URL's parameters, in the order in which the key server's pages show them. */
static const char *const parameters[ATTEST_TCB_PARTS] = {
        [ATTEST_TCB_FMC] = "fmcSPL",
        [ATTEST_TCB_BOOTLOADER] = "blSPL",
        [ATTEST_TCB_TEE] = "teeSPL",
        [ATTEST_TCB_SNP] = "snpSPL",
        [ATTEST_TCB_MICROCODE] = "ucodeSPL",
};

static void write_url(
        const struct abi_snp_report *report, enum product_id product, char url[static ATTEST_URL_BYTES])
{
	enum product_tcb_layout layout = attest_report_tcb_layout(report);
	char id[2 * sizeof(report->chip_id) + 1], separator = '?';
	size_t used;

	hex_encode(report->chip_id, product_chip_id_bytes(layout), id);
	used = (size_t)snprintf(url, ATTEST_URL_BYTES, "https://kdsintf.amd.com/vcek/v1/%s/%s",
	        product_get(product)->name, id);
	for (int part = 0; part < ATTEST_TCB_PARTS; part++) {
		int level = attest_tcb_get(report->reported_tcb, layout, part);

		if (level < 0 || used >= ATTEST_URL_BYTES)
			continue;
		used += (size_t)snprintf(
		        url + used, ATTEST_URL_BYTES - used, "%c%s=%02d", separator, parameters[part], level);
		separator = '&';
	}
}

/* A report of version 2 names no product; of those that made such reports, its layout leaves one or two. */
static bool may_be_of(const struct abi_snp_report *report, enum product_id id)
{
	const struct product *product = product_get(id);

	return product->silent_reports && product->tcb_layout == attest_report_tcb_layout(report);
}

void attest_report_vcek_urls(const struct abi_snp_report *report, struct attest_vcek_urls *ret_urls)
{
	enum product_id product = attest_report_product(report);

	*ret_urls = (struct attest_vcek_urls){0};
	if (ABI_SNP_KEY_SIGNER(report->key_info) != ABI_SNP_SIGNER_VCEK ||
	        bytes_are_zero(report->chip_id, sizeof(report->chip_id)))
		return;
	if (product == PRODUCT_UNKNOWN && report->version >= 3)
		return;
	for (int id = PRODUCT_UNKNOWN + 1; id < PRODUCT_IDS && ret_urls->count < ARRAY_LEN(ret_urls->url);
	        id++) {
		if (product == PRODUCT_UNKNOWN ? may_be_of(report, (enum product_id)id) : (int)product == id)
			write_url(report, (enum product_id)id, ret_urls->url[ret_urls->count++]);
	}
}

void attest_cek_url(const uint8_t id[static 64], char ret_url[static ATTEST_URL_BYTES])
{
	char digits[2 * 64 + 1];

	hex_encode(id, 64, digits);
	snprintf(ret_url, ATTEST_URL_BYTES, "https://kdsintf.amd.com/cek/id/%s", digits);
}
