/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_json: prints as JSON what `vmm host` found out. Main thread.
 */
#include "host_show.h"
#include "vmm/attest/sev.h"
#include "vmm/call.h"
#include "vmm/json.h"

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
	return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o}", "limit", (json_int_t)asids->limit, "used",
	        number(asids->used_known, asids->used), "free", number(asids->free_known, asids->free),
	        "cgroup-limit", number(asids->group_limit != UINT64_MAX, asids->group_limit), "limited-by",
	        json_doc_text(asids->limiting), "unknown-because", json_doc_text(asids->why));
}

static json_t *generations_json(const struct facts *facts)
{
	json_t *all = json_object();

	for (size_t i = 0; i < CLI_HOST_GENERATIONS; i++)
		json_doc_set(&all, cli_host_generations[i].key,
		        json_pack("{s:b, s:b, s:s?, s:o}", "offered", cli_host_offers(facts, i), "processor",
		                (facts->sev_eax & cli_host_generations[i].cpuid) != 0, "reason",
		                cli_host_why_not(facts, i), "asids",
		                asids_json(&facts->asids[cli_host_generations[i].asids])));
	return all;
}

static json_t *sev_json(const struct facts *facts)
{
	if (facts->status.kind)
		return json_pack("{s:o, s:n, s:n, s:n, s:n, s:n}", "reason",
		        json_doc_text(facts->status.text), "api", "build", "state", "owned", "guests");
	return json_pack("{s:n, s:o, s:i, s:s?, s:b, s:i}", "reason", "api",
	        json_sprintf("%u.%u", facts->api_major, facts->api_minor), "build", facts->build, "state",
	        cli_host_state_name(facts->state), "owned", facts->owned, "guests", (int)facts->guests);
}

static json_t *snp_json(const struct facts *facts)
{
	const struct uapi_sev_snp_status *snp = &facts->snp;
	enum product_tcb_layout layout = cli_host_tcb_layout(facts);

	if (facts->snp_status.kind)
		return json_pack("{s:o, s:n, s:n, s:n, s:n, s:n, s:n, s:n}", "reason",
		        json_doc_text(facts->snp_status.text), "abi", "build", "state", "rmp-initialised",
		        "guests", "current-tcb", "reported-tcb");
	return json_pack("{s:n, s:o, s:i, s:s?, s:b, s:i, s:o, s:o}", "reason", "abi",
	        json_sprintf("%u.%u", snp->api_major, snp->api_minor), "build", (int)snp->build_id, "state",
	        cli_host_state_name(snp->state), "rmp-initialised",
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
	bool known = facts->product != PRODUCT_UNKNOWN;

	return json_pack("{s:s?, s:o, s:i}", "product", known ? product_get(facts->product)->name : NULL,
	        "signature", json_doc_mask(facts->cpu_signature), "c-bit", (int)facts->c_bit);
}

static json_t *chip_json(const struct cli_host_offer *offer)
{
	char cek[ATTEST_URL_BYTES], vcek[ATTEST_URL_BYTES];

	if (!offer->id_known)
		return json_pack("{s:o, s:n, s:n, s:n}", "reason", json_doc_text(offer->id_reason.text), "id",
		        "cek-url", "vcek-url");
	attest_cek_url(offer->id, cek);
	cli_host_vcek_url(offer, vcek);
	return json_pack("{s:n, s:o, s:s, s:s?}", "reason", "id",
	        json_doc_bytes(offer->id, sizeof(offer->id)), "cek-url", cek, "vcek-url",
	        *vcek ? vcek : NULL);
}

json_t *cli_host_make_json(const struct cli_host_offer *offer)
{
	const struct facts *facts = &offer->facts;

	return json_pack("{s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:{s:o, s:o}, s:o}", "simulated",
	        offer->simulated, "kvm", kvm_json(offer), "processor", processor_json(facts), "generations",
	        generations_json(facts), "vm-types", json_doc_mask(facts->vm_types), "policy-bits",
	        bits(facts->policy_known, facts->policy_bits, config_snp_policy_bits), "vmsa-features",
	        bits(facts->features_known, facts->vmsa_features, config_vmsa_feature_bits),
	        "asks-for-certificates", facts->certs_known && facts->req_certs, "firmware", "sev",
	        sev_json(facts), "sev-snp", snp_json(facts), "chip", chip_json(offer));
}

int cli_host_print_json(const struct cli_host_offer *offer, struct err *err)
{
	auto_json json_t *root = cli_host_make_json(offer);

	return json_doc_print(root, err);
}
