/*
 * kvm_sev_memory: commands on the memory of a SEV or SEV-ES guest: registered regions, launch secrets, the
 * debugger's view. Guest memory is the VMM's own mapping, in ciphertext. sim_sev.lock. Law:
 * amd-memory-encryption.rst, KVM_SEV_LAUNCH_SECRET, KVM_SEV_DBG_DECRYPT; api.rst 4.110 and 4.111.
 */
#include <errno.h>
#include <string.h>

#include "sev/sev.h"

#define BLOCK 16u

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/* ---- pinning ---- */

static uint64_t pages_of(uint64_t address, uint64_t size)
{
	return (address + size - 1) / PAGE_SIZE_BYTES - address / PAGE_SIZE_BYTES + 1;
}

bool sev_readable(uint64_t address)
{
	uint8_t byte;

	return sim_copy_in(&byte, (uintptr_t)address, 1) == 0;
}

int sev_pin(const struct sim_sev *sev, uint64_t address, uint64_t size)
{
	uint64_t end, pages;
	void *start = sev_pointer(address & ~(uint64_t)(PAGE_SIZE_BYTES - 1));

	if (!size || !add_ok(address, size, &end))
		return -EINVAL;
	pages = pages_of(address, size);
	if (pages > sev->pages_lockable - sev->pages_locked)
		return -ENOMEM;
	if (madvise(start, pages * PAGE_SIZE_BYTES, MADV_POPULATE_WRITE) < 0)
		return -ENOMEM;
	return 0;
}

/* ---- where it lies ---- */

/* Slots whole, so that what is used bit by bit lies together. */
static bool place(struct sim_vm *vm, uint64_t address, uint64_t size)
{
	struct sim_processor *secure = vm->sim->secure;
	const void *owner = vm->sev->memory;
	bool ok = true;

	pthread_mutex_lock(&vm->lock);
	for (unsigned i = 0; ok && i < SIM_SLOTS_MAX; i++) {
		const struct uapi_userspace_memory_region2 *r = &vm->slots[i].region;

		if (address < r->userspace_addr + r->memory_size && r->userspace_addr < address + size)
			ok = spa_place(secure, owner, r->userspace_addr, r->memory_size);
	}
	pthread_mutex_unlock(&vm->lock);
	return ok && spa_place(secure, owner, address, size);
}

int sev_spa(const struct sev_call *call, uint64_t address, uint64_t *size, uint64_t *ret_spa)
{
	if (!place(call->vm, address, *size))
		return -ENOMEM;
	*ret_spa = spa_of(call->vm->sim->secure, call->sev->memory, address, size);
	return 0;
}

/* ---- regions ---- */

static int region_add(struct sim_vm *vm, const struct kvm_enc_region *range)
{
	struct sim_sev *sev = vm->sev;
	struct sim_region *region;
	int result = sev_pin(sev, range->addr, range->size);

	if (result < 0)
		return result;
	if (sev->memory && !place(vm, range->addr, range->size))
		return -ENOMEM;
	region = malloc(sizeof(*region));
	if (!region)
		return -ENOMEM;
	*region = (struct sim_region){.next = sev->regions,
	        .address = range->addr,
	        .size = range->size,
	        .pages = pages_of(range->addr, range->size)};
	sev->regions = region;
	sev->pages_locked += region->pages;
	return 0;
}

int vm_sev_register(void *object, void *arg, uintptr_t user)
{
	struct kvm_enc_region range;
	struct sim_vm *vm = object;
	int result;

	if (sim_copy_in(&range, user, sizeof(range)) < 0)
		return -EFAULT;
	pthread_mutex_lock(&vm->sev->lock);
	if (!vm_is_sev(vm))
		result = -ENOTTY;
	else if (vm->sev->owner)
		result = -EINVAL;
	else
		result = region_add(vm, &range);
	pthread_mutex_unlock(&vm->sev->lock);
	return result;
}

static int region_remove(struct sim_sev *sev, const struct kvm_enc_region *range)
{
	for (struct sim_region **at = &sev->regions; *at; at = &(*at)->next) {
		struct sim_region *region = *at;

		if (region->address != range->addr || region->size != range->size)
			continue;
		*at = region->next;
		sev->pages_locked -= region->pages;
		free(region);
		return 0;
	}
	return -EINVAL;
}

int vm_sev_unregister(void *object, void *arg, uintptr_t user)
{
	struct kvm_enc_region range;
	struct sim_vm *vm = object;
	int result;

	if (sim_copy_in(&range, user, sizeof(range)) < 0)
		return -EFAULT;
	pthread_mutex_lock(&vm->sev->lock);
	if (vm->sev->owner)
		result = -EINVAL;
	else if (!vm_is_sev(vm))
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

int sev_launch_secret(struct sev_call *call)
{
	struct kvm_sev_launch_secret params;
	auto_free void *header = NULL, *packet = NULL;
	uint64_t spa = 0, size;
	int result = sev_take_params(call, &params, sizeof(params));

	if (result < 0)
		return result;
	size = params.guest_len;
	result = sev_pin(call->sev, params.guest_uaddr, params.guest_len);
	if (result == 0)
		result = sev_spa(call, params.guest_uaddr, &size, &spa);
	if (result == 0 && size < params.guest_len)
		result = -EINVAL;
	if (result == 0)
		packet = sev_copy_blob(params.trans_uaddr, params.trans_len, &result);
	if (result == 0)
		header = sev_copy_blob(params.hdr_uaddr, params.hdr_len, &result);
	if (result == 0)
		result = sev_ready(call);
	return result < 0 ? result : sev_result(call, secret(call, &params, spa, header, packet));
}

/* ---- the debugger's view ---- */

/* Whole blocks around some bytes of a page: what the firmware reads and writes. */
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
	return sev_spa(call, b->address, &b->size, &b->spa);
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

	if (result == 0)
		result = decrypt(call, &b);
	if (result == 0)
		result = sim_copy_out((uintptr_t)to, b.plain + b.offset, size);
	return result;
}

/* Blocks that are written in part are decrypted first. */
static int dbg_write(struct sev_call *call, uint64_t from, uint64_t to, size_t size)
{
	struct blocks b;
	int result = blocks_around(call, &b, to, size);

	if (result == 0 && b.size != size)
		result = decrypt(call, &b);
	if (result == 0)
		result = sim_copy_in(b.plain + b.offset, (uintptr_t)from, size);
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

/* Page by page, so that what was done before a failure stays done. */
static int dbg(struct sev_call *call, int (*step)(struct sev_call *, uint64_t, uint64_t, size_t))
{
	struct kvm_sev_dbg params;
	uint64_t end;
	int result = sev_take_params(call, &params, sizeof(params));

	if (result < 0)
		return result;
	if (!params.len || !add_ok(params.src_uaddr, params.len, &end) || !params.dst_uaddr)
		return -EINVAL;
	while (params.len && result == 0) {
		size_t size = in_page(params.dst_uaddr, in_page(params.src_uaddr, params.len));

		result =
		        sev_readable(params.src_uaddr) ? sev_pin(call->sev, params.dst_uaddr, size) : -ENOMEM;
		if (result == 0)
			result = sev_ready(call);
		if (result == 0)
			result = step(call, params.src_uaddr, params.dst_uaddr, size);
		params.src_uaddr += size;
		params.dst_uaddr += size;
		params.len -= (uint32_t)size;
	}
	return result;
}

int sev_dbg_decrypt(struct sev_call *call)
{
	return dbg(call, dbg_read);
}

int sev_dbg_encrypt(struct sev_call *call)
{
	return dbg(call, dbg_write);
}
