/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view: shows observers of the platform, and its tests, the guests that are launched here. A real secure
 * processor does not show this. Any thread may call; each function takes the lock of the secure processor.
 */
#include <string.h>

#include "internal.h"

static const char *const sev_states[] = {
        [PSP_SEV_UNINIT] = "UNINIT",
        [PSP_SEV_LUPDATE] = "LUPDATE",
        [PSP_SEV_LSECRET] = "LSECRET",
        [PSP_SEV_RUNNING] = "RUNNING",
        [PSP_SEV_SUPDATE] = "SUPDATE",
        [PSP_SEV_RUPDATE] = "RUPDATE",
        [PSP_SEV_SENT] = "SENT",
};

static const char *const snp_states[] = {
        [SNP_INIT] = "INIT", [SNP_LAUNCH] = "LAUNCH", [SNP_RUNNING] = "RUNNING"};

/* For a guest that is still being launched, the digest is that of the memory launched so far. */
static void sev_digest(const struct psp_sev_guest *guest, uint8_t ret_digest[static SHA256_BYTES])
{
	EVP_MD_CTX *copy = guest->hash ? EVP_MD_CTX_new() : NULL;

	if (!copy || EVP_MD_CTX_copy_ex(copy, guest->hash) != 1 ||
	        EVP_DigestFinal_ex(copy, ret_digest, NULL) != 1)
		memcpy(ret_digest, guest->digest, SHA256_BYTES);
	if (copy)
		EVP_MD_CTX_free(copy);
}

static void view_sev(const struct psp_sev_guest *guest, uint32_t handle, struct psp_guest_view *view)
{
	*view = (struct psp_guest_view){
	        .handle = handle,
	        .asid = guest->asid,
	        .policy = guest->policy,
	        .state = sev_states[guest->state],
	        .digest_bytes = SHA256_BYTES,
	};
	sev_digest(guest, view->digest);
}

static void view_snp(const struct psp_snp_guest *guest, uint32_t gctx, struct psp_guest_view *view)
{
	*view = (struct psp_guest_view){
	        .snp = true,
	        .handle = gctx,
	        .asid = guest->asid,
	        .policy = guest->policy,
	        .state = snp_states[guest->state],
	        .digest_bytes = SHA384_BYTES,
	};
	memcpy(view->digest, guest->digest, sizeof(view->digest));
}

static bool view_nth(const struct psp *psp, unsigned n, struct psp_guest_view *view)
{
	for (uint32_t i = 0; i < PSP_SEV_GUESTS_MAX; i++) {
		if (psp->guests[i] && n-- == 0) {
			view_sev(psp->guests[i], i + 1, view);
			return true;
		}
	}
	for (uint32_t i = 0; i < PSP_SNP_GUESTS_MAX; i++) {
		if (psp->contexts[i] && n-- == 0) {
			view_snp(psp->contexts[i], i + 1, view);
			return true;
		}
	}
	return false;
}

bool psp_guest_view(struct psp *psp, unsigned n, struct psp_guest_view *ret_view)
{
	bool found;

	pthread_mutex_lock(&psp->lock);
	found = view_nth(psp, n, ret_view);
	pthread_mutex_unlock(&psp->lock);
	return found;
}
