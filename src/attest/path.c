/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path: lets OpenSSL judge the certification path: path lengths, critical extensions, names, policies. Errors
 * that chain.c finds itself, and describes more clearly, are left out. Any thread. RFC 5280, section 6.1.
 */
#include <openssl/x509_vfy.h>

#include "chain.h"

/* Is this an error that does not count here? */
static bool is_left_out(int error)
{
	switch (error) {
	/* chain.c judges these: signatures, issuers, which keys are authorities, which root is trusted. */
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SUBJECT_ISSUER_MISMATCH:
	/* RFC 5280, 4.2.1.1 and 4.2.1.2 demand key identifiers; AMD's certificates have none. */
	case X509_V_ERR_MISSING_AUTHORITY_KEY_IDENTIFIER:
	case X509_V_ERR_MISSING_SUBJECT_KEY_IDENTIFIER: return true;
	default: return false;
	}
}

/* Keeps the first error of each certificate and lets OpenSSL go on. */
static int note(int good, X509_STORE_CTX *ctx)
{
	const char **faults = X509_STORE_CTX_get_ex_data(ctx, 0);
	int error = X509_STORE_CTX_get_error(ctx), depth = X509_STORE_CTX_get_error_depth(ctx);

	if (good || is_left_out(error))
		return 1;
	if (depth < 0 || depth >= ATTEST_CHAIN_DEPTH)
		depth = 0;
	if (!faults[depth])
		faults[depth] = X509_verify_cert_error_string(error);
	return 1;
}

static bool judge(const struct attest_chain *chain, X509_STORE *store, X509_STORE_CTX *ctx,
        STACK_OF(X509) * untrusted, const char *faults[static ATTEST_CHAIN_DEPTH])
{
	if (!store || !ctx || !untrusted || X509_STORE_add_cert(store, chain->ark.x509) != 1 ||
	        sk_X509_push(untrusted, chain->ask.x509) <= 0 ||
	        X509_STORE_CTX_init(ctx, store, chain->leaf.x509, untrusted) != 1 ||
	        X509_STORE_CTX_set_ex_data(ctx, 0, faults) != 1)
		return false;
	/* OpenSSL does not check dates, because chain.c judges them at the time that the user names. */
	X509_STORE_CTX_set_flags(
	        ctx, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE | X509_V_FLAG_NO_CHECK_TIME);
	X509_STORE_CTX_set_verify_cb(ctx, note);
	return X509_verify_cert(ctx) == 1;
}

void attest_path_judge(const struct attest_chain *chain, const char *ret_faults[static ATTEST_CHAIN_DEPTH])
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *untrusted = sk_X509_new_null();

	if (!judge(chain, store, ctx, untrusted, ret_faults) && !ret_faults[0])
		ret_faults[0] = "the path could not be judged";
	X509_STORE_CTX_free(ctx);
	sk_X509_free(untrusted);
	X509_STORE_free(store);
}
