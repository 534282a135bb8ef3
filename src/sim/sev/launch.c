/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch: the commands that launch a SEV or SEV-ES guest. Runs with sev_guest.lock held. Law:
 * amd-memory-encryption.rst, KVM_SEV_LAUNCH_START to KVM_SEV_GUEST_STATUS; Linux's arch/x86/kvm/svm/sev.c.
 */
#include <errno.h>
#include <string.h>

#include "command.h"
#include "decrypted.h"
#include "vmsa.h"

/* Makes the firmware's new guest that of the VM; if the firmware refuses that, ends the guest. */
static int bind(struct sev_call *call, uint32_t handle, int fd)
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

/* Ends the guest, because its handle could not be written to the caller's memory. */
static int unbind(struct sev_call *call)
{
	sev_decrypted_set_cipher(call->sev->memory, NULL);
	psp_deactivate(call->psp, call->sev->handle);
	psp_decommission(call->psp, call->sev->handle);
	call->sev->handle = 0;
	return -EFAULT;
}

int sev_start(struct sev_call *call, const struct sev_start *start)
{
	pthread_mutex_t *driver_lock = &sev_platform_of(call->vm)->driver_lock;
	int fd = (int)call->cmd->sev_fd, result = sev_check_device(call, fd);

	if (result < 0)
		return result;
	pthread_mutex_lock(driver_lock);
	result = sev_result(call, start->ask(call, start->params, start->blobs));
	if (result == 0)
		result = bind(call, *start->handle, fd);
	pthread_mutex_unlock(driver_lock);
	if (result < 0)
		return result;
	return sev_copy_out(call, start->params, start->size) < 0 ? unbind(call) : 0;
}

/* ---- KVM_SEV_LAUNCH_START ---- */

/* The blobs that a launch may begin with: the guest owner's certificate, and the session with it. */
enum { CERT, SESSION };

/* The firmware reads both in their whole size, whatever the caller's lengths, and wants both or neither. */
static uint32_t launch_start(struct sev_call *call, void *params, const struct sev_blobs *blobs)
{
	struct kvm_sev_launch_start *p = params;

	if (!blobs->at[CERT] != !blobs->at[SESSION])
		return PSP_INVALID_PARAM;
	if ((blobs->at[CERT] && p->dh_len < sizeof(struct abi_sev_cert)) ||
	        (blobs->at[SESSION] && p->session_len < sizeof(struct abi_sev_session)))
		return PSP_INVALID_LEN;
	return psp_launch_start(call->psp, &p->handle, p->policy, blobs->at[CERT], blobs->at[SESSION]);
}

/* Copies a blob that the caller may leave out by giving no address. */
static int take_optional(struct sev_blobs *blobs, unsigned i, uint64_t user, uint32_t size)
{
	return user ? sev_blob_take(blobs, i, user, size) : 0;
}

int sev_launch_start(struct sev_call *call)
{
	struct kvm_sev_launch_start params;
	auto_sev_blobs struct sev_blobs blobs = {0};
	const struct sev_start start = {launch_start, &params, sizeof(params), &params.handle, &blobs};
	int result = sev_take_params(call, &params, sizeof(params));

	if (result < 0)
		return result;
	result = take_optional(&blobs, CERT, params.dh_uaddr, params.dh_len);
	if (result < 0)
		return result;
	result = take_optional(&blobs, SESSION, params.session_uaddr, params.session_len);
	return result < 0 ? result : sev_start(call, &start);
}

/* ---- commands on a guest that was started ---- */

int sev_ready(const struct sev_call *call)
{
	return call->vm->encrypted ? sev_check_device(call, call->sev->fd) : -ENOTTY;
}

/* Gives the firmware one command for each part that lies together, as the kernel does. */
static int update_data(struct sev_call *call, uint64_t address, uint64_t left)
{
	while (left) {
		uint64_t size = left, spa;
		int result = sev_guest_spa(call, address, &size, &spa);

		if (result < 0)
			return result;
		result = sev_result(call, psp_launch_update_data(call->psp, call->sev->handle,
		                                  sev_pointer(address), spa, size));
		if (result < 0)
			return result;
		address += size;
		left -= size;
	}
	return 0;
}

int sev_launch_update_data(struct sev_call *call)
{
	struct kvm_sev_launch_update_data params;
	int result = sev_take_params(call, &params, sizeof(params));

	if (result < 0)
		return result;
	result = sev_pin(call->sev, params.uaddr, params.len, true);
	if (result < 0)
		return result;
	result = sev_ready(call);
	if (result == 0)
		result = update_data(call, params.uaddr, params.len);
	sev_unpin(call->sev, params.uaddr, params.len);
	return result;
}

int sev_plain(struct sev_call *call, uint32_t (*command)(struct psp *psp, uint32_t handle))
{
	int result = sev_ready(call);

	return result < 0 ? result : sev_result(call, command(call->psp, call->sev->handle));
}

static uint32_t update_vmsa(struct sev_call *call, struct abi_vmsa *vmsa, uint64_t spa)
{
	return psp_launch_update_vmsa(call->psp, call->sev->handle, vmsa, spa);
}

int sev_launch_update_vmsa(struct sev_call *call)
{
	return call->sev->es ? sev_vmsas_update(call, update_vmsa, call->sev->fd) : -ENOTTY;
}

int sev_launch_finish(struct sev_call *call)
{
	return sev_plain(call, psp_launch_finish);
}

int sev_guest_status(struct sev_call *call)
{
	struct kvm_sev_guest_status params = {.handle = call->sev->handle};
	struct psp_sev_status status;
	int result = sev_ready(call);

	if (result < 0)
		return result;
	result = sev_result(call, psp_guest_status(call->psp, call->sev->handle, &status));
	if (result < 0)
		return result;
	params.policy = status.policy;
	params.state = status.state;
	return sev_copy_out(call, &params, sizeof(params));
}

/* ---- answers whose size the firmware knows ---- */

/* A command whose answer goes into a buffer of the caller. */
struct question {
	/* Asks the firmware; data is NULL if the buffer is too small. Returns the firmware's code. */
	uint32_t (*ask)(struct sev_call *call, const void *params, void *data);
	void *data;
	size_t size;
	void *params; /* the command's struct, which holds the two below */
	size_t params_size;
	const __u64 *user; /* the buffer's address */
	uint32_t *len;     /* its size; 0: the caller asks for the size alone */
};

/*
 * Copies the firmware's answer into the buffer and sets *len to the answer's size, which the firmware gives
 * even with PSP_INVALID_LEN. As with the kernel, nothing else is given back after a refusal, unless the
 * caller asked for the size alone.
 */
static int give_answer(struct sev_call *call, const struct question *q, uint32_t code)
{
	uint32_t room = *q->len;
	int result = sev_result(call, code);

	if (room && result < 0)
		return result;
	if (result == 0 && *q->user && sev_copy_out_padded(*q->user, q->data, q->size, room) < 0)
		result = -EFAULT;
	*q->len = code == PSP_SUCCESS || code == PSP_INVALID_LEN ? (uint32_t)q->size : 0;
	return sev_copy_out(call, q->params, q->params_size) < 0 ? -EFAULT : result;
}

static int ask_firmware(struct sev_call *call, const struct question *q)
{
	int result = sev_take_params(call, q->params, q->params_size);
	bool fits;

	if (result < 0)
		return result;
	if (*q->len && *q->user && *q->len > SEV_BLOB_MAX_BYTES)
		return -EINVAL;
	result = sev_ready(call);
	if (result < 0)
		return result;
	fits = *q->user && *q->len >= q->size;
	return give_answer(call, q, q->ask(call, q->params, fits ? q->data : NULL));
}

static uint32_t ask_measure(struct sev_call *call, const void *params, void *data)
{
	return psp_launch_measure(call->psp, call->sev->handle, data);
}

int sev_launch_measure(struct sev_call *call)
{
	struct kvm_sev_launch_measure params;
	struct abi_sev_measure measure;
	const struct question q = {
	        ask_measure, &measure, sizeof(measure), &params, sizeof(params), &params.uaddr, &params.len};

	return ask_firmware(call, &q);
}

static uint32_t ask_report(struct sev_call *call, const void *params, void *data)
{
	const struct kvm_sev_attestation_report *p = params;

	return psp_attestation_report(call->psp, call->sev->handle, p->mnonce, data);
}

int sev_attestation_report(struct sev_call *call)
{
	struct kvm_sev_attestation_report params;
	struct abi_sev_report report;
	const struct question q = {
	        ask_report, &report, sizeof(report), &params, sizeof(params), &params.uaddr, &params.len};

	return ask_firmware(call, &q);
}
