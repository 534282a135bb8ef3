/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ghcb_snp: carries the messages of a SEV-SNP guest to its secure processor, and brings back the answers.
 * With an extended request the guest also asks for the certificates of its report; the VMM has them, if it
 * said so (KVM_SEV_SNP_ENABLE_REQ_CERTS). Law: the GHCB specification (AMD 56421), 4.1.7 and 4.1.8; api.rst,
 * KVM_EXIT_SNP_REQ_CERTS; Linux's arch/x86/kvm/svm/sev.c.
 */
#include <errno.h>
#include <string.h>

#include "device.h"
#include "raw.h"
#include "vmm/abi/message.h"
#include "vmm/uapi.h"

#define VMM_ERROR_OTHER UINT32_MAX /* KVM's own: the specification only has the two others */
#define TABLE_END_BYTES 24         /* the end of a table of certificates, in zeros: an empty table */

/*
 * KVM has one page for all answers of a VM. So after a refusal, which writes no answer, the guest gets the
 * last one again. sev_guest.request_lock is held.
 */
static int exchange(struct kvm_vcpu *v)
{
	const struct abi_ghcb *ghcb = &v->sev->ghcb.guest;
	struct sev_guest *sev = v->vm->sev;
	uint8_t request[PAGE_SIZE_BYTES];
	uint32_t code;

	if (!sev_raw_read(v, ghcb->sw_exit_info_1, request, sizeof(request)))
		return -EIO;
	if (!object_is(v->vm->platform->objects, sev->fd, &sev_device_ops))
		return -EBADF;
	code = psp_snp_guest_request(sev_platform_of(v->vm)->psp, sev->gctx, request, sev->response);
	if (!sev_raw_write(v, ghcb->sw_exit_info_2, sev->response, sizeof(sev->response)))
		return -EIO;
	return sev_ghcb_done(v, ABI_GHCB_REQUEST_RESULT(0, code));
}

static int send_request(struct kvm_vcpu *v)
{
	int result;

	pthread_mutex_lock(&v->vm->sev->request_lock);
	result = exchange(v);
	pthread_mutex_unlock(&v->vm->sev->request_lock);
	return result;
}

/* KVM looks at these before any other input of a request. */
static bool has_pages(const struct kvm_vcpu *v)
{
	const struct abi_ghcb *ghcb = &v->sev->ghcb.guest;

	return is_aligned(ghcb->sw_exit_info_1, PAGE_SIZE_BYTES) &&
	       is_aligned(ghcb->sw_exit_info_2, PAGE_SIZE_BYTES) &&
	       ghcb->sw_exit_info_1 != ghcb->sw_exit_info_2;
}

int sev_ghcb_on_request(struct kvm_vcpu *v)
{
	return has_pages(v) ? send_request(v) : sev_ghcb_malformed(v, ABI_GHCB_INVALID_INPUT);
}

/* ---- with certificates ---- */

static int refuse(struct kvm_vcpu *v, uint32_t error)
{
	return sev_ghcb_done(v, ABI_GHCB_REQUEST_RESULT(error, 0));
}

/* Without certificates nothing is sent: the guest may ask again with the same message. */
static int complete_certs(struct kvm_vcpu *v)
{
	struct uapi_snp_req_certs certs;

	memcpy(&certs, &v->run->hw, sizeof(certs));
	switch (certs.ret) {
	case 0: return send_request(v);
	case ENOSPC: v->sev->stale.regs.rbx = certs.npages; return refuse(v, ABI_GHCB_REQUEST_TOO_SMALL);
	case EAGAIN: return refuse(v, ABI_GHCB_REQUEST_BUSY);
	case EIO: return refuse(v, VMM_ERROR_OTHER);
	default: return -EINVAL;
	}
}

static int ask_vmm(struct kvm_vcpu *v, uint64_t gpa, uint64_t pages)
{
	const struct uapi_snp_req_certs certs = {.gpa = gpa, .npages = pages};

	v->run->exit_reason = UAPI_EXIT_SNP_REQ_CERTS;
	memcpy(&v->run->hw, &certs, sizeof(certs));
	return sev_ghcb_leave(v, complete_certs);
}

static int with_certificates(struct kvm_vcpu *v)
{
	static const uint8_t zeros[TABLE_END_BYTES];
	const struct kvm_regs *regs = &v->sev->stale.regs;
	const struct sev_ghcb *g = &v->sev->ghcb;

	if (!sev_ghcb_is_valid(g, ABI_GHCB_BIT(rax)) || !sev_ghcb_is_valid(g, ABI_GHCB_BIT(rbx)) ||
	        !is_aligned(regs->rax, PAGE_SIZE_BYTES))
		return sev_ghcb_malformed(v, ABI_GHCB_INVALID_INPUT);
	if (v->vm->sev->req_certs)
		return ask_vmm(v, regs->rax, regs->rbx);
	if (regs->rbx && !sev_raw_write(v, regs->rax, zeros, sizeof(zeros)))
		return -EIO;
	return send_request(v);
}

/*
 * The type is read for this decision alone; the guest may write another one meanwhile, and gets what the
 * secure processor makes of it.
 */
int sev_ghcb_on_ext_request(struct kvm_vcpu *v)
{
	uint64_t at = v->sev->ghcb.guest.sw_exit_info_1 + offsetof(struct abi_message_header, type);
	uint8_t type;

	if (!has_pages(v))
		return sev_ghcb_malformed(v, ABI_GHCB_INVALID_INPUT);
	if (!sev_raw_read(v, at, &type, sizeof(type)))
		return -EIO;
	return type == ABI_MSG_REPORT_REQ ? with_certificates(v) : send_request(v);
}
