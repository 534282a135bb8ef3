/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idblock: makes and checks ID blocks. The firmware refuses a guest that is not the one of its ID
 * block. Main thread only.
 */
#include <string.h>

#include "owner.h"
#include "verbs.h"
#include "vmm/launch.h"
#include "vmm/owner.h"

/* ---- what the verbs share ---- */

/* Computes the digest that a guest of this configuration must have. */
static int measure_config(const struct config *config, struct launch_digest *ret_digest, struct err *err)
{
	struct launch_files files;
	struct launch_plan *plan;
	int result;

	if (config->sev.type != CONFIG_SEV_SNP)
		return err_set(err, ERR_USAGE, "only SEV-SNP guests have ID blocks: set sev.type to sev-snp");
	if (launch_files_read(config, &files, err) < 0)
		return -1;
	result = launch_plan_make(config, &files, &plan, err);
	if (result == 0) {
		result = launch_plan_digest(plan, NULL, ret_digest, err);
		launch_plan_destroy(plan);
	}
	launch_files_finish(&files);
	return result;
}

static int parse_digest(const char *text, struct launch_digest *ret_digest, struct err *err)
{
	ret_digest->size_bytes = SHA384_BYTES;
	if (!hex_decode(text, ret_digest->bytes, SHA384_BYTES))
		return err_set(err, ERR_USAGE,
		        "--digest: must be the 96 hexadecimal digits that vmm measure prints for sev-snp");
	return 0;
}

static int parse_number(
        const struct cli_args *args, const char *option, uint64_t max, uint64_t *number, struct err *err)
{
	const char *text = cli_value(args, option);

	return text ? cli_number_read(option, text, max, number, err) : 0;
}

static int parse_policy(const struct cli_args *args, uint64_t *policy, struct err *err)
{
	const char *text = cli_value(args, "policy");

	if (text && cli_policy_read("policy", CONFIG_SEV_SNP, text, policy, err) < 0)
		return -1;
	return config_policy_check(CONFIG_SEV_SNP, *policy, err) < 0 ? err_wrap(err, "--policy") : 0;
}

/*
 * Finds the digest and the policy of the guest that the block is for: those of the configuration, or those of
 * --digest and --policy. *ret_given is false if neither was given.
 */
static int wanted(const struct cli_args *args, struct launch_digest *ret_digest, uint64_t *ret_policy,
        bool *ret_given, struct err *err)
{
	const char *path = cli_value(args, "config"), *digest = cli_value(args, "digest");
	size_t n_sets;
	struct config *config;
	int result;

	cli_values(args, "set", &n_sets);
	*ret_given = digest || path || n_sets;
	*ret_policy = 0x30000;
	if (digest && (path || n_sets))
		return err_set(err, ERR_USAGE,
		        "--digest stands alone: --config and --set already say which guest it is");
	if (digest)
		return parse_digest(digest, ret_digest, err) < 0 ? -1 : parse_policy(args, ret_policy, err);
	if (!*ret_given)
		return 0;
	if (cli_given(args, "policy"))
		return err_set(err, ERR_USAGE,
		        "--policy goes with --digest; with --config or --set the policy is sev.policy");
	if (cli_config_load_measured(args, path, &config, err) < 0)
		return -1;
	*ret_policy = config->sev.policy;
	result = measure_config(config, ret_digest, err);
	config_destroy(config);
	return result;
}

/* ---- make ---- */

static int parse_id(const struct cli_args *args, const char *option, uint8_t id[static 16], struct err *err)
{
	const char *text = cli_value(args, option);

	if (text && !hex_decode(text, id, 16))
		return err_set(err, ERR_USAGE, "--%s: must be 32 hexadecimal digits", option);
	return 0;
}

static int fill_block(const struct cli_args *args, struct abi_id_block *ret_block, struct err *err)
{
	struct launch_digest digest = {0};
	uint64_t policy, svn = 0;
	bool given;

	if (wanted(args, &digest, &policy, &given, err) < 0)
		return -1;
	if (!given)
		return err_set(err, ERR_USAGE, "which guest? Give --digest, or --config or --set");
	*ret_block = (struct abi_id_block){.version = ABI_ID_BLOCK_VERSION, .policy = policy};
	if (parse_number(args, "guest-svn", UINT32_MAX, &svn, err) < 0 ||
	        parse_id(args, "family-id", ret_block->family_id, err) < 0 ||
	        parse_id(args, "image-id", ret_block->image_id, err) < 0)
		return -1;
	ret_block->guest_svn = (uint32_t)svn;
	memcpy(ret_block->ld, digest.bytes, sizeof(ret_block->ld));
	return 0;
}

static int sign(const struct cli_args *args, const struct abi_id_block *block, struct abi_id_auth *ret_auth,
        struct err *err)
{
	const char *author_path = cli_value(args, "author-key");
	struct owner_id_key *id = NULL, *author = NULL;
	int result = owner_id_key_read(cli_value(args, "id-key"), &id, err);

	if (result < 0)
		return err_wrap(err, "--id-key");
	if (author_path) {
		result = owner_id_key_read(author_path, &author, err);
		if (result < 0)
			err_wrap(err, "--author-key");
	}
	if (result == 0)
		result = owner_id_sign(block, id, author, ret_auth, err);
	owner_id_key_destroy(id);
	owner_id_key_destroy(author);
	return result;
}

static int run_make(const struct cli_args *args, struct err *err)
{
	static const char *const needed[] = {"id-key", "out-block", "out-auth"};
	struct abi_id_block block;
	struct abi_id_auth auth;
	const struct cli_owner_file files[] = {
	        {"out-block", cli_value(args, "out-block"), &block, sizeof(block)},
	        {"out-auth", cli_value(args, "out-auth"), &auth, sizeof(auth)},
	};

	for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
		if (!cli_given(args, needed[i]))
			return err_set(
			        err, ERR_USAGE, "--%s is needed; see vmm idblock make --help", needed[i]);
	}
	cli_owner_guard_secrets();
	if (fill_block(args, &block, err) < 0 || sign(args, &block, &auth, err) < 0)
		return -1;
	return cli_owner_files_write(files, ARRAY_LEN(files), err);
}

/* ---- check ---- */

static int run_check(const struct cli_args *args, struct err *err)
{
	struct abi_id_block block;
	struct abi_id_auth auth;
	struct launch_digest digest = {0};
	uint64_t policy;
	bool given;

	if (owner_id_block_read(cli_operand(args, 0), &block, err) < 0 ||
	        owner_id_auth_read(cli_operand(args, 1), &auth, err) < 0 ||
	        wanted(args, &digest, &policy, &given, err) < 0)
		return -1;
	/* That the block does not fit is an answer, not a mistake in the command line. */
	if (owner_id_verify(&block, &auth, err) < 0 ||
	        (given && owner_id_match(&block, digest.bytes, digest.size_bytes, policy, err) < 0)) {
		err->kind = ERR_FAILED;
		return -1;
	}
	printf("signature%s good%s\n", owner_id_has_author(&auth) ? "s" : "",
	        given ? ", digest and policy are this guest's" : "");
	return 0;
}

/* ---- the verbs ---- */

#define OPTION_CONFIG \
	{ \
		"config", "FILE", "The guest's configuration, from which digest and policy come." \
	}
#define OPTION_DIGEST \
	{ \
		"digest", "HEX", "The guest's digest, as vmm measure prints it." \
	}
#define OPTION_POLICY \
	{ \
		"policy", "POLICY", \
		        "The guest's policy, with --digest: a number or the words of sev.policy; 0x30000 " \
		        "(smt) if not given." \
	}

static const struct cli_option make_options[] = {
        OPTION_CONFIG,
        CLI_OPTION_SET,
        OPTION_DIGEST,
        OPTION_POLICY,
        {"id-key", "PEM", "The private P-384 key that signs the block."},
        {"author-key", "PEM", "The private P-384 key that signs the ID key."},
        {"family-id", "HEX", "16 bytes that the attestation report shows; zeros if not given."},
        {"image-id", "HEX", "16 bytes that the attestation report shows; zeros if not given."},
        {"guest-svn", "NUMBER", "The guest's security version; 0 if not given."},
        {"out-block", "FILE", "Where the 96 bytes of the block go: sev.id-block."},
        {"out-auth", "FILE", "Where the 4096 bytes of the authentication go: sev.id-auth."},
        {0},
};

const struct cli_verb cli_verb_idblock_make = {
        .name = "idblock make",
        .operands = "",
        .summary = "make and sign the ID block of a SEV-SNP guest",
        .help = "The secure processor refuses a guest whose digest or policy is not that of its ID block, "
                "and the attestation report shows who signed the block. Files that exist are never "
                "overwritten.",
        .options = make_options,
        .run = run_make,
};

static const struct cli_option check_options[] = {
        OPTION_CONFIG, CLI_OPTION_SET, OPTION_DIGEST, OPTION_POLICY, {0}};

const struct cli_verb cli_verb_idblock_check = {
        .name = "idblock check",
        .operands = "BLOCK AUTH",
        .operands_min = 2,
        .operands_max = 2,
        .summary = "check an ID block as the secure processor would",
        .help = "Checks the signatures and, if a guest is given, whether the block is for it. Exit status 1 "
                "if something does not fit.",
        .options = check_options,
        .run = run_check,
};
