/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver: does what the kernel's driver of the secure processor does by itself: it initialises and shuts down
 * the firmware, and remembers whether it did. Runs with sev_platform.driver_lock held. Law: Linux's
 * sev_platform_init() and __sev_firmware_shutdown() in drivers/crypto/ccp/sev-dev.c.
 */
#include "platform.h"

uint32_t sev_driver_init_sev(struct sev_platform *secure)
{
	uint32_t code = PSP_SUCCESS;

	if (!secure->sev_is_on) {
		code = psp_init(secure->psp, secure->product->es);
		secure->sev_is_on = code == PSP_SUCCESS;
	}
	return code;
}

static uint32_t init_snp(struct sev_platform *secure)
{
	uint32_t code = PSP_SUCCESS;

	if (secure->has_snp_firmware && !secure->snp_is_on) {
		code = psp_snp_init(secure->psp);
		secure->snp_is_on = code == PSP_SUCCESS;
	}
	return code;
}

uint32_t sev_driver_init(struct sev_platform *secure)
{
	uint32_t code = PSP_SUCCESS;

	pthread_mutex_lock(&secure->driver_lock);
	if (!secure->sev_is_on)
		code = init_snp(secure);
	if (code == PSP_SUCCESS)
		code = sev_driver_init_sev(secure);
	pthread_mutex_unlock(&secure->driver_lock);
	return code;
}

uint32_t sev_driver_shutdown_sev(struct sev_platform *secure)
{
	uint32_t code = PSP_SUCCESS;

	if (secure->sev_is_on) {
		code = psp_shutdown(secure->psp);
		secure->sev_is_on = code != PSP_SUCCESS;
	}
	return code;
}

/*
 * While SEV-SNP guests exist their ASIDs cannot be flushed. Then the firmware refuses, and SEV-SNP stays on.
 */
void sev_driver_shutdown(struct sev_platform *secure)
{
	uint32_t code;

	sev_driver_shutdown_sev(secure);
	if (!secure->snp_is_on)
		return;
	psp_wbinvd(secure->psp);
	code = psp_snp_shutdown(secure->psp);
	if (code == PSP_DFFLUSH_REQUIRED && psp_df_flush(secure->psp) == PSP_SUCCESS)
		code = psp_snp_shutdown(secure->psp);
	secure->snp_is_on = code != PSP_SUCCESS;
}
