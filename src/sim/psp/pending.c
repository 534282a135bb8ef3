/*
 * pending: commands that this processor does not do yet: it answers UNSUPPORTED. Any thread.
 */
#include "internal.h"

uint32_t psp_attestation_report(
        struct psp *psp, uint32_t handle, const uint8_t mnonce[static 16], struct abi_sev_report *ret_report)
{
	return PSP_UNSUPPORTED;
}

uint32_t psp_snp_vlek_load(struct psp *psp, const void *wrapped, size_t size)
{
	return PSP_UNSUPPORTED;
}

uint32_t psp_send_start(struct psp *psp, uint32_t handle, const struct psp_receiver *receiver,
        uint32_t *ret_policy, struct abi_sev_session *ret_session)
{
	return PSP_UNSUPPORTED;
}

uint32_t psp_send_update_data(struct psp *psp, uint32_t handle, const void *data, uint64_t address,
        size_t size, struct abi_sev_secret_header *ret_header, void *ret_packet)
{
	return PSP_UNSUPPORTED;
}

uint32_t psp_send_update_vmsa(struct psp *psp, uint32_t handle, const struct abi_vmsa *vmsa, uint64_t address,
        struct abi_sev_secret_header *ret_header, void *ret_packet)
{
	return PSP_UNSUPPORTED;
}

uint32_t psp_send_finish(struct psp *psp, uint32_t handle)
{
	return PSP_UNSUPPORTED;
}

uint32_t psp_send_cancel(struct psp *psp, uint32_t handle)
{
	return PSP_UNSUPPORTED;
}

uint32_t psp_receive_start(struct psp *psp, uint32_t *handle, uint32_t policy, const struct abi_sev_cert *pdh,
        const struct abi_sev_session *session)
{
	return PSP_UNSUPPORTED;
}

uint32_t psp_receive_update_data(struct psp *psp, uint32_t handle, const struct abi_sev_secret_header *header,
        const void *packet, void *data, uint64_t address, size_t size)
{
	return PSP_UNSUPPORTED;
}

uint32_t psp_receive_update_vmsa(struct psp *psp, uint32_t handle, const struct abi_sev_secret_header *header,
        const void *packet, struct abi_vmsa *vmsa, uint64_t address)
{
	return PSP_UNSUPPORTED;
}

uint32_t psp_receive_finish(struct psp *psp, uint32_t handle)
{
	return PSP_UNSUPPORTED;
}

uint32_t psp_gctx_create(struct psp *psp, uint32_t *ret_gctx)
{
	return PSP_UNSUPPORTED;
}

uint32_t psp_snp_activate(struct psp *psp, uint32_t gctx, uint32_t asid)
{
	return PSP_UNSUPPORTED;
}

uint32_t psp_snp_decommission(struct psp *psp, uint32_t gctx)
{
	return PSP_UNSUPPORTED;
}

uint32_t psp_snp_launch_start(struct psp *psp, uint32_t gctx, uint64_t policy, const uint8_t gosvw[static 16])
{
	return PSP_UNSUPPORTED;
}

uint32_t psp_snp_launch_update(
        struct psp *psp, uint32_t gctx, enum abi_page_type type, uint64_t gpa, void *page)
{
	return PSP_UNSUPPORTED;
}

uint32_t psp_snp_launch_finish(struct psp *psp, uint32_t gctx,
        const struct uapi_sev_snp_launch_finish *finish, const struct abi_id_block *block,
        const struct abi_id_auth *auth)
{
	return PSP_UNSUPPORTED;
}

uint32_t psp_snp_report(struct psp *psp, uint32_t gctx, const uint8_t report_data[static 64], uint32_t vmpl,
        struct abi_snp_report *ret_report)
{
	return PSP_UNSUPPORTED;
}

void snp_guests_end(struct psp *psp)
{
}

int psp_export_snp_certs(struct psp *psp, char **ret_vcek_pem, char **ret_chain_pem, struct err *err)
{
	return err_set(err, ERR_FAILED, "this processor exports no certificates yet");
}

int psp_export_sev_ask_ark(struct psp *psp, uint8_t **ret_data, size_t *ret_size, struct err *err)
{
	return err_set(err, ERR_FAILED, "this processor exports no certificates yet");
}
