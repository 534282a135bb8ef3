/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cert show: prints SEV certificates in words or as JSON. Main thread only. SEV API, appendices B.1 (ASK,
 * ARK) and C.
 */
#include "evidence.h"
#include "verbs.h"
#include "vmm/attest/sev.h"
#include "vmm/json.h"

#define X_BYTES 48 /* the coordinate of a point on P-384; little-endian, as in the certificate */
#define X_CHARS (2 * X_BYTES + 1)

/* Writes the key's x, or returns NULL if the key is not on P-384. */
static const char *key_x(const struct abi_sev_cert *cert, char x[static X_CHARS])
{
	hex_encode(cert->ec.qx, X_BYTES, x);
	return cert->ec.curve == ABI_CURVE_P384 ? x : NULL;
}

static void print_words(const struct abi_sev_cert *cert)
{
	char text[X_CHARS];
	const char *x = key_x(cert, text);

	printf("%s\n", attest_sev_usage_name(cert->usage));
	printf("  key        %s\n", attest_sev_algo_name(cert->algo));
	if (x)
		printf("  x          %s (little-endian)\n", x);
	printf("  API        %u.%u\n", cert->api_major, cert->api_minor);
	for (int i = 0; i < 2; i++) {
		if (cert->sig[i].usage != ABI_SEV_USAGE_INVALID)
			printf("  signature  by %s, %s\n", attest_sev_usage_name(cert->sig[i].usage),
			        attest_sev_algo_name(cert->sig[i].algo));
	}
}

static json_t *to_json(const struct abi_sev_cert *cert)
{
	json_t *signers = json_array();
	char x[X_CHARS];

	for (int i = 0; i < 2; i++) {
		if (cert->sig[i].usage != ABI_SEV_USAGE_INVALID)
			json_doc_append(&signers,
			        json_pack("{s:s, s:s}", "usage", attest_sev_usage_name(cert->sig[i].usage),
			                "algorithm", attest_sev_algo_name(cert->sig[i].algo)));
	}
	return json_pack("{s:s, s:s, s:s?, s:o, s:o}", "usage", attest_sev_usage_name(cert->usage),
	        "algorithm", attest_sev_algo_name(cert->algo), "x", key_x(cert, x), "api",
	        json_sprintf("%u.%u", cert->api_major, cert->api_minor), "signatures", signers);
}

/* ---- ASK and ARK ---- */

static void print_amd_words(const struct attest_amd_cert *cert)
{
	char id[2 * sizeof(cert->key_id) + 1];

	printf("%s\n", attest_sev_usage_name(cert->usage));
	printf("  key        RSA of %u bits\n", cert->bits);
	hex_encode(cert->key_id, sizeof(cert->key_id), id);
	printf("  key id     %s\n", id);
	hex_encode(cert->certifying_id, sizeof(cert->certifying_id), id);
	printf("  signed by  %s\n", id);
	if (cert->usage == ABI_SEV_USAGE_ARK)
		printf("  root       %s%s\n",
		        cert->simulated                 ? "of the software platform"
		        : cert->root != PRODUCT_UNKNOWN ? "AMD's for "
		                                        : "neither AMD's nor the software platform's",
		        cert->root != PRODUCT_UNKNOWN ? product_get(cert->root)->name : "");
}

/* Where certificates come from. Only the key of an ARK tells it. */
enum origin { ORIGIN_UNKNOWN, ORIGIN_AMD, ORIGIN_SIMULATED };

static enum origin origin_of(const struct attest_amd_cert *cert)
{
	if (cert->usage != ABI_SEV_USAGE_ARK)
		return ORIGIN_UNKNOWN;
	return cert->simulated                 ? ORIGIN_SIMULATED
	       : cert->root != PRODUCT_UNKNOWN ? ORIGIN_AMD
	                                       : ORIGIN_UNKNOWN;
}

static json_t *origin_json(enum origin origin)
{
	return origin == ORIGIN_UNKNOWN ? json_null() : json_boolean(origin == ORIGIN_SIMULATED);
}

static json_t *amd_to_json(const struct attest_amd_cert *cert)
{
	bool is_amds = origin_of(cert) == ORIGIN_AMD;

	return json_pack("{s:s, s:i, s:o, s:o, s:o, s:s?}", "usage", attest_sev_usage_name(cert->usage),
	        "bits", (int)cert->bits, "key-id", json_doc_bytes(cert->key_id, sizeof(cert->key_id)),
	        "signed-by", json_doc_bytes(cert->certifying_id, sizeof(cert->certifying_id)), "simulated",
	        origin_json(origin_of(cert)), "root-of", is_amds ? product_get(cert->root)->name : NULL);
}

/* ---- a file of both kinds ---- */

struct entry {
	bool is_amd;
	struct abi_sev_cert cert;
	struct attest_amd_cert amd;
};

/*
 * The usage field tells the two kinds of certificates apart: in its place the other kind has a part of a key
 * or of a key's hash.
 */
static bool usage_is(const struct attest_blob *blob, size_t at, uint32_t least, uint32_t most)
{
	uint64_t usage;

	if (!range_fits(at, 4, blob->size))
		return false;
	usage = load_le((const uint8_t *)blob->data + at, 4);
	return usage >= least && usage <= most;
}

static bool is_platform_cert(const struct attest_blob *blob, size_t at)
{
	return usage_is(
	        blob, at + offsetof(struct abi_sev_cert, usage), ABI_SEV_USAGE_OCA, ABI_SEV_USAGE_CEK);
}

static bool is_amd_cert(const struct attest_blob *blob, size_t at)
{
	return usage_is(
	        blob, at + offsetof(struct abi_amd_cert, usage), ABI_SEV_USAGE_ARK, ABI_SEV_USAGE_ASK);
}

/* Reads the certificate at *at and moves *at behind it. */
static int take(const struct attest_blob *blob, size_t *at, struct entry *ret_entry, struct err *err)
{
	const uint8_t *bytes = (const uint8_t *)blob->data + *at;
	size_t left = blob->size - *at, size = sizeof(ret_entry->cert);

	ret_entry->is_amd = !is_platform_cert(blob, *at);
	if (ret_entry->is_amd && !is_amd_cert(blob, *at))
		return err_set(err, ERR_USAGE,
		        "is neither a certificate of a SEV platform (PDH, PEK, OCA or CEK, 2084 bytes) nor "
		        "an ASK or ARK in AMD's binary format");
	if (ret_entry->is_amd) {
		if (attest_amd_cert_parse(bytes, left, &ret_entry->amd, err) < 0)
			return -1;
		size = ret_entry->amd.size;
	} else if (attest_sev_cert_parse(bytes, left < size ? left : size, &ret_entry->cert, err) < 0) {
		return -1;
	}
	*at += size;
	return 0;
}

/* Everything is read before anything is printed. An ARK tells where the certificates come from. */
static int check(const struct attest_blob *blob, enum origin *ret_origin, struct err *err)
{
	enum origin origin = ORIGIN_UNKNOWN;
	struct entry entry;
	unsigned count = 0;

	for (size_t at = 0; at < blob->size;) {
		count++;
		if (take(blob, &at, &entry, err) < 0)
			return err_wrap(err, "%s: certificate %u", blob->name, count);
		if (entry.is_amd && origin_of(&entry.amd) > origin)
			origin = origin_of(&entry.amd);
	}
	*ret_origin = origin;
	return 0;
}

static int show_words(const struct attest_blob *blob, enum origin origin, struct err *err)
{
	struct entry entry;

	if (origin == ORIGIN_SIMULATED)
		printf("%s\n", CLI_SIMULATED);
	for (size_t at = 0; at < blob->size;) {
		if (take(blob, &at, &entry, err) < 0)
			return -1;
		if (entry.is_amd)
			print_amd_words(&entry.amd);
		else
			print_words(&entry.cert);
	}
	return 0;
}

static int show_json(const struct attest_blob *blob, enum origin origin, struct err *err)
{
	json_t *list = json_array();
	auto_json json_t *root = NULL;
	struct entry entry;

	for (size_t at = 0; at < blob->size;) {
		if (take(blob, &at, &entry, err) < 0) {
			json_decref(list);
			return -1;
		}
		json_doc_append(&list, entry.is_amd ? amd_to_json(&entry.amd) : to_json(&entry.cert));
	}
	root = json_pack("{s:o, s:o}", "simulated", origin_json(origin), "certificates", list);
	return json_doc_print(root, err);
}

static int run(const struct cli_args *args, struct err *err)
{
	enum origin origin;
	struct attest_blob blob;
	int status;

	if (cli_blob_read(cli_operand(args, 0), &blob, err) < 0)
		return -1;
	status = check(&blob, &origin, err);
	if (status == 0)
		status = cli_given(args, "json") ? show_json(&blob, origin, err)
		                                 : show_words(&blob, origin, err);
	cli_blob_free(&blob);
	return status;
}

static const struct cli_option options[] = {CLI_OPTION_JSON, {0}};

const struct cli_verb cli_verb_cert_show = {
        .name = "cert show",
        .operands = "FILE",
        .operands_min = 1,
        .operands_max = 1,
        .summary = "print a SEV platform's certificates in words",
        .help = "FILE holds one or more certificates: PDH, PEK, OCA, CEK (2084 bytes each), and ASK and ARK "
                "in AMD's binary format. Nothing is verified; see vmm cert verify. Only an ARK tells whether "
                "the certificates come from the software platform.",
        .options = options,
        .run = run,
};
