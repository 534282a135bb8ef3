/*
 * launch: the commands that launch a SEV or SEV-ES guest. sev_guest.lock. Law:
 * amd-memory-encryption.rst, KVM_SEV_LAUNCH_START to KVM_SEV_GUEST_STATUS; sev.c of KVM.
 */
#include <errno.h>
#include <string.h>

#include "command.h"
#include "decrypted.h"
#include "vmsa.h"

/* The two things that a launch may begin with, of the size that the firmware reads whatever the length. */
struct start_blobs {
	struct abi_sev_cert *cert;
	struct abi_sev_session *session;
};

static void blobs_free(struct start_blobs *blobs)
{
	free(blobs->cert);
	free(blobs->session);
}

/* NULL address: none. The firmware wants whole ones: PSP_INVALID_LEN. */
static int blob_take(uint64_t user, uint32_t size, size_t wanted, void **ret_blob, uint32_t *ret_code)
{
	int result;

	*ret_blob = NULL;
	if (!user)
		return 0;
	*ret_blob = sev_copy_blob(user, size, &result);
	if (*ret_blob && size < wanted)
		*ret_code = PSP_INVALID_LEN;
	return result;
}

int sev_bind(struct sev_call *call, uint32_t handle, int fd)
{
	struct sev_guest *sev = call->sev;
	int result = sev_result(call, psp_activate(call->psp, handle, sev->asid));

	if (result < 0) {
		psp_decommission(call->psp, handle);
		return result;
	}
	sev_decrypted_set_cipher(sev->memory, psp_cipher(call->psp, sev->asid));
	sev->handle = handle;
	sev->fd = fd;
	return 0;
}

int sev_unbind(struct sev_call *call)
{
	sev_decrypted_set_cipher(call->sev->memory, NULL);
	psp_deactivate(call->psp, call->sev->handle);
	psp_decommission(call->psp, call->sev->handle);
	call->sev->handle = 0;
	return -EFAULT;
}

static int start(struct sev_call *call, struct kvm_sev_launch_start *params, const struct start_blobs *blobs,
        uint32_t code)
{
	pthread_mutex_t *driver_lock = &sev_platform_of(call->vm)->driver_lock;
	int result = sev_check_device(call, (int)call->cmd->sev_fd);

	if (result < 0)
		return result;
	pthread_mutex_lock(driver_lock);
	if (code == PSP_SUCCESS)
		code = psp_launch_start(
		        call->psp, &params->handle, params->policy, blobs->cert, blobs->session);
	result = sev_result(call, code);
	if (result == 0)
		result = sev_bind(call, params->handle, (int)call->cmd->sev_fd);
	pthread_mutex_unlock(driver_lock);
	if (result == 0 && sev_copy_out(call, params, sizeof(*params)) < 0)
		result = sev_unbind(call);
	return result;
}

int sev_launch_start(struct sev_call *call)
{
	struct kvm_sev_launch_start params;
	struct start_blobs blobs = {0};
	uint32_t code = PSP_SUCCESS;
	int result = sev_take_params(call, &params, sizeof(params));

	if (result < 0)
		return result;
	result = blob_take(params.dh_uaddr, params.dh_len, sizeof(*blobs.cert), (void **)&blobs.cert, &code);
	if (result == 0)
		result = blob_take(params.session_uaddr, params.session_len, sizeof(*blobs.session),
		        (void **)&blobs.session, &code);
	if (result == 0 && !blobs.cert != !blobs.session)
		code = PSP_INVALID_PARAM;
	if (result == 0)
		result = start(call, &params, &blobs, code);
	blobs_free(&blobs);
	return result;
}

/* For commands on what was started. 0, or -ENOTTY and -EBADF. */
int sev_ready(const struct sev_call *call)
{
	return call->vm->encrypted ? sev_check_device(call, call->sev->fd) : -ENOTTY;
}

/* A command for each part that lies together, as the kernel gives them. */
static int update_data(struct sev_call *call, uint64_t address, uint64_t left)
{
	int result = 0;

	while (left && result == 0) {
		uint64_t size = left, spa;

		result = sev_guest_spa(call, address, &size, &spa);
		if (result == 0)
			result = sev_result(call, psp_launch_update_data(call->psp, call->sev->handle,
			                                  sev_pointer(address), spa, size));
		address += size;
		left -= size;
	}
	return result;
}

int sev_launch_update_data(struct sev_call *call)
{
	struct kvm_sev_launch_update_data params;
	int result = sev_take_params(call, &params, sizeof(params));

	if (result == 0)
		result = sev_pin(call->sev, params.uaddr, params.len, true);
	if (result < 0)
		return result;
	result = sev_ready(call);
	if (result == 0)
		result = update_data(call, params.uaddr, params.len);
	sev_unpin(call->sev, params.uaddr, params.len);
	return result;
}

static uint32_t update_vmsa(struct sev_call *call, struct abi_vmsa *vmsa, uint64_t spa)
{
	return psp_launch_update_vmsa(call->psp, call->sev->handle, vmsa, spa);
}

int sev_launch_update_vmsa(struct sev_call *call)
{
	return call->sev->es ? sev_vmsas_update(call, update_vmsa, call->sev->fd) : -ENOTTY;
}

/* Of an answer whose size the firmware knows: 1: it fits, 0: there is no room for it; or a negated errno. */
static int answer_fits(const struct sev_call *call, const struct sev_answer *a)
{
	int result;

	if (*a->len && a->user && *a->len > SEV_BLOB_MAX_BYTES)
		return -EINVAL;
	result = sev_ready(call);
	return result < 0 ? result : a->user && *a->len >= a->size;
}

int sev_launch_measure(struct sev_call *call)
{
	struct kvm_sev_launch_measure params;
	struct abi_sev_measure measure;
	struct sev_answer answer = {&measure, sizeof(measure), &params, sizeof(params), 0, &params.len};
	int result = sev_take_params(call, &params, sizeof(params));

	if (result < 0)
		return result;
	answer.user = params.uaddr;
	result = answer_fits(call, &answer);
	if (result < 0)
		return result;
	return sev_answer(
	        call, psp_launch_measure(call->psp, call->sev->handle, result ? &measure : NULL), &answer);
}

int sev_launch_finish(struct sev_call *call)
{
	int result = sev_ready(call);

	return result < 0 ? result : sev_result(call, psp_launch_finish(call->psp, call->sev->handle));
}

int sev_guest_status(struct sev_call *call)
{
	struct psp_sev_status status;
	int result = sev_ready(call);

	if (result == 0)
		result = sev_result(call, psp_guest_status(call->psp, call->sev->handle, &status));
	if (result == 0) {
		const struct kvm_sev_guest_status params = {
		        .handle = call->sev->handle, .policy = status.policy, .state = status.state};

		result = sev_copy_out(call, &params, sizeof(params));
	}
	return result;
}

int sev_attestation_report(struct sev_call *call)
{
	struct kvm_sev_attestation_report params;
	struct abi_sev_report report;
	struct sev_answer answer = {&report, sizeof(report), &params, sizeof(params), 0, &params.len};
	int result = sev_take_params(call, &params, sizeof(params));

	if (result < 0)
		return result;
	answer.user = params.uaddr;
	result = answer_fits(call, &answer);
	if (result < 0)
		return result;
	return sev_answer(call,
	        psp_attestation_report(call->psp, call->sev->handle, params.mnonce, result ? &report : NULL),
	        &answer);
}
