/*
 * chain: VCEK or VLEK, signed by ASK or ASVK, signed by ARK, which must be AMD's. Any thread.
 * AMD 57230: RSA-4096 keys sign with PSS and SHA-384, chip keys are P-384. RFC 5280, section 6.1.
 */
#include <string.h>

#include <openssl/objects.h>
#include <openssl/x509v3.h>

#include "chain.h"
#include "table.h"
#include "verdict.h"

#define RSA_BITS 4096

void chain_finish(struct chain *chain)
{
	cert_finish(&chain->leaf);
	cert_finish(&chain->ask);
	cert_finish(&chain->ark);
	cert_finish(&chain->root);
}

static bool is_self_issued(const struct cert *cert)
{
	return X509_NAME_cmp(X509_get_subject_name(cert->x509), X509_get_issuer_name(cert->x509)) == 0;
}

/* Either order is taken; AMD's files have the ASK first. */
static int gather_chain_file(const struct attest_blob *blob, struct chain *chain, struct err *err)
{
	struct cert pair[2];

	if (cert_read_pair(blob, pair, err) < 0)
		return -1;
	chain->ask = pair[is_self_issued(&pair[0])];
	chain->ark = pair[!is_self_issued(&pair[0])];
	return 0;
}

static int gather_one(const struct attest_blob *given, const struct attest_blob *table, const char *what,
        const char *option, struct cert *ret_cert, struct err *err)
{
	const struct attest_blob *blob = given->size ? given : table;

	if (!blob->size)
		return err_set(err, ERR_USAGE,
		        "%s is given neither as a file (--%s) nor in a certificate table (--certs)", what,
		        option);
	return cert_read(blob, ret_cert, err);
}

static int gather(
        const struct attest_evidence *evidence, bool wants_vlek, struct chain *chain, struct err *err)
{
	static const struct attest_blob none;
	struct table table = {0};

	if (evidence->table.size && table_read(&evidence->table, &table, err) < 0)
		return -1;
	chain->unknown_entries = table.unknown;
	if (gather_one(&evidence->leaf, &table.certs[wants_vlek ? TABLE_VLEK : TABLE_VCEK],
	            wants_vlek ? "the VLEK that signed the report"
	                       : "the VCEK that signed the report (see vmm report show)",
	            wants_vlek ? "vlek" : "vcek", &chain->leaf, err) < 0)
		return -1;
	if (cert_chip_read(&chain->leaf, &chain->chip, err) < 0)
		return err_wrap(err, "the certificate \"%s\"", chain->leaf.cn);
	if (evidence->root.size && cert_read(&evidence->root, &chain->root, err) < 0)
		return -1;
	if (evidence->chain.size)
		return gather_chain_file(&evidence->chain, chain, err);
	if (gather_one(&none, &table.certs[TABLE_ASK], "AMD's intermediate certificate (ASK)", "chain",
	            &chain->ask, err) < 0)
		return -1;
	return gather_one(
	        &none, &table.certs[TABLE_ARK], "AMD's root certificate (ARK)", "chain", &chain->ark, err);
}

int chain_gather(
        const struct attest_evidence *evidence, bool wants_vlek, struct chain *ret_chain, struct err *err)
{
	struct chain chain = {0};

	if (gather(evidence, wants_vlek, &chain, err) < 0) {
		chain_finish(&chain);
		return -1;
	}
	*ret_chain = chain;
	return 0;
}

/* X509_check_ca() looks at the basic constraints and, if there is one, at the key usage. */
static bool is_rsa_ca(const struct cert *cert)
{
	return EVP_PKEY_is_a(cert->key, "RSA") == 1 && EVP_PKEY_get_bits(cert->key) == RSA_BITS &&
	       X509_check_ca(cert->x509) == 1;
}

static bool is_p384(const struct cert *cert)
{
	char group[32] = "";

	return EVP_PKEY_is_a(cert->key, "EC") == 1 &&
	       EVP_PKEY_get_group_name(cert->key, group, sizeof(group), NULL) == 1 &&
	       (strcmp(group, "secp384r1") == 0 || strcmp(group, "P-384") == 0);
}

static bool is_pss_sha384(X509 *x509)
{
	int md = NID_undef, key = NID_undef;

	return X509_get_signature_info(x509, &md, &key, NULL, NULL) == 1 && md == NID_sha384 &&
	       X509_get_signature_nid(x509) == NID_rsassaPss;
}

/* NULL if the parent signed the child, otherwise why not. Keys first: they bound the work. */
static const char *link_fault(const struct cert *child, const struct cert *parent)
{
	if (!is_rsa_ca(parent))
		return "the signer is no certificate authority with an RSA key of 4096 bits";
	if (X509_NAME_cmp(X509_get_issuer_name(child->x509), X509_get_subject_name(parent->x509)) != 0)
		return "it names another issuer";
	if (!is_pss_sha384(child->x509))
		return "its signature is not RSA-PSS with SHA-384";
	if (X509_verify(child->x509, parent->key) != 1)
		return "the signature does not match";
	return NULL;
}

static void judge_link(
        struct attest_verdict *verdict, const char *name, const struct cert *child, const struct cert *parent)
{
	const char *fault = link_fault(child, parent);

	verdict_judge(verdict, name, !fault, "\"%s\" is %ssigned by \"%s\"%s%s", child->cn,
	        fault ? "not " : "", parent->cn, fault ? ": " : "", fault ?: "");
}

static void judge_root(struct chain *chain, struct attest_verdict *verdict)
{
	uint8_t ark[SHA384_BYTES], root[SHA384_BYTES];

	verdict->simulated = anchor_is_simulated(chain->ark.key);
	chain->root_product = anchor_find(chain->ark.key);
	if (chain->root_product != ATTEST_PRODUCT_UNKNOWN)
		verdict_add(verdict, "root", ATTEST_PASSED, "AMD's root key for %s",
		        attest_product_name(chain->root_product));
	else if (!chain->root.x509)
		verdict_add(verdict, "root", ATTEST_FAILED,
		        "\"%s\" has none of AMD's root keys; --root FILE trusts another root", chain->ark.cn);
	else if (key_fingerprint(chain->ark.key, ark) && key_fingerprint(chain->root.key, root) &&
	         crypto_equal(ark, root, sizeof(ark)))
		verdict_add(verdict, "root", ATTEST_PASSED,
		        "NOT AMD'S: \"%s\", trusted only because --root names it", chain->ark.cn);
	else
		verdict_add(verdict, "root", ATTEST_FAILED,
		        "\"%s\" has neither one of AMD's root keys nor that of --root (\"%s\")",
		        chain->ark.cn, chain->root.cn);
}

static void date(const ASN1_TIME *time, char text[static 24])
{
	struct tm tm;

	if (ASN1_TIME_to_tm(time, &tm) != 1 || strftime(text, 24, "%Y-%m-%d %H:%M", &tm) == 0)
		snprintf(text, 24, "?");
}

static void judge_dates(struct attest_verdict *verdict, const char *name, const struct cert *cert, time_t at)
{
	const ASN1_TIME *from = X509_get0_notBefore(cert->x509), *to = X509_get0_notAfter(cert->x509);
	int started = X509_cmp_time(from, &at), ended = X509_cmp_time(to, &at); /* 0: unreadable */
	char first[24], last[24], judged[24];
	struct tm tm;

	date(from, first);
	date(to, last);
	if (!gmtime_r(&at, &tm) || strftime(judged, sizeof(judged), "%Y-%m-%d %H:%M", &tm) == 0)
		snprintf(judged, sizeof(judged), "?");
	verdict_judge(verdict, name, started < 0 && ended > 0,
	        "\"%s\" is valid from %s to %s UTC; judged as of %s%s", cert->cn, first, last, judged,
	        started < 0 && ended > 0 ? "" : " (--at TIME judges as of another time)");
}

void chain_judge(struct chain *chain, time_t at, struct attest_verdict *verdict)
{
	if (is_p384(&chain->leaf))
		judge_link(verdict, "leaf-certificate", &chain->leaf, &chain->ask);
	else
		verdict_add(verdict, "leaf-certificate", ATTEST_FAILED, "\"%s\" has no P-384 key",
		        chain->leaf.cn);
	judge_link(verdict, "ask-certificate", &chain->ask, &chain->ark);
	judge_link(verdict, "ark-certificate", &chain->ark, &chain->ark);
	judge_root(chain, verdict);
	judge_dates(verdict, "leaf-dates", &chain->leaf, at);
	judge_dates(verdict, "ask-dates", &chain->ask, at);
	judge_dates(verdict, "ark-dates", &chain->ark, at);
}
