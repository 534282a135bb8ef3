/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sev_chain: judges a SEV platform's certificates, from the PDH to AMD's root. Any thread. SEV API, chapter 2
 * ("Chain of trust") and appendices B and C.
 */
#include <string.h>

#include <openssl/err.h>

#include "cert.h"
#include "sev_cert.h"
#include "verdict.h"
#include "vmm/abi/policy.h"
#include "vmm/attest/sev.h"

enum { PDH, PEK, OCA, CEK, PLATFORM_CERTS };

struct sev_chain {
	struct abi_sev_cert certs[PLATFORM_CERTS];
	struct attest_sev_key keys[PLATFORM_CERTS];
	struct attest_amd_raw ask, ark;
	struct attest_sev_key ask_key, ark_key;
	struct attest_sev_key root_key; /* may be empty */
	struct abi_sev_report report;
};

static const uint32_t wanted_usage[PLATFORM_CERTS] = {
        ABI_SEV_USAGE_PDH, ABI_SEV_USAGE_PEK, ABI_SEV_USAGE_OCA, ABI_SEV_USAGE_CEK};

static void attest_chain_finish(struct sev_chain *chain)
{
	for (int i = 0; i < PLATFORM_CERTS; i++)
		attest_sev_key_finish(&chain->keys[i]);
	attest_sev_key_finish(&chain->ask_key);
	attest_sev_key_finish(&chain->ark_key);
	attest_sev_key_finish(&chain->root_key);
}

/*
 * Reads the certificates that lie one after the other in a blob. The first one has this place in the chain.
 */
static int read_row(
        const struct attest_blob *blob, int first, int count, struct abi_sev_cert *ret_certs, struct err *err)
{
	const uint8_t *at = blob->data;

	if (blob->size != (size_t)count * sizeof(*ret_certs))
		return err_set(err, ERR_USAGE,
		        "%s: has %zu bytes; %d SEV certificate%s %zu bytes belong here", blob->name,
		        blob->size, count, count > 1 ? "s of" : " of", sizeof(*ret_certs));
	for (int i = 0; i < count; i++) {
		uint32_t usage = wanted_usage[first + i];

		if (attest_sev_cert_parse(at, sizeof(*ret_certs), &ret_certs[i], err) < 0)
			return err_wrap(err, "%s: certificate %d", blob->name, i + 1);
		if (ret_certs[i].usage != usage)
			return err_set(err, ERR_USAGE,
			        "%s: certificate %d is of a %s; that of the %s belongs here", blob->name,
			        i + 1, attest_sev_usage_name(ret_certs[i].usage),
			        attest_sev_usage_name(usage));
		at += sizeof(*ret_certs);
	}
	return 0;
}

#define PLATFORM_BYTES (PLATFORM_CERTS * sizeof(struct abi_sev_cert))

/* The PDH's file may hold all certificates of the platform, followed by AMD's (sevctl export --full). */
static bool pdh_has_all(const struct attest_sev_evidence *evidence)
{
	return evidence->pdh.size >= PLATFORM_BYTES;
}

static struct attest_blob platform_of(const struct attest_sev_evidence *evidence)
{
	return (struct attest_blob){evidence->pdh.data, PLATFORM_BYTES, evidence->pdh.name};
}

static struct attest_blob amd_of(const struct attest_sev_evidence *evidence)
{
	if (evidence->amd.size || evidence->pdh.size <= PLATFORM_BYTES)
		return evidence->amd;
	return (struct attest_blob){(const uint8_t *)evidence->pdh.data + PLATFORM_BYTES,
	        evidence->pdh.size - PLATFORM_BYTES, evidence->pdh.name};
}

bool attest_sev_has_amd(const struct attest_sev_evidence *evidence)
{
	return amd_of(evidence).size != 0;
}

int attest_sev_pdh(const struct attest_sev_evidence *evidence, struct abi_sev_cert *ret_pdh, struct err *err)
{
	struct attest_blob all = platform_of(evidence);
	struct abi_sev_cert certs[PLATFORM_CERTS];
	int result = pdh_has_all(evidence) ? read_row(&all, PDH, PLATFORM_CERTS, certs, err)
	                                   : read_row(&evidence->pdh, PDH, 1, certs, err);

	if (result < 0)
		return -1;
	*ret_pdh = certs[PDH];
	return 0;
}

static int read_platform(const struct attest_sev_evidence *evidence, struct sev_chain *chain, struct err *err)
{
	struct attest_blob all = platform_of(evidence);

	if (pdh_has_all(evidence))
		return read_row(&all, PDH, PLATFORM_CERTS, chain->certs, err);
	if (!evidence->chain.size)
		return err_set(err, ERR_USAGE,
		        "%s: the certificates of PEK, OCA and CEK are needed to verify it (--chain)",
		        evidence->pdh.name);
	if (read_row(&evidence->pdh, PDH, 1, chain->certs, err) < 0)
		return -1;
	return read_row(&evidence->chain, PEK, 3, chain->certs + PEK, err);
}

/* The CEK that AMD signed replaces the one that the firmware gave. */
static int read_cek(const struct attest_blob *blob, struct sev_chain *chain, struct err *err)
{
	return blob->size ? read_row(blob, CEK, 1, &chain->certs[CEK], err) : 0;
}

static int read_amd(const struct attest_blob *blob, struct sev_chain *chain, struct err *err)
{
	struct cursor c = cursor_over(blob->data, blob->size);
	struct attest_amd_raw pair[2];
	int ark;

	if (!blob->size)
		return err_set(
		        err, ERR_USAGE, "AMD's certificates, ASK and ARK, are needed to verify (--amd)");
	if (attest_amd_raw_take(&c, &pair[0], err) < 0 || attest_amd_raw_take(&c, &pair[1], err) < 0)
		return err_wrap(err, "%s", blob->name);
	ark = pair[0].head.usage == ABI_SEV_USAGE_ARK ? 0 : 1;
	if (c.left || pair[ark].head.usage != ABI_SEV_USAGE_ARK || pair[!ark].head.usage != ABI_SEV_USAGE_ASK)
		return err_set(
		        err, ERR_USAGE, "%s: one ASK and one ARK belong here, and nothing else", blob->name);
	chain->ark = pair[ark];
	chain->ask = pair[!ark];
	return 0;
}

static int read_root(const struct attest_blob *blob, struct sev_chain *chain, struct err *err)
{
	struct cursor c = cursor_over(blob->data, blob->size);
	struct attest_amd_raw root;

	if (!blob->size)
		return 0;
	if (attest_amd_raw_take(&c, &root, err) < 0)
		return err_wrap(err, "%s", blob->name);
	if (c.left || root.head.usage != ABI_SEV_USAGE_ARK)
		return err_set(err, ERR_USAGE, "%s: one ARK belongs here, and nothing else", blob->name);
	return attest_sev_key_of_amd(&root, &chain->root_key, err);
}

static int read_report(const struct attest_blob *blob, struct sev_chain *chain, struct err *err)
{
	struct cursor c = cursor_over(blob->data, blob->size);

	if (!blob->size)
		return 0;
	cursor_copy(&c, &chain->report, sizeof(chain->report));
	if (c.bad || c.left)
		return err_set(err, ERR_USAGE, "%s: has %zu bytes, an attestation report of SEV has %zu",
		        blob->name, blob->size, sizeof(chain->report));
	return 0;
}

static int read_keys(struct sev_chain *chain, struct err *err)
{
	for (int i = PEK; i < PLATFORM_CERTS; i++) {
		if (attest_sev_key_of_cert(&chain->certs[i], &chain->keys[i], err) < 0)
			return -1;
	}
	if (attest_sev_key_of_amd(&chain->ask, &chain->ask_key, err) < 0)
		return -1;
	return attest_sev_key_of_amd(&chain->ark, &chain->ark_key, err);
}

static void judge(struct attest_verdict *verdict, const char *name, uint32_t child,
        const struct attest_sev_key *parent, const char *fault)
{
	attest_verdict_judge(verdict, name, !fault, "%s is %ssigned by %s (%s)%s%s",
	        attest_sev_usage_name(child), fault ? "not " : "", attest_sev_usage_name(parent->usage),
	        attest_sev_algo_name(parent->algo), fault ? ": " : "", fault ?: "");
}

static void judge_root(const struct sev_chain *chain, struct attest_verdict *verdict)
{
	enum product_id product = attest_anchor_find(chain->ark_key.key);
	uint8_t ark[SHA384_BYTES], root[SHA384_BYTES];

	verdict->simulated = attest_anchor_is_simulated(chain->ark_key.key);
	if (product != PRODUCT_UNKNOWN)
		attest_verdict_add(
		        verdict, "root", ATTEST_PASSED, "AMD's root key for %s", product_get(product)->name);
	else if (chain->root_key.key && attest_key_fingerprint(chain->ark_key.key, ark) &&
	         attest_key_fingerprint(chain->root_key.key, root) && crypto_equal(ark, root, sizeof(ark)))
		attest_verdict_add(
		        verdict, "root", ATTEST_PASSED, "NOT AMD'S: trusted only because --root names it");
	else
		attest_verdict_add(verdict, "root", ATTEST_FAILED,
		        "the ARK is not one of AMD's root keys%s; --root FILE trusts another",
		        chain->root_key.key ? " and not that of --root" : "");
}

/* The firmware of an honest host gives an unsigned CEK, so the message says where to get the signed one. */
static const char *cek_fault(const struct abi_sev_cert *cek, const struct attest_sev_key *ask)
{
	if (cek->sig[0].usage == ABI_SEV_USAGE_INVALID && cek->sig[1].usage == ABI_SEV_USAGE_INVALID)
		return "it has no signature, as the firmware exports it; fetch the signed CEK from AMD's key "
		       "server, at the address that vmm host prints, and name it with --cek";
	return attest_sev_cert_fault(cek, ask);
}

static void judge_chain(const struct sev_chain *chain, struct attest_verdict *verdict)
{
	static const struct {
		const char *name;
		int child, parent;
	} links[] = {{"pdh", PDH, PEK}, {"pek-owner", PEK, OCA}, {"pek-chip", PEK, CEK}, {"oca", OCA, OCA}};

	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		const struct abi_sev_cert *child = &chain->certs[links[i].child];
		const struct attest_sev_key *parent = &chain->keys[links[i].parent];

		judge(verdict, links[i].name, child->usage, parent, attest_sev_cert_fault(child, parent));
	}
	judge(verdict, "cek", ABI_SEV_USAGE_CEK, &chain->ask_key,
	        cek_fault(&chain->certs[CEK], &chain->ask_key));
	judge(verdict, "ask", ABI_SEV_USAGE_ASK, &chain->ark_key,
	        attest_amd_raw_fault(&chain->ask, &chain->ark, &chain->ark_key));
	judge(verdict, "ark", ABI_SEV_USAGE_ARK, &chain->ark_key,
	        attest_amd_raw_fault(&chain->ark, &chain->ark, &chain->ark_key));
	judge_root(chain, verdict);
}

static void judge_bytes(struct attest_verdict *verdict, const char *name, const uint8_t *is,
        const uint8_t *wanted, size_t size)
{
	char is_hex[2 * SHA256_BYTES + 1], wanted_hex[2 * SHA256_BYTES + 1];
	bool good;

	if (!wanted)
		return;
	good = memcmp(is, wanted, size) == 0;
	hex_encode(is, size, is_hex);
	hex_encode(wanted, size, wanted_hex);
	attest_verdict_judge(
	        verdict, name, good, "%s%s%s", is_hex, good ? "" : ", wanted ", good ? "" : wanted_hex);
}

static void note_what_was_not_judged(const struct abi_sev_report *report,
        const struct attest_sev_evidence *evidence, struct attest_verdict *verdict)
{
	if (!evidence->digest)
		attest_verdict_add(verdict, "digest", ATTEST_NOTE,
		        "was not judged: without --digest any guest on this platform passes");
	if (!evidence->mnonce)
		attest_verdict_add(verdict, "mnonce", ATTEST_NOTE,
		        "was not judged: without --mnonce an old report passes");
	if (!evidence->policy && !(report->policy & ABI_SEV_POLICY_NODBG))
		attest_verdict_add(verdict, "policy", ATTEST_NOTE,
		        "is %#x: it lets the host debug the guest, whose memory is then not secret",
		        report->policy);
}

static void judge_report(const struct sev_chain *chain, const struct attest_sev_evidence *evidence,
        struct attest_verdict *verdict)
{
	const struct abi_sev_report *report = &chain->report;
	const char *fault = attest_sev_report_fault(report, &chain->keys[PEK]);

	attest_verdict_judge(verdict, "report", !fault, "the report is %ssigned by PEK%s%s",
	        fault ? "not " : "", fault ? ": " : "", fault ?: "");
	judge_bytes(verdict, "digest", report->digest, evidence->digest, sizeof(report->digest));
	judge_bytes(verdict, "mnonce", report->mnonce, evidence->mnonce, sizeof(report->mnonce));
	if (evidence->policy)
		attest_verdict_judge(verdict, "policy", report->policy == *evidence->policy,
		        "is %#x, wanted %#x", report->policy, *evidence->policy);
	note_what_was_not_judged(report, evidence, verdict);
}

int attest_sev_verify(
        const struct attest_sev_evidence *evidence, struct attest_verdict *ret_verdict, struct err *err)
{
	struct attest_verdict verdict = {0};
	struct attest_blob amd = amd_of(evidence);
	struct sev_chain chain = {0};

	if (crypto_load(err) < 0)
		return -1;
	if (read_platform(evidence, &chain, err) < 0 || read_cek(&evidence->cek, &chain, err) < 0 ||
	        read_amd(&amd, &chain, err) < 0 || read_root(&evidence->root, &chain, err) < 0 ||
	        read_report(&evidence->report, &chain, err) < 0 || read_keys(&chain, err) < 0) {
		attest_chain_finish(&chain);
		ERR_clear_error();
		return -1;
	}
	judge_chain(&chain, &verdict);
	if (evidence->report.size)
		judge_report(&chain, evidence, &verdict);
	attest_verdict_close(&verdict);
	attest_chain_finish(&chain);
	ERR_clear_error();
	*ret_verdict = verdict;
	return 0;
}
