/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_offer: what words and JSON about a host have in common. Main thread.
 */
#include <string.h>

#include "host_show.h"
#include "vmm/attest/report.h"

const struct cli_host_generation cli_host_generations[] = {
        {"SEV", "sev", 1u << 1, UAPI_VM_SEV, PRODUCT_ASID_SEV},
        {"SEV-ES", "sev-es", 1u << 3, UAPI_VM_SEV_ES, PRODUCT_ASID_ES},
        {"SEV-SNP", "sev-snp", 1u << 4, UAPI_VM_SNP, PRODUCT_ASID_SNP},
};

bool cli_host_offers(const struct facts *facts, size_t i)
{
	if (!facts->has_init2 && cli_host_generations[i].vm_type != UAPI_VM_SNP)
		return facts->sev_eax & cli_host_generations[i].cpuid;
	return facts->vm_types >> cli_host_generations[i].vm_type & 1;
}

#define OLD_FIRMWARE "Linux initialises SEV-SNP with firmware of API version " FACTS_SNP_API " or newer only"

const char *cli_host_why_not(const struct facts *facts, size_t i)
{
	bool snp = cli_host_generations[i].vm_type == UAPI_VM_SNP;

	return snp && facts->sev_eax & cli_host_generations[i].cpuid && facts_firmware_is_too_old(facts)
	               ? OLD_FIRMWARE
	               : NULL;
}

enum product_tcb_layout cli_host_tcb_layout(const struct facts *facts)
{
	return product_get(facts->product)->tcb_layout;
}

static const char *const platform_states[] = {"UNINIT", "INIT", "WORKING"};

const char *cli_host_state_name(uint8_t state)
{
	return state < ARRAY_LEN(platform_states) ? platform_states[state] : NULL;
}

void cli_host_vcek_url(const struct cli_host_offer *offer, char ret_url[static ATTEST_URL_BYTES])
{
	const struct facts *facts = &offer->facts;
	struct abi_snp_report report = {
	        .version = 3,
	        .cpuid_family = (uint8_t)product_family(facts->cpu_signature),
	        .cpuid_model = (uint8_t)product_model(facts->cpu_signature),
	        .key_info = ABI_SNP_SIGNER_VCEK << 2,
	        .reported_tcb = facts->snp.reported_tcb_version,
	};
	struct attest_vcek_urls urls;

	memcpy(report.chip_id, offer->id, sizeof(report.chip_id));
	attest_report_vcek_urls(&report, &urls);
	snprintf(ret_url, ATTEST_URL_BYTES, "%s",
	        facts->snp_status.kind || urls.count == 0 ? "" : urls.url[0]);
}
