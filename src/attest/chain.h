/*
 * chain: a chip key's certificate, AMD's intermediate and root, gathered and judged. Private to attest.
 */
#ifndef VMM_ATTEST_CHAIN_H
#define VMM_ATTEST_CHAIN_H

#include "cert.h"

struct chain {
	struct cert leaf, ask, ark;
	struct cert root;                 /* what --root named; may be empty */
	struct cert_chip chip;            /* the leaf's extensions */
	enum attest_product root_product; /* of ark's key; UNKNOWN: not AMD's */
	unsigned unknown_entries;         /* of the certificate table */
};

void chain_finish(struct chain *chain);

/* Takes from the evidence what a report of this signer needs. ERR_USAGE if a part is missing or unreadable.
 */
int chain_gather(const struct attest_evidence *evidence, bool wants_vlek, struct chain *ret_chain,
        struct err *err) MUST_CHECK;
#define CHAIN_DEPTH 3 /* leaf, ASK, ARK */

/* What OpenSSL finds wrong with each certificate on the path, which lies on the path to it; NULL: nothing. */
void path_judge(const struct chain *chain, const char *ret_faults[static CHAIN_DEPTH]);
/* Adds the checks of signatures, root and dates; sets root_product. */
void chain_judge(struct chain *chain, time_t at, struct attest_verdict *verdict);

/* Adds what is worth knowing beside the checks. */
void notes_add(const struct abi_snp_report *report, const struct chain *chain,
        const struct attest_wanted *wanted, struct attest_verdict *verdict);

#endif
