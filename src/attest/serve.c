/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve: checks the certificates that a host is to hand to its guests. Any thread. GHCB, "SNP Extended Guest
 * Request"; AMD 57230 (who signs whom).
 */
#include <string.h>

#include "cert.h"
#include "table.h"

int attest_table_parse(const struct attest_blob *blob, struct attest_table *ret_table, struct err *err)
{
	struct attest_table_certs table;

	if (attest_table_read(blob, &table, err) < 0)
		return -1;
	*ret_table = (struct attest_table){
	        .vcek = table.certs[ATTEST_TABLE_VCEK],
	        .vlek = table.certs[ATTEST_TABLE_VLEK],
	        .ask = table.certs[ATTEST_TABLE_ASK],
	        .ark = table.certs[ATTEST_TABLE_ARK],
	};
	return 0;
}

int attest_cert_decode(const struct attest_blob *blob, uint8_t *ret_der, size_t *ret_size, struct err *err)
{
	const char *text = blob->data;
	size_t left = blob->size;
	int size;

	if (!attest_pem_is_in(text, left)) {
		memcpy(ret_der, blob->data, blob->size);
		*ret_size = blob->size;
		return 0;
	}
	size = attest_pem_next(&text, &left, ret_der);
	if (size <= 0)
		return err_set(err, ERR_USAGE, "%s: its certificate in PEM is incomplete", blob->name);
	if (attest_pem_is_in(text, left))
		return err_set(err, ERR_USAGE, "%s: has more than one certificate", blob->name);
	*ret_size = (size_t)size;
	return 0;
}

/* The certificates of a table, parsed. Those that are absent have no x509. */
struct served {
	struct attest_certs certs[ATTEST_TABLE_CERTS];
};

static const struct attest_cert *first(const struct attest_certs *certs)
{
	return certs->count ? &certs->list[0] : NULL;
}

static int read_all(const struct attest_table *table, struct served *served, struct err *err)
{
	const struct attest_blob *const blobs[] = {
	        [ATTEST_TABLE_VCEK] = &table->vcek,
	        [ATTEST_TABLE_VLEK] = &table->vlek,
	        [ATTEST_TABLE_ASK] = &table->ask,
	        [ATTEST_TABLE_ARK] = &table->ark,
	};

	for (int i = 0; i < ATTEST_TABLE_CERTS; i++) {
		if (!blobs[i]->size)
			continue;
		if (attest_certs_add(&served->certs[i], blobs[i], err) < 0)
			return -1;
		if (served->certs[i].count != 1)
			return err_set(err, ERR_USAGE, "%s: has more than one certificate", blobs[i]->name);
	}
	return 0;
}

static int check_leaf(const struct attest_cert *leaf, bool wants_vlek, struct err *err)
{
	struct attest_cert_chip chip;

	if (!leaf)
		return 0;
	if (attest_cert_chip_read(leaf, &chip, err) < 0)
		return err_wrap(err, "%s, \"%s\"", leaf->file, leaf->cn);
	if (chip.is_vlek == wants_vlek)
		return 0;
	return err_set(err, ERR_USAGE, "%s: is a %s, not a %s", leaf->file, chip.is_vlek ? "VLEK" : "VCEK",
	        wants_vlek ? "VLEK" : "VCEK");
}

/* Names are compared, as a verifier does that looks for a chain. The verifier also judges the signatures. */
static int check_issuer(const struct attest_cert *issuer, const struct attest_cert *cert, struct err *err)
{
	if (!issuer || !cert ||
	        X509_NAME_cmp(X509_get_subject_name(issuer->x509), X509_get_issuer_name(cert->x509)) == 0)
		return 0;
	return err_set(err, ERR_USAGE, "%s, \"%s\", was not issued by %s, \"%s\"", cert->file, cert->cn,
	        issuer->file, issuer->cn);
}

static int check(const struct served *served, struct err *err)
{
	const struct attest_cert *vcek = first(&served->certs[ATTEST_TABLE_VCEK]),
	                         *vlek = first(&served->certs[ATTEST_TABLE_VLEK]),
	                         *ask = first(&served->certs[ATTEST_TABLE_ASK]),
	                         *ark = first(&served->certs[ATTEST_TABLE_ARK]);

	if (!vcek && !vlek)
		return err_set(err, ERR_USAGE,
		        "holds neither a VCEK nor a VLEK, of the key that signs the reports of guests");
	if (check_leaf(vcek, false, err) < 0 || check_leaf(vlek, true, err) < 0)
		return -1;
	/* With both keys, the one intermediate certificate belongs to either. */
	if (!(vcek && vlek) && check_issuer(ask, vcek ?: vlek, err) < 0)
		return -1;
	if (check_issuer(ark, ask, err) < 0)
		return -1;
	return check_issuer(ark, ark, err);
}

int attest_table_check(const struct attest_table *table, const char **ret_lacks, struct err *err)
{
	struct served served = {0};
	int result;

	if (crypto_load(err) < 0)
		return -1;
	result = read_all(table, &served, err) < 0 ? -1 : check(&served, err);
	for (int i = 0; i < ATTEST_TABLE_CERTS; i++)
		attest_certs_finish(&served.certs[i]);
	if (result == 0)
		*ret_lacks = !table->ask.size && !table->ark.size ? "ASK and ARK"
		             : !table->ask.size                   ? "ASK"
		             : !table->ark.size                   ? "ARK"
		                                                  : NULL;
	return result;
}
