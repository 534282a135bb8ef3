/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report verify: checks an attestation report against certificates and wanted values. Main thread only.
 */
#include <string.h>

#include "evidence.h"
#include "verbs.h"
#include "vmm/attest/report.h"

static int read_fields(const struct cli_args *args, struct attest_wanted *wanted, struct err *err)
{
	for (int field = 0; field < ATTEST_FIELDS; field++) {
		const struct attest_field_info *info = &attest_fields[field];
		const char *text = cli_value(args, info->name);
		uint64_t number;

		if (!text)
			continue;
		wanted->field_given[field] = true;
		if (field == ATTEST_POLICY) {
			if (cli_policy_read(info->name, CONFIG_SEV_SNP, text, &number, err) < 0)
				return -1;
			store_le(wanted->field[field], (unsigned)info->size, number);
		} else if (info->size <= 8) {
			if (cli_number_read(info->name, text, UINT32_MAX, &number, err) < 0)
				return -1;
			store_le(wanted->field[field], (unsigned)info->size, number);
		} else if (!hex_decode(text, wanted->field[field], info->size)) {
			return err_set(err, ERR_USAGE, "--%s takes %zu hexadecimal digits, not \"%s\"",
			        info->name, 2 * info->size, TEXT_VALUE(text));
		}
	}
	return 0;
}

/* Reads "PART=LEVEL". */
static int read_min_tcb(const char *text, struct attest_wanted *wanted, struct err *err)
{
	const char *equals = strchr(text, '=');
	uint64_t level;

	for (int part = 0; equals && part < ATTEST_TCB_PARTS; part++) {
		const char *name = attest_tcb_part_name(part);

		if (strlen(name) != (size_t)(equals - text) || strncmp(text, name, strlen(name)) != 0)
			continue;
		if (cli_number_read("min-tcb", equals + 1, 255, &level, err) < 0)
			return -1;
		wanted->tcb_given[part] = true;
		wanted->tcb[part] = (uint8_t)level;
		return 0;
	}
	return err_set(err, ERR_USAGE,
	        "--min-tcb takes PART=LEVEL with a part of fmc, bootloader, tee, snp, microcode; not \"%s\"",
	        TEXT_VALUE(text));
}

static int read_wanted(const struct cli_args *args, struct attest_wanted *wanted, struct err *err)
{
	size_t count;
	const char *const *levels = cli_values(args, "min-tcb", &count);
	const char *svn = cli_value(args, "min-guest-svn");
	uint64_t number = 0;

	for (size_t i = 0; i < count; i++) {
		if (read_min_tcb(levels[i], wanted, err) < 0)
			return -1;
	}
	if (svn && cli_number_read("min-guest-svn", svn, UINT32_MAX, &number, err) < 0)
		return -1;
	wanted->guest_svn_given = svn != NULL;
	wanted->guest_svn = (uint32_t)number;
	wanted->csp_id = cli_value(args, "csp-id");
	wanted->signer = cli_given(args, "vlek") ? "VLEK" : cli_given(args, "vcek") ? "VCEK" : NULL;
	wanted->masked_chip_id = cli_given(args, "masked-chip-id");
	return read_fields(args, wanted, err);
}

static int read_chain(const struct cli_args *args, struct attest_evidence *evidence, struct err *err)
{
	size_t count;
	const char *const *paths = cli_values(args, "chain", &count);

	if (count > ATTEST_CHAIN_FILES)
		return err_set(err, ERR_USAGE, "--chain may be given %d times", ATTEST_CHAIN_FILES);
	for (size_t i = 0; i < count; i++) {
		if (cli_blob_read(paths[i], &evidence->chain[i], err) < 0)
			return -1;
	}
	return 0;
}

static int read_evidence(const struct cli_args *args, struct attest_evidence *evidence, struct err *err)
{
	if (cli_given(args, "vcek") && cli_given(args, "vlek"))
		return err_set(err, ERR_USAGE, "a report is signed by a VCEK or a VLEK: give one of them");
	if (cli_blob_read_option(args, cli_given(args, "vlek") ? "vlek" : "vcek", &evidence->leaf, err) < 0 ||
	        read_chain(args, evidence, err) < 0 ||
	        cli_blob_read_option(args, "certs", &evidence->table, err) < 0 ||
	        cli_blob_read_option(args, "root", &evidence->root, err) < 0)
		return -1;
	if (cli_time_read(cli_value(args, "at"), &evidence->at, err) < 0)
		return err_wrap(err, "--at");
	return read_wanted(args, &evidence->wanted, err);
}

static int run(const struct cli_args *args, struct err *err)
{
	struct attest_evidence evidence = {0};
	struct attest_blob file = {0}, quoted = {0};
	struct attest_verdict verdict;
	struct abi_snp_report report;
	int status = -1;

	if (cli_report_read(cli_operand(args, 0), &file, &report, &quoted, err) == 0 &&
	        read_evidence(args, &evidence, err) == 0) {
		const struct attest_blob given = evidence.table;

		if (!given.size)
			evidence.table = quoted; /* a raw quote brings its certificates */
		if (attest_report_verify(&report, &evidence, &verdict, err) == 0)
			status = cli_verdict_print(&verdict, cli_given(args, "json"), err);
		evidence.table = given;
	}
	cli_blob_free(&file);
	cli_blob_free(&evidence.leaf);
	for (int i = 0; i < ATTEST_CHAIN_FILES; i++)
		cli_blob_free(&evidence.chain[i]);
	cli_blob_free(&evidence.table);
	cli_blob_free(&evidence.root);
	return status;
}

static const struct cli_option options[] = {
        {"vcek", "FILE",
                "The certificate of the chip's key that signed the report; the certificates of its chain may "
                "be in the same file."},
        {"vlek", "FILE",
                "The same for a key that AMD gave to a cloud provider (VLEK). A report that a VCEK signed is "
                "then not accepted."},
        {"chain", "FILE",
                "AMD's intermediate and root certificates, ASK (for a VLEK: ASVK) and ARK, in one file or in "
                "one each, in any order.",
                .repeats = true},
        {"certs", "FILE",
                "The certificate table that the host hands to guests (GHCB specification); holds what the "
                "options above do not give."},
        {"root", "FILE",
                "Also trust this root certificate, which is not AMD's (a simulated platform, a test). AMD's "
                "own root keys are built in."},
        {"at", "TIME",
                "Judge the certificates' dates as of this time, not now: 2026-11-20, 2026-11-20T17:00:00Z or "
                "@SECONDS, in UTC."},
        {"measurement", "HEX", "The launch digest wanted, as vmm measure prints it (96 digits)."},
        {"host-data", "HEX", "The host data wanted (64 digits)."},
        {"report-data", "HEX", "The report data wanted, usually a nonce (128 digits)."},
        {"policy", "POLICY", "The guest policy wanted, exactly: a number or the words of sev.policy."},
        {"vmpl", "NUMBER",
                "The privilege level that must have asked for the report, 0 to 3; the host's own requests "
                "have 0xffffffff."},
        {"id-key", "HEX", "The digest of the ID block's key wanted (96 digits)."},
        {"author-key", "HEX", "The digest of the author key wanted (96 digits)."},
        {"family-id", "HEX", "The family id wanted (32 digits)."},
        {"image-id", "HEX", "The image id wanted (32 digits)."},
        {"chip-id", "HEX", "The chip wanted (128 digits)."},
        {"masked-chip-id", NULL, "Accept a report that hides its chip (mask_chip_id of the host)."},
        {"csp-id", "NAME", "The cloud provider that the VLEK must belong to."},
        {"min-guest-svn", "NUMBER", "The lowest guest SVN that is accepted."},
        {"min-tcb", "PART=LEVEL",
                "The lowest level that is accepted for a part of the reported TCB: fmc, bootloader, tee, snp "
                "or microcode. May be given for each part.",
                .repeats = true},
        CLI_OPTION_JSON,
        {0},
};

const struct cli_verb cli_verb_report_verify = {
        .name = "report verify",
        .operands = "FILE",
        .operands_min = 1,
        .operands_max = 1,
        .summary = "verify an SNP attestation report up to AMD's root",
        .help = "Checks the report's signature, the certificates up to a trusted root and their dates, that "
                "product, TCB and chip in report and certificate agree, and every value asked for by an "
                "option. Each check is a line; all are made even if one fails; notes say what was not judged "
                "or is odd. Revocation lists are not consulted.\n\nFILE, and each file with certificates, "
                "may be - for the standard input, a pipe, and Base64 or hexadecimal; see vmm report show. "
                "Certificates are taken in DER or PEM, one or several in a file, whatever text stands around "
                "them. vmm looks at what a certificate is, not at the option that names its file.\n\nWithout "
                "--measurement a verified report says only that some guest "
                "runs on AMD's hardware.\n\nExit status: 0 all checks passed, 1 one failed, 2 a file cannot "
                "be read or is missing.",
        .options = options,
        .run = run,
};
