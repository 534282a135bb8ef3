/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cert verify: checks a SEV platform's certificates, and a report signed by it, up to AMD's root. Main thread
 * only. SEV API, GET_ATTESTATION_REPORT.
 */
#include "owner.h"
#include "verbs.h"
#include "vmm/attest/sev.h"

/* The values that the report must have. The evidence points to them. */
struct wanted {
	uint8_t digest[SHA256_BYTES], mnonce[16];
	uint32_t policy;
};

static int read_hex(const struct cli_args *args, const char *option, uint8_t *bytes, size_t size,
        const uint8_t **ret_given, struct err *err)
{
	const char *text = cli_value(args, option);

	if (!text)
		return 0;
	if (!hex_decode(text, bytes, size))
		return err_set(err, ERR_USAGE, "--%s takes %zu hexadecimal digits, not \"%s\"", option,
		        2 * size, TEXT_VALUE(text));
	*ret_given = bytes;
	return 0;
}

static int read_wanted(const struct cli_args *args, struct wanted *wanted,
        struct attest_sev_evidence *evidence, struct err *err)
{
	const char *policy = cli_value(args, "policy");
	uint64_t number;

	if (cli_blob_read_option(args, "report", &evidence->report, err) < 0 ||
	        read_hex(args, "digest", wanted->digest, sizeof(wanted->digest), &evidence->digest, err) <
	                0 ||
	        read_hex(args, "mnonce", wanted->mnonce, sizeof(wanted->mnonce), &evidence->mnonce, err) < 0)
		return -1;
	if (policy) {
		if (cli_policy_read("policy", CONFIG_SEV, policy, &number, err) < 0)
			return -1;
		wanted->policy = (uint32_t)number;
		evidence->policy = &wanted->policy;
	}
	if ((evidence->digest || evidence->mnonce || evidence->policy) && !evidence->report.size)
		return err_set(
		        err, ERR_USAGE, "--digest, --mnonce and --policy say what --report FILE must say");
	return 0;
}

static int run(const struct cli_args *args, struct err *err)
{
	struct attest_sev_evidence evidence;
	struct attest_verdict verdict;
	struct wanted wanted;
	int status = -1;

	if (cli_owner_evidence_read(args, &evidence, err) < 0)
		return -1;
	if (read_wanted(args, &wanted, &evidence, err) == 0 &&
	        attest_sev_verify(&evidence, &verdict, err) == 0)
		status = cli_verdict_print(&verdict, cli_given(args, "json"), err);
	cli_blob_free(&evidence.report);
	cli_owner_evidence_free(&evidence);
	return status;
}

static const struct cli_option options[] = {
        CLI_OPTIONS_EVIDENCE,
        {"report", "FILE",
                "Also verify what GET_ATTESTATION_REPORT gave for a SEV or SEV-ES guest (208 bytes)."},
        {"digest", "HEX", "The launch digest that the report must have, as vmm measure prints it."},
        {"mnonce", "HEX", "The nonce that the report was asked with (32 digits)."},
        {"policy", "POLICY", "The policy that the report must have, a number or the words of sev.policy."},
        CLI_OPTION_JSON,
        {0},
};

const struct cli_verb cli_verb_cert_verify = {
        .name = "cert verify",
        .operands = "",
        .summary = "verify a SEV platform's certificates up to AMD's root",
        .help = "Checks that the PDH is signed by the PEK, the PEK by the platform's owner (OCA) and by the "
                "chip (CEK), the CEK by AMD's ASK, and that by AMD's ARK; and that a report is signed by the "
                "PEK. Certificates of SEV-SNP are verified together with a report: see vmm report "
                "verify.\n\nExit status: 0 all checks passed, 1 one failed, 2 a file cannot be read or is "
                "missing.",
        .options = options,
        .run = run,
};
