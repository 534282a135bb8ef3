/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_show: prints in words what `vmm host` found out. Main thread.
 */
#include <inttypes.h>

#include "host_show.h"
#include "vmm/attest/report.h"
#include "vmm/attest/sev.h"
#include "vmm/call.h"

/* Writes the names of the bits that are set, or "none". */
#define WORDS_BYTES 300
static const char *bit_words(const struct config_bit *table, uint64_t bits, char text[static WORDS_BYTES])
{
	size_t used = 0;

	snprintf(text, WORDS_BYTES, "none");
	for (const struct config_bit *b = table; b->name && used < WORDS_BYTES; b++) {
		if (bits & b->bits)
			used += (size_t)snprintf(
			        text + used, WORDS_BYTES - used, "%s%s", used ? ", " : "", b->name);
	}
	return text;
}

static void print_asids(const struct facts_asids *asids)
{
	printf("%" PRIu64 " ASIDs", asids->limit);
	if (asids->used_known)
		printf(", %" PRIu64 " used", asids->used);
	if (asids->free_known)
		printf(", %" PRIu64 " free%s%s%s", asids->free, *asids->limiting ? " (limit of " : "",
		        asids->limiting, *asids->limiting ? ")" : "");
	if (asids->why)
		printf(", %s not known: %s", asids->used_known ? "free" : "used and free", asids->why);
	printf("\n");
}

static void print_generations(const struct facts *facts)
{
	for (size_t i = 0; i < CLI_HOST_GENERATIONS; i++) {
		const char *why = cli_host_why_not(facts, i);

		printf("%s: %s%s%s; ", cli_host_generations[i].name,
		        cli_host_offers(facts, i) ? "offered"
		        : facts->sev_eax & cli_host_generations[i].cpuid
		                ? "not offered, though the processor has it"
		                : "not offered",
		        why ? ": " : "", why ?: "");
		print_asids(&facts->asids[cli_host_generations[i].asids]);
	}
}

static void print_tcb(const struct facts *facts, const char *name, uint64_t tcb)
{
	enum product_tcb_layout layout = cli_host_tcb_layout(facts);

	printf("  %s TCB 0x%016" PRIx64 ":", name, tcb);
	for (enum attest_tcb_part part = 0; part < ATTEST_TCB_PARTS; part++) {
		int level = attest_tcb_get(tcb, layout, part);

		if (level >= 0)
			printf(" %s %d", attest_tcb_part_name(part), level);
	}
	printf("\n");
}

static void print_id(const struct cli_host_offer *offer)
{
	char digits[2 * sizeof(offer->id) + 1], url[ATTEST_URL_BYTES];

	if (!offer->id_known) {
		if (!offer->facts.device.kind) /* otherwise the reason has been printed already */
			printf("chip id: not known: %s\n", offer->id_reason.text);
		return;
	}
	hex_encode(offer->id, sizeof(offer->id), digits);
	printf("chip id: %s\n", digits);
	attest_cek_url(offer->id, url);
	printf("  CEK at  %s\n", url);
	cli_host_vcek_url(offer, url);
	if (*url)
		printf("  VCEK at %s\n", url);
	if (offer->simulated)
		printf("  but AMD's key server does not know simulated chips: vmm host --host sim "
		       "--certificates FILE --generation sev|snp writes the certificates that it would "
		       "have\n");
}

static void print_firmware(const struct facts *facts)
{
	if (facts->device.kind) {
		printf("firmware: cannot be asked: %s\n", facts->device.text);
		return;
	}
	if (facts->status.kind)
		printf("firmware, SEV: cannot be asked: %s\n", facts->status.text);
	else
		printf("firmware, SEV: API %u.%u build %u, %s, %s, %u guests\n", facts->api_major,
		        facts->api_minor, facts->build, cli_host_state_name(facts->state) ?: "unknown",
		        facts->owned ? "owned" : "self-owned", facts->guests);
	if (facts->snp_status.kind) {
		printf("firmware, SEV-SNP: cannot be asked: %s\n", facts->snp_status.text);
		return;
	}
	printf("firmware, SEV-SNP: ABI %u.%u build %u, %s, %s, %u guests\n", facts->snp.api_major,
	        facts->snp.api_minor, facts->snp.build_id, cli_host_state_name(facts->snp.state) ?: "unknown",
	        facts->snp.rmp_init & UAPI_SNP_STATUS_RMP_INITIALIZED ? "RMP initialised" : "no RMP",
	        facts->snp.guest_count);
	print_tcb(facts, "current", facts->snp.current_tcb_version);
	print_tcb(facts, "reported", facts->snp.reported_tcb_version);
}

static void print_masks(const struct facts *facts)
{
	char words[WORDS_BYTES];

	if (facts->policy_known)
		printf("SEV-SNP policy bits: 0x%" PRIx64 " (%s)\n", facts->policy_bits,
		        bit_words(config_snp_policy_bits, facts->policy_bits, words));
	else
		printf("SEV-SNP policy bits: not known, this kernel does not tell\n");
	if (facts->features_known)
		printf("VMSA features: 0x%" PRIx64 " (%s)\n", facts->vmsa_features,
		        bit_words(config_vmsa_feature_bits, facts->vmsa_features, words));
	else
		printf("VMSA features: not known, this kernel does not tell\n");
	printf("certificates for extended guest requests: %s\n", facts->certs_known && facts->req_certs
	                                                                 ? "this KVM asks for them"
	                                                                 : "this KVM cannot ask for them");
}

static void print_capabilities(const struct cli_host_offer *offer)
{
	for (size_t i = 0; call_capabilities[i].name; i++) {
		const struct call_capability_row *row = &call_capabilities[i];

		if (offer->values[i] > 1)
			printf("  %-33s %-6d %s\n", row->name, offer->values[i], row->use);
		else if (offer->usable || offer->values[i])
			printf("  %-33s %-6s %s\n", row->name, offer->values[i] ? "yes" : "no", row->use);
	}
}

void cli_host_print_words(const struct cli_host_offer *offer)
{
	const struct facts *facts = &offer->facts;

	printf("KVM: %s%s\n", offer->usable ? "usable, API version 12" : "not usable: ",
	        offer->usable ? "" : offer->reason.text);
	if (!offer->usable && facts->kvm.kind)
		return;
	print_capabilities(offer);
	printf("processor: %s, signature 0x%x, C-bit %u\n", product_get(facts->product)->name,
	        facts->cpu_signature, facts->c_bit);
	print_generations(facts);
	print_masks(facts);
	print_firmware(facts);
	print_id(offer);
}
