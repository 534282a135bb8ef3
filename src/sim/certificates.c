/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certificates: makes, for the simulated secure processor, the certificates that AMD's key server has for a
 * real one. Any thread may call.
 */
#include <errno.h>
#include <string.h>

#include "sev/platform.h"
#include "sim.h"

void sim_certificates_free(struct sim_cert certs[static SIM_CERTS])
{
	for (int i = 0; i < SIM_CERTS; i++)
		free(certs[i].data);
	memset(certs, 0, SIM_CERTS * sizeof(certs[0]));
}

static int copy(const void *data, size_t size, struct sim_cert *ret_cert, struct err *err)
{
	ret_cert->data = malloc(size);
	if (!ret_cert->data)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for certificates");
	memcpy(ret_cert->data, data, size);
	ret_cert->size = size;
	return 0;
}

/* ASK and ARK have the same size. */
static int make_sev(
        const struct sev_platform *secure, struct sim_cert certs[static SIM_CERTS], struct err *err)
{
	struct psp *psp = secure->psp;
	auto_free uint8_t *amd = NULL;
	struct abi_sev_cert cek;
	size_t size;

	if (psp_export_sev_cek(psp, &cek, err) < 0 || psp_export_sev_ask_ark(psp, &amd, &size, err) < 0 ||
	        copy(&cek, sizeof(cek), &certs[SIM_CERT_CHIP], err) < 0 ||
	        copy(amd, size / 2, &certs[SIM_CERT_ASK], err) < 0)
		return -1;
	return copy(amd + size / 2, size / 2, &certs[SIM_CERT_ARK], err);
}

static int make_snp(
        const struct sev_platform *secure, struct sim_cert certs[static SIM_CERTS], struct err *err)
{
	const char *vlek = *secure->vlek ? secure->vlek : NULL;
	struct psp_export der[PSP_EXPORTS];

	if (psp_export_snp_der(secure->psp, vlek, der, err) < 0)
		return -1;
	certs[vlek ? SIM_CERT_VLEK : SIM_CERT_CHIP] =
	        (struct sim_cert){der[PSP_EXPORT_LEAF].bytes, der[PSP_EXPORT_LEAF].size};
	certs[SIM_CERT_ASK] = (struct sim_cert){der[PSP_EXPORT_ASK].bytes, der[PSP_EXPORT_ASK].size};
	certs[SIM_CERT_ARK] = (struct sim_cert){der[PSP_EXPORT_ARK].bytes, der[PSP_EXPORT_ARK].size};
	return 0;
}

int sim_certificates(struct host *h, bool snp, struct sim_cert ret_certs[static SIM_CERTS], struct err *err)
{
	struct sim_platform *sim = (struct sim_platform *)h;

	memset(ret_certs, 0, SIM_CERTS * sizeof(ret_certs[0]));
	if (!sim->kvm.secure)
		return err_set(err, ERR_HOST,
		        "the software platform is a processor without SEV (sim.product): it has no "
		        "certificates");
	if ((snp ? make_snp : make_sev)(sim->kvm.secure, ret_certs, err) == 0)
		return 0;
	sim_certificates_free(ret_certs);
	return -1;
}
