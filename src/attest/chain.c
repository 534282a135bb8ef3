/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain: checks that AMD's ARK signed the ASK or ASVK, and that this key signed the VCEK or VLEK. Any thread.
 * AMD 57230: RSA-4096 keys sign with PSS and SHA-384, chip keys are on P-384. OpenSSL judges the other rules
 * of RFC 5280 (path.c).
 */
#include <string.h>

#include <openssl/objects.h>
#include <openssl/x509v3.h>

#include "chain.h"
#include "verdict.h"

#define RSA_BITS 4096

void attest_chain_finish(struct attest_chain *chain)
{
	attest_cert_finish(&chain->leaf);
	attest_cert_finish(&chain->ask);
	attest_cert_finish(&chain->ark);
	attest_cert_finish(&chain->root);
}

/* X509_check_ca() checks the basic constraints and, if the certificate has one, the key usage. */
static bool is_rsa_ca(const struct attest_cert *cert)
{
	return EVP_PKEY_is_a(cert->key, "RSA") == 1 && EVP_PKEY_get_bits(cert->key) == RSA_BITS &&
	       X509_check_ca(cert->x509) == 1;
}

static bool is_p384(const struct attest_cert *cert)
{
	char group[32] = "";

	return EVP_PKEY_is_a(cert->key, "EC") == 1 &&
	       EVP_PKEY_get_group_name(cert->key, group, sizeof(group), NULL) == 1 &&
	       (strcmp(group, "secp384r1") == 0 || strcmp(group, "P-384") == 0);
}

/* OpenSSL sets its flag for TLS if MGF1 uses the same digest and the salt is as long as the digest. */
static bool is_pss_sha384(X509 *x509)
{
	int md = NID_undef, key = NID_undef;
	uint32_t flags = 0;

	return X509_get_signature_info(x509, &md, &key, NULL, &flags) == 1 && md == NID_sha384 &&
	       X509_get_signature_nid(x509) == NID_rsassaPss && (flags & X509_SIG_INFO_TLS);
}

/*
 * Returns NULL if the parent signed the child, otherwise the reason. The keys are checked first, because
 * their size bounds the work.
 */
static const char *link_fault(const struct attest_cert *child, const struct attest_cert *parent)
{
	if (!is_rsa_ca(parent))
		return "the signer is not a certificate authority with an RSA key of 4096 bits";
	if (X509_NAME_cmp(X509_get_issuer_name(child->x509), X509_get_subject_name(parent->x509)) != 0)
		return "it names another issuer";
	if (!is_pss_sha384(child->x509))
		return "its signature is not RSA-PSS with SHA-384, MGF1 with SHA-384 and a salt of 48 bytes";
	if (X509_verify(child->x509, parent->key) != 1)
		return "the signature does not match";
	return NULL;
}

/*
 * AMD has a separate authority for VLEKs, SEV-VLEK-Milan beside SEV-Milan: neither may sign the other's keys,
 * and no rule of RFC 5280 forbids it (AMD 57230, the chains of VCEK and VLEK).
 */
static const char *leaf_fault(const struct attest_chain *chain)
{
	bool is_vlek_ca = strstr(chain->ask.cn, "SEV-VLEK") != NULL;

	if (!is_p384(&chain->leaf))
		return "it has no P-384 key";
	if (X509_check_ca(chain->leaf.x509) != 0)
		return "it says that it is a certificate authority, which a chip's key is not";
	if (!(X509_get_key_usage(chain->leaf.x509) & KU_DIGITAL_SIGNATURE)) /* all if it has no key usage */
		return "its key usage does not allow it to sign";
	if (chain->chip.is_vlek != is_vlek_ca)
		return is_vlek_ca ? "a VCEK is not signed by the authority for VLEKs"
		                  : "a VLEK is signed by an authority named SEV-VLEK-..., and by no other";
	return NULL;
}

static void judge_link(struct attest_verdict *verdict, const char *name, const struct attest_cert *child,
        const struct attest_cert *parent, const char *fault, const char *path_fault)
{
	if (!fault)
		fault = link_fault(child, parent);
	if (fault)
		attest_verdict_add(verdict, name, ATTEST_FAILED,
		        "\"%s\" is not signed by \"%s\" as it must be: %s", child->cn, parent->cn, fault);
	else if (path_fault)
		attest_verdict_add(verdict, name, ATTEST_FAILED,
		        "\"%s\" is signed by \"%s\", but OpenSSL says of it: %s (RFC 5280, 6.1)", child->cn,
		        parent->cn, path_fault);
	else
		attest_verdict_add(
		        verdict, name, ATTEST_PASSED, "\"%s\" is signed by \"%s\"", child->cn, parent->cn);
}

static void judge_root(struct attest_chain *chain, struct attest_verdict *verdict)
{
	uint8_t ark[SHA384_BYTES], root[SHA384_BYTES];

	verdict->simulated = attest_anchor_is_simulated(chain->ark.key);
	chain->root_product = attest_anchor_find(chain->ark.key);
	if (chain->root_product != PRODUCT_UNKNOWN)
		attest_verdict_add(verdict, "root", ATTEST_PASSED, "AMD's root key for %s",
		        product_get(chain->root_product)->name);
	else if (!chain->root.x509)
		attest_verdict_add(verdict, "root", ATTEST_FAILED,
		        "\"%s\" has none of AMD's root keys; --root FILE trusts another root", chain->ark.cn);
	else if (attest_key_fingerprint(chain->ark.key, ark) &&
	         attest_key_fingerprint(chain->root.key, root) && crypto_equal(ark, root, sizeof(ark)))
		attest_verdict_add(verdict, "root", ATTEST_PASSED,
		        "NOT AMD'S: \"%s\", trusted only because --root names it", chain->ark.cn);
	else
		attest_verdict_add(verdict, "root", ATTEST_FAILED,
		        "\"%s\" has neither one of AMD's root keys nor that of --root (\"%s\")",
		        chain->ark.cn, chain->root.cn);
}

static void date(const ASN1_TIME *time, char text[static 24])
{
	struct tm tm;

	if (ASN1_TIME_to_tm(time, &tm) != 1 || strftime(text, 24, "%Y-%m-%d %H:%M", &tm) == 0)
		snprintf(text, 24, "?");
}

static void judge_dates(
        struct attest_verdict *verdict, const char *name, const struct attest_cert *cert, time_t at)
{
	const ASN1_TIME *from = X509_get0_notBefore(cert->x509), *to = X509_get0_notAfter(cert->x509);
	int started = X509_cmp_time(from, &at), ended = X509_cmp_time(to, &at); /* 0: not readable */
	char first[24], last[24], judged[24];
	struct tm tm;

	date(from, first);
	date(to, last);
	if (!gmtime_r(&at, &tm) || strftime(judged, sizeof(judged), "%Y-%m-%d %H:%M", &tm) == 0)
		snprintf(judged, sizeof(judged), "?");
	attest_verdict_judge(verdict, name, started < 0 && ended > 0,
	        "\"%s\" is valid from %s to %s UTC; judged as of %s%s", cert->cn, first, last, judged,
	        started < 0 && ended > 0 ? "" : " (--at TIME judges as of another time)");
}

void attest_chain_judge(struct attest_chain *chain, time_t at, struct attest_verdict *verdict)
{
	const char *path[ATTEST_CHAIN_DEPTH] = {NULL};

	attest_path_judge(chain, path);
	judge_link(verdict, "leaf-certificate", &chain->leaf, &chain->ask, leaf_fault(chain), path[0]);
	judge_link(verdict, "ask-certificate", &chain->ask, &chain->ark, NULL, path[1]);
	judge_link(verdict, "ark-certificate", &chain->ark, &chain->ark, NULL, path[2]);
	judge_root(chain, verdict);
	judge_dates(verdict, "leaf-dates", &chain->leaf, at);
	judge_dates(verdict, "ask-dates", &chain->ask, at);
	judge_dates(verdict, "ark-dates", &chain->ark, at);
}
