/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idblock show: prints what an ID block holds, in words or as JSON. Main thread only.
 */
#include "verbs.h"
#include "vmm/config.h"
#include "vmm/json.h"
#include "vmm/owner.h"

/* What is shown. The digests of the keys are those that the attestation report has. */
struct shown {
	struct abi_id_block block;
	bool has_auth, has_author;
	uint8_t id_key[SHA384_BYTES], author_key[SHA384_BYTES];
};

static void print_hex(const char *name, const void *data, size_t size)
{
	char text[2 * 64 + 1];

	hex_encode(data, size, text);
	printf("%-18s %s\n", name, text);
}

static void print_words(const struct shown *shown)
{
	const struct abi_id_block *block = &shown->block;

	print_hex("digest", block->ld, sizeof(block->ld));
	printf("%-18s 0x%llx\n", "policy", (unsigned long long)block->policy);
	print_hex("family-id", block->family_id, sizeof(block->family_id));
	print_hex("image-id", block->image_id, sizeof(block->image_id));
	printf("%-18s %u\n%-18s %u\n", "version", block->version, "guest-svn", block->guest_svn);
	if (shown->has_auth)
		print_hex("id-key-digest", shown->id_key, sizeof(shown->id_key));
	if (shown->has_author)
		print_hex("author-key-digest", shown->author_key, sizeof(shown->author_key));
}

/* Prints JSON with the names of the attestation report. */
static int print_json(const struct shown *shown, struct err *err)
{
	const struct abi_id_block *block = &shown->block;
	auto_json json_t *root = json_pack("{s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:o}", "digest",
	        json_doc_bytes(block->ld, sizeof(block->ld)), "policy",
	        json_doc_policy(CONFIG_SEV_SNP, block->policy), "family-id",
	        json_doc_bytes(block->family_id, sizeof(block->family_id)), "image-id",
	        json_doc_bytes(block->image_id, sizeof(block->image_id)), "version",
	        (json_int_t)block->version, "guest-svn", (json_int_t)block->guest_svn, "id-key-digest",
	        shown->has_auth ? json_doc_bytes(shown->id_key, sizeof(shown->id_key)) : json_null(),
	        "author-key-digest",
	        shown->has_author ? json_doc_bytes(shown->author_key, sizeof(shown->author_key))
	                          : json_null());

	return json_doc_print(root, err);
}

static int run(const struct cli_args *args, struct err *err)
{
	struct shown shown = {0};
	struct abi_id_auth auth;

	if (crypto_load(err) < 0 || owner_id_block_read(cli_operand(args, 0), &shown.block, err) < 0)
		return -1;
	shown.has_auth = cli_operand(args, 1) != NULL;
	if (shown.has_auth) {
		if (owner_id_auth_read(cli_operand(args, 1), &auth, err) < 0)
			return -1;
		shown.has_author = owner_id_has_author(&auth);
		owner_id_key_digest(&auth.id_key, shown.id_key);
		owner_id_key_digest(&auth.author_key, shown.author_key);
	}
	if (cli_given(args, "json"))
		return print_json(&shown, err);
	print_words(&shown);
	return 0;
}

static const struct cli_option options[] = {CLI_OPTION_JSON, {0}};

const struct cli_verb cli_verb_idblock_show = {
        .name = "idblock show",
        .operands = "BLOCK [AUTH]",
        .operands_min = 1,
        .operands_max = 2,
        .summary = "print what an ID block holds",
        .help = "With the authentication, also the digests of its keys, as the attestation report has them. "
                "A file holds the structure itself or its Base64.",
        .options = options,
        .run = run,
};
