/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gather: finds, among all given certificates, those that a report needs. The contents of a certificate
 * decide what it is: its issuer's name shows who signed it, and a certificate that names itself as its issuer
 * is a root. Any thread.
 */
#include <string.h>

#include "chain.h"
#include "table.h"

struct pools {
	struct attest_certs files, table; /* the table is used for what the files do not hold */
};

static bool is_self_issued(const struct attest_cert *cert)
{
	return X509_NAME_cmp(X509_get_subject_name(cert->x509), X509_get_issuer_name(cert->x509)) == 0;
}

static bool is_issuer_of(const struct attest_cert *issuer, const struct attest_cert *cert)
{
	return X509_NAME_cmp(X509_get_subject_name(issuer->x509), X509_get_issuer_name(cert->x509)) == 0;
}

/* The search: for the leaf, or for the certificate that issued child. */
struct wanted {
	bool is_leaf, is_vlek;
	const struct attest_cert *child;
	bool is_root;
};

/*
 * Returns 0 if the certificate is of another kind, 1 if it is of the wanted kind, 2 if it is exactly the
 * wanted one.
 */
static int fit(const struct attest_cert *cert, const struct wanted *wanted)
{
	struct attest_cert_chip chip;

	if (attest_cert_is_chip(cert) != wanted->is_leaf)
		return 0;
	if (wanted->is_leaf)
		return attest_cert_chip_read(cert, &chip, NULL) == 0 && chip.is_vlek == wanted->is_vlek ? 2
		                                                                                        : 1;
	if (is_self_issued(cert) != wanted->is_root)
		return 0;
	return is_issuer_of(cert, wanted->child) ? 2 : 1;
}

/*
 * Moves the certificate that fits best out of the pool. Returns 1, 0 if none fits, -1 with err if two fit
 * equally well.
 */
static int take_from(
        struct attest_certs *pool, const struct wanted *wanted, struct attest_cert *ret_cert, struct err *err)
{
	struct attest_cert *best = NULL, *second = NULL;
	int best_fit = 0;

	for (size_t i = 0; i < pool->count; i++) {
		int fits = pool->list[i].x509 ? fit(&pool->list[i], wanted) : 0;

		if (fits == 0 || fits < best_fit)
			continue;
		second = fits == best_fit ? best : NULL;
		best = &pool->list[i];
		best_fit = fits;
	}
	if (second)
		return err_set(err, ERR_USAGE,
		        "%s and %s: two certificates that could be meant, \"%s\" and \"%s\"; give one of "
		        "them",
		        second->file, best->file, second->cn, best->cn);
	if (!best)
		return 0;
	*ret_cert = *best;
	*best = (struct attest_cert){0};
	return 1;
}

static int take(struct pools *pools, const struct wanted *wanted, const char *what, const char *option,
        struct attest_cert *ret_cert, struct err *err)
{
	int found = take_from(&pools->files, wanted, ret_cert, err);
	const struct attest_cert *other = NULL;

	if (found == 0)
		found = take_from(&pools->table, wanted, ret_cert, err);
	if (found != 0)
		return found < 0 ? -1 : 0;
	for (size_t i = 0; i < pools->files.count && !other; i++)
		other = pools->files.list[i].x509 ? &pools->files.list[i] : NULL;
	return err_set(err, ERR_USAGE,
	        "%s is given neither as a file (--%s) nor in a certificate table (--certs)%s%s%s%s%s", what,
	        option, other ? "; " : "", other ? other->file : "", other ? " holds \"" : "",
	        other ? other->cn : "", other ? "\", which is another" : "");
}

static int read_files(const struct attest_evidence *evidence, struct pools *pools, struct attest_chain *chain,
        struct err *err)
{
	struct attest_table_certs table = {0};

	if (evidence->leaf.size && attest_certs_add(&pools->files, &evidence->leaf, err) < 0)
		return -1;
	for (int i = 0; i < ATTEST_CHAIN_FILES; i++) {
		if (evidence->chain[i].size && attest_certs_add(&pools->files, &evidence->chain[i], err) < 0)
			return -1;
	}
	if (!evidence->table.size)
		return 0;
	if (attest_table_read(&evidence->table, &table, err) < 0)
		return -1;
	for (int i = 0; i < ATTEST_TABLE_CERTS; i++) {
		if (table.certs[i].size && attest_certs_add(&pools->table, &table.certs[i], err) < 0)
			return -1;
	}
	chain->unknown_entries = table.unknown;
	return 0;
}

/* If the file holds a whole chain, the root is taken from it. */
static int read_root(const struct attest_blob *blob, struct attest_cert *ret_root, struct err *err)
{
	struct attest_certs certs = {0};
	size_t at = 0;

	if (!blob->size)
		return 0;
	if (attest_certs_add(&certs, blob, err) < 0) {
		attest_certs_finish(&certs);
		return -1;
	}
	while (at + 1 < certs.count && !is_self_issued(&certs.list[at]))
		at++;
	*ret_root = certs.list[at];
	certs.list[at] = (struct attest_cert){0};
	attest_certs_finish(&certs);
	return 0;
}

static int take_chain(struct pools *pools, bool wants_vlek, struct attest_chain *chain, struct err *err)
{
	const struct wanted leaf = {.is_leaf = true, .is_vlek = wants_vlek}, ask = {.child = &chain->leaf},
	                    ark = {.child = &chain->ask, .is_root = true};

	if (take(pools, &leaf,
	            wants_vlek ? "the VLEK that signed the report"
	                       : "the VCEK that signed the report (see vmm report show)",
	            wants_vlek ? "vlek" : "vcek", &chain->leaf, err) < 0)
		return -1;
	if (attest_cert_chip_read(&chain->leaf, &chain->chip, err) < 0)
		return err_wrap(err, "the certificate \"%s\"", chain->leaf.cn);
	if (take(pools, &ask, "AMD's intermediate certificate (ASK)", "chain", &chain->ask, err) < 0)
		return -1;
	return take(pools, &ark, "AMD's root certificate (ARK)", "chain", &chain->ark, err);
}

int attest_chain_gather(const struct attest_evidence *evidence, bool wants_vlek,
        struct attest_chain *ret_chain, struct err *err)
{
	struct pools pools = {0};
	struct attest_chain chain = {0};
	int result = -1;

	if (read_files(evidence, &pools, &chain, err) == 0 &&
	        read_root(&evidence->root, &chain.root, err) == 0)
		result = take_chain(&pools, wants_vlek, &chain, err);
	attest_certs_finish(&pools.files);
	attest_certs_finish(&pools.table);
	if (result < 0)
		attest_chain_finish(&chain);
	else
		*ret_chain = chain;
	return result;
}
