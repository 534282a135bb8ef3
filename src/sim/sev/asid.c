/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asid: the pools of ASIDs, and who is charged for one. Any thread may call; the functions take
 * sev_platform.lock. Law: APM 2, 15.34.2; Linux's sev_asid_new().
 */
#include <errno.h>

#include "asid.h"

/*
 * As with KVM, an ASID that was given back waits for the next flush, which happens when no clean ASID is
 * left.
 */
enum asid_use { ASID_FREE, ASID_TAKEN, ASID_UNFLUSHED };

/*
 * SEV-SNP has 1 to snp_asids, SEV-ES the rest up to es_asids, SEV the rest. Without ciphertext hiding
 * SEV-SNP and SEV-ES share theirs.
 */
void sev_asid_range(
        const struct sev_platform *secure, enum product_asid_kind kind, uint32_t *ret_min, uint32_t *ret_max)
{
	uint32_t snp = secure->snp_asids;

	*ret_min = kind == PRODUCT_ASID_SEV ? secure->min_sev_asid : kind == PRODUCT_ASID_ES ? snp + 1 : 1;
	*ret_max = kind == PRODUCT_ASID_SEV          ? secure->asids
	           : kind == PRODUCT_ASID_SNP && snp ? snp
	                                             : secure->es_asids;
}

static enum sev_misc resource_of(enum product_asid_kind kind)
{
	return kind == PRODUCT_ASID_SEV ? SEV_MISC_SEV : SEV_MISC_SEV_ES;
}

static uint32_t find(const struct sev_platform *secure, uint32_t min, uint32_t max)
{
	while (min <= max && secure->uses[min] != ASID_FREE)
		min++;
	return min;
}

static void flush(struct sev_platform *secure, uint32_t min, uint32_t max)
{
	psp_wbinvd(secure->psp);
	if (psp_df_flush(secure->psp) != PSP_SUCCESS)
		return;
	for (uint32_t i = min; i <= max; i++) {
		if (secure->uses[i] == ASID_UNFLUSHED)
			secure->uses[i] = ASID_FREE;
	}
}

static int take(struct sev_platform *secure, enum product_asid_kind kind, uint32_t *ret_asid)
{
	uint32_t min, max, asid;

	sev_asid_range(secure, kind, &min, &max);
	if (min > max)
		return -ENOTTY;
	if (sev_cgroup_charge(&secure->cgroup, resource_of(kind)) < 0)
		return -EBUSY;
	asid = find(secure, min, max);
	if (asid > max) {
		flush(secure, min, max);
		asid = find(secure, min, max);
	}
	if (asid > max) {
		sev_cgroup_uncharge(&secure->cgroup, resource_of(kind));
		return -EBUSY;
	}
	secure->uses[asid] = ASID_TAKEN;
	*ret_asid = asid;
	return 0;
}

int sev_asid_take(struct sev_platform *secure, enum product_asid_kind kind, uint32_t *ret_asid)
{
	int result;

	pthread_mutex_lock(&secure->lock);
	result = take(secure, kind, ret_asid);
	pthread_mutex_unlock(&secure->lock);
	return result;
}

void sev_asid_give(struct sev_platform *secure, enum product_asid_kind kind, uint32_t asid)
{
	pthread_mutex_lock(&secure->lock);
	secure->uses[asid] = ASID_UNFLUSHED;
	sev_cgroup_uncharge(&secure->cgroup, resource_of(kind));
	pthread_mutex_unlock(&secure->lock);
}
