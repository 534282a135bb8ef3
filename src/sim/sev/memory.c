/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory: commands on the memory of a SEV or SEV-ES guest: registered regions, launch secrets, the
 * debugger's view. Guest memory is the VMM's own mapping, in ciphertext. Runs with sev_guest.lock held. Law:
 * amd-memory-encryption.rst, KVM_SEV_LAUNCH_SECRET, KVM_SEV_DBG_DECRYPT; api.rst, 4.110 and 4.111.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "command.h"
#include "kvm/memory.h"
#include "spa.h"

#define BLOCK 16u

/* ---- where memory lies ---- */

/*
 * Gives frames to the whole of each slot that the range touches, so that memory that is used piece by piece
 * lies together.
 */
static bool place(struct kvm_vm *vm, uint64_t address, uint64_t size)
{
	struct sev_platform *secure = sev_platform_of(vm);
	const void *owner = vm->sev->memory;
	bool ok = true;

	pthread_mutex_lock(&vm->lock);
	for (unsigned i = 0; ok && i < KVM_SLOTS_MAX; i++) {
		const struct uapi_userspace_memory_region2 *r = &vm->slots[i].region;

		if (address < r->userspace_addr + r->memory_size && r->userspace_addr < address + size)
			ok = sev_spa_place(secure, owner, r->userspace_addr, r->memory_size);
	}
	pthread_mutex_unlock(&vm->lock);
	return ok && sev_spa_place(secure, owner, address, size);
}

int sev_guest_spa(const struct sev_call *call, uint64_t address, uint64_t *size, uint64_t *ret_spa)
{
	if (!place(call->vm, address, *size))
		return -ENOMEM;
	*ret_spa = sev_spa_of(sev_platform_of(call->vm), call->sev->memory, address, size);
	return 0;
}

/* ---- regions ---- */

/*
 * The guest's processors use decrypted copies of single pages. So huge pages make no access faster, and each
 * of them takes 2 MiB where the guest may have touched one page. sev_page_populate() asks for some.
 */
static void use_small_pages(const struct kvm_enc_region *range)
{
	uintptr_t start = range->addr & ~(uintptr_t)(PAGE_SIZE_BYTES - 1);

	madvise((void *)start, range->addr + range->size - start, MADV_NOHUGEPAGE);
}

/* The kernel does not write to a region, so memory that the VMM may only read can be registered, too. */
static int region_add(struct kvm_vm *vm, const struct kvm_enc_region *range)
{
	struct sev_guest *sev = vm->sev;
	auto_free struct sev_region *region = malloc(sizeof(*region));
	int result;

	if (!region)
		return -ENOMEM;
	if (sev->memory)
		use_small_pages(range); /* before any of them is made: pinning reads some */
	result = sev_pin_region(sev, range->addr, range->size);
	if (result < 0)
		return result;
	if (sev->memory && !place(vm, range->addr, range->size)) {
		sev_unpin(sev, range->addr, range->size);
		return -ENOMEM;
	}
	*region = (struct sev_region){.next = sev->regions, .address = range->addr, .size = range->size};
	sev->regions = take_ptr(&region);
	return 0;
}

int sev_vm_register(struct kvm_vm *vm, uintptr_t user)
{
	struct kvm_enc_region range;
	int result;

	if (object_copy_in(&range, user, sizeof(range)) < 0)
		return -EFAULT;
	pthread_mutex_lock(&vm->sev->lock);
	if (!vm->encrypted)
		result = -ENOTTY;
	else if (vm->sev->owner)
		result = -EINVAL;
	else
		result = region_add(vm, &range);
	pthread_mutex_unlock(&vm->sev->lock);
	return result;
}

static int region_remove(struct sev_guest *sev, const struct kvm_enc_region *range)
{
	for (struct sev_region **at = &sev->regions; *at; at = &(*at)->next) {
		struct sev_region *region = *at;

		if (region->address != range->addr || region->size != range->size)
			continue;
		*at = region->next;
		sev_unpin(sev, region->address, region->size);
		free(region);
		return 0;
	}
	return -EINVAL;
}

int sev_vm_unregister(struct kvm_vm *vm, uintptr_t user)
{
	struct kvm_enc_region range;
	int result;

	if (object_copy_in(&range, user, sizeof(range)) < 0)
		return -EFAULT;
	pthread_mutex_lock(&vm->sev->lock);
	if (vm->sev->owner)
		result = -EINVAL;
	else if (!vm->encrypted)
		result = -ENOTTY;
	else
		result = region_remove(vm->sev, &range);
	pthread_mutex_unlock(&vm->sev->lock);
	return result;
}

/* ---- launch secrets ---- */

static uint32_t secret(struct sev_call *call, const struct kvm_sev_launch_secret *params, uint64_t spa,
        const void *header, const void *packet)
{
	if (params->hdr_len < sizeof(struct abi_sev_secret_header) || params->trans_len < params->guest_len)
		return PSP_INVALID_LEN;
	return psp_launch_secret(call->psp, call->sev->handle, header, packet,
	        sev_pointer(params->guest_uaddr), spa, params->guest_len);
}

/* The memory that the secret goes to is pinned by the caller. */
static int secret_to(struct sev_call *call, const struct kvm_sev_launch_secret *params)
{
	auto_free void *header = NULL, *packet = NULL;
	uint64_t spa = 0, size = params->guest_len;
	int result = sev_guest_spa(call, params->guest_uaddr, &size, &spa);

	if (result < 0)
		return result;
	if (size < params->guest_len)
		return -EINVAL;
	packet = sev_copy_blob(params->trans_uaddr, params->trans_len, &result);
	if (!packet)
		return result;
	header = sev_copy_blob(params->hdr_uaddr, params->hdr_len, &result);
	if (!header)
		return result;
	result = sev_ready(call);
	return result < 0 ? result : sev_result(call, secret(call, params, spa, header, packet));
}

int sev_launch_secret(struct sev_call *call)
{
	struct kvm_sev_launch_secret params;
	int result = sev_take_params(call, &params, sizeof(params));

	if (result < 0)
		return result;
	result = sev_pin(call->sev, params.guest_uaddr, params.guest_len, true);
	if (result < 0)
		return result;
	result = secret_to(call, &params);
	sev_unpin(call->sev, params.guest_uaddr, params.guest_len);
	return result;
}

/* ---- the debugger's view ---- */

/* The whole blocks around some bytes of a page. The firmware reads and writes whole blocks only. */
struct blocks {
	uint64_t address, spa, size;
	size_t offset;
	uint8_t plain[PAGE_SIZE_BYTES];
};

static int blocks_around(struct sev_call *call, struct blocks *b, uint64_t address, size_t size)
{
	b->address = address & ~(uint64_t)(BLOCK - 1);
	b->offset = address - b->address;
	b->size = (b->offset + size + BLOCK - 1) & ~(size_t)(BLOCK - 1);
	return sev_guest_spa(call, b->address, &b->size, &b->spa);
}

static int decrypt(struct sev_call *call, struct blocks *b)
{
	return sev_result(call, psp_dbg_decrypt(call->psp, call->sev->handle, sev_pointer(b->address), b->spa,
	                                b->plain, b->size));
}

static int dbg_read(struct sev_call *call, uint64_t from, uint64_t to, size_t size)
{
	struct blocks b;
	int result = blocks_around(call, &b, from, size);

	if (result < 0)
		return result;
	result = decrypt(call, &b);
	return result < 0 ? result : object_copy_out((uintptr_t)to, b.plain + b.offset, size);
}

/* If only a part of the blocks is written, they are decrypted first. */
static int dbg_write(struct sev_call *call, uint64_t from, uint64_t to, size_t size)
{
	struct blocks b;
	int result = blocks_around(call, &b, to, size);

	if (result < 0)
		return result;
	result = b.size != size ? decrypt(call, &b) : 0;
	if (result < 0)
		return result;
	result = object_copy_in(b.plain + b.offset, (uintptr_t)from, size);
	if (result < 0)
		return result;
	return sev_result(call, psp_dbg_encrypt(call->psp, call->sev->handle, b.plain, sev_pointer(b.address),
	                                b.spa, b.size));
}

static size_t in_page(uint64_t address, size_t size)
{
	size_t left = PAGE_SIZE_BYTES - address % PAGE_SIZE_BYTES;

	return size < left ? size : left;
}

typedef int dbg_step_fn(struct sev_call *call, uint64_t from, uint64_t to, size_t size);

static int dbg_pinned(struct sev_call *call, dbg_step_fn *step, uint64_t from, uint64_t to, size_t size)
{
	int result = sev_pin(call->sev, to, size, true);

	if (result < 0)
		return result;
	result = sev_ready(call);
	if (result == 0)
		result = step(call, from, to, size);
	sev_unpin(call->sev, to, size);
	return result;
}

/* Makes the step for a page of each side. Both pages stay pinned for the whole step. */
static int dbg_page(struct sev_call *call, dbg_step_fn *step, uint64_t from, uint64_t to, size_t size)
{
	int result = sev_pin(call->sev, from, size, false);

	if (result < 0)
		return result;
	result = dbg_pinned(call, step, from, to, size);
	sev_unpin(call->sev, from, size);
	return result;
}

/* Makes the command page by page, so the pages before a failure stay done. */
static int dbg(struct sev_call *call, dbg_step_fn *step)
{
	struct kvm_sev_dbg params;
	uint64_t end;
	int result = sev_take_params(call, &params, sizeof(params));

	if (result < 0)
		return result;
	if (!params.len || !params.src_uaddr || !params.dst_uaddr ||
	        !add_ok(params.src_uaddr, params.len, &end) || !add_ok(params.dst_uaddr, params.len, &end))
		return -EINVAL;
	while (params.len) {
		size_t size = in_page(params.dst_uaddr, in_page(params.src_uaddr, params.len));

		result = dbg_page(call, step, params.src_uaddr, params.dst_uaddr, size);
		if (result < 0)
			return result;
		params.src_uaddr += size;
		params.dst_uaddr += size;
		params.len -= (uint32_t)size;
	}
	return 0;
}

int sev_dbg_decrypt(struct sev_call *call)
{
	return dbg(call, dbg_read);
}

int sev_dbg_encrypt(struct sev_call *call)
{
	return dbg(call, dbg_write);
}
