/*
 * kds: where AMD's key server has the certificate for a report. Nothing is fetched. Any thread.
 * AMD 57230, "VCEK certificate and KDS interface".
 */
#include "vmm/attest.h"

#include "bytes.h"

/* In the order in which the key server's pages show them. */
static const char *const parameters[ATTEST_TCB_PARTS] = {
        [ATTEST_TCB_FMC] = "fmcSPL",
        [ATTEST_TCB_BOOTLOADER] = "blSPL",
        [ATTEST_TCB_TEE] = "teeSPL",
        [ATTEST_TCB_SNP] = "snpSPL",
        [ATTEST_TCB_MICROCODE] = "ucodeSPL",
};

static void write_url(
        const struct abi_snp_report *report, enum attest_product product, char url[static ATTEST_URL_BYTES])
{
	enum attest_tcb_layout layout = attest_report_tcb_layout(report);
	char id[2 * sizeof(report->chip_id) + 1], separator = '?';
	size_t used;

	hex_encode(report->chip_id, layout == ATTEST_TCB_TURIN ? 8 : sizeof(report->chip_id), id);
	used = (size_t)snprintf(url, ATTEST_URL_BYTES, "https://kdsintf.amd.com/vcek/v1/%s/%s",
	        attest_product_name(product), id);
	for (int part = 0; part < ATTEST_TCB_PARTS; part++) {
		int level = attest_tcb_get(report->reported_tcb, layout, part);

		if (level < 0 || used >= ATTEST_URL_BYTES)
			continue;
		used += (size_t)snprintf(
		        url + used, ATTEST_URL_BYTES - used, "%c%s=%02d", separator, parameters[part], level);
		separator = '&';
	}
}

void attest_report_vcek_urls(const struct abi_snp_report *report, struct attest_vcek_urls *ret_urls)
{
	enum attest_product product = attest_report_product(report);

	*ret_urls = (struct attest_vcek_urls){0};
	if (ABI_SNP_KEY_SIGNER(report->key_info) != ABI_SNP_SIGNER_VCEK ||
	        bytes_are_zero(report->chip_id, sizeof(report->chip_id)))
		return;
	if (product == ATTEST_PRODUCT_UNKNOWN && report->version >= 3)
		return;
	if (product == ATTEST_PRODUCT_UNKNOWN && attest_report_tcb_layout(report) == ATTEST_TCB_TURIN)
		product = ATTEST_TURIN; /* its chip ids are the only short ones */
	if (product != ATTEST_PRODUCT_UNKNOWN) {
		write_url(report, product, ret_urls->url[ret_urls->count++]);
		return;
	}
	write_url(report, ATTEST_MILAN, ret_urls->url[ret_urls->count++]);
	write_url(report, ATTEST_GENOA, ret_urls->url[ret_urls->count++]);
}

void attest_cek_url(const uint8_t id[static 64], char ret_url[static ATTEST_URL_BYTES])
{
	char digits[2 * 64 + 1];

	hex_encode(id, 64, digits);
	snprintf(ret_url, ATTEST_URL_BYTES, "https://kdsintf.amd.com/cek/id/%s", digits);
}
