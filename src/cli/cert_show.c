/*
 * cert show: SEV certificates in words. Main thread only. SEV API, appendix C.
 */
#include <jansson.h>

#include "evidence.h"
#include "verbs.h"

#define X_BYTES 48 /* of a point of P-384; little-endian, as it stands in the certificate */
#define X_CHARS (2 * X_BYTES + 1)

/* NULL: its key is none on P-384. */
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
			json_array_append_new(signers,
			        json_pack("{s:s, s:s}", "usage", attest_sev_usage_name(cert->sig[i].usage),
			                "algorithm", attest_sev_algo_name(cert->sig[i].algo)));
	}
	return json_pack("{s:s, s:s, s:s?, s:i, s:i, s:o}", "usage", attest_sev_usage_name(cert->usage),
	        "algorithm", attest_sev_algo_name(cert->algo), "x", key_x(cert, x), "api_major",
	        cert->api_major, "api_minor", cert->api_minor, "signatures", signers);
}

/* Words are printed at once, JSON is collected in list (NULL: words). */
static int show(const struct attest_blob *blob, json_t *list, struct err *err)
{
	const size_t one = sizeof(struct abi_sev_cert);
	struct abi_sev_cert cert;

	if (blob->size % one != 0)
		return err_set(err, ERR_USAGE, "%s: has %zu bytes; SEV certificates have %zu each",
		        blob->name, blob->size, one);
	for (size_t at = 0; at < blob->size; at += one) {
		if (attest_sev_cert_parse((const uint8_t *)blob->data + at, one, &cert, err) < 0)
			return err_wrap(err, "%s: certificate %zu", blob->name, at / one + 1);
		if (!list)
			print_words(&cert);
		else if (json_array_append_new(list, to_json(&cert)) < 0)
			return err_set(err, ERR_FAILED, "no memory for the list of certificates");
	}
	return 0;
}

static int run(const struct cli_args *args, struct err *err)
{
	json_t *list = cli_given(args, "json") ? json_array() : NULL;
	struct attest_blob blob;
	int status = blob_read(cli_operand(args, 0), &blob, err);

	if (status == 0) {
		status = show(&blob, list, err);
		blob_free(&blob);
	}
	if (status == 0 && list) {
		if (json_dumpf(list, stdout, JSON_INDENT(2)) < 0)
			status = err_set(err, ERR_FAILED, "the certificates cannot be written as JSON");
		putchar('\n');
	}
	json_decref(list);
	return status;
}

static const struct cli_option options[] = {CLI_OPTION_JSON, {0}};

const struct cli_verb cli_verb_cert_show = {
        .name = "cert show",
        .operands = "FILE",
        .operands_min = 1,
        .operands_max = 1,
        .summary = "print a SEV platform's certificates in words",
        .help = "FILE holds one or more certificates of 2084 bytes: PDH, PEK, OCA, CEK. Nothing is verified; "
                "see vmm cert verify.",
        .options = options,
        .run = run,
};
