/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain: gathers and judges a chip key's certificate and AMD's intermediate and root certificates. Private to
 * attest.
 */
#ifndef VMM_ATTEST_CHAIN_H
#define VMM_ATTEST_CHAIN_H

#include "cert.h"

struct attest_chain {
	struct attest_cert leaf, ask, ark;
	struct attest_cert root;      /* the certificate of --root; may be empty */
	struct attest_cert_chip chip; /* the leaf's extensions */
	enum product_id root_product; /* of ark's key; UNKNOWN: not AMD's */
	unsigned unknown_entries;     /* of the certificate table */
};

void attest_chain_finish(struct attest_chain *chain);

/*
 * Takes from the evidence the certificates that a report of this signer needs. ERR_USAGE if one is missing or
 * cannot be read.
 */
int attest_chain_gather(const struct attest_evidence *evidence, bool wants_vlek,
        struct attest_chain *ret_chain, struct err *err) MUST_CHECK;
#define ATTEST_CHAIN_DEPTH 3 /* leaf, ASK, ARK */

/* Writes what OpenSSL finds wrong with each certificate of the path; NULL: nothing. */
void attest_path_judge(const struct attest_chain *chain, const char *ret_faults[static ATTEST_CHAIN_DEPTH]);
/* Adds the checks of signatures, root and dates to the verdict; sets root_product. */
void attest_chain_judge(struct attest_chain *chain, time_t at, struct attest_verdict *verdict);

/* Adds notes: facts that a reader of the verdict should know although no check depends on them. */
void attest_notes_add(const struct abi_snp_report *report, const struct attest_chain *chain,
        const struct attest_wanted *wanted, struct attest_verdict *verdict);

#endif
