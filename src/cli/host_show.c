/*
 * host_show: prints what `vmm host` found out, in words or as JSON. Main thread.
 */
#include <inttypes.h>
#include <string.h>

#include "host_show.h"
#include "vmm/call.h"
#include "vmm/json.h"

/* ---- what both ways of showing it need ---- */

static const struct {
	const char *name, *key;
	uint32_t cpuid; /* CPUID 8000001F EAX */
	unsigned vm_type;
	enum facts_asid_kind asids;
} generations[] = {
        {"SEV", "sev", 1u << 1, UAPI_VM_SEV, FACTS_ASIDS_SEV},
        {"SEV-ES", "sev-es", 1u << 3, UAPI_VM_SEV_ES, FACTS_ASIDS_ES},
        {"SEV-SNP", "sev-snp", 1u << 4, UAPI_VM_SNP, FACTS_ASIDS_SNP},
};

static bool is_offered(const struct facts *facts, size_t i)
{
	if (!facts->has_init2 && generations[i].vm_type != UAPI_VM_SNP)
		return facts->sev_eax & generations[i].cpuid;
	return facts->vm_types >> generations[i].vm_type & 1;
}

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

#define OLD_FIRMWARE "Linux initialises SEV-SNP with firmware of API version " FACTS_SNP_API " or newer only"

/*
 * Returns why KVM does not offer what the processor has; NULL if KVM offers it, or if the reason cannot be
 * seen.
 */
static const char *why_not(const struct facts *facts, size_t i)
{
	bool snp = generations[i].vm_type == UAPI_VM_SNP;

	return snp && facts->sev_eax & generations[i].cpuid && facts_firmware_is_too_old(facts) ? OLD_FIRMWARE
	                                                                                        : NULL;
}

static enum attest_tcb_layout tcb_layout(const struct facts *facts)
{
	return facts->product >= ATTEST_TURIN ? ATTEST_TCB_TURIN : ATTEST_TCB_MILAN;
}

static const char *const platform_states[] = {"UNINIT", "INIT", "WORKING"};

/* Returns NULL for a state that the specification does not name. */
static const char *state_name(uint8_t state)
{
	return state < ARRAY_LEN(platform_states) ? platform_states[state] : NULL;
}

/* ---- words ---- */

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
	for (size_t i = 0; i < ARRAY_LEN(generations); i++) {
		const char *why = why_not(facts, i);

		printf("%s: %s%s%s; ", generations[i].name,
		        is_offered(facts, i)                    ? "offered"
		        : facts->sev_eax & generations[i].cpuid ? "not offered, though the processor has it"
		                                                : "not offered",
		        why ? ": " : "", why ?: "");
		print_asids(&facts->asids[generations[i].asids]);
	}
}

static void print_tcb(const struct facts *facts, const char *name, uint64_t tcb)
{
	enum attest_tcb_layout layout = tcb_layout(facts);

	printf("  %s TCB 0x%016" PRIx64 ":", name, tcb);
	for (enum attest_tcb_part part = 0; part < ATTEST_TCB_PARTS; part++) {
		int level = attest_tcb_get(tcb, layout, part);

		if (level >= 0)
			printf(" %s %d", attest_tcb_part_name(part), level);
	}
	printf("\n");
}

/*
 * Writes the VCEK's address, which depends on the product and the reported TCB. It is "" if the chip has no
 * SEV-SNP.
 */
static void vcek_url(const struct cli_host_offer *offer, char ret_url[static ATTEST_URL_BYTES])
{
	const struct facts *facts = &offer->facts;
	struct abi_snp_report report = {
	        .version = 3,
	        .cpuid_family =
	                (uint8_t)((facts->cpu_signature >> 8 & 15) + (facts->cpu_signature >> 20 & 0xff)),
	        .cpuid_model =
	                (uint8_t)((facts->cpu_signature >> 4 & 15) | (facts->cpu_signature >> 12 & 0xf0)),
	        .key_info = ABI_SNP_SIGNER_VCEK << 2,
	        .reported_tcb = facts->snp.reported_tcb_version,
	};

	struct attest_vcek_urls urls;

	memcpy(report.chip_id, offer->id, sizeof(report.chip_id));
	attest_report_vcek_urls(&report, &urls);
	snprintf(ret_url, ATTEST_URL_BYTES, "%s",
	        facts->snp_status.kind || urls.count == 0 ? "" : urls.url[0]);
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
	vcek_url(offer, url);
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
		        facts->api_minor, facts->build, state_name(facts->state) ?: "unknown",
		        facts->owned ? "owned" : "self-owned", facts->guests);
	if (facts->snp_status.kind) {
		printf("firmware, SEV-SNP: cannot be asked: %s\n", facts->snp_status.text);
		return;
	}
	printf("firmware, SEV-SNP: ABI %u.%u build %u, %s, %s, %u guests\n", facts->snp.api_major,
	        facts->snp.api_minor, facts->snp.build_id, state_name(facts->snp.state) ?: "unknown",
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
	printf("processor: %s, signature 0x%x, C-bit %u\n", attest_product_name(facts->product),
	        facts->cpu_signature, facts->c_bit);
	print_generations(facts);
	print_masks(facts);
	print_firmware(facts);
	print_id(offer);
}

/* ---- JSON ---- */

static json_t *number(bool known, uint64_t value)
{
	return known ? json_integer((json_int_t)value) : json_null();
}

static json_t *bits(bool known, uint64_t mask, const struct config_bit *table)
{
	return known ? json_doc_bits(mask, table) : json_null();
}

static json_t *asids_json(const struct facts_asids *asids)
{
	return json_pack("{s:I, s:o, s:o, s:o, s:o}", "limit", (json_int_t)asids->limit, "used",
	        number(asids->used_known, asids->used), "free", number(asids->free_known, asids->free),
	        "limited-by", json_doc_text(asids->limiting), "unknown-because", json_doc_text(asids->why));
}

static json_t *generations_json(const struct facts *facts)
{
	json_t *all = json_object();

	for (size_t i = 0; i < ARRAY_LEN(generations); i++)
		json_doc_set(&all, generations[i].key,
		        json_pack("{s:b, s:b, s:s?, s:o}", "offered", is_offered(facts, i), "processor",
		                (facts->sev_eax & generations[i].cpuid) != 0, "reason", why_not(facts, i),
		                "asids", asids_json(&facts->asids[generations[i].asids])));
	return all;
}

static json_t *sev_json(const struct facts *facts)
{
	if (facts->status.kind)
		return json_pack("{s:o, s:n, s:n, s:n, s:n, s:n}", "reason",
		        json_doc_text(facts->status.text), "api", "build", "state", "owned", "guests");
	return json_pack("{s:n, s:o, s:i, s:s?, s:b, s:i}", "reason", "api",
	        json_sprintf("%u.%u", facts->api_major, facts->api_minor), "build", facts->build, "state",
	        state_name(facts->state), "owned", facts->owned, "guests", (int)facts->guests);
}

static json_t *snp_json(const struct facts *facts)
{
	const struct uapi_sev_snp_status *snp = &facts->snp;
	enum attest_tcb_layout layout = tcb_layout(facts);

	if (facts->snp_status.kind)
		return json_pack("{s:o, s:n, s:n, s:n, s:n, s:n, s:n, s:n}", "reason",
		        json_doc_text(facts->snp_status.text), "abi", "build", "state", "rmp-initialised",
		        "guests", "current-tcb", "reported-tcb");
	return json_pack("{s:n, s:o, s:i, s:s?, s:b, s:i, s:o, s:o}", "reason", "abi",
	        json_sprintf("%u.%u", snp->api_major, snp->api_minor), "build", (int)snp->build_id, "state",
	        state_name(snp->state), "rmp-initialised",
	        (snp->rmp_init & UAPI_SNP_STATUS_RMP_INITIALIZED) != 0, "guests", (int)snp->guest_count,
	        "current-tcb", json_doc_tcb(snp->current_tcb_version, layout), "reported-tcb",
	        json_doc_tcb(snp->reported_tcb_version, layout));
}

/* The value is null if there is no KVM to ask. */
static json_t *capabilities_json(const struct cli_host_offer *offer)
{
	json_t *all;

	if (!offer->opened)
		return json_null();
	all = json_object();
	for (size_t i = 0; call_capabilities[i].name; i++)
		json_doc_set(&all, call_capabilities[i].name, json_integer(offer->values[i]));
	return all;
}

static json_t *kvm_json(const struct cli_host_offer *offer)
{
	return json_pack("{s:b, s:o, s:o, s:o}", "usable", offer->usable, "reason",
	        json_doc_text(offer->usable ? NULL : offer->reason.text), "version",
	        number(offer->opened, KVM_API_VERSION), "capabilities", capabilities_json(offer));
}

static json_t *processor_json(const struct facts *facts)
{
	bool known = facts->product != ATTEST_PRODUCT_UNKNOWN;

	return json_pack("{s:s?, s:o, s:i}", "product", known ? attest_product_name(facts->product) : NULL,
	        "signature", json_doc_mask(facts->cpu_signature), "c-bit", (int)facts->c_bit);
}

static json_t *chip_json(const struct cli_host_offer *offer)
{
	char cek[ATTEST_URL_BYTES], vcek[ATTEST_URL_BYTES];

	if (!offer->id_known)
		return json_pack("{s:o, s:n, s:n, s:n}", "reason", json_doc_text(offer->id_reason.text), "id",
		        "cek-url", "vcek-url");
	attest_cek_url(offer->id, cek);
	vcek_url(offer, vcek);
	return json_pack("{s:n, s:o, s:s, s:s?}", "reason", "id",
	        json_doc_bytes(offer->id, sizeof(offer->id)), "cek-url", cek, "vcek-url",
	        *vcek ? vcek : NULL);
}

int cli_host_print_json(const struct cli_host_offer *offer, struct err *err)
{
	const struct facts *facts = &offer->facts;
	auto_json json_t *root = json_pack("{s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:{s:o, s:o}, s:o}",
	        "simulated", offer->simulated, "kvm", kvm_json(offer), "processor", processor_json(facts),
	        "generations", generations_json(facts), "vm-types", json_doc_mask(facts->vm_types),
	        "policy-bits", bits(facts->policy_known, facts->policy_bits, config_snp_policy_bits),
	        "vmsa-features", bits(facts->features_known, facts->vmsa_features, config_vmsa_feature_bits),
	        "asks-for-certificates", facts->certs_known && facts->req_certs, "firmware", "sev",
	        sev_json(facts), "sev-snp", snp_json(facts), "chip", chip_json(offer));

	return json_doc_print(root, err);
}
