/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command: answers KVM_MEMORY_ENCRYPT_OP. It has the table of commands, decides which of them a guest may
 * get, and makes and ends a guest's context. Any thread may call; a command runs with sev_guest.lock held,
 * which stands for the kernel's kvm->lock. Law: amd-memory-encryption.rst; Linux's sev_mem_enc_ioctl().
 */
#include <errno.h>
#include <string.h>

#include "asid.h"
#include "command.h"
#include "decrypted.h"
#include "device.h"

bool sev_is_snp(const struct kvm_vm *vm)
{
	return vm->sev->vmsa_features & ABI_FEATURE_SNP;
}

/* ---- contexts ---- */

static enum product_asid_kind asid_kind(unsigned type)
{
	return type == UAPI_VM_SNP      ? PRODUCT_ASID_SNP
	       : type == UAPI_VM_SEV_ES ? PRODUCT_ASID_ES
	                                : PRODUCT_ASID_SEV;
}

static enum product_asid_kind asid_kind_of(const struct kvm_vm *vm)
{
	return sev_is_snp(vm) ? PRODUCT_ASID_SNP : vm->sev->es ? PRODUCT_ASID_ES : PRODUCT_ASID_SEV;
}

static bool init_is_valid(const struct sev_call *call, const struct uapi_sev_init *init, unsigned type)
{
	bool es = type != UAPI_VM_SEV, snp = type == UAPI_VM_SNP;
	uint64_t features = es ? sev_platform_of(call->vm)->product->vmsa_features : 0;

	if (!snp)
		features &= ~ABI_FEATURE_SECURE_TSC;
	return !atomic_load(&call->vm->vcpu_count) && !init->flags && !(init->vmsa_features & ~features) &&
	       init->ghcb_version <= SEV_GHCB_VERSION_MAX && (es || !init->ghcb_version) &&
	       !(snp && init->ghcb_version == 1) && !call->vm->encrypted;
}

/* The caller gets the firmware's code only if it is a refusal. */
static int sev_platform_init(struct sev_call *call)
{
	uint32_t code = sev_driver_init(sev_platform_of(call->vm));

	return code == PSP_SUCCESS ? 0 : sev_result(call, code);
}

/* kvm_vm.lock is held, so that no vCPU is made meanwhile. */
static int context_make(struct sev_call *call, const struct uapi_sev_init *init, unsigned type)
{
	struct sev_platform *secure = sev_platform_of(call->vm);
	struct sev_guest *sev = call->sev;
	bool es = type != UAPI_VM_SEV, snp = type == UAPI_VM_SNP;
	int result;

	if (!init_is_valid(call, init, type))
		return -EINVAL;
	result = sev_asid_take(secure, asid_kind(type), &sev->asid);
	if (result < 0)
		return result;
	result = sev_platform_init(call);
	if (result < 0) {
		sev_asid_give(secure, asid_kind(type), sev->asid);
		return result;
	}
	if (!snp)
		sev->memory = sev_decrypted_create(secure);
	if (!snp && !sev->memory) {
		sev_asid_give(secure, asid_kind(type), sev->asid);
		return -ENOMEM;
	}
	call->vm->encrypted = true;
	sev->es = es;
	sev->need_init = false;
	call->vm->guest_keeps_tsc = init->vmsa_features & ABI_FEATURE_SECURE_TSC;
	sev->vmsa_features = init->vmsa_features | (snp ? ABI_FEATURE_SNP : 0);
	sev->ghcb_version = es && !init->ghcb_version ? SEV_GHCB_VERSION_DEFAULT : init->ghcb_version;
	sev_bus_init(call->vm);
	return 0;
}

static int init_context(struct sev_call *call, const struct uapi_sev_init *init, unsigned type)
{
	int result;

	pthread_mutex_lock(&call->vm->lock);
	result = context_make(call, init, type);
	pthread_mutex_unlock(&call->vm->lock);
	return result;
}

int sev_init(struct sev_call *call)
{
	const struct uapi_sev_init init = {.vmsa_features = 0};

	return call->vm->type == UAPI_VM_DEFAULT ? init_context(call, &init, UAPI_VM_SEV) : -EINVAL;
}

int sev_es_init(struct sev_call *call)
{
	const struct uapi_sev_init init = {.ghcb_version = SEV_GHCB_VERSION_MIN};

	if (!(sev_platform_vm_types(sev_platform_of(call->vm)) >> UAPI_VM_SEV_ES & 1))
		return -ENOTTY;
	return call->vm->type == UAPI_VM_DEFAULT ? init_context(call, &init, UAPI_VM_SEV_ES) : -EINVAL;
}

int sev_init2(struct sev_call *call)
{
	struct uapi_sev_init init;

	if (!call->sev->need_init)
		return -EINVAL;
	if (sev_copy_in(call, &init, sizeof(init)) < 0)
		return -EFAULT;
	return init_context(call, &init, call->vm->type);
}

/* ---- the firmware, the caller's memory ---- */

int sev_copy_in(const struct sev_call *call, void *data, size_t size)
{
	return object_copy_in(data, (uintptr_t)call->cmd->data, size);
}

int sev_take_params(const struct sev_call *call, void *params, size_t size)
{
	return call->vm->encrypted ? sev_copy_in(call, params, size) : -ENOTTY;
}

int sev_copy_out(const struct sev_call *call, const void *data, size_t size)
{
	return object_copy_out((uintptr_t)call->cmd->data, data, size);
}

int sev_check_device(const struct sev_call *call, int fd)
{
	return object_is(call->vm->platform->objects, fd, &sev_device_ops) ? 0 : -EBADF;
}

int sev_result(struct sev_call *call, uint32_t code)
{
	call->cmd->error = code;
	return code == PSP_SUCCESS ? 0 : -EIO;
}

int sev_copy_out_padded(uint64_t user, const void *data, size_t size, size_t room)
{
	static const uint8_t zeros[PAGE_SIZE_BYTES];

	if (object_copy_out((uintptr_t)user, data, size) < 0)
		return -EFAULT;
	for (size_t part; size < room; size += part) {
		part = room - size < sizeof(zeros) ? room - size : sizeof(zeros);
		if (object_copy_out((uintptr_t)user + size, zeros, part) < 0)
			return -EFAULT;
	}
	return 0;
}

void *sev_copy_blob(uint64_t user, uint64_t size, int *ret_result)
{
	void *blob;

	*ret_result = -EINVAL;
	if (!user || !size || size > SEV_BLOB_MAX_BYTES)
		return NULL;
	blob = malloc(size);
	*ret_result = blob ? object_copy_in(blob, (uintptr_t)user, size) : -ENOMEM;
	if (*ret_result < 0)
		free(take_ptr(&blob));
	return blob;
}

int sev_blob_take(struct sev_blobs *blobs, unsigned i, uint64_t user, uint64_t size)
{
	int result;

	blobs->at[i] = sev_copy_blob(user, size, &result);
	return result;
}

void sev_blobs_free(struct sev_blobs *blobs)
{
	for (size_t i = 0; i < ARRAY_LEN(blobs->at); i++)
		free(blobs->at[i]);
}

/* ---- the gate ---- */

static const struct {
	uint32_t id;
	sev_command_fn *fn;
	bool mirror; /* a mirror may give this command, too */
} commands[] = {
        {KVM_SEV_INIT, sev_init, false},
        {KVM_SEV_ES_INIT, sev_es_init, false},
        {UAPI_SEV_INIT2, sev_init2, false},
        {KVM_SEV_LAUNCH_START, sev_launch_start, false},
        {KVM_SEV_LAUNCH_UPDATE_DATA, sev_launch_update_data, false},
        {KVM_SEV_LAUNCH_UPDATE_VMSA, sev_launch_update_vmsa, true},
        {KVM_SEV_LAUNCH_SECRET, sev_launch_secret, false},
        {KVM_SEV_LAUNCH_MEASURE, sev_launch_measure, false},
        {KVM_SEV_LAUNCH_FINISH, sev_launch_finish, false},
        {KVM_SEV_SEND_START, sev_send_start, false},
        {KVM_SEV_SEND_UPDATE_DATA, sev_send_update_data, false},
        {KVM_SEV_SEND_FINISH, sev_send_finish, false},
        {KVM_SEV_SEND_CANCEL, sev_send_cancel, false},
        {KVM_SEV_RECEIVE_START, sev_receive_start, false},
        {KVM_SEV_RECEIVE_UPDATE_DATA, sev_receive_update_data, false},
        {KVM_SEV_RECEIVE_FINISH, sev_receive_finish, false},
        {KVM_SEV_GUEST_STATUS, sev_guest_status, true},
        {KVM_SEV_DBG_DECRYPT, sev_dbg_decrypt, true},
        {KVM_SEV_DBG_ENCRYPT, sev_dbg_encrypt, true},
        {KVM_SEV_GET_ATTESTATION_REPORT, sev_attestation_report, false},
        {UAPI_SEV_SNP_LAUNCH_START, sev_snp_launch_start, false},
        {UAPI_SEV_SNP_LAUNCH_UPDATE, sev_snp_launch_update, false},
        {UAPI_SEV_SNP_LAUNCH_FINISH, sev_snp_launch_finish, false},
        {UAPI_SEV_SNP_ENABLE_REQ_CERTS, sev_snp_enable_req_certs, false},
};

/*
 * The checks are in the kernel's order: what a mirror may do, what an SNP guest may do, whether the command
 * exists.
 */
static int dispatch(struct sev_call *call, uintptr_t user)
{
	size_t i = 0;
	int result;

	while (i < ARRAY_LEN(commands) && commands[i].id != call->cmd->id)
		i++;
	if (call->sev->owner && (i == ARRAY_LEN(commands) || !commands[i].mirror))
		return -EINVAL;
	if (sev_is_snp(call->vm) && call->cmd->id < UAPI_SEV_SNP_LAUNCH_START)
		return -EPERM;
	if (i == ARRAY_LEN(commands))
		return -EINVAL;
	result = commands[i].fn(call);
	return object_copy_out(user, call->cmd, sizeof(*call->cmd)) < 0 ? -EFAULT : result;
}

int sev_vm_command(struct kvm_vm *vm, uintptr_t user)
{
	struct kvm_sev_cmd cmd;
	struct sev_call call = {.vm = vm, .sev = vm->sev, .cmd = &cmd};
	int result;

	if (!sev_platform_of(vm))
		return -ENOTTY;
	if (!user)
		return 0;
	if (object_copy_in(&cmd, user, sizeof(cmd)) < 0)
		return -EFAULT;
	call.psp = sev_platform_of(vm)->psp;
	pthread_mutex_lock(&vm->sev->lock);
	result = dispatch(&call, user);
	pthread_mutex_unlock(&vm->sev->lock);
	return result;
}

/* ---- life ---- */

int sev_vm_create(struct kvm_vm *vm)
{
	vm->sev = calloc(1, sizeof(*vm->sev));
	if (!vm->sev)
		return -ENOMEM;
	pthread_mutex_init(&vm->sev->lock, NULL);
	pthread_mutex_init(&vm->sev->request_lock, NULL);
	vm->sev->need_init = vm->type >= UAPI_VM_SEV;
	if (sev_platform_of(vm))
		vm->sev->pages_lockable = sev_platform_of(vm)->memlock_bytes / PAGE_SIZE_BYTES;
	return 0;
}

/* First the guest's key is destroyed, then its ASID is free. A mirror has neither. */
static void context_end(struct kvm_vm *vm)
{
	struct sev_platform *secure = sev_platform_of(vm);
	struct sev_guest *sev = vm->sev;

	sev_decrypted_unref(sev->memory);
	if (sev->owner) {
		kvm_vm_unref(sev->owner);
		return;
	}
	if (sev->handle) {
		psp_deactivate(secure->psp, sev->handle);
		psp_decommission(secure->psp, sev->handle);
	}
	if (sev->gctx)
		psp_snp_decommission(secure->psp, sev->gctx);
	sev_asid_give(secure, asid_kind_of(vm), sev->asid);
}

void sev_vm_destroy(struct kvm_vm *vm)
{
	struct sev_region *next;

	if (!vm->sev)
		return;
	for (struct sev_region *r = vm->sev->regions; r; r = next) {
		next = r->next;
		free(r);
	}
	if (vm->encrypted)
		context_end(vm);
	pthread_mutex_destroy(&vm->sev->request_lock);
	pthread_mutex_destroy(&vm->sev->lock);
	free(vm->sev);
}
