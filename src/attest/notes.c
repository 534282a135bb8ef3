/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notes: adds notes about a report: what is odd about it, and what an owner should see without having asked.
 * A note does not change the verdict. Any thread. SNP ABI, "Attestation Report Format", guest policy,
 * TCB_VERSION.
 */
#include "chain.h"
#include "verdict.h"
#include "vmm/abi/policy.h"

#define VMPL_HOST 0xffffffffu /* SNP ABI, SNP_HV_REPORT_REQ: the host asked for the report, not the guest */
#define VMPL_MAX  3u

static void note_policy(const struct abi_snp_report *report, struct attest_verdict *verdict)
{
	if (report->policy & ABI_SNP_POLICY_DEBUG)
		attest_verdict_add(verdict, "debug", ATTEST_NOTE,
		        "the policy lets the host debug the guest: its memory is not secret");
	if (report->policy & ABI_SNP_POLICY_MIGRATE_MA)
		attest_verdict_add(verdict, "migration", ATTEST_NOTE,
		        "the policy allows a migration agent, which may move the guest elsewhere");
	if (!(report->policy & ABI_SNP_POLICY_MUST_BE_ONE))
		attest_verdict_add(verdict, "policy", ATTEST_NOTE,
		        "bit 17 is 0, which current firmware does not accept: the report comes from an early "
		        "one");
}

static void note_vmpl(const struct abi_snp_report *report, struct attest_verdict *verdict)
{
	if (report->vmpl == VMPL_HOST)
		attest_verdict_add(verdict, "vmpl", ATTEST_NOTE,
		        "is %#x: the host asked for this report, not the guest, and chose its report data; "
		        "--vmpl 0 demands one that the guest asked for",
		        report->vmpl);
	else if (report->vmpl > VMPL_MAX)
		attest_verdict_add(verdict, "vmpl", ATTEST_NOTE, "is %u; only 0 to %u are known",
		        report->vmpl, VMPL_MAX);
	else if (report->vmpl > 0)
		attest_verdict_add(verdict, "vmpl", ATTEST_NOTE,
		        "is %u: what runs at level 0, an SVSM or paravisor, did not ask; --vmpl N demands a "
		        "level",
		        report->vmpl);
}

/* Returns the first part in which low is below high, -1 if there is none. */
static int below(uint64_t low, uint64_t high, enum product_tcb_layout layout)
{
	for (int part = 0; part < ATTEST_TCB_PARTS; part++) {
		if (attest_tcb_get(low, layout, part) < attest_tcb_get(high, layout, part))
			return part;
	}
	return -1;
}

/* The firmware keeps the reported and committed TCB at or below the current one. */
static void note_tcb(const struct abi_snp_report *report, struct attest_verdict *verdict)
{
	enum product_tcb_layout layout = attest_report_tcb_layout(report);
	const struct {
		const char *name;
		uint64_t tcb;
	} rows[] = {{"reported", report->reported_tcb}, {"committed", report->committed_tcb},
	        {"launch", report->launch_tcb}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int part = below(report->current_tcb, rows[i].tcb, layout);

		if (part < 0)
			continue;
		attest_verdict_add(verdict, "tcb-order", ATTEST_NOTE,
		        "the current TCB is below the %s one (%s %d, %d): the host's firmware was downgraded",
		        rows[i].name, attest_tcb_part_name(part),
		        attest_tcb_get(report->current_tcb, layout, part),
		        attest_tcb_get(rows[i].tcb, layout, part));
		return;
	}
}

static void note_author(const struct abi_snp_report *report, struct attest_verdict *verdict)
{
	bool enabled = report->key_info & ABI_SNP_KEY_AUTHOR,
	     digest = !bytes_are_zero(report->author_key_digest, sizeof(report->author_key_digest));

	if (enabled != digest)
		attest_verdict_add(verdict, "author-key", ATTEST_NOTE, "%s",
		        enabled ? "the report says that there was one, and has no digest of it"
		                : "the report has the digest of one, and says that there was none");
}

/*
 * The signature covers the reserved bytes, so AMD's firmware wrote them. They may have a meaning in a later
 * version of the report.
 */
static void note_reserved(const struct abi_snp_report *report, struct attest_verdict *verdict)
{
	uint64_t tcb =
	        attest_report_tcb_layout(report) == PRODUCT_TCB_FMC ? 0x00ffffff00000000 : 0x0000ffffffff0000;

	if (report->reserved_4c || !bytes_are_zero(report->reserved_18b, sizeof(report->reserved_18b)) ||
	        !bytes_are_zero(report->reserved_208, sizeof(report->reserved_208)) ||
	        (report->reported_tcb & tcb) || report->key_info >> 5)
		attest_verdict_add(verdict, "reserved", ATTEST_NOTE,
		        "bits are set that version %u of the report reserves; what they say was not judged",
		        report->version);
}

void attest_notes_add(const struct abi_snp_report *report, const struct attest_chain *chain,
        const struct attest_wanted *wanted, struct attest_verdict *verdict)
{
	if (!wanted->field_given[ATTEST_POLICY])
		note_policy(report, verdict);
	if (!wanted->field_given[ATTEST_VMPL])
		note_vmpl(report, verdict);
	if (!wanted->field_given[ATTEST_AUTHOR_KEY])
		note_author(report, verdict);
	note_tcb(report, verdict);
	note_reserved(report, verdict);
	if (!wanted->field_given[ATTEST_MEASUREMENT])
		attest_verdict_add(verdict, "measurement", ATTEST_NOTE,
		        "was not judged: without --measurement any guest on this chip passes");
	if (!wanted->field_given[ATTEST_REPORT_DATA])
		attest_verdict_add(verdict, "report-data", ATTEST_NOTE,
		        "was not judged: without --report-data an old report passes, and another guest's");
	if (chain->unknown_entries)
		attest_verdict_add(verdict, "table", ATTEST_NOTE, "%u entries with other GUIDs were not read",
		        chain->unknown_entries);
}
