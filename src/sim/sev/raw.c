/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw: a guest's memory as the kernel reaches it: the VMM's mapping behind the slots, where private pages are
 * ciphertext. The slot is looked up for each access, because the VMM may change it at any time; kvm_vm.lock
 * keeps it as it is meanwhile. Runs on the vCPU's thread.
 */
#include <string.h>

#include "cpu/ram.h"
#include "decrypted.h"
#include "kvm/memory.h"
#include "raw.h"

/* kvm_vm.lock is held. */
static const struct cpu_slot *find_slot(const struct kvm_vm *vm, uint64_t gpa)
{
	const struct cpu_map *map = vm->map;

	for (uint32_t i = 0; i < map->count; i++) {
		if (gpa >= map->slots[i].gpa && gpa - map->slots[i].gpa < map->slots[i].size)
			return &map->slots[i];
	}
	return NULL;
}

static void log_write(struct kvm_vcpu *v, const struct cpu_slot *slot, uint64_t gpa)
{
	uint64_t page = (gpa - slot->gpa) / PAGE_SIZE_BYTES, bit = UINT64_C(1) << (page % 64);

	if (!slot->dirty || atomic_load(&slot->dirty[page / 64]) & bit)
		return;
	if (!v->vm->bus.dirtied || v->vm->bus.dirtied(v, slot, page))
		atomic_fetch_or(&slot->dirty[page / 64], bit);
}

/* kvm_vm.lock is held. */
static bool use_page(
        struct kvm_vcpu *v, uint64_t gpa, bool write, void (*work)(uint8_t *page, void *arg), void *arg)
{
	const struct cpu_slot *slot = find_slot(v->vm, gpa);
	uint8_t *page;

	if (!slot || (write && slot->flags & CPU_SLOT_READONLY))
		return false;
	page = slot->host + (gpa - slot->gpa) / PAGE_SIZE_BYTES * PAGE_SIZE_BYTES;
	sev_decrypted_settle(v->vm, slot, page);
	if (!cpu_ram_try(page, PAGE_SIZE_BYTES, work, arg))
		return false;
	if (write)
		log_write(v, slot, gpa);
	return true;
}

bool sev_raw_page(struct kvm_vcpu *v, uint64_t gpa, void (*work)(uint8_t *page, void *arg), void *arg)
{
	bool done;

	pthread_mutex_lock(&v->vm->lock);
	done = use_page(v, gpa, true, work, arg);
	pthread_mutex_unlock(&v->vm->lock);
	return done;
}

struct copy {
	uint8_t *data;
	size_t offset, size;
};

static void copy_in(uint8_t *page, void *arg)
{
	const struct copy *c = arg;

	ram_copy(c->data, page + c->offset, c->size);
}

static void copy_out(uint8_t *page, void *arg)
{
	const struct copy *c = arg;

	ram_copy(page + c->offset, c->data, c->size);
}

/* Copies page by page, as the kernel does. */
static bool copy_pages(struct kvm_vcpu *v, uint64_t gpa, uint8_t *data, size_t size, bool write)
{
	bool done = true;

	pthread_mutex_lock(&v->vm->lock);
	for (size_t at = 0; at < size && done;) {
		struct copy c = {.data = data + at, .offset = (gpa + at) % PAGE_SIZE_BYTES};

		c.size = PAGE_SIZE_BYTES - c.offset < size - at ? PAGE_SIZE_BYTES - c.offset : size - at;
		done = use_page(v, gpa + at, write, write ? copy_out : copy_in, &c);
		at += c.size;
	}
	pthread_mutex_unlock(&v->vm->lock);
	return done;
}

bool sev_raw_read(struct kvm_vcpu *v, uint64_t gpa, void *data, size_t size)
{
	return copy_pages(v, gpa, data, size, false);
}

bool sev_raw_write(struct kvm_vcpu *v, uint64_t gpa, const void *data, size_t size)
{
	return copy_pages(v, gpa, (uint8_t *)(uintptr_t)data, size, true);
}
