/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exit_certs: a SEV-SNP guest asks for an attestation report with certificates. The vCPU's thread. Law:
 * api.rst, KVM_EXIT_SNP_REQ_CERTS; GHCB, "SNP Extended Guest Request".
 */
#include <errno.h>
#include <string.h>

#include "vcpu.h"
#include "vmm/launch/certificates.h"
#include "vmm/page.h"
#include "vmm/uapi.h"

/* One warning from a request that fails to the next one that succeeds: a guest may ask without end. */
static uint64_t tell(struct run_vcpu *vcpu, const struct err *err)
{
	if (!atomic_exchange(vcpu->told_certificates, true))
		log_warn("sev.certificates: the guest asks for certificates and gets none (EIO): %s",
		        err->text);
	return EIO;
}

/* Copies the certificates to where the guest wants them. Returns the answer to the guest: 0 or an errno. */
static uint64_t give(
        struct run_vcpu *vcpu, const struct launch_certificates *certs, struct uapi_snp_req_certs *request)
{
	uint64_t pages = certs->size_bytes / PAGE_SIZE_BYTES;

	atomic_store(vcpu->told_certificates, false);
	if (request->npages < pages) {
		request->npages = pages;
		return ENOSPC;
	}
	if (page_write(machine_vm_memory(vcpu->vm), gpa(request->gpa), certs->pages, certs->size_bytes) == 0)
		return 0;
	log_guest(LOG_WARN, "the guest wants certificates at 0x%llx, where it has no shared memory",
	        (unsigned long long)request->gpa);
	return EIO;
}

/*
 * Has the kernel send the request to the firmware while the files are locked. The guest does not run: with
 * immediate_exit KVM_RUN returns as soon as it has done what was left of the exit.
 */
static enum run_vcpu_verdict send_request(struct run_vcpu *vcpu)
{
	int result;

	run_vcpu_run_briefly(vcpu, true);
	result = run_vcpu_to_exit(vcpu);
	run_vcpu_run_briefly(vcpu, false);
	if (result < 0)
		return RUN_VCPU_FAIL;
	return result > 0 ? RUN_VCPU_RESUME : RUN_VCPU_AGAIN;
}

enum run_vcpu_verdict run_vcpu_on_req_certs(struct run_vcpu *vcpu)
{
	const char *path = machine_config(vcpu->machine)->sev.certificates;
	enum run_vcpu_verdict verdict = RUN_VCPU_RESUME;
	struct launch_certificates certs = {0};
	struct uapi_snp_req_certs request;
	struct err err;
	int answer;

	if (!*path)
		return run_vcpu_end(vcpu, RUN_VCPU_FAIL,
		        "KVM asks for certificates (KVM_EXIT_SNP_REQ_CERTS), which vmm did not ask it to do");
	memcpy(&request, &vcpu->kvm->run->hw, sizeof(request));
	answer = launch_certificates_take(path, &certs, &err);
	if (answer < 0)
		request.ret = tell(vcpu, &err);
	else
		request.ret = answer == LAUNCH_CERTIFICATES_BUSY ? EAGAIN : give(vcpu, &certs, &request);
	memcpy(&vcpu->kvm->run->hw, &request, sizeof(request));
	if (request.ret == 0)
		verdict = send_request(vcpu);
	launch_certificates_release(&certs);
	return verdict;
}
