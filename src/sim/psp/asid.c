/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asid: records which guest's key each ASID has, and which ASIDs must be flushed before they get another key.
 * The caller holds the lock of the secure processor. SEV API, ACTIVATE to DF_FLUSH: an ASID is clean,
 * allocated, in use or dirty.
 */
#include "internal.h"

/* With ciphertext hiding, SNP has ASIDs of its own; without it, SNP shares the ASIDs of SEV-ES. */
static bool is_for(const struct psp_options *o, uint32_t asid, enum product_asid_kind kind)
{
	uint32_t first[] = {[PRODUCT_ASID_SEV] = o->es_asids + 1,
	        [PRODUCT_ASID_ES] = o->snp_asids + 1,
	        [PRODUCT_ASID_SNP] = 1};
	uint32_t last[] = {[PRODUCT_ASID_SEV] = o->asids,
	        [PRODUCT_ASID_ES] = o->es_asids,
	        [PRODUCT_ASID_SNP] = o->snp_asids ? o->snp_asids : o->es_asids};

	return asid >= first[kind] && asid <= last[kind];
}

uint32_t psp_asid_activate(struct psp *psp, uint32_t *asid, uint32_t wanted, enum product_asid_kind kind,
        const uint8_t seed[static SEED_BYTES])
{
	struct psp_asid_row *row;

	if (!is_for(&psp->options, wanted, kind))
		return PSP_INVALID_ASID;
	row = &psp->asids[wanted];
	if (row->state == ASID_ALLOCATED || row->state == ASID_IN_USE)
		return PSP_ASID_OWNED;
	if (*asid)
		return PSP_ACTIVE;
	if (row->state != ASID_CLEAN)
		return PSP_DFFLUSH_REQUIRED;
	row->cipher = psp_cipher_create(seed);
	if (!row->cipher)
		return PSP_BROKEN;
	row->state = ASID_ALLOCATED;
	*asid = wanted;
	return PSP_SUCCESS;
}

void psp_asid_run(struct psp *psp, uint32_t asid)
{
	if (asid)
		psp->asids[asid].state = ASID_IN_USE;
}

void psp_asid_deactivate(struct psp *psp, uint32_t *asid)
{
	struct psp_asid_row *row = &psp->asids[*asid];

	if (!*asid)
		return;
	psp_cipher_destroy(row->cipher);
	row->cipher = NULL;
	row->state = row->state == ASID_IN_USE ? ASID_DIRTY : ASID_CLEAN;
	*asid = 0;
}

const struct psp_cipher *psp_asid_cipher(struct psp *psp, uint32_t asid)
{
	return psp->asids[asid].cipher;
}

const struct psp_cipher *psp_cipher(struct psp *psp, uint32_t asid)
{
	const struct psp_cipher *cipher = NULL;

	pthread_mutex_lock(&psp->lock);
	if (asid <= psp->options.asids)
		cipher = psp_asid_cipher(psp, asid);
	pthread_mutex_unlock(&psp->lock);
	return cipher;
}

/* Moves every ASID from state a to state b. Returns whether any ASID was in state a. */
static bool turn(struct psp *psp, enum psp_asid_state a, enum psp_asid_state b)
{
	bool any = false;

	for (uint32_t i = 1; i <= psp->options.asids; i++) {
		if (psp->asids[i].state == a) {
			psp->asids[i].state = b;
			any = true;
		}
	}
	return any;
}

bool psp_asids_are_clean(const struct psp *psp)
{
	for (uint32_t i = 1; i <= psp->options.asids; i++) {
		if (psp->asids[i].state != ASID_CLEAN)
			return false;
	}
	return true;
}

void psp_wbinvd(struct psp *psp)
{
	pthread_mutex_lock(&psp->lock);
	turn(psp, ASID_DIRTY, ASID_WRITTEN_BACK);
	pthread_mutex_unlock(&psp->lock);
}

uint32_t psp_df_flush(struct psp *psp)
{
	auto_leave struct psp_call call = psp_command_enter(psp, PSP_CMD_DF_FLUSH);

	if (call.code)
		return call.code;
	turn(psp, ASID_WRITTEN_BACK, ASID_CLEAN);
	return turn(psp, ASID_DIRTY, ASID_DIRTY) ? PSP_WBINVD_REQUIRED : PSP_SUCCESS;
}
