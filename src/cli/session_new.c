/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session new: makes, for one platform, what a guest's owner gives to a SEV launch. Main thread only. SEV
 * API, LAUNCH_START.
 */
#include "owner.h"
#include "verbs.h"
#include "vmm/abi/policy.h"

static int read_policy(const struct cli_args *args, uint32_t *ret_policy, struct err *err)
{
	const char *text = cli_value(args, "policy");
	enum config_sev_type type;
	uint64_t policy;

	if (!text)
		return err_set(err, ERR_USAGE,
		        "--policy POLICY is needed: the guest's policy, as in its configuration");
	if (cli_policy_read("policy", CONFIG_SEV, text, &policy, err) < 0)
		return -1;
	type = policy & ABI_SEV_POLICY_ES ? CONFIG_SEV_ES : CONFIG_SEV;
	if (config_policy_check(type, policy, err) < 0)
		return err_wrap(err, "--policy");
	*ret_policy = (uint32_t)policy;
	return 0;
}

/* With --amd the PDH must be that of an AMD chip. Without it the user is warned. */
static int check_platform(const struct attest_sev_evidence *evidence, struct err *err)
{
	struct attest_verdict verdict;

	if (!attest_sev_has_amd(evidence)) {
		fprintf(stderr,
		        "vmm: warning: %s is not verified (--amd is not given): whoever made it can read the "
		        "guest's secrets\n",
		        evidence->pdh.name);
		return 0;
	}
	if (attest_sev_verify(evidence, &verdict, err) < 0)
		return -1;
	for (size_t i = 0; i < verdict.count; i++) {
		if (verdict.checks[i].result == ATTEST_FAILED)
			return err_set(err, ERR_FAILED,
			        "%s: is not proven to be the PDH of an AMD processor: %s", evidence->pdh.name,
			        verdict.checks[i].text);
	}
	if (verdict.simulated)
		fprintf(stderr, "%s\n", CLI_SIMULATED);
	return 0;
}

static int make(const struct cli_args *args, const struct attest_sev_evidence *evidence, uint32_t policy,
        struct err *err)
{
	struct owner_keys keys;
	struct abi_sev_session session;
	struct abi_sev_cert pdh, godh;
	const struct cli_owner_file files[] = {
	        {"out-keys", cli_value(args, "out-keys"), &keys, sizeof(keys), .secret = true},
	        {"out-session", cli_value(args, "out-session"), &session, sizeof(session)},
	        {"out-godh", cli_value(args, "out-godh"), &godh, sizeof(godh)},
	};
	int status;

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		if (!files[i].path)
			return err_set(err, ERR_USAGE, "--%s FILE is needed", files[i].option);
	}
	if (attest_sev_pdh(evidence, &pdh, err) < 0 || check_platform(evidence, err) < 0 ||
	        owner_session_create(&pdh, policy, &session, &godh, &keys, err) < 0)
		return -1;
	status = cli_owner_files_write(files, ARRAY_LEN(files), err);
	crypto_wipe(&keys, sizeof(keys));
	return status;
}

static int run(const struct cli_args *args, struct err *err)
{
	struct attest_sev_evidence evidence;
	uint32_t policy;
	int status;

	cli_owner_guard_secrets();
	if (read_policy(args, &policy, err) < 0 || cli_owner_evidence_read(args, &evidence, err) < 0)
		return -1;
	status = make(args, &evidence, policy, err);
	cli_owner_evidence_free(&evidence);
	return status;
}

static const struct cli_option options[] = {
        CLI_OPTIONS_EVIDENCE,
        {"policy", "POLICY",
                "The guest's policy, a number or the words of sev.policy (nodbg,es); it must be that of the "
                "configuration, or the launch is refused."},
        {"out-keys", "FILE", "Where the owner's secret keys go (TEK and TIK, 32 bytes, mode 0600). Keep it."},
        {"out-session", "FILE", "Where the session goes (128 bytes); sev.session of the configuration."},
        {"out-godh", "FILE", "Where the owner's certificate goes (2084 bytes); sev.dh-cert."},
        {0},
};

const struct cli_verb cli_verb_session_new = {
        .name = "session new",
        .operands = "",
        .summary = "make a SEV launch session for a platform",
        .help = "Makes new keys, wraps them for the platform whose PDH is given, and writes what "
                "LAUNCH_START takes. Files that exist are never overwritten. With --amd the platform's "
                "certificates are verified first. Without it any PDH is taken, and a warning says "
                "so.\n\nThen: launch the guest with session and certificate, get its measurement, check it "
                "with vmm session verify, and only then send secrets made by vmm secret pack.",
        .options = options,
        .run = run,
};
